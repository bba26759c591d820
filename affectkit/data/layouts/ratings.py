"""Ratings in tables: cells to numbers, and the scale that they must keep to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from affectkit.data.layouts.rating_scale import RATINGS, SAM, SIGNED, Scale, scale_text

if TYPE_CHECKING:
    from affectkit.core.table_errors import TableErrors
    from affectkit.data.layouts.table import Table


def rating_numbers(cells: Sequence[str | None], errors: TableErrors, line: int) -> list[float]:
    """Return the ratings of a row in the order of ``RATINGS``; NaN for a dimension without a column (None).

    What is empty or not a finite number is a fault.
    """
    found = []
    for name, cell in zip(RATINGS, cells, strict=True):
        value = float("nan")
        if cell is not None and not cell.strip():
            errors.add("ratings must not be empty", line, name)
        elif cell is not None:
            with contextlib.suppress(ValueError):
                value = float(cell)
            if not np.isfinite(value):
                errors.add("ratings must be numbers", line, f"{name}: {cell!r}")
        found.append(value)
    return found


def likely_scale(ratings: np.ndarray) -> Scale:
    """Return 1 to 9 where the median of ``ratings`` (N, D) is above 1, else -1 to 1."""
    known = ratings[np.isfinite(ratings)]
    return SAM if known.size and np.median(known) > 1 else SIGNED


def check_scale(tables: Iterable[Table], scale: Scale | None) -> Scale:
    """Return the scale of the ratings in ``tables``: the one given, or the likely one of all of them together.

    Raises:
        DataError: ratings outside it, by line.
    """
    rated = [table for table in tables if table.ratings is not None]
    asked = scale is not None
    low, high = scale = scale or likely_scale(np.concatenate([table.ratings for table in rated]))
    for table in rated:
        errors = table.errors()
        outside = (table.ratings < low) | (table.ratings > high)  # NaN, for no column, is not outside
        for row, column in np.argwhere(outside):
            value = table.ratings[row, column]
            errors.add(f"ratings must be in {scale_text(scale)}", table.lines[row], f"{RATINGS[column]}: {value:g}")
        hint = (
            ""
            if asked
            else f"{scale_text(scale)} was taken from the ratings; name another with --rating-range LOW,HIGH."
        )
        errors.check(hint)
    return scale
