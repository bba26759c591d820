"""Write the results of an evaluation: tables and figures."""

from __future__ import annotations

from pathlib import Path

from affectkit.core.csv_tables import write_table
from affectkit.core.progress import Reporter
from affectkit.data.loading.image_or_clip import image_of_item
from affectkit.evaluation.recorded_outputs import write_outputs
from affectkit.tasks.base import Results, Task


def write_results(folder: Path, task: Task, results: Results, *, reporter: Reporter) -> None:
    """Write the per-sample table, the further tables and the figures of ``results`` into ``folder``."""
    write_tables(folder, task, results, samples="test_results.csv", reporter=reporter)
    draw_figures(folder / task.figures_folder, task, results, reporter=reporter)


def write_tables(folder: Path, task: Task, results: Results, *, samples: str, reporter: Reporter) -> None:
    """Write the table of samples, under the name ``samples``, the further tables of ``results`` and their outputs into
    ``folder``."""
    write_table(folder / samples, task.table(results))
    for file, columns in task.tables(results).items():
        write_table(folder / file, columns)
    write_outputs(folder, task, results, samples=samples, reporter=reporter)


def draw_figures(folder: Path, task: Task, results: Results, *, reporter: Reporter) -> None:
    """Draw the figures of ``results`` into ``folder``."""
    figures = task.figures(results, lambda position: image_of_item(results.split, task.spec, position))
    figures |= task.registered_figures(results)
    reporter.start("drawing", len(figures), "pictures")
    for file, draw in figures.items():
        draw(folder / file)
        reporter.advance()
    reporter.finish()
