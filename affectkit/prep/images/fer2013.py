"""FER-2013 (Goodfellow et al. 2013, arXiv 1307.0414) with the labels of its own table, brought into tables and images.

The table is ``fer2013.csv`` or ``icml_face_data.csv``: ``emotion`` (0 to 6), ``pixels`` (48 x 48 grey values between
blanks) and ``Usage``, in any order and with blanks around the names. Columns, numbers and the three usages are those
of the competition's page on Kaggle ("Challenges in Representation Learning: Facial Expression Recognition Challenge")
and of the many readers of it. A face that another split holds too is common here: see ``--drop-copies``.

The votes of FER+ belong to the same faces and are better labels: see ``ferplus``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from affectkit.core.archives import unpack_or
from affectkit.core.csv_tables import csv_reader
from affectkit.core.files import sha256
from affectkit.core.progress import Reporter, Silent
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import count_text
from affectkit.data.layouts.duplicates import COPY, Copies, find_copies
from affectkit.errors import DataError
from affectkit.prep.images.ferplus_download import LABEL_FILE, PIXEL_FILES, find_pixels
from affectkit.prep.images.ferplus_pixels import PIXEL_COLUMNS, SIDE, USAGES, draw, parse_pixels
from affectkit.prep.images.output_folder import ImageOptions, OutputFolder, PrepReport, with_copies
from affectkit.prep.source_folder import check_source_folder

CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""Names of the labels 0 to 6."""
PUBLISHED = {"train": 28_709, "valid": 3_589, "test": 3_589}
"""Rows of each split (Goodfellow et al. 2013, arXiv 1307.0414)."""
RULE = "every row; its label by number: " + ", ".join(f"{number} {name}" for number, name in enumerate(CLASSES))


@dataclass(frozen=True, eq=False)
class Faces:
    """The rows of the table: splits (N,), labels from 0 (N,), gray levels of each, a byte a pixel (N,)."""

    splits: list[str]
    labels: list[int]
    pixels: list[bytes]


def prepare_fer2013(
    source: Path, output: Path, options: ImageOptions | None = None, *, reporter: Reporter | None = None
) -> PrepReport:
    """Write FER-2013 as train.csv, valid.csv, test.csv (``filename,label``) and images/<split>/row#####.png.

    Images are called by their row in the table, from 0; FER+ numbers them in another way. ``PublicTest`` is the
    validation split and ``PrivateTest`` the test split.

    Args:
        source: folder with fer2013.csv or icml_face_data.csv, or another CSV file with their columns, in it or one
            level down.
        output: folder to write; absent, empty, or left by the same command.
        options: what is made; None: the defaults. Pixels are written, never linked.
        reporter: gets progress and notes.

    Raises:
        UsageError: ``output`` holds something else.
        DataError: there is no such table, or rows are malformed (listed).
    """
    source, output, reporter, options = Path(source), Path(output), reporter or Silent(), options or ImageOptions()
    check_source_folder(source)
    path, note = find_pixels(source, output)
    if path is None:
        raise DataError(
            f"{source} holds neither {' nor '.join(PIXEL_FILES)}, in it or one level down, and no other CSV file with "
            f"the columns {', '.join(PIXEL_COLUMNS)}.",
            unpack_or(source, "Name the folder that holds the file."),
        )
    faces = read_faces(path)
    identity = {"preparation": "fer2013", "target": "label", "pixels": sha256(path)}
    if options.drop_copies:
        identity["drop_copies"] = True
    folder = OutputFolder(output, "prep fer2013", identity, shard=options.shard)
    if (done := folder.begin(reporter)) is not None:
        return folder.report(done)
    rows = {split: np.flatnonzero(np.array(faces.splits) == split) for split in USAGES.values()}
    rows = {split: found for split, found in rows.items() if len(found)}
    copies = find_copies({split: [faces.pixels[row] for row in found] for split, found in rows.items()})
    kept = {
        split: found[~copies[split].any()] if options.drop_copies and split in copies else found
        for split, found in rows.items()
    }
    _write(folder, faces, kept, reporter)
    report = _report(output, faces, rows, kept, copies)
    notes = [note] if note else []
    if any((place / LABEL_FILE).is_file() for place in (source, path.parent)):
        notes.append(f"{LABEL_FILE} is here as well: affectkit prep ferplus makes labels of its ten raters' votes")
    report = with_copies(report, copies, dropped=options.drop_copies)
    report = replace(report, notes=(*report.notes, *notes))
    return folder.end(report, about={"source": str(source.resolve()), "pixel_file": path.name, "rule": RULE})


