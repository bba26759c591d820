"""The parts that the shards of a command leave: recorded, checked, and merged in the order of their positions."""

from __future__ import annotations

import csv
import hashlib
import heapq
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from affectkit.core.contained_paths import is_regular, name_fault
from affectkit.core.files import open_record, read_json, sha256, write_json
from affectkit.core.forms import Count, Hash, form_faults, matcher
from affectkit.core.json_lines import JsonRows, LineFault
from affectkit.core.limits import MAX_JSON_LINE
from affectkit.core.record_identity import short_text, user_name
from affectkit.core.shards import POSITION, Listing, Shard
from affectkit.core.text import list_some
from affectkit.errors import DataError, UsageError

PART_RECORD = "shard.json"
_SHOWN = 5
_HELD = 20_000
"""Rows that merging holds in memory at most, or 16 of each table where that is more."""


BEGUN_FORM = {"command": str, "complete": bool, "identity": dict[str, Any]}
_TABLE_FORM = {"columns": list[str], "rows": Count, "sha256": Hash}
COMPLETE_FORM = {**BEGUN_FORM, "listed": Count, "fingerprint": str, "tables": dict[str, _TABLE_FORM]}
_BEGUN = matcher(BEGUN_FORM)


@dataclass(frozen=True)
class Part:
    """Results that one run left: its shard, its folder, and the record there."""

    shard: Shard
    folder: Path
    record: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table of a part: file name (``.csv`` or ``.jsonl``), columns without the position, number of rows."""

    name: str
    columns: Sequence[str]
    rows: int


def begin_part(folder: Path, shard: Shard, *, command: str, identity: Mapping[str, Any]) -> None:
    """Record in ``folder`` that a part is being written.

    Args:
        command: as a user types it ("infer", "prep ferplus").
        identity: plain values that all parts must share.
    """
    _write(folder, shard, {"command": command, "complete": False, "identity": dict(identity)})


def end_part(
    folder: Path,
    shard: Shard,
    *,
    command: str,
    identity: Mapping[str, Any],
    listing: Listing,
    tables: Iterable[Table],
    more: Mapping[str, Any],
) -> None:
    """Record that the part in ``folder`` is complete. All its files must stand there under their final names.

    Args:
        listing: all items, those of other shards too.
        more: what the command wants to find again.
    """
    told = {
        table.name: {"columns": list(table.columns), "rows": table.rows, "sha256": sha256(folder / table.name)}
        for table in tables
    }
    seen = {"listed": listing.count, "fingerprint": listing.fingerprint}
    record = {"command": command, "complete": True, "identity": dict(identity), **seen, "tables": told, **more}
    _write(folder, shard, record)


def list_anew(folder: Path, shard: Shard, listing: Listing) -> bool:
    """Record in a complete part what all runs list now, where it differs and the part's own items are as they were.

    Returns:
        whether it differed.
    """
    record, seen = read_record(folder), {"listed": listing.count, "fingerprint": listing.fingerprint}
    if record is None or all(record[key] == value for key, value in seen.items()):
        return False
    _write(folder, shard, {**record, **seen})
    return True


def _write(folder: Path, shard: Shard, record: dict[str, Any]) -> None:
    write_json(folder / PART_RECORD, {"shard": str(shard), **record})


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of the part in ``folder``; None where there is none that can be read, or it is damaged."""
    record, why = _read_any(folder)
    return None if why else record


def _read_any(folder: Path, fault_of: Callable[[dict[str, Any]], str] = lambda _: "") -> tuple[Any, str]:
    """Return the record of a part (None where none can be read) and what is wrong with it, empty for nothing."""
    try:
        record = read_json(folder / PART_RECORD)
    except DataError as error:
        return None, error.message
    return record, record_fault(record) or (fault_of(record) if record["complete"] else "")


