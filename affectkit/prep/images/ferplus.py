"""FER+ (Barsoum et al. 2016, arXiv 1608.01041): ten raters' votes for the faces of FER-2013, as tables and images.

The authors' rule: a class with a single vote counts as zero. *majority*: an image keeps its top class if that has
more than half of the remaining votes (those for unknown and not-a-face among them), and is dropped otherwise or if
the top is one of these two. *distribution*: the remaining votes of the eight emotions.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.csv_tables import csv_reader
from affectkit.core.files import sha256
from affectkit.core.progress import Reporter, Silent
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import some
from affectkit.data.layouts.duplicates import COPY, Copies, contents_of_files, find_copies
from affectkit.errors import DataError, UsageError
from affectkit.prep.images.ferplus_pixels import PIXEL_COLUMNS, USAGES, check_order, differs, draw_pixels
from affectkit.prep.images.output_folder import ImageOptions, OutputFolder, PrepReport, with_copies

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
COLUMNS = (*EMOTIONS, "unknown", "NF")
RULES = {
    "majority": "single votes count as zero; the top class is kept if it has more than half of the remaining votes "
    "and is one of the eight emotions",
    "distribution": "single votes count as zero; the remaining votes of the eight emotions are kept if there are any",
}
LABEL_FILE = "fer2013new.csv"
PIXEL_FILES = ("fer2013.csv", "icml_face_data.csv")
"""Names under which FER-2013's images are shared as a table, the first of them first where there are several."""

UNNAMED = "no image name in the label file"
NO_VOTES = "no class has more than one vote"
NO_EMOTION = "no emotion has more than one vote"
NO_MAJORITY = "no class has more than half of the votes"
TOP_UNKNOWN = "most raters: unknown"
TOP_NO_FACE = "most raters: not a face"
REPEATED = "repeats the image of an earlier row"
REPEATED_OTHER = "repeats the image of an earlier row, with other votes"
MISSING = "image file not there"

_IMAGE = re.compile(r"fer\d{7}\.png")


@dataclass(frozen=True, eq=False)
class Labels:
    """Hold the label file: split names (N,), image names (N,; "" where none is given), votes int64 (N, 10)."""

    splits: list[str]
    names: list[str]
    votes: np.ndarray


def read_labels(path: Path) -> Labels:
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
    return Labels(splits, names, np.array(votes, dtype=np.int64).reshape(-1, len(COLUMNS)))


def clean(votes: np.ndarray) -> np.ndarray:
    """Set single votes in ``votes`` (N, 10) to zero."""
    return np.where(votes == 1, 0, votes)


def decide(votes: np.ndarray, target: str) -> tuple[np.ndarray, list[str]]:
    """Apply the authors' rule to raw votes.

    Args:
        votes: int (N, 10), as in the label file, in the order of ``COLUMNS``.
        target: "majority" or "distribution".

    Returns:
        the top class of each row, int (N,), the first of several; and for each row "" or why it is dropped.
    """
    if target not in RULES:
        raise UsageError(f"target must be one of {', '.join(RULES)}, got {target!r}.")
    cleaned = clean(votes)
    if target == "distribution":
        shares = cleaned[:, : len(EMOTIONS)]
        return shares.argmax(axis=1), np.where(shares.sum(axis=1) > 0, "", NO_EMOTION).tolist()
    top, total = cleaned.argmax(axis=1), cleaned.sum(axis=1)
    reasons = np.select(
        [total == 0, 2 * cleaned.max(axis=1) <= total, top == len(EMOTIONS), top > len(EMOTIONS)],
        [NO_VOTES, NO_MAJORITY, TOP_UNKNOWN, TOP_NO_FACE],
        default="",
    )
    return top, reasons.tolist()


@dataclass(frozen=True, kw_only=True)
class FerplusOptions(ImageOptions):
    """Choose what is made of FER+.

    Attributes:
        target: "distribution" or "majority".
    """

    target: str = "distribution"


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
    labels: Labels
    pixel_file: Path | None
    contents: list[bytes]
    images: dict[str, Path]
    note: str

    def identity(self) -> dict[str, str]:
        """Hash the label file and the images."""
        images = sha256(self.pixel_file) if self.pixel_file else _images_hash(self.images)
        return {"labels": sha256(self.label_file), "images": images}


