"""Picture of a test by group: a point with its interval for each group, a panel a metric, a row of panels a column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectkit.errors import DataError
from affectkit.reports.style import (
    BLUE,
    LABEL,
    MUTED,
    SMALL,
    TICK,
    new_figure,
    plain_text,
    save_figure,
    set_heading,
    style_axes,
    text_width,
)

MOST_GROUPS, MOST_METRICS = 30, 4
"""Drawn of a column, the largest groups, and metrics beside each other."""
LINE, PANEL = 0.24, 2.1
"""Height of a group and width of a panel, in inches."""
UNCERTAIN = "#B3BAC5"


def draw_groups(
    path: Path,
    *,
    columns: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, str],
    overall: Mapping[str, float] | None = None,
) -> Path:
    """Draw each metric of each group with its interval; groups that count in no gap are pale.

    Args:
        path: the PNG file.
        columns: each with ``name`` and ``groups``: dicts with ``name``, ``n``, ``counted``, ``metrics`` and
            ``intervals`` (low, high) by metric, as ``evaluation.groups.analyse_groups`` gives them.
        metrics: names of those drawn, the first ``MOST_METRICS``, and which is better: "max" or "min".
        overall: their values over all items: a dashed line.

    Raises:
        DataError: there is no column, group or metric.
    """
    shown = dict(list(metrics.items())[:MOST_METRICS])
    if not shown or not columns or not all(column["groups"] for column in columns):
        raise DataError("a column with groups and a metric are needed at least.")
    drawn = [(column["name"], *_largest(column["groups"])) for column in columns]
    figure = new_figure(4, 3)
    texts = [_label(group) for _, groups, _ in drawn for group in groups]
    heights = [LINE * len(groups) + 0.55 for _, groups, _ in drawn]
    figure.set_size_inches(text_width(figure, texts, TICK) + PANEL * len(shown) + 0.4, sum(heights) + 0.5)
    panels = figure.subplots(len(drawn), len(shown), sharex="col", squeeze=False, height_ratios=heights)
    for row, (name, groups, left_out) in zip(panels, drawn, strict=True):
        for number, (axes, metric) in enumerate(zip(row, shown, strict=True)):
            _draw_panel(axes, groups, metric, None if overall is None else overall.get(metric))
            axes.set_yticks(range(len(groups)), [_label(group) for group in groups] if number == 0 else [])
            axes.tick_params(axis="y", length=0)
        more = f" (the largest {len(groups)}; {left_out} more in groups.csv)" if left_out else ""
        set_heading(row[0], plain_text(name, 40) + more, size=LABEL, pad=6)
    for axes, (metric, better) in zip(panels[-1], shown.items(), strict=True):
        arrow = "higher" if better == "max" else "lower"
        axes.set_xlabel(f"{plain_text(metric.replace('_', ' '))}\n{arrow} is better", fontsize=SMALL, color=MUTED)
        axes.tick_params(labelbottom=True)
    return save_figure(figure, path)


def _largest(groups: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], int]:
    """Return the groups that are drawn, in their order, and how many are not."""
    if len(groups) <= MOST_GROUPS:
        return list(groups), 0
    kept = sorted(range(len(groups)), key=lambda place: -groups[place]["n"])[:MOST_GROUPS]
    return [groups[place] for place in sorted(kept)], len(groups) - MOST_GROUPS


def _label(group: Mapping[str, Any]) -> str:
    return f"{plain_text(group['name'])}  n = {group['n']:,}"


def _draw_panel(axes: Any, groups: Sequence[Mapping[str, Any]], metric: str, overall: float | None) -> None:
    style_axes(axes, grid="x")
    axes.spines["left"].set_visible(False)
    if overall is not None and math.isfinite(overall):
        axes.axvline(overall, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    for place, group in enumerate(groups):
        value = group["metrics"].get(metric)
        if value is None:
            continue
        colour = BLUE if group["counted"] else UNCERTAIN
        low, high = group["intervals"].get(metric, (value, value))
        axes.plot([low, high], [place, place], color=colour, linewidth=1.4, solid_capstyle="round")
        axes.plot(value, place, "o", color=colour, markersize=4.5)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.margins(x=0.06)
