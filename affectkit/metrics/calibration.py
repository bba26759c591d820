"""Calibration of probabilities: reliability, calibration errors, Brier score, temperature."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

TEMPERATURES = (0.05, 20.0)
"""The range in which ``fit_temperature`` searches."""
BINS = 15
"""Of equal width, over the confidence."""
FEWEST = 20
"""Samples below which ``fit_calibration`` fits nothing."""
PENALTY = 4.0
"""Strength with which ``fit_calibration`` holds the temperature towards 1: it weighs as much as a few samples."""
FOLDS = 5
"""Parts of the cross-validation in ``fit_calibration``."""

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


def reliability(confidence: ArrayLike, agreement: ArrayLike, bins: int = BINS) -> ReliabilityBins:
    """Compute mean confidence and mean agreement in bins of equal width over the confidence.

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


def expected_calibration_error(confidence: ArrayLike, agreement: ArrayLike, bins: int = BINS) -> float:
    """Return the mean over samples of |mean agreement - mean confidence| of the sample's bin, in [0, 1] (Guo et al.
    2017, eq. 3).

    Arguments and errors as in ``reliability``. NaN without samples. It depends on ``bins``: report them beside it.
    """
    filled, gap = _gaps(reliability(confidence, agreement, bins))
    return float((filled / filled.sum() * gap).sum()) if len(filled) else float("nan")


