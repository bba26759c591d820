"""CSV tables of images: a ``filename`` column with a ``label``, one column an emotion, or ratings; or several."""

from __future__ import annotations

import contextlib
import csv
import itertools
import os
import posixpath
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.files import inside
from affectkit.core.registry import nearest
from affectkit.data.ratings import check_scale, rating_numbers
from affectkit.data.scales import HEADERLESS, RATINGS, Scale
from affectkit.data.split import Split, some
from affectkit.data.table_faults import Faults, check_files, check_repeats
from affectkit.errors import DataError

RESERVED = frozenset(
    {"filename", "extension", "label", "split", *RATINGS, "subject", "source", "draw", "face", "id", "usage"}
)
SPLIT_VALUES = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
SUM_TOLERANCE = 1e-3
# Rows that sum to 1 within this are taken as they are, so that float32 shares survive being written and read.
EXACT_TOLERANCE = 1e-6
_INDEX_COLUMNS = frozenset({"", "unnamed: 0"})  # what pandas writes for its row index


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of a table, or of the rows of one split in it.

    Attributes:
        path: the CSV file. root: the folder that file names are relative to.
        emotions: names of the emotion columns, in their order; empty where there are none.
        ids: posix paths relative to ``root``, (N,).
        lines: the rows' line numbers in the file, the header being line 1, (N,).
        labels: class names (N,), or None without a label column.
        splits: "train", "valid" or "test" (N,), or None without a split column.
        values: float64 (N, E), finite.
        ratings: float64 (N, 2) in the order of ``RATINGS``, NaN where one has no column; None where not asked for.
        sources: of copies, as datasplit makes them, the id of their original, and of others their own (N,); None
            without columns ``source`` and ``draw``.
        every: whether a fault names all of its lines.
    """

    path: Path
    root: Path
    emotions: tuple[str, ...]
    ids: list[str] = field(repr=False)
    lines: list[int] = field(repr=False)
    labels: list[str] | None = field(repr=False)
    splits: list[str] | None = field(repr=False)
    values: np.ndarray = field(repr=False)
    ratings: np.ndarray | None = field(default=None, repr=False)
    sources: list[str] | None = field(default=None, repr=False)
    every: bool = False

    def faults(self) -> Faults:
        """An empty list of faults of this table."""
        return Faults(self.path, every=self.every)

    def part(self, name: str) -> Table:
        """The rows whose split column says ``name``."""
        assert self.splits is not None
        rows = [row for row, split in enumerate(self.splits) if split == name]
        return replace(
            self,
            ids=[self.ids[row] for row in rows],
            lines=[self.lines[row] for row in rows],
            labels=None if self.labels is None else [self.labels[row] for row in rows],
            splits=None,
            values=self.values[rows],
            ratings=None if self.ratings is None else self.ratings[rows],
            sources=None if self.sources is None else [self.sources[row] for row in rows],
        )

    def where(self, rows: np.ndarray | Sequence[int]) -> str:
        """The lines of ``rows`` (positions) as text: "line 4" or "lines 4, 9"."""
        lines = [self.lines[int(row)] for row in rows]
        return f"{'line' if len(lines) == 1 else 'lines'} {some(lines)}"


def header_of(path: Path) -> list[str]:
    """Column names in the first line of a table.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or is empty.
    """
    with _reader(path) as reader:
        for row in reader:
            return [_column(cell) for cell in row]
    raise DataError(f"table {path} is empty; a header line with 'filename' is needed.")


def read_table(path: Path, *, root: Path | None = None, ratings: bool | None = False) -> Table:
    """The cells of one table, checked for form; files are not looked for yet.

    Args:
        root: the folder that file names are relative to, of a table that is named apart from it; such a table may
            have no header line (its columns are then ``HEADERLESS``), and its faults name all lines. None: the
            table's own folder.
        ratings: whether the columns of ``RATINGS`` are read; None: where the table has no other target.

    Raises:
        DataError: a header that is not complete, or rows that are malformed, listed by line.
    """
    apart = root is not None
    header = header_of(path)
    bare = apart and is_headerless(header)
    header = list(HEADERLESS) if bare else header
    emotions = _check_header(path, header, ratings=ratings)
    places = {name: index for index, name in enumerate(header)}
    if ratings is None:
        ratings = not emotions and "label" not in places
    cells = _Cells(path, root or path.parent, places, emotions, rated=bool(ratings), every=apart)
    with _reader(path) as reader:
        for row in reader if bare else itertools.islice(reader, 1, None):
            if row:
                cells.add(row, reader.line_num, width=len(header))
    others = ", ".join(sorted(RESERVED))
    hint = f"Every column that is not one of {others} is read as an emotion." if emotions else ""
    if bare:
        hint = f"Without a header line the columns are {', '.join(HEADERLESS)}."
    cells.faults.check(hint)
    if not cells.ids:
        raise DataError(f"table {path} has a header and no rows.")
    return cells.table()


def is_headerless(first: Sequence[str]) -> bool:
    """Whether a table's first line is a row of ``HEADERLESS`` and not a header: no ``filename``, ratings at its end."""
    if "filename" in first or len(first) < 2:
        return False
    try:
        float(first[-1])
    except ValueError:
        return False
    return True


