"""The end of a preparation of clips: tables of the splits, statistics, a report on every clip, the record."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectkit.core.files import read_json, to_json, write_json, write_text
from affectkit.core.version import VERSION
from affectkit.data.layouts.clip_store import FORMAT, KIND, MANIFEST, SPLITS
from affectkit.data.layouts.duplicates import Copies, find_copies
from affectkit.errors import DataError
from affectkit.prep.clips.store_writer import Fault, Recipe, Written, variance_of

Row = dict[str, str]


@dataclass(frozen=True)
class Prepared:
    """What a preparation is to write beside its store.

    Attributes:
        dataset: its name. classes: of the labels, in order. labels: ``intended`` or ``votes``.
        rows: of each clip of a split, in order, without its name: ``label`` first.
        sides: the split of each clip. described: columns whose values are counted in the statistics.
        settings: what the user chose. people: the column that names who is seen, for the statistics; empty: none.
    """

    dataset: str
    classes: tuple[str, ...]
    labels: str
    rows: Mapping[str, Row]
    sides: Mapping[str, str]
    described: tuple[str, ...]
    settings: dict[str, Any]
    people: str = ""


@dataclass
class ClipReport:
    """What a preparation did: counts by split and class, the clips that were left out, notes and warnings.

    ``copies``: exact copies across splits, see ``data.layouts.duplicates.Copies.record``.
    ``made``: clips that were read now.
    ``done``: there was nothing to do.
    """

    dataset: str
    counts: dict[str, dict[str, int]]
    faults: list[Fault]
    variance: dict[str, float]
    bytes_per_clip: float
    statistics: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    copies: dict[str, Any] = field(default_factory=dict)
    made: int = 0
    done: bool = False

    @property
    def broken(self) -> list[Fault]:
        """The faults that were not expected."""
        return [fault for fault in self.faults if fault.reason not in EXPECTED]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "dataset": self.dataset,
            "clips": {name: sum(found.values()) for name, found in self.counts.items()},
            "classes": self.counts,
            "left_out": [vars(fault) for fault in self.faults],
            "variance": self.variance,
            "bytes_per_clip": self.bytes_per_clip,
            "statistics": self.statistics,
            "notes": self.notes,
            "warnings": self.warnings,
            "copies": self.copies,
            "clips_read": self.made,
            "already_done": self.done,
        }


EXPECTED = ("known-faulty", "no-votes", "not-listed", "copy")
"""Reasons for which a clip is left out although it may be whole."""


def finish(
    output: Path,
    prepared: Prepared,
    recipe: Recipe,
    written: Written,
    left_out: Sequence[Fault],
    *,
    frames: int,
    drop_copies: bool = False,
) -> ClipReport:
    """Write tables, statistics and report, and the manifest last; returns the report.

    Copies across splits are counted by what is stored of the clips, and left out of valid and test with
    ``drop_copies``.

    Raises:
        DataError: a split would be empty.
    """
    rows, sides = prepared.rows, prepared.sides
    members = {split: [name for name in rows if sides.get(name) == split] for split in SPLITS}
    members, copies, dropped = _apart(members, written, drop=drop_copies)
    for split in ("train", "valid"):
        if not members[split]:
            raise DataError(f"no clip is left for the {split} split.", "Choose another --split, or mend the clips.")
    members = {split: names for split, names in members.items() if names}
    faults = [*left_out, *written.faults, *dropped]
    statistics = {split: _statistics(names, prepared) for split, names in members.items()}
    variance = variance_of(written.facts[name] for name in members["train"])
    manifest = {
        "affectkit": VERSION,
        "format": FORMAT,
        "kind": KIND,
        "dataset": prepared.dataset,
        "clip": recipe.clip.to_dict(),
        "sound_level": None if recipe.clip.sound is None else recipe.clip.sound.level,
        "height": recipe.size,
        "width": recipe.size,
        "frames": frames,
        "classes": list(prepared.classes),
        "labels": prepared.labels,
        "splits": {split: len(names) for split, names in members.items()},
        "variance": variance,
        "bytes_per_clip": round(written.bytes_per_clip(output)),
        "settings": prepared.settings,
        "left_out": [vars(fault) for fault in faults],
        "shards": {shard: names for shard, names in written.shards.items() if names},
        "copies": {split: found.record(dropped=drop_copies) for split, found in copies.items()},
        "sources": {name: fact["digest"] for name, fact in written.facts.items()},
        "tables": _mark_of({split: [[name, rows[name]] for name in names] for split, names in members.items()}),
    }
    if recipe.clip.features is not None:
        manifest |= dict(zip(("height", "width"), recipe.clip.features[0], strict=True))
    report = ClipReport(
        prepared.dataset,
        {split: _counts(names, rows, "label", prepared.classes) for split, names in members.items()},
        faults,
        variance,
        manifest["bytes_per_clip"],
        statistics,
        copies=manifest["copies"],
        warnings=[text for found in copies.values() if (text := found.told("clips", dropped=drop_copies))],
        made=written.made,
    )
    there = all((output / f"{split}.csv").is_file() == (split in members) for split in SPLITS)
    if not written.made and there and _is_same(output / MANIFEST, manifest):
        report.done = True
        return report
    (output / MANIFEST).unlink(missing_ok=True)
    for split in SPLITS:
        if split in members:
            _write_rows(output / f"{split}.csv", [{"filename": name, **rows[name]} for name in members[split]])
        else:
            (output / f"{split}.csv").unlink(missing_ok=True)
    _write_rows(output / "report.csv", _report_rows(prepared, faults))
    write_json(output / "statistics.json", statistics)
    write_text(output / "statistics.txt", statistics_text(statistics))
    write_json(output / MANIFEST, manifest)
    return report


def _report_rows(prepared: Prepared, faults: Sequence[Fault]) -> list[dict[str, str]]:
    """A row a clip: the split that it is in, or why it was left out."""
    lost = [{"clip": f.name, "split": "", "reason": f.reason, "message": f.message} for f in faults]
    gone = {fault.name for fault in faults}
    kept = [
        {"clip": name, "split": prepared.sides.get(name, ""), "reason": "", "message": ""}
        for name in prepared.rows
        if name not in gone
    ]
    return sorted(kept + lost, key=lambda row: row["clip"])


def _apart(
    members: Mapping[str, list[str]], written: Written, *, drop: bool
) -> tuple[dict[str, list[str]], dict[str, Copies], list[Fault]]:
    """The clips of the splits without copies of clips in earlier ones where ``drop`` says so, and the copies."""
    kept, dropped = dict(members), []
    digests = {split: [written.facts[name]["digest"] for name in names] for split, names in members.items() if names}
    found = find_copies(digests)
    for split in found if drop else ():
        flags = dict(zip(members[split], found[split].any(), strict=True))
        gone = [name for name in flags if flags[name]]
        dropped += [Fault(name, "copy", f"{name} is a copy of a clip in an earlier split.") for name in gone]
        kept[split] = [name for name in members[split] if not flags[name]]
    return kept, found, dropped


def begin_again(output: Path) -> None:
    """Take away the mark of a complete preparation before anything of it changes."""
    (output / MANIFEST).unlink(missing_ok=True)


def _is_same(path: Path, manifest: Mapping[str, Any]) -> bool:
    return path.is_file() and read_json(path) == manifest


def _mark_of(tables: Mapping[str, Any]) -> str:
    """A hash of what the tables of the splits say: votes or sides may change where no clip does."""
    return hashlib.sha256(to_json(tables, None).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _counts(names: Sequence[str], rows: Mapping[str, Row], column: str, kinds: Sequence[str]) -> dict[str, int]:
    found = Counter(rows[name][column] for name in names)
    return {kind: found[kind] for kind in kinds}


def _statistics(names: Sequence[str], prepared: Prepared) -> dict[str, Any]:
    """Of a split: how many clips and people, and counts and shares by class of each described column."""
    rows = prepared.rows
    found: dict[str, Any] = {"clips": len(names)}
    if prepared.people:
        found[f"{prepared.people}s"] = len({rows[name][prepared.people] for name in names})
    for column in prepared.described:
        kinds = sorted({row[column] for row in rows.values()})
        counts = _counts(names, rows, column, kinds)
        found[column] = {kind: {"count": n, "percent": round(100 * n / len(names), 2)} for kind, n in counts.items()}
    return found


def statistics_text(statistics: Mapping[str, Any]) -> str:
    """The statistics for reading: a block a split, a line a class."""
    lines = []
    for split, found in statistics.items():
        whole = [f"{name} {value:,}" for name, value in found.items() if isinstance(value, int)]
        lines.append(f"{split}: {', '.join(whole)}")
        for column, kinds in found.items():
            if isinstance(kinds, int):
                continue
            lines.append(f"  {column}")
            lines += [f"    {kind:<18} {value['count']:>6,} {value['percent']:>6.2f}%" for kind, value in kinds.items()]
        lines.append("")
    return "\n".join(lines)


def _write_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())
