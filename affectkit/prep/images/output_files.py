"""Name, count and remove the files of a prepared folder and of its parts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from affectkit.core.contained_paths import ContainedPaths
from affectkit.core.files import sha256
from affectkit.core.shard_parts import Part, damaged_tables, find_parts, table_rows
from affectkit.core.shard_removal import remove_part, sweep_removed

MANIFEST = "manifest.json"
MARKER = ".affectkit-preparing.json"


def is_leftover(name: str) -> bool:
    """Return whether a file is what an interrupted write left."""
    return name.startswith(".") and name.endswith(".part")


def count_files(folder: Path) -> dict[str, int]:
    """Count the files in ``folder``, and their bytes."""
    with os.scandir(folder) as entries:
        sizes = [entry.stat().st_size for entry in entries if entry.is_file() and not is_leftover(entry.name)]
    return {"files": len(sizes), "bytes": sum(sizes)}


def count_named_files(folder: Path, names: Iterable[str]) -> dict[str, dict[str, int]]:
    """Count the files ``names`` below ``folder``, by their folders; an OSError where one is not there."""
    found: dict[str, dict[str, int]] = {}
    for name in names:
        counts = found.setdefault(str(PurePosixPath(name).parent), {"files": 0, "bytes": 0})
        counts["files"] += 1
        counts["bytes"] += (folder / name).stat().st_size
    return found


def part_is_whole(folder: Path, part: Part) -> bool:
    """Return whether the tables of a complete part, and the images in ``folder`` that they name, are as written."""
    if damaged_tables(part):
        return False
    names = [row[1] for table in part.record["tables"] for row in table_rows(part, table)]
    inside = ContainedPaths(folder)
    if any(inside.fault(name) for name in names):
        return False
    try:
        return count_named_files(folder, names) == part.record["images"]
    except OSError:
        return False


def describe_contents(folder: Path, splits: Sequence[str]) -> dict[str, Any]:
    """Return what a manifest says of the tables and images of ``splits``, so that a change shows; nothing for none."""
    if not splits:
        return {}
    return {
        "tables": {f"{split}.csv": sha256(folder / f"{split}.csv") for split in splits},
        "images": {split: count_files(folder / "images" / split) for split in splits},
    }


def remove_working_files(folder: Path) -> None:
    """Remove from a finished output what was needed on the way: marker, parts, leftovers of interrupted writes."""
    (folder / MARKER).unlink(missing_ok=True)
    for name in os.listdir(folder):
        if is_leftover(name):
            (folder / name).unlink()
    for part in find_parts(folder).values():
        remove_part(part)
    sweep_removed(folder)
