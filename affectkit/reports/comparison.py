"""Picture of a comparison: the difference of each pair of models with its interval, a panel a metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from affectkit.errors import DataError
from affectkit.reports.style import (
    BLUE,
    LABEL,
    MUTED,
    PALE,
    SMALL,
    TEXT,
    VERMILION,
    new_figure,
    plain_text,
    save_figure,
    set_heading,
    style_axes,
)

WIDTH, PANEL, LINE = 7.2, 0.95, 0.34
"""Inches: of the figure, of a panel without its lines, of a line."""


def draw_differences(path: Path, *, rows: Sequence[Mapping[str, Any]], cluster: str = "") -> Path:
    """Draw second minus first of each row of a comparison; on the blue side of the line the second is better.

    Args:
        path: the PNG file.
        rows: as ``comparison.differences.Row`` has them: ``metric``, ``better``, ``first``, ``second``, ``difference``,
            ``low``, ``high``, ``item_low``, ``item_high``, ``repeat_error``, ``p_holm``, ``n``.
        cluster: what items are grouped by; empty where they are independent.

    Raises:
        DataError: there is no row.
    """
    metrics: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        metrics.setdefault(row["metric"], []).append(row)
    if not metrics:
        raise DataError("rows is empty; one difference is needed at least.")
    heights = [PANEL + LINE * len(found) for found in metrics.values()]
    figure = new_figure(WIDTH, sum(heights) + 0.55)
    panels = figure.subplots(len(metrics), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    several = len({(row["first"], row["second"]) for row in rows}) > 1
    for axes, (metric, found) in zip(panels, metrics.items(), strict=True):
        _panel(axes, metric, found, several=several)
    figure.get_layout_engine().set(h_pad=0.09, w_pad=0.06)
    units = f"over values of {cluster}" if cluster else "over items"
    more = " and repeats; pale: items alone" if any(row["repeat_error"] is not None for row in rows) else ""
    text = (
        f"difference with its 95% interval {units}{more}, n = {rows[0]['n']:,}; filled: shown, after Holm's correction"
    )
    figure.supxlabel(plain_text(text, 140), fontsize=SMALL, color=MUTED)
    return save_figure(figure, path)


def _panel(axes: Axes, metric: str, rows: Sequence[Mapping[str, Any]], *, several: bool) -> None:
    style_axes(axes, grid="x")
    axes.spines["left"].set_visible(False)
    ends = [0.0]
    for place, row in enumerate(rows):
        shown = _known(row["p_holm"]) and row["p_holm"] <= 0.05
        colour = TEXT if not shown else BLUE if _gain(row) > 0 else VERMILION
        if row["repeat_error"] is not None and _known(row["item_low"], row["item_high"]):
            axes.plot(
                [row["item_low"], row["item_high"]], [place, place], color=PALE, linewidth=7, solid_capstyle="butt"
            )
        if _known(row["low"], row["high"]):
            axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.6, marker="|", markersize=8)
            ends += [row["low"], row["high"]]
        if _known(row["difference"]):
            filled = colour if shown else "white"
            axes.plot(row["difference"], place, "o", color=colour, markerfacecolor=filled, markersize=6)
            ends.append(row["difference"])
        else:
            axes.text(0, place, "not defined", fontsize=SMALL, color=MUTED, va="center")
    axes.axvline(0, color=MUTED, linewidth=1)
    margin = (max(ends) - min(ends) or 1.0) * 0.06
    axes.set_xlim(min(ends) - margin, max(ends) + margin)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [plain_text(f"{row['second']} - {row['first']}", 34) for row in rows])
    axes.tick_params(axis="y", length=0, labelsize=LABEL)
    set_heading(axes, plain_text(metric.replace("_", " ")), size=LABEL + 1, pad=6)
    better = plain_text("the second" if several else rows[0]["second"], 24)
    text = f"{better} better \u2192" if rows[0]["better"] == "max" else f"\u2190 {better} better"
    axes.text(1, 1.02, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=SMALL, color=MUTED)


def _gain(row: Mapping[str, Any]) -> float:
    return row["difference"] if row["better"] == "max" else -row["difference"]


def _known(*values: float | None) -> bool:
    return all(value is not None and not math.isnan(value) for value in values)
