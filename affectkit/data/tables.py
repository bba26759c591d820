"""CSV tables of images: a ``filename`` column with a ``label`` column, one column an emotion, or both."""

from __future__ import annotations

import contextlib
import csv
import os
import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.files import inside
from affectkit.core.registry import nearest
from affectkit.data.split import Split, some
from affectkit.errors import DataError

RESERVED = frozenset(
    {"filename", "label", "split", "valence", "arousal", "subject", "source", "draw", "face", "id", "usage"}
)
SPLIT_VALUES = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
SUM_TOLERANCE = 1e-3
# Rows that sum to 1 within this are taken as they are, so that float32 shares survive being written and read.
EXACT_TOLERANCE = 1e-6
_INDEX_COLUMNS = frozenset({"", "unnamed: 0"})  # what pandas writes for its row index
_SCAN_FROM = 32
"""From so many files of one folder on, the folder is listed once; below, each file is asked for."""


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of a table, or of the rows of one split in it.

    Attributes:
        path: the CSV file.
        emotions: names of the emotion columns, in their order; empty where there are none.
        ids: posix paths relative to the table's folder, (N,).
        lines: the rows' line numbers in the file, the header being line 1, (N,).
        labels: class names (N,), or None without a label column.
        splits: "train", "valid" or "test" (N,), or None without a split column.
        values: float64 (N, E), finite.
    """

    path: Path
    emotions: tuple[str, ...]
    ids: list[str] = field(repr=False)
    lines: list[int] = field(repr=False)
    labels: list[str] | None = field(repr=False)
    splits: list[str] | None = field(repr=False)
    values: np.ndarray = field(repr=False)

    def part(self, name: str) -> Table:
        """The rows whose split column says ``name``."""
        assert self.splits is not None
        rows = [row for row, split in enumerate(self.splits) if split == name]
        labels = None if self.labels is None else [self.labels[row] for row in rows]
        ids, lines = [self.ids[row] for row in rows], [self.lines[row] for row in rows]
        return Table(self.path, self.emotions, ids, lines, labels, None, self.values[rows])

    def where(self, rows: np.ndarray | Sequence[int]) -> str:
        """The lines of ``rows`` (positions) as text: "line 4" or "lines 4, 9"."""
        lines = [self.lines[int(row)] for row in rows]
        return f"{'line' if len(lines) == 1 else 'lines'} {some(lines)}"


class Faults:
    """Faults of a table by kind, told together."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, line: int, what: str = "") -> None:
        """One more fault; ``kind`` is the rule that is broken, ``what`` the value."""
        self.found[kind].append(f"{line} ({what})" if what else str(line))

    def check(self, hint: str = "") -> None:
        """Raise a DataError that lists all faults, if there are any."""
        if self.found:
            kinds = [f"{kind}: line{'s' * (len(at) > 1)} {some(at)}" for kind, at in self.found.items()]
            text = kinds[0] if len(kinds) == 1 else "\n  - " + "\n  - ".join(kinds)
            raise DataError(f"table {self.path}: {text}.", hint)


def header_of(path: Path) -> list[str]:
    """Column names in the first line of a table.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or is empty.
    """
    with _reader(path) as reader:
        for row in reader:
            return [_column(cell) for cell in row]
    raise DataError(f"table {path} is empty; a header line with 'filename' is needed.")


