"""The gap of a measure over groups of items: its largest less its smallest value, how sure it is, and whether groups
differ more than chance would have them.

The gap of the values seen is biased upwards: of groups that are all alike, one is the best by chance. So it comes with
what is expected by chance, and its interval is simultaneous over all pairs of groups: it holds the true gap at least as
often as its level says, whichever pair that is of.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from affectkit.core.randomness import numpy_generator
from affectkit.errors import DataError
from affectkit.metrics.distribution import Floats
from affectkit.statistics.intervals import estimate
from affectkit.statistics.measures import Measure
from affectkit.statistics.students_t import check_level
from affectkit.statistics.units import cluster_numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FACTOR_DRAWS, MOST_UNITS = 10_000, 40
"""Draws by which the factor of pairs is found where groups share clusters, and the clusters in one; of more clusters
the factor is hardly another.
"""
AT_A_TIME = 4_000_000
"""Numbers of one-hot codes that are held at once."""


@dataclass(frozen=True)
class Gap:
    """The largest less the smallest value of a measure over groups.

    Attributes:
        measure: its name.
        value: at least 0; NaN with fewer than two groups that have a value.
        low, high: of the simultaneous interval; NaN where a group has none.
        lowest, highest: numbers of the groups with the smallest and the largest value; -1 without.
        method: the interval in words, or why there is none.
        groups: how many there are.
    """

    measure: str
    value: float
    low: float
    high: float
    lowest: int
    highest: int
    method: str
    groups: int


@dataclass(frozen=True)
class Difference:
    """A test of whether groups differ.

    Attributes:
        measure: its name.
        p: of the permutation test; NaN where nothing can be exchanged.
        by_chance: mean of the gap over the permutations.
        test: in words.
    """

    measure: str
    p: float
    by_chance: float
    test: str


def gap(
    measure: Measure,
    codes: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Gap:
    """Return the gap of ``measure`` over groups with a simultaneous interval.

    Where no cluster has items in two groups, the bounds of a difference of two groups are put together from those of
    each (MOVER: Zou and Donner 2008, Statistics in Medicine 27, eq. 4; of shares Newcombe's), and these are at the
    level by which all pairs hold together: Tukey and Kramer's (Hayter 1984: at least ``level`` for groups of any size).
    Where clusters have items in several groups, a difference is +- a factor times its error by the jackknife over the
    clusters, the factor that which the largest t of all pairs stays below, of normal values with the jackknife's
    covariance.

    The true gap is then above the largest lower bound of a pair, and below the largest upper bound.

    Args:
        measure: of N items.
        codes: (N,) number of the group of each item, from 0; below 0 an item counts nowhere.
        clusters: (N,) what each item belongs to; None: items are independent.
        level: of the interval.
        seed: of the draws for the factor.

    Raises:
        DataError: ``codes`` or ``clusters`` are not (N,).
        UsageError: ``level`` is out of range.
    """
    check_level(level)
    codes = _codes(codes, len(measure))
    numbers = cluster_numbers(clusters, len(measure)) if clusters is not None else None
    groups = [number for number in range(codes.max(initial=-1) + 1) if (codes == number).any()]
    values = {number: measure.of(codes == number) for number in groups}
    groups = [number for number in groups if not math.isnan(values[number])]
    if len(groups) < 2:
        return Gap(measure.name, math.nan, math.nan, math.nan, -1, -1, "fewer than two groups have it", len(groups))
    lowest, highest = min(groups, key=values.get), max(groups, key=values.get)
    if numbers is not None and share_clusters(codes, numbers):
        left = _without_each(measure, codes, numbers, groups)
        low, high, method = _shared(np.array([values[number] for number in groups]), left, level, seed)
    else:
        low, high, method = _apart(measure, codes, clusters, groups, level=level)
    return Gap(measure.name, values[highest] - values[lowest], low, high, lowest, highest, method, len(groups))


def share_clusters(codes: NDArray[np.int64], clusters: NDArray[np.int64]) -> bool:
    """Return whether any cluster has items in two groups."""
    counted = codes >= 0
    pairs = np.unique(np.stack([clusters[counted], codes[counted]]), axis=1)
    return len(np.unique(pairs[0])) < pairs.shape[1]


def _apart(
    measure: Measure, codes: NDArray[np.int64], clusters: ArrayLike | None, groups: Sequence[int], *, level: float
) -> tuple[float, float, str]:
    """Return the bounds of the gap of independent groups."""
    factor = tukey_factor(len(groups), level)
    own = math.erf(factor / math.sqrt(2))  # the level of one group's interval
    bounds = [estimate(measure, rows=codes == number, clusters=clusters, level=own) for number in groups]
    if any(math.isnan(one.low) for one in bounds):
        return math.nan, math.nan, "no interval: a group has none"
    low = high = 0.0
    for one, other in combinations(bounds, 2):
        up, down = (one, other) if one.value >= other.value else (other, one)
        difference = up.value - down.value
        low = max(low, difference - math.hypot(up.value - up.low, down.high - down.value))
        high = max(
            high,
            difference + math.hypot(up.high - up.value, down.value - down.low),
            -difference + math.hypot(up.value - up.low, down.high - down.value),
        )
    return low, high, f"MOVER of {bounds[0].method}, {_all_pairs(len(groups), 'Tukey-Kramer')}"


def _all_pairs(groups: int, how: str) -> str:
    pairs = groups * (groups - 1) // 2
    return f"simultaneous over {pairs} pairs ({how})" if pairs > 1 else "two groups"


def _without_each(
    measure: Measure, codes: NDArray[np.int64], clusters: NDArray[np.int64], groups: Sequence[int]
) -> Floats:
    """Return the value of each group without one cluster, (clusters, groups)."""
    inside = np.isin(codes, groups)
    numbers = np.unique(clusters[inside], return_inverse=True)[1]
    at = np.searchsorted(np.array(groups), codes[inside])
    sums = np.zeros((int(numbers.max()) + 1, len(groups), measure.terms.shape[1]))
    np.add.at(sums, (numbers, at), measure.terms[inside])
    return np.asarray(measure.value(sums.sum(axis=0) - sums))


def _shared(values: Floats, left: Floats, level: float, seed: int) -> tuple[float, float, str]:
    """Return the bounds of the gap of groups that share clusters, from their ``_without_each``."""
    count, groups = left.shape
    if count < 2:
        return math.nan, math.nan, "no interval: one cluster"
    if np.isnan(left).any():
        return math.nan, math.nan, "no interval: without one cluster a group has no value"
    off = left - values
    factor, errors = _pair_factor((count - 1) / count * off.T @ off, count, level, seed)
    if not (errors > 0).all():
        return math.nan, math.nan, "no interval: two groups do not vary"
    first, second = np.triu_indices(groups, 1)
    apart = np.abs(values[first] - values[second])
    method = f"jackknife t over {count} clusters, {_all_pairs(groups, 'largest t')}"
    return max(0.0, float((apart - factor * errors).max())), float((apart + factor * errors).max()), method


def _pair_factor(covariance: Floats, units: int, level: float, seed: int) -> tuple[float, Floats]:
    """Return the factor, and the errors of the differences of all pairs.

    The factor is what the largest t of all pairs stays below, the errors too computed from ``units`` normal vectors of
    that covariance: with few clusters the error of each pair has noise of its own.
    """
    count = len(covariance)
    first, second = np.triu_indices(count, 1)
    variances = np.diag(covariance)
    errors = np.sqrt(np.maximum(variances[first] + variances[second] - 2 * covariance[first, second], 0))
    if not (errors > 0).all():
        return math.nan, errors
    units = min(units, MOST_UNITS)
    rng = numpy_generator(seed, "factor of pairs", count, units)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    most, step = [], max(1, AT_A_TIME // (count * max(count, units)))
    for start in range(0, FACTOR_DRAWS, step):
        drawn = rng.standard_normal((min(step, FACTOR_DRAWS - start), units, count)) @ root.T
        mean = drawn.mean(axis=1)
        off = drawn - mean[:, None]
        spread = off.transpose(0, 2, 1) @ off / (units * (units - 1))
        own = np.diagonal(spread, axis1=1, axis2=2)
        variance = own[:, first] + own[:, second] - 2 * spread[:, first, second]
        most.append((np.abs(mean[:, first] - mean[:, second]) / np.sqrt(variance)).max(axis=1))
    return float(np.quantile(np.concatenate(most), level)), errors


@functools.cache
def tukey_factor(groups: int, level: float = 0.95) -> float:
    """Return the factor by which the differences of ``groups`` independent normal values hold together: the quantile of
    the studentised range with endless degrees of freedom, over the square root of 2.

    The range of k normal values is below q with the chance k * integral of phi(z) (Phi(z) - Phi(z - q))^(k - 1)
    (Tukey; Miller 1981, Simultaneous Statistical Inference, sec. 2.1).

    >>> round(tukey_factor(2), 3), round(tukey_factor(5), 3)
    (1.96, 2.728)
    """
    from scipy.special import ndtr

    z = np.linspace(-9, 9, 4001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])

    def chance(q: float) -> float:
        return float(groups * (density * (ndtr(z) - ndtr(z - q)) ** (groups - 1)).sum())

    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) < level else (low, middle)
    return (low + high) / 2 / math.sqrt(2)


# --- test -------------------------------------------------------------------------------------------------------------


def differences(
    measures: Sequence[Measure],
    codes: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    draws: int = 4999,
    seed: int = 0,
) -> list[Difference]:
    """Test for each measure whether groups differ, by permutations; all measures by the same ones.

    What is exchanged: items between groups; where each cluster has items in one group, clusters as wholes; where
    clusters have items in several, the items of a cluster among themselves. The statistic is the sum over groups of
    n (value - mean)^2, the mean weighted by n. The test holds its size where the groups are alike in all that the
    measure depends on, so also in how often each class is in them.

    Args:
        measures: of the same N items.
        codes, clusters: see ``gap``.
        draws: permutations; p is (1 + those at least as extreme) / (1 + draws).
        seed: their address.
    """
    codes = _codes(codes, len(measures[0]) if measures else 0)
    numbers = None if clusters is None else cluster_numbers(clusters, len(codes))
    keep = codes >= 0
    tables, codes = _terms_once(measures, keep), codes[keep]
    numbers = None if numbers is None else np.unique(numbers[keep], return_inverse=True)[1]
    within, test = None, "permutation of items"
    if numbers is not None:
        if share_clusters(codes, numbers):
            within, test = numbers, "permutation of items within clusters"
        else:
            test = "permutation of clusters"
            first = np.unique(numbers, return_index=True)[1]
            tables = {key: _summed(table, numbers) for key, table in tables.items()}
            codes, sizes = codes[first], np.bincount(numbers).astype(np.float64)
    if numbers is None or within is not None:
        sizes = np.ones(len(codes))
    seen, drawn = _statistics(measures, tables, codes, sizes, None), []
    permuted = _permutations(codes, within, draws, seed)
    for few in permuted:
        drawn.append(_statistics(measures, tables, few, sizes, few.shape[0]))
    return [_difference(measure.name, place, seen, drawn, test) for place, measure in enumerate(measures)]


def _difference(name: str, place: int, seen: Floats, drawn: Sequence[Floats], test: str) -> Difference:
    """Return the test of one measure from (1, M, 2) and (R, M, 2) statistics and gaps."""
    here = seen[0, place, 0]
    all_drawn = np.concatenate([few[:, place] for few in drawn]) if drawn else np.empty((0, 2))
    known = all_drawn[~np.isnan(all_drawn[:, 0])]
    if math.isnan(here) or not len(known) or np.ptp(known[:, 0]) <= 1e-12 * max(abs(here), 1e-300):
        return Difference(name, math.nan, math.nan, "no test: nothing differs when exchanged")
    extreme = (known[:, 0] >= here * (1 - 1e-9)).sum()
    return Difference(name, float(1 + extreme) / (1 + len(known)), float(known[:, 1].mean()), test)


def _statistics(
    measures: Sequence[Measure], tables: dict[int, Floats], codes: NDArray[np.int64], sizes: Floats, rows: int | None
) -> Floats:
    """Return (R, M, 2): the statistic and the gap of each measure, for each row of ``codes`` (R, U)."""
    codes = codes.reshape(1 if rows is None else rows, -1)
    count = int(codes.max()) + 1
    onehot = (codes[:, None, :] == np.arange(count)[None, :, None]).astype(np.float64)
    n = onehot @ sizes
    sums = {
        key: (onehot.reshape(-1, codes.shape[1]) @ table).reshape(len(codes), count, -1)
        for key, table in tables.items()
    }
    found = np.empty((len(codes), len(measures), 2))
    for place, measure in enumerate(measures):
        values = np.asarray(measure.value(sums[id(measure.terms)]))
        there = ~np.isnan(values)
        weights = np.where(there, n, 0.0)
        filled = np.where(there, values, 0.0)
        mean = (weights * filled).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-300)
        found[:, place, 0] = (weights * np.square(filled - mean[:, None])).sum(axis=1)
        spread = np.where(there, values, -np.inf).max(axis=1) - np.where(there, values, np.inf).min(axis=1)
        found[:, place, 1] = spread
        found[there.sum(axis=1) < 2, place] = np.nan
    return found


def _permutations(codes: NDArray[np.int64], within: NDArray[np.int64] | None, draws: int, seed: int):
    """Yield permuted codes (R, U), a few rows at a time."""
    rng = numpy_generator(seed, "permutation of groups", len(codes))
    step = max(1, AT_A_TIME // (len(codes) * (int(codes.max()) + 1)))
    order = None if within is None else np.argsort(within, kind="stable")
    for first in range(0, draws, step):
        rows = min(step, draws - first)
        if within is None:
            yield rng.permuted(np.broadcast_to(codes, (rows, len(codes))), axis=1)
            continue
        keys = rng.random((rows, len(codes)))
        found = np.empty((rows, len(codes)), dtype=np.int64)
        for row in range(rows):
            found[row, order] = codes[np.lexsort((keys[row], within))]
        yield found


def _terms_once(measures: Sequence[Measure], keep: NDArray[np.bool_]) -> dict[int, Floats]:
    return {id(measure.terms): measure.terms[keep] for measure in measures}


def _summed(table: Floats, numbers: NDArray[np.int64]) -> Floats:
    return np.stack([np.bincount(numbers, weights=column) for column in table.T], axis=1)


def _codes(codes: ArrayLike, count: int) -> NDArray[np.int64]:
    array = np.asarray(codes)
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise DataError(f"codes must be whole numbers, one for each of {count:,} items; got {array.shape}.")
    return array.astype(np.int64)
