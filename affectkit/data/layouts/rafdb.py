"""RAF-DB, its basic and its compound part, as they are distributed.

    basic/EmoLabel/list_patition_label.txt          train_00001.jpg 5
    basic/Image/aligned/train_00001_aligned.jpg     faces, aligned, 100 x 100
    basic/Image/original/train_00001.jpg            whole pictures
    compound/...                                    the same

The file's name is misspelt by its authors; copies that spell it right are read too. What a file is called says whether
it is for training or for testing. A re-packed copy has class folders by number, ``DATASET/train/1``, instead.

Li, Deng and Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the Wild",
CVPR 2017. The structure and the numbers of the labels agree in readers that are independent of one another: of the
basic part rafdb.py in yaoing/DAN and LPL/Utils.py in HCPLab-SYSU/CD-FER-Benchmark; of the compound part three readers
on GitHub that list the eleven names in this order; of the re-packed copy several that name its folders.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from affectkit.core.folders import is_folder, visible_names
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import list_some
from affectkit.data.layouts.class_folders import read_class_folders
from affectkit.data.layouts.left_out import LeftOut
from affectkit.data.media.images import is_image_name
from affectkit.data.split import Split
from affectkit.errors import DataError

BASIC = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""Names of the labels 1 to 7."""
COMPOUND = (
    "happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised", "sadly disgusted",
    "fearfully angry", "fearfully surprised", "angrily surprised", "angrily disgusted", "disgustedly surprised",
)  # fmt: skip
"""Names of the labels 1 to 11."""
LABELS = "EmoLabel"
LABEL_FILES = ("list_patition_label.txt", "list_partition_label.txt")
ALIGNED, ORIGINAL = "Image/aligned", "Image/original"
PARTS = ("basic", "compound")
NO_IMAGE = "image not there"
NO_LABEL = "image without a label"
_NAME = re.compile(r"(train|test)_\d+\.(jpg|jpeg|png)", re.IGNORECASE)
_IMAGE = re.compile(r"(train|test)_\d+(_aligned)?\.(jpg|jpeg|png)", re.IGNORECASE)


def is_rafdb(root: Path) -> bool:
    """Return whether ``root`` is one part of RAF-DB: it has the label file, or images where RAF-DB has them."""
    return label_file(root) is not None or any(_has_images(root / place) for place in (ALIGNED, ORIGINAL))


def is_repacked(root: Path) -> bool:
    """Return whether ``root`` holds ``train`` with class folders called 1 to 7 and images called as RAF-DB's."""
    train = root / "train"
    if not train.is_dir():
        return False
    names = visible_names(train, is_folder)
    numbers = {str(number) for number in range(1, len(BASIC) + 1)}
    return bool(names) and set(names) <= numbers and all(_has_images(train / name) for name in names)


def label_file(root: Path) -> Path | None:
    """Return the label file of the part in ``root``."""
    return next((path for name in LABEL_FILES if (path := root / LABELS / name).is_file()), None)


def read_rafdb(root: Path) -> tuple[str, dict[str, Split], list[str]]:
    """Return what is in ``root``, a part of RAF-DB: "RAF-DB basic" or "RAF-DB compound", its splits, and notes.

    Aligned faces are read where they are there, else whole pictures. It is the compound part where a label is above 7
    or the folder is called so.

    Raises:
        DataError: labels or images are missing, lines are malformed (listed), or labels belong to the other part than
            the folder's name says.
    """
    path = label_file(root)
    if path is None:
        raise DataError(
            f"{root} has the images of RAF-DB, and {root / LABELS / LABEL_FILES[0]}, which says what they show, is not "
            "there.",
            "Unpack EmoLabel of the same part beside Image.",
        )
    place = next((name for name in (ALIGNED, ORIGINAL) if _has_images(root / name)), None)
    if place is None:
        raise DataError(
            f"{path} is there, and of its images neither {ALIGNED} nor {ORIGINAL} is.",
            "Was everything downloaded and unpacked? Aligned faces are in aligned.zip.",
        )
    name = root.resolve().name.lower()
    labels = _read_labels(path, compound="compound" in name)
    if labels.compound and "basic" in name and "compound" not in name:
        raise DataError(
            f"{path} has labels above {len(BASIC)}, which are those of the compound part, and lies in a folder called "
            f"{root.resolve().name}.",
            "Unpack the dataset again; or rename the folder, if it holds the compound part.",
        )
    part = "compound" if labels.compound else "basic"
    left_out = LeftOut()
    splits = _splits(root, place, labels, left_out)
    notes = left_out.notes()
    if place == ORIGINAL:
        notes.append(f"{ALIGNED} is not there: whole pictures are read, in which faces are not cut out")
    return f"RAF-DB {part}", splits, notes


