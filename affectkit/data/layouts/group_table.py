"""Columns by which items are grouped: of the data set's own tables, and of a table that is joined to them."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from affectkit.core.csv_tables import csv_reader
from affectkit.core.expressions import PATTERN, compile_expression, is_expression, missing_group
from affectkit.core.registry import did_you_mean
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import count_text, list_some
from affectkit.data.layouts.clip_store import SHOWN_TO, SPLITS, is_prepared
from affectkit.data.layouts.discovery import dataset_tables
from affectkit.data.layouts.rating_scale import RATINGS
from affectkit.data.layouts.table_cells import INDEX_COLUMNS, column_name
from affectkit.data.layouts.tables import is_headerless
from affectkit.errors import DataError, UsageError

NOT_KNOWN = frozenset({"", "na", "n/a", "nan"})
"""Cells that say that a value is not known, in any case: empty ones, and what R and pandas write."""
COMMAS = "Columns must be separated by commas: this table seems to use semicolons or tabs."
TARGETS = frozenset({"filename", "extension", "label", "draw", *RATINGS, *INDEX_COLUMNS})
"""Columns that are names of items, or what a model predicts."""


@dataclass(frozen=True, eq=False)
class Rows:
    """A CSV table in memory.

    Attributes:
        path: the file.
        header: names of its columns, as ``column_name`` has them.
        lines: of the rows, the header being line 1.
        rows: cells without spaces around.
    """

    path: Path
    header: list[str]
    lines: list[int] = field(repr=False)
    rows: list[list[str]] = field(repr=False)

    def cells(self, name: str) -> list[str]:
        """Return the cells of the column ``name``."""
        place = self.header.index(name)
        return [row[place] for row in self.rows]


@dataclass(frozen=True, eq=False)
class Join:
    """How the rows of a table belong to items.

    Attributes:
        column: of the table.
        noun: what it names: ``item``, or an own column such as ``actor``.
        of_items: what each item has of it.
        form: brings a cell to the form of these.
    """

    column: str
    noun: str
    of_items: list[str] = field(repr=False)
    form: Callable[[str], str]


class ItemColumns:
    """What is known of each item beside its targets, a cell an item: "" where it is not known.

    A column stands in the data set's own tables or in ``groups``, or is read off the names (``file:REGEX``). Where both
    have it, ``groups`` wins. Names are as in the table, or but for capital letters.

    The rows of ``groups`` are joined to the items by this rule, the first that applies:

    1. It has a column ``filename``: names of items, as tables of results have them. Where no cell is one whole, endings
       are left out, then folders, then both.
    2. It has a column that is called as one of the own tables, but for capital letters, other signs and an ``id`` at
       the end (``ActorID`` and ``actor``): a row for each value of that.
    3. Its first column holds names of items, as in 1, or values of one own column, as in 2.

    Args:
        ids: of the items: posix paths in ``root``, or names of clips.
        root: folder of the data set; None where it is not known: there are no own tables.
        labels: the table that is read in place of those in ``root``.
        groups: the table that is joined.
        classes: whose columns of votes and shares are targets.
    """

    def __init__(
        self,
        ids: Sequence[str],
        *,
        root: Path | None,
        labels: Path | None = None,
        groups: Path | None = None,
        classes: Sequence[str] = (),
    ) -> None:
        self.ids, self.root, self.groups = list(ids), root, groups
        self.notes: list[str] = []
        self._targets = TARGETS | set(classes) | {f"{shown}_{name}" for shown in SHOWN_TO for name in classes}
        self._own_columns: dict[str, list[str]] = {}
        self._joined: dict[str, list[str]] = {}
        if root is not None or labels is not None:
            self._read_own(own_tables(root, labels=labels))
        if groups is not None:
            self._join(read_rows(groups))

    @property
    def names(self) -> list[str]:
        """List the columns there are, those of ``groups`` first."""
        return list(dict.fromkeys([*self._joined, *self._own_columns]))

    def column(self, name: str, *, option: str = "--by") -> list[str]:
        """Return the cells of the column ``name``, in the order of the items; "" where it is not known.

        Raises:
            UsageError: there is no such column (the nearest are named), or it is a target; ``option`` named it.
        """
        if name.startswith(PATTERN):
            return self._from_names(name, option)
        for same in (lambda one: one == name, lambda one: one.casefold() == name.casefold()):
            for columns in (self._joined, self._own_columns):
                if found := [one for one in columns if same(one)]:
                    return columns[found[0]]
        raise UsageError(*self._unknown(name, option))

    def _unknown(self, name: str, option: str) -> tuple[str, str]:
        if name in self._targets:
            return f"{option} {name}: that column is a target or names the items, and no group.", self._there()
        if is_expression(name):
            if "(" not in name:
                fault = missing_group(name, option)
                return fault.message, fault.hint
            what = "there is no such column; an expression over file names begins with 'file:'."
            return f"{option} {name}: {what}", f"{option} '{PATTERN}{name}'"
        guess = did_you_mean(name, self.names, before=" ")
        return f"{option}: there is no column {name!r} for the items.{guess}", self._there()

    def _there(self) -> str:
        where = f" and {self.groups}" if self.groups is not None else ""
        if self.names:
            return f"The tables of {self.root}{where} have {list_some(self.names, 30)}."
        more = " Prepare the clips again where an older affectkit made them." if self._is_clips() else ""
        return f"The data set has no table with further columns: name one with --groups TABLE.{more}"

    def _is_clips(self) -> bool:
        return self.root is not None and is_prepared(Path(self.root))

    # --- own tables ---------------------------------------------------------------------------------------------------

    def _read_own(self, paths: Sequence[Path]) -> None:
        place = {name: number for number, name in enumerate(self.ids)}
        for path in paths:
            table = read_rows(path, without=self._targets - {"filename", "extension"})
            if "filename" not in table.header:
                continue
            names = [name for name in table.header if name and name not in self._targets]
            keys, ends = table.cells("filename"), "extension" in table.header
            endings = table.cells("extension") if ends else [""] * len(keys)
            found = [place.get(_item_name(key, end)) for key, end in zip(keys, endings, strict=True)]
            for name in names:
                cells = self._own_columns.setdefault(name, [""] * len(self.ids))
                for at, cell in zip(found, table.cells(name), strict=True):
                    if at is not None:
                        cells[at] = _known(cell)

    # --- joined table -------------------------------------------------------------------------------------------------

    def _join(self, table: Rows) -> None:
        if len(table.header) == 1 and (";" in table.header[0] or "\t" in table.header[0]):
            raise DataError(
                f"--groups {table.path} has one column, {table.header[0]!r}.",
                COMMAS,
            )
        join = self._find_join(table)
        key, noun = join.column, join.noun
        by_value: dict[str, list[int]] = defaultdict(list)
        for number, value in enumerate(join.of_items):
            by_value[value].append(number)
        rows = _one_row_a_key(table, [join.form(cell) for cell in table.cells(key)], noun)
        lacking = [value for value in by_value if value not in rows and value]
        without = sum(len(by_value[value]) for value in (*lacking, *([""] if "" in by_value else [])))
        idle = [value for value in rows if value not in by_value]
        self.notes.append(
            f"{table.path}: joined by {key!r} ({noun}): {len(rows) - len(idle):,} of {count_text(len(rows), 'row')} "
            f"used, for {len(self.ids) - without:,} of {count_text(len(self.ids), 'item')}"
            + (f"; rows without an item: {list_some(idle, 3)}" if idle else "")
            + (
                f"; {count_text(without, 'item')} without a row: {list_some(lacking, 3) or f'no {noun} known'}"
                if without
                else ""
            )
        )
        for name in table.header:
            if not name or name == key or name in INDEX_COLUMNS or name == "filename":
                continue
            place, values = table.header.index(name), [""] * len(self.ids)
            for value, row in rows.items():
                for number in by_value.get(value, ()):
                    values[number] = _known(table.rows[row][place])
            self._joined[name] = values
        both = [name for name in self._joined if name in self._own_columns]
        if both:
            self.notes.append(f"{table.path}: {list_some(both)} stand in the data set's own table too; these are used")

    def _find_join(self, table: Rows) -> Join:
        first = table.header[0]
        if "filename" in table.header:
            if (found := self._by_name(table, "filename")) is None:
                raise self._no_match(table, "filename")
            return found
        for name in filter(None, table.header):
            own = [one for one in self._own_columns if _plain(one) == _plain(name)]
            if own:
                return self._through(table, name, own[0])
        if (found := self._by_name(table, first)) is not None:
            return found
        cells = set(filter(None, map(_known, table.cells(first))))
        own = [name for name, values in self._own_columns.items() if cells & set(values)]
        if len(own) > 1:
            raise DataError(
                f"--groups {table.path}: its first column, {first!r}, holds values of several columns of the data set: "
                f"{list_some(own)}.",
                f"Call it as the one that is meant, as {own[0]!r}.",
            )
        if not own:
            raise self._no_match(table, first)
        return self._through(table, first, own[0])

    def _through(self, table: Rows, name: str, own: str) -> Join:
        """Join by values of the own column ``own``."""
        if not set(table.cells(name)) & set(self._own_columns[own]):
            raise self._no_match(table, name, own)
        return Join(name, own, self._own_columns[own], _known)

    def _by_name(self, table: Rows, key: str) -> Join | None:
        """Join by the items' names, in the first form in which the table has any of them; None without."""
        cells = [cell for cell in table.cells(key) if cell]
        for form in (posixpath.normpath, _without_ending, posixpath.basename, _stem):
            names = [form(name) for name in self.ids]
            shared = {form(cell) for cell in cells} & set(names)
            if not shared:
                continue
            wholes: dict[str, list[str]] = defaultdict(list)
            for name, whole in zip(names, self.ids, strict=True):
                wholes[name].append(whole)
            if several := [wholes[name] for name in shared if len(wholes[name]) > 1]:
                one, other, *_ = min(several)
                raise DataError(
                    f"--groups {table.path}: {len(several):,} of its names may mean several items, as {one} and "
                    f"{other}.",
                    "Name items as tables of results do, with folder and ending.",
                )
            return Join(key, "item", names, lambda cell, form=form: form(cell) if cell else "")
        return None

    def _no_match(self, table: Rows, key: str, own: str = "") -> DataError:
        values = list(dict.fromkeys(self._own_columns[own])) if own else self.ids
        what = f"values of {own!r}" if own else "items"
        columns = f" or of a column of the data set ({list_some(list(self._own_columns))})" if self._own_columns else ""
        return DataError(
            f"--groups {table.path}: no row is joined: its column {key!r} has {list_some(table.cells(key), 3)}, and "
            f"the {what} are {list_some(values, 3)}.",
            f"A column 'filename' with names of items, or one with values of {own!r}, is needed."
            if own
            else f"It needs a column 'filename', or a first column of names of items{columns}.",
        )

    # --- names --------------------------------------------------------------------------------------------------------

    def _from_names(self, name: str, option: str) -> list[str]:
        pattern = compile_expression(name, option)
        found = [match[1] or "" if (match := pattern.search(one)) else "" for one in self.ids]
        if not any(found):
            raise UsageError(f"{option} {name}: the expression is in no name of the items, as {self.ids[0]!r}.")
        return found


