"""Whether probabilities mean what they say: reliability, calibration errors, Brier score, temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectkit.errors import DataError, UsageError
from affectkit.metrics.distribution import (
    Floats,
    check_distributions,
    check_matrix,
    check_pair,
    check_same_shape,
    check_vector,
    rows_text,
)

TEMPERATURES = (0.05, 20.0)
"""The range in which ``fit_temperature`` looks."""

_ROUNDING = 1e-6  # how far float32 arithmetic may carry a share out of [0, 1]


@dataclass(frozen=True, eq=False)
class ReliabilityBins:
    """A reliability diagram in numbers, for B bins of equal width.

    Attributes:
        edges: (B + 1,), from 0 to 1; bin i holds confidences in (edges[i], edges[i + 1]], the first one 0 too.
        count: (B,) int64, samples in each bin.
        confidence: (B,), mean confidence in each bin; NaN in an empty one.
        agreement: (B,), mean agreement in each bin; NaN in an empty one.
    """

    edges: Floats
    count: NDArray[np.int64]
    confidence: Floats
    agreement: Floats


def reliability(confidence: ArrayLike, agreement: ArrayLike, bins: int = 15) -> ReliabilityBins:
    """Mean confidence and mean agreement in bins of equal width over the confidence.

    Args:
        confidence: (N,) in [0, 1], probability that the model gives its predicted class.
        agreement: (N,) in [0, 1], for the predicted class: 0 or 1 for wrong or right, or the share of the raters who
            chose it.
        bins: number of bins, at least 1.

    Raises:
        DataError: shapes differ or are not (N,), or a value is NaN or out of range; names the samples.
        UsageError: ``bins`` is not a whole number from 1.
    """
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 1:
        raise UsageError(f"'bins' must be a whole number of at least 1; got {bins!r}.")
    confidence, agreement = _shares(confidence, "confidence"), _shares(agreement, "agreement")
    if confidence.shape != agreement.shape:
        raise DataError(
            f"confidence and agreement must have the same length; got {len(confidence)} and {len(agreement)}."
        )
    # i / bins is the double nearest to the edge, so that a confidence of 0.2 meets the edge 3 / 15 exactly.
    edges = np.arange(bins + 1) / bins
    index = np.maximum(np.searchsorted(edges, confidence, side="left") - 1, 0)
    count = np.bincount(index, minlength=bins).astype(np.int64)
    return ReliabilityBins(
        edges=edges,
        count=count,
        confidence=_bin_means(index, confidence, count),
        agreement=_bin_means(index, agreement, count),
    )


def expected_calibration_error(confidence: ArrayLike, agreement: ArrayLike, bins: int = 15) -> float:
    """Mean over samples of |mean agreement - mean confidence| of the sample's bin, in [0, 1] (Guo et al. 2017, eq. 3).

    Arguments and errors as in ``reliability``. NaN without samples. It depends on ``bins``: report them beside it.
    """
    filled, gap = _gaps(reliability(confidence, agreement, bins))
    return float((filled / filled.sum() * gap).sum()) if len(filled) else float("nan")


def maximum_calibration_error(confidence: ArrayLike, agreement: ArrayLike, bins: int = 15) -> float:
    """Largest |mean agreement - mean confidence| of a bin that holds samples, in [0, 1] (Guo et al. 2017, eq. 5).

    Arguments and errors as in ``reliability``. NaN without samples. A bin of one sample counts like any other.
    """
    _, gap = _gaps(reliability(confidence, agreement, bins))
    return float(gap.max()) if len(gap) else float("nan")


def brier_score(p: ArrayLike, q: ArrayLike) -> Floats:
    """Expected squared distance of p from the one-hot label of a rater drawn from q: 1 - 2 p.q + |p|^2, in [0, 2].

    For one-hot q it is the multi-class score of Brier (1950), 0 for a sure and right prediction, 2 for a sure and
    wrong one. For other q even p = q does not reach 0: the disagreement of the raters, 1 - |q|^2, remains.

    Args:
        p, q: (N, C) predicted and true distributions.

    Returns:
        (N,) scores.

    Raises:
        DataError: as in ``metrics.distribution``.
    """
    p, q = check_pair(p, q)
    # The same value as 1 - 2 p.q + |p|^2, as a sum of terms that are all at least 0: nothing cancels.
    return np.square(p - q).sum(axis=1) + (q * (1 - q)).sum(axis=1)


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Probabilities exp(z / T) / sum exp(z / T) of logits z (N, C), in float64, (N, C).

    Raises:
        DataError: logits are not (N, C) or not finite.
        UsageError: ``temperature`` is not a finite number above 0.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise UsageError(f"'temperature' must be a finite number above 0; got {temperature!r}.")
    with np.errstate(over="ignore"):  # a logit that far below the largest has probability 0
        weights = np.exp(_below_largest(logits) / temperature)
    return weights / weights.sum(axis=1, keepdims=True)


def fit_temperature(logits: ArrayLike, target: ArrayLike) -> float:
    """The T in [0.05, 20] that minimises the mean cross-entropy -sum q log softmax(z / T) (Guo et al. 2017, sec. 4.2).

    Fit it on samples that were not trained on. The cross-entropy is convex in 1 / T; the zero of its slope is found
    by Newton's method held in a bracket, to a relative 1e-10, always the same for the same input.

    Args:
        logits: (N, C), finite.
        target: (N, C), soft or one-hot distributions q.

    Returns:
        T. With no samples, or where the cross-entropy is flat at T = 1 to the last bit (all logits of each sample
        equal, or every prediction right and too sure to improve), 1.0. Where it is lowest at a bound, the bound:
        0.05 if sharper is always better (every sample's logits put its target on top), 20 if flatter is
        (the logits tell nothing about the target, or the opposite).

    Raises:
        DataError: shapes differ, logits are not finite, or target rows are not distributions.
    """
    below = _below_largest(logits)
    target = check_distributions(target, "target")
    check_same_shape(below, target, names=("logits", "target"))
    if not len(below):
        return 1.0
    expected = float((target * below).sum(axis=1).mean())
    # The search is over b = 1 / T.
    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    if _slope(below, 1.0, expected)[0] == 0:
        return 1.0
    if _slope(below, low, expected)[0] >= 0:
        return TEMPERATURES[1]
    if _slope(below, high, expected)[0] <= 0:
        return TEMPERATURES[0]
    return 1 / _newton(below, low, high, expected)


def _newton(below: Floats, low: float, high: float, expected: float) -> float:
    """The b in (low, high) where the rising slope is 0: Newton steps, the bracket halved where they stall."""
    b = 1.0
    last_step = high - low
    for _ in range(200):
        slope, curvature = _slope(below, b, expected)
        if slope == 0:
            break
        low, high = (low, b) if slope > 0 else (b, high)
        candidate = b - slope / curvature if curvature > 0 else math.nan
        # Newton is trusted while it stays in the bracket and its steps shrink by half; NaN fails both tests.
        if not (low < candidate < high and abs(candidate - b) <= last_step / 2):
            candidate = math.sqrt(low * high)
        last_step = abs(candidate - b)
        b = candidate
        if last_step <= 1e-11 * b:
            break
    return b


def _slope(below: Floats, b: float, expected: float) -> tuple[float, float]:
    """First and second derivative of the mean cross-entropy by b = 1 / T: mean of E_p[z] - E_q[z], and of Var_p[z]."""
    weights = np.exp(b * below)
    total = weights.sum(axis=1)
    weights *= below
    mean = weights.sum(axis=1) / total
    weights *= below
    variance = weights.sum(axis=1) / total - np.square(mean)
    return float(mean.mean()) - expected, float(variance.mean())


def _below_largest(logits: ArrayLike) -> Floats:
    """Logits minus the largest of their row: at most 0, and the same probabilities."""
    array = check_matrix(logits, "logits", negative=True)
    with np.errstate(over="ignore"):
        below = array - array.max(axis=1, keepdims=True)
    return np.maximum(below, -np.finfo(np.float64).max)


def _shares(values: ArrayLike, name: str) -> Floats:
    """(N,) float64 in [0, 1], with what float32 rounding carried beyond removed."""
    array = check_vector(values, name)
    out = ~((array >= -_ROUNDING) & (array <= 1 + _ROUNDING))  # NaN is out too
    if out.any():
        raise DataError(
            f"{name} must be in [0, 1]; {rows_text(out)} are not (first value: {array[out][0]:.6g}).",
            "Pass probabilities and shares, not logits and counts.",
        )
    return np.clip(array, 0.0, 1.0)


def _bin_means(index: NDArray[np.intp], values: Floats, count: NDArray[np.int64]) -> Floats:
    sums = np.bincount(index, weights=values, minlength=len(count))
    return np.divide(sums, count, out=np.full(len(count), np.nan), where=count > 0)


def _gaps(bins: ReliabilityBins) -> tuple[NDArray[np.int64], Floats]:
    """Count and |agreement - confidence| of the bins that hold samples."""
    filled = bins.count > 0
    return bins.count[filled], np.abs(bins.agreement[filled] - bins.confidence[filled])