def read_faces(path: Path) -> Faces:
    """Read the table, once: 36,000 faces take 83 MB.

    Raises:
        DataError: rows are malformed, listed by line.
    """
    faces, errors = Faces([], [], []), TableErrors(path)
    with csv_reader(path) as reader:
        header = reader.header(*PIXEL_COLUMNS)
        emotion, pixels, usage = (header.index(name) for name in PIXEL_COLUMNS)
        for row in reader:
            if len(row) != len(header):
                errors.add(f"rows must have {count_text(len(header), 'column')}", reader.line, str(len(row)))
                continue
            label, split, face = row[emotion].strip(), USAGES.get(row[usage].strip()), parse_pixels(row[pixels])
            if label not in map(str, range(len(CLASSES))):
                errors.add(
                    f"emotion must be a whole number from 0 to {len(CLASSES) - 1}", reader.line, repr(label[:20])
                )
            elif split is None:
                errors.add(f"Usage must be one of {', '.join(USAGES)}", reader.line, repr(row[usage][:20]))
            elif face is None:
                errors.add(f"pixels must be {SIDE * SIDE} values from 0 to 255 between blanks", reader.line)
            else:
                faces.splits.append(split)
                faces.labels.append(int(label))
                faces.pixels.append(face)
    errors.check("Download the file again.")
    if not faces.labels:
        raise DataError(f"{path} has a header and no rows.", "Download the file again.")
    return faces


def _write(folder: OutputFolder, faces: Faces, kept: dict[str, np.ndarray], reporter: Reporter) -> None:
    """Write the images of all splits, then the tables; of a shard, its share."""
    names = {split: {int(row): f"images/{split}/row{row:05d}.png" for row in rows} for split, rows in kept.items()}
    own = {}
    for split, files in names.items():
        rows = list(files)
        own[split] = [rows[index] for index in folder.share(split, list(files.values()))]
    for split, rows in own.items():
        items = ((names[split][row], draw(faces.pixels[row])) for row in rows)
        folder.place_all(split, items, len(rows), reporter)
    for split, rows in own.items():
        table = [[names[split][row], CLASSES[faces.labels[row]]] for row in rows]
        folder.table(split, ["filename", "label"], table)


def _report(
    output: Path, faces: Faces, rows: dict[str, np.ndarray], kept: dict[str, np.ndarray], copies: dict[str, Copies]
) -> PrepReport:
    counts = {split: Counter(faces.labels[row] for row in found) for split, found in kept.items()}
    return PrepReport(
        preparation="fer2013",
        output=output,
        target="label",
        kept={split: {name: found[number] for number, name in enumerate(CLASSES)} for split, found in counts.items()},
        by_rule={split: len(found) for split, found in rows.items()},
        dropped={split: {COPY: gone} for split, found in rows.items() if (gone := len(found) - len(kept[split]))},
        images=sum(map(len, kept.values())),
        notes=tuple(_notes({split: len(found) for split, found in rows.items()})),
    )


def _notes(counts: Mapping[str, int]) -> list[str]:
    """Return notes on splits without a row, and on those that are not as large as published: is the file whole?"""
    found = [f"no {split} row is there: no {split}.csv" for split in PUBLISHED if split not in counts]
    return found + [
        f"{split}: {count_text(counts[split], 'row')}, and FER-2013 has {number:,}: is the table whole?"
        for split, number in PUBLISHED.items()
        if split in counts and counts[split] != number
    ]
