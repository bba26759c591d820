"""Training curves, reliability diagrams, confusion matrices and recall by class, each one PNG file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from affectkit.core.text import percent
from affectkit.errors import DataError
from affectkit.reports.style import (
    BLUE,
    LABEL,
    MUTED,
    PALE,
    RULE,
    SMALL,
    TEXT,
    TICK,
    TITLE,
    VERMILION,
    check_classes,
    check_numbers,
    draw_legend,
    new_figure,
    plain_text,
    save_figure,
    set_heading,
    style_axes,
    text_width,
)

TITLES = {
    "loss": "Loss", "kl": "KL divergence", "js": "JS divergence", "mse": "Mean squared error",
    "total_variation": "Total variation", "emd": "Earth mover's distance", "top1": "Top-1 agreement",
    "accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "macro_f1": "Macro F1",
    "nll": "Negative log-likelihood", "ece": "Calibration error (ECE)", "brier": "Brier score",
    "rater_agreement": "Agreement with a rater", "lr": "Learning rate", "ccc": "Concordance (CCC)",
    "rmse": "RMSE", "mae": "Mean absolute error", "r": "Correlation (r)",
}  # fmt: skip
SHORT = {"ccc": "CCC", "rmse": "RMSE", "r": "r", "r2": "R2"}
"""How words of a metric's name are written."""
HIDDEN = ("_uncalibrated", "ece_top1", "rater_ceiling", "rater_leave_one_out")
"""Metrics, by the end of their name, that a page of curves leaves to history.csv (the ceiling is drawn as a line)."""
MOST_PANELS = 12
MOST_CLASSES_WITH_TEXT = 15
_BLUES = LinearSegmentedColormap.from_list("affectkit", ["#F7FAFD", "#BFD9EC", "#5BA3CF", "#0F6CA8", "#08365F"])


def training_curves(
    path: Path,
    *,
    history: Sequence[Mapping[str, Any]],
    monitor: str,
    best_epoch: int,
    panels: Sequence[str] = (),
    heading: str = "Training",
) -> Path:
    """Draw the loss, the monitored metric, other metrics and the learning rate over the epochs, a panel each.

    Args:
        path: the PNG file.
        history: a row per epoch: ``epoch`` (1, 2, ... where it is missing), ``lr``, and numbers called ``train_<name>``
            and ``valid_<name>``. None, NaN, infinite and missing values leave a gap.
        monitor: name of the monitored metric, without ``valid_``.
        best_epoch: the epoch that was kept; one that is not in the history is not marked.
        panels: names of metrics, a panel each in this order, three in a row; none: as above.
        heading: begins the title.

    Raises:
        DataError: the history has no rows, or a value is not a number.
    """
    if not history:
        raise DataError("history has no epochs; there is nothing to draw.")
    monitor = monitor.removeprefix("valid_")
    columns = _columns(history)
    epochs = columns.pop("epoch", np.arange(1, len(history) + 1, dtype=np.float64))
    across = 3
    if not panels:
        panels = _panels(columns, monitor)
        across = min(4, max(2, math.ceil(math.sqrt(len(panels)))))
    down = math.ceil(len(panels) / across)
    figure = new_figure(3.2 * across, 2.35 * down + 0.55)
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes, name in zip(grid, panels, strict=False):
        _curve_panel(axes, name, columns, epochs, best_epoch=best_epoch, monitored=name == monitor)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    count = f"{len(history):,} epoch{'s' * (len(history) > 1)}"
    best = f"  ★ best by {_title(monitor)}: epoch {best_epoch}" if best_epoch in epochs else ""
    figure.suptitle(
        f"{heading}, n = {count}{best}", fontsize=TITLE + 1, fontweight="bold", color=TEXT, x=0.012, ha="left"
    )
    figure.get_layout_engine().set(h_pad=0.08, w_pad=0.08)
    return save_figure(figure, path)


def reliability_diagram(
    path: Path,
    *,
    count: ArrayLike,
    confidence: ArrayLike,
    agreement: ArrayLike,
    edges: ArrayLike,
    ece: float,
    title: str,
    second: Mapping[str, Any] | None = None,
) -> Path:
    """Draw agreement against confidence in bins, with the gap between them shaded, over a histogram of the samples.

    Args:
        path: the PNG file.
        count: (B,) samples in each bin.
        confidence, agreement: (B,) means in each bin in [0, 1]; NaN in an empty one.
        edges: (B + 1,) rising, from 0 to 1.
        ece: expected calibration error, printed.
        title: heading; should name the set and n.
        second: other means in the same bins, drawn as a line: ``confidence``, ``agreement``, and where wanted
            ``count``, ``ece`` and ``label``.

    Raises:
        DataError: shapes do not fit together.
    """
    edges = check_numbers(edges, "edges", (None,))
    bins = len(edges) - 1
    count = check_numbers(count, "count", (bins,))
    confidence, agreement = (
        check_numbers(confidence, "confidence", (bins,)),
        check_numbers(agreement, "agreement", (bins,)),
    )
    figure = new_figure(5.4, 6.3)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    _reliability_bars(above, count, confidence, agreement, edges)
    if second is not None:
        _second_line(above, second, bins)
    set_heading(above, plain_text(title, 60))
    above.text(
        0.985, 0.035, f"ECE = {ece:.4f}", transform=above.transAxes, ha="right", va="bottom", fontsize=TITLE,
        fontweight="bold", color=TEXT, bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": RULE},
    )  # fmt: skip
    draw_legend(above, loc="upper left")
    _confidence_histogram(below, count, confidence, agreement, edges)
    return save_figure(figure, path)


