"""Results that more than one command shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from affectkit.cli.console import Console, shown, span
from affectkit.core.text import count_text
from affectkit.errors import EXIT_PARTIAL, ThresholdError


def render_test(summary: dict[str, Any], console: Console, *, results: Path | None) -> None:
    """Show the metrics and what was skipped, and exit with the code that follows from them."""
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
            f"{count_text(len(summary['skipped']), 'image')} skipped; metrics are over the other {summary['images']:,}."
        )
    if summary["missed"]:
        raise ThresholdError("; ".join(summary["missed"]) + ".")
    if summary["skipped"]:
        raise typer.Exit(EXIT_PARTIAL)


def render_undo(done: Any, root: Path, dry_run: bool, console: Console) -> None:
    """Show what an undo did or would do."""
    console.result(
        {"output": str(root), "restored": done.restored, "removed": done.removed, "kept": done.kept, "dry_run": dry_run}
    )
    would = "would be " if dry_run else ""
    console.note(f"{done.restored:,} originals {would}put back, {done.removed:,} files {would}removed in {root}")
    for name, why in done.kept[:20]:
        console.warn(f"{name}: {why}")
    if done.kept:
        raise typer.Exit(EXIT_PARTIAL)
