"""Near duplicates of FER+ against the way of imagehash: a hash of each file, and every pair of hashes compared.

AFFECTKIT_IMAGES names how many images (30000), AFFECTKIT_PART of how many the other way is measured (1000); for all of
them its time is computed from that: hashes grow with the number of images, comparisons with that of pairs. imagehash is
no dependency: pip install imagehash.
"""

from __future__ import annotations

import os
import time

import pytest
from benchmarks.measuring import ferplus
from PIL import Image

from affectkit.core.progress import Silent
from affectkit.exploration.copies import group_contents
from affectkit.exploration.image_facts import read_facts
from affectkit.exploration.near_copies import DISTANCE, find_near_copies

COUNT = int(os.environ.get("AFFECTKIT_IMAGES", "30000"))
PART = int(os.environ.get("AFFECTKIT_PART", "1000"))
pytestmark = pytest.mark.benchmark


def timed(work):
    began = time.process_time()
    return work(), time.process_time() - began


def test_near_duplicates_of_many_images(tmp_path, capsys):
    imagehash = pytest.importorskip("imagehash", reason="imagehash is not installed")
    root = ferplus(tmp_path / "faces", train=COUNT * 7 // 8, valid=COUNT // 8)
    paths = sorted(root.glob("images/*/*.png"))
    facts, reading = timed(lambda: read_facts(paths, workers=1, reporter=Silent()))
    contents = group_contents(facts.digests)
    pairs, comparing = timed(lambda: find_near_copies(facts.small[contents.first], reporter=Silent()))
    part = paths[:: max(len(paths) // PART, 1)][:PART]
    hashes, hashing = timed(lambda: [imagehash.phash(Image.open(path)) for path in part])
    near, subtracting = timed(
        lambda: [(a, b) for a, one in enumerate(hashes) for b in range(a) if one - hashes[b] <= DISTANCE]
    )
    count = len(paths)
    theirs = hashing * count / len(part) + subtracting * (count * (count - 1)) / (len(part) * (len(part) - 1))
    ours = reading + comparing
    with capsys.disabled():
        print(
            f"\n{count:,} images: {ours:.1f} s of processor time ({reading:.1f} reading, {comparing:.1f} comparing), "
            f"{len(pairs):,} near pairs; imagehash's way {theirs:,.0f} s, computed from {len(part):,} images "
            f"({hashing:.2f} s of hashing, {subtracting:.2f} s of comparing, {len(near)} pairs): "
            f"{theirs / ours:.0f} times"
        )
    assert len(pairs) > 0 and theirs > 10 * ours