def record_fault(record: Any) -> str:
    """Return what is wrong with the form of a part's record, which names tables beside it; empty where it holds."""
    if not _BEGUN(record):
        return next(form_faults(record, BEGUN_FORM))
    if not record["complete"]:
        return ""
    for name in record["tables"] if isinstance(record.get("tables"), dict) else ():
        if "/" in name or name_fault(name) or not name.endswith((".csv", ".jsonl")) or name.startswith("."):
            return f"{name!r} is no name of a table"
    if why := next(form_faults(record, COMPLETE_FORM), ""):
        return why
    lacking = [name for name, table in record["tables"].items() if not table["columns"]]
    if lacking or not record["tables"]:
        return f"table {lacking[0]} has no columns" if lacking else "it has no tables"
    return ""


def is_complete(folder: Path) -> bool:
    """Return whether the part in ``folder`` says that it is complete."""
    record = read_record(folder)
    return record is not None and record["complete"] is True


def damaged_tables(part: Part) -> list[str]:
    """Return the tables of a complete part that are missing or not as they were written."""
    return [
        name
        for name, told in part.record["tables"].items()
        if not is_regular(part.folder / name) or sha256(part.folder / name) != told["sha256"]
    ]


def find_parts(folder: Path) -> dict[Shard, Path]:
    """Return the folders of parts in ``folder``, in the order of their shards; none where it does not exist."""
    found = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        match = re.fullmatch(r"shard-([1-9][0-9]*)-of-([1-9][0-9]*)", path.name)
        if match and path.is_dir():
            found[Shard(int(match[1]), int(match[2]))] = path
    return dict(sorted(found.items()))


def refuse_other_counts(folder: Path, shard: Shard) -> None:
    """Raise a UsageError where ``folder`` holds parts of another number of shards, which can never be merged."""
    others = [path.name for found, path in find_parts(folder).items() if found.count != shard.count]
    if others:
        raise UsageError(
            f"{folder} holds {list_some(others, _SHOWN)}; --shard {shard} is of another number of shards.",
            "Use the same N in all runs (in a Slurm array write N itself), another folder, or remove these shards.",
        )


def recorded_command(folder: Path) -> str | None:
    """Return the command whose parts ``folder`` holds ("infer", "prep ferplus"); None where it holds no part.

    Raises:
        DataError: there are parts of several commands, or no part has a record that can be read.
    """
    parts = find_parts(folder)
    commands = {record["command"] for path in parts.values() if (record := read_record(path)) is not None}
    if not parts:
        return None
    if len(commands) != 1:
        said = (
            f"shards of {', '.join(sorted(commands))}"
            if commands
            else f"shards without a {PART_RECORD} that can be read"
        )
        raise DataError(f"{folder} holds {said}; they cannot be put together.", "Run the shards again.")
    return commands.pop()


def read_parts(
    folder: Path, *, finish: str = "", redo: str = "", fault_of: Callable[[dict[str, Any]], str] = lambda _: ""
) -> list[Part]:
    """Return all parts in ``folder``, complete, undamaged and of one origin, in the order of their shards.

    Args:
        finish: what a user adds to the command to resume an unfinished shard (" --resume").
        redo: what a user adds to run a complete shard afresh (" --force").
        fault_of: what is wrong with what the command wants of a complete record of the right form; empty for nothing.

    Raises:
        DataError: they are not; all faults are listed.
    """
    found = find_parts(folder)
    if not found:
        raise DataError(f"{folder} holds no shard (a folder such as shard-1-of-4).", "Run the shards first.")
    counts = sorted({shard.count for shard in found})
    if len(counts) > 1:
        each = (f"{sum(s.count == n for s in found)} of {n}" for n in counts)
        raise DataError(
            f"{folder} holds folders of different numbers of shards: {', '.join(each)}.",
            "Remove the folders that do not belong, and run what then lacks.",
        )
    faults = []
    lacking = [Shard(number, counts[0]) for number in range(1, counts[0] + 1) if Shard(number, counts[0]) not in found]
    if lacking:
        faults.append(f"missing: {_shards(lacking)}. Run the same command with --shard {lacking[0]}{_and(lacking)}")
    records: dict[Shard, dict[str, Any]] = {}
    unfinished = []
    for shard, path in found.items():
        record, why = _read_any(path, fault_of)
        if record is None:
            unfinished.append(shard)
        elif why:
            again = f"Run it again with --shard {shard}{redo}"
            faults.append(f"damaged: {PART_RECORD} of shard {shard}: {why}. {again}.")
        elif record["complete"]:
            records[shard] = record
        else:
            unfinished.append(shard)
    if unfinished:
        again = f"--shard {unfinished[0]}{finish}{_and(unfinished)}"
        faults.append(f"not finished: {_shards(unfinished)}. Run the same command with {again}")
    parts = [Part(shard, found[shard], record) for shard, record in records.items()]
    faults += _differences(parts, redo)
    for part in parts:
        if names := damaged_tables(part):
            faults.append(
                f"damaged: {', '.join(names)} of shard {part.shard}, missing or not as written. "
                f"Run it again with --shard {part.shard}{redo}."
            )
    if faults:
        raise _refusal(folder, faults)
    return parts