def read_table(path: Path) -> Table:
    """The cells of one table, checked for form; files are not looked for yet.

    Raises:
        DataError: a header that is not complete, or rows that are malformed, listed by line.
    """
    header = header_of(path)
    emotions = _check_header(path, header)
    places = {name: index for index, name in enumerate(header)}
    at_name, at_label, at_split = places["filename"], places.get("label"), places.get("split")
    pick = itemgetter(*(places[name] for name in emotions)) if emotions else None
    ids, lines, labels, splits, values = [], [], [], [], []
    faults, width, root = Faults(path), len(header), path.parent
    with _reader(path) as reader:
        next(reader)
        for row in reader:
            if not row:
                continue
            if len(row) != width:
                faults.add(f"rows must have {width} columns", reader.line_num, str(len(row)))
                continue
            ids.append(_identity(root, row[at_name], faults, reader.line_num))
            lines.append(reader.line_num)
            if at_label is not None:
                labels.append(_label(row[at_label], faults, reader.line_num))
            if at_split is not None:
                splits.append(_split_value(row[at_split], faults, reader.line_num))
            if pick is not None:
                values.append(_numbers(pick(row), emotions, faults, reader.line_num))
    others = ", ".join(sorted(RESERVED))
    faults.check(f"Every column that is not one of {others} is read as an emotion." if emotions else "")
    if not ids:
        raise DataError(f"table {path} has a header and no rows.")
    numbers = np.array(values, dtype=np.float64).reshape(len(ids), len(emotions))
    return Table(
        path,
        emotions,
        ids,
        lines,
        labels if at_label is not None else None,
        splits if at_split is not None else None,
        numbers,
    )


def read_tables(paths: Mapping[str, Path]) -> tuple[dict[str, Split], list[str]]:
    """The splits in tables, ``{"train": Path, ...}``; a table that is alone may hold several in a ``split`` column.

    Rows that all sum to 1 (within 1e-3) are shares; otherwise non-negative whole numbers are votes. Without a
    ``label`` column there are no labels, without emotion columns no distribution. The classes are the first split's
    emotion columns, or its sorted labels, and the other splits are matched to them by name.

    Returns:
        the splits in the order train, valid, test, all; and notes for the user.

    Raises:
        DataError: rows that are malformed (by line), files that are missing, named twice, in two splits, or outside
            the table's folder, classes that do not match.
    """
    found: dict[str, Table] = {}
    for name, path in paths.items():
        table = read_table(path)
        if len(paths) == 1 and table.splits is not None:
            found.update({part: table.part(part) for part in dict.fromkeys(table.splits)})
        else:
            found[name] = table
    tables = {name: found[name] for name in ("train", "valid", "test", "all") if name in found}
    _check_repeats(tables)
    for table in tables.values():
        _check_files(table)
    kinds = _kinds(tables)
    splits: dict[str, Split] = {}
    for name, table in tables.items():
        split = _to_split(name, table, kinds.get(name))
        splits[name] = split.matched(next(iter(splits.values())).classes) if splits else split
    notes = []
    if len(set(kinds.values())) > 1:
        notes.append("some tables hold votes and others shares: " + ", ".join(f"{k} {v}" for k, v in kinds.items()))
    return splits, notes


@contextlib.contextmanager
def _reader(path: Path) -> Iterator[Any]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            yield csv.reader(stream, strict=True)
    except UnicodeDecodeError as error:
        raise DataError(f"table {path} is not UTF-8 text ({error.reason}).", "Save it as UTF-8 CSV.") from error
    except csv.Error as error:
        raise DataError(f"table {path} is not a CSV file: {error}.") from error
    except OSError as error:
        raise DataError(f"cannot read table {path}: {error.strerror or error}.") from error


def _column(cell: str) -> str:
    name = _text(cell)
    return name.lower() if name.lower() in RESERVED else name


def _text(cell: str) -> str:
    """A class or column name: without spaces around, and composed, as file systems differ in that."""
    return unicodedata.normalize("NFC", cell.strip())


