"""Pictures of a model under corruptions: a heat map over corruptions and severities, and curves over severity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize
from numpy.typing import ArrayLike

from affectkit.errors import DataError
from affectkit.reports.style import (
    BLUE,
    LABEL,
    MUTED,
    SMALL,
    TEXT,
    TICK,
    VERMILION,
    check_numbers,
    new_figure,
    plain_text,
    save_figure,
    set_heading,
    style_axes,
    text_width,
)

# Light to dark is unharmed to harmed: an order that printing in gray and any colour vision keep.
_HARM = LinearSegmentedColormap.from_list("harm", ["#FFF7EC", "#FDBB84", "#E34A33", "#7F0000"])
_ABSENT = "#E4E7EC"
ACROSS = 5
"""Panels beside each other."""


def draw_heat_map(
    path: Path,
    *,
    values: ArrayLike,
    corruptions: Sequence[str],
    severities: Sequence[int],
    clean: float,
    metric: str,
    better: str,
) -> Path:
    """Draw a cell for each corruption and severity, its number in it; the darker, the further below the clean value.

    Args:
        path: the PNG file.
        values: (corruptions, severities) of a metric; NaN is drawn gray.
        clean: the metric on images as they are: it stands in the first column.
        metric: its name.
        better: ``max`` or ``min``: which way is good.

    Raises:
        DataError: shapes or ``better`` are not as above.
    """
    grid = _grid(values, corruptions, severities, better)
    table = np.column_stack([np.full(len(grid), float(clean)), grid, [_mean(row) for row in grid]])
    harm = (clean - table) if better == "max" else (table - clean)
    names = [plain_text(name.replace("_", " ")) for name in corruptions]
    columns = ["clean", *map(str, severities), "mean"]
    figure = new_figure(1.6, 1.6, constrained=False)
    left = text_width(figure, names, LABEL) + 0.35
    width, height = 0.62 * len(columns), 0.3 * len(names)
    figure.set_size_inches(left + width + 0.35, height + 1.25)
    total = figure.get_size_inches()
    axes = figure.add_axes((left / total[0], 0.6 / total[1], width / total[0], height / total[1]))
    most = max(float(np.nanmax(harm, initial=0.0)), 1e-9)
    axes.imshow(harm, cmap=_HARM.with_extremes(bad=_ABSENT), norm=Normalize(0, most), aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        dark = harm[row, column] > 0.55 * most
        axes.text(
            column, row, _told(value), ha="center", va="center", fontsize=TICK, color="white" if dark else TEXT,
            fontweight="bold" if column == len(columns) - 1 else "normal",
        )  # fmt: skip
    for edge in (0.5, len(columns) - 1.5):
        axes.axvline(edge, color="white", linewidth=4)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, labelsize=LABEL, labelcolor=TEXT)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("severity", fontsize=LABEL, color=MUTED)
    arrow = "higher is better" if better == "max" else "lower is better"
    set_heading(axes, plain_text(metric.replace("_", " ")))
    axes.text(1, 1, arrow, transform=axes.transAxes, ha="right", va="bottom", fontsize=SMALL, color=MUTED)
    return save_figure(figure, path)


def draw_severity_curves(
    path: Path,
    *,
    values: ArrayLike,
    corruptions: Sequence[str],
    severities: Sequence[int],
    clean: float,
    metric: str,
    better: str,
) -> Path:
    """Draw a panel for each corruption, the metric over severity from the clean value (severity 0) on; arguments as
    above.

    All panels have one scale; the dashed line is the clean value, and the mean over all corruptions is pale.
    """
    grid = _grid(values, corruptions, severities, better)
    across = min(ACROSS, len(grid))
    down = -(-len(grid) // across)
    figure = new_figure(max(1.75 * across + 0.5, 3.2), 1.55 * down + 0.7)
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    places = [0, *severities]
    mean = [float(clean), *(_mean(column) for column in grid.T)]
    for number, axes in enumerate(panels.flat):
        if number >= len(grid):
            axes.set_visible(False)
            continue
        style_axes(axes)
        axes.axhline(clean, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        if len(grid) > 1:
            axes.plot(places, mean, color=BLUE, linewidth=1.2, alpha=0.35)
        axes.plot(places, [clean, *grid[number]], color=VERMILION, linewidth=1.6, marker="o", markersize=3)
        axes.set_xticks(places)
        axes.tick_params(labelbottom=number + across >= len(grid))
        set_heading(axes, plain_text(corruptions[number].replace("_", " ")), size=LABEL, pad=4)
    figure.supxlabel("severity (0: as it is)", fontsize=LABEL, color=MUTED)
    figure.supylabel(plain_text(metric.replace("_", " ")), fontsize=LABEL, color=MUTED)
    return save_figure(figure, path)


def _grid(values: ArrayLike, corruptions: Sequence[str], severities: Sequence[int], better: str) -> np.ndarray:
    if better not in ("max", "min"):
        raise DataError(f"better must be max or min; got {better!r}.")
    if not corruptions or not severities:
        raise DataError("a corruption and a severity are needed at least.")
    return check_numbers(values, "values", (len(corruptions), len(severities)))


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))


def _told(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"
