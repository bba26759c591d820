"""Merge the shards of an inference into what one run would have written."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from affectkit.core.files import fsync_path, sha256, to_json, write_json
from affectkit.core.forms import form_faults
from affectkit.core.progress import Reporter
from affectkit.core.shard_parts import Part, merged_rows, read_parts
from affectkit.core.shard_removal import finish_removal
from affectkit.core.shard_removal import remove_parts as remove_shards
from affectkit.core.shards import POSITION
from affectkit.errors import DataError, UsageError
from affectkit.inference.journal import input_columns, input_values, read_inputs
from affectkit.inference.result_files import ImageCounts, count_abstained
from affectkit.inference.run_record import IMAGES_FORM, read_run_record
from affectkit.inference.table_layout import (
    BOX_COLUMNS,
    FACE_COLUMNS,
    FIRST,
    INPUTS,
    NAME,
    RECORD,
    ROWS,
    SKIPPED,
    SKIPPED_COLUMNS,
    has_limits,
)
from affectkit.inference.table_writer import TableWriter, csv_line, growing_form, open_text, to_parquet
from affectkit.tasks.decision import ABSTAINED

_BLOCK = 500
_TEMPORARY = ".merging-"
_PART_FORM = {"identity": {"format": Literal["csv", "jsonl", "parquet"]}, "summary": dict[str, Any]}


def merge(folder: Path, *, force: bool = False, remove_parts: bool = False, reporter: Reporter) -> dict[str, Any]:
    """Write the result table, the skipped list and the record of all parts in ``folder`` into it.

    The bytes are those that the unsharded command would have written there. Memory does not grow with the number of
    images. Nothing is written before all parts have been checked and read to their ends; the table comes last.

    Args:
        folder: the results folder.
        force: replace another result that stands in ``folder``.
        remove_parts: remove the parts once their result stands there.
        reporter: hears of the progress.

    Returns:
        the record, with ``"parts"`` and ``"already_done"``.

    Raises:
        DataError: the parts cannot be put together; all reasons are listed.
        UsageError: another result stands in ``folder``.
    """
    removed = finish_removal(folder)
    if removed is not None:
        reporter.note("finished removing the shards, which an earlier merge had put together")
        return {**read_run_record(folder / RECORD, IMAGES_FORM), "parts": removed, "already_done": True}
    reporter.note("checking the shards")
    parts = read_parts(folder, finish=" --resume", redo=" --force", fault_of=_record_fault)
    _refuse_other_columns(folder, parts)
    with tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=folder, ignore_cleanup_errors=True) as made:
        record = _put_together(folder, Path(made), parts, reporter)
        table = Path(record["results"])
        already = _same(folder, Path(made), table.name)
        if not already:
            _clear((table, folder / f"{ROWS}.{_form_of(parts)}.part"), force)
            _install(folder, Path(made), table.name)
    if remove_parts:
        names = (table.name, RECORD, INPUTS, SKIPPED)
        remove_shards(folder, parts, [name for name in names if (folder / name).exists()])
    for left in folder.glob(f"{_TEMPORARY}*"):  # of merges that were killed
        shutil.rmtree(left, ignore_errors=True)
    return {**record, "parts": len(parts), "already_done": already}


def _record_fault(record: dict[str, Any]) -> str:
    """Return what is wrong with the record of a complete part, as ``read_parts`` asks."""
    if why := next(form_faults(record, _PART_FORM), ""):
        return why
    table = f"{ROWS}.{growing_form(record['identity']['format'])}"
    if table not in record["tables"]:
        return f"it has no table {table}"
    if set(record["tables"]) - {table, SKIPPED}:
        return "it has tables that infer does not write"
    columns = record["tables"][table]["columns"]
    if columns[0] != NAME or not _has_face_columns(columns):
        return f"tables.{table}.columns are not those of infer"
    if record["tables"].get(SKIPPED, {}).get("columns", [*SKIPPED_COLUMNS]) != [*SKIPPED_COLUMNS]:
        return f"tables.{SKIPPED}.columns are not {', '.join(SKIPPED_COLUMNS)}"
    return ""


def _refuse_other_columns(folder: Path, parts: Sequence[Part]) -> None:
    """Raise a DataError where the rows of some parts lack columns that those of others have, as of earlier versions."""
    name = f"{ROWS}.{_form_of(parts)}"
    tables = [part.record["tables"][name]["columns"] for part in parts]
    most = max(tables, key=len)
    others = [part.shard for part, columns in zip(parts, tables, strict=True) if columns != most]
    if not others:
        return
    lacking = [column for column in most if column not in tables[others[0].number - 1]]
    why = f" lacks {', '.join(lacking)}, as tables of earlier versions of affectkit do" if lacking else " has others"
    raise DataError(
        f"the shards in {folder} cannot be put together: their columns differ: shard {others[0]}{why}.",
        f"Run {', '.join(map(str, others))} again with --shard I/{others[0].count} --force.",
    )


def _has_face_columns(columns: Sequence[str]) -> bool:
    """Return whether the columns of faces are those of this version, of an earlier one, or none."""
    if FACE_COLUMNS[0] not in columns:
        return True
    more = [name for name in columns if name in FACE_COLUMNS[len(BOX_COLUMNS) :]]
    known = FACE_COLUMNS if more else BOX_COLUMNS
    return tuple(columns[1 : 1 + len(known)]) == known


def _put_together(folder: Path, made: Path, parts: Sequence[Part], reporter: Reporter) -> dict[str, Any]:
    """Write the files into ``made``, under their final names; returns the record, with the paths of the results."""
    form = parts[0].record["identity"]["format"]
    lines = made / f"{ROWS}.{_form_of(parts)}"
    columns = next(table["columns"] for name, table in parts[0].record["tables"].items() if name == lines.name)
    with_faces, last, summary = FACE_COLUMNS[0] in columns, None, parts[0].record["summary"]
    with_abstained = columns[-1] == ABSTAINED
    counts = ImageCounts()
    reasons: list[dict[str, str]] = []
    reporter.start("merging", parts[0].record["listed"], "images")
    with open_text(lines, "w") as stream, open_text(made / SKIPPED, "w") as skips:
        table = TableWriter(stream, columns, lines.suffix[1:], begun=False)
        skips.write(csv_line(list(SKIPPED_COLUMNS)))
        for block in _blocks(merged_rows(folder, parts, several=with_faces)):
            rows = [row for name, row in block if name == lines.name]
            table.add(rows)
            counts.abstained += count_abstained(rows) if with_abstained else 0
            for row in rows:
                counts.images += row[0] != last
                last = row[0]
                found = with_faces and row[1] not in ("", None)
                counts.faces += found
                if with_faces and not found:
                    counts.add_empty(row[0])
            skipped = [row for name, row in block if name == SKIPPED]
            skips.writelines(map(csv_line, skipped))
            reasons += [{"image": row[0], "reason": row[1]} for row in skipped[: FIRST - len(reasons)]]
            counts.skipped += len(skipped)
            reporter.advance(len(block))
    reporter.finish()
    final = folder / f"{ROWS}.{form}"
    if form == "parquet":
        to_parquet(lines, made / final.name)
        lines.unlink()
    _merge_inputs(parts, made / INPUTS, counts, has_limits(summary))
    record = {
        **summary,
        **counts.summary(with_faces=with_faces, with_limits=has_limits(summary), with_abstained=with_abstained),
        "skipped_first": reasons,
        "format": form,
        "results": str(final),
    }
    if counts.skipped:
        record["skipped_list"] = str(folder / SKIPPED)
    else:
        (made / SKIPPED).unlink()
    write_json(made / RECORD, record)
    return record


_HELD = 200
"""Parts whose files are open together, at most; systems allow a process 256 or 1,024."""


def _merge_inputs(parts: Sequence[Part], target: Path, counts: ImageCounts, with_limits: bool) -> None:
    """Write what marks the files of all parts, in the order of their positions, of which each part has every N-th."""
    blocks = [_inputs_of(part, held=len(parts) <= _HELD) for part in parts]
    with open_text(target, "w") as stream:
        stream.write(csv_line([NAME, *input_columns(with_limits)]))
        for position in range(parts[0].record["listed"]):
            entry = next(blocks[position % len(parts)], None)
            if entry is None or entry["position"] != position:
                raise DataError(
                    f"{parts[position % len(parts)].folder / INPUTS} is not as it was written.",
                    "Run this shard again with --force.",
                )
            if entry["rows"]:
                counts.add_frames(entry["frames"])
            counts.left_out.update(entry.get("left_out", {}))
            stream.write(csv_line([entry["name"], *input_values(entry, with_limits)]))


def _inputs_of(part: Part, *, held: bool) -> Iterator[dict[str, Any]]:
    """Yield what marks the files of a part; nothing where an earlier version wrote it.

    Args:
        held: the file stays open; else it is read anew for each block, as with more parts than files may be open.
    """
    path, taken = part.folder / INPUTS, 0
    if held and path.exists():
        yield from read_inputs(path, [POSITION, NAME])
        return
    while path.exists():
        with contextlib.closing(read_inputs(path, [POSITION, NAME])) as found:
            block = list(itertools.islice(found, taken, taken + _BLOCK))
        yield from block
        taken += len(block)
        if len(block) < _BLOCK:
            return


def _form_of(parts: Sequence[Part]) -> str:
    """Return the form of the parts' tables: Parquet is made at the end alone."""
    return growing_form(parts[0].record["identity"]["format"])