def prepare_ferplus(
    source: Path,
    output: Path,
    options: FerplusOptions | None = None,
    *,
    reporter: Reporter | None = None,
) -> PrepReport:
    """Write FER+ as train.csv, valid.csv, test.csv (as far as they have images) and images/<split>/fer#######.png.

    The tables hold ``filename``, with "majority" ``label``, and the cleaned votes of the eight emotions. An image
    that several rows of a split name is written once.

    Args:
        source: folder with fer2013new.csv (in it or one level down) and FER-2013's images: fer2013.csv,
            icml_face_data.csv, another CSV file with the columns of these, or fer#######.png files.
        output: folder to write; absent, empty, or left by the same command.
        options: what is made; None: the defaults.
        reporter: gets progress and notes.

    Raises:
        UsageError: the options are wrong or ``output`` holds something else.
        DataError: the label file or the images are missing or not FER+'s.
    """
    source, output, reporter, options = Path(source), Path(output), reporter or Silent(), options or FerplusOptions()
    target = options.target
    if target not in RULES:
        raise UsageError(f"target must be one of {', '.join(RULES)}, got {target!r}.")
    download = find_download(source, output)
    labels, pixel_file = download.labels, download.pixel_file
    identity = {"preparation": "ferplus", "target": target, **download.identity()}
    if options.drop_copies:
        identity["drop_copies"] = True
    folder = OutputFolder(output, "prep ferplus", identity, link=options.link, shard=options.shard)
    if (done := folder.begin(reporter)) is not None:
        return folder.report(done)
    top, reasons = _select(labels, target, None if pixel_file else download.images)
    contents = download.contents or download.images
    copies = _copies(labels, reasons, contents, drop=options.drop_copies, reporter=reporter)
    kept = [row for row, reason in enumerate(reasons) if not reason]
    if not kept:
        raise DataError(f"no row of {download.label_file} has an image in {source}.")
    tops = top if target == "majority" else None
    _write(folder, labels, kept, tops=tops, images=pixel_file or download.images, reporter=reporter)
    report = with_copies(_report(folder, labels, target, top, reasons), copies, dropped=options.drop_copies)
    if download.note:
        report = replace(report, notes=(*report.notes, download.note))
    about = {"source": str(source.resolve()), "target": target, "rule": RULES[target]}
    about["label_file"] = download.label_file.name
    if pixel_file:
        about["pixel_file"] = pixel_file.name
    return folder.end(report, about=about)


def find_download(source: Path, output: Path) -> Download:
    """Find labels and images of FER+ in ``source``, or one level down; what lies in ``output`` does not count.

    Raises:
        DataError: one of them is missing, or not FER+'s.
    """
    if not source.is_dir():
        raise DataError(f"source folder {source} does not exist.")
    label_file = _find(source, LABEL_FILE, output)
    if label_file is None:
        raise DataError(f"{LABEL_FILE} is not in {source}, nor one level down.", "It is part of the FER+ project.")
    labels = read_labels(label_file)
    pixel_file, note = _find_pixels(source, output, labels.splits)
    images = {} if pixel_file else _find_images(source, output)
    if pixel_file is None and not images:
        raise DataError(
            f"{source} holds neither {' nor '.join(PIXEL_FILES)}, no other CSV file with the columns "
            f"{', '.join(PIXEL_COLUMNS)}, and no fer#######.png files.",
            "Put one of the two files of FER-2013 there, or unpack the images.",
        )
    contents = check_order(pixel_file, labels.splits) if pixel_file else []
    return Download(label_file, labels, pixel_file, contents, images, note)


def _select(labels: Labels, target: str, images: dict[str, Path] | None) -> tuple[np.ndarray, list[str]]:
    """Choose top classes, and for each row "" or why it is dropped: unnamed, by rule, repeated, image missing."""
    top, reasons = decide(labels.votes, target)
    first: dict[tuple[str, str], int] = {}
    for row, (split, name) in enumerate(zip(labels.splits, labels.names, strict=True)):
        if not name:
            reasons[row] = UNNAMED
        if reasons[row]:
            continue
        earlier = first.setdefault((split, name), row)
        if earlier != row:
            same = np.array_equal(labels.votes[earlier], labels.votes[row])
            reasons[row] = REPEATED if same else REPEATED_OTHER
        elif images is not None and name not in images:
            reasons[row] = MISSING
    return top, reasons


def _copies(
    labels: Labels, reasons: list[str], images: list[bytes] | dict[str, Path], *, drop: bool, reporter: Reporter
) -> dict[str, Copies]:
    """Find the exact copies across splits among the kept rows; with ``drop`` they get a reason.

    Args:
        images: image files by name, whose bytes count, or what stands for the pixels of each row.
    """
    rows: dict[str, list[int]] = {}
    for row, reason in enumerate(reasons):
        if not reason:
            rows.setdefault(labels.splits[row], []).append(row)
    if isinstance(images, dict):
        files = {split: [images[labels.names[row]] for row in own] for split, own in rows.items()}
        found = find_copies(contents_of_files(files, reporter=reporter))
    else:
        found = find_copies({split: [images[row] for row in own] for split, own in rows.items()})
    if drop:
        for split, copies in found.items():
            for place in np.flatnonzero(copies.any()):
                reasons[rows[split][place]] = COPY
    return found


