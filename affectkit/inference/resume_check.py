"""Check that the rows in a results folder were made as they are asked for now."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectkit.core.assets import edition_of
from affectkit.core.missing_paths import at_home
from affectkit.core.record_identity import check_same
from affectkit.core.shard_parts import read_record
from affectkit.data.faces.selection import LIMITS
from affectkit.errors import CheckpointError, UsageError
from affectkit.inference.run_record import read_run_record
from affectkit.inference.table_layout import BOX_COLUMNS, FACE_COLUMNS, LATER_COLUMNS, RECORD
from affectkit.inference.table_reader import read_columns

TORCH = "torch"
"""The engine of records that name none."""
DECISIONS = ("abstain", "prior", "training_prior", "valence_arousal", "valence_arousal_from")
IMAGE_KEYS = ("paths", "recursive", "faces_by", "face_detector", "face_detector_sha256", *LIMITS, "fit", *DECISIONS)
"""Entries of the record of images that must be alike to resume."""
VIDEO_KEYS = (
    "paths", "recursive", "faces_by", "face_detector", "face_detector_sha256", *LIMITS,
    "search_side", "track_gap", "every", "smooth", "seconds", *DECISIONS,
)  # fmt: skip


def check_images(record: Path, summary: Mapping[str, Any]) -> None:
    """Refuse to resume a table of images that was made otherwise.

    Args:
        record: what the earlier run wrote.
        summary: what the record says from the start now.

    Raises:
        CheckpointError: with another checkpoint.
        UsageError: of other paths or options, or of videos alone.
    """
    before = _read(record, summary)
    if "every" in before:
        why = f"the rows in {record.parent} are those of videos alone, and now there are images, too."
        raise UsageError(why, "Name another --results folder.")
    hint = "Name the same images, another --results folder, or --force."
    before = _spelled_as(before, summary)
    check_same(before, summary, keys=IMAGE_KEYS, what=_what(record.parent), hint=hint)


def check_videos(record: Path, summary: Mapping[str, Any]) -> None:
    """Refuse to resume a table of videos that was made otherwise; see ``check_images``."""
    before = _read(record, summary)
    if "every" not in before:
        raise UsageError(
            f"the rows in {record.parent} are those of images, and now there are videos alone.",
            "Name another --results folder.",
        )
    if "track_gap" in summary:  # older records name none; a video is tracked from its beginning to its end by one run
        before = {"track_gap": summary["track_gap"], **before}
    hint = "Give the same options, another --results folder, or --force."
    before = _spelled_as(before, summary)
    check_same(before, summary, keys=VIDEO_KEYS, what=_what(record.parent), hint=hint)


def settled_columns(table: Path, header: Sequence[str], *, searched: bool) -> list[str]:
    """Return the columns with which the rows of a table go on: its own, where an earlier version wrote it, and it lacks
    nothing but what came later and can be left out; else ``header``.

    Args:
        table: finished or growing; it may be missing.
        header: the columns that it would have now.
        searched: whether faces were searched: what rows of these lack cannot be left out; of pictures taken whole the
            columns of faces say nothing.
    """
    found = read_columns(table) or []
    later = LATER_COLUMNS if searched else (*LATER_COLUMNS, *FACE_COLUMNS[len(BOX_COLUMNS) :])
    return found if found == _without(header, later, found) else list(header)


def describe_settled(table: Path, header: Sequence[str], settled: Sequence[str]) -> list[str]:
    """Return a note on the columns of ``header`` that the rows of ``table`` do without; none where there are none."""
    lacking = [name for name in LATER_COLUMNS if name in header and name not in settled]
    if not lacking:
        return []
    return [
        f"{table} was begun by an earlier version of affectkit: it keeps its columns, without {', '.join(lacking)} "
        "(--force predicts everything anew, with them)"
    ]


def check_columns(table: Path, header: Sequence[str]) -> None:
    """Refuse to resume a table whose faces have the columns of an earlier version, without landmarks.

    Args:
        table: finished or growing; it may be missing.
        header: the columns that it would have now.

    Raises:
        UsageError: it has those.
    """
    found = read_columns(table) or []
    without = _without(header, FACE_COLUMNS[len(BOX_COLUMNS) :], found)
    if without != list(header) and found in (without, _without(without, LATER_COLUMNS, found)):
        raise UsageError(
            f"{table} was written by an earlier version of affectkit: its rows of faces end with "
            f"{BOX_COLUMNS[-1]!r}, and now {', '.join(FACE_COLUMNS[len(BOX_COLUMNS) :][:3])} and more follow.",
            "Name another --results folder, or add --force to predict everything anew.",
        )


def check_shard(folder: Path, identity: Mapping[str, Any]) -> None:
    """Refuse to resume a shard whose ``identity`` was another one.

    Raises:
        UsageError: it was.
    """
    found = (read_record(folder) or {}).get("identity", {})
    found = _spelled_as({"engine": TORCH, **found}, identity) if found else found
    check_same(found, identity, keys=identity, what=_what(folder), hint="Add --force to run this shard again.")


def engine_of_rows(folder: Path) -> str | None:
    """Return the engine that computed the rows in a results folder; None where there are none."""
    record = folder / RECORD
    before = read_run_record(record)
    return before.get("engine", TORCH) if "checkpoint_sha256" in before else None


def check_engine(before: Mapping[str, Any], summary: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with rows that another engine computed: theirs differ in the last digits.

    Raises:
        UsageError: another did; records from before there were several are torch's.
    """
    there, now = before.get("engine", TORCH), summary.get("engine", TORCH)
    if before and there != now:
        raise UsageError(
            f"the rows in {folder} were computed by {there}, and now {now} would compute them, whose numbers differ in "
            "the last digits.",
            f"Add --engine {there} to go on with them; or name another --results folder, or --force.",
        )


def _without(header: Sequence[str], columns: Sequence[str], found: Sequence[str]) -> list[str]:
    """Return ``header`` without those of ``columns`` that are not in ``found``."""
    return [name for name in header if name not in columns or name in found]


def _spelled_as(before: dict[str, Any], summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with its one folder written as now, where both name the same: its rows are named within it."""
    there, now = before.get("paths"), list(summary["paths"])
    if not isinstance(there, list) or len(there) != 1 or len(now) != 1:
        return before
    old, new = (at_home(str(paths[0])) for paths in (there, now))
    if new.is_dir() and os.path.realpath(old) == os.path.realpath(new):
        return {**before, "paths": now}
    return before


def _what(folder: Path) -> str:
    return f"the rows in {folder} were made otherwise"


def _read(record: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Read the record, and refuse that of another checkpoint."""
    before = read_run_record(record)
    check_engine(before, summary, record.parent)
    if (made_with := before.get("checkpoint_sha256")) != summary["checkpoint_sha256"]:
        name = edition_of(made_with)
        raise CheckpointError(
            f"the rows in {record.parent} were made with {name or 'another checkpoint'}.",
            f"Name {f'it (--checkpoint {name})' if name else 'that checkpoint'}, another --results folder, or --force.",
        )
    return before
