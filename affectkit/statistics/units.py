"""What is drawn, left out or exchanged as a whole: items, or clusters of items (the clips of an actor)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from affectkit.errors import DataError
from affectkit.metrics.distribution import Floats

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Value = Callable[[Floats], Floats]
_FEWER = 8  # cells are drawn instead of items where there are so many times fewer of them


@dataclass(frozen=True, eq=False)
class Units:
    """Sums of terms by unit.

    Attributes:
        table: (M, K) sums of the terms of one unit each.
        counts: (M,) int64, how many units have these sums: all 1, unless few kinds of items make up many.
        items: N.
        clustered: whether a unit is a cluster of items.
    """

    table: Floats
    counts: NDArray[np.int64]
    items: int
    clustered: bool

    @property
    def count(self) -> int:
        """Return G, the number of units."""
        return int(self.counts.sum())

    @property
    def total(self) -> Floats:
        """Return the sums (K,) over all units."""
        return (self.table * self.counts[:, None]).sum(axis=0)


def make_units(
    terms: Floats, *, cells: NDArray[np.int64] | None = None, cluster: NDArray[np.int64] | None = None
) -> Units:
    """Sum ``terms`` (N, K) by unit.

    Args:
        terms: of the items.
        cells: (N,) numbers of which ``terms`` are a function; None where they are not.
        cluster: (N,) number of the cluster of each item, from 0, as ``cluster_numbers`` gives; None where each item is
            a unit.
    """
    if cluster is not None:
        count = int(cluster.max()) + 1 if len(cluster) else 0
        table = np.stack([np.bincount(cluster, weights=column, minlength=count) for column in terms.T], axis=1)
        return Units(table, np.ones(count, np.int64), len(terms), True)
    if cells is not None and len(cells):
        _, first, counts = np.unique(cells, return_index=True, return_counts=True)
        if len(first) * _FEWER <= len(cells):
            return Units(terms[first], counts.astype(np.int64), len(terms), False)
    return Units(terms, np.ones(len(terms), np.int64), len(terms), False)


def cluster_numbers(clusters: ArrayLike | None, count: int) -> NDArray[np.int64] | None:
    """Return ``clusters`` (N,), whatever names them, as numbers from 0.

    Raises:
        DataError: there are not ``count`` of them, or one is missing (None, NaN, "").
    """
    if clusters is None:
        return None
    numbered = isinstance(clusters, np.ndarray) and clusters.dtype.kind in "iu" and clusters.ndim == 1
    names = clusters if numbered else list(clusters)
    if len(names) != count:
        raise DataError(f"clusters must name one for each of {count:,} items; got {len(names):,}.")
    if numbered:
        return np.unique(names, return_inverse=True)[1].astype(np.int64)
    missing = sum(name is None or name == "" or (isinstance(name, float) and math.isnan(name)) for name in names)
    if missing:
        raise DataError(
            f"{missing:,} of {count:,} items have no cluster.",
            "Leave them out of the comparison, or name their cluster.",
        )
    known: dict[object, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64).reshape(-1)


def without_each(units: Units, value: Value) -> Floats:
    """Return the value without one unit of each kind (M,): the jackknife, from sums."""
    return np.asarray(value(units.total - units.table), dtype=np.float64)


def jackknife(units: Units, value: Value) -> tuple[float, float]:
    """Return the standard error of the value and the acceleration of BCa, both by the jackknife over the units.

    The error is sqrt((G - 1) / G * sum (value without a unit - value)^2) (Efron and Tibshirani 1993, ch. 11, around
    the value itself: CV3 of MacKinnon, Nielsen and Webb 2023); the acceleration sum d^3 / (6 (sum d^2)^1.5) with d the
    mean of the values without a unit minus each (ch. 14).

    Returns:
        (error, acceleration); NaN each for fewer than two units, or where a value without a unit is NaN.
    """
    count = units.count
    if count < 2:
        return np.nan, np.nan
    left, here = without_each(units, value), float(value(units.total))
    error = float(np.sqrt((count - 1) / count * (units.counts * np.square(left - here)).sum()))
    off = (units.counts * left).sum() / count - left
    spread = float((units.counts * off**2).sum())
    acceleration = float((units.counts * off**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    return error, acceleration
