"""Report classes that a split has few images of, or none: before training, and beside the metrics they mislead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affectkit.core.progress import Reporter
from affectkit.core.text import list_some
from affectkit.data.split import Split
from affectkit.tasks.base import Results, Task

FEW = 5
"""A class with fewer images is reported before training."""
SPLIT_NAMES = {"train": "training", "valid": "validation"}


def report_class_counts(task: Task, splits: Mapping[str, Split], reporter: Reporter) -> None:
    """Report classes of which training or the other ``splits`` have no image, or fewer than ``FEW``, with counts.

    Args:
        task: names the classes.
        splits: ``train``, and what is measured on, by name.
    """
    counts = {name: split.counts() for name, split in splits.items()} if not task.predicts_ratings else {}
    counts = {name: found for name, found in counts.items() if found}
    if not counts:
        return
    if alike := _but_for_case(task.spec.classes):
        reporter.warn(f"classes that differ in small and capital letters alone: {alike}. Are they one?")
    train = counts.pop("train")
    by_top = " (by the largest share)" if splits["train"].labels is None else ""
    if none := [name for name, number in train.items() if not number]:
        reporter.warn(f"no training image{by_top} of {len(none)} of {len(train)} classes: {list_some(none)}.")
    if few := _few("training", by_top, train):
        reporter.warn(few)
    for name, found in counts.items():
        what = SPLIT_NAMES.get(name, name)
        alone = [f"{one} ({train[one]:,})" for one, number in found.items() if not number and train[one]]
        if alone:
            reporter.warn(
                f"no {what} image{by_top} of {len(alone)} of {len(train)} classes, which stand in training only: "
                f"{list_some(alone)}. {_metrics_without_them(task, found)}"
            )
        if few := _few(what, by_top, found):
            reporter.note(few)


def class_counts_record(task: Task, splits: Mapping[str, Split]) -> dict[str, Any]:
    """Return for a record the classes in order, and how many images of each the labelled ``splits`` have."""
    known = {} if task.predicts_ratings else {name: split.counts() for name, split in splits.items()}
    counts = {name: found for name, found in known.items() if found}
    return {"classes": list(task.spec.classes), "class_counts": counts}


def metric_notes(task: Task, results: Results, prefix: str = "") -> dict[str, Any]:
    """Return for a record the warnings on the metrics of ``results``, and which are over some classes only; keys get
    ``prefix``."""
    return {f"{prefix}remarks": task.warnings(results), f"{prefix}over_classes": task.class_coverage(results.split)}


def _few(what: str, by_top: str, counts: Mapping[str, int]) -> str:
    few = [f"{name} ({number})" for name, number in counts.items() if 0 < number < FEW]
    return (
        f"fewer than {FEW} {what} images{by_top} of {len(few)} of {len(counts)} classes: {list_some(few)}."
        if few
        else ""
    )


def _metrics_without_them(task: Task, counts: Mapping[str, int]) -> str:
    names = [name for name in task.class_metrics if name in task.metric_direction]
    there = sum(number > 0 for number in counts.values())
    return f"{', '.join(names)}: over the other {there} only." if names else ""


def _but_for_case(classes: tuple[str, ...]) -> str:
    folded: dict[str, list[str]] = {}
    for name in classes:
        folded.setdefault(name.casefold(), []).append(name)
    return list_some([" and ".join(map(repr, same)) for same in folded.values() if len(same) > 1])
