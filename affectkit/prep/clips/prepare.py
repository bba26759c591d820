"""The course of every preparation of clips: check files, decode what is not there yet, split, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectkit.core.files import fresh_folder
from affectkit.core.progress import Reporter
from affectkit.core.stopping import Stopping
from affectkit.core.text import some
from affectkit.data.layouts.clip_store import is_prepared
from affectkit.data.media.video_clip import ClipFault
from affectkit.errors import DataError, UsageError
from affectkit.prep.clips import split as splitting
from affectkit.prep.clips.manifest import ClipReport, Prepared, Row, finish
from affectkit.prep.clips.store_writer import Fault, Item, Recipe, refuse_faults, write_store


@dataclass(frozen=True)
class Sides:
    """The split of each clip, and what a user should know of it."""

    of: Mapping[str, str]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Dataset:
    """What a dataset is, in the terms of all preparations.

    Attributes:
        name: as the command is called. classes: of the labels, in order. labels: ``intended`` or ``votes``.
        rows: of each clip, in the order in which they are stored: its columns in the tables, ``label`` among them.
        files: of each clip. left_out: clips that are not wanted, with the reason.
        described: columns that the statistics count. people: the column that says who is seen; empty: none.
        check: raises a ClipFault for a file that can be told to be no clip without decoding.
        sounds: files of the sounds, where these are not in ``files``.
        fetch: the next step where files are no clips, by reason; of several that apply the last is told.
    """

    name: str
    classes: tuple[str, ...]
    rows: Mapping[str, Row]
    files: Mapping[str, Path]
    check: Callable[[Path], None]
    described: tuple[str, ...]
    people: str = ""
    labels: str = "intended"
    left_out: Sequence[Fault] = ()
    sounds: Mapping[str, Path] = field(default_factory=dict)
    fetch: Mapping[str, str] = field(default_factory=dict)


def run(
    dataset: Dataset,
    output: Path,
    recipe: Recipe,
    divide: Callable[[Mapping[str, Row]], Sides],
    *,
    frames: int,
    bytes_each: int,
    settings: dict[str, Any],
    workers: int | None,
    on_error: str,
    drop_copies: bool = False,
    reporter: Reporter,
    stopping: Stopping | None = None,
    beside: Callable[[list[str]], None] | None = None,
) -> ClipReport:
    """Prepare ``dataset`` into ``output``.

    Args:
        recipe: how a clip is read. divide: the split of the clips that could be read.
        frames, bytes_each: of a stored clip. settings: for the record. stopping: says when to end early.
        drop_copies: leave clips out of valid and test that are exact copies of clips in the splits before.
        beside: writes what else belongs to the stored clips, given their names in the order of the store; where it
            changes anything it takes away the mark of a complete preparation before (``begin_again``).

    Raises:
        DataError: clips cannot be used and ``on_error`` is ``fail``, none can, or ``output`` holds something else.
        Stopped: ``stopping`` said so.
    """
    refused = {fault.name for fault in dataset.left_out}
    items = [
        None if name in refused else Item(name, dataset.files[name], dataset.sounds.get(name)) for name in dataset.rows
    ]
    _check_files([item for item in items if item is not None], dataset, on_error)
    if not is_prepared(output):
        fresh_folder(output, name="--output", hint="Name another folder, or one that was prepared before.")
    output.mkdir(parents=True, exist_ok=True)
    written = write_store(
        items, output, recipe, workers=workers, bytes_each=bytes_each, reporter=reporter, stopping=stopping
    )
    refuse_faults(written.faults if on_error == "fail" else [], output)
    rows = {name: dataset.rows[name] for names in written.shards.values() for name in names}
    if not rows:
        listed = "\n".join(f"  - {fault.message}" for fault in written.faults[:5])
        raise DataError(f"none of the {len(dataset.rows):,} clips can be used:\n{listed}")
    sides = divide(rows)
    prepared = Prepared(
        dataset.name, dataset.classes, dataset.labels, rows, sides.of, dataset.described, settings, dataset.people
    )
    if beside is not None:  # which may change where no clip does
        beside(list(rows))
    report = finish(output, prepared, recipe, written, dataset.left_out, frames=frames, drop_copies=drop_copies)
    report.notes, report.warnings = list(sides.notes), [*sides.warnings, *report.warnings]
    return report


def divided(
    rows: Mapping[str, Row],
    split: str,
    *,
    group: str,
    strata: str | None = None,
    sizes: Sequence[int] | None = None,
    published: Sequence[int] | None = None,
    seed: int = 0,
) -> Sides:
    """The sides that ``--split`` means.

    Args:
        split: the name of ``group`` (nobody in two parts), ``random``, ``published-sizes``, or a table.
        strata: a column that the parts are balanced over, beside the labels.
        sizes: of the parts, for ``published-sizes``; None: ``published``, brought to the clips there are.
    """
    if sizes is not None and split != "published-sizes":
        raise UsageError(f"--sizes has no effect with --split {split}.", "Use it with --split published-sizes.")
    if split == group:
        return Sides(splitting.by_group(rows, group=group, strata=strata, classes="label", seed=seed))
    notes: list[str] = []
    if split not in ("random", "published-sizes"):
        sides = splitting.of_table(Path(split), list(rows))
        if lacking := len(rows) - len(sides):
            notes.append(f"{lacking:,} clips that {split} does not name are in no split")
        return Sides(sides, notes, _mixed(rows, sides, group))
    if split == "published-sizes" and sizes is None:
        if published is None:
            raise UsageError("--split published-sizes needs --sizes here.")
        sizes = published
        if sum(sizes) > len(rows):
            few = [round(number * len(rows) / sum(published)) for number in published[1:]]
            sizes = (len(rows) - sum(few), *few)
            told = ", ".join(map(str, published))
            notes.append(f"published sizes ({told}) brought to {len(rows):,} clips: {', '.join(map(str, sizes))}")
    sides = splitting.at_random(list(rows), sizes=sizes if split == "published-sizes" else None, seed=seed)
    return Sides(sides, notes, _mixed(rows, sides, group))


def _mixed(rows: Mapping[str, Row], sides: Mapping[str, str], group: str) -> list[str]:
    """A warning where people stand in more than one split."""
    seen: dict[str, set[str]] = {}
    for name, side in sides.items():
        seen.setdefault(rows[name][group], set()).add(side)
    mixed = sum(len(found) > 1 for found in seen.values())
    if not mixed:
        return []
    return [
        f"{mixed} of {len(seen)} {group}s have clips in more than one split: a model is tested on people that it was "
        f"trained on, and its accuracy says little about others. --split {group} keeps them apart."
    ]


def _check_files(items: Sequence[Item], dataset: Dataset, on_error: str) -> None:
    """Find what needs no decoding, before anything is: missing and empty files, and pointers of git-lfs.

    Raises:
        DataError: there are such and ``on_error`` is ``fail``, or there is nothing else.
    """
    faults: dict[str, list[ClipFault]] = {}
    names: dict[str, list[str]] = {}
    for item in items:
        try:
            dataset.check(item.path)
        except ClipFault as error:
            faults.setdefault(error.reason, []).append(error)
            names.setdefault(error.reason, []).append(item.name)
    count = sum(map(len, faults.values()))
    if not count or (on_error == "skip" and count < len(items)):
        return
    what = {"pointer": "git-lfs pointers", "missing": "missing", "empty": "empty"}
    listed = "\n".join(
        f"  - {what.get(reason, reason)}: {len(found):,} ({some(names[reason], 3)}), as {found[0].message}"
        for reason, found in faults.items()
    )
    hints = [text for reason, text in dataset.fetch.items() if reason in faults] or ["Restore these files."]
    more = "" if 2 * count > len(items) else " Or leave them out: --on-error skip."
    raise DataError(f"{count:,} of {len(items):,} clips cannot be used:\n{listed}", hints[-1] + more)
