"""Find the dataset and the split of it that a model is evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.config import value_of
from affectkit.core.progress import Reporter
from affectkit.core.text import list_some
from affectkit.data.layouts.class_columns import Choice
from affectkit.data.layouts.discovery import Labels, Source, find_dataset
from affectkit.data.layouts.duplicates import drop_copies
from affectkit.data.loading.image_or_clip import item_name
from affectkit.data.split import Split
from affectkit.errors import DataError
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
    """

    source: Source
    split: Split


def load_split(
    root: Path, name: str, *, labels: Labels, task: Task, group: ProcessGroup, reporter: Reporter
) -> EvaluationData:
    """Find the dataset in ``root`` and its split ``name``; reports what a user should know of them.

    Raises:
        DataError: there is no dataset or no such split, or it has no targets of the kind needed.
    """
    source = group.run_main_first(lambda: find_dataset(root, labels=labels, reporter=reporter))
    split, note = task.select_items(find_split(source, name))
    reporter.note(
        f"{source.layout} in {source.root}, {split.name} split: {len(split):,} {item_name(task.spec)}; "
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
    return EvaluationData(source, split)


def find_split(source: Source, name: str) -> Split:
    """Return the split called ``name``, or raise a DataError that lists those there are."""
    if name not in source.splits:
        there = ", ".join(f"{key} ({len(split):,})" for key, split in source.splits.items())
        raise DataError(f"{source.root} has no {name} split; it has {there}.", "Choose one of them with --split.")
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
    return EvaluationData(data.source, kept), copies
