"""The option ``--report`` of the commands whose results a page shows, and the page itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import typer

from affectkit.cli.console import Console
from affectkit.cli.options import OUTPUT
from affectkit.core.text import count_text
from affectkit.errors import UsageError

REPORT = {
    "report": (
        Optional[Path],  # noqa: UP045 - typer reads this at run time
        typer.Option(
            None,
            "--report",
            metavar="FILE.html",
            help="Also write the results as one HTML page, as affectkit report does.",
            rich_help_panel=OUTPUT,
        ),
    )
}
"""The option, for ``cli.options.command``: it is no setting, for it changes no result and stands in no record."""


def write_report(
    folder: Path | None, console: Console, *, file: Path | None = None, images: Path | None = None, alone: bool = False
) -> None:
    """Write the page of ``folder`` and say so.

    Args:
        folder: of results.
        console: hears of it; nothing is written by other processes than the first.
        file: the page; None: ``report.html`` in the folder.
        images: where originals have moved.
        alone: whether the page is the result of the command.
    """
    if console.mute:
        return
    from affectkit.pages.make import make_report

    made = make_report(folder, file or folder / "report.html", images=images, reporter=console)
    if alone:
        console.result(made)
        if not console.json:
            console.line(made["report"])
    pictures = f", {count_text(made['pictures'], 'picture')}" if "pictures" in made else ""
    console.note(f"report: {made['report']} ({_size(made['bytes'])}{pictures})")


def check_report(console: Console, folder: Path | None, *, needs: str = "--results") -> None:
    """Refuse ``--report`` before a run, where no page could be made of it.

    Raises:
        UsageError: the results are not kept, or the file is no name of a page.
    """
    file: Path | None = console.extra.get("report")
    if file is None:
        return
    if folder is None:
        raise UsageError(f"--report needs {needs}: the page is made of the results in a folder.")
    from affectkit.pages.make import check_report_file

    check_report_file(file, "--report")


def report_asked(console: Console, folder: Any) -> None:
    """Write the page of ``folder`` where ``--report`` asks for it."""
    file: Path | None = console.extra.get("report")
    if file is not None:
        write_report(Path(folder), console, file=file)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
