"""Predictions over the time of a video: a lane per face, gaps where it was not seen, the label as a strip of colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MultipleLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from affectkit.core.text import percent
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
    check_classes,
    check_numbers,
    new_figure,
    plain_text,
    save_figure,
    set_heading,
    style_axes,
)

MOST_LANES = 6
MOST_BINS = 400
"""Stretches of time that are drawn; of a longer video each is the mean of several sampled frames."""
# Okabe and Ito (2008), its yellow darkened, then tints and shades of them for more classes than it has colours.
PALETTE = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#C9B400", "#8C8C8C"),
    *("#004B75", "#8A5A00", "#00573F", "#7F3800", "#7C3A62", "#2C6E94", "#6E6200", "#4D4D4D"),
)
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Seconds between marks of the time axis."""
MARKS = 10


@dataclass(frozen=True)
class Lane:
    """One face of a video.

    Attributes:
        name: shown beside it.
        frames: (n,) positions of the sampled frames in which it was seen, rising.
        values: (n, K) predictions.
    """

    name: str
    frames: ArrayLike
    values: ArrayLike


def draw_timeline(
    path: Path,
    *,
    title: str,
    edges: ArrayLike,
    lanes: Sequence[Lane],
    names: Sequence[str],
    shares: bool,
    low: float | None = None,
    high: float | None = None,
) -> Path:
    """Draw what was predicted of the faces of a video over its time.

    Args:
        path: the PNG file.
        edges: (L + 1,) time of each sampled frame in seconds, rising, and the end of the video: each holds on.
        lanes: faces, from the top, at most ``MOST_LANES``.
        names: of the K predictions.
        shares: whether predictions are shares of classes, drawn as stacked areas over a strip in the colour of the
            largest; else ratings, a line each.
        low, high: of the ratings' scale, where it is known.

    Raises:
        DataError: shapes do not fit together, or times fall.
    """
    names = check_classes(names)
    edges = check_numbers(edges, "edges", (None,))
    if len(edges) < 1 or (np.diff(edges) < 0).any():
        raise DataError("edges must be rising times, those of the frames and then the end.")
    if len(lanes) > MOST_LANES:
        raise DataError(f"a timeline has {MOST_LANES} lanes at most; got {len(lanes)}.")
    shown = [_checked(lane, len(edges) - 1, len(names)) for lane in lanes]
    height = 1.5 if len(shown) > 1 else 2.2
    figure = new_figure(10.5, 1.35 + height * max(len(shown), 1))
    figure.get_layout_engine().set(h_pad=0.06, w_pad=0.06)
    colours = _colours(len(names), shares=shares)
    end = max(edges[-1], edges[0] + 1e-3)
    if shown:
        bins = binned_edges(edges)
        grid = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, frames, values) in zip(grid, shown, strict=True):
            binned = binned_means(edges, bins, frames, values)
            if shares:
                _stack(axes, bins, binned, colours)
            else:
                _lines(axes, bins, binned, colours, scale=None if low is None or high is None else (low, high))
            lines = "\n".join(plain_text(line, 20) for line in name.split("\n"))
            axes.set_ylabel(lines, fontsize=SMALL + 0.5, color=TEXT)
        _legend(figure, names, colours)
    else:
        grid = [figure.subplots()]
        style_axes(grid[0], grid="")
        grid[0].set_yticks([])
        grid[0].text(
            0.5, 0.5, "no face was seen", transform=grid[0].transAxes, ha="center", color=MUTED, fontsize=TITLE
        )
    set_heading(grid[0], plain_text(title, 110), size=TITLE - 0.5)
    _time_axis(grid[-1], edges[0], end)
    return save_figure(figure, path)


def _checked(lane: Lane, frames: int, width: int) -> tuple[str, NDArray[np.int64], NDArray[np.float64]]:
    places = np.asarray(lane.frames)
    values = check_numbers(lane.values, f"values of {lane.name}", (len(places), width))
    if len(places) and (places.min() < 0 or places.max() >= frames or (np.diff(places) <= 0).any()):
        raise DataError(f"frames of {lane.name} must be rising places in [0, {frames - 1}].")
    return lane.name, places.astype(np.int64), values


