"""Models of which only the labels can be compared: a distribution and a classification, or models of other classes.

Who gives the label of an item is right, whatever else a model predicts: the share of right answers, and its mean over
classes, are one quantity for all of them as long as every item's class is one that each model can give. Other metrics
(losses, calibration) depend on the task or on how many classes there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from affectkit.comparison.tested_models import TestedModel, TestedRun
from affectkit.core.text import count_text, list_some
from affectkit.data.layouts.label_map import LabelMap
from affectkit.errors import DataError
from affectkit.metrics.same import known_as
from affectkit.tasks import TASKS, make_task
from affectkit.tasks.base import Results
from affectkit.tasks.categorical import one_hot

METRICS = ("accuracy", "balanced_accuracy")
"""What is one quantity for all of them, as classification names it."""
NEVER = -1e4
"""Logit of a class that a model does not have: a share of 0."""
MOST = 30
OTHER = "A metric over other classes is another metric: compare models of the same classes."


def rename_classes(models: Sequence[TestedModel], labels: LabelMap) -> list[TestedModel]:
    """Return ``models`` with the common names of their classes.

    Raises:
        DataError: the map names what there is not, or makes two classes of a model one.
    """
    labels.check({model.name: run.task.spec.classes for model in models for run in model.runs})
    return [replace(model, runs=tuple(_renamed(model.name, run, labels) for run in model.runs)) for model in models]


def _renamed(owner: str, run: TestedRun, labels: LabelMap) -> TestedRun:
    old = run.task.spec.classes
    classes = tuple(labels.common(owner, name) or name for name in old)
    if len(set(classes)) < len(classes):
        twice = [name for name in old if classes.count(labels.common(owner, name) or name) > 1]
        raise DataError(f"the label map makes {list_some([*map(repr, twice)])} of {owner} one class.")
    task = make_task(run.task.spec.with_(classes=classes), run.task.recorded_options())
    return replace(run, task=task, results=replace(run.results, split=replace(run.results.split, classes=classes)))


def by_labels(models: Sequence[TestedModel]) -> tuple[list[TestedModel], list[str]]:
    """Return ``models`` brought to one task over all of their classes, with the metrics of ``METRICS`` alone, and notes
    on it; ``models`` as they are where task and classes agree.

    Raises:
        DataError: they cannot be compared; says all that is in the way.
    """
    runs = [run for model in models for run in model.runs]
    first = runs[0]
    if all(run.task.name == first.task.name and _classes(run) == _classes(first) for run in runs):
        return list(models), []
    faults, hints = _obstacles(models)
    if faults:
        raise DataError("\n  ".join(faults), "\n".join(hints))
    union = tuple(dict.fromkeys(name for run in runs for name in run.task.spec.classes))
    found, notes = [], []
    for model in models:
        changed = []
        for run in model.runs:
            moved, tied = _by_labels(run, union)
            changed.append(moved)
            if tied:
                notes.append(f"{model.name}: {count_text(tied, 'item')} left out, their top classes tie")
        found.append(replace(model, runs=tuple(changed)))
    kinds = [f"{model.name} is a {_kind(model.runs[0])}" for model in models]
    notes.append(f"compared by labels alone, in {' and '.join(METRICS)}: {', '.join(kinds)}")
    return found, list(dict.fromkeys(notes))


def _classes(run: TestedRun) -> set[str]:
    return set(run.task.spec.classes)


def _kind(run: TestedRun) -> str:
    return f"{run.task.name} of {count_text(len(run.task.spec.classes), 'class', 'classes')}"


def _obstacles(models: Sequence[TestedModel]) -> tuple[list[str], list[str]]:
    """Return all that is in the way of a comparison by labels, and what to do about it."""
    faults: list[str] = []
    hints: list[str] = []
    runs = [(model, run) for model in models for run in model.runs]
    first = runs[0][1]
    for _, run in runs[1:]:
        if run.task.name != first.task.name and not (first.task.label_task and run.task.label_task):
            faults.append(
                f"the tasks differ: {first.source} was tested as {first.task.name}, {run.source} as {run.task.name}."
            )
            kinds = " and ".join(name for name in TASKS if TASKS.resolve(name).label_task)
            hints.append(f"Only models of one task, or of {kinds}, have metrics in common.")
    if faults or not all(run.task.label_task for _, run in runs):
        same = [_classes(run) == _classes(first) for _, run in runs]
        return faults + ([] if all(same) else [_other_classes(runs)]), hints or [OTHER]
    true = {name: model.name for model, run in runs for name in _true_classes(run)}
    lacking = {model.name: names for model, run in runs if (names := [one for one in true if one not in _classes(run)])}
    if lacking:
        faults.append(_other_classes(runs))
        faults += [f"{owner} cannot give {list_some([*map(repr, names)])}, of which there are items." for owner, names
                   in lacking.items()]  # fmt: skip
        hints.append(_lines(list(dict.fromkeys(name for names in lacking.values() for name in names))))
    return list(dict.fromkeys(faults)), list(dict.fromkeys(hints))


def _other_classes(runs: Sequence[tuple[TestedModel, TestedRun]]) -> str:
    first = runs[0][1]
    wanted, told = first.task.spec.classes, []
    for _, run in runs[1:]:
        lacking = [name for name in wanted if name not in run.task.spec.classes]
        more = [name for name in run.task.spec.classes if name not in wanted]
        parts = [("lacks", lacking), ("has", more)]
        if words := " and ".join(f"{what} {list_some([*map(repr, names)])}" for what, names in parts if names):
            told.append(f"{run.source} {words}")
    return f"the classes differ: {'; '.join(dict.fromkeys(told))}; {first.source} has {list_some(wanted, MOST)}."


def _lines(names: Sequence[str]) -> str:
    lines = [f"  {name} = ?" for name in names[:MOST]]
    return "\n".join(
        [
            "Where classes are the same under two names, add --label-map FILE, a text file with a line a class; in "
            "place of ? write its other name:",
            *lines,
        ]
    )


def _true_classes(run: TestedRun) -> list[str]:
    top = run.results.fields["target"].argmax(1)
    return [run.task.spec.classes[place] for place in np.unique(top).tolist()]


def _by_labels(run: TestedRun, union: tuple[str, ...]) -> tuple[TestedRun, int]:
    """Return ``run`` as labels over ``union``, and how many items without a single top class are left out."""
    results, target = run.results, run.results.fields["target"]
    kept = np.flatnonzero((target == target.max(1, keepdims=True)).sum(1) == 1)
    place = np.array([union.index(name) for name in run.task.spec.classes])
    outputs = np.full((len(kept), len(union)), NEVER, dtype=np.float32)
    outputs[:, place] = results.outputs[kept]
    labels = place[target[kept].argmax(1)].astype(np.int64)
    split = replace(results.split.select(kept), classes=union, labels=labels, distribution=None, votes=None, facts={})
    task = make_task(run.task.spec.with_(task=run.task.label_task, classes=union), {})
    recorded = {name: run.recorded[own] for name in METRICS if (own := known_as(name, run.recorded)) in run.recorded}
    moved = replace(
        run,
        task=task,
        results=Results(split, outputs, {"target": one_hot(labels, len(union))}),
        content=None if run.content is None else run.content[kept],
        recorded=recorded,
        only=METRICS,
    )
    return moved, len(target) - len(kept)
