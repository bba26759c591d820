"""The parts of a preparation put together into what one run would have written."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from affectkit.core.contained_paths import ContainedPaths
from affectkit.core.files import read_json, whole_file, write_json
from affectkit.core.progress import Reporter
from affectkit.core.shard_parts import Part, find_parts, merged_rows, read_parts
from affectkit.errors import DataError
from affectkit.prep.images.output_files import (
    MANIFEST,
    count_files,
    describe_contents,
    manifest_fault,
    part_fault,
    part_is_whole,
    remove_working_files,
)

_STEP = 500
_OF_A_PLACE = ("source",)
"""Keys in which the manifests of parts may differ: shards on other machines may see the download elsewhere."""


def merge_preparation(folder: Path, *, reporter: Reporter) -> dict[str, Any]:
    """Check all parts in ``folder`` and the images they list; write the tables, the manifest; remove the parts.

    The folder then is, byte for byte, what the unsharded command makes. Killed at any moment, the same call finishes.

    Returns:
        the manifest, with ``"output"``, ``"parts"`` and ``"already_done"``.

    Raises:
        DataError: the parts cannot be put together; all reasons are listed.
    """
    manifest, inside = folder / MANIFEST, ContainedPaths(folder)
    if manifest.is_file():  # an earlier merge was killed after all was in its place
        found = read_json(manifest)
        if why := manifest_fault(inside, found):
            raise DataError(f"cannot read {manifest}: {why}.", "Nothing was touched; remove it, and merge again.")
        parts = len(find_parts(folder))
        remove_working_files(folder)
        return {**found, "output": str(folder), "parts": parts, "already_done": True}
    reporter.note("checking the shards")
    parts = read_parts(folder, fault_of=partial(part_fault, inside))
    _check(folder, parts)
    first = parts[0].record
    _write_tables(folder, parts, [name for name in first["tables"] if name not in first["inner"]], reporter)
    if hasattr(os, "sync"):
        os.sync()
    result = first["manifest"] | describe_contents(folder, first["seals"])
    write_json(manifest, result)
    remove_working_files(folder)
    return {**result, "output": str(folder), "parts": len(parts), "already_done": False}


def _check(folder: Path, parts: Sequence[Part]) -> None:
    """Raise a DataError where parts differ about the whole, or images are not those that they list."""
    wholes = [{key: part.record["manifest"][key] for key in _of_the_whole(part)} for part in parts]
    if any(one != wholes[0] for one in wholes):
        raise DataError(f"the shards in {folder} were made from different sources.", "Run the shards again.")
    wanted: dict[str, dict[str, int]] = {}
    for part in parts:
        for name, counts in part.record["images"].items():
            total = wanted.setdefault(name, {"files": 0, "bytes": 0})
            for key, value in counts.items():
                total[key] += value
    found = {name: count_files(folder / name) if (folder / name).is_dir() else {} for name in wanted}
    if found == wanted:
        return
    # Only now is every image of every part checked, to say which shards must run again.
    odd = [str(part.shard) for part in parts if not part_is_whole(folder, part)]
    if odd:
        raise DataError(
            f"images in {folder} that shards wrote are missing or changed: those of {', '.join(odd)}.",
            f"Run the same command with --shard {odd[0]}{', and so on' if len(odd) > 1 else ''}: it makes them again.",
        )
    names = ", ".join(name for name in wanted if found[name] != wanted[name])
    raise DataError(f"{folder} holds files that no shard wrote, in {names}.", "Remove them, then merge again.")


def _of_the_whole(part: Part) -> Iterator[str]:
    return (key for key in part.record["manifest"] if key not in _OF_A_PLACE)


def _write_tables(folder: Path, parts: Sequence[Part], names: Sequence[str], reporter: Reporter) -> None:
    """Merge the tables ``names`` of all parts, row by row in order; all appear, or none."""
    first = parts[0].record
    reporter.start("merging", first["listed"], "rows")
    with contextlib.ExitStack() as stack:
        writers = {}
        for name in names:
            path = stack.enter_context(whole_file(folder / name))
            stream = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
            writers[name] = csv.writer(stream, lineterminator="\n")
            writers[name].writerow(first["tables"][name]["columns"])
        count = 0
        for name, row in merged_rows(folder, parts):
            if name in writers:
                writers[name].writerow(row)
            count += 1
            if count % _STEP == 0:
                reporter.advance(_STEP)
        reporter.advance(count % _STEP)
    reporter.finish()
