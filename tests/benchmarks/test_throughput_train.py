"""Training, beside the same network stepping over one batch in memory: at least 85% of its images a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.measuring import Bare, Clock, ferplus, paired, photographs, show

from affectkit.config import resolve
from affectkit.settings.training import TrainSettings
from affectkit.training.run import train

pytestmark = pytest.mark.benchmark

BATCH = 32
TARGET, SLACK = 0.85, 0.10  # a shared machine; the table says what it really was
HEADER = ("ResNet-18, training", "size", "affectkit images/s", "bare images/s", "ratio")


def compare(data: Path, tmp_path: Path, *, size: int, classes: int, images: int, repetitions: int, **changes):
    """Images a second of the second epoch of a run (the first warms up), of the bare model, and their ratio."""
    bare = Bare("resnet18", size=size, batch=BATCH, classes=classes)
    bare.train(2)
    count = 0

    def ours() -> float:
        nonlocal count
        count += 1
        values = {
            "data": data, "output": tmp_path / f"run{count}", "model": "resnet18", "pretrained": False,
            "image_size": size, "batch_size": BATCH, "epochs": 2, **changes,
        }  # fmt: skip
        clock = Clock()
        train(resolve(TrainSettings, flags=values).settings, reporter=clock)
        assert clock.items["epoch 2/2"] == images
        return clock.rate("epoch 2/2")

    return paired(ours, lambda: bare.train(images // BATCH), repetitions=repetitions)


@pytest.mark.parametrize("augment", ["face", "face-strong"])
def test_ferplus_at_64_pixels(tmp_path, capsys, augment):
    data = ferplus(tmp_path / "data", train=512, valid=64)
    found = compare(data, tmp_path, size=64, classes=8, images=512, repetitions=5, augment=augment)
    show(capsys, HEADER, [(f"FER+, --augment {augment}", "64", *found)])
    assert found[2] >= TARGET - SLACK


@pytest.mark.parametrize("cache", ["auto", "none"])
def test_jpegs_at_224_pixels(tmp_path, capsys, cache):
    data = photographs(tmp_path / "data", count=143)
    found = compare(data, tmp_path, size=224, classes=2, images=128, repetitions=3, cache=cache)
    show(capsys, HEADER, [(f"480x360 JPEG, --cache {cache}", "224", *found)])
    assert found[2] >= TARGET - SLACK
