"""The page of several models on several data sets: a table a metric with shades, and what each cell is over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from affectkit.core.assets import called
from affectkit.core.forms import Count
from affectkit.core.text import count_text
from affectkit.errors import DataError
from affectkit.pages.metric_words import describe
from affectkit.pages.page import Page, Source
from affectkit.pages.rendering import text_number
from affectkit.pages.tables import NUMBERS, read_record, to_float

_MODEL = {"name": str, "checkpoint?": str, "sha256?": str | None, "task?": str, "classes?": list[str]}
_DATA = {"name": str, "data?": str, "layout?": str, "split?": str, "items?": Count, "classes?": list[str]}
_CELL = {
    "model": str, "data": str, "failed": str, "n?": Count, "of?": Count, "left_out?": dict[str, Count],
    "metrics?": NUMBERS, "intervals?": dict[str, list[float | None]], "absent?": list[str],
}  # fmt: skip
FORM = {
    "models": list[_MODEL], "data": list[_DATA], "cells": list[_CELL], "shown": list[str], "metrics": dict[str, str],
    "label_map?": dict[str, str], "failed?": Count, "affectkit?": str,
}  # fmt: skip
"""What the page takes from the record."""
LEVELS = 5
"""Shades of cells."""


def build(source: Source) -> Page:
    """Return the page of a folder with ``matrix.json``.

    Raises:
        DataError: it holds no cell.
    """
    folder = source.folder
    record = read_record(folder / "matrix.json", FORM)
    if not record["cells"] or not record["models"] or not record["data"]:
        raise DataError(f"{folder}: matrix.json holds no cell.")
    cells = {(cell["model"], cell["data"]): cell for cell in record["cells"]}
    data = [one["name"] for one in record["data"]]
    values = {
        "data": data,
        "maps": [_map(name, record, cells) for name in record["shown"]],
        "counts": [
            {"name": model["name"], "cells": [_count(cells.get((model["name"], name))) for name in data]}
            for model in record["models"]
        ],
        "left_out": [_left_out(cell) for cell in record["cells"] if cell.get("left_out") or cell["failed"]],
        "models": [
            (one["name"], ", ".join(_model_facts(one)))
            for one in record["models"]
        ],
        "datasets": [(one["name"], _data_text(one)) for one in record["data"]],
        "label_map": [
            (name, common or "(left out)") for name, common in (record.get("label_map") or {}).items()
        ],
        "failed": record.get("failed", 0),
        "affectkit": record.get("affectkit", ""),
    }  # fmt: skip
    return Page("matrix.html", f"Models on data sets: {folder.absolute().name}", values)


def _map(metric: str, record: Mapping[str, Any], cells: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """Return a metric by model and data set, with a level from 0, the best of all, to ``LEVELS``, the worst."""
    better, words = describe(metric)
    better = record["metrics"].get(metric, better)
    values = {key: to_float(cell.get("metrics", {}).get(metric)) for key, cell in cells.items()}
    known = [value for value in values.values() if not math.isnan(value)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    lines = []
    for model in record["models"]:
        line = []
        for one in record["data"]:
            key = model["name"], one["name"]
            value = values.get(key, float("nan"))
            ends = (cells.get(key) or {}).get("intervals", {}).get(metric)
            worse = (high - value if better == "max" else value - low) / (high - low) if high > low else 0.0
            line.append({
                "text": _with_span(value, ends), "level": 0 if math.isnan(worse) else round(LEVELS * worse),
            })  # fmt: skip
        lines.append({"name": model["name"], "cells": line})
    return {
        "metric": metric, "words": words, "better": {"max": "higher", "min": "lower"}.get(better, ""), "lines": lines
    }  # fmt: skip


def _with_span(value: float, ends: list[float | None] | None) -> str:
    known = ends is not None and len(ends) == 2 and None not in ends
    return text_number(value) + (f" [{text_number(ends[0])}, {text_number(ends[1])}]" if known else "")


def _model_facts(model: dict[str, Any]) -> list[str]:
    facts = (model.get("task"), called(model.get("checkpoint", "")), model.get("sha256"))
    return [fact for fact in facts if fact]


def _count(cell: Mapping[str, Any] | None) -> str:
    if cell is None or cell["failed"]:
        return text_number(None)
    n, of = cell.get("n", 0), cell.get("of", 0)
    return f"{n:,}" + (f" of {of:,}" if of and n != of else "")


def _left_out(cell: Mapping[str, Any]) -> tuple[str, str]:
    title = f"{cell['model']} on {cell['data']}"
    if cell["failed"]:
        return title, f"not computed: {cell['failed']}"
    return title, "left out: " + ", ".join(f"{name} ({number:,})" for name, number in cell["left_out"].items())


def _data_text(one: Mapping[str, Any]) -> str:
    size = f"{one['split']} split, {count_text(one.get('items', 0), 'item')}" if one.get("split") else ""
    return "; ".join(filter(None, [one.get("data"), one.get("layout"), size, ", ".join(one.get("classes") or [])]))
