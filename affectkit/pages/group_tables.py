"""The section of a test's page on its groups: a table a column, with the gaps below."""

from __future__ import annotations

from typing import Any

from affectkit.core.forms import Count
from affectkit.pages.rendering import text_number, text_p
from affectkit.pages.tables import NUMBERS

_GROUP = {
    "name": str, "n": Count, "clusters?": Count | None, "counted": bool, "why_not?": str, "metrics": NUMBERS,
    "intervals?": dict[str, list[float | None]],
}  # fmt: skip
_GAP = {
    "metric": str, "gap": float | None, "low?": float | None, "high?": float | None, "lowest?": str, "highest?": str,
    "by_chance?": float | None, "p?": float | None, "p_holm?": float | None, "tests?": Count,
}  # fmt: skip
_COLUMN = {"name": str, "groups": list[_GROUP], "gaps": list[_GAP], "notes?": list[str]}
GROUPS_FORM = {
    "cluster?": str | None, "min_group": Count, "metrics": dict[str, str], "tested": list[str],
    "columns": list[_COLUMN],
}  # fmt: skip
"""What the page takes from ``groups`` in the record."""


def group_tables(record: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what the template shows of the groups in a record; None of a test without.

    Returns:
        ``cluster``, ``min_group``, ``tests`` (what Holm's correction is over) and ``columns``: each with ``name``,
        ``metrics``, ``rows`` (``name``, ``n``, ``clusters``, ``counted``, ``why_not`` and ``cells``), ``gaps`` (rows of
        ``name`` and ``cells``) and ``notes``.
    """
    if not record or not record["columns"]:
        return None
    tests = [gap["tests"] for column in record["columns"] for gap in column["gaps"] if "tests" in gap]
    return {
        "cluster": record.get("cluster"),
        "min_group": record["min_group"],
        "tests": tests[0] if tests else 0,
        "columns": [_column(column, record) for column in record["columns"]],
    }


def _column(column: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    metrics = record["tested"] or list(record["metrics"])[:4]
    rows = [
        {
            "name": group["name"], "n": group["n"], "clusters": group.get("clusters"), "counted": group["counted"],
            "why_not": group.get("why_not", ""),
            "cells": [_with_span(group["metrics"].get(name), group.get("intervals", {}).get(name)) for name in metrics],
        }
        for group in column["groups"]
    ]  # fmt: skip
    gaps = {gap["metric"]: gap for gap in column["gaps"]}
    found = [gaps.get(name, {}) for name in metrics]
    shown = [
        ("gap", [_with_span(gap.get("gap"), [gap.get("low"), gap.get("high")]) for gap in found]),
        ("lowest", [gap.get("lowest", "") for gap in found]),
        ("highest", [gap.get("highest", "") for gap in found]),
        ("expected by chance", [text_number(gap.get("by_chance")) for gap in found]),
        ("p", [text_p(gap.get("p")) for gap in found]),
        ("p, Holm", [text_p(gap.get("p_holm")) for gap in found]),
    ]
    return {
        "name": column["name"],
        "metrics": metrics,
        "rows": rows,
        "gaps": [{"name": name, "cells": cells} for name, cells in shown] if gaps else [],
        "notes": column.get("notes", []),
    }


def _with_span(value: float | None, ends: list[float | None] | None) -> str:
    known = ends is not None and len(ends) == 2 and None not in ends
    return text_number(value) + (f" [{text_number(ends[0])}, {text_number(ends[1])}]" if known else "")