def confusion_matrix(path: Path, *, counts: ArrayLike, classes: Sequence[str], part: str = "") -> Path:
    """Draw true classes in rows, predicted ones in columns, coloured by the share of the row.

    Args:
        path: the PNG file.
        counts: (C, C), at least 0; a row without samples is left gray.
        classes: (C,) names. Up to 15 classes, cells hold percent of the row and the count.
        part: what the samples are of ("validation"), in the heading.

    Raises:
        DataError: shapes do not fit, or a count is negative or not finite.
    """
    names = check_classes(classes)
    size = len(names)
    counts = check_numbers(counts, "counts", (size, size))
    if not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise DataError("counts must be finite and at least 0.")
    support = counts.sum(1, keepdims=True)
    share = np.divide(counts, support, out=np.full_like(counts, np.nan), where=support > 0)
    with_text = size <= MOST_CLASSES_WITH_TEXT
    tick = TICK if size <= 25 else SMALL - 0.5
    labels = [plain_text(name, 22) for name in names]
    rows = [f"{label}  ({int(n):,})" for label, n in zip(labels, support[:, 0], strict=True)]
    figure, axes, bar_axes = _square_layout(max(2.4, size * (0.60 if with_text else 0.235)), rows, labels, tick)
    axes.set_facecolor(RULE)
    image = axes.imshow(share, cmap=_BLUES, vmin=0, vmax=1)
    axes.set_yticks(range(size), rows, fontsize=tick, color=TEXT)
    axes.set_xticks(range(size), labels, fontsize=tick, color=TEXT, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_xlabel("predicted", fontsize=LABEL, color=MUTED)
    axes.set_ylabel("true (n)", fontsize=LABEL, color=MUTED)
    axes.xaxis.labelpad = axes.yaxis.labelpad = 6
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(1, size) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, size) - 0.5, minor=True)
    axes.grid(True, which="minor", color="white", linewidth=1.4 if with_text else 0.6)
    axes.tick_params(which="minor", length=0)
    if with_text:
        _cell_texts(axes, counts, share)
    bar = figure.colorbar(image, cax=bar_axes, format=PercentFormatter(1.0))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=TICK, length=0, labelcolor=TEXT)
    bar.set_label("share of the true class", fontsize=LABEL, color=MUTED)
    set_heading(axes, f"Confusion matrix{part and f', {part}'}, n = {int(counts.sum()):,}")
    return save_figure(figure, path)


def class_recall(
    path: Path,
    *,
    recall: ArrayLike,
    support: ArrayLike,
    classes: Sequence[str],
    bounds: ArrayLike | None = None,
    part: str = "",
) -> Path:
    """Draw the recall of each class as a bar with its 95% interval, in the order of the classes.

    Args:
        path: the PNG file.
        recall: (C,) in [0, 1]; NaN for a class without samples.
        support: (C,) samples of each class.
        classes: (C,) names.
        bounds: (C, 2) of the intervals, NaN where there is none; None: no intervals.
        part: as in ``confusion_matrix``.

    Raises:
        DataError: shapes do not fit together.
    """
    names = check_classes(classes)
    recall = check_numbers(recall, "recall", (len(names),))
    support = check_numbers(support, "support", (len(names),))
    known = np.isfinite(recall) & (support > 0)
    figure = new_figure(7.0, 0.31 * len(names) + 1.35)
    axes = figure.subplots()
    style_axes(axes, grid="x")
    place = np.arange(len(names))
    axes.barh(place[known], recall[known], height=0.68, color=BLUE, alpha=0.88)
    for k in place[known] if bounds is not None else ():
        axes.plot(
            check_numbers(bounds, "bounds", (len(names), 2))[k],
            [k, k],
            color=TEXT,
            linewidth=1.1,
            solid_capstyle="butt",
        )
    for k in place:
        text = f"{100 * recall[k]:.1f}%  n = {int(support[k]):,}" if known[k] else "no samples"
        axes.text(1.02, k, text, va="center", ha="left", fontsize=TICK, color=TEXT if known[k] else MUTED)
    if known.any():
        mean = recall[known].mean()
        axes.axvline(mean, color=VERMILION, linewidth=1.3, linestyle=(0, (4, 2)), label=f"mean {100 * mean:.1f}%")
        axes.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=LABEL, frameon=False, borderaxespad=0.2, ncols=1
        )
    axes.set_yticks(place, [plain_text(name, 26) for name in names], fontsize=TICK + 0.5)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("recall (lines: 95% interval)", fontsize=LABEL, color=MUTED)
    set_heading(axes, f"Recall by class{part and f', {part}'}, n = {int(support.sum()):,}")
    return save_figure(figure, path)