def _refusal(folder: Path, faults: Iterable[str]) -> DataError:
    return DataError(f"the shards in {folder} cannot be put together:\n" + "\n".join(f"  - {text}" for text in faults))


def _differences(parts: Sequence[Part], redo: str) -> list[str]:
    """Return faults for what should be the same in all ``parts`` and is not."""
    faults = []
    keys = list(dict.fromkeys(key for part in parts for key in part.record["identity"]))
    for key in keys:
        groups = _groups(parts, lambda part, key=key: part.record["identity"].get(key))
        if len(groups) > 1:
            each = "; ".join(f"{short_text(value)} in {_shards(shards)}" for value, shards in groups)
            faults.append(f"different {user_name(key)}: {each}")
    groups = _groups(parts, lambda part: (part.record["listed"], part.record["fingerprint"]))
    if len(groups) > 1:
        seen = [f"{listed:,} items (names {mark[:8]}) in {_shards(shards)}" for (listed, mark), shards in groups]
        faults.append(
            f"different listings (what is read has changed between the runs): {'; '.join(seen)}. "
            f"Run those again (--shard I/{parts[0].shard.count}{redo}) that saw another listing than there is now."
        )
    return faults


def _groups(parts: Sequence[Part], value_of: Callable[[Part], Any]) -> list[tuple[Any, list[Shard]]]:
    """Return the different values of ``value_of``, each with the shards that have it."""
    groups: list[tuple[Any, list[Shard]]] = []
    for part in parts:
        value = value_of(part)
        shards = next((shards for known, shards in groups if known == value), None)
        if shards is None:
            groups.append((value, shards := []))
        shards.append(part.shard)
    return groups


