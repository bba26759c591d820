"""Inference over a folder in which files are bad, huge, and come and go, again and again for half an hour.

AFFECTKIT_SOAK_MINUTES says how long (30). Every file that is there throughout has one row or one reason each time,
and memory does not grow.
"""

from __future__ import annotations

import csv
import gc
import io
import os
import shutil
import struct
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest
from benchmarks.measuring import Clock, show
from benchmarks.test_memory import tiny_checkpoint
from PIL import Image

from affectkit.config import resolve
from affectkit.inference.infer import infer
from affectkit.settings.inference import InferSettings

pytestmark = [pytest.mark.slow, pytest.mark.benchmark]

MINUTES = float(os.environ.get("AFFECTKIT_SOAK_MINUTES", "30"))
WARM = 3
"""Rounds after which memory is taken as settled."""
SLACK = 1.05


def png_bomb(path: Path, side: int = 30_000) -> None:
    """A small file that says it holds ``side`` x ``side`` gray pixels, all of them zero."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(side + 1)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def fill(folder: Path) -> tuple[set[str], set[str]]:
    """Names of good and of bad files, which stay."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    good, bad = set(), set()
    for number in range(150):
        side = (int(rng.integers(20, 900)), int(rng.integers(20, 900)))
        kind = ("png", "jpg", "webp", "bmp", "tif", "gif")[number % 6]
        image = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize(side, Image.BICUBIC)
        image.save(folder / f"good{number:03}.{kind}")
        good.add(f"good{number:03}.{kind}")
    Image.new("RGB", (9000, 9000), (90, 20, 30)).save(folder / "huge.jpg", quality=50)
    Image.new("L", (9400, 9400), 7).save(folder / "huge.png")
    good |= {"huge.jpg", "huge.png"}
    whole = (folder / "good001.jpg").read_bytes()
    contents = {
        "empty.jpg": b"", "cut.jpg": whole[: len(whole) // 2], "text.jpg": b"not an image\n" * 50,
        "zeros.png": bytes(4000), "header.png": (folder / "good000.png").read_bytes()[:33],
        "noise.webp": rng.bytes(5000), "cut.png": (folder / "good006.png").read_bytes()[:-40],
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    png_bomb(folder / "bomb.png")
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    bad |= {*contents, "bomb.png", "gone.jpg"}  # a link to nothing is named, with its reason
    return good, bad


class Mischief(threading.Thread):
    """Files that appear, are cut, and vanish, about two hundred a second."""

    def __init__(self, folder: Path, source: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.source, self.over, self.made = folder, source, threading.Event(), 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.over.wait(0.005):
                number = self.made % 400
                self.made += 1
                path = self.folder / f"passing{number:03}.jpg"
                if path.exists():
                    path.unlink()
                elif number % 7:
                    shutil.copy(self.source, path)
                else:
                    path.write_bytes(self.source.read_bytes()[: 40 * number])
        except BaseException as error:  # told by the test
            self.error = error


def used() -> float:
    """Resident MiB of this process; between rounds there are no others."""
    gc.collect()
    assert not psutil.Process().children(recursive=True), "workers were left behind"
    return psutil.Process().memory_info().rss / 2**20


def names(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return [row[0] for row in csv.reader(stream)][1:]


@pytest.mark.parametrize("workers", [2])
def test_soak(tmp_path, capsys, workers):
    checkpoint = tiny_checkpoint(tmp_path / "model.safetensors")
    folder, results = tmp_path / "images", tmp_path / "results"
    good, bad = fill(folder)
    values = {
        "paths": (str(folder),), "checkpoint": checkpoint, "results": results, "force": True, "workers": workers,
    }  # fmt: skip
    settings = resolve(InferSettings, flags=values).settings
    mischief = Mischief(folder, folder / "good001.jpg")
    mischief.start()
    memory: list[float] = []
    rounds = rows = reasons = 0
    ends = time.monotonic() + 60 * MINUTES
    try:
        while time.monotonic() < ends or rounds <= WARM:
            summary = infer(settings, reporter=Clock(), listed=io.StringIO(), stdout=io.StringIO())
            done, skipped = names(results / "inference_results.csv"), names(results / "skipped.csv")
            told = [*done, *skipped]
            assert len(told) == len(set(told)) == summary["images"] + summary["skipped"]
            assert good <= set(done), sorted(good - set(done))
            assert bad <= set(skipped), sorted(bad - set(skipped))
            passing = {f"passing{number:03}.jpg" for number in range(400)}
            assert set(told) - good - bad <= passing
            rounds, rows, reasons = rounds + 1, rows + len(done), reasons + len(skipped)
            memory.append(used())
            assert mischief.error is None, mischief.error
    finally:
        mischief.over.set()
        mischief.join()
    # Medians of the first and the last tenth, since the allocator has its own ups and downs.
    settled = memory[WARM:]
    part = max(len(settled) // 10, 1)
    first, last = float(np.median(settled[:part])), float(np.median(settled[-part:]))
    sizes = [f"{size:.0f}" for size in (first, last, max(memory))]
    row = (f"{MINUTES:g} min", rounds, rows, reasons, mischief.made, *sizes)
    show(capsys, ("soak", "rounds", "rows", "reasons", "changes", "MiB settled", "MiB end", "MiB most"), [row])
    assert reasons > rounds * len(bad), "no passing file was ever met cut or gone"
    assert last <= first * SLACK
