"""Write the results of an evaluation: tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectkit.core.csv_tables import write_table
from affectkit.core.progress import Reporter
from affectkit.data.loading.image_or_clip import image_of_item
from affectkit.evaluation.recorded_outputs import write_outputs
from affectkit.statistics.intervals import estimates
from affectkit.tasks.base import Figure, Results, Task

PER_CLASS = "per_class.csv"


def write_results(
    folder: Path,
    task: Task,
    results: Results,
    *,
    clusters: Sequence[str] | None,
    figures: bool = True,
    reporter: Reporter,
) -> None:
    """Write the per-sample table, the further tables and the figures of ``results`` into ``folder``.

    Args:
        folder: where to.
        task: whose results they are.
        results: of a split that nothing was chosen by.
        clusters: (N,) what each item belongs to, see ``Task.intervals``; intervals by class are over these.
        figures: whether they are wanted; else those of a test before this one are removed.
        reporter: hears of the figures.
    """
    more = {PER_CLASS: class_intervals(task, results, clusters)}
    write_tables(folder, task, results, samples="test_results.csv", more=more, reporter=reporter)
    if figures:
        draw_figures(folder / task.figures_folder, task, results, reporter=reporter)
    elif (folder / task.figures_folder).is_dir():
        for file in _figures(task, results):
            (folder / task.figures_folder / file).unlink(missing_ok=True)


def class_intervals(task: Task, results: Results, clusters: Sequence[str] | None) -> dict[str, list[Any]]:
    """Return the columns of 95% intervals of recall and precision by class, and of what those of recall are made by;
    none for a task without classes. A share of few items has a wide interval, and an exact one all the same.
    """
    columns: dict[str, list[Any]] = {}
    for one in estimates([one for one in task.class_measures(results) if one.binary], clusters=clusters):
        kind = one.name.split(" ", 1)[0]
        for name, value in (("low", one.low), ("high", one.high), ("interval", one.method)):
            columns.setdefault(f"{kind}_{name}", []).append(value)
    columns.pop("precision_interval", None)
    return columns


def write_tables(
    folder: Path,
    task: Task,
    results: Results,
    *,
    samples: str,
    more: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
    reporter: Reporter,
) -> None:
    """Write the table of samples, under the name ``samples``, the further tables of ``results`` and their outputs into
    ``folder``; ``more`` has further columns by the name of a table."""
    write_table(folder / samples, task.table(results))
    for file, columns in task.tables(results).items():
        write_table(folder / file, {**columns, **(more or {}).get(file, {})})
    write_outputs(folder, task, results, samples=samples, reporter=reporter)


def draw_figures(folder: Path, task: Task, results: Results, *, reporter: Reporter) -> None:
    """Draw the figures of ``results`` into ``folder``."""
    figures = _figures(task, results)
    reporter.start("drawing", len(figures), "pictures")
    for file, draw in figures.items():
        draw(folder / file)
        reporter.advance()
    reporter.finish()


def _figures(task: Task, results: Results) -> dict[str, Figure]:
    figures = task.figures(results, lambda position: image_of_item(results.split, task.spec, position))
    return figures | task.registered_figures(results)
