"""A contact sheet of corruptions: a row each, the image as it is and at every severity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from affectkit.errors import DataError
from affectkit.reports.style import LABEL, MUTED, TEXT, new_figure, plain_text, save_figure, text_width

INCHES = 1.05
"""Of a picture's longer side."""
GAP = 4


def contact_sheet(path: Path, original: np.ndarray, rows: Mapping[str, Sequence[np.ndarray]], title: str = "") -> Path:
    """Write the sheet as PNG.

    Args:
        original: uint8 (H, W, 3).
        rows: by name, a picture of the same shape for each severity from 1 on.
        title: above the sheet.

    Raises:
        DataError: there is no row, or a picture has another shape.
    """
    across = {len(pictures) for pictures in rows.values()}
    shapes = {picture.shape for pictures in rows.values() for picture in pictures} | {original.shape}
    if not rows or len(across) != 1 or len(shapes) != 1:
        raise DataError(f"a sheet needs rows of one length and pictures of one shape; got {across} and {shapes}.")
    count = across.pop() + 1
    height, width = original.shape[:2]
    canvas = np.full((len(rows) * (height + GAP) - GAP, count * (width + GAP) - GAP, 3), 255, np.uint8)
    for row, pictures in enumerate(rows.values()):
        for column, picture in enumerate((original, *pictures)):
            top, left = row * (height + GAP), column * (width + GAP)
            canvas[top : top + height, left : left + width] = picture
    scale = INCHES / max(height, width)
    names = [plain_text(name.replace("_", " ")) for name in rows]
    figure = new_figure(4, 4, constrained=False)
    left, inner = text_width(figure, names, LABEL) + 0.25, (canvas.shape[1] * scale, canvas.shape[0] * scale)
    total = left + inner[0] + 0.15, inner[1] + 0.7
    figure.set_size_inches(*total)
    axes = figure.add_axes((left / total[0], 0.12 / total[1], inner[0] / total[0], inner[1] / total[1]))
    axes.imshow(canvas, interpolation="antialiased", aspect="auto")
    axes.set_yticks([row * (height + GAP) + height / 2 for row in range(len(rows))], names)
    axes.set_xticks(
        [column * (width + GAP) + width / 2 for column in range(count)], ["as it is", *map(str, range(1, count))]
    )
    axes.tick_params(length=0, labelsize=LABEL, labelcolor=TEXT, top=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    figure.text(0.1 / total[0], 1 - 0.1 / total[1], plain_text(title, 80), fontsize=LABEL, color=MUTED, va="top")
    return save_figure(figure, path)
