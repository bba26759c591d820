"""Datasplit against a plain script written the published way, end to end in fresh processes; two curves, and where
our time goes. AFFECTKIT_SIZES=3000,29042,100000 sets the numbers of images; the plain way takes many
minutes for the last.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from splitting import PUBLISHED

PUBLISHED_WAY = Path(__file__).with_name("published_datasplit.py")
SIZES = tuple(int(n) for n in os.environ.get("AFFECTKIT_SIZES", "3000,10000,29042").split(","))
LARGEST = {29_042: 4.0, 100_000: 8.0}
SEED = "27"


def faces(root: Path, total: int) -> int:
    """Class folders of 96-pixel JPEGs in the proportions of the published dataset; the size of the largest class."""
    rng = np.random.default_rng(0)
    pool = []
    for _ in range(200):
        stream = io.BytesIO()
        small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        small.resize((96, 96), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=95)
        pool.append(stream.getvalue())
    sizes = {label: round(count * total / sum(PUBLISHED.values())) for label, count in PUBLISHED.items()}
    sizes["neutral"] += total - sum(sizes.values())
    number = 0
    for label, count in sizes.items():
        (root / "train" / label).mkdir(parents=True)
        for index in range(count):
            data = pool[number % len(pool)]
            comment = b"\xff\xfe\x00\x0a%08d" % number  # no two files are the same
            (root / "train" / label / f"{index:06}.jpg").write_bytes(data[:2] + comment + data[2:])
            number += 1
    return max(sizes.values())


def timed(command: list[str]) -> tuple[float, str]:
    os.sync()
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"})
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - began, done.stdout


def files(root: Path) -> dict[str, int]:
    return {side: sum(len(names) for _, _, names in os.walk(root / side)) for side in ("train", "test")}


def per_image(source: Path) -> dict[str, float]:
    """Microseconds in one process for each step on one image."""
    from affectkit.prep.augmentation.lossless_images import encode_lossless, read_lossless
    from affectkit.prep.augmentation.pipeline import load_pipeline

    pipeline = load_pipeline(None)
    paths = sorted((source / "train" / "happy").iterdir())[:400]
    pipeline.apply(read_lossless(paths[0]).pixels, seed=0, name="", draw=0)
    steps, marks = {}, [time.perf_counter()]

    def mark(name: str) -> None:
        marks.append(time.perf_counter())
        steps[name] = 1e6 * (marks[-1] - marks[-2]) / len(paths)

    pictures = [read_lossless(path) for path in paths]
    mark("decoding")
    made = [pipeline.apply(p.pixels, seed=0, name=str(k), draw=0) for k, p in enumerate(pictures)]
    mark("augmenting")
    data = [encode_lossless(pixels, p, quality=95) for pixels, p in zip(made, pictures, strict=True)]
    mark("encoding")
    for k, content in enumerate(data):
        (source / f".{k}").write_bytes(content)
    mark("writing")
    for k in range(len(data)):
        (source / f".{k}").unlink()
    return steps


@pytest.fixture
def folder(tmp_path):
    """Emptied only at the end: on a disk mounted with discard, a deletion slows down what is written after it."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.benchmark
def test_faster_than_the_published_way_and_linear(folder, capsys):
    pytest.importorskip("pandas")
    rows = []
    for total in SIZES:
        source, ours, plain = (folder / f"{name}-{total}" for name in ("source", "ours", "plain"))
        largest = faces(source, total)
        command = [sys.executable, "-m", "affectkit", "datasplit", str(source), "--output-path", str(ours), "--balance"]
        seconds, out = timed([*command, "--seed", SEED, "--json", "-q"])
        report = json.loads(out)
        slow, _ = timed([sys.executable, str(PUBLISHED_WAY), str(source), str(plain), SEED, str(largest)])
        counts = files(ours)
        assert counts == {"train": report["train"], "test": report["test"]}
        # An augmented file of the plain way may have replaced another of the same random number.
        assert all(0 <= counts[side] - files(plain)[side] <= 0.002 * total for side in counts)
        rows.append((total, sum(counts.values()) - total, seconds, slow, report["seconds"]))
        with capsys.disabled():
            print(f"\n{total:>8,} images, {rows[-1][1]:,} augmented: ours {seconds:.1f} s, plain {slow:.1f} s, "
                  f"{slow / seconds:.1f} times faster; ours by stage {report['seconds']}", flush=True)  # fmt: skip
    with capsys.disabled():
        print("   one process, microseconds an image:", {k: round(v) for k, v in per_image(source).items()})
    for total, _, seconds, slow, _ in rows:
        assert slow / seconds >= LARGEST.get(total, 1.0), f"{total}: {slow / seconds:.2f} times"
    first, last = rows[0], rows[-1]
    # A constant start-up helps; a quadratic part would show.
    assert last[2] / first[2] < 1.2 * last[0] / first[0]
