"""Match the items of several tests: by name, then by target and content, with classes in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from affectkit.comparison.shared_labels import by_labels
from affectkit.comparison.tested_models import TestedModel, TestedRun
from affectkit.core.text import count_text, list_some
from affectkit.errors import DataError
from affectkit.tasks import make_task
from affectkit.tasks.base import Results, Task

SHARE_TOLERANCE = 2e-6
"""How far targets may differ and be the same, of tables with six decimals."""
SHOWN = 5


@dataclass(frozen=True, eq=False)
class Matched:
    """Models with the same items in the same order.

    Attributes:
        models: with results of these items alone, and classes in the order of the first.
        left_out: how many items each model has that are not compared, by name; empty where all are.
        notes: on what could not be checked.
    """

    models: list[TestedModel] = field(repr=False)
    left_out: dict[str, int]
    notes: list[str]

    @property
    def ids(self) -> list[str]:
        """Return the names of the items."""
        return self.models[0].runs[0].results.split.ids


def match(models: Sequence[TestedModel], *, common: bool) -> Matched:
    """Bring ``models`` to the same items in the order of the first.

    Args:
        models: two or more.
        common: compare what all have, where they differ.

    Raises:
        DataError: tasks or classes differ; or the items, targets or contents, unless ``common``; or nothing is common.
    """
    models, notes = by_labels(models)
    first = models[0].runs[0]
    ordered = [replace(model, runs=tuple(_with_classes(run, first) for run in model.runs)) for model in models]
    runs = [(model.name, run) for model in ordered for run in model.runs]
    kept = set(first.results.split.ids)
    faults: list[str] = []
    for name, run in runs[1:]:
        shared, told = _compare(models[0].name, first, name, run)
        kept &= shared
        faults += told
    faults = list(dict.fromkeys(faults))
    if faults and not common:
        raise DataError(
            "the test sets differ.\n  " + "\n  ".join(faults),
            "Test the models on the same data; --common compares the items that they have in common.",
        )
    rows = np.array([row for row, one in enumerate(first.results.split.ids) if one in kept], dtype=np.int64)
    if not len(rows):
        raise DataError("the models have no item in common.\n  " + "\n  ".join(faults), _of_other_names(runs))
    ids = [first.results.split.ids[row] for row in rows.tolist()]
    found = [replace(model, runs=tuple(_with_items(run, ids) for run in model.runs)) for model in ordered]
    left_out = {
        model.name: max(len(run.results.split) for run in model.runs) - len(ids)
        for model in ordered
        if any(len(run.results.split) != len(ids) for run in model.runs)
    }
    notes += faults if common else []
    return Matched(found, left_out, notes + _unchecked(found) + _not_alike(found))


def _with_classes(run: TestedRun, first: TestedRun) -> TestedRun:
    """Return ``run`` with the classes of ``first``, matched by name."""
    task, wanted = run.task, first.task.spec.classes
    if task.spec.classes == wanted:
        return run
    order = [task.spec.classes.index(name) for name in wanted]
    results, split = run.results, run.results.split
    fields = {
        name: values[:, order] if values.ndim == 2 and values.shape[1] == len(order) else values
        for name, values in results.fields.items()
    }
    moved = replace(split, classes=wanted) if task.predicts_ratings else split.matched(wanted)
    changed = make_task(task.spec.with_(classes=wanted), task.recorded_options())
    outputs = results.outputs[:, order]
    return replace(run, task=changed, results=replace(results, split=moved, outputs=outputs, fields=fields))


def _compare(one: str, first: TestedRun, other: str, run: TestedRun) -> tuple[set[str], list[str]]:
    """Return the names of the items that both have, with the same target and content, and what differs."""
    a, b = first.results.split, run.results.split
    place = {name: row for row, name in enumerate(b.ids)}
    faults = []
    only_a = [name for name in a.ids if name not in place]
    in_a = set(a.ids)
    only_b = [name for name in b.ids if name not in in_a]
    for names, owner in ((only_a, one), (only_b, other)):
        if names:
            faults.append(f"{count_text(len(names), 'item')} only in {owner}: {list_some(names, SHOWN)}")
    rows = np.array([row for row, name in enumerate(a.ids) if name in place], dtype=np.int64)
    there = np.array([place[a.ids[row]] for row in rows.tolist()], dtype=np.int64)
    other_target = _targets_differ(first, run, rows, there)
    other_content = np.zeros(len(rows), dtype=bool)
    if first.content is not None and run.content is not None:
        x, y = first.content[rows], run.content[there]
        other_content = (x != y).any(axis=1) & x.any(axis=1) & y.any(axis=1)
    for differ, what in ((other_target, "target"), (other_content & ~other_target, "content")):
        if differ.any():
            names = [a.ids[row] for row in rows[differ][:SHOWN].tolist()]
            count = int(differ.sum())
            more = f" and {count - len(names):,} more" if count > len(names) else ""
            faults.append(
                f"{count_text(count, 'item')} with another {what} in {other} than in {one}: {', '.join(names)}{more}"
            )
    fine = rows[~(other_target | other_content)]
    return {a.ids[row] for row in fine.tolist()}, faults


def _targets_differ(first: TestedRun, run: TestedRun, rows: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return bool: whose targets are not the same."""
    found = np.zeros(len(rows), dtype=bool)
    exact = first.exact and run.exact
    for one, other in _target_arrays(first.results, run.results, first.task):
        x, y = one[rows].astype(np.float64), other[there].astype(np.float64)
        room = 0.0 if exact else SHARE_TOLERANCE
        same = (np.abs(x - y) <= room) | (np.isnan(x) & np.isnan(y))
        found |= ~same.all(axis=tuple(range(1, same.ndim)))
    return found


