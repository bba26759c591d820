"""Write tables of rows: CSV and JSON lines that grow, Parquet made of these at the end."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from affectkit.core.csv_tables import number
from affectkit.core.files import open_record, whole_file
from affectkit.core.json_lines import JsonLines, JsonRows, LineFault
from affectkit.core.limits import MAX_JSON_LINE
from affectkit.errors import DataError
from affectkit.inference.run_record import HINT

GROWING = ("csv", "jsonl")
"""Formats in which tables grow."""
_ROW = JsonLines(dict[str, Any], hint=HINT)


class TableWriter:
    """Write a table in CSV or JSON lines to a stream as it grows.

    Args:
        stream: where text goes.
        header: column names.
        form: ``csv`` or ``jsonl``.
        begun: whether the header line stands already; it is written with the first rows, so that a command that
            fails before them has printed nothing.
    """

    def __init__(self, stream: IO[str], header: list[str], form: str, *, begun: bool) -> None:
        self.stream, self.header, self.form = stream, header, form
        self.begun = begun or form != "csv"

    def add(self, rows: list[list[Any]]) -> None:
        """Append ``rows`` and flush."""
        if not self.begun:
            self.stream.write(csv_line(self.header))
            self.begun = True
        self.stream.write(rows_text(rows, self.header, self.form))
        self.stream.flush()


def growing_form(form: str) -> str:
    """Return the format in which a table grows that is to be ``form`` in the end."""
    return "jsonl" if form == "parquet" else form


def rows_text(rows: list[list[Any]], header: list[str], form: str) -> str:
    """Return ``rows`` as lines of a table in ``csv`` or ``jsonl``."""
    if form == "csv":
        return "".join(csv_line([number(value) for value in row]) for row in rows)
    lines = []
    for row in rows:
        values = (round(value, 6) if isinstance(value, float) else value for value in row)
        lines.append(json.dumps(dict(zip(header, values, strict=True)), ensure_ascii=False) + "\n")
    return "".join(lines)


def open_text(path: Path, mode: str) -> IO[str]:
    """Open a table file. Names in it are as ``core.text`` writes them; old tables may hold bytes that are no text."""
    return path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")


def csv_line(values: list[Any]) -> str:
    """Return one line of CSV; where a value holds a line end, all values are quoted."""
    odd = any(isinstance(value, str) and ("\r" in value or "\n" in value) for value in values)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL).writerow(values)
    return buffer.getvalue()


def to_parquet(source: Path, target: Path, rows: int = 50_000) -> None:
    """Rewrite a JSON-lines table as Parquet, a row group at a time, whole or not at all.

    Raises:
        DataError: a line of the table is no row as the first one, by line, or a column holds values of several types.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer, line = None, 1
    try:
        with whole_file(target) as part:
            for group in _groups(source, rows):
                table = pa.Table.from_pylist(group, schema=writer.schema if writer else None)
                empty = [name for name in table.column_names if pa.types.is_null(table.schema.field(name).type)]
                if writer is None and empty:  # what a column holds shows further down, where a face was found
                    table = table.cast(_typed(pa, table.schema, source, empty, rows))
                writer = writer or pq.ParquetWriter(part, table.schema)
                writer.write_table(table)
                line += len(group)
            writer.close()
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise DataError(f"{source} is damaged at or behind line {line:,}: {error}.", HINT) from error


def _groups(source: Path, rows: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a JSON-lines table, ``rows`` at a time; one empty group where there are none."""
    with open_record(source) as stream:
        lines, first = _rows(source, stream), True
        while (group := list(itertools.islice(lines, rows))) or first:
            first = False
            yield group


def _rows(source: Path, stream: BinaryIO) -> Iterator[dict[str, Any]]:
    """Yield the rows, all of the columns of the first one."""
    head = stream.readline(MAX_JSON_LINE + 1)
    stream.seek(0)
    try:
        form = JsonRows(list(_ROW.value(head)) if head else (), hint=HINT)
    except LineFault as fault:
        raise _ROW.damage(str(source), 1, fault) from None
    return form.read(stream, str(source))


def _typed(pa: Any, schema: Any, source: Path, names: list[str], rows: int) -> Any:
    """Return ``schema`` with the types that the columns ``names`` have anywhere in the table; null where nowhere."""
    left = set(names)
    for group in _groups(source, rows):
        for name in sorted(left):
            values = [row[name] for row in group if row[name] is not None]
            if values:
                index = schema.get_field_index(name)
                schema = schema.set(index, pa.field(name, pa.array(values).type))
                left.remove(name)
        if not left:
            break
    return schema