def binned_edges(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where drawn stretches of time begin and end: at the sampled frames, or ``MOST_BINS`` even ones."""
    if len(edges) - 1 <= MOST_BINS:
        return edges
    return np.linspace(edges[0], edges[-1], MOST_BINS + 1)


def binned_means(
    edges: NDArray[np.float64], bins: NDArray[np.float64], frames: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (bins, K): the mean of the sampled frames that begin in each bin, NaN where the face was seen in none.

    In a bin in which no sampled frame begins, which an uneven video may have, the frame before it counts on.
    """
    count = len(bins) - 1
    if count == len(edges) - 1:
        found = np.full((count, values.shape[1]), np.nan)
        found[frames] = values
        return found
    place = np.clip(np.searchsorted(bins, edges[:-1], side="right") - 1, 0, count - 1)
    sums, hits = np.zeros((count, values.shape[1])), np.zeros(count)
    np.add.at(sums, place[frames], values)
    np.add.at(hits, place[frames], 1)
    with np.errstate(invalid="ignore"):
        found = np.where(hits[:, None] > 0, sums / np.maximum(hits, 1)[:, None], np.nan)
    begun = np.zeros(count, bool)
    begun[place] = True
    before = np.maximum.accumulate(np.where(begun, np.arange(count), 0))
    return found[before]


def true_runs(seen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first position and the one past the last of each run of true values."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(int)))
    return [(int(begin), int(end)) for begin, end in change.reshape(-1, 2)]


def _stack(axes: Axes, bins: NDArray[np.float64], values: NDArray[np.float64], colours: Sequence[str]) -> None:
    """Draw stacked shares as steps, and below them a strip in the colour of the largest."""
    style_axes(axes, grid="")
    axes.set_facecolor("#F4F5F7")  # where the face was not seen
    axes.tick_params(axis="y", labelsize=SMALL)
    for begin, end in true_runs(~np.isnan(values[:, 0])):
        sides = np.repeat(bins[begin : end + 1], 2)[1:-1]
        tops = np.repeat(np.cumsum(values[begin:end], axis=1), 2, axis=0)
        below = np.zeros(len(sides))
        for top, colour in zip(tops.T, colours, strict=True):
            axes.fill_between(sides, below, top, color=colour, linewidth=0)
            below = top
    seen = np.flatnonzero(~np.isnan(values[:, 0]))
    strip = [[(bins[k], -0.17), (bins[k + 1], -0.17), (bins[k + 1], -0.05), (bins[k], -0.05)] for k in seen]
    strongest = [colours[k] for k in values[seen].argmax(1)] if len(seen) else []
    axes.add_collection(PolyCollection(strip, facecolors=strongest, edgecolors="none"))
    axes.set_ylim(-0.19, 1.0)
    axes.set_yticks([0, 0.5, 1])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _lines(
    axes: Axes,
    bins: NDArray[np.float64],
    values: NDArray[np.float64],
    colours: Sequence[str],
    *,
    scale: tuple[float, float] | None,
) -> None:
    """Draw a line per rating, at the middle of each stretch of time; a dot where it has no neighbour."""
    style_axes(axes)
    middles = (bins[:-1] + bins[1:]) / 2
    for column, colour in zip(values.T, colours, strict=True):
        axes.plot(middles, column, color=colour, linewidth=1.4, solid_capstyle="round")
    for begin, end in true_runs(~np.isnan(values[:, 0])):
        if end - begin == 1:
            for value, colour in zip(values[begin], colours, strict=True):
                axes.plot(middles[begin], value, color=colour, marker="o", markersize=3)
    if scale is not None:
        low, high = scale
        room = 0.04 * (high - low)
        axes.set_ylim(low - room, high + room)
        axes.axhline((low + high) / 2, color=RULE, linewidth=0.8, zorder=0)
    axes.tick_params(axis="y", labelsize=TICK)


def _colours(count: int, *, shares: bool) -> list[str]:
    if not shares and count <= 2:
        return [BLUE, VERMILION][:count]
    return [PALETTE[place % len(PALETTE)] for place in range(count)]


def _legend(figure: Figure, names: Sequence[str], colours: Sequence[str]) -> None:
    patches = [Patch(color=colour, label=plain_text(name, 22)) for name, colour in zip(names, colours, strict=True)]
    figure.legend(
        handles=patches, loc="outside lower center", ncols=min(len(names), 8), fontsize=TICK, frameon=False,
        handlelength=1.1, handleheight=0.9, columnspacing=1.4,
    )  # fmt: skip


def _time_axis(axes: Axes, begin: float, end: float) -> None:
    """Set marks at round times: seconds, minutes:seconds, or hours:minutes:seconds."""
    step = next((step for step in STEPS if (end - begin) / step <= MARKS), STEPS[-1])
    axes.set_xlim(begin, end)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_time(value, end, step)))
    unit = "seconds" if end < 60 else "minutes:seconds" if end < 3600 else "hours:minutes:seconds"
    axes.set_xlabel(f"Time ({unit})", fontsize=LABEL, color=TEXT)


def format_time(seconds: float, end: float, step: float = 1) -> str:
    """Return a time on an axis that goes to ``end`` in steps of ``step`` seconds.

    >>> format_time(1.5, 3, 0.5), format_time(75, 90), format_time(3675, 4000)
    ('1.5', '1:15', '1:01:15')
    """
    if end < 60:
        return f"{seconds:.1f}" if step < 1 else f"{seconds:.0f}"
    whole = round(seconds)
    minutes = f"{whole // 60 % 60:02}" if end >= 3600 else f"{whole // 60}"
    return f"{whole // 3600}:{minutes}:{whole % 60:02}" if end >= 3600 else f"{minutes}:{whole % 60:02}"


def describe_video(*, frames: int, faces: int, seconds: float) -> str:
    """Describe a video for the title of a timeline.

    >>> describe_video(frames=120, faces=1, seconds=60.0), describe_video(frames=6, faces=8, seconds=3.0)
    ('1:00 min, 120 frames, 1 face', '3.0 s, 6 frames, 8 faces (the 6 longest seen)')
    """
    length = (
        f"{seconds:.1f} s" if seconds < 60 else f"{format_time(seconds, seconds)} {'min' if seconds < 3600 else 'h'}"
    )
    more = f" (the {MOST_LANES} longest seen)" if faces > MOST_LANES else ""
    return f"{length}, {frames:,} frame{'s' * (frames != 1)}, {faces:,} face{'s' * (faces != 1)}{more}"


def lane_name(number: int, time: dict[str, float] | None, values: dict[str, float] | None = None) -> str:
    """Return the name of a face's lane: its number, the label of most of its time, and a line for each of ``values``.

    >>> lane_name(2, {"happiness": 0.634, "neutral": 0.366}, {"valence": 0.51})
    'face 2\\nhappiness 63%\\nvalence 0.51'
    """
    lines = [f"face {number}"]
    if time:
        label = max(time, key=time.__getitem__)
        lines.append(f"{label} {percent(time[label])}")
    return "\n".join([*lines, *(f"{name} {value:.2f}" for name, value in (values or {}).items())])
