"""``affectkit reconstruct``."""

from __future__ import annotations

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console, shown
from affectkit.cli.options import command
from affectkit.cli.outputs import folders
from affectkit.config import Resolved
from affectkit.settings.reconstruction import ReconstructSettings

BRIEF = Brief(
    options={
        "Data": "data split clips",
        "Model": "checkpoint batch_size device",
        "Output": "results sound force",
    },
    required=("checkpoint", "data", "results"),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "reconstruct", ReconstructSettings, writes=folders("results"), older="probe", brief=BRIEF)
    def reconstruct(resolved: Resolved[ReconstructSettings], console: Console) -> None:
        """Reconstruct clips from the shared and the private codes of an audio-visual model alone.

        Draws a few clips beside what the model makes of all codes, the shared ones, the private ones, and its shared
        ones with the private ones of another clip; the table holds the errors over the whole split.

        Examples:
            affectkit reconstruct --checkpoint runs/av --data data/cremad --results codes
            affectkit reconstruct --checkpoint runs/av --data data/cremad --results codes --sound
            affectkit reconstruct --checkpoint runs/av --data clips --results codes --split valid
        """
        from affectkit.evaluation.reconstruction import reconstruct as run

        summary = run(resolved.settings, reporter=console)
        console.result(summary)
        names = list(summary["errors"]["all"])
        rows = [[kind, *(shown(found[name]) for name in names)] for kind, found in summary["errors"].items()]
        console.table(
            [f"codes, {summary['split']}, n = {summary['clips']:,}", *(f"MSE {name}" for name in names)], rows
        )
        parts = [f"{name.replace('_', ' ')} {value:.1f}%" for name, value in summary["channels"].items() if "_" in name]
        console.note(f"channels: {', '.join(parts)}")
        console.note(f"results: {resolved.settings.results}")
