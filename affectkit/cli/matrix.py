"""``affectkit matrix``."""

from __future__ import annotations

from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console, shown
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.cli.reporting import REPORT, check_report, report_asked
from affectkit.config import Resolved
from affectkit.core.text import count_text
from affectkit.errors import EXIT_PARTIAL
from affectkit.settings.matrix import MatrixSettings
from affectkit.slurm.job_policy import TEST

BRIEF = Brief(
    options={
        "Models": "checkpoint batch_size device",
        "Data": "data split label_map",
        "Output": "results json force",
    },
    required=("checkpoint", "data"),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "matrix", MatrixSettings, writes=folders("results"), slurm=TEST, extra=REPORT, brief=BRIEF)
    def matrix(resolved: Resolved[MatrixSettings], console: Console) -> None:
        """Test several checkpoints on several datasets, with their classes matched.

        Prints a table a metric, models down and datasets across. Classes go by name, and by --label-map; items of
        classes that a model lacks are left out of its cell and counted. A model and data that do not go together (other
        targets, no class in common) leave a cell with the reason, and the exit code is 4. With --results also writes
        matrix.csv, matrix.json and a heat map a metric.

        Examples:
            affectkit matrix --checkpoint runs/a --checkpoint builtin --data raf --data ferplus
            affectkit matrix --checkpoint runs/a --data raf --data fer --split test,valid
            affectkit matrix --checkpoint runs/a --data raf --data new=fer --results cross
        """
        from affectkit.evaluation.matrix import evaluate_matrix

        results = resolved.settings.results
        check_report(console, results)
        summary = evaluate_matrix(resolved.settings, reporter=console)
        _render(summary, console)
        if results is not None:
            console.note(f"results: {results}")
        report_asked(console, results)
        skipped = sum(len(cell.get("skipped", ())) for cell in summary["cells"])
        if skipped:
            console.warn(f"{count_text(skipped, 'image')} skipped over all cells; matrix.json names them.")
        if summary["failed"]:
            console.warn(f"{summary['failed']} of {len(summary['cells'])} cells could not be computed.")
        if skipped or summary["failed"]:
            raise typer.Exit(EXIT_PARTIAL)


def _render(summary: dict[str, Any], console: Console) -> None:
    """Show a table a metric, and one of how many items each cell is over."""
    console.result(summary)
    cells = {(cell["model"], cell["data"]): cell for cell in summary["cells"]}
    names = [one["name"] for one in summary["data"]]
    counts = [
        [model["name"], *(_count_text(cells[model["name"], name]) for name in names)] for model in summary["models"]
    ]
    console.table(["items", *names], counts)
    for metric in summary["shown"]:
        rows = [
            [model["name"], *(_cell_text(cells[model["name"], name], metric) for name in names)]
            for model in summary["models"]
        ]
        way = "higher" if summary["metrics"][metric] == "max" else "lower"
        console.table([metric, *names], rows, title=f"{metric}, {way} is better, with 95% intervals")


def _count_text(cell: dict[str, Any]) -> str:
    if cell["failed"]:
        return "-"
    return f"{cell['n']:,}" + (f" of {cell['of']:,}" if cell["n"] != cell["of"] else "")


def _cell_text(cell: dict[str, Any], metric: str) -> str:
    ends = cell.get("intervals", {}).get(metric)
    return shown(cell.get("metrics", {}).get(metric)) + (f" [{shown(ends[0])}, {shown(ends[1])}]" if ends else "")
