"""Selective prediction: how risk falls as the items of which a model is least sure are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from affectkit.errors import DataError, UsageError
from affectkit.metrics.distribution import Floats, check_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

COVERAGES = (1.0, 0.9, 0.8, 0.5)
"""Coverages at which selective accuracy is reported."""


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """A risk-coverage curve: a point for each of the K distinct confidences of N items, the highest first.

    Items of equal confidence come in together: no threshold tells them apart.

    Attributes:
        threshold: (K,) falling; accepted are the items of at least this confidence.
        accepted: (K,) int64, how many these are.
        errors: (K,) their summed error.
        coverage: (K,) their share of all items, in (0, 1].
        risk: (K,) their mean error, the selective risk, in [0, 1].
    """

    threshold: Floats
    accepted: NDArray[np.int64]
    errors: Floats
    coverage: Floats
    risk: Floats

    def at(self, coverage: float) -> int:
        """Return the number of the first point whose coverage is at least ``coverage``, which ties may exceed.

        Raises:
            UsageError: ``coverage`` is not in (0, 1].
        """
        if not 0 < coverage <= 1:
            raise UsageError(f"'coverage' must be above 0 and at most 1; got {coverage!r}.")
        return int(np.searchsorted(self.coverage, coverage - 1e-12))


def risk_coverage(confidence: ArrayLike, error: ArrayLike) -> RiskCoverage:
    """Compute the risk-coverage curve (El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017).

    Args:
        confidence: (N,) numbers, higher where the model is surer.
        error: (N,) in [0, 1]: of a label 0 where it is right, 1 where it is wrong.

    Raises:
        DataError: shapes differ or are not (N,), a value is NaN, or an error is out of range.
    """
    confidence, error = check_vector(confidence, "confidence"), check_vector(error, "error")
    if confidence.shape != error.shape:
        raise DataError(f"confidence and error must have the same length; got {len(confidence)} and {len(error)}.")
    if np.isnan(confidence).any() or not ((error >= 0) & (error <= 1)).all():
        raise DataError("confidence must hold numbers, and error numbers in [0, 1]; some are not.")
    order = np.argsort(-confidence, kind="stable")
    confidence, summed = confidence[order], np.cumsum(error[order])
    last = np.flatnonzero(np.append(confidence[1:] != confidence[:-1], True)[: len(confidence)])
    accepted = (last + 1).astype(np.int64)
    return RiskCoverage(
        threshold=confidence[last],
        accepted=accepted,
        errors=summed[last],
        coverage=accepted / max(len(confidence), 1),
        risk=summed[last] / accepted,
    )


def aurc(confidence: ArrayLike, error: ArrayLike) -> float:
    """Return the area under the risk-coverage curve, in [0, 1]: the mean of the selective risk over the thresholds
    that the confidence of each item in turn makes (Geifman, Uziel and El-Yaniv 2019).

    So a point of the curve counts as often as it has items that come in with it. Other definitions are in use: with
    the trapezoidal rule, with ties in the order of the file or averaged over orders, times 1,000; and the generalised
    one of Traub et al. 2024, over the risk times the coverage. They differ in the third digit for hundreds of items.
    Confidence that says nothing of the errors gives the mean error, whatever the number of items.

    Arguments and errors as in ``risk_coverage``; NaN without items.
    """
    curve = risk_coverage(confidence, error)
    if not len(curve.risk):
        return float("nan")
    return float(np.average(curve.risk, weights=np.diff(curve.accepted, prepend=0)))


def excess_aurc(confidence: ArrayLike, error: ArrayLike) -> float:
    """Return by how much ``aurc`` exceeds that of the best order of the same errors, the least first, each item a
    point of its own (Geifman, Uziel and El-Yaniv 2019, where a logarithm approximates that sum).

    Arguments and errors as in ``risk_coverage``; NaN without items. At least 0.
    """
    least = np.sort(check_vector(error, "error"))
    best = np.cumsum(least) / np.arange(1, len(least) + 1)
    return aurc(confidence, error) - float(best.mean()) if len(least) else float("nan")
