"""Prediction tables and records as pages read them: by the names of columns, whichever there are, in any format.

Tables grow columns from version to version, and a stopped run leaves one that is cut. What is read here is shown, not
continued: a cut last row is left out and said to be.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.core.csv_tables import number
from affectkit.core.files import open_record, read_json
from affectkit.core.json_lines import LineFault, bounded_lines, parse_line
from affectkit.core.limits import MAX_TABLE_LINE
from affectkit.errors import DataError
from affectkit.inference.table_layout import BEHIND_SHARES

HINT = "Make the results anew, or restore the file."
_SKIPPED = {"image": str, "reason": str}
SKIPPED_FORM = list[_SKIPPED]
NUMBERS = dict[str, float | None]
FORMATS = (".csv", ".parquet", ".jsonl", ".csv.part", ".jsonl.part")
"""Endings of tables, the finished ones first."""


@dataclass(frozen=True)
class Table:
    """A table whose rows are read as they are asked for.

    Attributes:
        path: of the file.
        columns: names, as they stand in it.
        finished: whether it has its final name.
    """

    path: Path
    columns: list[str]
    finished: bool

    def place(self, name: str) -> int | None:
        """Return the position of the column ``name``; None where there is none."""
        return self.columns.index(name) if name in self.columns else None

    def rows(self) -> Iterator[list[str]]:
        """Yield the rows as text, as many cells as there are columns; of an unfinished table the whole ones.

        Raises:
            DataError: a row has another form, by line.
        """
        for line, row in _rows(self.path):
            if len(row) == len(self.columns):
                yield row
            elif self.finished:
                raise DataError(
                    f"{self.path} is damaged at line {line:,}: it has {len(row)} values, not {len(self.columns)}.",
                    HINT,
                )


def find_table(folder: Path, stem: str) -> Table | None:
    """Return the table ``stem`` of ``folder`` in any format, a growing one where it is not finished; None without."""
    for ending in FORMATS:
        path = folder / (stem + ending)
        if path.is_file():
            header = _header(path)
            return None if header is None else Table(path, header, not ending.endswith(".part"))
    return None


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a small finished CSV by name; none where the file is not there."""
    if not path.is_file():
        return []
    header = _header(path) or []
    return [dict(zip(header, row, strict=True)) for row in Table(path, header, finished=True).rows()]


def read_record(path: Path, form: dict[str, Any]) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one where the file is not there.

    Args:
        path: the file.
        form: of what the page takes from it (``core.forms``).

    Raises:
        DataError: it is damaged, or has another form; names file and place.
    """
    return read_json(path, form, hint=HINT) if path.is_file() else {}


def to_float(text: str | float | None) -> float:
    """Return the finite number that a cell holds; NaN where there is none."""
    try:
        value = float(text) if text not in (None, "") else math.nan
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def to_int(text: str | None, default: int = 0) -> int:
    """Return the whole number that a cell holds; ``default`` where there is none."""
    value = to_float(text)
    return default if math.isnan(value) else int(value)


def class_columns(columns: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Return the columns of shares: those of ``classes``, or without any all that stand behind the confidence, up to
    what is computed of them."""
    found = [name for name in classes if name in columns]
    if found or "Confidence" not in columns:
        return found
    found = columns[columns.index("Confidence") + 1 :]
    return list(itertools.takewhile(lambda name: name not in BEHIND_SHARES, found))


def _header(path: Path) -> list[str] | None:
    """Return the names of the columns; None of an empty table."""
    if path.suffix == ".parquet":
        with _parquet(path) as file:
            return list(file.schema_arrow.names)
    if ".jsonl" in path.name:
        with open_record(path) as stream:
            for line in bounded_lines(stream):
                return list(_object(path, 1, line))
        return None
    first = next(_csv(path), None)
    return None if first is None else first[1]


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    if path.suffix == ".parquet":
        with _parquet(path) as file:
            line = 0
            for group in file.iter_batches():
                for row in group.to_pylist():
                    line += 1
                    yield line, [_text(value) for value in row.values()]
    elif ".jsonl" in path.name:
        with open_record(path) as stream:
            for line, text in enumerate(bounded_lines(stream), start=1):
                if path.suffix != ".part" or text.endswith(b"\n"):
                    yield line, [_text(value) for value in _object(path, line, text).values()]
    else:
        yield from itertools.islice(_csv(path), 1, None)


def _csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    with open_record(path) as opened:
        stream = io.TextIOWrapper(opened, encoding="utf-8-sig", errors="surrogateescape", newline="")
        growing = path.suffix == ".part"
        lines = iter(lambda: stream.readline(MAX_TABLE_LINE + 1), "")
        reader = csv.reader(line for line in lines if not growing or line.endswith("\n"))
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise DataError(f"{path} is damaged at line {reader.line_num:,}: {error}.") from error


def _parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error


def _object(path: Path, line: int, text: bytes) -> dict[str, Any]:
    try:
        value = parse_line(text)
    except LineFault as fault:
        raise DataError(f"{path} is damaged at line {line:,}: {fault}.") from None
    if not isinstance(value, dict):
        raise DataError(f"{path} is damaged at line {line:,}: it must be an object.")
    return value


def _text(value: Any) -> str:
    return "" if value is None else str(number(value))
