"""``affectkit relabel``: files to their corrected classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from affectkit.cli.brief import Brief
from affectkit.cli.console import Console
from affectkit.cli.options import command
from affectkit.cli.outputs import changed_or_new
from affectkit.cli.rendering import render_undo
from affectkit.config import Resolved, setting
from affectkit.core.text import count_text
from affectkit.settings.common import needed
from affectkit.slurm.job_policy import PREP


@dataclass(frozen=True, kw_only=True)
class RelabelSettings:
    """Settings of ``affectkit relabel``."""

    path: Path | None = setting(
        None, "Folder with <label>/<file>, or train/<label>/<file>.", argument=True, metavar="DATA", also="data"
    )
    labels_csv: Path | None = setting(
        None, "CSV file with the columns pth (old_label/file) and label.", renamed="labels", metavar="TABLE"
    )
    output_path: Path | None = setting(
        None,
        "Folder to copy into; without it DATA is changed in place, by a journal.",
        renamed="output",
        metavar="FOLDER",
    )
    dry_run: bool = setting(False, "Show what would happen; change nothing.")
    undo: bool = setting(False, "Put every file back.")
    force: bool = setting(False, "With --undo, continue where files have changed since.")

    def rules(self) -> list[str]:
        """Name the faults between settings."""
        faults = needed(self, path="the folder with the classes")
        if not self.undo:
            faults += needed(self, labels_csv="the table of corrections")
        if self.force and not self.undo:
            faults.append("--force counts only with --undo.")
        return faults


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @command(
        app,
        "relabel",
        RelabelSettings,
        writes=changed_or_new,
        slurm=PREP,
        brief=Brief(required=("path", "labels_csv"), unless={"labels_csv": "--undo"}),
    )
    def relabel(resolved: Resolved[RelabelSettings], console: Console) -> None:
        """Move files to their corrected classes; a kill at any moment loses nothing, and --undo takes it back.

        Examples:
            affectkit relabel faces --labels corrections.csv --dry-run
            affectkit relabel faces --labels corrections.csv
            affectkit relabel faces --undo
        """
        from affectkit.prep.datasplit import relabel as work
        from affectkit.runtime.shutdown import StopFlag

        s = resolved.settings
        with StopFlag(console) as stopping:
            if s.undo:
                root = s.output_path or s.path
                done = work.undo_relabel(root, force=s.force, dry_run=s.dry_run, reporter=console, stopping=stopping)
                render_undo(done, root, s.dry_run, console)
                return
            report = work.relabel(
                s.path, s.labels_csv, output=s.output_path, dry_run=s.dry_run, reporter=console, stopping=stopping
            )
        console.result(report.to_dict())
        rows = [[old, new, f"{count:,}"] for (old, new), count in report.moves.items()]
        console.table(["from", "to", "files"], [*rows, ["all", "", f"{sum(report.moves.values()):,}"]])
        if report.unchanged:
            console.note(f"{count_text(report.unchanged, 'row says', 'rows say')} what is so already.")
        if report.dry_run:
            console.note("nothing was changed.")
        elif report.already_done or not report.moves:
            console.note(f"{report.output}: nothing to do.")
        else:
            console.note(f"{report.output} is relabelled; affectkit relabel {report.output} --undo takes it back.")
