"""Percentile bootstrap intervals of measures (Efron and Tibshirani 1993, ch. 13), addressed by a seed.

An interval over items says how far a measure would vary with other items of the same kind, for this one trained
model; an interval over repeats, how far it varies with split and initialisation. Neither contains the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from affectkit.core.randomness import numpy_generator
from affectkit.errors import UsageError
from affectkit.metrics.classification import per_class
from affectkit.metrics.distribution import Floats, check_vector
from affectkit.metrics.ratings import EQUAL, MEASURES, check_ratings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MOST_UNDEFINED = 0.1
"""Where a larger share of the resamples leaves a measure undefined, it has no interval."""
_CELLS = 2_000_000  # resampled items at a time: about 24 bytes each
_NOWHERE = (math.nan, math.nan)

Interval = tuple[float, float]


def rating_intervals(
    predicted: ArrayLike, actual: ArrayLike, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """Return an interval for each measure of ``ratings.agreement``, from resamples of the N pairs with replacement.

    Resamples depend on ``seed`` and N alone: valence and arousal of the same items are resampled alike. Resamples in
    which a measure is not defined (all predictions or all actual values equal) are left out of it.

    Args:
        predicted, actual: (N,), finite.
        level: share of the resamples inside, in (0, 1).
        draws: number of resamples, at least 1.
        seed: their address.

    Returns:
        (low, high) by name, in the order of ``MEASURES``; (NaN, NaN) for N < 2, and where more than a tenth of the
        resamples leave a measure undefined. Nothing is warned of: ``agreement`` does that.

    Raises:
        DataError: as in ``metrics.ratings``.
        UsageError: ``level`` or ``draws`` is out of range.
    """
    p, q = check_ratings(predicted, actual)
    _check(level, draws)
    if len(p) < 2:
        return dict.fromkeys(MEASURES, _NOWHERE)
    sums = _resampled_means(_terms(p, q), draws, seed)
    floors = [(EQUAL * np.abs(values).max()) ** 2 for values in (p, q)]
    return {name: _interval(values, level) for name, values in _measures(sums, *floors).items()}


def mean_interval(values: ArrayLike, *, level: float = 0.95, draws: int = 2000, seed: int = 0) -> Interval:
    """Return an interval for the mean of ``values`` (R,), one a repeat, from resamples of the repeats.

    It lies between the least and the greatest of them, and is too narrow for few: of 5 values, a nominal 95% interval
    holds the true mean in about 84% of the cases.

    Returns:
        (low, high); (NaN, NaN) for fewer than 2 values, and where one is NaN or infinite, as their mean is.

    Raises:
        DataError: ``values`` are not numbers of shape (R,).
        UsageError: ``level`` or ``draws`` is out of range.
    """
    array = check_vector(values, "values", each="repeats")
    _check(level, draws)
    if len(array) < 2 or not np.isfinite(array).all():
        return _NOWHERE
    return _interval(_resampled_means(array[None], draws, seed)[:, 0], level)


def mean_intervals(
    values: Mapping[str, ArrayLike], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """Return an interval for the mean of each of ``values`` (N,), one an item, all from the same resamples of the
    items.

    Returns and raises as ``mean_interval``, but (NaN, NaN) where all values are equal: every resample has the same
    mean, which shows nothing of other items.
    """
    arrays = {name: check_vector(array, name, each="items") for name, array in values.items()}
    _check(level, draws)
    usable = {name: array for name, array in arrays.items() if len(array) > 1 and np.isfinite(array).all()}
    found = dict.fromkeys(arrays, _NOWHERE)
    if usable:
        means = _resampled_means(np.stack(list(usable.values())), draws, seed)
        for (name, array), column in zip(usable.items(), means.T, strict=True):
            found[name] = _NOWHERE if np.ptp(array) == 0 else _interval(column, level)
    return found


def confusion_intervals(
    confusion: ArrayLike, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """Return an interval each for ``accuracy``, ``balanced_accuracy`` and ``macro_f1`` of a confusion matrix (C, C).

    (NaN, NaN) where every resample gives the same, as where all items are right: that shows nothing of other items.

    To resample N items with replacement is to draw N times from the cells with their shares: the time taken depends on
    the number of classes alone.

    Raises:
        DataError: ``confusion`` is not square, or not counts.
        UsageError: ``level`` or ``draws`` is out of range.
    """
    per_class(confusion)  # which checks it
    counts = np.asarray(confusion, dtype=np.int64)
    _check(level, draws)
    total, classes = int(counts.sum()), len(counts)
    if total < 2:
        return dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1"), _NOWHERE)
    rng = numpy_generator(seed, "bootstrap of a confusion matrix", total)
    drawn = rng.multinomial(total, counts.ravel() / total, size=draws).reshape(draws, classes, classes)
    hits, true, predicted = np.diagonal(drawn, axis1=1, axis2=2), drawn.sum(2), drawn.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, f1 = hits / true, 2 * hits / (true + predicted)
    found = {
        "accuracy": hits.sum(1) / total,
        "balanced_accuracy": np.nanmean(recall, axis=1),
        "macro_f1": np.nanmean(f1, axis=1),
    }
    return {name: _NOWHERE if np.ptp(values) == 0 else _interval(values, level) for name, values in found.items()}


def _check(level: float, draws: int) -> None:
    if not 0 < level < 1:
        raise UsageError(f"'level' must be above 0 and below 1; got {level!r}.")
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise UsageError(f"'draws' must be a whole number of at least 1; got {draws!r}.")


def _terms(p: Floats, q: Floats) -> Floats:
    """Return, as (7, N), what a resample's moments are means of.

    Centred first, so that little cancels in the differences.
    """
    x, y = p - p.mean(), q - q.mean()
    return np.stack([x, y, x * x, y * y, x * y, np.square(p - q), p - q])


def _resampled_means(terms: Floats, draws: int, seed: int) -> Floats:
    """Return the means (draws, K) of terms (K, N) over resamples of N items: how often each was drawn,
    times the terms.
    """
    count = terms.shape[1]
    rng = numpy_generator(seed, "bootstrap", count)
    found = np.empty((draws, len(terms)))
    step = max(1, _CELLS // count)
    for first in range(0, draws, step):
        rows = min(step, draws - first)
        drawn = rng.integers(0, count, size=(rows, count))
        drawn += np.arange(rows)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=rows * count)
        del drawn
        # The product is not BLAS's, whose last digits depend on the number of threads.
        weights = times.reshape(rows, count).astype(np.float64)
        found[first : first + rows] = np.einsum("ij,kj->ik", weights, terms)
    return found / count


def _measures(sums: Floats, p_floor: float, q_floor: float) -> dict[str, Floats]:
    """Return each measure (draws,) from the means of ``_terms``; NaN where a variance is at most its floor, or
    rounding.
    """
    x, y, xx, yy, xy, mse, gap = sums.T
    p_variance, q_variance, covariance = xx - x * x, yy - y * y, xy - x * y
    defined = (p_variance > np.maximum(p_floor, 1e-12 * xx)) & (q_variance > np.maximum(q_floor, 1e-12 * yy))
    p_variance, q_variance = (np.where(defined, values, np.nan) for values in (p_variance, q_variance))
    r = np.clip(covariance / np.sqrt(p_variance * q_variance), -1, 1)
    found = {
        "ccc": 2 * covariance / (p_variance + q_variance + gap * gap),
        "r": r,
        "r2": 1 - mse / q_variance,
        "rmse": np.sqrt(mse),
        "r2_fitted": r * r,
        "rmse_fitted": np.sqrt(q_variance * (1 - r * r)),
    }
    return {name: found[name] for name in MEASURES}


def _interval(values: Floats, level: float) -> Interval:
    defined = values[~np.isnan(values)]
    if not len(defined) or len(defined) < (1 - MOST_UNDEFINED) * len(values):
        return _NOWHERE
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
