"""AffectNet in its first release, whole pictures and tables, brought into tables and cut faces.

    Manually_Annotated_file_lists/training.csv  validation.csv
    Manually_Annotated_Images/689/737db2....jpg     the folder may lie in Manually_Annotated, or be that

Columns: ``subDirectory_filePath, face_x, face_y, face_width, face_height, facial_landmarks, expression, valence,
arousal``; ``validation.csv`` is shared with and without this header. Structure and columns agree in readers that are
independent of one another, among them CategoricalBaseLine in kiva12138/AffectNetBaseline and gdl/datasets in
radekd91/emoca. Numbers of expressions and values of ratings are those of
``data.layouts.affectnet``. The automatically annotated images are not read.

Faces are cut at their boxes, in the pixels of the file. What papers leave out is left out: expressions 8 to 10, and for
ratings images without them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from affectkit.core.archives import unpack_or
from affectkit.core.contained_paths import name_fault
from affectkit.core.csv_tables import csv_reader
from affectkit.core.files import sha256
from affectkit.core.progress import Reporter, Silent
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import list_some
from affectkit.data.layouts.affectnet import CLASSES, NO_EMOTION, OTHERS, ratings_fault
from affectkit.data.layouts.duplicates import COPY, find_copies
from affectkit.data.layouts.left_out import LeftOut
from affectkit.errors import DataError, UsageError
from affectkit.prep.images.crops import Box, clip_box, cut, cut_hashes, picture_sizes
from affectkit.prep.images.output_folder import ImageOptions, OutputFolder, PrepReport, with_copies
from affectkit.prep.source_folder import check_source_folder

COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression",
    "valence", "arousal",
)  # fmt: skip
LISTS = {"train": "training.csv", "valid": "validation.csv"}
LIST_FOLDERS = ("Manually_Annotated_file_lists", "Manually_Annotated/Manually_Annotated_file_lists", "")
IMAGE_FOLDERS = (
    "Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated_Images", "Manually_Annotated", "",
)  # fmt: skip
TARGETS = ("label", "ratings")
CROPS = ("face", "none")
MISSING = "image file not there"
NO_PICTURE = "image file cannot be decoded"
NO_BOX = "face box not in the picture"
REPEATED = "repeats the image of an earlier row"


@dataclass(frozen=True, kw_only=True)
class AffectnetOptions(ImageOptions):
    """Choose what is made of AffectNet's first release.

    Attributes:
        target: "label", one of eight expressions; or "ratings", valence and arousal.
        crop: "face", cut at their boxes; or "none", whole pictures.
    """

    target: str = "label"
    crop: str = "face"


@dataclass
class Row:
    """A row of a list: where its image is and goes, and what stands beside; ``box`` None for the whole picture."""

    name: str
    path: Path
    expression: int
    valence: float
    arousal: float
    box: Box | tuple[float, ...] | None

    def place(self, split: str) -> str:
        """Return where the image goes, relative to the output."""
        name = PurePosixPath(self.name)
        stem = "_".join((*name.parts[:-1], name.stem))
        return f"images/{split}/{stem}{name.suffix.lower() if self.box is None else '.jpg'}"


def prepare_affectnet(
    source: Path, output: Path, options: AffectnetOptions | None = None, *, reporter: Reporter | None = None
) -> PrepReport:
    """Write AffectNet's first release as train.csv and valid.csv, and images/<split>/<folder>_<name>.jpg.

    The tables hold ``filename`` with ``label``, or with ``valence`` and ``arousal``.

    Args:
        source: folder with the lists and the images.
        output: folder to write; absent, empty, or left by the same command.
        options: what is made; None: the defaults. Cut faces are written, never linked.
        reporter: gets progress and notes.

    Raises:
        UsageError: the options are wrong, or ``output`` holds something else.
        DataError: lists or images are missing, or rows are malformed (listed).
    """
    source, output, reporter = Path(source), Path(output), reporter or Silent()
    options = options or AffectnetOptions()
    for name, value, allowed in (("target", options.target, TARGETS), ("crop", options.crop, CROPS)):
        if value not in allowed:
            raise UsageError(f"{name} must be one of {', '.join(allowed)}, got {value!r}.")
    lists, images = find_release(source)
    identity: dict[str, Any] = {"preparation": "affectnet", "target": options.target, "crop": options.crop}
    identity |= {name: sha256(path) for name, path in lists.items()}
    if options.drop_copies:
        identity["drop_copies"] = True
    folder = OutputFolder(output, "prep affectnet", identity, link=options.link, shard=options.shard)
    if (done := folder.begin(reporter)) is not None:
        return folder.report(done)
    left_out = LeftOut()
    kept: dict[str, list[Row]] = {}
    for split, path in lists.items():
        rows = [row for row in read_list(path, images) if not _left_out(row, split, options, left_out)]
        kept[split] = _with_pictures(rows, split, left_out, reporter)
    if not any(kept.values()):
        raise DataError(
            f"no image of {list_some(list(lists.values()))} is in {images}.",
            "Name the folder that holds lists and images.",
        )
    by_rule = {split: len(rows) for split, rows in kept.items()}
    cuts = {split: [(row.path, row.box) for row in rows] for split, rows in kept.items()}
    copies = find_copies(cut_hashes(cuts, reporter=reporter))
    for split, found in copies.items() if options.drop_copies else ():
        for row, copy in zip(kept[split], found.any(), strict=True):
            if copy:
                left_out.add(split, COPY, row.name)
        kept[split] = [row for row, copy in zip(kept[split], found.any(), strict=True) if not copy]
    kept = {split: rows for split, rows in kept.items() if rows}
    _write(folder, kept, options.target, reporter)
    report = PrepReport(
        preparation="affectnet",
        output=output,
        target=options.target,
        kept={split: _counts(rows) for split, rows in kept.items()},
        by_rule=by_rule,
        dropped=left_out.counts(),
        images=sum(map(len, kept.values())),
        notes=(*(f"{name} is not there: no {split}.csv" for split, name in LISTS.items() if split not in lists),
               *left_out.notes()),
    )  # fmt: skip
    about = {"source": str(source.resolve()), "target": options.target, "crop": options.crop}
    return folder.end(with_copies(report, copies, dropped=options.drop_copies), about=about)


def find_release(source: Path) -> tuple[dict[str, Path], Path]:
    """Return the lists by split, and the folder of the images.

    Raises:
        DataError: there is neither list, or no such folder.
    """
    check_source_folder(source)
    lists = {
        split: path
        for split, name in LISTS.items()
        for path in [source / folder / name for folder in LIST_FOLDERS if (source / folder / name).is_file()][:1]
    }
    if not lists:
        raise DataError(
            f"{source} holds neither {' nor '.join(LISTS.values())}, in it or in Manually_Annotated_file_lists.",
            unpack_or(
                source, "Name AffectNet's folder. Its later release (train_set, val_set) is read by train as it is."
            ),
        )
    images = next(source / folder for folder in IMAGE_FOLDERS if (source / folder).is_dir())
    return lists, images


def read_list(path: Path, images: Path) -> Iterator[Row]:
    """Yield the rows of ``training.csv`` or ``validation.csv``.

    Raises:
        DataError: rows are malformed, listed by line.
    """
    errors, found, header = TableErrors(path), [], list(COLUMNS)
    with csv_reader(path) as reader:
        for number, row in enumerate(reader):
            cells = [cell.strip() for cell in row]
            if number == 0 and COLUMNS[0] in cells:
                header = cells
                if lacking := [name for name in COLUMNS if name not in cells and name != "facial_landmarks"]:
                    raise DataError(f"table {path} has no column {', '.join(lacking)}; it has {list_some(cells)}.")
                continue
            if len(cells) != len(header):
                errors.add(f"rows must have {len(header)} columns", reader.line, str(len(cells)))
            elif (parsed := _parsed(dict(zip(header, cells, strict=True)), images, errors, reader.line)) is not None:
                found.append(parsed)
    errors.check("Unpack the dataset again.")
    yield from found


def _parsed(cells: dict[str, str], images: Path, errors: TableErrors, line: int) -> Row | None:
    name = cells[COLUMNS[0]].replace("\\", "/")
    if why := name_fault(name):
        errors.add(f"a path {why}", line, repr(name[:60]))
        return None
    try:
        expression = int(cells["expression"])
        valence, arousal = float(cells["valence"]), float(cells["arousal"])
    except ValueError:
        expression, valence, arousal = -1, 0.0, 0.0
    if not (0 <= expression < len(CLASSES) or expression in OTHERS):
        errors.add("expression must be from 0 to 10, valence and arousal numbers", line)
        return None
    try:
        left, top, width, height = (float(cells[f"face_{key}"]) for key in ("x", "y", "width", "height"))
    except ValueError:  # as NULL beside what is no face
        left = top = width = height = float("nan")
    box = (left, top, left + width, top + height)
    return Row(name, images / name, expression, valence, arousal, box)


def _left_out(row: Row, split: str, options: AffectnetOptions, left_out: LeftOut) -> bool:
    """Decide by the table alone whether a row is left out, and count it; without a crop, its box is taken off."""
    why = NO_EMOTION if row.expression in OTHERS else ""
    if not why and options.target == "ratings":
        why = ratings_fault(row.valence, row.arousal)
    if options.crop == "none":
        row.box = None
    elif not why and not np.isfinite(row.box).all():
        why = NO_BOX
    if why:
        left_out.add(split, why, row.name)
    return bool(why)


def _with_pictures(rows: list[Row], split: str, left_out: LeftOut, reporter: Reporter) -> list[Row]:
    """Return the rows whose pictures are there and hold their boxes; count the others."""
    kept, seen = [], set()
    there = [row.path.is_file() for row in rows]
    sizes = iter(picture_sizes([row.path for row, flag in zip(rows, there, strict=True) if flag], reporter=reporter))
    for row, flag in zip(rows, there, strict=True):
        size = next(sizes) if flag else None
        box = clip_box(row.box, size) if size and row.box is not None else None
        why = MISSING if not flag else NO_PICTURE if size is None else ""
        why = why or (NO_BOX if row.box is not None and box is None else "")
        row.box = box
        why = why or (REPEATED if row.place(split) in seen else "")
        if why:
            left_out.add(split, why, row.name)
        else:
            seen.add(row.place(split))
            kept.append(row)
    return kept


def _write(folder: OutputFolder, kept: dict[str, list[Row]], target: str, reporter: Reporter) -> None:
    """Write the images of all splits, then the tables; of a shard, its share."""
    own = {
        split: [rows[index] for index in folder.share(split, [row.place(split) for row in rows])]
        for split, rows in kept.items()
    }
    for split, rows in own.items():
        items = ((row.place(split), row.path if row.box is None else cut(row.path, row.box)) for row in rows)
        folder.place_all(split, items, len(rows), reporter)
    header = ["label"] if target == "label" else ["valence", "arousal"]
    for split, rows in own.items():
        cells = [[CLASSES[row.expression]] if target == "label" else [row.valence, row.arousal] for row in rows]
        table = [[row.place(split), *more] for row, more in zip(rows, cells, strict=True)]
        folder.table(split, ["filename", *header], table)


def _counts(rows: list[Row]) -> dict[str, int]:
    found = Counter(row.expression for row in rows)
    return {name: found[number] for number, name in enumerate(CLASSES)}
