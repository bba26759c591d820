"""AffectNetFused as downloaded: images beside small text files of 13 probabilities, read once and cached.

    train_set/images/17.jpg     train_set/annotations/17_prob_rank.txt      (val_set the same)

Other annotation files stand beside and are ignored. Reading 308,468 small files takes minutes on a cold disk, so the
values are kept in affectkit's cache folder: see ``annotation_files``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from affectkit.core.progress import Reporter, Silent
from affectkit.data.layouts.annotation_files import Kind, images_by_stem, read_annotation_files
from affectkit.data.layouts.tables import EXACT_TOLERANCE
from affectkit.data.split import Split
from affectkit.errors import DataError

CLASSES = (
    "neutral", "happy", "sad", "surprised", "fear", "disgust", "angry", "contempt",
    "serene", "contemplative", "secure", "untroubled", "quiet",
)  # fmt: skip
FOLDERS = {"train": "train_set", "valid": "val_set"}
SUFFIX = "_prob_rank.txt"
SUM_TOLERANCE = 1e-2
"""Rows whose sum differs more from 1 are taken for damaged; within it they are normalised."""


def is_affectnet_fused(root: Path) -> bool:
    """Return whether ``root`` looks like AffectNetFused: one of its two folders has ``images`` and ``annotations``."""
    return any(
        (root / name / "images").is_dir() and (root / name / "annotations").is_dir() for name in FOLDERS.values()
    )


def read_affectnet(
    root: Path, *, reporter: Reporter | None = None
) -> tuple[dict[str, Split], dict[str, dict[str, int]]]:
    """Return the splits of AffectNetFused, with distributions and without labels.

    Returns:
        the splits that are there; and for each of them how many files have no counterpart, by reason.

    Raises:
        DataError: annotation files that are malformed (listed), or a split without a single annotated image.
    """
    reporter = reporter or Silent()
    splits, left_out = {}, {}
    for name, folder in FOLDERS.items():
        if (root / folder).is_dir():
            splits[name], left_out[name] = _read_split(name, root, folder, reporter)
    return splits, left_out


def describe_left_out(left_out: dict[str, dict[str, int]]) -> list[str]:
    """Describe what ``read_affectnet`` left out, in lines for a user."""
    notes = [f"{folder} is not there: no {name} split" for name, folder in FOLDERS.items() if name not in left_out]
    for name, reasons in left_out.items():
        notes += [f"{FOLDERS[name]}: {number:,} left out ({reason})" for reason, number in reasons.items()]
    return notes


def _read_split(name: str, root: Path, folder: str, reporter: Reporter) -> tuple[Split, dict[str, int]]:
    annotations, images = root / folder / "annotations", root / folder / "images"
    for needed in (annotations, images):
        if not needed.is_dir():
            raise DataError(f"{needed} is not there; AffectNetFused has images and annotations in each folder.")
    stems, values = read_annotations(annotations, reporter=reporter)
    by_stem = images_by_stem(images)
    rows = [row for row, stem in enumerate(stems) if stem in by_stem]
    if not rows:
        raise DataError(f"{root / folder}: no image has an annotation of its number (NNN.jpg and NNN{SUFFIX}).")
    left_out = {
        "image without annotation": len(by_stem) - len(rows),
        "annotation without image": len(stems) - len(rows),
    }
    ids = [f"{folder}/images/{by_stem[stems[row]]}" for row in rows]
    split = Split(name, root, ids, CLASSES, distribution=_shares(values[rows]))
    return split, {reason: number for reason, number in left_out.items() if number}


def _shares(values: np.ndarray) -> np.ndarray:
    sums = values.sum(axis=1, keepdims=True)
    return (values / np.where(np.abs(sums - 1) <= EXACT_TOLERANCE, 1.0, sums)).astype(np.float32)


def read_annotations(folder: Path, *, reporter: Reporter | None = None) -> tuple[list[str], np.ndarray]:
    """Return numbers of the images (sorted as text) and their probabilities as written, float64 (N, 13).

    See ``annotation_files.read_annotation_files``.

    Raises:
        DataError: files that do not hold 13 probabilities with a sum of 1, listed.
    """
    return read_annotation_files(folder, KIND, reporter=reporter)


def _numbers(text: bytes) -> tuple[Sequence[float], str]:
    """Return the probabilities in a file, and what is wrong with them."""
    try:
        numbers = [float(cell) for cell in text.split(b",")]
    except ValueError:
        return (), "not numbers"
    total = sum(numbers)
    if len(numbers) != len(CLASSES):
        return (), f"{len(numbers)} values"
    if not min(numbers) >= 0:
        return (), "a value below 0 or NaN"
    if not abs(total - 1) <= SUM_TOLERANCE:
        return (), f"sum {total:g}"
    return numbers, ""


KIND = Kind(SUFFIX, len(CLASSES), _numbers, f"{len(CLASSES)} probabilities that sum to 1", "affectkit-affectnet-1")
