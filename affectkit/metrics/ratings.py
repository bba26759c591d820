"""Agreement of predicted with actual ratings: correlation, concordance, explained variance, error.

Every function takes ``predicted`` and ``actual``, each (N,), finite, on the same scale, and returns a float in float64
arithmetic. Sums are divided by N throughout. The measures called "fitted" are taken after the least-squares line from
predicted to actual has corrected the predictions' offset and gain, which flatters a model that has neither right.

What is not defined is NaN, with a ``ConstantWarning``: if all predictions are equal, or all actual values, or N < 2,
that is every measure but ``rmse``. (Some of the formulas would give a 0 there, which would read as a result.) ``rmse``
needs one pair only, and is NaN for N = 0. Values count as equal where they differ by less than float32 resolves:
their range is at most ``EQUAL`` times the largest absolute value.

All functions raise a DataError where the arrays are not (N,) numbers, differ in length, or hold NaN or infinity.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from affectkit.errors import DataError
from affectkit.metrics.distribution import Floats, check_vector, rows_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

EQUAL = 8 * 2.0**-24
"""Eight units in the last place of float32: what the arithmetic of a network makes of equal values."""
MEASURES = ("ccc", "r", "r2", "rmse", "r2_fitted", "rmse_fitted")
"""The keys of ``agreement``, in their order."""


class ConstantWarning(UserWarning):
    """A measure is NaN, since the predicted or the actual values are all equal, or fewer than two."""


@dataclass(frozen=True)
class Moments:
    """Moments from which all measures are computed, of N pairs (p, q), predicted and actual.

    Attributes:
        count: N.
        scale: a power of two; the moments below are those of p / scale and q / scale, so that no square overflows.
        gap: mean of p - q.
        p_variance, q_variance, covariance: divided by N.
        mse: mean of (p - q)².
        mse_fitted: mean squared distance of q from the least-squares line on p; NaN where ``undefined``.
        undefined: why correlation is not defined, empty where it is.
    """

    count: int
    scale: float
    gap: float
    p_variance: float
    q_variance: float
    covariance: float
    mse: float
    mse_fitted: float
    undefined: str = ""

    def measure(self, name: str) -> float:
        """Return one of ``MEASURES``; NaN, silently, where it is not defined."""
        if name == "rmse":
            return self.scale * math.sqrt(self.mse)  # NaN for N = 0
        if self.undefined:
            return math.nan
        if name == "rmse_fitted":
            return self.scale * math.sqrt(self.mse_fitted)
        if name == "r2":
            return 1 - self.mse / self.q_variance
        if name == "ccc":
            return 2 * self.covariance / (self.p_variance + self.q_variance + self.gap**2)
        r = self.covariance / (math.sqrt(self.p_variance) * math.sqrt(self.q_variance))
        r = min(max(r, -1.0), 1.0)
        return {"r": r, "r2_fitted": r * r}[name]


def pearson_r(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Return Pearson's correlation, in [-1, 1]; blind to offset and gain of the predictions."""
    return _one("r", predicted, actual)