def _blocks(rows: Iterator[tuple[str, list[Any]]]) -> Iterator[list[tuple[str, list[Any]]]]:
    while block := list(itertools.islice(rows, _BLOCK)):
        yield block


def _same(folder: Path, made: Path, table: str) -> bool:
    """Return whether ``folder`` holds what is in ``made`` already; paths in the record may be written otherwise."""
    for name in (table, SKIPPED, INPUTS):
        if _hash(folder / name) != _hash(made / name):
            return False
    try:
        records = [read_run_record(here / RECORD) for here in (folder, made)]
    except DataError:
        return False
    for record in records:
        for key in ("results", "skipped_list", "images_without_face_first"):  # the last is new, and in the table
            record.pop(key, None)
    return to_json(records[0]) == to_json(records[1])


def _hash(path: Path) -> str | None:
    return sha256(path) if path.is_file() else None


def _clear(paths: Sequence[Path], force: bool) -> None:
    """Make room, or refuse; a record without a table, finished or not, is that of a killed merge."""
    before = [path for path in paths if path.exists()]
    if before and not force:
        raise UsageError(
            f"{before[0]} exists, and is not what the shards make.", "Move it away, or add --force to replace it."
        )
    for path in before:
        path.unlink()


def _install(folder: Path, made: Path, table: str) -> None:
    """Move the files from ``made`` into ``folder``, the table last."""
    if not (made / SKIPPED).exists():
        (folder / SKIPPED).unlink(missing_ok=True)
    for name in (SKIPPED, INPUTS, RECORD, table):
        if (made / name).exists():
            fsync_path(made / name)
            os.replace(made / name, folder / name)
    fsync_path(folder)