class _Cells:
    """Takes rows apart, and keeps what is wrong with them."""

    def __init__(
        self, path: Path, root: Path, places: dict[str, int], emotions: tuple[str, ...], *, rated: bool, every: bool
    ) -> None:
        self.path, self.root, self.places, self.emotions, self.every = path, root, places, emotions, every
        self.pick = itemgetter(*(places[name] for name in emotions)) if emotions else None
        self.rated = rated
        self.ids: list[str] = []
        self.lines: list[int] = []
        self.labels: list[str] = []
        self.splits: list[str] = []
        self.values: list[list[float]] = []
        self.ratings: list[list[float]] = []
        self.sources: list[str] | None = [] if {"source", "draw"} <= places.keys() else None
        self.faults = Faults(path, every=every)

    def add(self, row: list[str], line: int, *, width: int) -> None:
        """One row; a fault where it is malformed."""
        if len(row) != width:
            self.faults.add(f"rows must have {width} columns", line, str(len(row)))
            return
        places = self.places
        name = row[places["filename"]]
        if (at := places.get("extension")) is not None and name and row[at].strip():
            name = f"{name.strip()}.{row[at].strip().lstrip('.')}"
        self.ids.append(_identity(self.root, name, self.faults, line))
        self.lines.append(line)
        if (at := places.get("label")) is not None:
            self.labels.append(_label(row[at], self.faults, line))
        if (at := places.get("split")) is not None:
            self.splits.append(_split_value(row[at], self.faults, line))
        if self.pick is not None:
            self.values.append(_numbers(self.pick(row), self.emotions, self.faults, line))
        if self.sources is not None:
            self.sources.append(row[places["source"]].strip() or self.ids[-1])
        if self.rated:
            cells = [row[places[name]] if name in places else None for name in RATINGS]
            self.ratings.append(rating_numbers(cells, self.faults, line))

    def table(self) -> Table:
        """All of it."""
        return Table(
            self.path,
            self.root,
            self.emotions,
            self.ids,
            self.lines,
            self.labels if "label" in self.places else None,
            self.splits if "split" in self.places else None,
            np.array(self.values, dtype=np.float64).reshape(len(self.ids), len(self.emotions)),
            np.array(self.ratings, dtype=np.float64).reshape(-1, len(RATINGS)) if self.rated else None,
            self.sources,
            self.every,
        )


def read_tables(
    paths: Mapping[str, Path],
    *,
    root: Path | None = None,
    ratings: bool | None = False,
    scale: Scale | None = None,
    whole: bool = False,
) -> tuple[dict[str, Split], list[str]]:
    """The splits in tables, ``{"train": Path, ...}``; a table that is alone may hold several in a ``split`` column.

    Rows that all sum to 1 (within 1e-3) are shares; otherwise non-negative whole numbers are votes. Without a
    ``label`` column there are no labels, without emotion columns no distribution. The classes are the first split's
    emotion columns, or its sorted labels, and the other splits are matched to them by name.

    Args:
        root, ratings: see ``read_table``. scale: of the ratings; None for the likely one.
        whole: pass over a ``split`` column.

    Returns:
        the splits in the order train, valid, test, all; and notes for the user.

    Raises:
        DataError: rows that are malformed (by line), files that are missing, named twice, in two splits, or outside
            the table's folder, classes that do not match, ratings outside their scale.
    """
    found: dict[str, Table] = {}
    for name, path in paths.items():
        table = read_table(path, root=root, ratings=ratings)
        if len(paths) == 1 and table.splits is not None and not whole:
            found.update({part: table.part(part) for part in dict.fromkeys(table.splits)})
        else:
            found[name] = table
    tables = {name: found[name] for name in ("train", "valid", "test", "all") if name in found}
    check_repeats(tables)
    for table in tables.values():
        check_files(table)
    if any(table.ratings is not None for table in tables.values()):
        scale = check_scale(tables.values(), scale)
    kinds = _kinds(tables)
    splits: dict[str, Split] = {}
    for name, table in tables.items():
        split = _to_split(name, table, kinds.get(name))
        if table.ratings is not None:
            split = replace(split, ratings=table.ratings, scale=scale)
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


def _check_header(path: Path, header: list[str], *, ratings: bool | None) -> tuple[str, ...]:
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
    rated = ratings is not False and not emotions and any(name in header for name in RATINGS)
    if len(emotions) < 2 and ("label" not in header or emotions) and not rated:
        what = f"one emotion column only, {emotions[0]!r}" if emotions else "neither 'label' nor emotion columns"
        raise DataError(
            f"table {path} has {what}; its columns are {some(header)}.",
            "A table needs 'filename' and 'label', 'valence' and 'arousal', or one column for each of two or more "
            "emotions.",
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
    return Split(name, table.root, list(table.ids), classes, labels, distribution, votes, sources=table.sources)
