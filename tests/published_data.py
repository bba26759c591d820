"""Folders in the structure in which published datasets are distributed, with schematic contents or empty files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np


def touch(root: Path, *names: str) -> None:
    """Make empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def rafdb(root: Path, *, train: Iterable[int], test: Iterable[int] = (), place: str = "Image/aligned") -> Path:
    """Make a part of RAF-DB; the labels are numbers as in its label file."""
    lines = []
    for split, digits, labels in (("train", 5, train), ("test", 4, test)):
        for number, label in enumerate(labels, 1):
            stem = f"{split}_{number:0{digits}d}"
            lines.append(f"{stem}.jpg {label}")
            touch(root, f"{place}/{stem}{'_aligned' if place.endswith('aligned') else ''}.jpg")
    (root / "EmoLabel").mkdir()
    (root / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) + "\n")
    return root


def fer2013(
    root: Path, labels: dict[str, Iterable[int]], *, name: str = "fer2013.csv", blank: str = "", seed: int = 0
) -> Path:
    """Make FER-2013's table: labels by usage ("Training", ...); ``blank`` before the names of later columns."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    order = ("emotion", "pixels", "Usage") if not blank else ("emotion", "Usage", "pixels")
    lines = [",".join([order[0], *(blank + column for column in order[1:])])]
    for usage, numbers in labels.items():
        for number in numbers:
            pixels = " ".join(map(str, rng.integers(0, 256, 48 * 48)))
            cells = {"emotion": str(number), "pixels": pixels, "Usage": usage}
            lines.append(",".join(cells[column] for column in order))
    (root / name).write_text("\n".join(lines) + "\n")
    return root
