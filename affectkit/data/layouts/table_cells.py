"""The cells of a table, row by row: what each column must hold, and what is wrong with it."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import posixpath
import unicodedata
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np

from affectkit.core.contained_paths import path_below
from affectkit.core.limits import MAX_TABLE_NUMBER
from affectkit.core.table_errors import TableErrors
from affectkit.data.layouts.class_columns import Choice, Columns, decide_class_columns, refuse_doubtful
from affectkit.data.layouts.rating_scale import RATINGS
from affectkit.data.layouts.ratings import rating_numbers
from affectkit.errors import DataError

RESERVED = frozenset(
    {"filename", "extension", "label", "split", *RATINGS, "subject", "source", "draw", "face", "id", "usage"}
)
INDEX_COLUMNS = frozenset({"", "unnamed: 0"})  # what pandas writes for its row index
SPLIT_VALUES = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}


def column_name(cell: str) -> str:
    """Return the name in a cell of the header: without spaces around, composed, and in small letters where it is
    reserved.
    """
    name = cell_text(cell)
    return name.lower() if name.lower() in RESERVED else name


def cell_text(cell: str) -> str:
    """Return a class or column name: without spaces around, and composed, as file systems differ in that."""
    return unicodedata.normalize("NFC", cell.strip())


def _picker(places: list[int]) -> Callable[[list[str]], Sequence[str]]:
    """Return a function that takes the cells at ``places`` out of a row; ``itemgetter`` gives a lone one bare."""
    return itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))


class Cells:
    """Takes rows apart, and keeps what is wrong with them."""

    def __init__(
        self, path: Path, root: Path, places: dict[str, int], emotions: tuple[str, ...], *, rated: bool, every: bool
    ) -> None:
        self.path, self.root, self.places, self.emotions, self.every = path, root, places, emotions, every
        self.pick = _picker([places[name] for name in emotions]) if emotions else None
        self.rated = rated
        self.ids: list[str] = []
        self.lines: list[int] = []
        self.labels: list[str] = []
        self.splits: list[str] = []
        self.values: list[list[float]] = []
        self.bad: dict[str, list[tuple[int, str]]] = {}
        self.ratings: list[list[float]] = []
        self.rating_errors = TableErrors(path, every=every)
        self.sources: list[str] | None = [] if {"source", "draw"} <= places.keys() else None
        self.errors = TableErrors(path, every=every)

    def add(self, row: list[str], line: int, *, width: int) -> None:
        """Add one row, or an error where it is malformed."""
        if len(row) != width:
            self.errors.add(f"rows must have {width} columns", line, str(len(row)))
            return
        places = self.places
        name = row[places["filename"]]
        if (at := places.get("extension")) is not None and name and row[at].strip():
            name = f"{name.strip()}.{row[at].strip().lstrip('.')}"
        self.ids.append(_identity(self.root, name, self.errors, line))
        self.lines.append(line)
        if (at := places.get("label")) is not None:
            self.labels.append(_label(row[at], self.errors, line))
        if (at := places.get("split")) is not None:
            self.splits.append(_split_value(row[at], self.errors, line))
        if self.pick is not None:
            self.values.append(self._numbers(self.pick(row), line))
        if self.sources is not None:
            self.sources.append(row[places["source"]].strip() or self.ids[-1])
        if self.rated:
            cells = [row[places[name]] if name in places else None for name in RATINGS]
            self.ratings.append(rating_numbers(cells, self.rating_errors, line))

    def _numbers(self, cells: Sequence[str], line: int) -> list[float]:
        """Return the numbers of a row; NaN for a cell that holds none of at least 0, which is remembered."""
        try:
            numbers = [float(cell) for cell in cells]
            # False for NaN, too, so one test covers a whole row.
            if sum(numbers) <= MAX_TABLE_NUMBER and min(numbers) >= 0:
                return numbers
        except ValueError:
            pass
        numbers = []
        for name, cell in zip(self.emotions, cells, strict=True):
            try:
                value = float(cell)
            except ValueError:
                value = -1.0
            if not 0 <= value <= MAX_TABLE_NUMBER:
                self.bad.setdefault(name, []).append((line, cell))
                value = float("nan")
            numbers.append(value)
        return numbers

    @functools.cached_property
    def columns(self) -> Columns:
        """Return the columns that may be classes, of all rows."""
        return Columns(
            self.emotions,
            np.array(self.values, dtype=np.float64).reshape(len(self.ids), len(self.emotions)),
            {name: [cell for _, cell in found[:3]] for name, found in self.bad.items()},
            {name: len(found) for name, found in self.bad.items()},
            self.labels if "label" in self.places else None,
        )

    def settle(self, choice: Choice, *, ratings: bool | None) -> tuple[tuple[str, ...], dict[str, str], bool]:
        """Return which columns are classes, the others with their first values and why, and whether ratings count.

        What is wrong with cells of classes, and of ratings that count, joins ``errors``.

        Args:
            ratings: as for ``tables.read_table``.

        Raises:
            DataError: which columns are classes is not clear, and there are no ratings.
        """
        columns, classes, others = self.columns, self.emotions, {}
        if self.emotions and self.ids and not choice.classes:
            decision = decide_class_columns(columns, choice.known)
            if decision.doubtful and not self.rated:
                refuse_doubtful(self.path, columns, decision)
            classes, others = decision.classes, {**decision.others, **decision.doubtful}
            if self.rated and any(name in self.bad for name in classes):  # ratings are what it is read for
                others |= dict.fromkeys(classes, "beside ratings, with cells that are no numbers of at least 0")
                classes = ()
            others |= {name: "beside ratings" for name in self.emotions if name not in classes and name not in others}
        for name in classes:
            for line, cell in self.bad.get(name, ()):
                self.errors.add(_rule(cell), line, f"{name}: {cell!r}")
        counted = self.rated and bool(ratings or not classes)
        if counted:
            self.errors.extend(self.rating_errors)
        return classes, {name: f"{columns.samples(name)}: {why}" for name, why in others.items()}, counted


def _rule(cell: str) -> str:
    """Return the rule that a cell of a class, which is no number of a table, breaks."""
    with contextlib.suppress(ValueError):
        if MAX_TABLE_NUMBER < float(cell) < math.inf:
            return f"emotion columns must hold numbers of at most {MAX_TABLE_NUMBER:g}"
    return "emotion columns must hold numbers of at least 0"


def _identity(root: Path, name: str, errors: TableErrors, line: int) -> str:
    """Return ``name`` as the item's identity; what cannot be a file under ``root`` is an error. Links come later."""
    if not name:
        errors.add("filename is empty", line)
        return name
    suspicious = name[0] == "/" or "\\" in name or "\x00" in name or (os.name == "nt" and ":" in name)
    if suspicious or (".." in name and ".." in name.split("/")):
        try:
            path_below(root, name)
        except DataError:
            errors.add("file names must be relative to the table's folder and stay in it", line, repr(name))
            return name
    return posixpath.normpath(name) if "//" in name or "./" in name or name.endswith("/") else name


def _label(cell: str, errors: TableErrors, line: int) -> str:
    label = cell_text(cell)
    if not label:
        errors.add("label is empty", line)
    return label


def _split_value(cell: str, errors: TableErrors, line: int) -> str:
    value = SPLIT_VALUES.get(cell.strip().lower())
    if value is None:
        errors.add(f"split must be one of {', '.join(SPLIT_VALUES)}", line, repr(cell))
        return ""
    return value
