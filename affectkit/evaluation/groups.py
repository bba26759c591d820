"""Every metric of a test by group of items, with intervals, gaps between groups and a test of whether they differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.csv_tables import write_table
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text, list_some
from affectkit.data.split import Split
from affectkit.evaluation.group_bands import UNKNOWN, Grouping
from affectkit.evaluation.item_groups import ItemGroups
from affectkit.statistics.gaps import Gap, differences, gap, share_clusters
from affectkit.statistics.intervals import estimates
from affectkit.statistics.measures import Measure, left_out
from affectkit.statistics.multiple import holm
from affectkit.statistics.units import cluster_numbers
from affectkit.tasks.base import Results, Task

BIASED = "ece"
"""Begins the names of measures whose bias depends on the number of items: their gap has no interval."""
GAP = "gap:"
"""Begins the name of a gap in ``--fail-under``."""


def tested_metrics(task: Task) -> list[str]:
    """Name the metrics whose differences are tested: those by which a model is followed and compared."""
    return [name for name in dict.fromkeys([*task.headline_metrics, *task.robustness_metrics]) if name != "loss"]


def analyse_groups(
    task: Task,
    results: Results,
    found: ItemGroups,
    *,
    min_group: int,
    draws: int = 4999,
    seed: int = 0,
    reporter: Reporter,
) -> dict[str, Any]:
    """Return the metrics by group, the gaps and the tests, as plain values.

    Args:
        task: of the results.
        results: of the model.
        found: the groups of the items of ``results``, in their order.
        min_group: groups of fewer items are in no gap and no test.
        draws: permutations of a test.
        seed: of these.
        reporter: gets notes.

    Returns:
        ``cluster``, ``min_group``, ``metrics`` (their directions by name), ``tested`` (names), ``without`` (metrics of
        the task that are no function of sums, and have no group values), and ``columns``, each with ``name``,
        ``groups``, ``gaps`` and ``tests_over`` (how many p-values Holm's correction is over).
    """
    measures = task.measures(results)
    names = [measure.name for measure in measures]
    shared = {"min_group": min_group, "draws": draws, "seed": seed, "reporter": reporter}
    tested = [name for name in tested_metrics(task) if name in names]
    analysis = analyse_measures({"": measures}, found, tested=tested, top=top_classes(results.split), **shared)
    return {**analysis, "without": left_out(task.metrics(results), measures)}


def analyse_measures(
    families: Mapping[str, Sequence[Measure]],
    found: ItemGroups,
    *,
    tested: Sequence[str],
    top: np.ndarray | None,
    min_group: int,
    draws: int = 4999,
    seed: int = 0,
    reporter: Reporter,
) -> dict[str, Any]:
    """Return what ``analyse_groups`` does, of any measures: each of ``families`` by each column.

    Args:
        families: measures by what the name of a column gets behind it, of the same names in each.
        found: the groups of their items.
        tested: names of the measures that are tested.
        top: the class of each item, (N,); None of ratings.
        min_group: groups of fewer items are in no gap and no test.
        draws: permutations of a test.
        seed: of these.
        reporter: gets notes.
    """
    columns = []
    reporter.start("groups", len(found.groupings) * len(families), "columns")
    for behind, measures in families.items():
        for grouping in found.groupings:
            clusters, note = _own_clusters(grouping, found)
            column = _Column(measures, grouping, clusters, top, min_group)
            one = column.analyse(tested, draws=draws, seed=seed)
            columns.append({**one, "name": f"{grouping.name}{behind}", "notes": [note] if note else []})
            reporter.advance()
    reporter.finish()
    _correct(columns)
    for text in _remarks(columns, min_group, found.cluster):
        reporter.note(text)
    return {
        "cluster": found.cluster,
        "min_group": min_group,
        "metrics": {measure.name: measure.better for measures in families.values() for measure in measures},
        "tested": list(tested),
        "columns": columns,
    }


def top_classes(split: Split) -> np.ndarray | None:
    """Return the class of each item, (N,); None of ratings."""
    return split.top() if split.ratings is None else None


def _own_clusters(grouping: Grouping, found: ItemGroups) -> tuple[list[str] | None, str]:
    """Return the clusters, unless the groups are the clusters: then items are the units within them."""
    if found.clusters is None:
        return None, ""
    numbers = cluster_numbers(found.clusters, len(found.clusters))
    clusters = [set(numbers[grouping.codes == code].tolist()) for code in grouping.known]
    if not share_clusters(grouping.codes, numbers) and all(len(own) <= 1 for own in clusters):
        return None, f"{grouping.name}: each group is one {found.cluster}; its intervals are over its items"
    return found.clusters, ""


@dataclass(frozen=True, eq=False)
class _Column:
    """One column of ``--by`` with what its analysis takes."""

    measures: Sequence[Measure]
    grouping: Grouping
    clusters: list[str] | None
    top: np.ndarray | None
    min_group: int

    def analyse(self, tested: Sequence[str], *, draws: int, seed: int) -> dict[str, Any]:
        """Return ``name``, ``groups`` and ``gaps``."""
        names = self.grouping.groups
        groups = [group for number, name in enumerate(names) if (group := self.group(number, name))["n"]]
        kept = {group["name"] for group in groups if group["counted"]}
        rows: list[dict[str, Any]] = []
        if len(kept) > 1:
            codes = np.array([code if names[code] in kept else -1 for code in self.grouping.codes.tolist()])
            chosen = [measure for measure in self.measures if measure.name in tested]
            tests = differences(chosen, codes, clusters=self.clusters, draws=draws, seed=seed)
            of_metric = {one.measure: {"p": one.p, "by_chance": one.by_chance, "test": one.test} for one in tests}
            for measure in self.measures:
                found = gap(measure, codes, clusters=self.clusters, seed=seed)
                rows.append(_gap_row(found, names) | of_metric.get(measure.name, {}))
        return {"name": self.grouping.name, "groups": groups, "gaps": rows}

    def group(self, number: int, name: str) -> dict[str, Any]:
        """Return what is known of the group ``number``."""
        rows = np.flatnonzero(self.grouping.codes == number)
        own = None if self.clusters is None else len({self.clusters[row] for row in rows})
        few = ""
        if len(rows) < self.min_group:
            few = f"fewer than {self.min_group} items"
        elif own == 1:
            few = "one cluster alone"
        elif name == UNKNOWN:
            few = "not known"
        known = estimates(self.measures, rows=rows, clusters=self.clusters) if len(rows) else []
        return {
            "name": name,
            "n": len(rows),
            "clusters": own,
            "classes": None if self.top is None else len(np.unique(self.top[rows])),
            "counted": not few,
            "why_not": few,
            "metrics": {one.name: _plain(one.value) for one in known},
            "intervals": {one.name: [one.low, one.high] for one in known if not math.isnan(one.low)},
            "methods": {one.name: one.method for one in known},
        }


def _gap_row(found: Gap, groups: Sequence[str]) -> dict[str, Any]:
    biased = found.measure.startswith(BIASED)
    return {
        "metric": found.measure,
        "gap": _plain(found.value),
        "low": None if biased else _plain(found.low),
        "high": None if biased else _plain(found.high),
        "lowest": groups[found.lowest] if found.lowest >= 0 else "",
        "highest": groups[found.highest] if found.highest >= 0 else "",
        "method": "no interval: its bias depends on the number of items" if biased else found.method,
        "groups": found.groups,
    }


def _correct(columns: Sequence[dict[str, Any]]) -> None:
    """Add Holm's p over all tests of all columns."""
    rows = [row for column in columns for row in column["gaps"] if "p" in row]
    adjusted = holm([row["p"] for row in rows]) if rows else []
    count = sum(not math.isnan(row["p"]) for row in rows)
    for row, p in zip(rows, adjusted, strict=True):
        row |= {"p": _plain(row["p"]), "by_chance": _plain(row["by_chance"]), "p_holm": _plain(p), "tests": count}


def _remarks(columns: Sequence[dict[str, Any]], min_group: int, cluster: str | None) -> list[str]:
    found = []
    for column in columns:
        found += column["notes"]
        groups, name = column["groups"], column["name"]
        small = [f"{one['name']} ({one['n']:,})" for one in groups if one["n"] < min_group]
        alone = [one["name"] for one in groups if one["why_not"] == "one cluster alone"]
        counted = [one for one in groups if one["counted"]]
        if small:
            found.append(
                f"{name}: {count_text(len(small), 'group')} with fewer than {min_group} items, in no gap and no test: "
                f"{list_some(small)}"
            )
        if alone:
            found.append(f"{name}: groups of one {cluster} alone, in no gap and no test: {list_some(alone)}")
        if len(counted) < 2:
            found.append(f"{name}: {count_text(len(counted), 'group')} to compare, so there is no gap")
        if len({one["classes"] for one in counted}) > 1:
            classes = ", ".join(f"{one['name']}: {one['classes']}" for one in counted[:6])
            found.append(
                f"{name}: groups have items of different numbers of classes ({classes}); metrics over classes are over "
                "those there"
            )
    return found


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


# --- output -----------------------------------------------------------------------------------------------------------


def gap_values(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the largest gap of each metric over all columns, as ``gap:accuracy``; NaN where none is known.

    Args:
        record: with what ``analyse_groups`` gave under ``groups``; without, there are none.
    """
    if (analysis := record.get("groups")) is None:
        return {}
    found = {f"{GAP}{name}": math.nan for name in analysis["metrics"]}
    for column in analysis["columns"]:
        for row in column["gaps"]:
            if row["gap"] is not None:
                name = f"{GAP}{row['metric']}"
                found[name] = max(row["gap"], found[name] if not math.isnan(found[name]) else 0.0)
    return found


FILES = {"groups": "groups", "gaps": "gaps"}
"""Names, without endings, of the files of ``write_groups``."""


def remove_groups(folder: Path, *, names: Mapping[str, str] = FILES) -> None:
    """Remove what ``write_groups`` of an earlier evaluation left in ``folder``: it is of other items or models."""
    for file in (f"{names['groups']}.csv", f"{names['gaps']}.csv", f"{names['groups']}.png"):
        (folder / file).unlink(missing_ok=True)


def write_groups(
    folder: Path, analysis: dict[str, Any], overall: Mapping[str, float], *, names: Mapping[str, str] = FILES
) -> None:
    """Write ``groups.csv`` (a row a group and metric), ``gaps.csv`` (a row a column and metric) and ``groups.png``.

    Args:
        folder: of the results.
        analysis: of ``analyse_groups``.
        overall: the metrics over all items.
        names: other names in place of ``groups`` and ``gaps``.
    """
    write_table(folder / f"{names['groups']}.csv", _long(analysis))
    keys = ("metric", "gap", "low", "high", "lowest", "highest", "by_chance", "p", "p_holm", "tests", "method", "test")
    rows = [(column["name"], row) for column in analysis["columns"] for row in column["gaps"]]
    gaps: dict[str, list[Any]] = {"column": [name for name, _ in rows]}
    gaps |= {name: [_cell(row.get(name)) for _, row in rows] for name in keys}
    write_table(folder / f"{names['gaps']}.csv", gaps)
    from affectkit.reports.groups import draw_groups

    shown = analysis["tested"] or list(analysis["metrics"])
    draw_groups(
        folder / f"{names['groups']}.png",
        columns=analysis["columns"],
        metrics={name: analysis["metrics"][name] for name in shown},
        overall=overall,
    )


def _long(analysis: dict[str, Any]) -> dict[str, list[Any]]:
    names = ("column", "group", "n", "clusters", "classes", "counted", "metric", "value", "low", "high", "method")
    found: dict[str, list[Any]] = {name: [] for name in names}
    for column in analysis["columns"]:
        for group in column["groups"]:
            for metric, value in group["metrics"].items():
                low, high = group["intervals"].get(metric, (None, None))
                counted = "yes" if group["counted"] else group["why_not"]
                row = (
                    column["name"], group["name"], group["n"], group["clusters"], group["classes"], counted, metric,
                    value, low, high, group["methods"][metric],
                )  # fmt: skip
                for name, cell in zip(names, row, strict=True):
                    found[name].append(_cell(cell))
    return found


def _cell(value: Any) -> Any:
    return "" if value is None else value