def _check_header(path: Path, header: list[str]) -> tuple[str, ...]:
    """The emotion columns, or a DataError about the header."""
    twice = [name for name in dict.fromkeys(header) if name and header.count(name) > 1]
    if twice:
        raise DataError(f"table {path}: columns named twice: {some(twice)}.")
    if "filename" not in header:
        hint = "The first line names the columns: filename, and label or one column an emotion."
        if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
            hint = "Columns must be separated by commas: this table seems to use semicolons or tabs."
        elif "Image name" in header:
            hint = (
                "This is the label file of FER+: prepare the dataset first: affectkit prep ferplus FOLDER --output NEW."
            )
        raise DataError(f"table {path} has no 'filename' column; its columns are {some(header)}.", hint)
    emotions = tuple(name for name in header if name not in RESERVED and name.lower() not in _INDEX_COLUMNS)
    if len(emotions) < 2 and ("label" not in header or emotions):
        what = f"one emotion column only, {emotions[0]!r}" if emotions else "neither 'label' nor emotion columns"
        raise DataError(
            f"table {path} has {what}; its columns are {some(header)}.",
            "A table needs 'filename' and 'label', or one column for each of two or more emotions, or both.",
        )
    return emotions


def _identity(root: Path, name: str, faults: Faults, line: int) -> str:
    """``name`` as the item's identity; what cannot be a file under ``root`` is a fault. Links are judged later."""
    if not name:
        faults.add("filename is empty", line)
        return name
    suspicious = name[0] == "/" or "\\" in name or "\x00" in name or (os.name == "nt" and ":" in name)
    if suspicious or (".." in name and ".." in name.split("/")):
        try:
            inside(root, name)
        except DataError:
            faults.add("file names must be relative to the table's folder and stay in it", line, repr(name))
            return name
    return posixpath.normpath(name) if "//" in name or "./" in name or name.endswith("/") else name


def _label(cell: str, faults: Faults, line: int) -> str:
    label = _text(cell)
    if not label:
        faults.add("label is empty", line)
    return label


def _split_value(cell: str, faults: Faults, line: int) -> str:
    value = SPLIT_VALUES.get(cell.strip().lower())
    if value is None:
        faults.add(f"split must be one of {', '.join(SPLIT_VALUES)}", line, repr(cell))
        return ""
    return value


def _numbers(cells: tuple[str, ...], emotions: tuple[str, ...], faults: Faults, line: int) -> list[float]:
    try:
        numbers = [float(cell) for cell in cells]
        # inf - inf and NaN are not 0, so one test covers a whole row.
        if sum(numbers) * 0 == 0 and min(numbers) >= 0:
            return numbers
    except ValueError:
        pass
    for name, cell in zip(emotions, cells, strict=True):
        try:
            good = 0 <= float(cell) < float("inf")
        except ValueError:
            good = False
        if not good:
            faults.add("emotion columns must hold numbers of at least 0", line, f"{name}: {cell!r}")
    return [0.0] * len(cells)


def _check_repeats(tables: Mapping[str, Table]) -> None:
    """Refuse a file that is named twice in a split, or in two splits."""
    owners: dict[str, tuple[str, int]] = {}
    shared: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, table in tables.items():
        faults = Faults(table.path)
        for row, identity in enumerate(table.ids):
            owner, first = owners.setdefault(identity, (name, table.lines[row]))
            if owner != name:
                shared[owner, name].append(identity)
            elif first != table.lines[row]:
                faults.add("a file is named twice", table.lines[row], f"{identity!r} as in line {first}")
        faults.check("Keep one row a file.")
    if shared:
        texts = [f"{len(names):,} files are in both {a} and {b}: {some(names)}" for (a, b), names in shared.items()]
        raise DataError("; ".join(texts) + ".", "A file may be in one split only, or results would be too good.")


def _check_files(table: Table) -> None:
    """Refuse rows whose file is missing or is a link that leads out of the table's folder."""
    root, faults = table.path.parent, Faults(table.path)
    folders: dict[str, list[int]] = defaultdict(list)
    for row, identity in enumerate(table.ids):
        folders[identity.rpartition("/")[0]].append(row)
    missing, outside = "files are missing", "links that lead out of the table's folder"
    for folder, rows in folders.items():
        try:
            place = inside(root, folder) if folder else root
        except DataError:
            for row in rows:
                faults.add(outside, table.lines[row], repr(table.ids[row]))
            continue
        there = _files_in(place, [table.ids[row].rpartition("/")[2] for row in rows])
        for row in rows:
            is_link = there.get(table.ids[row].rpartition("/")[2])
            if is_link is None:
                faults.add(missing, table.lines[row], repr(table.ids[row]))
            elif is_link:
                try:
                    inside(root, table.ids[row])
                except DataError:
                    faults.add(outside, table.lines[row], repr(table.ids[row]))
    faults.check(f"File names are relative to {root}.")