def own_tables(root: Path | None, *, labels: Path | None = None) -> list[Path]:
    """Return the tables that describe the items of the data set in ``root``: ``labels``, or those that lie there."""
    if labels is not None:
        return [Path(labels)]
    root = Path(root or ".")
    if is_prepared(root):
        return [path for name in SPLITS if (path := root / f"{name}.csv").is_file()]
    return list(dataset_tables(root, [], strict=False).values()) if root.is_dir() else []


def read_rows(path: Path, *, without: Collection[str] = ()) -> Rows:
    """Read a CSV table, but for the columns ``without``; of one without a header line, nothing.

    Raises:
        DataError: it cannot be read, is empty, has a column twice, or rows of another length, by line.
    """
    with csv_reader(path) as reader:
        header = [column_name(cell) for cell in reader.header()]
        if is_headerless(header):
            return Rows(path, [], [], [])
        places = [place for place, name in enumerate(header) if name not in without]
        errors, lines, rows = TableErrors(path), [], []
        for row in reader:
            if len(row) == len(header):
                lines.append(reader.line)
                rows.append([row[place].strip() for place in places])
            else:
                errors.add(f"rows must have {count_text(len(header), 'column')}", reader.line, str(len(row)))
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise DataError(f"table {path}: columns named twice: {list_some(twice)}.")
    odd = any(sign in name for name in header for sign in ";\t")
    errors.check(COMMAS if odd else "")
    if not rows:
        raise DataError(f"table {path} has a header and no rows." if any(header) else f"table {path} is empty.")
    return Rows(path, [header[place] for place in places], lines, rows)


