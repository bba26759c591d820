"""A growing table and a journal of the items in it, from which a stopped or finished run resumes.

Rows are appended to ``inference_results.csv.part``, in whatever order items are done; the journal beside it has a line
an item: how long the table is after its rows, what marks the content of its file, why it was skipped. A line counts
where the table holds its rows, the last one of a name before others; so a run may be killed at any moment. Once all is
done, the table is put into the order of the listing, and what marks the files is kept in ``inputs.csv``: a later run
builds both again from these two, and predicts what is new or has changed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from affectkit.core.contained_paths import refuse_link
from affectkit.core.files import fsync_path, open_record, to_json, whole_file
from affectkit.core.forms import Count
from affectkit.core.json_lines import JsonLines, LineFault, NotJson, bounded_lines, parse_line
from affectkit.core.limits import MAX_INTEGER, MAX_JSON_LINE
from affectkit.core.record_identity import short_text
from affectkit.data.faces.selection import REASONS
from affectkit.errors import DataError
from affectkit.inference.run_record import HINT, read_run_record
from affectkit.inference.table_layout import LEFT_OUT_COLUMNS
from affectkit.inference.table_reader import CsvRows
from affectkit.inference.table_writer import growing_form, open_text, to_parquet

INPUTS_COLUMNS = ("Size", "Modified", "Changed", "SHA-256", "Frames", "Rows")
"""Bytes; times in nanoseconds since 1970, of the content and of the entry; of the file; and rows in the table."""
ENTRY = {
    "name": str, "rows": Count, "mark": tuple[int, int, int, str] | None, "frames?": Count, "position?": Count,
    "faces?": Count, "abstained?": Count, "left_out?": dict[str, Count], "reason?": str,
}  # fmt: skip
"""What a journal says of an item, beside its ``end``: the mark is size, two times and hash of its file."""


def is_of(record: Path, form: str, *, growing: bool = False) -> bool:
    """Return whether what stands beside ``record`` belongs to a table in the format ``form``, or grows as one does.

    The journal, and what marks the files, are of the last run alone; a table in another format may be older.
    """
    was = read_run_record(record).get("format", form)
    return growing_form(was) == growing_form(form) if growing else was == form


def reason_to_restart(record: Path, form: str, what: str) -> str:
    """Explain why nothing of an earlier run is kept for a table in the format ``form``; ``what`` stands there."""
    if not is_of(record, form):
        was = read_run_record(record)["format"]
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
        entry: the form of an item's entry.

    Attributes:
        entries: of the items that earlier runs have done, and of all that are done since; not kept (None) where there
            was no earlier run, for then all stand in the order of the listing.
    """

    def __init__(self, table: Path, lines: Path, header: str, entry: Any = ENTRY) -> None:
        self.table, self.lines, self.header = table, lines, header.encode()
        self.form = JsonLines({**entry, "end": Count}, hint=HINT)
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
        with open_record(self.lines, HINT) as stream:
            for number, line in enumerate(bounded_lines(stream), start=1):
                entry = self._entry(line, number, stream)
                if entry is None or entry["end"] > size:
                    break
                self.entries[entry["name"]] = Entry(self._end, entry["end"], self._line)
                self._end, self._line = entry["end"], self._line + len(line)
        self._begin = self._end
        os.truncate(self.lines, self._line)
        os.truncate(self.table, self._end)
        return True

    def _entry(self, line: bytes, number: int, stream: BinaryIO) -> dict[str, Any] | None:
        """Read a line of an earlier run, behind which ``stream`` stands; None where it was torn by a kill or a crash of
        the machine, which leaves zeros."""
        try:
            entry = self.form.value(line)
            if not line.endswith(b"\n"):
                return None
            if entry["end"] < self._end:
                raise LineFault(f"its rows end at {entry['end']:,}, before they begin")
        except LineFault as fault:
            torn = b"\0" in line or (isinstance(fault, NotJson) and not stream.readline().endswith(b"\n"))
            if torn and len(line) <= MAX_JSON_LINE:
                return None
            raise self.form.damage(f"the journal {self.lines}", number, fault) from None
        return entry

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
        with open_record(self.lines, HINT) as stream:
            if self.entries is None:
                yield from map(self._known, stream)
                return
            for name in names:
                yield self.at(stream, name)

    def at(self, stream: BinaryIO, name: str) -> dict[str, Any]:
        """Return the entry of the item ``name``, in a ``stream`` of the journal."""
        stream.seek(self.entries[name].line)
        return self._known(stream.readline())

    def _known(self, line: bytes) -> dict[str, Any]:
        """Read a line whose form ``recover`` has seen, or that this run wrote."""
        try:
            return parse_line(line)
        except LineFault as fault:
            raise DataError(f"the journal {self.lines} was changed meanwhile: {fault}.", HINT) from None

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
        self.stream = open_record(journal.lines, HINT)

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self.journal.at(self.stream, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.journal.entries)

    def __len__(self) -> int:
        return len(self.journal.entries)

    def close(self) -> None:
        """Close the journal."""
        self.stream.close()


