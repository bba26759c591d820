"""The risk-coverage curve of a model that may abstain, as a PNG file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from affectkit.reports.style import (
    BLUE,
    LABEL,
    MUTED,
    RULE,
    TEXT,
    TICK,
    VERMILION,
    check_numbers,
    draw_legend,
    new_figure,
    plain_text,
    save_figure,
    set_heading,
    style_axes,
)


def draw_risk_coverage(
    path: Path,
    *,
    coverage: ArrayLike,
    risk: ArrayLike,
    best: ArrayLike,
    aurc: float,
    title: str,
    marks: Sequence[tuple[float, float]] = (),
) -> Path:
    """Draw the selective error over the share of items that get a label.

    Args:
        path: the PNG file.
        coverage, risk: (K,) in [0, 1], of the curve, coverage rising.
        best: (N,) the risk at 1/N, 2/N, ... of the best order of the same errors.
        aurc: area under the curve, printed.
        title: heading; should name the set and n.
        marks: points of the curve (coverage, risk) whose accuracy is printed beside them.

    Raises:
        DataError: shapes do not fit together.
    """
    coverage = check_numbers(coverage, "coverage", (None,))
    risk, best = check_numbers(risk, "risk", (len(coverage),)), check_numbers(best, "best", (None,))
    figure = new_figure(6.2, 4.4)
    axes = figure.subplots()
    style_axes(axes, grid="both")
    whole = float(risk[-1]) if len(risk) else 0.0
    axes.axhline(whole, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), label="confidence that says nothing")
    steps = [(place + 1) / len(best) for place in range(len(best))]
    axes.plot(steps, best, color=VERMILION, linewidth=1.2, linestyle=(0, (2, 2)), label="best order of these errors")
    axes.plot(coverage, risk, color=BLUE, linewidth=2.0, label="the model")
    for across, up in marks:
        axes.plot([across], [up], marker="o", markersize=5, color=BLUE, markeredgecolor="white", zorder=5)
        axes.annotate(
            f"{1 - up:.1%} right", (across, up), xytext=(-4, 6), textcoords="offset points", ha="right", fontsize=TICK,
            color=TEXT,
        )  # fmt: skip
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, max(1.25 * max(whole, float(risk.max(initial=0))), 0.01))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("coverage: share of items that get a label, the surest first", fontsize=LABEL, color=MUTED)
    axes.set_ylabel("selective risk: share of these that are wrong", fontsize=LABEL, color=MUTED)
    axes.text(
        0.985, 0.04, f"AURC = {aurc:.4f}", transform=axes.transAxes, ha="right", va="bottom", fontsize=LABEL + 1,
        fontweight="bold", color=TEXT, bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": RULE},
    )  # fmt: skip
    set_heading(axes, plain_text(title, 70))
    draw_legend(axes, loc="upper left")
    return save_figure(figure, path)
