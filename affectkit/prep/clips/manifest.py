"""Results of a preparation of clips: tables of the splits, statistics, a report on every clip, the manifest last."""

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
from affectkit.core.text import count_text, list_some
from affectkit.core.version import VERSION
from affectkit.data.layouts.clip_store import FORMAT, KIND, MANIFEST, SPLITS
from affectkit.data.layouts.duplicates import Copies, find_copies
from affectkit.errors import DataError
from affectkit.prep.clips.dataset import EXPECTED, ClipDataset, Row, SkippedClip, SplitAssignment
from affectkit.prep.clips.store_writer import ClipRecipe, StoredClips, input_variance


@dataclass
class ClipReport:
    """Report what a preparation of clips did.

    Attributes:
        dataset: as the command is called.
        counts: clips by split and class.
        skipped: clips that were left out.
        variance: of the training clips, as ``store_writer.input_variance``.
        bytes_per_clip: of the arrays on the disk.
        statistics: by split, see ``statistics_text``.
        notes: what a user should know.
        warnings: what makes results doubtful.
        copies: exact copies across splits, see ``data.layouts.duplicates.Copies.record``.
        made: clips that were read now.
        done: there was nothing to do.
    """

    dataset: str
    counts: dict[str, dict[str, int]]
    skipped: list[SkippedClip]
    variance: dict[str, float]
    bytes_per_clip: float
    statistics: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    copies: dict[str, Any] = field(default_factory=dict)
    made: int = 0
    done: bool = False

    @property
    def broken(self) -> list[SkippedClip]:
        """Return clips that were left out for a reason that is not expected."""
        return [clip for clip in self.skipped if clip.reason not in EXPECTED]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for ``--json``."""
        return {
            "dataset": self.dataset,
            "clips": {name: sum(found.values()) for name, found in self.counts.items()},
            "classes": self.counts,
            "left_out": [vars(clip) for clip in self.skipped],
            "variance": self.variance,
            "bytes_per_clip": self.bytes_per_clip,
            "statistics": self.statistics,
            "notes": self.notes,
            "warnings": self.warnings,
            "copies": self.copies,
            "clips_read": self.made,
            "already_done": self.done,
        }


def write_results(
    output: Path,
    dataset: ClipDataset,
    assignment: SplitAssignment,
    recipe: ClipRecipe,
    store: StoredClips,
    *,
    drop_copies: bool = False,
) -> ClipReport:
    """Write tables, statistics and report of a store, and the manifest last.

    Copies across splits are counted by what is stored of the clips.

    Args:
        output: the folder that holds the store.
        dataset: its ``rows`` are those of the stored clips, in order.
        assignment: the split of each.
        recipe: how they were read.
        store: what was stored.
        drop_copies: leave copies out of valid and test.

    Raises:
        DataError: a split would be empty.
    """
    members = {split: [name for name in dataset.rows if assignment.split_of.get(name) == split] for split in SPLITS}
    members, copies, dropped = _apart(members, store, drop=drop_copies)
    for split in ("train", "valid"):
        if not members[split]:
            raise DataError(f"no clip is left for the {split} split.", "Choose another --split-by, or fix the clips.")
    members = {split: names for split, names in members.items() if names}
    skipped = [*dataset.left_out, *store.skipped, *dropped]
    records = {split: found.record(dropped=drop_copies) for split, found in copies.items()}
    manifest = _manifest(output, dataset, members, skipped, records, recipe=recipe, store=store)
    report = ClipReport(
        dataset.name,
        {split: _counts(names, dataset.rows, "label", dataset.classes) for split, names in members.items()},
        skipped,
        manifest["variance"],
        manifest["bytes_per_clip"],
        {split: _statistics(names, dataset) for split, names in members.items()},
        notes=[*assignment.notes, *_describe_notes(store.notes)],
        warnings=[
            *assignment.warnings,
            *(text for found in copies.values() if (text := found.describe("clips", dropped=drop_copies))),
        ],
        copies=records,
        made=store.made,
    )
    there = all((output / f"{split}.csv").is_file() == (split in members) for split in SPLITS)
    if not store.made and there and _is_same(output / MANIFEST, manifest):
        report.done = True
        return report
    discard_manifest(output)
    _write_tables(output, dataset, members)
    _write_rows(output / "report.csv", _report_rows(dataset, assignment, skipped))
    write_json(output / "statistics.json", report.statistics)
    write_text(output / "statistics.txt", statistics_text(report.statistics))
    write_json(output / MANIFEST, manifest)
    return report


def _describe_notes(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a sentence for each note on clips, with the clips that it is of."""
    return [f"{count_text(len(names), 'clip')}: {text} ({list_some(names, 3)})" for text, names in notes.items()]


