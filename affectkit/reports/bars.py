"""A page of images, each beside bars of its predicted and true distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from affectkit.errors import DataError
from affectkit.reports.style import (
    BLUE,
    LABEL,
    MUTED,
    ORANGE,
    RULE,
    SMALL,
    TEXT,
    TICK,
    TITLE,
    check_classes,
    check_numbers,
    new_figure,
    plain_text,
    save_figure,
    style_axes,
    text_width,
)

MOST = 12
IMAGE = 1.45  # inches
BARS = 1.55
GAP = 0.32
NAME_LENGTH = 18


def draw_distribution_bars(
    path: Path,
    *,
    images: Sequence[NDArray[np.uint8]],
    predicted: ArrayLike,
    target: ArrayLike | None,
    classes: Sequence[str],
    names: Sequence[str],
    captions: Sequence[str] | None = None,
    heading: str = "",
) -> Path:
    """Draw up to twelve images with their distributions; all bars share one scale from 0 to 1.

    Args:
        path: the PNG file.
        images: N uint8 arrays (H, W, C) with C 3 (RGB) or 1 (gray), of any sizes; N from 1 to 12.
        predicted: (N, K) in [0, 1].
        target: (N, K) in [0, 1], or None where the truth is not known.
        classes: (K,) names.
        names: (N,) what the images are called, written above them.
        captions: (N,) short texts at the right of the names, e.g. a divergence.
        heading: of the page, with how many are shown behind it; empty: what the bars are.

    Raises:
        DataError: lengths or shapes do not fit together, or an image is not as above.
    """
    labels = [plain_text(name, NAME_LENGTH) for name in check_classes(classes)]
    pictures = [_picture(image, position) for position, image in enumerate(images)]
    count = len(pictures)
    if not 1 <= count <= MOST:
        raise DataError(f"a page holds 1 to {MOST} images; got {count}.")
    for what, given in (("names", names), ("captions", captions)):
        if given is not None and len(given) != count:
            raise DataError(f"{what} must be as many as the images ({count}); got {len(given)}.")
    predicted = check_numbers(predicted, "predicted", (count, len(labels)))
    if target is not None:
        target = check_numbers(target, "target", (count, len(labels)))

    # Axes are placed by hand, in inches: every image has the same size, whatever the length of the class names.
    tick = TICK if len(labels) <= 24 else SMALL
    label_width = text_width(new_figure(1, 1, constrained=False), labels, tick) + 0.16
    wide = IMAGE + label_width + BARS + GAP
    tall = max(IMAGE, 0.165 * len(labels)) + 0.62
    across = min(3 if len(labels) <= 24 else 2, count)
    down = math.ceil(count / across)
    width, height = max(across * wide + 0.2, 6.6), down * tall + 0.55
    figure = new_figure(width, height, constrained=False)
    what = "Predicted and true distributions" if target is not None else "Predicted distributions"
    _draw_header(figure, count, plain_text(heading, 60) or what, with_target=target is not None)
    for position, picture in enumerate(pictures):
        row, column = divmod(position, across)
        left, top = 0.2 + column * wide, height - 0.55 - row * tall
        _draw_image(figure, picture, left, top)
        inner = (left + IMAGE + label_width, top - 0.22 - (tall - 0.62), BARS, tall - 0.62)
        _draw_bars(figure, inner, predicted[position], None if target is None else target[position], labels)
        _draw_names(figure, left, top, wide - GAP, name=names[position], caption=captions[position] if captions else "")
    return save_figure(figure, path)


def _picture(image: NDArray[np.uint8], position: int) -> NDArray[np.uint8]:
    """Return the image as (H, W, 3)."""
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3) or 0 in array.shape:
        raise DataError(
            f"image {position} must be uint8 of shape (H, W, 1) or (H, W, 3); got {array.dtype} {array.shape}."
        )
    return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array


def _draw_header(figure: Figure, count: int, what: str, *, with_target: bool) -> None:
    width, height = figure.get_size_inches()
    figure.text(0.2 / width, 1 - 0.27 / height, f"{what}, n = {count} shown", fontsize=TITLE, fontweight="bold",
                color=TEXT, va="center")  # fmt: skip
    handles = [Patch(facecolor=BLUE, label="predicted")]
    if with_target:
        handles.append(Patch(facecolor=ORANGE, label="true"))
    figure.legend(handles=handles, loc="center right", bbox_to_anchor=(1 - 0.1 / width, 1 - 0.27 / height), ncols=2,
                  frameon=False, fontsize=LABEL + 0.5, handlelength=1.1, columnspacing=1.2)  # fmt: skip


def _draw_image(figure: Figure, picture: NDArray[np.uint8], left: float, top: float) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, (top - 0.22 - IMAGE) / height, IMAGE / width, IMAGE / height))
    axes.imshow(picture, interpolation="bicubic")
    axes.set_anchor("N")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(RULE)


def _draw_bars(
    figure: Figure,
    inches: tuple[float, float, float, float],
    predicted: NDArray[np.float64],
    target: NDArray[np.float64] | None,
    labels: Sequence[str],
) -> None:
    width, height = figure.get_size_inches()
    left, bottom, across, up = inches
    axes = figure.add_axes((left / width, bottom / height, across / width, up / height))
    style_axes(axes, grid="x")
    place = np.arange(len(labels))
    if target is None:
        axes.barh(place, predicted, height=0.66, color=BLUE)
    else:
        axes.barh(place - 0.2, predicted, height=0.4, color=BLUE)
        axes.barh(place + 0.2, target, height=0.4, color=ORANGE)
    axes.set_yticks(place, labels, fontsize=TICK if len(labels) <= 24 else SMALL)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"], fontsize=SMALL)
    axes.tick_params(axis="y", length=0)


def _draw_names(figure: Figure, left: float, top: float, wide: float, *, name: str, caption: str) -> None:
    width, height = figure.get_size_inches()
    y = (top - 0.13) / height
    caption = plain_text(caption, 24)
    room = max(8, int(wide / 0.078) - len(caption) - 2)
    figure.text(left / width, y, plain_text(name, room), fontsize=TICK, color=MUTED, va="center")
    figure.text(
        (left + wide) / width, y, caption, fontsize=TICK, fontweight="bold", color=TEXT, va="center", ha="right"
    )
