"""Style that all figures share: colours for colour-blind readers too, fonts, plain text, files that appear whole.

Figures are made with matplotlib's objects and its Agg canvas; pyplot and its global state are not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from affectkit.core.files import whole_file
from affectkit.errors import DataError

DPI = 130
# From the palette of Okabe and Ito (2008), which stays distinct with any of the common colour-vision deficiencies.
BLUE, VERMILION, ORANGE = "#0072B2", "#D55E00", "#E69F00"
PALE = "#A9D0EA"
TEXT, MUTED, RULE = "#1F2430", "#667085", "#D5D9E0"
TITLE, LABEL, TICK, SMALL = 12.0, 9.5, 8.5, 7.5
"""Font sizes in points."""


def new_figure(width: float, height: float, *, constrained: bool = True) -> Figure:
    """Return a white figure of that size in inches, on an Agg canvas."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained" if constrained else None)
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes, *, grid: str = "y") -> None:
    """Style axes lightly: no box, a faint grid behind the data along ``grid`` ("x", "y", "both" or "")."""
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(RULE)
    axes.tick_params(colors=MUTED, labelsize=TICK, length=3, color=RULE, labelcolor=TEXT)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(True, axis=grid, color=RULE, linewidth=0.6)


def set_heading(axes: Axes, text: str, *, size: float = TITLE, pad: float = 8) -> None:
    """Draw a bold title at the left."""
    axes.set_title(text, loc="left", fontsize=size, fontweight="bold", color=TEXT, pad=pad)


def plain_text(text: str, most: int = 28) -> str:
    """Return ``text`` on one line, as it reads: no dollar sign starts mathematics; longer than ``most`` loses its
    middle.

    >>> plain_text("a  $x_1$")
    'a \\\\$x_1\\\\$'
    >>> plain_text("contemplative-and-serene", 11)
    'conte…erene'
    """
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
    if len(text) > most:
        keep = most - 1
        text = f"{text[: keep - keep // 2]}…{text[len(text) - keep // 2 :]}"
    return text.replace("$", r"\$")


def text_width(figure: Figure, texts: Sequence[str], size: float) -> float:
    """Return the width of the widest of ``texts`` at a font size, in inches."""
    probe = figure.text(0, 0, "", fontsize=size)
    widths = []
    for text in texts:
        probe.set_text(text)
        widths.append(probe.get_window_extent(figure.canvas.get_renderer()).width / figure.dpi)
    probe.remove()
    return max(widths, default=0.0)


def save_figure(figure: Figure, path: Path) -> Path:
    """Write ``figure`` as PNG, whole or not at all; the same picture gives the same bytes."""
    path = Path(path)
    with whole_file(path) as part:
        figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None})
    return path


def check_numbers(values: ArrayLike, name: str, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    """Return ``values`` as float64 of ``shape``, where None stands for any length; a DataError says what differs."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be numbers: {error}.") from error
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    if not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise DataError(f"{name} must have the shape ({wanted}); got {array.shape}.")
    return array


def check_classes(classes: Sequence[str]) -> list[str]:
    """Return class names as a list; raise a DataError where there is none."""
    names = [str(name) for name in classes]
    if not names:
        raise DataError("classes is empty; at least one class name is needed.")
    return names


def draw_legend(axes: Axes, **options: Any) -> None:
    """Draw a legend without a heavy box."""
    options = {"loc": "best", "fontsize": TICK, "frameon": True, "framealpha": 0.9, "edgecolor": RULE, **options}
    axes.legend(**options).get_frame().set_linewidth(0.6)
