"""Name, count and remove the files of a prepared folder and of its parts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from affectkit.core.contained_paths import ContainedPaths
from affectkit.core.files import sha256
from affectkit.core.forms import Count, Hash, form_faults
from affectkit.core.shard_parts import Part, damaged_tables, find_parts, table_rows
from affectkit.core.shard_removal import remove_part, sweep_removed

MANIFEST = "manifest.json"
MARKER = ".affectkit-preparing.json"


REPORT_FORM = {
    "preparation": str, "target": str, "kept": dict[str, dict[str, Count]], "by_rule": dict[str, Count],
    "dropped": dict[str, dict[str, Count]], "images": Count, "notes": list[str], "copies?": dict[str, Any],
}  # fmt: skip
_COUNTS = {"files": Count, "bytes": Count}
MANIFEST_FORM = {"tables?": dict[str, Hash], "images?": dict[str, _COUNTS], "report?": REPORT_FORM}
"""What stands in the manifest of a finished output beside its identity; see ``core.forms``."""
PART_FORM = {
    "manifest": {**MANIFEST_FORM}, "seals": list[str], "inner": list[str], "images": dict[str, _COUNTS],
}  # fmt: skip
"""What the record of a complete part has beside what all parts have."""


def part_fault(inside: ContainedPaths, record: dict[str, Any]) -> str:
    """Return what is wrong with the record of a complete part, as ``read_parts`` asks; empty for nothing."""
    if why := next(form_faults(record, PART_FORM), ""):
        return why
    for key in ("seals", "inner"):
        for name in record[key]:
            if why := "is in another folder" if "/" in name else inside.fault(name):
                return f"{key}: {name!r} {why}"
    for name in record["images"]:
        if why := inside.fault(f"{name}/x"):  # the folder itself is no link either
            return f"the folder {name!r} {why}"
    return ""


def manifest_fault(inside: ContainedPaths, manifest: Any) -> str:
    """Return what is wrong with a manifest, which names tables and folders of images beside it; empty for nothing."""
    if why := next(form_faults(manifest, MANIFEST_FORM), ""):
        return why
    names = [*manifest.get("tables", ()), *(f"images/{split}/x" for split in manifest.get("images", ()))]
    for name in names:
        if why := inside.fault(name):
            return f"{name.removesuffix('/x')!r} {why}"
    return ""


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
