"""Put the folds of a cross-validation together: every item once, predicted by the model that has not seen it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.csv_tables import write_table
from affectkit.core.files import write_json
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text
from affectkit.errors import DataError
from affectkit.evaluation.outputs import draw_figures
from affectkit.evaluation.recorded_outputs import read_outputs, write_outputs
from affectkit.statistics.cross_validation import CAVEAT, mean_over_folds
from affectkit.statistics.intervals import estimates
from affectkit.tasks.base import FEWEST, Results, Task
from affectkit.training.fold_plan import FoldPlan
from affectkit.training.run_folder import FOLD_FILES, RunFolder

FOLDER, TABLE = "out_of_fold", "out_of_fold_results.csv"
BEFORE_CALIBRATION = "_uncalibrated"
ENDS = ("mean", "sd", "t_low", "t_high", "corrected_low", "corrected_high", "folds", "pooled")
"""The last rows of ``fold_metrics.csv``; ``folds`` counts those in which a metric is defined."""


def missing_folds(root: Path, folds: int) -> list[int]:
    """Return the numbers of the folds in ``root`` that are not done."""
    return [k for k in range(1, folds + 1) if RunFolder(root / f"fold-{k}").status().get("state") != "done"]


def gather_folds(top: RunFolder, plan: FoldPlan, task: Task, *, reporter: Reporter) -> dict[str, Any]:
    """Write the out-of-fold tables, metrics and pictures of all folds, which are done, and the record of the run.

    Metrics are of all items pooled, with the temperature of the model that predicted each; ``loss`` and
    ``*_uncalibrated`` without, as everywhere.

    Returns:
        The content of ``metrics.json``.
    """
    numbers = range(1, plan.folds + 1)
    rows = [RunFolder(top.root / f"fold-{k}").read_metrics() for k in numbers]
    task.fit(plan.split)
    plain, calibrated, fold = _pooled(top.root, plan, task, rows)
    metrics = task.metrics(calibrated)
    metrics |= {name: value for name, value in task.metrics(plain).items() if _without_temperature(name)}
    of_item = dict(zip(plan.split.ids, plan.groups(), strict=True))
    groups = [of_item[name] for name in calibrated.split.ids]
    held = np.bincount(plan.fold, minlength=plan.folds)
    ratio = float(np.mean(held / (len(plan.split) - held)))
    names = dict.fromkeys(name for row in rows for name in row["test"])
    means = {name: mean_over_folds([_value(row["test"].get(name)) for row in rows], ratio=ratio) for name in names}
    skipped = {item["image"]: item for row in rows for item in row["skipped"]}
    record = {
        "folds": [_fold_record(plan, k, row) for k, row in zip(numbers, rows, strict=True)],
        "grouped_by": plan.units.title if plan.units.grouped else None,
        "groups": len(plan.units.names) if plan.units.grouped else None,
        "seed": plan.seed,
        "items": len(plan.split),
        "out_of_fold_items": len(calibrated.split),
        "out_of_fold": metrics,
        "out_of_fold_intervals": _intervals(task, plain, calibrated, groups if plan.units.grouped else None),
        "out_of_fold_interval_over": "groups" if plan.units.grouped else "items",
        "out_of_fold_remarks": task.warnings(calibrated),
        "out_of_fold_over_classes": task.class_coverage(calibrated.split),
        "mean": {name: found.mean for name, found in means.items()},
        "sd": {name: found.sd for name, found in means.items()},
        "t_interval": {name: list(found.t_interval) for name, found in means.items()},
        "corrected_interval": {name: list(found.corrected_interval) for name, found in means.items()},
        "defined": {name: found.defined for name, found in means.items()},
        "held_out_to_trained_on": ratio,
        "caveat": CAVEAT,
        "skipped": list(skipped.values()),
    }
    own = {"Fold": fold.tolist(), "Group": groups}
    _write_tables(top.root / FOLDER, task, calibrated, own, reporter=reporter)
    write_table(top.root / FOLD_FILES[2], _metric_columns(record))
    draw_figures(top.root / FOLDER / "plots", task, calibrated, reporter=reporter)
    write_json(top.metrics, record)
    return record


def _pooled(
    root: Path, plan: FoldPlan, task: Task, rows: Sequence[Mapping[str, Any]]
) -> tuple[Results, Results, np.ndarray]:
    """Return the results of all items without and with the folds' temperatures, and the fold of each, from 1.

    What belongs to one model (codes, masks) is left out: the models of two folds have codes of their own.
    """
    place = {name: number for number, name in enumerate(plan.split.ids)}
    index, outputs, extras, temperatures, folds = [], [], [], [], []
    for number, row in enumerate(rows, start=1):
        folder = root / f"fold-{number}" / "test"
        recorded = read_outputs(folder)
        if recorded is None:
            raise DataError(
                f"{folder} has no outputs.safetensors: the task {task.name} records no outputs, or it was removed.",
                f"Remove {folder.parent / 'status.json'} and resume: the fold is then tested again.",
            )
        names = recorded.results.split.ids
        strange = [name for name in names if name not in place or plan.fold[place[name]] != number - 1]
        if strange:
            raise DataError(f"{folder} has predictions of items that are not in fold {number}: {strange[0]!r}.")
        index += [place[name] for name in names]
        outputs.append(recorded.results.outputs)
        extras.append(recorded.results.extras)
        temperatures += [_value(row.get("temperature"), 1.0)] * len(names)
        folds += [number] * len(names)
    order = np.argsort(index, kind="stable")
    split = plan.split.select(np.asarray(index, dtype=np.int64)[order]).with_name(FOLDER)
    joined = np.concatenate(outputs)[order]
    fields = {name: values.numpy() for name, values in task.targets(split).items()}
    shared = [name for name in extras[0] if all(name in one for one in extras)]
    more = {name: np.concatenate([one[name] for one in extras])[order] for name in shared}
    plain = Results(split, joined, fields, more)
    scaled = joined / np.asarray(temperatures)[order].reshape(-1, *[1] * (joined.ndim - 1))
    return plain, replace(plain, outputs=scaled), np.asarray(folds)[order]


def _intervals(
    task: Task, plain: Results, calibrated: Results, groups: Sequence[str] | None
) -> dict[str, tuple[float, float]]:
    """Return the 95% interval of each metric of the pooled items that has one, over items or over ``groups``."""
    if len(calibrated.split) < FEWEST:
        return {}
    before = {measure.name: measure for measure in task.measures(plain) if _without_temperature(measure.name)}
    chosen = [before.get(measure.name, measure) for measure in task.measures(calibrated)]
    found = estimates(chosen, clusters=groups) if chosen else []
    return {one.name: (one.low, one.high) for one in found if one.has_interval}


def _without_temperature(name: str) -> bool:
    return name == "loss" or name.endswith(BEFORE_CALIBRATION)


def _write_tables(
    folder: Path, task: Task, results: Results, own: Mapping[str, Sequence[Any]], *, reporter: Reporter
) -> None:
    """Write the tables of the pooled items; that of the samples has the columns ``own`` behind their names."""
    columns = dict(task.table(results))
    write_table(folder / TABLE, {"Image Name": columns.pop("Image Name"), **own, **columns})
    for file, found in task.tables(results).items():
        write_table(folder / file, found)
    write_outputs(folder, task, results, samples=TABLE, reporter=reporter)


def _fold_record(plan: FoldPlan, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    held = plan.held_units(number)
    return {
        "fold": number,
        "held_out": int((plan.fold == number - 1).sum()),
        **({"groups": len(held), **({"group": held[0]} if len(held) == 1 else {})} if plan.units.grouped else {}),
        **{name: row.get(name) for name in ("best_epoch", "epochs", "temperature", "test", "valid")},
    }


def _metric_columns(record: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the columns of ``fold_metrics.csv``: a row a fold, then what is over them, then all items pooled."""
    folds, ends = record["folds"], ENDS
    blank = [""] * len(ends)
    columns: dict[str, list[Any]] = {"fold": [*(row["fold"] for row in folds), *ends]}
    if record["grouped_by"] is not None:
        columns["group"] = [*(row.get("group", count_text(row["groups"], "group")) for row in folds), *blank]
    columns["held_out"] = [*(row["held_out"] for row in folds), *blank[:-1], record["out_of_fold_items"]]
    columns["best_epoch"] = [*(row["best_epoch"] for row in folds), *blank]
    for name in record["mean"]:
        over = [record["mean"][name], record["sd"][name], *record["t_interval"][name]]
        over += [*record["corrected_interval"][name], record["defined"][name], record["out_of_fold"].get(name, "")]
        columns[name] = [*(_value(row["test"].get(name)) for row in folds), *over]
    return columns


def _value(value: float | None, default: float = math.nan) -> float:
    """Return a number of a record; what was not finite is null there."""
    return default if value is None else float(value)
