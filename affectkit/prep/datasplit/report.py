"""Report a split: a row per class, the tables train.csv and test.csv, and the manifest with every file's fate."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from affectkit.core.files import to_json
from affectkit.core.version import VERSION
from affectkit.prep.datasplit.journal import Journal
from affectkit.prep.datasplit.plan import SIDES

MANIFEST = "manifest.json"
_SHOWN = 5


@dataclass(frozen=True)
class ClassRow:
    """Count a class: originals, those on each side, what is added to each side, bytes needed on the disk (about)."""

    label: str
    originals: int
    train: int
    test: int
    augmented_train: int
    augmented_test: int
    bytes: int


@dataclass(frozen=True)
class SplitReport:
    """Report what a split did, or would do.

    Attributes:
        output: the folder that holds it.
        in_place: whether it is the one that was split.
        rows: a ClassRow per class, by name.
        train, test: images on each side in all.
        skipped: (file, reason) of originals that were left alone.
        duplicates: files of equal content that stand on both sides, in sets.
        same_names: with plain tables, how many bare file names stand for several files, of different classes.
        notes: what a user should know.
        images_written: images that this run moved, copied or made; the rest was there already.
        already_done: whether an earlier run had finished and nothing was left to do.
        dry_run: whether nothing was changed.
        seconds: time by stage.
    """

    output: Path
    in_place: bool
    rows: tuple[ClassRow, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    same_names: int = 0
    notes: tuple[str, ...] = ()
    images_written: int = 0
    already_done: bool = False
    dry_run: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def train(self) -> int:
        """Return the number of images that train, made ones included."""
        return sum(row.train + row.augmented_train for row in self.rows)

    @property
    def test(self) -> int:
        """Return the number of images that test, made ones included."""
        return sum(row.test + row.augmented_test for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "output": str(self.output), "train": self.train, "test": self.test}


def class_rows(journal: Journal, *, copies: bool, block: int = 1) -> tuple[ClassRow, ...]:
    """Count images and bytes, a row per class.

    Args:
        copies: whether originals need disk space too.
        block: bytes that the disk gives away at a time: a small file takes a whole one.
    """
    numbers: dict[str, dict[str, int]] = {}
    sizes = {item.source: -(-item.size // block) * block for item in journal.originals}
    for item in journal.originals:
        row = numbers.setdefault(item.label, dict.fromkeys((*SIDES, "+train", "+test", "bytes"), 0))
        row[item.side] += 1
        row["bytes"] += sizes[item.source] if copies else 0
    for made in journal.made:
        row = numbers[made.label]
        row["+" + made.side] += 1
        row["bytes"] += sizes[made.source]
    return tuple(
        ClassRow(
            label, row["train"] + row["test"], row["train"], row["test"], row["+train"], row["+test"], row["bytes"]
        )
        for label, row in numbers.items()
    )


def copies_across_sides(journal: Journal) -> tuple[tuple[str, ...], ...]:
    """Find sets of originals with the same bytes on both sides, by the paths that they have after the split."""
    first: dict[str, Any] = {}
    several: dict[str, list[Any]] = {}
    for item in journal.originals:
        other = first.setdefault(item.digest, item)
        if other is not item:
            several.setdefault(item.digest, [other]).append(item)
    return tuple(
        tuple(item.target for item in items) for items in several.values() if len({item.side for item in items}) > 1
    )


def table_texts(journal: Journal) -> dict[str, str]:
    """Write the text of train.csv and test.csv; file names are relative to the folder that holds them.

    In plain tables they are bare, as published: a name may then stand for files of several classes, which the label
    tells apart; see ``same_names``.
    """
    header = journal.header
    columns = [header["identity"]["label_col"], header["identity"]["filename_col"]]
    plain = header["identity"]["plain_csv"]
    streams = {side: io.StringIO() for side in SIDES}
    writers = {side: csv.writer(stream, lineterminator="\n") for side, stream in streams.items()}
    for writer in writers.values():
        writer.writerow(columns if plain else [*columns, "source", "draw"])
    now = {item.source: item.target for item in journal.originals}
    # Both are ordered by class; what was made of a class follows its originals.
    rows: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for item in journal.originals:
        rows.setdefault((item.side, item.label), []).append((item.label, item.target, "", ""))
    for made in journal.made:
        rows[made.side, made.label].append((made.label, made.target, now[made.source], made.draw))
    for (side, _), own in rows.items():
        writers[side].writerows([(label, _bare(target)) for label, target, *_ in own] if plain else own)
    return {f"{side}.csv": stream.getvalue() for side, stream in streams.items()}


def same_names(journal: Journal) -> dict[str, list[str]]:
    """Return the bare file names that stand for several files of one side, with these files."""
    files: dict[tuple[str, str], list[str]] = {}
    for item in (*journal.originals, *journal.made):
        files.setdefault((item.side, _bare(item.target)), []).append(item.target)
    found: dict[str, list[str]] = {}
    for (_, name), own in files.items():
        if len(own) > 1:
            found.setdefault(name, []).extend(own)
    return found


def _bare(target: str) -> str:
    return target.rpartition("/")[2]


def manifest_text(journal: Journal, hashes: Mapping[str, str]) -> str:
    """Write the text of the manifest: nothing of the run itself, so that a rerun after a kill has the same bytes."""
    header = journal.header
    about = {
        "affectkit": VERSION,
        "command": journal.command,
        "settings": header["identity"],
        "pipeline": header["pipeline"],
        "versions": {name: _version(name) for name in ("albumentations", "numpy", "opencv-python-headless", "pillow")},
        "notes": header["notes"],
        "tables": dict(hashes),
        "classes": [asdict(row) for row in class_rows(journal, copies=False)],
        "duplicates_across_sides": [list(names) for names in copies_across_sides(journal)],
        "hash": "BLAKE2b, 128 bits",
        "columns": ["file", "label", "side", "fate", "source", "draw", "hash"],
    }
    here = "moved" if header["source"] is None else {"copy": "copied"}.get(header["link"], f"{header['link']}ed")
    files: list[list[Any]] = []
    for item in journal.originals:
        fate = "kept" if header["source"] is None and item.source == item.target else here
        files.append([item.target, item.label, item.side, fate, item.source, None, item.digest])
    now = {item.source: item.target for item in journal.originals}
    for made in journal.made:
        source = now[made.source]
        files.append([made.target, made.label, made.side, "augmented", source, made.draw, journal.digests[made.target]])
    files += [[name, None, None, f"skipped: {why}", name, None, None] for name, why in journal.left]
    head = to_json(about).removesuffix("\n}")
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in files)
    return f'{head},\n  "files": [\n{lines}\n  ]\n}}\n'


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def some(items: Sequence[str]) -> str:
    """List the first few of ``items``, and how many more there are."""
    more = f", and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
