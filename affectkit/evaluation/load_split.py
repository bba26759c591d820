"""Find the dataset and the split of it that a model is evaluated on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from affectkit.config import value_of
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text, list_some, one_of
from affectkit.data.halves import take_half
from affectkit.data.layouts.class_columns import Choice
from affectkit.data.layouts.discovery import Labels, Source, find_dataset
from affectkit.data.layouts.duplicates import drop_copies
from affectkit.data.layouts.label_map import align, read_label_map
from affectkit.data.loading.image_or_clip import item_name
from affectkit.data.split import Split
from affectkit.errors import DataError, UsageError
from affectkit.runtime.distributed import ProcessGroup
from affectkit.settings.evaluation import Tested
from affectkit.tasks.base import Task


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
    """

    source: Source
    split: Split
    left_out: dict[str, int] = field(default_factory=dict)


def load_split(
    root: Path,
    name: str,
    *,
    labels: Labels,
    task: Task,
    group: ProcessGroup,
    label_map: Path | None = None,
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
        half: of the split, in ``data.halves.HALVES``.
        reporter: gets notes.

    Raises:
        DataError: there is no dataset or no such split, it has no targets of the kind needed, or the label map names
            what there is not.
        UsageError: a label map is given, and the task or the model has no names of classes.
    """
    source = group.run_main_first(lambda: find_dataset(root, labels=labels, reporter=reporter))
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
    return EvaluationData(source, split, left_out)


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
        there = ", ".join(f"{key} ({len(split):,})" for key, split in source.splits.items())
        words = [f"--split {key}" for key in source.splits]
        raise DataError(f"{source.root} has no {name} split; it has {there}.", f"Add {one_of(words)}.")
    return source.splits[name]


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
