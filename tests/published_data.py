"""Folders in the structure in which published datasets are distributed, with schematic contents or empty files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


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
