"""``affectkit report``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import OUTPUT, command
from affectkit.cli.outputs import nothing
from affectkit.cli.reporting import write_report
from affectkit.config import Resolved, setting

PAGE_FILE = Optional[Path]  # noqa: UP045 - typer reads this at run time
PAGE = typer.Option(
    None, "--output", "-o", metavar="FILE.html", help="The page. Default: report.html in the folder.",
    rich_help_panel=OUTPUT,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """Settings of ``affectkit report``."""

    folder: Path | None = setting(
        None,
        "Folder of results: what --results or --output of a command named.",
        argument=True,
        metavar="FOLDER",
        also="results",
    )
    images: Path | None = setting(
        None,
        "Folder in which the pictures and videos are now, where they have moved since.",
        default_text="where the results say",
        metavar="FOLDER",
    )

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        return ["FOLDER is needed: a folder of results."] if self.folder is None else []


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(
        app,
        "report",
        ReportSettings,
        writes=nothing,
        extra={"output": (PAGE_FILE, PAGE)},
        brief=Brief(required=("folder",)),
    )
    def report(resolved: Resolved[ReportSettings], console: Console) -> None:
        """Write results as one HTML page that opens without a network.

        Of the folders of infer, train, test, compare, matrix, eval-corruptions, describe and quantiles, also of earlier
        versions and of stopped runs. The page holds small pictures of the inputs, where these are still what they were.

        Examples:
            affectkit report results/photos
            affectkit report runs/first -o first.html
            affectkit report results/photos --images /mnt/moved/photos
        """
        settings = resolved.settings
        write_report(settings.folder, console, file=console.extra["output"], images=settings.images, alone=True)