def _columns(history: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[np.float64]]:
    """Return the rows as columns; what is missing or not finite is NaN."""
    names = dict.fromkeys(name for row in history for name in row)
    columns = {}
    for name in names:
        values = [np.nan if row.get(name) is None else row[name] for row in history]
        column = check_numbers(values, f"history column {name!r}", (None,))
        columns[name] = np.where(np.isfinite(column), column, np.nan)
    return columns


def _panels(columns: Mapping[str, Any], monitor: str) -> list[str]:
    """Return names of the panels: the loss, the monitored metric, the others as they come, the learning rate last."""
    found = dict.fromkeys(
        name.split("_", 1)[1] for name in columns if name.startswith(("train_", "valid_")) and "_" in name
    )
    first = [name for name in dict.fromkeys(("loss", monitor)) if name in found]
    others = [name for name in found if name not in first and not name.endswith(HIDDEN)]
    last = ["lr"] if "lr" in columns else []
    return [*first, *others][: MOST_PANELS - len(last)] + last


def _curve_panel(
    axes: Axes,
    name: str,
    columns: Mapping[str, NDArray[np.float64]],
    epochs: NDArray[np.float64],
    *,
    best_epoch: int,
    monitored: bool,
) -> None:
    style_axes(axes)
    style = {"linewidth": 1.7, "marker": "o" if len(epochs) <= 30 else "", "markersize": 3.2}
    lines = (
        (("lr", "", MUTED),) if name == "lr" else ((f"train_{name}", "train", MUTED), (f"valid_{name}", "valid", BLUE))
    )
    drawn = [(columns[key], label, colour) for key, label, colour in lines if key in columns]
    for values, label, colour in drawn:
        axes.plot(epochs, values, color=colour, label=label or None, **style)
    if any(np.isfinite(values).any() for values, _, _ in drawn):
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    else:
        axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", color=MUTED, fontsize=LABEL)
        axes.set_yticks([])
    if name == "rater_agreement" and "valid_rater_ceiling" in columns:
        ceiling = np.nanmax(columns["valid_rater_ceiling"], initial=-np.inf)
        if np.isfinite(ceiling):
            axes.axhline(ceiling, color=MUTED, linewidth=1.1, linestyle=":", label="ceiling")
    set_heading(axes, _title(name) + (" ★" if monitored else ""), size=LABEL, pad=5)
    _mark_best(axes, name, drawn, epochs, best_epoch)
    if len(axes.get_legend_handles_labels()[1]) > 1:
        draw_legend(axes, fontsize=SMALL)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
    if name == "lr":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.set_xlabel("epoch", fontsize=TICK, color=MUTED, labelpad=2)


