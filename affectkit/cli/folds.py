"""Show the results of a cross-validation, of ``affectkit train --folds`` and ``affectkit merge``."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Collection
from typing import Any

from affectkit.cli.console import Console, shown, span
from affectkit.core.text import count_text

INTERVALS_NOTE = (
    "out of fold: all items pooled, each predicted by the model that has not seen it, with the interval over {over} "
    "for these models; mean and sd: over the folds."
)


def render_folds(result: dict[str, Any], console: Console, *, only: Collection[str] | None = None) -> None:
    """Show the metrics of all items pooled, and their mean over the folds with both intervals; those of ``only``, where
    it names some.
    """
    console.result(result)
    pooled, intervals = result["out_of_fold"], result["out_of_fold_intervals"]
    over = result["out_of_fold_over_classes"]
    rows = []
    for name, value in pooled.items():
        if only is not None and name not in only:
            continue
        row = [name, shown(value, over.get(name, "")), span(intervals[name]) if name in intervals else ""]
        if name in result["mean"]:
            row += [shown(result["mean"][name]), shown(result["sd"][name])]
            row += [span(result["t_interval"][name]), span(result["corrected_interval"][name])]
        rows.append(row + [""] * (7 - len(row)))
    columns = ["metric", "out of fold", "95% interval", "mean", "sd", "t 95%", "corrected 95%"]
    folds, by = len(result["folds"]), result["grouped_by"]
    title = f"{count_text(folds, 'fold')} of {count_text(result['items'], 'item')}" + (
        f", {count_text(result['groups'], 'group')} by {by}" if by else ""
    )
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf
    for part, lines in fold_tables(columns, rows, room):
        console.table(part, lines, title=title)
        title = ""
    console.note(INTERVALS_NOTE.format(over=result["out_of_fold_interval_over"]))
    shown_rows = {row[0] for row in rows}
    undefined = {name: n for name, n in result["defined"].items() if n < folds and name in shown_rows}
    if undefined:
        told = ", ".join(f"{name} ({count})" for name, count in undefined.items())
        console.note(f"not defined in every fold, so that mean and sd are over fewer: {told}.")
    console.note(result["caveat"])
    console.note(f"run folder: {result['run']}; of every item: {result['run']}/out_of_fold/out_of_fold_results.csv")
    if len(rows) < len(pooled):
        console.note(
            f"{count_text(len(pooled) - len(rows), 'more metric')}: --verbose shows them, the run folder has them."
        )


def fold_tables(columns: list[str], rows: list[list[str]], room: float) -> list[tuple[list[str], list[list[str]]]]:
    """Return one table, or two where it is wider than ``room`` characters: intervals of the mean apart, names again."""
    widest = [max(map(len, cells)) + 3 for cells in zip(columns, *rows, strict=True)]
    if sum(widest) + 1 <= room:
        return [(columns, rows)]
    return [
        (columns[:-2], [row[:-2] for row in rows]),
        ([columns[0], *columns[-2:]], [[row[0], *row[-2:]] for row in rows]),
    ]