def _target_arrays(a: Results, b: Results, task: Task) -> list[tuple[np.ndarray, np.ndarray]]:
    if task.predicts_ratings:
        # Of a rating that the model does not predict, an older table knows nothing.
        return [(a.fields["target"], b.fields["target"])]
    shared = [name for name in a.fields if name in b.fields]
    return [(a.fields[name], b.fields[name]) for name in shared]


def _with_items(run: TestedRun, ids: Sequence[str]) -> TestedRun:
    """Return ``run`` with the items ``ids`` alone, in that order."""
    split = run.results.split
    if split.ids == list(ids):
        return run
    place = {name: row for row, name in enumerate(split.ids)}
    rows = np.array([place[name] for name in ids], dtype=np.int64)
    results = Results(
        split.select(rows),
        run.results.outputs[rows],
        {name: values[rows] for name, values in run.results.fields.items()},
        {name: values[rows] for name, values in run.results.extras.items()},
    )
    return replace(run, results=results, content=None if run.content is None else run.content[rows])


def _unchecked(models: Sequence[TestedModel]) -> list[str]:
    """Return notes on items whose content was not compared."""
    runs = [(model.name, run) for model in models for run in model.runs]
    first = runs[0][1]
    without = list(dict.fromkeys(name for name, run in runs if run.content is None))
    found = []
    if without:
        told = f"{', '.join(without)}: written before outputs.safetensors; numbers rest on six decimals of a table"
        prints = {run.fingerprint for _, run in runs}
        if len(prints) == 1 and "" not in prints:
            told += "; the recorded fingerprints of the data agree"
        else:
            told += "; that the contents of the files are the same could not be checked: names and targets are"
        found.append(told)
    known = [(name, run) for name, run in runs if run.content is not None]
    if first.content is not None:
        unknown = sum(int((~(first.content.any(axis=1) & run.content.any(axis=1))).sum()) for _, run in known[1:])
        if unknown:
            found.append(
                f"the contents of {count_text(unknown, 'file')} could not be compared: not readable when tested"
            )
    return found


def _not_alike(models: Sequence[TestedModel]) -> list[str]:
    """Return notes on models that were tested under other conditions, and on such as may be one model."""
    conditions = {model.name: model.runs[0].condition for model in models}
    found = []
    if len(set(conditions.values())) > 1:
        told = "; ".join(f"{name}: {text or 'as they are'}" for name, text in conditions.items())
        found.append(f"the models were tested under other conditions, which are in the differences: {told}")
    for place, model in enumerate(models):
        for other in models[:place]:
            if same_outputs(model, other):
                count = len(model.runs[0].results.outputs)
                found.append(
                    f"{model.name} has the very outputs of {other.name} on {count_text(count, 'item')}: is it the same "
                    "model?"
                )
    return found


def same_outputs(one: TestedModel, other: TestedModel) -> bool:
    """Return whether two models of a training each give the same outputs for every item, to the last bit."""
    if len(one.runs) != 1 or len(other.runs) != 1:
        return False
    (a,), (b,) = one.runs, other.runs
    alike = a.task.spec.temperature == b.task.spec.temperature
    return alike and np.array_equal(a.results.outputs, b.results.outputs)


def _of_other_names(runs: Sequence[tuple[str, TestedRun]]) -> str:
    """Return the next step where nothing has the same name; whether the contents are the same is looked up."""
    contents = [
        {row.tobytes() for row in run.content if row.any()} if run.content is not None else set() for _, run in runs
    ]
    shared = len(set.intersection(*contents)) if contents else 0
    if shared:
        return (
            f"The contents of {count_text(shared, 'item')} are the same under other names: test all models on one "
            "--data folder."
        )
    return "Were they tested on other data?"
