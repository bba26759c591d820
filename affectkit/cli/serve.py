"""``affectkit serve``."""

from __future__ import annotations

import sys
from typing import Any

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import nothing
from affectkit.config import Resolved
from affectkit.core.openmp import one_linear_algebra_thread
from affectkit.core.process import importing
from affectkit.settings.serve import ServeSettings

BRIEF = Brief(
    options={
        "Model": "checkpoint device",
        "Faces and films": "faces max_faces every valence_arousal",
        "Server": "port host keep max_size",
    },
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(app, "serve", ServeSettings, writes=nothing, brief=BRIEF)
    def serve(resolved: Resolved[ServeSettings], console: Console) -> None:
        """Serve a local page and an HTTP API: drop pictures or films on it, or use the camera.

        The address, with a token that every request needs, goes to standard output; requests without it are refused.
        Uploaded files are removed once predicted, those of jobs 15 minutes after they were last asked for, and all when
        the server ends; --results FOLDER keeps jobs. Nothing is fetched from elsewhere.

        API: POST /predict with files gives the JSON of infer --json with the rows, POST /jobs predicts films; GET /docs
        describes it. Ctrl-C ends it (exit code 130), SIGTERM too (143).

        Examples:
            affectkit serve
            affectkit serve --port 8000 --faces none
            affectkit serve --checkpoint runs/first --results results/served
        """
        one_linear_algebra_thread()
        with importing():
            from affectkit.serve.server import serve as run

        def ready(told: dict[str, Any]) -> None:
            console.result(told)
            if not console.json:
                console.line(told["address"])
            sys.stdout.flush()
            console.note("Open this address in a browser; Ctrl-C ends the server.")

        run(resolved.settings, reporter=console, ready=ready)
