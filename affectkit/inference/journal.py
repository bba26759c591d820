"""A growing table and a journal of the items in it, from which a stopped or finished run resumes.

Rows are appended to ``inference_results.csv.part``, in whatever order items are done; the journal beside it has a line
an item: how long the table is after its rows, what marks the content of its file, why it was skipped. A line counts
where the table holds its rows, the last one of a name before others; so a run may be killed at any moment. Once all is
done, the table is put into the order of the listing, and what marks the files is kept in ``inputs.csv``: a later run
builds both again from these two, and predicts what is new or has changed.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.core.contained_paths import refuse_link
from affectkit.core.files import fsync_path, read_json, to_json, whole_file
from affectkit.core.record_identity import short_text
from affectkit.errors import DataError
from affectkit.inference.table_writer import growing_form, open_text, rows_text, to_parquet

INPUTS_COLUMNS = ("Size", "Modified", "Changed", "SHA-256", "Frames", "Rows")
"""Bytes; times in nanoseconds since 1970, of the content and of the entry; of the file; and rows in the table."""
_HINT = "Add --force to predict everything anew."


def is_of(record: Path, form: str, *, growing: bool = False) -> bool:
    """Return whether what stands beside ``record`` belongs to a table in the format ``form``, or grows as one does.

    The journal, and what marks the files, are of the last run alone; a table in another format may be older.
    """
    was = read_json(record).get("format", form) if record.exists() else form
    return growing_form(was) == growing_form(form) if growing else was == form


def reason_to_restart(record: Path, form: str, what: str) -> str:
    """Explain why nothing of an earlier run is kept for a table in the format ``form``; ``what`` stands there."""
    if not is_of(record, form):
        was = read_json(record)["format"]
        return f"the last run there made {was}, its table stays as it is: all are predicted anew for {form}"
    return f"{what} does not say which files its rows are of: all are predicted anew"


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold where the rows of an item begin and end in the table, and where its line begins in the journal."""

    begin: int
    end: int
    line: int


