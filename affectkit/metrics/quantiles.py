"""Quantile analysis: mean prediction over mean rating in bins of equal count.

Means over bins smooth the scatter of single items away, so their r is much higher than that of the items; it shows
whether a model follows the scale from end to end, not how well it rates one item.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from affectkit.errors import DataError, UsageError
from affectkit.metrics.distribution import Floats
from affectkit.metrics.ratings import ConstantWarning, check_ratings, moments, warn_undefined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Quantiles:
    """A quantile analysis; B bins are left.

    Attributes:
        asked: number of bins asked for, at least B.
        edges: (B + 1,), rising; bin i holds actual values in (edges[i], edges[i + 1]], the first one edges[0] too.
        count: (B,) int64, items in each bin, at least 1.
        actual, predicted: (B,), means in each bin.
        r, r2, rmse: of ``predicted`` against ``actual`` over the bins, each counting once; R2 is not fitted. NaN with
            fewer than 2 bins.
    """

    asked: int
    edges: Floats
    count: NDArray[np.int64]
    actual: Floats
    predicted: Floats
    r: float
    r2: float
    rmse: float


def quantile_means(actual: ArrayLike, predicted: ArrayLike, bins: int = 25) -> Quantiles:
    """Cut ``actual`` into bins of equal count and average both in each.

    The bins are those of ``pandas.qcut(actual, bins, duplicates="drop")``, to the last bit of the edges (pandas 3; an
    older one rounds them otherwise, and may put a value that lies on one into the next bin): quantiles by
    linear interpolation, bins closed on the right. Where ratings repeat, edges coincide and their bins are one; a bin
    between two edges that no value lies in (with fewer values than bins) becomes part of the next one. One value
    throughout is one bin, for which qcut gives none.

    Args:
        actual, predicted: (N,), finite, N at least 1.
        bins: how many, at least 1.

    Raises:
        DataError: the arrays are not as above.
        UsageError: ``bins`` is not a whole number from 1.

    Warns:
        ConstantWarning: fewer than 2 bins are left, or the means of ``predicted`` are all equal; what is then not
            defined is NaN.
    """
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 1:
        raise UsageError(f"'bins' must be a whole number of at least 1; got {bins!r}.")
    predicted, actual = check_ratings(predicted, actual)
    if not len(actual):
        raise DataError("actual has no values; a quantile analysis needs at least one.")
    edges = _edges(actual, int(bins))
    # The lowest edge is the least value: it belongs to the first bin.
    index = np.maximum(np.searchsorted(edges, actual, side="left") - 1, 0)
    count = np.bincount(index, minlength=len(edges) - 1)
    filled = count > 0
    sums = [np.bincount(index, weights=values, minlength=len(count)) for values in (actual, predicted)]
    count = count[filled].astype(np.int64)
    q, p = (total[filled] / count for total in sums)
    r, r2, rmse = _over_bins(p, q)
    # An empty bin loses its upper edge; the highest one belongs to the greatest value, and stays.
    edges = edges[np.concatenate(([True], filled))]
    return Quantiles(asked=int(bins), edges=edges, count=count, actual=q, predicted=p, r=r, r2=r2, rmse=rmse)


def _edges(actual: Floats, bins: int) -> Floats:
    """Return distinct edges in rising order, at least two."""
    shares = np.linspace(0, 1, bins + 1)
    # As qcut does: a share that binary cannot hold is the double above it, so that a value on an edge lies below.
    shares = np.where(bins * shares != np.arange(bins + 1), np.nextafter(shares, 1), shares)
    edges = np.unique(np.quantile(actual, shares))
    return edges if len(edges) > 1 else np.repeat(edges, 2)


def _over_bins(p: Floats, q: Floats) -> tuple[float, float, float]:
    """Compute r, R2 and RMSE over the bin means."""
    if len(q) < 2:
        warnings.warn(
            "only one bin is left, since the actual values are (nearly) all equal: r, R2 and RMSE over the bin means "
            "are not defined (NaN).",
            ConstantWarning,
            stacklevel=3,
        )
        return math.nan, math.nan, math.nan
    found = moments(p, q)
    warn_undefined(found, what="over the bin means, ", stacklevel=4)
    return found.measure("r"), found.measure("r2"), found.measure("rmse")