def read_repacked(root: Path) -> tuple[dict[str, Split], list[str]]:
    """Return the splits of class folders that are called by RAF-DB's numbers, with the names of its classes.

    Raises:
        DataError: see ``class_folders.read_class_folders``.
    """
    folders = {name: root / name for name in ("train", "test") if (root / name).is_dir()}
    splits, notes = read_class_folders(root, folders)
    for name, split in splits.items():
        named = tuple(BASIC[int(number) - 1] for number in split.classes)
        splits[name] = replace(split, classes=named).matched(BASIC)
    return splits, [*notes, "class folders 1 to 7 are read as RAF-DB's: 1 is surprise, 7 neutral"]


class _Labels:
    """Labels by file name, from 0, in the order of the file."""

    def __init__(self, found: Mapping[str, int], *, compound: bool) -> None:
        self.found, self.compound = found, compound
        self.classes = COMPOUND if compound else BASIC


def _read_labels(path: Path, *, compound: bool) -> _Labels:
    errors, found, lines = TableErrors(path), {}, {}
    rule = f"lines must be train_NNNNN.jpg or test_NNNN.jpg and a number from 1 to {len(COMPOUND)}"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}.", "Unpack the dataset again.") from error
    for line, row in enumerate(text.splitlines(), 1):
        cells = row.split()
        if not cells:
            continue
        number = int(cells[1]) if len(cells) == 2 and re.fullmatch(r"\d{1,2}", cells[1]) else 0
        if not _NAME.fullmatch(cells[0]) or not 1 <= number <= len(COMPOUND):
            errors.add(rule, line, repr(row.strip()[:60]))
        elif lines.setdefault(cells[0], line) != line:
            errors.add("a file is named twice", line, f"{cells[0]!r} as in line {lines[cells[0]]}")
        else:
            found[cells[0]] = number - 1
    errors.check("Unpack the dataset again.")
    if not found:
        raise DataError(f"{path} names no image.", "Unpack the dataset again.")
    return _Labels(found, compound=compound or max(found.values()) >= len(BASIC))


def _splits(root: Path, place: str, labels: _Labels, left_out: LeftOut) -> dict[str, Split]:
    there = set(_images(root / place))
    rows: dict[str, list[tuple[str, int]]] = {}
    used: set[str] = set()
    for name, label in labels.found.items():
        split = name.split("_")[0].lower()
        stem, ending = os.path.splitext(name)
        image = f"{stem}_aligned{ending}" if place == ALIGNED else name
        rows.setdefault(split, [])
        if image in there:
            rows[split].append((f"{place}/{image}", label))
            used.add(image)
        else:
            left_out.add(split, NO_IMAGE, image)
    for image in sorted(there - used):
        left_out.add(image.split("_")[0].lower() if _IMAGE.fullmatch(image) else "all", NO_LABEL, image)
    empty = [split for split, found in rows.items() if not found]
    if empty:
        raise DataError(
            f"none of the images of the {list_some(empty)} split that {LABELS} names is in {root / place}.",
            "Was everything downloaded and unpacked?",
        )
    return {
        split: Split(
            split, root, [name for name, _ in rows[split]], labels.classes,
            labels=np.array([label for _, label in rows[split]], dtype=np.int64),
        )
        for split in ("train", "test") if split in rows
    }  # fmt: skip


def _images(folder: Path) -> Sequence[str]:
    return visible_names(folder, lambda entry: is_image_name(entry.name))


def _has_images(folder: Path) -> bool:
    """Return whether ``folder`` holds an image that is called as RAF-DB's."""
    try:
        with os.scandir(folder) as entries:
            return any(_IMAGE.fullmatch(entry.name) for entry in entries)
    except OSError:
        return False
