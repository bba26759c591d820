"""Inference from files to rows, beside the bare forward pass over batches in memory: at least 90% of its images."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from benchmarks.measuring import Bare, Clock, ferplus, paired, photographs, show

from affectkit.checkpoints.checkpoint import Header, save_checkpoint
from affectkit.config import resolve
from affectkit.core.spec import InputSpec
from affectkit.inference.infer import infer
from affectkit.settings.inference import InferSettings

pytestmark = pytest.mark.benchmark

BATCH = 32
TARGET, SLACK = 0.90, 0.10
HEADER = ("ResNet-18, inference", "size", "affectkit images/s", "bare images/s", "ratio")


def compare(folder: Path, tmp_path: Path, *, size: int, images: int, repetitions: int):
    """Images a second from the listing of ``folder`` to rows, of the bare model, and their ratio."""
    classes = tuple("abcdefgh")
    bare = Bare("resnet18", size=size, batch=BATCH, classes=len(classes))
    spec = InputSpec("classification", size, size, classes=classes)
    checkpoint = tmp_path / "model.safetensors"
    save_checkpoint(checkpoint, bare.model, Header("resnet18", {}, spec))
    values = {"paths": (str(folder),), "checkpoint": checkpoint, "recursive": True, "batch_size": BATCH}
    settings = resolve(InferSettings, flags=values).settings

    def ours() -> float:
        clock, rows = Clock(), io.StringIO()
        infer(settings, reporter=clock, listed=io.StringIO(), stdout=rows)
        assert clock.items["predicting"] == images == rows.getvalue().count("\n") - 1
        return clock.rate("predicting")

    bare.infer(2)
    return paired(ours, lambda: bare.infer(images // BATCH), repetitions=repetitions)


def test_ferplus_at_64_pixels(tmp_path, capsys):
    data = ferplus(tmp_path / "data", train=2048, valid=1)
    folder = tmp_path / "faces"
    folder.mkdir()
    for line in (data / "train.csv").read_text().splitlines()[1:]:
        name = line.split(",")[0]
        (folder / Path(name).name).symlink_to(data / name)
    found = compare(folder, tmp_path, size=64, images=2048, repetitions=5)
    show(capsys, HEADER, [("FER+ (48x48 PNG)", "64", *found)])
    assert found[2] >= TARGET - SLACK


def test_jpegs_at_224_pixels(tmp_path, capsys):
    folder = photographs(tmp_path / "data", count=256)
    found = compare(folder, tmp_path, size=224, images=256, repetitions=3)
    show(capsys, HEADER, [("480x360 JPEG", "224", *found)])
    assert found[2] >= TARGET - SLACK
