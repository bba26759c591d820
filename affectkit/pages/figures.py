"""Pictures that a run has drawn, small, for what a page does not draw itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affectkit.data.media.images import read_image
from affectkit.errors import DataError
from affectkit.pages.page import Source
from affectkit.pages.pictures import data_address

DRAWN = {
    "curves.png": "training curves", "confusion.png": "confusion matrix", "recall.png": "recall by class",
    "reliability.png": "reliability diagram", "worst.png": "worst predictions", "bars.png": "predicted and true bars",
}  # fmt: skip
"""Figures whose content a page shows as tables and charts, where it has their numbers."""
SIDE, BUDGET = 1000, 1_200_000
"""Longest side in pixels, and bytes at most of all."""


def other_figures(source: Source, folders: Sequence[Path], *, drawn: bool) -> list[dict[str, str]]:
    """Return the PNG files in ``folders`` as pictures with captions.

    Args:
        source: hears of what cannot be read.
        folders: that are looked into.
        drawn: whether the page has the numbers of ``DRAWN``, and leaves these out.
    """
    found, used, names = [], 0, set()
    for folder in folders:
        for path in sorted(folder.glob("*.png")) if folder.is_dir() else []:
            skip = (drawn and path.name in DRAWN) or _is_chart(path.name) or path.name in names
            if skip or path.is_symlink():
                continue
            names.add(path.name)
            try:
                address = data_address(read_image(path), SIDE, quality=80)
            except DataError as error:
                source.reporter.warn(f"{path.name} is left out of the report: {error.message}")
                continue
            used += len(address)
            if used > BUDGET:
                source.reporter.note(f"{path.name} and later pictures are left out of the report, to keep it small.")
                return found
            caption = DRAWN.get(path.name, path.stem.replace("_", " "))
            found.append({"name": path.name, "caption": caption, "picture": address})
    return found


def _is_chart(name: str) -> bool:
    """Return whether the page draws it from the tables beside it."""
    return name.endswith(("_scatter_plot.png", "quantiles.png")) or name.startswith(("heat_map_", "curves_"))
