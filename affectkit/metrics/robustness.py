"""Summary measures of the common-corruptions benchmark (Hendrycks and Dietterich, 2019, arXiv 1903.12261, section 4).

Errors stand by corruption, one a severity: ``{"fog": [0.3, 0.4, ...]}``, each the share of images that were wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from affectkit.errors import DataError

Errors = Mapping[str, Sequence[float]]


def mean_error(errors: Errors) -> float:
    """Return the mean over corruptions of the mean over severities, in [0, 1]."""
    return math.fsum(_mean(values) for values in errors.values()) / len(errors)


def corruption_errors(errors: Errors, baseline: Errors) -> dict[str, float]:
    """Return the CE of each corruption: the sum of the errors over severities, over the baseline's; 1 is as bad as it.

    Infinite where the baseline alone makes no error, NaN where neither does.

    Raises:
        DataError: the two are not of the same corruptions and numbers of severities.
    """
    _check(errors, baseline)
    return {name: _ratio(math.fsum(values), math.fsum(baseline[name])) for name, values in errors.items()}


def mean_corruption_error(errors: Errors, baseline: Errors) -> float:
    """Return the mCE, the mean of ``corruption_errors``. It is published in percent: 1 here is 100 there."""
    found = corruption_errors(errors, baseline)
    return math.fsum(found.values()) / len(found)


def relative_corruption_errors(
    errors: Errors, baseline: Errors, *, clean: float, baseline_clean: float
) -> dict[str, float]:
    """Return the relative CE of each corruption: the clean error is taken from every error of the same model first.

    Args:
        clean, baseline_clean: the errors of the two models on images as they are.

    Raises:
        DataError: as ``corruption_errors``.
    """
    _check(errors, baseline)
    return {
        name: _ratio(
            math.fsum(value - clean for value in values), math.fsum(value - baseline_clean for value in baseline[name])
        )
        for name, values in errors.items()
    }


def relative_mean_corruption_error(errors: Errors, baseline: Errors, *, clean: float, baseline_clean: float) -> float:
    """Return the relative mCE, the mean of ``relative_corruption_errors``."""
    found = relative_corruption_errors(errors, baseline, clean=clean, baseline_clean=baseline_clean)
    return math.fsum(found.values()) / len(found)


def _check(errors: Errors, baseline: Errors) -> None:
    for name, values in errors.items():
        if len(baseline.get(name, ())) != len(values):
            raise DataError(
                f"the baseline has {len(baseline.get(name, ()))} severities of {name}, and {len(values)} are compared."
            )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _ratio(above: float, below: float) -> float:
    if below == 0:
        return math.nan if above == 0 else math.copysign(math.inf, above)
    return above / below
