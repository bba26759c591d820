"""``affectkit calibrate``."""

from __future__ import annotations

from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import files
from affectkit.config import Resolved
from affectkit.core.assets import called
from affectkit.core.text import count_text
from affectkit.settings.calibration import CalibrateSettings

BRIEF = Brief(
    options={
        "Model": "checkpoint device",
        "Data": "data labels split",
        "Fitting": "abstain temperature",
        "Output": "output force",
    },
    required=("checkpoint", "data", "output"),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "calibrate", CalibrateSettings, writes=files("output"), brief=BRIEF)
    def calibrate(resolved: Resolved[CalibrateSettings], console: Console) -> None:
        """Fit when a finished model abstains, and its temperature, on labelled pictures, into a new checkpoint.

        The threshold promises, with a confidence that holds at the number of images at hand, that at least such a share
        of the labels given is right, or that such a share of images gets one: of images that are drawn as those it is
        fitted on. Where nothing can be promised, nothing is written, and the exit code is 3. infer and test use it with
        --abstain stored.

        Examples:
            affectkit calibrate runs/first --data faces --temperature labels --output new.safetensors
            affectkit calibrate runs/first --data faces --abstain accuracy=0.9 --output new.safetensors
            affectkit calibrate runs/first --data faces --abstain coverage=0.8 --output new.safetensors
        """
        from affectkit.evaluation.calibrate import calibrate as run

        _show(run(resolved.settings, reporter=console), console)


def _show(summary: dict[str, Any], console: Console) -> None:
    """Show what was fitted."""
    console.result(summary)
    rows = [
        ["file", summary["output"]],
        ["SHA-256", summary["output_sha256"]],
        ["of", f"{called(summary['source'])}, {summary['source_sha256'][:16]}..."],
        ["fitted on", f"{count_text(summary['images'], 'item')}, {summary['split']}"],
        ["temperature", f"{summary['temperature']:.6g}" + ("" if "calibration" in summary else " (kept)")],
    ]
    if (found := summary["abstention"]) is not None:
        ((target, value),) = found["wished"].items()
        rows += [
            ["promised", f"{target} of at least {value:g}, with {found['confidence']:g} confidence"],
            ["label from a confidence of", f"{found['threshold']:g}"],
            ["get a label here", f"{found['accepted'] / found['n']:.2%} ({found['accepted']:,} of {found['n']:,})"],
            ["of these right here", f"{found['right'] / found['accepted']:.2%} ({found['right']:,})"],
        ]
        if found["accuracy_bound"] is not None:
            rows.append(["of these right, promised", f"at least {found['accuracy_bound']:.4f}"])
    console.table(["checkpoint", ""], rows)
