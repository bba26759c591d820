"""Mean of a metric over the folds of a cross-validation, and how far it may be relied on.

The models of two folds of k share (k - 2)/(k - 1) of what they were trained on, so that their metrics are not
independent and the sample variance of the k values is no unbiased estimate of the variance of their mean; none exists
that is unbiased for every distribution (Bengio and Grandvalet 2004, JMLR 5, 1089-1105). The t-interval of
independent values is therefore too narrow. The correction of Nadeau and Bengio (2003, Machine Learning 52, 239-281,
"corrected resampled t-test") takes the correlation of two folds to be n2 / (n1 + n2), n1 items being trained on and n2
held out, which gives the mean the variance (1/k + n2/n1) s^2; made for random divisions, it is used for folds as an
approximation that errs less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affectkit.errors import UsageError
from affectkit.statistics.students_t import check_level, t_interval, t_quantile

CAVEAT = (
    "The models of the folds share most of what they were trained on, so that the t-interval of their mean is too "
    "narrow, by an amount that the folds cannot show (Bengio and Grandvalet 2004); the corrected one (Nadeau and "
    "Bengio 2003) allows for it approximately."
)


@dataclass(frozen=True)
class FoldMean:
    """A metric over folds.

    Attributes:
        mean: of the folds in which it is defined.
        sd: their sample standard deviation (k - 1).
        t_interval: of the mean, as if folds were independent: too narrow.
        corrected_interval: with Nadeau and Bengio's variance.
        defined: in how many folds it is defined (k).
    """

    mean: float
    sd: float
    t_interval: tuple[float, float]
    corrected_interval: tuple[float, float]
    defined: int


def mean_over_folds(values: Sequence[float], *, ratio: float, level: float = 0.95) -> FoldMean:
    """Return the mean of a metric over folds, with both intervals; these are NaN where fewer than two folds define it,
    and where all folds have the same value, which shows nothing of others.

    Args:
        values: of each fold; NaN where it is not defined.
        ratio: items held out to items trained on, n2 / n1; of k folds of equal size 1 / (k - 1).
        level: of the intervals, in (0, 1).

    >>> found = mean_over_folds([0.7, 0.8, 0.6, 0.7], ratio=1 / 3)
    >>> round(found.mean, 3), round(found.sd, 4), round(found.t_interval[0], 4), round(found.corrected_interval[0], 4)
    (0.7, 0.0816, 0.5701, 0.5015)
    """
    check_level(level)
    if not (math.isfinite(ratio) and ratio >= 0):
        raise UsageError(f"'ratio' must be a finite number of at least 0; got {ratio!r}.")
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    count = len(array)
    if count < 2:
        return FoldMean(float(array[0]) if count else math.nan, math.nan, _NOWHERE, _NOWHERE, count)
    mean, sd = float(array.mean()), float(array.std(ddof=1))
    if np.ptp(array) == 0:
        return FoldMean(mean, sd, _NOWHERE, _NOWHERE, count)
    half = t_quantile((1 + level) / 2, count - 1) * sd * math.sqrt(1 / count + ratio)
    return FoldMean(mean, sd, t_interval(array, level), (mean - half, mean + half), count)


_NOWHERE = (math.nan, math.nan)