def _mark_best(
    axes: Axes,
    name: str,
    drawn: Sequence[tuple[NDArray[np.float64], str, str]],
    epochs: NDArray[np.float64],
    best_epoch: int,
) -> None:
    """Draw a line at the epoch that was kept, and the value of the last curve there."""
    if best_epoch not in epochs:
        return
    axes.axvline(best_epoch, color=VERMILION, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
    value = drawn[-1][0][list(epochs).index(best_epoch)]
    if np.isfinite(value) and name != "lr":
        axes.plot([best_epoch], [value], marker="o", markersize=6, color=VERMILION, markeredgecolor="white", zorder=5)
        axes.set_title(f"{value:.4g}", loc="right", fontsize=LABEL, color=VERMILION, pad=5)


def _title(name: str) -> str:
    if name in TITLES:
        return TITLES[name]
    words = [SHORT.get(word, word) for word in name.split("_")]
    return plain_text(" ".join([words[0] if words[0] in SHORT.values() else words[0].capitalize(), *words[1:]]), 22)


def _reliability_bars(
    axes: Axes,
    count: NDArray[np.float64],
    confidence: NDArray[np.float64],
    agreement: NDArray[np.float64],
    edges: NDArray[np.float64],
) -> None:
    style_axes(axes, grid="both")
    filled = (count > 0) & np.isfinite(confidence) & np.isfinite(agreement)
    left, width = edges[:-1][filled], np.diff(edges)[filled]
    seen, told = agreement[filled], confidence[filled]
    axes.bar(left, seen, width, align="edge", color=PALE, edgecolor="white", linewidth=0.8)
    axes.bar(left, told - seen, width, bottom=seen, align="edge", color=VERMILION, alpha=0.28, edgecolor=VERMILION,
             linewidth=0, hatch="////", label="gap to the mean confidence")  # fmt: skip
    axes.hlines(seen, left, left + width, color=BLUE, linewidth=2.4, label="agreement")
    axes.plot([0, 1], [0, 1], color=TEXT, linewidth=1.1, linestyle=(0, (4, 3)), label="perfectly calibrated")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_ylabel("agreement", fontsize=LABEL, color=MUTED)


def _second_line(axes: Axes, second: Mapping[str, Any], bins: int) -> None:
    confidence = check_numbers(second["confidence"], "second confidence", (bins,))
    agreement = check_numbers(second["agreement"], "second agreement", (bins,))
    there = np.isfinite(confidence) & np.isfinite(agreement)
    label = plain_text(str(second.get("label", "before")), 40)
    if second.get("ece") is not None:
        label += f" (ECE = {second['ece']:.4f})"
    axes.plot(confidence[there], agreement[there], color=TEXT, linewidth=1.2, marker="D", markersize=5,
              markerfacecolor="white", markeredgewidth=1.2, label=label)  # fmt: skip


def _confidence_histogram(
    axes: Axes,
    count: NDArray[np.float64],
    confidence: NDArray[np.float64],
    agreement: NDArray[np.float64],
    edges: NDArray[np.float64],
) -> None:
    """Draw the number of samples in each bin, and the two overall means."""
    style_axes(axes)
    axes.bar(edges[:-1], count, np.diff(edges), align="edge", color="#9DB2C7", edgecolor="white", linewidth=0.8)
    if len(count) <= 20:
        for middle, number in zip((edges[:-1] + edges[1:]) / 2, count, strict=True):
            if number > 0:
                axes.annotate(f"{int(number):,}", (middle, number), xytext=(0, 2), textcoords="offset points",
                              ha="center", fontsize=SMALL - 1, color=MUTED)  # fmt: skip
    filled = count > 0
    if filled.any():
        for values, colour, style, text, x in (
            (agreement, BLUE, "-", "mean agreement", 0.0),
            (confidence, VERMILION, (0, (4, 2)), "mean confidence", 1.0),
        ):
            mean = np.average(values[filled], weights=count[filled])
            axes.axvline(mean, color=colour, linewidth=1.4, linestyle=style)
            axes.text(x, 1.04, f"{text} {mean:.3f}", transform=axes.transAxes, ha="left" if x == 0 else "right",
                      fontsize=TICK, color=colour)  # fmt: skip
    axes.set_ylim(0, max(1.0, 1.22 * count.max()))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("confidence", fontsize=LABEL, color=MUTED)
    axes.set_ylabel("samples", fontsize=LABEL, color=MUTED)


def _square_layout(side: float, rows: Sequence[str], columns: Sequence[str], tick: float) -> tuple[Figure, Axes, Axes]:
    """Make a figure with a square of ``side`` inches, room for its labels (columns slanted by 45 degrees), and a colour
    bar.

    In inches and by measuring, as automatic layouts cut labels off beside axes of a fixed shape.
    """
    probe = new_figure(1, 1, constrained=False)
    slanted = text_width(probe, columns, tick) / math.sqrt(2)
    left, below = max(text_width(probe, rows, tick), slanted) + 0.55, slanted + 0.60
    width, height = left + side + 1.15, below + side + 0.45
    figure = new_figure(width, height, constrained=False)
    axes = figure.add_axes((left / width, below / height, side / width, side / height))
    bar = figure.add_axes(((left + side + 0.14) / width, below / height, 0.14 / width, side / height))
    return figure, axes, bar


def _cell_texts(axes: Axes, counts: NDArray[np.float64], share: NDArray[np.float64]) -> None:
    for row, column in np.ndindex(counts.shape):
        value = share[row, column]
        if np.isnan(value):
            axes.text(column, row, "-", ha="center", va="center", fontsize=TICK, color=MUTED)
            continue
        red, green, blue = to_rgb(_BLUES(value))
        colour = "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else TEXT
        weight = "bold" if row == column else "normal"
        axes.text(column, row - 0.13, percent(value), ha="center", va="center", fontsize=TICK, color=colour,
                  fontweight=weight, alpha=1.0 if value else 0.35)  # fmt: skip
        axes.text(column, row + 0.22, f"{int(counts[row, column]):,}", ha="center", va="center", fontsize=SMALL - 1,
                  color=colour, alpha=0.8 if value else 0.35)  # fmt: skip