def _files_in(folder: Path, names: list[str]) -> dict[str, bool]:
    """Which of ``names`` are files in ``folder``, and whether each is a link."""
    try:
        if len(names) >= _SCAN_FROM:
            with os.scandir(folder) as entries:
                return {entry.name: entry.is_symlink() for entry in entries if entry.is_file()}
    except OSError:
        return {}
    prefix = str(folder)
    paths = {name: os.path.join(prefix, name) for name in names}
    return {name: os.path.islink(path) for name, path in paths.items() if os.path.isfile(path)}


def _kinds(tables: Mapping[str, Table]) -> dict[str, str]:
    """Whether each table with emotion columns holds "shares" or "votes"; a DataError lists rows that are neither."""
    kinds, whole = {}, {}
    for name, table in tables.items():
        if not table.emotions:
            continue
        sums = table.values.sum(axis=1)
        is_share = np.abs(sums - 1) <= SUM_TOLERANCE
        is_whole = (table.values == np.floor(table.values)).all(axis=1)
        whole[name] = bool(is_whole.all())
        if is_share.all():
            kinds[name] = "shares"
            continue
        if not whole[name]:
            by_share = is_share.sum() >= is_whole.sum()
            rule = "rows of shares must sum to 1 (within 0.001)" if by_share else "votes must be whole numbers"
            rows = np.flatnonzero(~(is_share if by_share else is_whole))
            raise DataError(
                f"table {table.path}: {rule}: {table.where(rows)}.",
                "Emotion columns hold either shares that sum to 1 in every row, or raters' counts.",
            )
        if (sums == 0).any():
            raise DataError(
                f"table {table.path}: a row needs at least one vote: {table.where(np.flatnonzero(sums == 0))}.",
                "Leave out items that no rater gave an emotion.",
            )
        kinds[name] = "votes"
    if "votes" in kinds.values():  # single votes sum to 1 as well: next to a table of votes they are votes
        kinds = {name: "votes" if whole[name] else kind for name, kind in kinds.items()}
    return kinds


def _to_split(name: str, table: Table, kind: str | None) -> Split:
    classes = table.emotions or tuple(sorted(set(table.labels or ())))
    labels = None
    if table.labels is not None:
        position = {label: index for index, label in enumerate(classes)}
        unknown = [label for label in dict.fromkeys(table.labels) if label not in position]
        if unknown:
            guesses = [f"{label!r} -> {' or '.join(near)}" for label in unknown if (near := nearest(label, [*classes]))]
            rows = [row for row, label in enumerate(table.labels) if label not in position]
            raise DataError(
                f"table {table.path}: labels {some([*map(repr, unknown)])} are not among the emotion columns "
                f"({some(classes, 30)}): {table.where(rows)}.",
                f"Did you mean {some(guesses)}?" if guesses else "Labels must be names of the emotion columns.",
            )
        labels = np.array([position[label] for label in table.labels], dtype=np.int64)
    distribution = votes = None
    if kind is not None:
        sums = table.values.sum(axis=1, keepdims=True)
        divisor = np.where(np.abs(sums - 1) <= EXACT_TOLERANCE, 1.0, sums)
        distribution = (table.values / divisor).astype(np.float32)
        votes = table.values.astype(np.float32) if kind == "votes" else None
    return Split(name, table.path.parent, list(table.ids), classes, labels, distribution, votes)
