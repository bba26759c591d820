"""Validation images of Tiny-ImageNet as it is downloaded: one folder of them, and a table that says what each shows.

    train/<wnid>/images/*.JPEG      beside <wnid>_boxes.txt, of which nothing is read
    val/images/*.JPEG               with val/val_annotations.txt
    test/images/*.JPEG              without labels
    wnids.txt  words.txt            the classes; what synsets are called

The table has no header; a line has a file's name, its WordNet id and four edges of a bounding box, between tabs.
Classes keep their WordNet ids as names: what synsets are called is long and not unique, and Tiny-ImageNet-C's folders
bear the ids too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from affectkit.core.folders import is_hidden
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import count_text, list_some
from affectkit.data.media.images import is_image_name
from affectkit.data.split import Split
from affectkit.errors import DataError

TABLE = "val_annotations.txt"
IMAGES = "images"
WNIDS = "wnids.txt"
BOXES = "_boxes.txt"
"""How the name of a table beside training images ends."""
COLUMNS = 6


def is_annotated(folder: Path) -> bool:
    """Return whether ``folder`` holds images in one folder and the table of them, not yet sorted into class folders."""
    return (folder / TABLE).is_file() and (folder / IMAGES).is_dir() and bool(_images(folder / IMAGES))


def is_tiny_imagenet(root: Path) -> bool:
    """Return whether ``root`` holds Tiny-ImageNet, by its folders: training images in ``images`` folders below the ids
    of its list, or validation images beside their table, which is gone where they have been sorted into class folders.
    """
    if is_annotated(root / "val"):
        return True
    listed = listed_classes(root)
    return bool(listed) and all((root / "train" / name / IMAGES).is_dir() for name in listed)


def listed_classes(root: Path) -> tuple[str, ...]:
    """Return the WordNet ids in ``root``/wnids.txt, sorted; empty where there is no such file."""
    path = root / WNIDS
    return tuple(sorted({line.strip() for line in _lines(path)} - {""})) if path.is_file() else ()


def read_annotated(name: str, root: Path, folder: Path, classes: Sequence[str] = ()) -> Split:
    """Return the images in ``folder``/images with the labels that ``folder``/val_annotations.txt gives them, sorted by
    name.

    Args:
        name: of the split.
        root: what its ids are relative to; ``folder`` lies in it.
        classes: WordNet ids in their order; empty: those of ``root``/wnids.txt, else those in the table, sorted.

    Raises:
        DataError: the table is not UTF-8, or has errors, which are reported together: a line without six columns or
            whose last four are no numbers, a name with a folder in it, a name that no file has, a name given twice, a
            WordNet id that is no class, an image that has no line.
    """
    table, images = folder / TABLE, _images(folder / IMAGES)
    there = set(images)
    rows = [(number, line.split("\t")) for number, line in enumerate(_lines(table), 1) if line.strip()]
    classes = tuple(classes) or listed_classes(root) or tuple(sorted({row[1] for _, row in rows if len(row) > 1}))
    position = {label: index for index, label in enumerate(classes)}
    errors = TableErrors(table)
    labels: dict[str, int] = {}
    named: dict[str, int] = {}
    for number, row in rows:
        if fault := _torn(row):
            errors.add(fault, number, repr("\t".join(row))[:60])
            continue
        file, label = row[:2]
        if file != os.path.basename(file) or "\\" in file or file in ("", ".", ".."):
            errors.add("a name must be that of a file in images/, without a folder", number, repr(file)[:60])
            continue
        if named.setdefault(file, number) != number:
            errors.add("a file is named twice", number, f"{file!r} as in line {named[file]}")
        if file not in there:
            errors.add("no such image in images/", number, repr(file)[:60])
        if label not in position:
            errors.add("a WordNet id that is no class", number, repr(label)[:60])
        labels[file] = position.get(label, 0)
    without = [image for image in images if image not in named]
    _refuse(errors, without, folder, len(classes))
    prefix = folder.relative_to(root).as_posix()
    numbers = np.array([labels[image] for image in images], dtype=np.int64)
    return Split(name, root, [f"{prefix}/{IMAGES}/{image}" for image in images], classes, labels=numbers)


def _refuse(errors: TableErrors, without: list[str], folder: Path, classes: int) -> None:
    """Raise a DataError with everything that is wrong, if anything is."""
    count = sum(map(len, errors.found.values()))
    if not count and not without:
        return
    kinds = [f"{kind}: {len(at):,} in line{'s' * (len(at) > 1)} {list_some(at)}" for kind, at in errors.found.items()]
    if without:
        kinds.append(f"{count_text(len(without), 'image')} without a line: {list_some(without)}")
    raise DataError(
        f"{errors.path} and the images in {folder / IMAGES} do not agree ({classes:,} classes):\n  - "
        + "\n  - ".join(kinds),
        f"Unpack the dataset again, or sort the images into class folders in {folder}.",
    )


def _torn(row: Sequence[str]) -> str:
    """Describe what is wrong with the form of a line; empty where it is right."""
    if len(row) != COLUMNS:
        return f"a line must have {COLUMNS} columns between tabs"
    if not all(cell.strip().isascii() and cell.strip().isdigit() for cell in row[2:]):
        return "the last four columns must be whole numbers"
    return ""


def _images(folder: Path) -> list[str]:
    """Return names of the images in ``folder``, sorted."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if is_image_name(entry.name) and not is_hidden(entry.name))
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror or error}.") from error


def _lines(path: Path) -> list[str]:
    try:
        return [line.removesuffix("\r") for line in path.read_text(encoding="utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start:,}).", "Unpack the dataset again.") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
