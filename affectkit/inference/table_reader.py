"""Read prediction tables that stand on the disk, which may have been edited or cut: every fault names file and line."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from affectkit.core.files import open_record
from affectkit.core.json_lines import JsonRows, LineFault, bounded_lines, parse_line
from affectkit.core.limits import MAX_TABLE_LINE
from affectkit.errors import DataError
from affectkit.inference.run_record import HINT
from affectkit.inference.table_writer import rows_text


class CsvRows:
    """Read the rows of a CSV table, its header too.

    Args:
        path: the table.
        width: values that each row must have; None: any. It may be set once the header is read.

    Attributes:
        line: the number of the line that was read last, from 1.

    Iterating raises a DataError where the file is no CSV, or a row has other values, by line.
    """

    def __init__(self, path: Path, width: int | None = None) -> None:
        self.path, self.width = path, width
        self._reader: Any = None

    @property
    def line(self) -> int:
        """Return the number of the line that was read last."""
        return self._reader.line_num

    def __iter__(self) -> Iterator[list[str]]:
        with open_record(self.path, HINT) as opened:
            stream = io.TextIOWrapper(opened, encoding="utf-8", errors="surrogateescape", newline="")
            # A line that is longer becomes two rows; csv itself bounds a cell.
            self._reader = csv.reader(iter(partial(stream.readline, MAX_TABLE_LINE + 1), ""))
            try:
                for row in self._reader:
                    if self.width is not None and len(row) != self.width:
                        raise _damage(self.path, self.line, f"it has {len(row)} values, not {self.width}")
                    yield row
            except csv.Error as error:
                raise _damage(self.path, self.line, error) from error


def finished_items(
    table: Path, header: Sequence[str], entries: Iterable[dict[str, Any]], column: int
) -> Iterator[tuple[dict[str, Any], list[list[Any]], bytes]]:
    """Yield the items of a finished table: the entry of each, its rows, and their bytes as in a growing table.

    Args:
        table: the finished table.
        header: its columns.
        entries: of the items, in order.
        column: number of the column that names the item.

    Raises:
        DataError: the table does not hold the rows of the ``entries``.
    """
    rows = _parquet_rows(table, header) if table.suffix == ".parquet" else _text_rows(table, header)
    for item in entries:
        own = list(itertools.islice(rows, item["rows"]))
        if len(own) < item["rows"] or any(row[column] != item["name"] for row, _ in own):
            raise DataError(f"{table} is not as it was written: the rows of {item['name']} are not there.", HINT)
        yield item, [row for row, _ in own], b"".join(raw for _, raw in own)
    if next(rows, None) is not None:
        raise DataError(f"{table} is not as it was written: it has rows that no run made.", HINT)


def read_columns(table: Path) -> list[str] | None:
    """Return the columns of a table, finished or growing (``.part``); None where it has none, or cannot be read."""
    form = Path(table.name.removesuffix(".part")).suffix
    try:
        if form == ".parquet":
            import pyarrow.parquet as pq

            return pq.read_schema(table).names
        with open_record(table) as stream:
            line = stream.readline(MAX_TABLE_LINE + 1)
        if form == ".jsonl":
            return list(parse_line(line)) if line.endswith(b"\n") else None
    except (DataError, LineFault, OSError, ValueError):  # what is wrong with it is said where its rows are read
        return None
    return next(csv.reader([line.decode("utf-8", "surrogateescape")]), None)


def _text_rows(path: Path, header: Sequence[str]) -> Iterator[tuple[list[Any], bytes]]:
    with open_record(path, HINT) as stream:
        yield from _json_rows(path, stream, header) if path.suffix == ".jsonl" else _cells(path, stream, header)


def _json_rows(path: Path, stream: Any, header: Sequence[str]) -> Iterator[tuple[list[Any], bytes]]:
    value_of = JsonRows(header).value
    for number, line in enumerate(bounded_lines(stream), start=1):
        try:
            yield list(value_of(line).values()), line
        except LineFault as fault:
            raise _damage(path, number, fault) from None


def _cells(path: Path, stream: Any, header: Sequence[str]) -> Iterator[tuple[list[Any], bytes]]:
    taken: list[bytes] = []
    wide, first = len(header), True

    def lines() -> Iterator[str]:
        for line in bounded_lines(stream, MAX_TABLE_LINE):
            taken.append(line)
            yield line.decode("utf-8", "surrogateescape")

    reader = csv.reader(lines())  # which takes no line more than a row needs
    try:
        for row in reader:
            if not first or row != list(header):
                if len(row) != wide:
                    raise _damage(path, reader.line_num, f"it has {len(row)} values, not {wide}")
                yield row, b"".join(taken)
            first = False
            taken.clear()
    except csv.Error as error:
        raise _damage(path, reader.line_num, error) from error


def _parquet_rows(path: Path, header: Sequence[str]) -> Iterator[tuple[list[Any], bytes]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow.names != list(header):
                raise DataError(f"{path} is not as it was written: its columns are others.", HINT)
            for group in file.iter_batches():
                for row in group.to_pylist():
                    values = list(row.values())
                    yield values, rows_text([values], list(row), "jsonl").encode()
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is not as it was written: {error}.", HINT) from error


def _damage(path: Path, line: int, why: object) -> DataError:
    return DataError(f"{path} is damaged at line {line:,}: {why}.", HINT)