def _one_row_a_key(table: Rows, keys: Sequence[str], noun: str) -> dict[str, int]:
    """Return the row of each key; rows that repeat one word for word are passed over, others are refused by line."""
    errors, found = TableErrors(table.path, title=f"--groups {table.path}"), {}
    for number, key in enumerate(keys):
        first = found.setdefault(key, number) if key else number
        if table.rows[first] != table.rows[number]:
            errors.add(
                f"{'an' if noun[0] in 'aeiou' else 'a'} {noun} must have one row",
                table.lines[number],
                f"{key!r} as in line {table.lines[first]}",
            )
    errors.check(f"Keep one row for each {noun}.")
    return found


def _item_name(cell: str, ending: str) -> str:
    name = f"{cell}.{ending.lstrip('.')}" if ending and cell else cell
    return posixpath.normpath(name) if name else name


def _known(cell: str) -> str:
    return "" if cell.lower() in NOT_KNOWN else cell


def _plain(name: str) -> str:
    """Return the name of a column without what spellings differ in: ``ActorID``, ``actor_id`` and ``Actor`` alike."""
    plain = "".join(filter(str.isalnum, name.casefold()))
    return plain.removesuffix("id") or plain


def _without_ending(name: str) -> str:
    return posixpath.splitext(posixpath.normpath(name))[0]


def _stem(name: str) -> str:
    return posixpath.splitext(posixpath.basename(name))[0]
