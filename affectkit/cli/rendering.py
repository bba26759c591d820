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
    if summary.get("selective"):
        selective = [[f"{row['coverage']:.1%}", f"{row['threshold']:.4f}", shown(row["accuracy"])]
                     for row in summary["selective"]]  # fmt: skip
        console.table(["coverage", "confidence from", "selective accuracy"], selective)
    if "abstention" in summary:
        _abstention(summary["abstention"], console)
    if "groups" in summary:
        render_groups(summary["groups"], console)
    if told := _made_by(summary.get("interval_methods", {})):
        console.note(told)
    if {"ece", "ece_top1"} <= summary["metrics"].keys():
        console.note("ece: confidence against the share of the predicted class; ece_top1: against being right")
    if results is not None:
        by_class = "; recall by class with intervals: per_class.csv" if (results / "per_class.csv").is_file() else ""
        console.note(f"results: {results}{by_class}")
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


def _made_by(methods: dict[str, str]) -> str:
    """Return how the intervals were made: the exact ones by name, mostly one way for the others; empty without any."""
    names: dict[str, list[str]] = {}
    for name, method in methods.items():
        if not method.startswith("no interval"):
            names.setdefault(method, []).append(name)
    if not names:
        return ""
    most = max(names, key=lambda method: len(names[method]))
    others = [f"{method} of {', '.join(own)}" for method, own in names.items() if method != most]
    rest = "the others" if others else "all"
    return "95% intervals: " + "; ".join([*others, f"{most} of {rest}"])


def render_groups(analysis: dict[str, Any], console: Console, *, of: str = "") -> None:
    """Show a table a column: its groups with the metrics that are tested, and the gaps below; ``of`` ends its title."""
    metrics = analysis["tested"] or list(analysis["metrics"])[:3]
    for column in analysis["columns"]:
        cluster = analysis["cluster"] if any(one["clusters"] for one in column["groups"]) else None
        header = [column["name"], "n", *([f"{cluster}s"] if cluster else []), *metrics]
        rows = [_group_row(group, metrics, with_clusters=cluster is not None) for group in column["groups"]]
        gaps = {row["metric"]: row for row in column["gaps"]}
        if gaps:
            blank = [""] * (2 if cluster else 1)
            rows.append(["gap", *blank, *(_with_span(gaps[name]["gap"], _ends(gaps[name])) for name in metrics)])
            rows.append(["by chance", *blank, *(shown(gaps[name].get("by_chance")) for name in metrics)])
            rows.append(["p (Holm)", *blank, *(_p_text(gaps[name]) for name in metrics)])
        console.table(header, rows, title=f"by {column['name']}{of}")
    tests = next((row["tests"] for column in analysis["columns"] for row in column["gaps"] if "tests" in row), 0)
    if tests:
        console.note(
            "gap: the largest less the smallest value of groups that are not in brackets, with a 95% interval over all "
            "pairs; it is above 0 by chance alone, so by chance is what alike groups would show. p: of a permutation "
            f"test that groups are alike; in brackets after Holm's correction over {count_text(tests, 'test')}. "
            "--results keeps them as tables and a figure."
        )


def _group_row(group: dict[str, Any], metrics: list[str], *, with_clusters: bool) -> list[str]:
    cells = [_with_span(group["metrics"].get(name), group["intervals"].get(name)) for name in metrics]
    name, n = group["name"], f"{group['n']:,}"
    if not group["counted"]:  # too few: shown, and in no gap
        name, cells = f"({name})" if not name.startswith("(") else name, [f"({cell})" for cell in cells]
    return [name, n, *([str(group["clusters"] or "")] if with_clusters else []), *cells]


def _ends(row: dict[str, Any]) -> list[float] | None:
    return None if row["low"] is None else [row["low"], row["high"]]


def _with_span(value: float | None, ends: list[float] | None) -> str:
    return shown(value) + (f" [{shown(ends[0])}, {shown(ends[1])}]" if ends else "")


def _p_text(row: dict[str, Any]) -> str:
    p, holm = row.get("p"), row.get("p_holm")
    return "" if p is None else f"{p:.4f} ({holm:.4f})"


def _abstention(found: dict[str, Any], console: Console) -> None:
    """Show what labels came to where the model abstained, and whether a promise was kept."""
    rows = [["threshold", f"{found['threshold']:g} ({found['from']})", "", ""]]
    of = {"coverage": (found["accepted"], found["n"]), "accuracy": (found["right"], found["accepted"])}
    for name, words in (("coverage", "get a label"), ("accuracy", "of these are right")):
        if found[name] is None:
            continue
        good, total = of[name]
        kept = ""
        if name in found.get("kept", {}):
            kept = f"at least {found['promised'][name]:.4g}: {found['kept'][name]}"
        rows.append([words, f"{found[name]:.4f} ({good:,} of {total:,})", span(found[f"{name}_interval"]), kept])
    console.table(["abstaining", "", "95% interval, exact", "promised" if "promise" in found else ""], rows)


def render_undo(done: Any, root: Path, dry_run: bool, console: Console) -> None:
    """Show what an undo did or would do."""
    console.result(
        {"output": str(root), "restored": done.restored, "removed": done.removed, "kept": done.kept, "dry_run": dry_run}
    )
    would = "would be " if dry_run else ""
    console.note(
        f"{count_text(done.restored, 'original')} {would}put back, "
        f"{count_text(done.removed, 'file')} {would}removed in {root}"
    )
    for name, why in done.kept[:20]:
        console.warn(f"{name}: {why}")
    if done.kept:
        raise typer.Exit(EXIT_PARTIAL)
