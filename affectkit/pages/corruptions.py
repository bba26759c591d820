"""The page of a model under corruptions: heat maps, curves over severity, and every row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from affectkit.core.assets import called
from affectkit.core.forms import Count
from affectkit.errors import DataError
from affectkit.pages.metric_words import describe
from affectkit.pages.page import Page, Source
from affectkit.pages.tables import HINT, NUMBERS, SKIPPED_FORM, read_record, read_table, to_float, to_int

CLEAN = "clean"
KEYS = ("corruption", "severity", "images")
_ROW = {"corruption": str, "severity": Count, "images?": Count, "metrics": NUMBERS}
FORM = {
    "rows?": list[_ROW], "shown?": list[str],
    "skipped?": SKIPPED_FORM, "ce?": NUMBERS, "relative_ce?": NUMBERS, "mean_error?": float | None,
    "mce?": float | None, "relative_mce?": float | None, "missed?": list[str], "over_classes?": dict[str, str],
}  # fmt: skip
"""What the page takes from the record."""
SHOWN = ("kl", "top1", "accuracy", "balanced_accuracy", "ece", "ccc", "r", "rmse")
"""Metrics that have a heat map where the record does not name some."""
RECORD_SHOWN = {
    "checkpoint": "model", "checkpoint_sha256": "SHA-256 of the model", "task": "task", "engine": "computed by",
    "data": "data", "layout": "layout of the data", "split": "split", "data_fingerprint": "fingerprint of the data",
    "scale": "parameters of the corruptions", "seed": "seed", "corrupted_root": "images corrupted before, in",
    "frost_textures": "photographs of frost", "baseline": "baseline of CE", "device": "device",
    "precision": "number format", "seconds": "seconds", "affectkit": "affectkit",
}  # fmt: skip

Row = dict[str, Any]
"""``corruption``, ``severity`` (0: as it is), ``images``, and ``metrics`` by name."""


def build(source: Source) -> Page:
    """Return the page of a folder with ``robustness.json``, or of an earlier version with ``corruptions.csv`` alone.

    Raises:
        DataError: no row has been computed yet.
    """
    folder = source.folder
    record = read_record(folder / "robustness.json", FORM)
    rows = record.get("rows") or _rows_of_table(read_table(folder / "corruptions.csv"))
    if not rows:
        raise DataError(f"{folder} holds no row yet.", "The same eval-corruptions command continues there.")
    clean = next((row for row in rows if row["corruption"] == CLEAN), None)
    corrupted = [row for row in rows if row is not clean]
    metrics = list(rows[0]["metrics"])
    if not metrics:
        raise DataError(f"{folder} holds rows without a metric.", HINT)
    shown = [name for name in record.get("shown") or SHOWN if name in metrics] or metrics[:1]
    names = list(dict.fromkeys(row["corruption"] for row in corrupted))
    severities = sorted({int(row["severity"]) for row in corrupted})
    finished = "means" in record or not record
    notes = [] if finished else ["The run was stopped: the rows so far are shown. The same command continues it."]
    for note in notes:
        source.reporter.note(note)
    maps = [_heat_map(name, rows, clean, names, severities) for name in shown]
    values = {
        "notes": notes, "maps": maps, "severities": severities, "shown": shown, "metrics": metrics,
        "rows": [_shown(row, metrics) for row in rows], "images": rows[0].get("images"),
        "split": record.get("split", ""),
        "summary": _summary(record), "ce": record.get("ce"), "relative_ce": record.get("relative_ce"),
        "record": [
            (words, called(str(record[key]))) for key, words in RECORD_SHOWN.items() if record.get(key) is not None
        ],
        "skipped": [(one.get("image", ""), one.get("reason", "")) for one in record.get("skipped") or []],
        "missed": record.get("missed", []), "corruptions": names, "over": record.get("over_classes") or {},
    }  # fmt: skip
    charts = [_curve(name, corrupted, clean, shown[0], severities) for name in names] if len(severities) > 1 else []
    values_shown = [one for chart in charts for line in chart["series"] for one in line["values"] if one is not None]
    for chart in charts:
        chart["range"] = [min(values_shown), max(values_shown)] if values_shown else None
    return Page(
        template="corruptions.html",
        title=f"Corruptions: {folder.absolute().name}",
        values=values,
        data={"charts": charts},
        scripts=("chart.js", "charts_of_page.js"),
    )


def _rows_of_table(table: Sequence[Mapping[str, str]]) -> list[Row]:
    return [
        {
            "corruption": row.get("corruption", ""),
            "severity": to_int(row.get("severity")),
            "images": to_int(row.get("images")),
            "metrics": {name: to_float(value) for name, value in row.items() if name not in KEYS},
        }
        for row in table
    ]


def _heat_map(
    metric: str, rows: Sequence[Row], clean: Row | None, names: Sequence[str], severities: Sequence[int]
) -> dict[str, Any]:
    """Return a metric by corruption and severity, with a level from 0 to 5: how far it is worse than on clean images.

    Level 5 is the worst cell of the map.
    """
    better, words = describe(metric)
    sign = -1 if better == "max" else 1
    values = {(row["corruption"], int(row["severity"])): to_float(row["metrics"].get(metric)) for row in rows}
    base = to_float(clean["metrics"].get(metric)) if clean is not None else math.nan
    harms = {key: sign * (value - base) for key, value in values.items()}
    most = max((harm for harm in harms.values() if not math.isnan(harm)), default=0.0)

    def cell(name: str, severity: int) -> dict[str, Any]:
        harm = harms.get((name, severity), math.nan)
        level = 0 if math.isnan(harm) or most <= 0 or harm <= 0 else min(1 + int(round(5 * harm / most, 9)), 5)
        return {"value": values.get((name, severity)), "level": level}

    lines = []
    for name in names:
        cells = [cell(name, severity) for severity in severities]
        known = [one["value"] for one in cells if one["value"] is not None and not math.isnan(one["value"])]
        mean = math.fsum(known) / len(known) if known and len(known) == len(cells) else None
        lines.append({"name": name, "cells": cells, "mean": mean})
    means = [line["mean"] for line in lines if line["mean"] is not None]
    over = math.fsum(means) / len(means) if means and len(means) == len(lines) else None
    return {
        "metric": metric, "words": words, "better": {"max": "higher", "min": "lower"}.get(better, ""),
        "clean": None if math.isnan(base) else base, "lines": lines, "mean": over,
    }  # fmt: skip


def _summary(record: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    """Return name, value and meaning of what sums a sweep up."""
    found = []
    for key, name, words in (
        ("mean_error", "mean error", "1 - accuracy, over severities, then corruptions"),
        ("mce", "mCE", "errors relative to the baseline's, corruption by corruption, then averaged; 1 is the baseline"),
        ("relative_mce", "relative mCE", "the same of what is lost against clean images"),
    ):
        if record.get(key) is not None:
            found.append((name, float(record[key]), words))
    return found


def _shown(row: Row, metrics: Sequence[str]) -> dict[str, Any]:
    values = [to_float(row["metrics"].get(name)) for name in metrics]
    return {"corruption": row["corruption"], "severity": row["severity"], "images": row.get("images"), "values": values}


def _curve(name: str, rows: Sequence[Row], clean: Row | None, metric: str, severities: Sequence[int]) -> dict[str, Any]:
    values = {int(row["severity"]): to_float(row["metrics"].get(metric)) for row in rows if row["corruption"] == name}
    series = [{"name": metric, "values": [_or_none(values.get(severity)) for severity in severities]}]
    if clean is not None:
        base = _or_none(to_float(clean["metrics"].get(metric)))
        series.append({"name": "clean", "values": [base] * len(severities), "dashed": True, "colour": 7})
    return {"kind": "lines", "into": "curves", "title": name, "x": severities, "xName": "severity", "series": series}


def _or_none(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
