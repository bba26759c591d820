"""Find the dataset and the split of it that a model is evaluated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from affectkit.config import value_of
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text, list_some, one_of
from affectkit.data.halves import overlapping_fingerprints, take_half
from affectkit.data.layouts.class_columns import Choice
from affectkit.data.layouts.class_names import likely_matches
from affectkit.data.layouts.discovery import Labels, Source, find_dataset
from affectkit.data.layouts.duplicates import drop_copies
from affectkit.data.layouts.label_map import align, read_label_map
from affectkit.data.loading.image_or_clip import item_name
from affectkit.data.split import Split
from affectkit.errors import DataError, UsageError
from affectkit.runtime.distributed import ProcessGroup
from affectkit.settings.evaluation import Tested
from affectkit.tasks.base import Task

RENAME = "Rename or remove what differs: classes go by name."
MOST_LINES = 30
"""Classes of which a message gives the line of a label map."""


def wanted_labels(settings: Tested, task: Task) -> Labels:
    """Return which labels ``settings`` name for an evaluation of ``task``."""
    return Labels(
        settings.labels,
        ratings=task.predicts_ratings,
        scale=value_of(settings.rating_range, task.scale),
        alone=settings.split,
        whole=settings.split == "all",
        choice=Choice(settings.classes, settings.ignore_columns, known=task.spec.classes if task.spec.named else ()),
        follow_links=settings.follow_links,
    )


@dataclass(frozen=True)
class EvaluationData:
    """Hold a dataset and the split of it that is evaluated.

    Attributes:
        source: the dataset with all its splits.
        split: the items that have a target of the task.
        left_out: items by class of the data set that the model lacks, where a label map was given.
        whole: the split that ``split`` is a half of; None: ``split`` is no half.
        half: which one, in ``data.halves.HALVES``.
    """

    source: Source
    split: Split
    left_out: dict[str, int] = field(default_factory=dict)
    whole: Split | None = None
    half: str = "both"

    def overlapping(self) -> frozenset[str]:
        """Return the fingerprints by which records name these items, or what has some of them; see ``data.halves``."""
        whole = self.split if self.whole is None else self.whole
        return overlapping_fingerprints(whole, self.half) | {self.split.fingerprint()}


def load_split(
    root: Path,
    name: str,
    *,
    labels: Labels,
    task: Task,
    group: ProcessGroup,
    label_map: Path | None = None,
    mappable: bool = False,
    half: str = "both",
    reporter: Reporter,
) -> EvaluationData:
    """Find the dataset in ``root`` and its split ``name``; reports what a user should know of them.

    Args:
        root: folder of the dataset.
        name: of the split.
        labels: which targets are wanted.
        task: the model's.
        group: of processes.
        label_map: file of classes that are one; with it, items of classes that the model lacks are left out.
        mappable: whether the command has ``--label-map``, for the message on classes that differ.
        half: of the split, in ``data.halves.HALVES``.
        reporter: gets notes.

    Raises:
        DataError: there is no dataset or no such split, it has no targets of the kind needed, or the label map names
            what there is not.
        UsageError: a label map is given, and the task or the model has no names of classes.
    """
    source = group.run_main_first(lambda: find_dataset(root, labels=labels, reporter=reporter))
    if label_map is None:
        _check(source, name, half, task, mappable=mappable)
    found, left_out = take_half(find_split(source, name), half), {}
    if label_map is not None:
        found, left_out = _aligned(found, label_map, source, task, reporter)
    split, note = task.select_items(found)
    reporter.note(
        f"{source.layout} in {source.root}, {split.name} split{_of_half(half)}: "
        f"{len(split):,} {item_name(task.spec)}; "
        f"{task.description()}"
    )
    for text in filter(None, (*source.notes, note)):
        reporter.note(text)
    if not task.spec.named:
        taken = [f"output {number} is {name!r}" for number, name in enumerate(source.classes)]
        reporter.warn(
            f"the checkpoint holds no class names: its {len(taken)} outputs are taken to be the classes in sorted "
            f"order: {list_some(taken, 3)}."
        )
    whole = None if half == "both" else task.select_items(find_split(source, name))[0]
    return EvaluationData(source, split, left_out, whole, half)


def _check(source: Source, name: str, half: str, task: Task, *, mappable: bool) -> None:
    """Refuse a split that is not there and classes that differ, both at once where there is one split to be meant."""
    faults: list[str] = []
    hints: list[str] = []
    if name not in source.splits:
        fault, hint = _no_split(source, name)
        faults.append(fault)
        hints.append(hint)
    meant = [name] if name in source.splits else list(source.splits)
    if len(meant) == 1 and task.spec.named and not task.predicts_ratings:
        split, classes = take_half(source.splits[meant[0]], half), task.spec.classes
        if extra := split.unmatched(classes):
            faults.append(split.difference(classes, extra))
            hints.append(_how_to_match(extra, classes) if mappable else RENAME)
    if faults:
        raise DataError("\n".join(faults), "\n".join(hints))


def _how_to_match(extra: Sequence[str], classes: Sequence[str]) -> str:
    """Return what to do about classes that the model lacks: the lines of a label map, to be filled in."""
    lines = [f"  {name} = {near[0] if (near := likely_matches(name, classes)) else '?'}" for name in extra[:MOST_LINES]]
    more = [f"  (and {len(extra) - MOST_LINES} more)"] if len(extra) > MOST_LINES else []
    return "\n".join(
        [
            f"{RENAME} Or add --label-map FILE, a text file with a line a class; in place of ? write which of "
            "the wanted classes it is, or nothing to leave it out:",
            *lines,
            *more,
        ]
    )


def _of_half(half: str) -> str:
    return "" if half == "both" else f" ({half} half)"


def _aligned(split: Split, path: Path, source: Source, task: Task, reporter: Reporter) -> tuple[Split, dict[str, int]]:
    """Return the items whose class the model has, under its names, and how many of each class are left out."""
    if task.predicts_ratings or not task.spec.named:
        what = "ratings have no classes" if task.predicts_ratings else "the checkpoint holds no class names"
        raise UsageError(f"--label-map {path}: {what}.", "Leave it out.")
    data = source.root.absolute().name
    labels = read_label_map(path, [data])
    labels.check({data: source.classes, "": task.spec.classes})
    found = align(split, task.spec.classes, labels, data=data, model="the model")
    if found.left_out:
        listed = [f"{name} ({number:,})" for name, number in found.left_out.items()]
        reporter.warn(
            f"{len(found.split):,} of {found.of:,} items are tested; left out, since the model has no such class: "
            f"{list_some(listed)}."
        )
    if found.rescaled:
        reporter.note(f"shares of such classes left out of {count_text(found.rescaled, 'item')}, the rest scaled to 1")
    return found.split, found.left_out


def find_split(source: Source, name: str) -> Split:
    """Return the split called ``name``, or raise a DataError that lists those there are."""
    if name not in source.splits:
        raise DataError(*_no_split(source, name))
    return source.splits[name]


def _no_split(source: Source, name: str) -> tuple[str, str]:
    """Return that there is no split ``name``, and the next step."""
    there = ", ".join(f"{key} ({len(split):,})" for key, split in source.splits.items())
    words = [f"--split {key}" for key in source.splits]
    return f"{source.root} has no {name} split; it has {there}.", f"Add {one_of(words)}."


def without_copies(
    data: EvaluationData, *, drop: bool, noun: str, reporter: Reporter
) -> tuple[EvaluationData, dict[str, Any]]:
    """Count exact copies of items in earlier splits of the dataset, and with ``drop`` leave them out.

    Returns:
        the data, and what a record holds of the copies; see ``data.layouts.duplicates.drop_copies``.
    """
    kept, copies = drop_copies(data.split, data.source.splits, drop=drop, noun=noun, reporter=reporter)
    if drop and not copies:
        reporter.warn(
            f"--drop-copies: {data.source.root} has no split before {data.split.name} that could hold copies."
        )
    return replace(data, split=kept), copies
