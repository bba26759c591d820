"""``affectkit test``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from affectkit.cli.console import Console, shown, span
from affectkit.cli.options import command
from affectkit.config import Resolved
from affectkit.core.text import counted
from affectkit.errors import EXIT_PARTIAL, ThresholdError
from affectkit.settings.evaluation import TestSettings
from affectkit.slurm.job_policy import TEST


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "test", TestSettings, slurm=TEST)
    def test(resolved: Resolved[TestSettings], console: Console) -> None:
        """Test a checkpoint on labelled images.

        Prints the metrics; with --results also writes results.json, a table a sample, the confusion matrix, recall by
        class, and pictures. Metrics do not depend on --batch-size or --workers.

        Example: affectkit test --checkpoint runs/first --data faces --results results/first
        """
        from affectkit.evaluation.evaluate import test as run

        summary = run(resolved.settings, reporter=console)
        render(summary, console, results=resolved.settings.results)


def render(summary: dict[str, Any], console: Console, *, results: Path | None) -> None:
    """The metrics, what was skipped, and the exit code that follows from them."""
    console.result(summary)
    columns = [summary["task"], f"{summary['split']}, n = {summary['images']:,}"]
    over = summary["over_classes"]
    rows = [[name, shown(value, over.get(name, ""))] for name, value in summary["metrics"].items()]
    if intervals := summary["intervals"]:
        columns.append("95% interval")
        rows = [[*row, span(intervals[row[0]]) if row[0] in intervals else ""] for row in rows]
    console.table(columns, rows)
    if results is not None:
        console.note(f"results: {results}")
    if summary["skipped"]:
        for item in summary["skipped"][:20]:
            console.warn(f"skipped: {item['reason']}")
        console.warn(
            f"{counted(len(summary['skipped']), 'image')} skipped; metrics are over the other {summary['images']:,}."
        )
    if summary["missed"]:
        raise ThresholdError("; ".join(summary["missed"]) + ".")
    if summary["skipped"]:
        raise typer.Exit(EXIT_PARTIAL)
