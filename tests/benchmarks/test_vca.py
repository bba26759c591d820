"""VCA on ViT-B/32 with random weights: training beside the published way, inference beside the bare CLIP forward.

The published way takes most of an hour: so many of its epochs are timed as AFFECTKIT_PUBLISHED_EPOCHS says (2), and
the time of 50 is told from them. Its epochs do the same work each.
"""

from __future__ import annotations

import csv
import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.measuring import Clock, paired, photographs, show
from PIL import Image, ImageFilter
from support import vca_settings
from torch import nn

from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.inference.infer import infer
from affectkit.models import clip
from affectkit.settings.inference import InferSettings
from affectkit.training import run

pytestmark = pytest.mark.benchmark

IMAGES, EPOCHS, VIEWS = 500, 50, 8
COLD, WARM = 5.0, 40.0
TARGET, SLACK = 0.90, 0.05


def make_data(root: Path) -> Path:
    """Photographs with drawn ratings; every tenth is for validation."""
    photographs(root / "images", count=IMAGES)
    rng = np.random.default_rng(0)
    rows = []
    for path in sorted((root / "images").rglob("*.jpg")):
        name = path.relative_to(root / "images")
        rows.append([name.as_posix(), *rng.uniform(1, 9, 2).round(2), name.parts[0]])
    with (root / "ratings.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["filename", "valence", "arousal", "split"], *rows])
    return root


def settings(data: Path, output: Path):
    return vca_settings(
        data, output, clip="ViT-B-32", views=VIEWS, batch_size=128, epochs=EPOCHS, lr=1e-3, workers=None
    )


class PublishedHead(nn.Module):
    """The head as one writes it with torch's own layers, on sequences of one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        joined = width + 512

        def layers(size: int, heads: int, depth: int) -> nn.Module:
            layer = nn.TransformerEncoderLayer(size, heads, dim_feedforward=512, batch_first=True)
            return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)

        def branch() -> nn.Module:
            return nn.Sequential(layers(width, 1, 1), nn.Linear(width, 256), nn.ReLU(), nn.Dropout(0.1))

        self.la, self.ba, self.bl = layers(width, 4, 2), branch(), branch()
        self.ce = nn.Sequential(layers(joined, 2, 2), nn.Linear(joined, joined), nn.ReLU(), nn.Dropout(0.5))
        self.last = nn.Linear(joined, 2)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        la = self.la(features[:, None])
        return self.last(self.ce(torch.cat([la, self.ba(la), self.bl(la)], 2)))[:, 0]


def published_epochs(data: Path, tower: nn.Module, epochs: int) -> float:
    """Seconds an epoch of decoding, augmenting and passing every image through CLIP, then the head, each time."""
    rows = list(csv.DictReader((data / "ratings.csv").open()))
    rng = np.random.default_rng(0)

    def load(row: dict[str, str], *, augment: bool) -> torch.Tensor:
        image = Image.open(data / "images" / row["filename"]).convert("RGB").resize((224, 224), Image.BILINEAR)
        if augment and rng.random() < 0.5:
            image = image.rotate(rng.uniform(-20, 20))
        if augment and rng.random() < 0.2:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.1, 2.0)))
        if augment and rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255

    def batches(chosen: list[dict[str, str]], *, augment: bool):
        for begin in range(0, len(chosen), 128):
            part = chosen[begin : begin + 128]
            target = torch.tensor([[float(row["arousal"]), float(row["valence"])] for row in part])
            with torch.no_grad():
                features = tower(torch.stack([load(row, augment=augment) for row in part])).float()
            yield features, target

    head = PublishedHead(512)
    optimizer = torch.optim.SGD(head.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
    train, valid = ([row for row in rows if row["split"] == name] for name in ("train", "valid"))
    began = time.perf_counter()
    for _ in range(epochs):
        head.train()
        for features, target in batches(train, augment=True):
            optimizer.zero_grad()
            nn.functional.mse_loss(head(features), target).backward()
            optimizer.step()
        head.eval()
        with torch.no_grad():
            for features, target in batches(valid, augment=False):
                float(nn.functional.mse_loss(head(features), target))
    return (time.perf_counter() - began) / epochs


def test_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    data = make_data(tmp_path / "data")
    tower = clip.build_tower(clip.choose_clip("ViT-B-32", "random")).eval()
    timed = int(os.environ.get("AFFECTKIT_PUBLISHED_EPOCHS", "2"))
    before = published_epochs(data, tower, timed)
    seconds = []
    for name in ("cold", "warm"):
        began = time.perf_counter()
        run.train(settings(data, tmp_path / name), reporter=Silent())
        seconds.append(time.perf_counter() - began)
    after = published_epochs(data, tower, 1)
    whole = EPOCHS * (before * timed + after) / (timed + 1)
    rows = [("the published way", whole, 1.0)]
    rows += [
        (f"affectkit, cache {name}", took, whole / took) for name, took in zip(("cold", "warm"), seconds, strict=True)
    ]
    show(capsys, (f"{IMAGES} images, {EPOCHS} epochs, ViT-B/32, {VIEWS} views", "seconds", "times faster"), rows)
    assert (tmp_path / "cold/best.safetensors").read_bytes() == (tmp_path / "warm/best.safetensors").read_bytes()
    assert whole / seconds[0] >= COLD and whole / seconds[1] >= WARM


def test_inference(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AFFECTKIT_CACHE", str(tmp_path / "cache"))
    data = make_data(tmp_path / "data")
    chosen = vca_settings(data, tmp_path / "run", clip="ViT-B-32", views=1, epochs=1, batch_size=128)
    run.train(chosen, reporter=Silent())
    values = {"paths": (str(data / "images"),), "checkpoint": tmp_path / "run", "recursive": True}
    settings = resolve(InferSettings, flags=values).settings
    tower = clip.build_tower(clip.choose_clip("ViT-B-32", "random")).eval()
    images = torch.rand(32, 3, 224, 224)

    def ours() -> float:
        clock = Clock()
        infer(settings, reporter=clock, listed=io.StringIO(), stdout=io.StringIO())
        assert clock.items["predicting"] == IMAGES
        return clock.rate("predicting")

    @torch.inference_mode()
    def bare() -> float:
        began = time.perf_counter()
        for _ in range(8):
            tower(images)
        return 8 * len(images) / (time.perf_counter() - began)

    found = paired(ours, bare, repetitions=3)
    show(
        capsys,
        ("VCA on ViT-B/32, 480x360 JPEG", "affectkit images/s", "bare images/s", "ratio"),
        [("inference", *found)],
    )
    assert found[2] >= TARGET - SLACK