def brier_score(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return the expected squared distance of p from the one-hot label of a rater drawn from q: 1 - 2 p.q + |p|^2, in
    [0, 2].

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
    """Return the probabilities exp(z / T) / sum exp(z / T) of logits z (N, C), in float64, (N, C).

    Raises:
        DataError: logits are not (N, C) or not finite.
        UsageError: ``temperature`` is not a finite number above 0.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise UsageError(f"'temperature' must be a finite number above 0; got {temperature!r}.")
    with np.errstate(over="ignore"):  # a logit that far below the largest has probability 0
        weights = np.exp(_below_largest(logits) / temperature)
    return weights / weights.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Calibration:
    """A temperature, and what speaks for it.

    Attributes:
        temperature: 1.0 where none was fitted.
        fitted: whether it was.
        reason: why not; empty where it was.
        samples: how many there were to fit it on.
        nll: cross-validated mean cross-entropy with a fitted temperature, whether it was taken or not; None where the
            fit did not come so far.
        nll_before: the same with temperature 1.
    """

    temperature: float
    fitted: bool
    reason: str
    samples: int
    nll: float | None = None
    nll_before: float | None = None


def fit_calibration(logits: ArrayLike, target: ArrayLike) -> Calibration:
    """Return the temperature of ``fit_temperature`` as far as the samples bear it out, else 1.

    The minimum over few samples can lie anywhere, and a temperature far off makes every probability wrong. So

    - fewer than ``FEWEST`` samples fit nothing;
    - a cross-entropy that is lowest at a bound of ``TEMPERATURES`` has no minimum, and fits nothing, however many
      samples say so: all of them are right, or the logits show nothing of the targets;
    - ``PENALTY`` (1 / T - 1 + log T) is added to the sum of the cross-entropies, which is to say that 1 / T has a
      gamma prior with mode 1. It is convex in 1 / T, near T = 1 it is PENALTY / 2 (log T)^2, and it fades with the
      number of samples;
    - fitted without each fifth of the samples in turn (sample i in part i modulo 5), the temperatures must lower the
      mean cross-entropy of the parts that were left out.

    On fresh data of many kinds (``tests/metrics/test_calibration.py``) the mean nll over seeds never rose by more than
    0.03 for 20 samples, 0.005 for 200 and 0.0005 for 5,000; that of the plain minimum rises by up to 4 for 20. Samples
    that are copies of each other, or frames of one video, speak for each other in the cross-validation.

    Args, Raises: as ``fit_temperature``.
    """
    below = _below_largest(logits)
    target = check_distributions(target, "target")
    check_same_shape(below, target, names=("logits", "target"))
    count = len(below)
    if count < FEWEST:
        return Calibration(1.0, False, f"{count:,} samples are too few: a temperature needs at least {FEWEST}", count)
    plain = fit_temperature(below, target)
    if plain in TEMPERATURES:
        return Calibration(1.0, False, _AT_A_BOUND[TEMPERATURES.index(plain)], count)
    part = np.arange(count) % FOLDS
    before = _cross_entropies(below, target, 1.0)
    after = np.empty(count)
    for number in range(FOLDS):
        out = part == number
        after[out] = _cross_entropies(below[out], target[out], _penalised(below[~out], target[~out]))
    nll, nll_before = float(after.mean()), float(before.mean())
    if not nll < nll_before:
        reason = f"cross-validated, the nll is not lower with a temperature ({nll:.4f}) than without ({nll_before:.4f})"
        return Calibration(1.0, False, reason, count, nll, nll_before)
    return Calibration(_penalised(below, target), True, "", count, nll, nll_before)


_AT_A_BOUND = (
    f"the fit ran to its bound, {TEMPERATURES[0]:g}: every prediction is right, and a lower temperature always better",
    f"the fit ran to its bound, {TEMPERATURES[1]:g}: the outputs tell nothing of the targets",
)


def _penalised(logits: Floats, target: Floats) -> float:
    return fit_temperature(logits, target, penalty=PENALTY)


def _cross_entropies(below: Floats, target: Floats, temperature: float) -> Floats:
    """Return -sum q log softmax(z / T) of each row (N,), of logits whose largest is 0."""
    with np.errstate(over="ignore"):
        scaled = below / temperature
    scaled = np.maximum(scaled, -np.finfo(np.float64).max)
    return np.log(np.exp(scaled).sum(axis=1)) - (target * scaled).sum(axis=1)


def fit_temperature(logits: ArrayLike, target: ArrayLike, *, penalty: float = 0.0) -> float:
    """Fit the T in [0.05, 20] that minimises the mean cross-entropy -sum q log softmax(z / T) (Guo et al. 2017, sec.
    4.2).

    Fit it on samples that were not trained on, and on enough of them: ``fit_calibration`` takes care of that. The
    cross-entropy is convex in 1 / T; the zero of its slope is found by Newton's method held in a bracket, to a relative
    1e-10, always the same for the same input.

    Args:
        logits: (N, C), finite.
        target: (N, C), soft or one-hot distributions q.
        penalty: times (1 / T - 1 + log T) is added to the sum of the N cross-entropies; see ``fit_calibration``.

    Returns:
        T. With no samples, or where the cross-entropy is flat at T = 1 to the last bit (all logits of each sample
        equal, or every prediction right and too sure to improve), 1.0. Where it is lowest at a bound, the bound:
        0.05 if sharper is always better (every sample's logits put its target on top), 20 if flatter is
        (the logits show nothing about the target, or the opposite).

    Raises:
        DataError: shapes differ, logits are not finite, or target rows are not distributions.
        UsageError: ``penalty`` is not a finite number from 0.
    """
    if not 0 <= penalty < math.inf:
        raise UsageError(f"'penalty' must be a finite number of at least 0; got {penalty!r}.")
    below = _below_largest(logits)
    target = check_distributions(target, "target")
    check_same_shape(below, target, names=("logits", "target"))
    if not len(below):
        return 1.0
    expected = float((target * below).sum(axis=1).mean())
    weight = penalty / len(below)

    def slope(b: float) -> tuple[float, float]:
        first, second = _slope(below, b, expected)
        return first + weight * (1 - 1 / b), second + weight / (b * b)

    # The search is over b = 1 / T.
    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    if slope(1.0)[0] == 0:
        return 1.0
    if slope(low)[0] >= 0:
        return TEMPERATURES[1]
    if slope(high)[0] <= 0:
        return TEMPERATURES[0]
    return 1 / _newton(slope, low, high)


def _newton(slope_at: Callable[[float], tuple[float, float]], low: float, high: float) -> float:
    """Find the b in (low, high) where the rising slope is 0: Newton steps, the bracket halved where they stall."""
    b = 1.0
    last_step = high - low
    for _ in range(200):
        slope, curvature = slope_at(b)
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
    """Return the first and second derivative of the mean cross-entropy by b = 1 / T: mean of E_p[z] - E_q[z], and of
    Var_p[z].
    """
    weights = np.exp(b * below)
    total = weights.sum(axis=1)
    weights *= below
    mean = weights.sum(axis=1) / total
    weights *= below
    variance = weights.sum(axis=1) / total - np.square(mean)
    return float(mean.mean()) - expected, float(variance.mean())


def _below_largest(logits: ArrayLike) -> Floats:
    """Return the logits minus the largest of their row: at most 0, and the same probabilities."""
    array = check_matrix(logits, "logits", negative=True)
    with np.errstate(over="ignore"):
        below = array - array.max(axis=1, keepdims=True)
    return np.maximum(below, -np.finfo(np.float64).max)


def _shares(values: ArrayLike, name: str) -> Floats:
    """Return shares (N,), float64 in [0, 1], with what float32 rounding carried beyond removed."""
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
