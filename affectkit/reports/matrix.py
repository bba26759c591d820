"""Picture of several models on several data sets: a cell for each pair, its number in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize
from numpy.typing import ArrayLike

from affectkit.errors import DataError
from affectkit.reports.style import (
    LABEL,
    MUTED,
    SMALL,
    TEXT,
    TICK,
    check_numbers,
    new_figure,
    plain_text,
    save_figure,
    set_heading,
    text_width,
)

# Light to dark is worse to better: an order that printing in gray and any colour vision keep.
_GOOD = LinearSegmentedColormap.from_list("good", ["#F7FBFF", "#9ECAE1", "#3182BD", "#08306B"])
_ABSENT = "#E4E7EC"
DARK = 0.55
"""Share of the colours above which numbers are white."""


def draw_matrix(
    path: Path, *, values: ArrayLike, models: Sequence[str], data: Sequence[str], metric: str, better: str
) -> Path:
    """Draw a row a model and a column a data set; the darker, the better of all cells.

    Args:
        path: the PNG file.
        values: (models, data) of a metric; NaN is drawn gray with a dash.
        models: their names.
        data: names of the data sets.
        metric: its name.
        better: ``max`` or ``min``.

    Raises:
        DataError: shapes or ``better`` are not as above.
    """
    if better not in ("max", "min"):
        raise DataError(f"better must be max or min; got {better!r}.")
    table = check_numbers(values, "values", (len(models), len(data)))
    names = [plain_text(name, 32) for name in models]
    columns = [plain_text(name, 20) for name in data]
    figure = new_figure(2, 2, constrained=False)
    left = text_width(figure, names, LABEL) + 0.35
    side = max(0.8, text_width(figure, columns, TICK) + 0.2)
    width, height = side * len(columns), 0.4 * len(names)
    right = max(0.3, 2.2 - width)  # the heading, and which way is better, need room too
    figure.set_size_inches(left + width + right, height + 1.05)
    total = figure.get_size_inches()
    axes = figure.add_axes((left / total[0], 0.45 / total[1], width / total[0], height / total[1]))
    known = table[np.isfinite(table)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    shade = table if better == "max" else low + high - table
    axes.imshow(
        shade, cmap=_GOOD.with_extremes(bad=_ABSENT), norm=Normalize(low, high if high > low else low + 1),
        aspect="auto",
    )  # fmt: skip
    for (row, column), value in np.ndenumerate(table):
        dark = high > low and (shade[row, column] - low) / (high - low) > DARK
        text = f"{value:.3f}" if np.isfinite(value) else "\u2013"
        axes.text(column, row, text, ha="center", va="center", fontsize=LABEL, color="white" if dark else TEXT)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, labelsize=TICK, labelcolor=TEXT)
    axes.spines[:].set_visible(False)
    set_heading(axes, plain_text(metric.replace("_", " ")), pad=18)
    arrow = "higher is better" if better == "max" else "lower is better"
    axes.text(0, 1, f"{arrow}; the darker, the better", transform=axes.transAxes, ha="left", va="bottom",
              fontsize=SMALL, color=MUTED)  # fmt: skip
    return save_figure(figure, path)
