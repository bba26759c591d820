"""``affectkit eval-corruptions``."""

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
from affectkit.errors import EXIT_PARTIAL, ThresholdError
from affectkit.settings.robustness import RobustnessSettings
from affectkit.slurm.job_policy import CORRUPTIONS

BRIEF = Brief(
    options={
        "Data": "data labels split",
        "Model": "checkpoint batch_size device",
        "Corruptions": "corruptions severities corrupted_root baseline",
        "Output": "results fail_under report json force",
    },
    required=("checkpoint", "data"),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(
        app,
        "eval-corruptions",
        RobustnessSettings,
        writes=folders("results", "save_images"),
        slurm=CORRUPTIONS,
        extra=REPORT,
        brief=BRIEF,
    )
    def eval_corruptions(resolved: Resolved[RobustnessSettings], console: Console) -> None:
        """Test a checkpoint on labelled images as they are and corrupted, at five severities.

        Prints a row for the clean images and for each corruption and severity, then the means. With --results also
        writes corruptions.csv, heat maps and curves, and keeps each row as it comes: the same command resumes there.
        What is drawn for an image depends on --seed, its content, corruption and severity alone.

        Examples:
            affectkit eval-corruptions --checkpoint runs/first --data faces --results robust
            affectkit eval-corruptions --checkpoint runs/first --data faces --corruptions fog
            affectkit eval-corruptions --checkpoint runs/first --data faces --severities 3
        """
        from affectkit.robustness.sweep import eval_corruptions as run

        settings = resolved.settings
        check_report(console, settings.results)
        summary = run(settings, reporter=console)
        render(summary, console)
        if settings.save_images is not None:
            console.note(f"corrupted images: {settings.save_images}")
        if settings.results is not None:
            console.note(f"results: {settings.results}")
        report_asked(console, settings.results)
        _conclude(summary, console)


def render(summary: dict[str, Any], console: Console) -> None:
    """Show the rows, the means by corruption, and what sums them up."""
    console.result(summary)
    metrics, over = summary["shown"], summary["over_classes"]
    headings = [f"{name} ({over[name]})" if name in over else name for name in metrics]
    rows = [
        [row["corruption"], str(row["severity"] or ""), f"{row['images']:,}", *_cells(row["metrics"], metrics)]
        for row in summary["rows"]
    ]
    console.table(["corruption", "severity", "images", *headings], rows)
    compared = "ce" in summary
    title = ["mean over severities", *headings, *(["CE"] if compared else [])]
    means = [
        [name, *_cells(values, metrics), *([shown(summary["ce"][name])] if compared else [])]
        for name, values in summary["means"].items()
    ]
    last = ["all corruptions", *_cells(summary["mean"], metrics), *([shown(summary["mce"])] if compared else [])]
    console.table(title, [["clean", *_cells(summary["clean"], metrics), *([""] if compared else [])], *means, last])
    if "mean_error" not in summary or console.json:
        return
    if not compared:
        console.line(f"mean error {shown(summary['mean_error'])}; mCE needs a --baseline.")
        return
    relative = summary.get("relative_mce")
    relative_text = "not known: the baseline has no clean row" if relative is None else shown(relative)
    console.line(
        f"mean error {shown(summary['mean_error'])}; mCE {shown(summary['mce'])} and relative mCE {relative_text}, "
        "where 1 is the baseline."
    )


def _cells(metrics: dict[str, float], names: list[str]) -> list[str]:
    return [shown(metrics[name]) for name in names]


def _conclude(summary: dict[str, Any], console: Console) -> None:
    if summary["skipped"]:
        for item in summary["skipped"][:20]:
            console.warn(f"skipped: {item['reason']}")
        console.warn(f"{count_text(len(summary['skipped']), 'image')} skipped in every row.")
    if summary["missed"]:
        raise ThresholdError("Over the corruptions: " + "; ".join(summary["missed"]) + ".")
    if summary["skipped"]:
        raise typer.Exit(EXIT_PARTIAL)