def merged_rows(folder: Path, parts: Sequence[Part], *, several: bool = False) -> Iterator[tuple[str, list[Any]]]:
    """Yield the rows of all tables of ``parts``, in the order of their positions: (name of the table, row without
    position).

    The first column after the position is the item's name. Memory does not grow with the number of rows.

    Args:
        several: whether an item may have several rows, which stand together in one table under one name.

    Raises:
        DataError: after the last row, where a position stands twice, nowhere or in another shard's part, or where the
            names are not those that were listed. Nothing made of the rows may be kept then.
    """
    tables = [(part, name) for part in parts for name in part.record["tables"]]
    block = max(16, _HELD // max(1, len(tables)))
    listing, faults = Listing(), 0
    told: list[str] = []
    last, before = -1, None
    for position, part, name, row in heapq.merge(*(_placed(*table, block) for table in tables), key=itemgetter(0)):
        fault, item = "", (position, part.folder, name, row[0])
        again = several and item == before
        before = item
        if again:
            pass
        elif position <= last:
            fault = f"position {position} stands twice, again in {part.folder.name}/{name}"
        elif not part.shard.mine(position):
            fault = f"position {position} stands in {part.folder.name}/{name}, but is not shard {part.shard}'s"
        elif position > last + 1:
            fault = f"{_positions(last + 1, position)} nowhere"
        last = max(last, position)
        faults += bool(fault)
        if fault and len(told) < _SHOWN:
            told.append(fault)
        if not again:
            listing.add(str(row[0]))
        if not faults:
            yield name, row
    listed, fingerprint = parts[0].record["listed"], parts[0].record["fingerprint"]
    if last + 1 != listed:
        faults += 1
        beyond = f"position {last} stands there, but {listed:,} items were listed"
        told.append(f"{_positions(last + 1, listed)} nowhere" if last + 1 < listed else beyond)
    if not faults and listing.fingerprint != fingerprint:
        told.append(_repeated(tables, block) or "the names are not those that were listed")
    if told:
        raise _refusal(folder, [*told, *([f"and {faults - len(told)} more such faults"] if faults > len(told) else [])])


def _positions(first: int, end: int) -> str:
    return f"position {first} stands" if end - first == 1 else f"positions {first} to {end - 1} stand"


def _repeated(tables: Sequence[tuple[Part, str]], block: int) -> str:
    """Return a sentence on a name that stands at two positions; called only once something is known to be wrong."""
    seen: dict[bytes, int] = {}
    for position, _, _, row in itertools.chain.from_iterable(_placed(*table, block) for table in tables):
        key = hashlib.blake2b(str(row[0]).encode("utf-8", "surrogateescape"), digest_size=12).digest()
        if key in seen:
            return f"{row[0]!r} stands twice, at positions {seen[key]} and {position}"
        seen[key] = position
    return ""


def _placed(part: Part, name: str, block: int) -> Iterator[tuple[int, Part, str, list[Any]]]:
    """Yield (position, part, table, row) of the rows of a table."""
    for row in table_rows(part, name, block=block):
        try:
            yield int(row[0]), part, name, row[1:]
        except (ValueError, TypeError):
            raise _refusal(part.folder, [f"{name}: {row[0]!r} is not a position"]) from None


def table_rows(part: Part, name: str, *, block: int = 1000) -> Iterator[list[Any]]:
    """Yield the rows of a table of a part, position first, ``block`` at a time; no file is open in between.

    (The parts of a few hundred shards would otherwise take more open files than a process may have.)
    """
    columns = [POSITION, *part.record["tables"][name]["columns"]]
    offset, line, begun, form = 0, 0, False, JsonRows(columns)
    while True:
        with open_record(part.folder / name) as stream:
            stream.seek(offset)
            lines = iter(partial(stream.readline, MAX_JSON_LINE + 1), b"")
            try:
                if name.endswith(".csv"):
                    # Takes no line more than its rows need, so that the place in the file is that of the next row.
                    texts = (text.decode("utf-8", "surrogateescape") for text in lines)
                    rows: list[list[Any]] = list(itertools.islice(csv.reader(texts), block))
                else:
                    rows = []
                    for text in itertools.islice(lines, block):
                        rows.append(list(form.value(text).values()))
            except (ValueError, csv.Error) as error:
                raise _refusal(part.folder, [f"{name} cannot be read behind row {line:,}: {error}"]) from error
            except LineFault as fault:
                raise _refusal(part.folder, [f"{name} is damaged at line {line + len(rows) + 1:,}: {fault}"]) from None
            offset = stream.tell()
        if not rows:
            return
        if name.endswith(".csv") and not begun and rows.pop(0) != columns:
            raise _refusal(part.folder, [f"{name}: its columns are not {', '.join(columns)}"])
        begun, line = True, line + len(rows)
        if odd := next((row for row in rows if len(row) != len(columns)), None):
            raise _refusal(part.folder, [f"{name}: a row has {len(odd)} values, not {len(columns)}: {short_text(odd)}"])
        yield from rows


def _shards(shards: Sequence[Shard]) -> str:
    return f"shard{'s' if len(shards) > 1 else ''} {list_some(shards, 20)}"


def _and(shards: Sequence[Shard]) -> str:
    return ", and so on." if len(shards) > 1 else "."
