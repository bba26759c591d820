"""``affectkit quantiles``."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console, shown
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.cli.reporting import REPORT, check_report, report_asked
from affectkit.config import Parsed, Resolved, setting, value_of
from affectkit.core.text import count_text
from affectkit.errors import ThresholdError
from affectkit.settings.common import fail_under


@dataclass(frozen=True, kw_only=True)
class QuantilesSettings:
    """Settings of ``affectkit quantiles``."""

    files: tuple[str, ...] = setting(
        (), "CSV files, each with a column of actual and one of predicted values.", argument=True, metavar="FILE.csv..."
    )
    actual: str = setting("Actual", "Column of the actual values, by which the bins are made.", metavar="COLUMN")
    predicted: str = setting("Predicted", "Column of the predicted values.", metavar="COLUMN")
    bins: int = setting(25, "Bins of equal count.", low=2, high=100_000)
    pool: bool = setting(
        False,
        "Also put the items of all files together, then bin: another number than the mean of the files' analyses, "
        "which is given, too.",
    )
    results: Path | None = setting(None, "Folder for quantiles.csv, quantiles.png and summary.json.", metavar="FOLDER")
    force: bool = setting(False, "Write into a --results that is not empty.")
    fail_under: Parsed[dict[str, float]] | None = fail_under(
        "Exit 3 where a file, with --pool the pooled items alone, misses a bound over its bin means: r and r2 at "
        "least, rmse at most. NaN misses.",
        metavar="METRIC=VALUE,...",
        example="r=0.9",
    )

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = [] if self.files else ["FILES are needed: one or more CSV files."]
        if self.actual == self.predicted:
            faults.append(f"--actual and --predicted name the same column, {self.actual!r}.")
        return faults


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(
        app, "quantiles", QuantilesSettings, writes=folders("results"), extra=REPORT, brief=Brief(required=("files",))
    )
    def quantiles(resolved: Resolved[QuantilesSettings], console: Console) -> None:
        """Average predicted and actual values in bins of equal count, and compare the means.

        For each file: r, R2 (not fitted) and RMSE over the bin means, and r, CCC and RMSE of the single items. Bins
        whose edges coincide, since values repeat, are merged. Rows with an empty or NaN value are left out and named.
        With --pool also of the items of all files together, as those of several repeats of a training.

        Examples:
            affectkit quantiles ratings.csv --actual truth --predicted model
            affectkit quantiles results/first/test_Arousal_actual_predicted.csv --bins 20
            affectkit quantiles run-1.csv run-2.csv --pool --results results/quantiles
        """
        from affectkit.evaluation.quantiles import analyse

        s = resolved.settings
        check_report(console, s.results)
        summary = analyse(
            s.files,
            actual=s.actual.strip(),
            predicted=s.predicted.strip(),
            bins=s.bins,
            pool=s.pool,
            results=s.results,
            force=s.force,
            thresholds=value_of(s.fail_under),
            reporter=console,
        )
        _render(summary, console)
        if s.results is not None:
            console.note(f"results: {s.results}")
        report_asked(console, s.results)
        if summary["missed"]:
            raise ThresholdError("Over the bin means: " + "; ".join(summary["missed"]) + ".")


def _render(summary: dict[str, Any], console: Console) -> None:
    """Show a row a file: what was read, over the bin means, of single items; two tables on a narrow terminal."""
    console.result(summary)
    first = [["file", "n", "NaN rows", "bins", "r", "R2", "RMSE"]]
    second = [["item r", "item CCC", "item RMSE"]]
    rows = [*summary["files"]]
    if "pooled" in summary:
        mean = {"file": f"mean of the {count_text(len(rows), 'analysis', 'analyses')}", **summary["mean_of_analyses"]}
        rows += [mean, {**summary["pooled"], "file": "pooled: all items, then bins"}]
    for row in rows:
        counts = [f"{row['n']:,}", f"{row['left_out']:,}", f"{row['bins']} of {summary['bins']}"] if "n" in row else []
        first.append([row["file"], *(counts or [""] * 3), *(shown(row[name]) for name in ("r", "r2", "rmse"))])
        items = row.get("items")
        second.append([shown(items[name]) if items else "" for name in ("r", "ccc", "rmse")])
    beside = [[*one, *other] for one, other in zip(first, second, strict=True)]
    over, single = "r, R2 and RMSE over the bin means", "item r, CCC and RMSE of the single items"
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if room is None or _width(beside) <= room:
        console.table(beside[0], beside[1:], title=f"{over}; {single}")
        return
    narrow = [[one[0], *other] for one, other in zip(first, second, strict=True)]
    for cells, title in ((first, over), (narrow, single)):
        _shorten(cells, room)
        console.table(cells[0], cells[1:], title=title)


def _width(cells: list[list[str]]) -> int:
    """Count the characters across a drawn table."""
    return sum(max(map(len, column)) + 3 for column in zip(*cells, strict=True)) + 1


def _shorten(cells: list[list[str]], room: int) -> None:
    """Cut the beginnings of file names, so that the numbers beside them are not cut."""
    files = max(len(row[0]) for row in cells)
    most = max(files - max(_width(cells) - room, 0), 12)
    for row in cells:
        if len(row[0]) > most:
            row[0] = "…" + row[0][1 - most :]
