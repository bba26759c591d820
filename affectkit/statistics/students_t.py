"""Quantiles and tails of Student's t and of the normal distribution, and the interval of a mean by them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from affectkit.errors import UsageError
from affectkit.metrics.distribution import check_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def t_quantile(share: float, freedom: float = math.inf) -> float:
    """Return the value below which ``share`` of Student's t with ``freedom`` degrees of freedom lies; normal for
    infinity.
    """
    from scipy.special import ndtri, stdtrit

    return float(ndtri(share) if math.isinf(freedom) else stdtrit(freedom, share))


def two_sided_p(t: float, freedom: float = math.inf) -> float:
    """Return the chance of a value at least as far from 0 as ``t``."""
    from scipy.special import ndtr, stdtr

    return float(2 * (ndtr(-abs(t)) if math.isinf(freedom) else stdtr(freedom, -abs(t))))


def t_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the interval mean +- t s / sqrt(R) of R values with R - 1 degrees of freedom (Student 1908).

    It covers the mean of normal values at any R from 2; (NaN, NaN) for fewer, and where one is not finite. Values that
    share data (the folds of one set) are not independent, and it is then too narrow (Bengio and Grandvalet 2004).

    Raises:
        DataError: ``values`` are not numbers of shape (R,).
        UsageError: ``level`` is out of range.
    """
    check_level(level)
    array = check_vector(values, "values", each="repeats")
    if len(array) < 2 or not np.isfinite(array).all():
        return math.nan, math.nan
    half = t_quantile((1 + level) / 2, len(array) - 1) * float(array.std(ddof=1)) / math.sqrt(len(array))
    mean = float(array.mean())
    return mean - half, mean + half


def check_level(level: float) -> None:
    """Refuse a level that is not between 0 and 1."""
    if not 0 < level < 1:
        raise UsageError(f"'level' must be above 0 and below 1; got {level!r}.")
