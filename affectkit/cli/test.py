"""``affectkit test``."""

from __future__ import annotations

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.cli.rendering import render_test
from affectkit.cli.reporting import REPORT, check_report, report_asked
from affectkit.config import Resolved
from affectkit.settings.evaluation import TestSettings
from affectkit.slurm.job_policy import TEST

BRIEF = Brief(
    options={
        "Data": "data labels split by",
        "Model": "checkpoint batch_size device",
        "Output": "results fail_under report json force",
    },
    required=("checkpoint", "data"),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "test", TestSettings, writes=folders("results"), slurm=TEST, extra=REPORT, brief=BRIEF)
    def test(resolved: Resolved[TestSettings], console: Console) -> None:
        """Test a checkpoint on labelled images.

        Prints the metrics with 95% intervals; with --results also writes results.json (how each interval was made
        included), a table a sample, the confusion matrix, recall by class with exact intervals, and pictures. Metrics
        do not depend on --batch-size or --workers.

        Examples:
            affectkit test --checkpoint runs/first --data faces --results results/first
            affectkit test --checkpoint builtin --data faces --fail-under accuracy=0.6
            affectkit test --checkpoint runs/first --data faces --by sex,age=20-30-40
        """
        from affectkit.evaluation.test import test as run

        check_report(console, resolved.settings.results)
        summary = run(resolved.settings, reporter=console)
        report_asked(console, resolved.settings.results)
        render_test(summary, console, results=resolved.settings.results)