def r2(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Return the coefficient of determination 1 - SSE / SST of the predictions as they are, at most 1, without a lower
    bound.

    0 is what the mean of ``actual`` would reach as the prediction for all. Equals scikit-learn's ``r2_score``.
    """
    return _one("r2", predicted, actual)


def rmse(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Return the root of the mean squared error of the predictions as they are, in units of the ratings; 0 is best."""
    return _one("rmse", predicted, actual)


def ccc(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Return the concordance 2 s_pq / (s_p² + s_q² + (mean p - mean q)²), in [-1, 1] (Lin 1989, with N in the
    denominators).

    At most abs(r); 1 only where every prediction equals its actual value.
    """
    return _one("ccc", predicted, actual)


def r2_fitted(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Return the explained variance after the least-squares line from predicted to actual, r squared, in [0, 1]."""
    return _one("r2_fitted", predicted, actual)


def rmse_fitted(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Return the root of the mean squared error after the least-squares line from predicted to actual, divided by N,
    not N - 2.
    """
    return _one("rmse_fitted", predicted, actual)


def agreement(predicted: ArrayLike, actual: ArrayLike) -> dict[str, float]:
    """Return all of ``MEASURES`` by name, in that order, with one warning at most.

    >>> found = agreement([1.0, 2.0, 4.0], [1.0, 3.0, 4.0])
    >>> [f"{name} {value:.3f}" for name, value in found.items()][:3]
    ['ccc 0.897', 'r 0.929', 'r2 0.786']
    """
    found = moments(predicted, actual)
    warn_undefined(found)
    return {name: found.measure(name) for name in MEASURES}


def moments(predicted: ArrayLike, actual: ArrayLike) -> Moments:
    """Return the ``Moments`` of (predicted, actual), for several measures of one pass; warns of nothing."""
    p, q = check_ratings(predicted, actual)
    if not len(p):
        return Moments(0, 1.0, *[math.nan] * 6, undefined="there are no values")
    largest = max(np.abs(p).max(), np.abs(q).max())
    scale = math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest else 1.0
    p, q = p / scale, q / scale
    undefined = _undefined(p, q, scale)
    p_mean, q_mean = p.mean(), q.mean()
    p_off, q_off = p - p_mean, q - q_mean
    covariance, p_variance = float(np.mean(p_off * q_off)), float(np.mean(p_off**2))
    line = math.nan if undefined else float(np.mean((q_off - covariance / p_variance * p_off) ** 2))
    return Moments(
        count=len(p),
        scale=scale,
        gap=float(p_mean - q_mean),
        p_variance=p_variance,
        q_variance=float(np.mean(q_off**2)),
        covariance=covariance,
        mse=float(np.mean((p - q) ** 2)),
        mse_fitted=line,
        undefined=undefined,
    )


def all_equal(values: Floats) -> bool:
    """Return whether ``values`` (N,), N from 1, are one value, but for the noise of float32 arithmetic."""
    return bool(np.ptp(values) <= EQUAL * np.abs(values).max())


def check_ratings(predicted: ArrayLike, actual: ArrayLike) -> tuple[Floats, Floats]:
    """Return both as finite float64 arrays of one shape (N,).

    Raises:
        DataError: they are not; says how many values are not finite, and where.
    """
    p, q = _vector(predicted, "predicted"), _vector(actual, "actual")
    if p.shape != q.shape:
        raise DataError(f"predicted and actual must have the same length; got {len(p)} and {len(q)}.")
    return p, q


def warn_undefined(found: Moments, *, what: str = "", stacklevel: int = 3) -> None:
    """Report in a ConstantWarning what is NaN, if anything is, and why; ``what`` begins the sentence."""
    if found.undefined:
        also = "" if found.count else ", and the RMSE"
        text = f"{what}{found.undefined}: r, CCC, R2 and the fitted measures{also} are not defined (NaN)."
        warnings.warn(text, ConstantWarning, stacklevel=stacklevel)


def _one(name: str, predicted: ArrayLike, actual: ArrayLike) -> float:
    found = moments(predicted, actual)
    if name != "rmse" or not found.count:
        warn_undefined(found, stacklevel=4)
    return found.measure(name)


def _undefined(p: Floats, q: Floats, scale: float) -> str:
    """Return why a correlation of p and q, N from 1, is not defined; empty where it is."""
    if len(p) < 2:
        return "there is one value only"
    for values, what in ((p, "predicted"), (q, "actual")):
        if all_equal(values):
            return f"every {what} value is {values[0] * scale:.6g}"
    return ""


def _vector(values: ArrayLike, name: str) -> Floats:
    array = check_vector(values, name)
    broken = ~np.isfinite(array)
    if broken.any():
        raise DataError(
            f"{name} must be finite; {int(broken.sum()):,} of {len(array):,} values are NaN or infinite, in "
            f"{rows_text(broken)}.",
            "Leave these samples out of both arrays.",
        )
    return array
