"""Memory of an inference over 50,000 images: what it takes at the end is what it took near the beginning."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from benchmarks.measuring import show
from PIL import Image

from affectkit.checkpoints.checkpoint import Header, save_checkpoint
from affectkit.core.spec import InputSpec
from affectkit.models.backbones import Backbone

pytestmark = pytest.mark.benchmark

COUNT = int(os.environ.get("AFFECTKIT_MEMORY_IMAGES", "50000"))
POINTS = (0.1, 0.25, 0.5, 0.75, 0.95)
SLACK = 1.10


def tiny_checkpoint(path: Path) -> Path:
    torch.manual_seed(0)
    spec = InputSpec("classification", 24, 24, classes=("a", "b", "c"))
    save_checkpoint(path, Backbone("test_resnet", 3, height=24, width=24), Header("test_resnet", {}, spec))
    return path


def many_files(folder: Path, count: int) -> Path:
    """``count`` names, a thousand to a sub-folder, of a few images."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for kind in range(8):
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder.parent / f"{kind}.png")
    for number in range(count):
        inner = folder / f"{number // 1000:03}"
        inner.mkdir(exist_ok=True)
        os.link(folder.parent / f"{number % 8}.png", inner / f"{number:06}.png")
    return folder


def resident(process: psutil.Process) -> int:
    """Bytes of a process and its workers. What they share counts for each: proportional shares, which would count it
    once, move when a stranger loads the same libraries."""
    total = process.memory_info().rss
    for worker in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += worker.memory_info().rss
    return total


@pytest.mark.parametrize("through", ["folder", "list"])
def test_memory_of_infer_does_not_grow(tmp_path, capsys, through):
    checkpoint = tiny_checkpoint(tmp_path / "model.safetensors")
    folder = many_files(tmp_path / "images", COUNT)
    listing = tmp_path / "list"
    listing.write_text("".join(f"{path}\n" for path in sorted(folder.glob("*/*.png"))))
    named = [str(folder), "--recursive"] if through == "folder" else ["-"]
    results = tmp_path / "results"
    command = [sys.executable, "-m", "affectkit", "infer", *named, "--checkpoint", str(checkpoint),
               "--results", str(results), "--device", "cpu"]  # fmt: skip
    table = results / "inference_results.csv.part"
    seen, sizes, began = 0, [], time.perf_counter()
    with listing.open() as stdin, (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(command, stdin=stdin, stdout=err, stderr=err)
        watched = psutil.Process(process.pid)
        with Lines(table) as lines:
            while process.poll() is None:
                seen = lines.count()
                if len(sizes) < len(POINTS) and seen >= POINTS[len(sizes)] * COUNT:
                    sizes.append((seen, resident(watched) / 2**20))
                time.sleep(0.05)
    assert process.returncode == 0, (tmp_path / "err").read_text()
    with (results / "inference_results.csv").open() as stream:
        assert sum(1 for _ in stream) - 1 == COUNT
    assert len(sizes) == len(POINTS), f"only {len(sizes)} points were seen"
    rate = COUNT / (time.perf_counter() - began)
    rows = [(f"infer, {through}", f"{count:,}", f"{size:.0f}") for count, size in sizes]
    show(capsys, ("command", "images done", "MiB"), [*rows, ("images/s, start to end", f"{rate:.0f}", "")])
    assert sizes[-1][1] <= sizes[0][1] * SLACK


class Lines:
    """Counts the lines of a growing file, of which each byte is read once."""

    def __init__(self, path: Path) -> None:
        self.path, self.stream, self.found = path, None, 0

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        if self.stream is not None:
            self.stream.close()

    def count(self) -> int:
        if self.stream is None:
            if not self.path.exists():
                return 0
            self.stream = self.path.open("rb")
        self.found += self.stream.read().count(b"\n")
        return self.found
