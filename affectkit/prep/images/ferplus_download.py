"""The files of FER+ as they are downloaded: the label file, and FER-2013's images as a table or as files."""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from affectkit.core.archives import unpack_or
from affectkit.core.csv_tables import csv_reader
from affectkit.core.files import sha256
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import list_some
from affectkit.errors import DataError
from affectkit.prep.images.ferplus_pixels import PIXEL_COLUMNS, USAGES, check_row_order, order_difference
from affectkit.prep.source_folder import check_source_folder

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
COLUMNS = (*EMOTIONS, "unknown", "NF")
LABEL_FILE = "fer2013new.csv"
PIXEL_FILES = ("fer2013.csv", "icml_face_data.csv")
"""Names under which FER-2013's images are shared as a table, the first of them first where there are several."""

_IMAGE = re.compile(r"fer\d{7}\.png")


@dataclass(frozen=True, eq=False)
class FerplusLabels:
    """Hold the label file: split names (N,), image names (N,; "" where none is given), votes int64 (N, 10)."""

    splits: list[str]
    names: list[str]
    votes: np.ndarray


def read_labels(path: Path) -> FerplusLabels:
    """Read the rows of ``fer2013new.csv``.

    Raises:
        DataError: columns or rows are not those of FER+, listed by line.
    """
    splits, names, votes, errors = [], [], [], TableErrors(path)
    rule = f"rows must be a usage ({', '.join(USAGES)}), fer#######.png or nothing, and {len(COLUMNS)} whole numbers"
    with csv_reader(path) as reader:
        header = reader.header()
        if header != ["Usage", "Image name", *COLUMNS]:
            wanted = ", ".join(("Usage", "Image name", *COLUMNS))
            raise DataError(f"table {path}: columns must be {wanted}; got {', '.join(header) or 'none'}.")
        for row in reader:
            name = row[1].strip() if len(row) > 1 else ""
            if len(row) != len(header) or row[0] not in USAGES or (name and not _IMAGE.fullmatch(name)):
                errors.add(rule, reader.line)
                continue
            try:
                numbers = [int(cell) for cell in row[2:]]
            except ValueError:
                numbers = [-1]
            if min(numbers) < 0:
                errors.add(rule, reader.line)
                continue
            splits.append(USAGES[row[0]])
            names.append(name)
            votes.append(numbers)
    errors.check("Download the file again from the FER+ project.")
    return FerplusLabels(splits, names, np.array(votes, dtype=np.int64).reshape(-1, len(COLUMNS)))


@dataclass(frozen=True, eq=False)
class Download:
    """Hold what a folder has of FER+.

    Attributes:
        label_file: fer2013new.csv.
        labels: its rows.
        pixel_file: the table of FER-2013's pixels; None where there are image files.
        contents: of a table of pixels, what stands for the pixels of each row.
        images: image files by name; empty where there is a table of pixels.
        note: how the table of pixels was chosen; empty where there was no choice.
    """

    label_file: Path
    labels: FerplusLabels
    pixel_file: Path | None
    contents: list[bytes]
    images: dict[str, Path]
    note: str

    def identity(self) -> dict[str, str]:
        """Hash the label file and the images."""
        images = sha256(self.pixel_file) if self.pixel_file else _images_hash(self.images)
        return {"labels": sha256(self.label_file), "images": images}


def find_download(source: Path, output: Path) -> Download:
    """Find labels and images of FER+ in ``source``, or one level down; what lies in ``output`` does not count.

    Raises:
        DataError: one of them is missing, or not FER+'s.
    """
    check_source_folder(source)
    label_file = _find(source, LABEL_FILE, output)
    if label_file is None:
        raise DataError(
            f"{LABEL_FILE} is not in {source}, nor one level down.",
            unpack_or(source, "It is part of the FER+ project."),
        )
    labels = read_labels(label_file)
    pixel_file, note = find_pixels(source, output, labels.splits)
    images = {} if pixel_file else _find_images(source, output)
    if pixel_file is None and not images:
        raise DataError(
            f"{source} holds neither {' nor '.join(PIXEL_FILES)}, no other CSV file with the columns "
            f"{', '.join(PIXEL_COLUMNS)}, and no fer#######.png files.",
            unpack_or(source, "Put one of the two files of FER-2013 there, or its images."),
        )
    contents = check_row_order(pixel_file, labels.splits) if pixel_file else []
    return Download(label_file, labels, pixel_file, contents, images, note)


def find_pixels(source: Path, output: Path, splits: Sequence[str] | None = None) -> tuple[Path | None, str]:
    """Find the table of FER-2013's pixels in ``source`` or one level down, and note where it was chosen or guessed.

    Args:
        source: a folder.
        output: a folder in which nothing is searched for.
        splits: of the rows of a label file; how a table that is not read differs from these is noted.

    Raises:
        DataError: there are several, none of which is called as usual.
    """
    named = [path for path in (_find(source, name, output) for name in PIXEL_FILES) if path]
    if named:
        others = [
            f"{path.name}{f', and {why}' if splits and (why := order_difference(path, splits)) else ''}"
            for path in named[1:]
        ]
        return named[0], f"{named[0].name} was read, not {'; '.join(others)}" if others else ""
    places = [
        path for path in sorted([*source.glob("*.csv"), *source.glob("*/*.csv")]) if not _same(path.parent, output)
    ]
    found = [path for path in places if path.name != LABEL_FILE and set(PIXEL_COLUMNS) <= set(_header(path))]
    if len(found) > 1:
        raise DataError(
            f"several files in {source} have the columns {', '.join(PIXEL_COLUMNS)}: {list_some(found)}.",
            f"Name the right one {PIXEL_FILES[0]}.",
        )
    return (found[0], f"{found[0].name} has FER-2013's columns and was read") if found else (None, "")


def _header(path: Path) -> list[str]:
    """Read the column names of a CSV file without blanks around them; none where it cannot be read as one."""
    with contextlib.suppress(DataError), csv_reader(path) as reader:  # some other file, which is not asked for
        return reader.header()
    return []


def _find(source: Path, name: str, output: Path) -> Path | None:
    """Find ``name`` in ``source``, or in one of its folders (not the output)."""
    if (source / name).is_file():
        return source / name
    below = [path for path in sorted(source.glob(f"*/{name}")) if path.is_file() and not _same(path.parent, output)]
    if len(below) > 1:
        raise DataError(
            f"several {name} below {source}: {list_some(below)}.", "Name the folder that holds the right one."
        )
    return below[0] if below else None


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _find_images(source: Path, output: Path) -> dict[str, Path]:
    """Find images by name, in any folder below ``source`` (not the output); copies of one image must be equal."""
    found: dict[str, Path] = {}
    differ = []
    for folder, folders, files in os.walk(source):
        place = Path(folder)
        folders[:] = sorted(name for name in folders if name[0] != "." and not _same(place / name, output))
        for name in sorted(files):
            if not _IMAGE.fullmatch(name):
                continue
            first = found.setdefault(name, place / name)
            if first != place / name and not filecmp.cmp(first, place / name, shallow=False):
                differ.append(f"{first} and {place / name}")
    if differ:
        raise DataError(
            f"images of the same name differ: {list_some(differ)}.", "Name the folder that holds the right ones."
        )
    return found


def _images_hash(images: dict[str, Path]) -> str:
    """Hash names and sizes: what was prepared from fewer images is not taken for finished later on."""
    digest = hashlib.sha256()
    for name in sorted(images):
        digest.update(f"{name} {images[name].stat().st_size}\n".encode())
    return digest.hexdigest()
