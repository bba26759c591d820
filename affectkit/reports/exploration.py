"""Pictures of what a dataset holds: classes by split, entropy of distributions, light, the valence-arousal plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from affectkit.core.text import percent
from affectkit.errors import DataError
from affectkit.reports.style import (
    BLUE,
    LABEL,
    MUTED,
    ORANGE,
    SMALL,
    TICK,
    VERMILION,
    check_classes,
    draw_legend,
    new_figure,
    plain_text,
    save_figure,
    set_heading,
    style_axes,
)

COLOURS = (BLUE, ORANGE, VERMILION, "#009E73")
"""Of splits, in their order (Okabe and Ito 2008)."""
MOST_CLASSES = 60
BINS = 40
MOST_POINTS = 2000
_DENSITY = LinearSegmentedColormap.from_list("affectkit", ["#C9DFF0", "#5BA3CF", "#0F6CA8", "#08365F"])


def class_bars(path: Path, *, counts: Mapping[str, Mapping[str, int]], classes: Sequence[str]) -> Path:
    """Draw the share of each class in each split as bars, with the count behind each; a class that a split lacks says
    0.

    Args:
        path: the PNG file.
        counts: by split, counts by class.
        classes: names in order; of more than ``MOST_CLASSES`` the most frequent ones are drawn.

    Raises:
        DataError: there is no class.
    """
    names = check_classes(classes)
    total = {name: sum(found.get(name, 0) for found in counts.values()) for name in names}
    if len(names) > MOST_CLASSES:
        kept = set(sorted(names, key=lambda name: -total[name])[:MOST_CLASSES])
        names = [name for name in names if name in kept]
    labels = [plain_text(name, 26) for name in names]
    thick = 0.8 / len(counts)
    figure = new_figure(6.6, max(1.6, (0.16 + 0.15 * len(counts)) * len(names)) + 1.0)
    axes = figure.subplots()
    style_axes(axes, grid="x")
    widest = 0.0
    for number, (split, found) in enumerate(counts.items()):
        sizes = np.array([found.get(name, 0) for name in names], float)
        whole = sum(found.values())
        shares = sizes / max(whole, 1)
        widest = max(widest, shares.max(initial=0))
        place = np.arange(len(names)) - 0.4 + thick * (number + 0.5)
        axes.barh(place, shares, height=thick, color=COLOURS[number % 4], label=f"{plain_text(split)}, n = {whole:,}")
        for at, share, size in zip(place, shares, sizes, strict=True):
            axes.text(share, at, f" {int(size):,}", va="center", fontsize=SMALL, color=MUTED)
    axes.set_yticks(range(len(names)), labels, fontsize=TICK if len(names) <= 30 else SMALL)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.set_xlim(0, widest * 1.12 or 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("share of the split", fontsize=LABEL, color=MUTED)
    more = "" if len(classes) == len(names) else f", the {len(names)} most frequent of {len(classes):,}"
    set_heading(axes, f"Classes{more}")
    if len(counts) > 1:
        draw_legend(axes)
    else:
        set_heading(axes, f"Classes{more}, n = {sum(next(iter(counts.values())).values()):,}")
    return save_figure(figure, path)


def entropy_histogram(path: Path, *, entropy: Mapping[str, ArrayLike], most: float, ties: Mapping[str, int]) -> Path:
    """Draw how the entropy of distributions is spread, a line a split.

    Args:
        path: the PNG file.
        entropy: by split, bits (N,).
        most: the entropy of even shares, in bits.
        ties: by split, how many items have several classes on top; written in the legend.
    """
    figure = new_figure(6.2, 3.4)
    axes = figure.subplots()
    _histograms(
        axes, entropy, (0, most), notes={name: f", ties {count:,}" for name, count in ties.items()}, heading="Entropy"
    )
    axes.set_xlabel(f"entropy of the distribution in bits; {most:.2f} where all classes are alike", fontsize=LABEL,
                    color=MUTED)  # fmt: skip
    return save_figure(figure, path)


def light_histograms(path: Path, *, brightness: Mapping[str, ArrayLike], contrast: Mapping[str, ArrayLike]) -> Path:
    """Draw how brightness and contrast of the images are spread, a line a split.

    Args:
        path: the PNG file.
        brightness: by split, (N,) in [0, 1].
        contrast: by split, (N,) in [0, 0.5].
    """
    figure = new_figure(8.6, 3.2)
    left, right = figure.subplots(1, 2)
    _histograms(left, brightness, (0, 1), heading="Brightness")
    left.set_xlabel("mean luma, 0 black, 1 white", fontsize=LABEL, color=MUTED)
    _histograms(right, contrast, (0, 0.5), heading="Contrast", legend=False)
    right.set_xlabel("standard deviation of the luma", fontsize=LABEL, color=MUTED)
    return save_figure(figure, path)


def _histograms(
    axes: Axes,
    values: Mapping[str, ArrayLike],
    span: tuple[float, float],
    *,
    heading: str,
    notes: Mapping[str, str] | None = None,
    legend: bool = True,
) -> None:
    style_axes(axes)
    for number, (name, given) in enumerate(values.items()):
        found = np.asarray(given, float)
        found = found[np.isfinite(found)]
        counts, edges = np.histogram(found, BINS, span)
        label = f"{plain_text(name)}, n = {len(found):,}{(notes or {}).get(name, '')}"
        axes.stairs(counts / max(len(found), 1), edges, color=COLOURS[number % 4], linewidth=1.6, label=label)
    axes.set_xlim(*span)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("share of the split", fontsize=LABEL, color=MUTED)
    set_heading(axes, heading)
    if legend:
        draw_legend(axes)


def rating_plane(
    path: Path, *, ratings: Mapping[str, ArrayLike], scale: tuple[float, float], cells: int, r: Mapping[str, float]
) -> Path:
    """Draw the items in the valence-arousal plane, a panel a split, with the share of items in each of the cells.

    Args:
        path: the PNG file.
        ratings: by split, (N, 2), arousal and valence; more than ``MOST_POINTS`` are drawn as a density.
        scale: the least and greatest rating.
        cells: rows and columns of the plane that are counted.
        r: by split, Pearson's correlation, printed; a dash for NaN.

    Raises:
        DataError: no item has both.
    """
    known = {name: np.asarray(one, float) for name, one in ratings.items()}
    known = {name: one[np.isfinite(one).all(1)] for name, one in known.items()}
    known = {name: one for name, one in known.items() if len(one)}
    if not known:
        raise DataError("no item has both a valence and an arousal; there is nothing to draw.")
    figure = new_figure(max(4.2 * len(known), 4.6), 4.5)
    edges = np.linspace(*scale, cells + 1)
    for axes, (name, one) in zip(figure.subplots(1, len(known), squeeze=False)[0], known.items(), strict=True):
        arousal, valence = one.T
        style_axes(axes, grid="")
        if len(one) <= MOST_POINTS:
            axes.plot(valence, arousal, ".", color=BLUE, markersize=4, alpha=0.5, markeredgewidth=0)
        else:
            axes.hist2d(valence, arousal, 60, (scale, scale), cmap=_DENSITY, norm=LogNorm(), cmin=1)
        counts, _, _ = np.histogram2d(arousal, valence, bins=(edges, edges))
        for edge in edges[1:-1]:
            axes.axhline(edge, color=MUTED, linewidth=0.6)
            axes.axvline(edge, color=MUTED, linewidth=0.6)
        for row in range(cells):
            for column in range(cells):
                axes.annotate(
                    percent(counts[row, column] / len(one)), (edges[column], edges[row + 1]), xytext=(4, -4),
                    textcoords="offset points", fontsize=SMALL, va="top", ha="left", color=MUTED,
                    bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
                )  # fmt: skip
        axes.set_xlim(*scale)
        axes.set_ylim(*scale)
        axes.set_aspect("equal")
        axes.set_xlabel("valence", fontsize=LABEL, color=MUTED)
        axes.set_ylabel("arousal", fontsize=LABEL, color=MUTED)
        value = r.get(name, float("nan"))
        correlation = "-" if np.isnan(value) else f"{value:.2f}"
        set_heading(axes, f"{plain_text(name, 12)}, n = {len(one):,}, r = {correlation}", size=LABEL + 1)
    return save_figure(figure, path)