def _line(entry: dict[str, Any]) -> str:
    return to_json(entry, indent=None) + "\n"


_INPUTS = JsonLines(ENTRY, hint=HINT)


def read_inputs(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Read what ``inputs.csv`` says of each item, in order: ``name``, ``mark``, ``frames``, ``rows``, ``position``.

    Where faces may have been left out, ``left_out`` says how many by reason.

    Args:
        columns: the first ones, a position and the name or the name alone.

    Raises:
        DataError: it is not as it was written.
    """
    table = CsvRows(path)
    rows = iter(table)
    header = next(rows, None)
    if header not in ([*columns, *INPUTS_COLUMNS], [*columns, *INPUTS_COLUMNS, *LEFT_OUT_COLUMNS]):
        raise DataError(f"{path} is not as it was written: its columns are others.", HINT)
    table.width, end = len(header), len(columns) + len(INPUTS_COLUMNS)
    for row in rows:
        *begin, name, size, modified, changed, digest, frames, count = row[:end]
        try:
            mark = (int(size), int(modified), int(changed), digest) if digest else None
            position = int(begin[0]) if begin else 0
            entry = {"name": name, "mark": mark, "frames": int(frames), "rows": int(count), "position": position}
            left_out = dict(zip(REASONS, map(int, row[end:]), strict=False))
        except ValueError:
            raise _INPUTS.damage(str(path), table.line, f"no numbers where they must be: {short_text(row)}") from None
        # The form in short: what was text or a number above is one.
        counts = (entry["frames"], entry["rows"], position, *left_out.values())
        if min(counts) < 0 or max(counts) > MAX_INTEGER or (mark and max(map(abs, mark[:3])) > MAX_INTEGER):
            raise _INPUTS.damage(str(path), table.line, _INPUTS.fault({**entry, "left_out": left_out}))
        yield {**entry, "left_out": left_out} if left_out else entry


def read_entries(path: Path, entry: Any = ENTRY) -> Iterator[dict[str, Any]]:
    """Read the entries of a finished table that stand in JSON lines, in order.

    Raises:
        DataError: a line is none of the form ``entry``, by line.
    """
    with open_record(path, HINT) as stream:
        yield from JsonLines(entry, hint=HINT).read(stream, str(path))


def input_columns(with_limits: bool) -> list[str]:
    """Return the columns of ``inputs.csv`` behind the name; ``with_limits`` faces may have been left out."""
    return [*INPUTS_COLUMNS, *(LEFT_OUT_COLUMNS if with_limits else ())]


def input_values(entry: Mapping[str, Any], with_limits: bool) -> list[Any]:
    """Return the ``input_columns`` of an item in the journal."""
    left_out = entry.get("left_out", {})
    more = [left_out.get(reason, 0) for reason in REASONS] if with_limits else []
    return [*(entry["mark"] or [None] * 4), entry.get("frames", 1), entry["rows"], *more]
