"""Summarise a sweep: means over severities and corruptions, errors against a baseline, tables and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectkit.core.csv_tables import write_table
from affectkit.core.progress import Reporter
from affectkit.metrics import robustness as measures
from affectkit.robustness.baseline import Baseline
from affectkit.tasks.base import Task

TABLE = "corruptions.csv"
PUBLISHED_TABLE = "tinyimagenetc_results.csv"
MCE = ("mce", "relative_mce")

Row = dict[str, Any]
"""``corruption``, ``severity`` (0: as it is), ``images``, and ``metrics`` by name."""


def metric_directions(task: Task, *, with_baseline: bool) -> dict[str, str]:
    """Return "max" or "min" for each number that a threshold can bound."""
    errors = {"mean_error": "min"} if task.accuracy_metric else {}
    return {**task.metric_direction, **errors, **(dict.fromkeys(MCE, "min") if with_baseline else {})}


def summarize(rows: Sequence[Row], *, accuracy_metric: str, baseline: Baseline | None) -> dict[str, Any]:
    """Return the rows, the clean one first, with what follows from them.

    Args:
        rows: the clean row, then one a corruption and severity.
        accuracy_metric: the metric whose complement is an error; empty where the task has none.
        baseline: errors of another model on the same corruptions and severities.

    Returns:
        ``rows``, ``clean``, ``means`` by corruption, ``mean`` over all; and with an ``accuracy_metric`` its errors.
    """
    clean, corrupted = rows[0], rows[1:]
    means = {
        name: _means([row for row in corrupted if row["corruption"] == name]) for name in corruption_names(corrupted)
    }
    found = {
        "rows": list(rows),
        "clean": clean["metrics"],
        "means": means,
        "mean": _means([{"metrics": values} for values in means.values()]),
    }
    if accuracy_metric:
        found |= _errors(clean, corrupted, accuracy_metric, baseline)
    return found


def bounded_values(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a summary that a threshold can bound, where they are defined."""
    errors = {name: summary[name] for name in ("mean_error", *MCE) if summary.get(name) is not None}
    return {**summary["mean"], **errors}


def write_tables(folder: Path, rows: Sequence[Row], *, published_accuracy: str = "") -> None:
    """Write the rows as CSV.

    Args:
        folder: where.
        rows: the clean row, then one a corruption and severity.
        published_accuracy: the metric of a second table, in the form of the published results; empty for none.
    """
    columns = {key: [row[key] for row in rows] for key in ("corruption", "severity", "images")}
    columns |= {name: [row["metrics"][name] for row in rows] for name in rows[0]["metrics"]}
    write_table(folder / TABLE, columns)
    if published_accuracy:
        corrupted = rows[1:]
        published = {
            "corruption_type": [row["corruption"] for row in corrupted],
            "difficulty": [row["severity"] for row in corrupted],
            "valid_acc": [row["metrics"][published_accuracy] for row in corrupted],
        }
        write_table(folder / PUBLISHED_TABLE, published)


def draw_figures(folder: Path, rows: Sequence[Row], task: Task, *, reporter: Reporter) -> None:
    """Draw a heat map and curves of each metric by which ``task`` compares a model with itself."""
    from affectkit.reports.robustness import draw_heat_map, draw_severity_curves

    names, severities = corruption_names(rows[1:]), sorted({row["severity"] for row in rows[1:]})
    by_condition = {(row["corruption"], row["severity"]): row["metrics"] for row in rows}
    reporter.start("drawing", 2 * len(task.robustness_metrics), "pictures")
    for metric in task.robustness_metrics:
        values = [[by_condition[name, severity][metric] for severity in severities] for name in names]
        facts = {
            "values": values, "corruptions": names, "severities": severities, "clean": rows[0]["metrics"][metric],
            "metric": metric, "better": task.metric_direction[metric],
        }  # fmt: skip
        draw_heat_map(folder / f"heat_map_{metric}.png", **facts)
        draw_severity_curves(folder / f"curves_{metric}.png", **facts)
        reporter.advance(2)
    reporter.finish()


def corruption_names(rows: Sequence[Row]) -> list[str]:
    """Return the corruptions of ``rows`` in order, each once."""
    return list(dict.fromkeys(row["corruption"] for row in rows))


def _errors(clean: Row, corrupted: Sequence[Row], metric: str, baseline: Baseline | None) -> dict[str, Any]:
    errors = {
        name: [1 - row["metrics"][metric] for row in corrupted if row["corruption"] == name]
        for name in corruption_names(corrupted)
    }
    found: dict[str, Any] = {"mean_error": measures.mean_error(errors), "baseline": None}
    if baseline is None:
        return found
    found |= {
        "baseline": str(baseline.path),
        "ce": measures.corruption_errors(errors, baseline.errors),
        "mce": measures.mean_corruption_error(errors, baseline.errors),
    }
    if baseline.clean is not None:
        both = {"clean": 1 - clean["metrics"][metric], "baseline_clean": baseline.clean}
        found["relative_ce"] = measures.relative_corruption_errors(errors, baseline.errors, **both)
        found["relative_mce"] = measures.relative_mean_corruption_error(errors, baseline.errors, **both)
    return found


def _means(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the mean of each metric; NaN where one of them is."""
    return {name: math.fsum(row["metrics"][name] for row in rows) / len(rows) for name in rows[0]["metrics"]}
