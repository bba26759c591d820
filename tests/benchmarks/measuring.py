"""What the benchmarks share: data, a clock that listens to a run, the same model without affectkit, tables."""

from __future__ import annotations

import csv
import io
import os
import shutil
import statistics
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from affectkit.models.backbones import Backbone

SHARED = Path(__file__).parents[3] / "shared" / "data" / "ferplus"
VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


def ferplus(root: Path, *, train: int, valid: int) -> Path:
    """The first images of FER+ with their votes: from the prepared folder that AFFECTKIT_FERPLUS names, or shared."""
    prepared = os.environ.get("AFFECTKIT_FERPLUS")
    root.mkdir(parents=True)
    if prepared:
        for split, count in (("train", train), ("valid", valid)):
            lines = (Path(prepared) / f"{split}.csv").read_text().splitlines(keepends=True)
            (root / f"{split}.csv").write_text("".join(lines[: count + 1]))
            for line in lines[1 : count + 1]:
                name = root / line.split(",")[0]
                name.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path(prepared) / line.split(",")[0], name)
        return root
    if not (SHARED / "ferplus-train-valid.zip").is_file():
        pytest.skip("no FER+: name a folder of affectkit prep ferplus in AFFECTKIT_FERPLUS")
    with (
        (SHARED / "fer2013new.csv").open(newline="") as stream,
        zipfile.ZipFile(SHARED / "ferplus-train-valid.zip") as archive,
    ):
        rows = list(csv.DictReader(stream))
        for split, usage, count in (("train", "Training", train), ("valid", "PublicTest", valid)):
            chosen = [r for r in rows if r["Usage"] == usage and r["Image name"] and sum(int(r[v]) for v in VOTES)]
            with (root / f"{split}.csv").open("w", newline="") as table:
                writer = csv.writer(table)
                writer.writerow(["filename", *VOTES])
                for row in chosen[:count]:
                    name = archive.extract(f"{split}/images/{row['Image name']}", root)
                    writer.writerow([Path(name).relative_to(root), *(row[vote] for vote in VOTES)])
    return root


def photographs(root: Path, *, count: int, size: tuple[int, int] = (480, 360), seed: int = 0) -> Path:
    """Class folders of JPEGs as heavy to decode as photographs: smooth areas and some noise; a tenth to validate."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        rough = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(size, Image.BICUBIC)
        pixels = np.asarray(rough).astype(np.float32) + rng.normal(0, 6, (size[1], size[0], 1))
        folder = root / ("valid" if number % 10 == 0 else "train") / "ab"[number % 3 % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:05}.jpg", quality=90)
    return root


class Clock:
    """A Reporter that notes how long each stretch of a run took, and how many items it had."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.items: dict[str, int] = {}
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.notes.append(text)

    def start(self, label: str, total: int | None, unit: str = "", *, done: int = 0) -> None:
        self.label, self.began = label, time.perf_counter()
        self.items[label] = 0

    def advance(self, count: int = 1, text: str = "") -> None:
        self.items[self.label] += count

    def finish(self) -> None:
        self.seconds[self.label] = time.perf_counter() - self.began

    def rate(self, label: str) -> float:
        """Items a second of the stretch ``label``."""
        return self.items[label] / self.seconds[label]


class Bare:
    """The model of affectkit, stepping over one batch in memory or passing it, and nothing else."""

    def __init__(self, name: str, *, size: int, batch: int, classes: int) -> None:
        torch.manual_seed(0)
        self.model = Backbone(name, classes, height=size, width=size)
        self.images = torch.randn(batch, 3, size, size)
        self.target = torch.rand(batch, classes).softmax(1)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True)

    def train(self, batches: int) -> float:
        """Images a second."""
        self.model.train()
        began = time.perf_counter()
        for _ in range(batches):
            loss = torch.nn.functional.cross_entropy(self.model(self.images), self.target)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            float(loss.detach())  # as a run that shows its loss must
        return batches * len(self.images) / (time.perf_counter() - began)

    @torch.inference_mode()
    def infer(self, batches: int) -> float:
        """Images a second."""
        self.model.eval()
        began = time.perf_counter()
        for _ in range(batches):
            self.model(self.images)
        return batches * len(self.images) / (time.perf_counter() - began)


def paired(ours: Callable[[], float], bare: Callable[[], float], *, repetitions: int) -> tuple[float, float, float]:
    """Medians of both and of their ratio over repetitions of bare, ours, bare: other load on the machine meets both."""
    rates = []
    for _ in range(repetitions):
        before, own, after = bare(), ours(), bare()
        rates.append((own, (before + after) / 2))
    return (
        statistics.median(own for own, _ in rates),
        statistics.median(other for _, other in rates),
        statistics.median(own / other for own, other in rates),
    )


def show(capsys: pytest.CaptureFixture[str], header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print an aligned table past pytest's capture; numbers to the right."""
    cells = [[f"{value:.2f}" if isinstance(value, float) else str(value) for value in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    out = io.StringIO()
    for row in cells:
        first, *rest = (
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        out.write("  ".join([first, *rest]).rstrip() + "\n")
    with capsys.disabled():
        print("\n" + out.getvalue(), end="")
