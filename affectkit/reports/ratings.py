"""Pictures of ratings: actual over predicted, both in the valence-arousal plane, and the means of quantile bins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from affectkit.errors import DataError
from affectkit.reports.style import (
    BLUE,
    LABEL,
    MUTED,
    RULE,
    SMALL,
    TEXT,
    TICK,
    TITLE,
    VERMILION,
    check_numbers,
    draw_legend,
    new_figure,
    plain_text,
    save_figure,
    set_heading,
    style_axes,
)

RED, GRAY = "#D7191C", "#8B919C"
MEASURES = {
    "fitted line": {"r": "r", "r2_fitted": "R²", "rmse_fitted": "RMSE"},
    "as predicted": {"ccc": "CCC", "r2": "R²", "rmse": "RMSE"},
}
"""The measures that a scatter plot prints, by their names in tables: of the line that it draws, from predicted to
actual, and of the predictions as they are.
"""
MOST_POINTS = 2000
"""Up to so many items are drawn one by one, more as the density of cells."""
MOST_JOINED = 60
MOST_PANELS = 12
_DENSITY = LinearSegmentedColormap.from_list("affectkit", ["#C9DFF0", "#5BA3CF", "#0F6CA8", "#08365F"])
_HALO = (Stroke(linewidth=3.4, foreground="white", alpha=0.75), Normal())  # lines are seen on the densest cells

Floats = NDArray[np.float64]


class Bins(Protocol):
    """Data that are drawn for a quantile analysis (``metrics.quantiles.Quantiles``)."""

    asked: int
    count: NDArray[np.int64]
    actual: Floats
    predicted: Floats
    r: float
    r2: float
    rmse: float


def draw_scatter(
    path: Path,
    *,
    actual: ArrayLike,
    predicted: ArrayLike,
    name: str,
    measures: Mapping[str, float],
    low: float | None = None,
    high: float | None = None,
    part: str = "",
) -> Path:
    """Draw actual over predicted ratings, with the identity, the least-squares line through the points, and the
    measures.

    Predicted is across and actual up, as in the VCA study, so that the line, with its equation, is the one that the
    measures called "fitted" are of: actual on predicted.

    Args:
        path: the PNG file.
        actual, predicted: (N,), finite, N at least 1. More than ``MOST_POINTS`` are drawn as a density.
        name: what is rated, in the heading and on the axes.
        measures: those of ``MEASURES``, printed; a dash for NaN and what is missing.
        low, high: ends of the scale; axes go from one to the other, and further where a value does. None: the values'.
        part: what the items are of ("validation"), in the heading.

    Raises:
        DataError: the arrays are not as above.
    """
    q, p = _pair(actual, predicted, (None,))
    figure = new_figure(5.3 + 0.75 * (len(q) > MOST_POINTS), 5.4)
    axes = figure.subplots()
    style_axes(axes, grid="both")
    ends = _limits(axes, np.concatenate([q, p]), low, high)
    _draw_identity(axes, ends)
    _draw_items(figure, axes, p, q, ends)
    _draw_fit(axes, p, q, ends)
    lines: list[tuple[str, str]] = []
    for heading, titles in MEASURES.items():
        lines += [(heading, ""), *(_told(f" {title}", measures.get(key)) for key, title in titles.items())]
    _corners(axes, p, q, lines)
    of = plain_text(name, 40)
    _labels(axes, f"predicted {of}{_scaled(low, high)}", f"actual {of}{_scaled(low, high)}")
    set_heading(axes, _titled(_named(name), part, len(q)))
    return save_figure(figure, path)


def draw_valence_arousal_plane(
    path: Path,
    *,
    actual: ArrayLike,
    predicted: ArrayLike,
    low: float | None = None,
    high: float | None = None,
    part: str = "",
) -> Path:
    """Draw predicted points (red) on actual ones (gray) in the plane of valence (across) and arousal (up).

    Up to ``MOST_JOINED`` pairs are joined by thin lines.

    Args:
        path: the PNG file.
        actual, predicted: (N, 2), finite, columns arousal and valence, as models put them out; N at least 1.
        low, high, part: as in ``draw_scatter``.

    Raises:
        DataError: the arrays are not as above.
    """
    q, p = _pair(actual, predicted, (None, 2))
    count = len(q)
    figure = new_figure(5.3, 5.6)
    axes = figure.subplots()
    style_axes(axes, grid="both")
    ends = _limits(axes, np.concatenate([q.ravel(), p.ravel()]), low, high)
    middle = sum(ends if low is None or high is None else (low, high)) / 2
    axes.axhline(middle, color=RULE, linewidth=1.2, zorder=1)
    axes.axvline(middle, color=RULE, linewidth=1.2, zorder=1)
    if count <= MOST_JOINED:
        pairs = np.stack([q[:, ::-1], p[:, ::-1]], axis=1)
        axes.add_collection(LineCollection(list(pairs), colors=GRAY, linewidths=0.6, alpha=0.7, zorder=2))
    size, opacity = _weight(count)
    # Gray lies below: where points are many it would not be seen at the opacity of red.
    for points, colour, alpha, level in ((q, GRAY, min(2 * opacity, 0.8), 3), (p, RED, opacity, 4)):
        axes.scatter(points[:, 1], points[:, 0], s=size, color=colour, alpha=alpha, linewidths=0, zorder=level)
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, markersize=6, label=label)
        for colour, label in ((GRAY, "actual"), (RED, "predicted"))
    ]
    axes.legend(
        handles=handles, loc="upper right", bbox_to_anchor=(1.01, -0.055), ncols=2, frameon=False, fontsize=LABEL,
        handletextpad=0.1, columnspacing=1.0, borderaxespad=0.2,
    )  # fmt: skip
    _labels(axes, f"valence{_scaled(low, high)}", f"arousal{_scaled(low, high)}")
    set_heading(axes, _titled("Valence and arousal", part, count))
    return save_figure(figure, path)


def quantile_figure(
    path: Path,
    *,
    quantiles: Mapping[str, Bins],
    low: float | None = None,
    high: float | None = None,
    part: str = "",
) -> Path:
    """Draw the mean prediction over mean rating in each quantile bin, with the identity; a panel per name.

    Args:
        path: the PNG file.
        quantiles: at least one, by name; the first ``MOST_PANELS`` are drawn.
        low, high: ends of the scale, printed on the axes; None: not known.
        part: as in ``draw_scatter``.

    Raises:
        DataError: there are none.
    """
    if not quantiles:
        raise DataError("quantiles is empty; there is nothing to draw.")
    shown = dict(list(quantiles.items())[:MOST_PANELS])
    across = min(len(shown), 3 if len(shown) > 4 else 2)
    down = math.ceil(len(shown) / across)
    figure = new_figure(max(4.3 * across, 4.6), 4.45 * down + 0.45)
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (name, found) in zip(grid, shown.items(), strict=False):
        _quantile_panel(axes, name, found, _scaled(low, high))
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    some = f", {len(shown)} of {len(quantiles)} shown" if len(shown) < len(quantiles) else ""
    of = f", {part}" if part else ""
    figure.suptitle(
        f"Means of quantile bins{of}{some}", fontsize=TITLE + 1, fontweight="bold", color=TEXT, x=0.02, ha="left"
    )
    figure.get_layout_engine().set(h_pad=0.09, w_pad=0.09)
    return save_figure(figure, path)


def _quantile_panel(axes: Axes, name: str, found: Bins, scaled: str) -> None:
    style_axes(axes, grid="both")
    ends = _limits(axes, np.concatenate([found.actual, found.predicted]), None, None)
    _draw_identity(axes, ends)
    axes.plot(
        found.actual, found.predicted, color=BLUE, linewidth=1.0, marker="o", markersize=5.5, markeredgecolor="white",
        markeredgewidth=0.7, label="mean of a bin", zorder=4,
    )  # fmt: skip
    lines = [_told("r", found.r), _told("R²", found.r2), _told("RMSE", found.rmse)]
    _corners(axes, found.actual, found.predicted, lines)
    left = len(found.count)
    bins = f"{left} bin{'s' * (left > 1)}" if left == found.asked else f"{left} of {found.asked} bins"
    told = f"({bins}, n = {int(found.count.sum()):,})"
    _labels(axes, f"mean actual{scaled}{chr(10) if scaled else ' '}{told}", f"mean predicted{scaled}")
    set_heading(axes, _named(name, 44), size=LABEL + 0.5, pad=7)


def _pair(actual: ArrayLike, predicted: ArrayLike, shape: tuple[int | None, ...]) -> tuple[Floats, Floats]:
    """Return both as finite arrays of one shape, with at least one row."""
    actual = check_numbers(actual, "actual", shape)
    predicted = check_numbers(predicted, "predicted", (len(actual), *shape[1:]))
    if not len(actual):
        raise DataError("actual has no values; there is nothing to draw.")
    for values, what in ((actual, "actual"), (predicted, "predicted")):
        if broken := int((~np.isfinite(values)).sum()):
            raise DataError(f"{what} must be finite; {broken:,} of {values.size:,} values are NaN or infinite.")
    return actual, predicted


def _limits(axes: Axes, values: Floats, low: float | None, high: float | None) -> tuple[float, float]:
    """Make both axes run over the scale and the values, with a margin, and equally long; returns the ends."""
    least = min([values.min(), *([] if low is None else [low])])
    most = max([values.max(), *([] if high is None else [high])])
    margin = 0.04 * (most - least) or 0.5
    ends = (float(least - margin), float(most + margin))
    axes.set_xlim(ends)
    axes.set_ylim(ends)
    axes.set_aspect("equal", adjustable="box")
    locator = MaxNLocator(nbins=9, steps=[1, 2, 2.5, 5, 10])
    ticks = [tick for tick in locator.tick_values(least, most) if ends[0] <= tick <= ends[1]]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    return ends


def _weight(count: int) -> tuple[float, float]:
    """Return area (points²) and opacity of a marker, so that few are seen and many do not run together."""
    size = float(np.clip(700 / math.sqrt(count), 2.0, 34.0))
    return size, float(np.clip(9 / math.sqrt(count), 0.12, 0.8))


def _draw_items(figure: Figure, axes: Axes, p: Floats, q: Floats, ends: tuple[float, float]) -> None:
    """Draw the items, predicted across and actual up."""
    if len(q) <= MOST_POINTS:
        size, opacity = _weight(len(q))
        axes.scatter(p, q, s=size, color=BLUE, alpha=opacity, linewidths=0, zorder=2)
        return
    cells = axes.hexbin(
        p, q, gridsize=64, extent=(*ends, *ends), mincnt=1, cmap=_DENSITY, norm=LogNorm(), linewidths=0.1, zorder=2
    )
    bar = figure.colorbar(cells, ax=axes, shrink=0.72, aspect=28, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    bar.ax.tick_params(which="both", labelsize=SMALL, length=0, labelcolor=TEXT)
    bar.ax.minorticks_off()
    bar.set_label("items in a cell", fontsize=TICK, color=MUTED)


def _draw_fit(axes: Axes, p: Floats, q: Floats, ends: tuple[float, float]) -> None:
    """Draw the least-squares line of q on p over the range of p, where p varies."""
    p_off = p - p.mean()
    spread = float(np.mean(p_off**2))
    if spread <= 1e-12 * max(float(np.mean(p**2)), np.finfo(float).tiny):
        return
    slope = float(np.mean(p_off * q)) / spread
    offset = float(q.mean() - slope * p.mean())
    across = np.array([p.min(), p.max()])
    sign = "-" if slope < 0 else "+"
    text = f"fitted: actual = {offset:.2f} {sign} {abs(slope):.2f} · predicted"
    axes.plot(across, offset + slope * across, color=VERMILION, linewidth=1.8, label=text, zorder=4,
              path_effects=_HALO)  # fmt: skip
    axes.set_xlim(ends)
    axes.set_ylim(ends)


def _draw_identity(axes: Axes, ends: tuple[float, float]) -> None:
    axes.plot(ends, ends, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), label="identity", zorder=3,
              path_effects=_HALO)  # fmt: skip


def _corners(axes: Axes, x: Floats, y: Floats, lines: list[tuple[str, str]]) -> None:
    """Place the legend, and names and values under each other, in the two corners that hold the fewest points.

    A line without a value is a heading.
    """
    (left, right), width = axes.get_xlim(), np.diff(axes.get_xlim())[0]
    across = {"left": x < left + 0.45 * width, "right": x > right - 0.45 * width}
    up = {"lower": y < left + 0.22 * width, "upper": y > right - 0.22 * width}
    # The identity passes through the last two; sorting keeps this order among equals.
    corners = [("upper", "left"), ("lower", "right"), ("upper", "right"), ("lower", "left")]
    first, second = sorted(corners, key=lambda corner: int((up[corner[0]] & across[corner[1]]).sum()))[:2]
    if second == corners[0]:
        first, second = second, first
    draw_legend(axes, loc=" ".join(first), fontsize=TICK)
    values = [line for line in lines if line[1]]
    widths = [max(len(line[k]) for line in values) for k in (0, 1)]
    axes.text(
        {"left": 0.025, "right": 0.975}[second[1]], {"lower": 0.03, "upper": 0.97}[second[0]],
        "\n".join(f"{name:<{widths[0]}} = {value:>{widths[1]}}" if value else name for name, value in lines),
        transform=axes.transAxes, ha=second[1], va={"lower": "bottom", "upper": "top"}[second[0]],
        fontsize=TICK + 0.5, color=TEXT, family="monospace", linespacing=1.35, zorder=6, multialignment="left",
        bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": RULE, "alpha": 0.92},
    )  # fmt: skip


def _told(name: str, value: float | None) -> tuple[str, str]:
    return name, "-" if value is None or not math.isfinite(value) else f"{value:.4f}"


def _scaled(low: float | None, high: float | None) -> str:
    """Return the ends of the scale as an axis prints them; nothing where they are not known."""
    return "" if low is None or high is None else f" (scale {low:g} to {high:g})"


def _titled(what: str, part: str, count: int) -> str:
    return f"{what}{part and f', {part}'}, n = {count:,}"


def _labels(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across, fontsize=LABEL, color=MUTED)
    axes.set_ylabel(up, fontsize=LABEL, color=MUTED)


def _named(name: str, most: int = 40) -> str:
    """Return a dimension as a heading writes it; a file name as it is."""
    text = plain_text(name, most)
    return text.capitalize() if text.isalpha() and text.islower() else text