def _manifest(
    output: Path,
    dataset: ClipDataset,
    members: Mapping[str, list[str]],
    skipped: Sequence[SkippedClip],
    copies: Mapping[str, Any],
    *,
    recipe: ClipRecipe,
    store: StoredClips,
) -> dict[str, Any]:
    """Make the manifest: what the output is made of, and hashes by which a later run sees that nothing changed."""
    tables = {split: [[name, dataset.rows[name]] for name in names] for split, names in members.items()}
    sizes = (recipe.size, recipe.size) if recipe.clip.features is None else recipe.clip.features[0]
    return {
        "affectkit": VERSION,
        "format": FORMAT,
        "kind": KIND,
        "dataset": dataset.name,
        "clip": recipe.clip.to_dict(),
        "sound_level": None if recipe.clip.sound is None else recipe.clip.sound.level,
        **dict(zip(("height", "width"), sizes, strict=True)),
        "frames": recipe.frames,
        "classes": list(dataset.classes),
        "labels": dataset.labels,
        "splits": {split: len(names) for split, names in members.items()},
        "variance": input_variance(store.facts[name] for name in members["train"]),
        "bytes_per_clip": round(store.bytes_per_clip(output)),
        "settings": dict(dataset.settings),
        "left_out": [vars(clip) for clip in skipped],
        "shards": {shard: names for shard, names in store.shards.items() if names},
        "copies": dict(copies),
        "sources": {name: fact["digest"] for name, fact in store.facts.items()},
        "tables": _hash_of(tables),
    }


def _write_tables(output: Path, dataset: ClipDataset, members: Mapping[str, list[str]]) -> None:
    """Write the table of each split; that of a split without a clip goes."""
    for split in SPLITS:
        if split in members:
            rows = [{"filename": name, **dataset.rows[name]} for name in members[split]]
            _write_rows(output / f"{split}.csv", rows)
        else:
            (output / f"{split}.csv").unlink(missing_ok=True)


def _report_rows(
    dataset: ClipDataset, assignment: SplitAssignment, skipped: Sequence[SkippedClip]
) -> list[dict[str, str]]:
    """Return one row for each clip: the split that it is in, or why it was left out."""
    lost = [{"clip": clip.name, "split": "", "reason": clip.reason, "message": clip.message} for clip in skipped]
    gone = {clip.name for clip in skipped}
    kept = [
        {"clip": name, "split": assignment.split_of.get(name, ""), "reason": "", "message": ""}
        for name in dataset.rows
        if name not in gone
    ]
    return sorted(kept + lost, key=lambda row: row["clip"])


def _apart(
    members: Mapping[str, list[str]], store: StoredClips, *, drop: bool
) -> tuple[dict[str, list[str]], dict[str, Copies], list[SkippedClip]]:
    """Find the copies of clips in earlier splits, and leave them out where ``drop`` says so.

    Returns:
        The clips of each split, the copies found in each, and the clips that were left out.
    """
    kept, dropped = dict(members), []
    digests = {split: [store.facts[name]["digest"] for name in names] for split, names in members.items() if names}
    found = find_copies(digests)
    for split in found if drop else ():
        flags = dict(zip(members[split], found[split].any(), strict=True))
        gone = [name for name in flags if flags[name]]
        dropped += [SkippedClip(name, "copy", f"{name} is a copy of a clip in an earlier split.") for name in gone]
        kept[split] = [name for name in members[split] if not flags[name]]
    return kept, found, dropped


def discard_manifest(output: Path) -> None:
    """Remove the mark of a complete preparation, before anything of it changes."""
    (output / MANIFEST).unlink(missing_ok=True)


def _is_same(path: Path, manifest: Mapping[str, Any]) -> bool:
    try:
        return path.is_file() and read_json(path) == manifest
    except DataError:  # damaged: it is written again
        return False


def _hash_of(tables: Mapping[str, Any]) -> str:
    """Hash what the tables of the splits say: votes or splits may change where no clip does."""
    return hashlib.sha256(to_json(tables, None).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _counts(names: Sequence[str], rows: Mapping[str, Row], column: str, kinds: Sequence[str]) -> dict[str, int]:
    found = Counter(rows[name][column] for name in names)
    return {kind: found[kind] for kind in kinds}


def _statistics(names: Sequence[str], dataset: ClipDataset) -> dict[str, Any]:
    """Count the clips and people of a split, and by class those of each described column, with shares."""
    rows = dataset.rows
    found: dict[str, Any] = {"clips": len(names)}
    if dataset.people:
        found[f"{dataset.people}s"] = len({rows[name][dataset.people] for name in names})
    for column in dataset.described:
        kinds = sorted({row[column] for row in rows.values()})
        counts = _counts(names, rows, column, kinds)
        found[column] = {kind: {"count": n, "percent": round(100 * n / len(names), 2)} for kind, n in counts.items()}
    return found


def statistics_text(statistics: Mapping[str, Any]) -> str:
    """Return the statistics for reading: a block per split, a line per class."""
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