def _write(
    folder: OutputFolder,
    labels: Labels,
    kept: Sequence[int],
    *,
    tops: np.ndarray | None,
    images: Path | dict[str, Path],
    reporter: Reporter,
) -> None:
    """Write the images of all splits, then the tables; of a shard, its share.

    Args:
        folder: the output.
        labels: of all rows.
        kept: the rows that are written.
        tops: the top class of each row, for a column label; None: no such column.
        images: the table of pixels, or image files by name.
        reporter: gets progress.
    """
    cleaned = clean(labels.votes)[:, : len(EMOTIONS)].tolist()
    by_split = {split: [row for row in kept if labels.splits[row] == split] for split in USAGES.values()}
    own = {}
    for split, rows in by_split.items():
        if rows:
            own[split] = [rows[index] for index in folder.share(split, [_file(labels, row) for row in rows])]
    for split, rows in own.items():
        if isinstance(images, dict):
            items: Iterator[tuple[str, Any]] = ((_file(labels, row), images[labels.names[row]]) for row in rows)
        else:
            items = ((_file(labels, row), data) for row, data in draw_pixels(images, set(rows)))
        folder.place_all(split, items, len(rows), reporter)
    header = ["filename", *([] if tops is None else ["label"]), *EMOTIONS]
    for split, rows in own.items():
        table = []
        for row in rows:
            label = [] if tops is None else [EMOTIONS[tops[row]]]
            table.append([_file(labels, row), *label, *cleaned[row]])
        folder.table(split, header, table)


def _file(labels: Labels, row: int) -> str:
    """Give the place of the image of a row, relative to the folder."""
    return f"images/{labels.splits[row]}/{labels.names[row]}"


def _report(folder: OutputFolder, labels: Labels, target: str, top: np.ndarray, reasons: list[str]) -> PrepReport:
    splits = [split for split in USAGES.values() if split in set(labels.splits)]
    rows = {split: [row for row, name in enumerate(labels.splits) if name == split] for split in splits}
    kept, dropped, by_rule = {}, {}, {}
    for split in splits:
        numbers = Counter(int(top[row]) for row in rows[split] if not reasons[row])
        if numbers:
            kept[split] = {name: numbers[index] for index, name in enumerate(EMOTIONS)}
        dropped[split] = dict(Counter(reasons[row] for row in rows[split] if reasons[row]))
        by_rule[split] = sum(reasons[row] in ("", REPEATED, REPEATED_OTHER, MISSING, COPY) for row in rows[split])
    notes = []
    for reason in (REPEATED, REPEATED_OTHER, MISSING):
        names = [labels.names[row] for row, why in enumerate(reasons) if why == reason]
        if names:
            notes.append(f"{reason}: {some(names)}")
    notes += [f"no image of the {split} split is there: no {split}.csv" for split in splits if split not in kept]
    owners: dict[str, set[str]] = {}
    for row, reason in enumerate(reasons):
        if not reason:
            owners.setdefault(labels.names[row], set()).add(labels.splits[row])
    shared = [name for name, where in owners.items() if len(where) > 1]
    if shared:
        notes.append(f"{len(shared)} images are in more than one split, as in the label file: {some(shared)}")
    images = sum(sum(numbers.values()) for numbers in kept.values())
    return PrepReport("ferplus", folder.folder, target, kept, by_rule, dropped, images, notes=tuple(notes))


def _find_pixels(source: Path, output: Path, splits: Sequence[str]) -> tuple[Path | None, str]:
    """Find the table of FER-2013's pixels in ``source`` or one level down, and note where it was chosen, with how
    the other one differs from ``splits``, those of the label file's rows, or guessed."""
    named = [path for path in (_find(source, name, output) for name in PIXEL_FILES) if path]
    if named:
        others = [f"{path.name}{f', and {why}' if (why := differs(path, splits)) else ''}" for path in named[1:]]
        return named[0], f"{named[0].name} was read, not {'; '.join(others)}" if others else ""
    places = [
        path for path in sorted([*source.glob("*.csv"), *source.glob("*/*.csv")]) if not _same(path.parent, output)
    ]
    found = [path for path in places if path.name != LABEL_FILE and set(PIXEL_COLUMNS) <= set(_header(path))]
    if len(found) > 1:
        raise DataError(
            f"several files in {source} have the columns {', '.join(PIXEL_COLUMNS)}: {some(found)}.",
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
        raise DataError(f"several {name} below {source}: {some(below)}.", "Name the folder that holds the right one.")
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
            f"images of the same name differ: {some(differ)}.", "Name the folder that holds the right ones."
        )
    return found


def _images_hash(images: dict[str, Path]) -> str:
    """Hash names and sizes: what was prepared from fewer images is not taken for finished later on."""
    digest = hashlib.sha256()
    for name in sorted(images):
        digest.update(f"{name} {images[name].stat().st_size}\n".encode())
    return digest.hexdigest()
