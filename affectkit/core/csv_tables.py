"""CSV tables: written whole, numbers with as many digits as can be relied on; read with every fault as one error."""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import IO, Any

from affectkit.core.files import open_at_once, write_text
from affectkit.core.limits import MAX_TABLE_COLUMNS, MAX_TABLE_LINE, over
from affectkit.core.os_errors import read_fault
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import list_some, written_name
from affectkit.errors import AffectkitError, DataError


def number(value: Any) -> Any:
    """Return ``value`` as a table shows it: six decimals for a real number (float32 holds no more), empty for NaN."""
    if isinstance(value, Integral | str) or not isinstance(value, Real):
        return value
    value = float(value)
    if math.isnan(value):
        return ""
    return f"{value:.6f}" if abs(value) < 1e6 else f"{value:.6g}"


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write ``columns`` (all of one length) as CSV with a header."""
    write_text(path, table_text(columns))


def table_text(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return ``columns`` as CSV; names of files are as ``core.text.written_name`` writes them."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([written_name(value) if isinstance(value, str) else number(value) for value in row])
    return buffer.getvalue()


class CsvReader:
    """The rows of an open CSV table.

    Attributes:
        title: what the user calls the table.
        line: the number of the line that was read last, from 1.
    """

    def __init__(
        self, path: Path, stream: IO[str], *, title: str, hint: str, error: type[AffectkitError] = DataError
    ) -> None:
        self.path, self.title, self._hint, self._error = path, title, hint, error
        # Of a file that is no longer than a row may be, none is.
        small = path.is_file() and path.stat().st_size <= MAX_TABLE_LINE
        self._lines = None if small else _Lines(stream, title, error)
        self._rows = csv.reader(self._lines or stream, strict=True)

    @property
    def line(self) -> int:
        """Return the number of the line that was read last."""
        return self._rows.line_num

    def header(self, *needed: str) -> list[str]:
        """Read the next row as the names of columns, without spaces around.

        Args:
            needed: columns that must be among them.

        Raises:
            AffectkitError: the table is empty, lacks a column, or names a needed one twice.
        """
        names = [cell.strip() for cell in next(self._bounded(), [])]
        self.check_columns(names)
        if lacking := [name for name in needed if name not in names]:
            has = f"its columns are {list_some(names)}" if names else "it is empty"
            raise self._error(f"{self.title} has no column {', '.join(lacking)}; {has}.", self._hint)
        if twice := [name for name in needed if names.count(name) > 1]:
            raise self._error(f"{self.title}: columns named twice: {list_some(twice)}.", self._hint)
        return names

    def check_columns(self, names: Sequence[str]) -> None:
        """Raise an error, of the kind of this reader, where a header has more columns than are read."""
        if len(names) > MAX_TABLE_COLUMNS:
            raise self._error(over(self.title, len(names), MAX_TABLE_COLUMNS, "columns"), self._hint)

    def __iter__(self) -> Iterator[list[str]]:
        """Read the rows that are not empty lines."""
        return filter(None, self._bounded())

    def _bounded(self) -> Iterator[list[str]]:
        return self._rows if self._lines is None else self._reset_after_each(self._lines)

    def _reset_after_each(self, lines: _Lines) -> Iterator[list[str]]:
        for row in self._rows:
            lines.length = 0
            yield row


class _Lines:
    """The lines of a table, until those of one row (a quoted cell may hold several) are longer than are read."""

    def __init__(self, stream: IO[str], title: str, error: type[AffectkitError]) -> None:
        self._readline, self._title, self._error = stream.readline, title, error
        self.length = self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._readline(MAX_TABLE_LINE + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.length += len(line)
        if self.length > MAX_TABLE_LINE:
            raise self._error(
                f"{self._title}: the row at line {self.number:,} has more than {MAX_TABLE_LINE:,} characters, the most "
                "that are read.",
                "Is it a table, and does a quote that opens there close?",
            )
        return line


@contextlib.contextmanager
def csv_reader(
    path: Path,
    *,
    title: str = "",
    hint: str = "",
    error: type[AffectkitError] = DataError,
    encoding: str = "utf-8-sig",
) -> Iterator[CsvReader]:
    """Open a CSV table: UTF-8, with or without a byte order mark, quotes as RFC 4180 has them.

    Args:
        path: the file.
        title: what the user calls it, as "--baseline b.csv"; without, "table" and its path.
        hint: the next step where it cannot be read.
        error: the kind of error.
        encoding: another one, for tables that others published so.

    Raises:
        AffectkitError: of the kind ``error``: the file cannot be read, is not UTF-8 text, or not CSV, by line.
    """
    title = title or f"table {path}"
    try:
        with open(path, newline="", encoding=encoding, opener=open_at_once) as stream:
            reader = CsvReader(path, stream, title=title, hint=hint, error=error)
            try:
                yield reader
            except csv.Error as fault:
                raise error(f"{title} is not a CSV file: line {reader.line}: {fault}.", hint) from fault
    except UnicodeDecodeError as fault:
        raise error(f"{title} is not UTF-8 text ({fault.reason}).", hint or "Save it as UTF-8 CSV.") from fault
    except OSError as fault:
        raise error(*read_fault(title, path, fault, hint)) from fault


def read_csv(
    path: Path,
    *needed: str,
    title: str = "",
    hint: str = "",
    error: type[AffectkitError] = DataError,
    encoding: str = "utf-8-sig",
) -> list[tuple[int, dict[str, str]]]:
    """Read the rows of a CSV table by the names of its columns, each with its line.

    Cells that a short row lacks are empty.

    Args:
        path: the file.
        needed: columns that it must have.
        title: what the user calls it.
        hint: the next step where it is not as it must be.
        error: the kind of error.
        encoding: see ``csv_reader``.

    Raises:
        AffectkitError: of the kind ``error``: see ``csv_reader`` and ``CsvReader.header``; there is no row, or rows
            have more cells than there are columns, by line.
    """
    with csv_reader(path, title=title, hint=hint, error=error, encoding=encoding) as reader:
        header = reader.header(*needed)
        errors, rows = TableErrors(path, title=reader.title), []
        for row in reader:
            if any(cell.strip() for cell in row[len(header) :]):
                errors.add(f"rows must have {len(header)} columns", reader.line, str(len(row)))
            cells = row[: len(header)] + [""] * (len(header) - len(row))
            rows.append((reader.line, dict(zip(header, cells, strict=True))))
    errors.check(hint, error=error)
    if not rows:
        raise error(f"{reader.title} has a header and no rows.", hint)
    return rows