class Journal:
    """Keep the growing table at ``table`` and its journal ``lines`` in step.

    Args:
        table, lines: the two files.
        header: the table's first line; empty for JSON lines.

    Attributes:
        entries: of the items that earlier runs have done, and of all that are done since; not kept (None) where there
            was no earlier run, for then all stand in the order of the listing.
    """

    def __init__(self, table: Path, lines: Path, header: str) -> None:
        self.table, self.lines, self.header = table, lines, header.encode()
        self.entries: dict[str, Entry] | None = None
        self._clear()

    def _clear(self) -> None:
        self._begin = self._end = len(self.header)
        self._line = 0

    def _refuse_links(self) -> None:
        """Refuse links, for what would be written or cut through them is not ours."""
        for path in (self.table, self.lines, self._ordered):
            refuse_link(path, "the growing table or its journal")

    def begin(self) -> None:
        """Start empty; a DataError where a link is in the way."""
        self._refuse_links()
        self.lines.unlink(missing_ok=True)
        self.table.write_bytes(self.header)
        self.lines.touch()
        self._clear()

    def recover(self) -> bool:
        """Read what an interrupted run left, and cut what is torn; return False where there is nothing to resume.

        Raises:
            DataError: a line has another form, by line, or a file is a link; nothing is cut then.
        """
        self._refuse_links()
        if not self.table.exists() or not self.lines.exists():
            return False
        self.entries = {}
        self._clear()
        size = self.table.stat().st_size
        if size < len(self.header):
            self.begin()
            return True
        with self.lines.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                entry = _read_line(line)
                if entry is not None and (why := entry_fault(entry, self._end)):
                    raise DataError(f"the journal {self.lines} is damaged at line {number:,}: {why}.", _HINT)
                if entry is None or entry["end"] > size:
                    break
                self.entries[entry["name"]] = Entry(self._end, entry["end"], self._line)
                self._end, self._line = entry["end"], self._line + len(line)
        self._begin = self._end
        os.truncate(self.lines, self._line)
        os.truncate(self.table, self._end)
        return True

    def rebuild(self, items: Iterable[tuple[dict[str, Any], bytes]]) -> None:
        """Rewrite both files from the items of a finished table: the journal entry of each, and its rows."""
        self.lines.unlink(missing_ok=True)  # a table without it counts for nothing
        length = len(self.header)
        with contextlib.ExitStack() as stack:
            parts = [stack.enter_context(whole_file(path)) for path in (self.lines, self.table)]
            lines = stack.enter_context(parts[0].open("w", encoding="utf-8"))
            table = stack.enter_context(parts[1].open("wb"))
            table.write(self.header)
            for entry, rows in items:
                table.write(rows)
                length += len(rows)
                lines.write(_line({**entry, "end": length}))
        self.recover()

    def open(self) -> None:
        """Open both files to append to them."""
        self.rows, self.ends = open_text(self.table, "a"), self.lines.open("a", encoding="utf-8")

    def close(self) -> None:
        """Close both files; what is not flushed counts as not done."""
        self.rows.close()
        self.ends.close()

    def write(self, text: str) -> None:
        """Append rows of the item that ``end`` will name."""
        self.rows.write(text)
        self._end += len(text.encode())

    def end(self, name: str, values: dict[str, Any]) -> None:
        """End the item whose rows were written since the last call; ``values`` are kept of it."""
        line = _line({"name": name, **values, "end": self._end})
        if self.entries is not None:
            self.entries[name] = Entry(self._begin, self._end, self._line)
        self._begin = self._end
        self.ends.write(line)
        self._line += len(line.encode())

    def flush(self) -> None:
        """Flush both, rows first: rows without their line are cut."""
        self.rows.flush()
        self.ends.flush()

    def read(self, names: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield the entries of ``names``, in their order; without an earlier run all, whatever the names."""
        with self.lines.open("rb") as stream:
            if self.entries is None:
                yield from map(json.loads, stream)
                return
            for name in names:
                stream.seek(self.entries[name].line)
                yield json.loads(stream.readline())

    def known(self) -> Known:
        """Return the entries by name, each read as it is asked for."""
        return Known(self)

    def finish(self, names: Iterable[str], final: Path) -> None:
        """Put the table in the order of ``names``, its final form, and its final name; the journal is gone then."""
        ordered = self.table
        if self.entries is not None:
            ordered = self._ordered
            self._copy(names, ordered)
        if final.suffix == ".parquet":
            to_parquet(ordered, final)
        else:
            fsync_path(ordered)
            os.replace(ordered, final)
        self.clear()

    def clear(self) -> None:
        """Remove what is left of a run whose table has its final name."""
        for path in (self._ordered, self.table, self.lines):
            path.unlink(missing_ok=True)

    @property
    def _ordered(self) -> Path:
        return self.table.with_name(self.table.name + ".ordered")

    def _copy(self, names: Iterable[str], target: Path) -> None:
        with self.table.open("rb") as source, target.open("wb") as stream:
            stream.write(self.header)
            for name in names:
                entry = self.entries[name]
                source.seek(entry.begin)
                stream.write(source.read(entry.end - entry.begin))


class Known(Mapping[str, dict[str, Any]]):
    """Map names to the entries of a journal; memory holds alone where they begin."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.stream = journal.lines.open("rb")

    def __getitem__(self, name: str) -> dict[str, Any]:
        self.stream.seek(self.journal.entries[name].line)
        return json.loads(self.stream.readline())

    def __iter__(self) -> Iterator[str]:
        return iter(self.journal.entries)

    def __len__(self) -> int:
        return len(self.journal.entries)

    def close(self) -> None:
        """Close the journal."""
        self.stream.close()


def _read_line(line: bytes) -> dict[str, Any] | None:
    """Parse a line of a journal; None where it is torn."""
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None


def entry_fault(entry: Any, begin: int | None = None) -> str:
    """Return what is wrong with the form of an item's entry; empty where it holds.

    Args:
        entry: a value of JSON.
        begin: where its rows begin in the growing table; None where it has no ``end``, that of a finished table.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        return "it names no item"
    counts = [entry.get("rows"), entry.get("frames", 1), *([] if begin is None else [entry.get("end")])]
    if not all(_is_count(value) for value in counts):
        return "rows, frames or end is no count"
    if begin is not None and entry["end"] < begin:
        return f"its rows end at {entry['end']:,}, before they begin"
    mark = entry.get("mark")
    marked = isinstance(mark, list | tuple) and len(mark) == 4 and isinstance(mark[3], str)
    if mark is not None and not (marked and all(isinstance(value, int) for value in mark[:3])):
        return "mark is not size, two times and a hash"
    video = entry.get("video", {})
    return "" if isinstance(video, dict) else "video is no object"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _line(entry: dict[str, Any]) -> str:
    return to_json(entry, indent=None) + "\n"


def read_inputs(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Read what ``inputs.csv`` says of each item, in order: ``name``, ``mark``, ``frames``, ``rows``, ``position``.

    Args:
        columns: the first ones, a position and the name or the name alone.

    Raises:
        DataError: it is not as it was written.
    """
    with open_text(path, "r") as stream:
        reader = csv.reader(stream)
        if next(reader, None) != [*columns, *INPUTS_COLUMNS]:
            raise DataError(f"{path} is not as it was written.", _HINT)
        for row in reader:
            try:
                *begin, name, size, modified, changed, digest, frames, rows = row
                mark = (int(size), int(modified), int(changed), digest) if digest else None
                position = int(begin[0]) if begin else 0
                entry = {"name": name, "mark": mark, "frames": int(frames), "rows": int(rows), "position": position}
            except (ValueError, IndexError):
                raise DataError(f"{path} is damaged at line {reader.line_num:,}: {short_text(row)}.", _HINT) from None
            wide = len(row) == len(columns) + len(INPUTS_COLUMNS)
            if why := entry_fault(entry) if wide else f"it has {len(row)} values":
                raise DataError(f"{path} is damaged at line {reader.line_num:,}: {why}.", _HINT)
            yield entry


def read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """Read the entries of a finished table that stand in JSON lines, in order.

    Raises:
        DataError: a line is none, by line.
    """
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            entry = _read_line(line)
            if why := "it is no line of JSON" if entry is None else entry_fault(entry):
                raise DataError(f"{path} is damaged at line {number:,}: {why}.", _HINT)
            yield entry


def input_values(entry: Mapping[str, Any]) -> list[Any]:
    """Return the ``INPUTS_COLUMNS`` of an item in the journal."""
    return [*(entry["mark"] or [None] * 4), entry.get("frames", 1), entry["rows"]]


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
    rows = _parquet_rows(table) if table.suffix == ".parquet" else _text_rows(table, header)
    for item in entries:
        own = list(itertools.islice(rows, item["rows"]))
        if len(own) < item["rows"] or any(row[column] != item["name"] for row, _ in own):
            raise DataError(f"{table} is not as it was written: the rows of {item['name']} are not there.", _HINT)
        yield item, [row for row, _ in own], b"".join(raw for _, raw in own)
    if next(rows, None) is not None:
        raise DataError(f"{table} is not as it was written: it has rows that no run made.", _HINT)


def _text_rows(path: Path, header: Sequence[str]) -> Iterator[tuple[list[Any], bytes]]:
    with path.open("rb") as stream:
        if path.suffix == ".jsonl":
            for line in stream:
                yield list(json.loads(line).values()), line
            return
        taken: list[bytes] = []

        def lines() -> Iterator[str]:
            for line in stream:
                taken.append(line)
                yield line.decode("utf-8", "surrogateescape")

        for number, row in enumerate(csv.reader(lines())):  # which takes no line more than a row needs
            if number or row != list(header):
                yield row, b"".join(taken)
            taken.clear()


def _parquet_rows(path: Path) -> Iterator[tuple[list[Any], bytes]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for group in file.iter_batches():
            for row in group.to_pylist():
                values = list(row.values())
                yield values, rows_text([values], list(row), "jsonl").encode()
