"""How large a difference a test would have found: power and smallest detectable difference."""

from __future__ import annotations

import math

from affectkit.errors import UsageError
from affectkit.statistics.students_t import t_quantile

POWER = 0.8
"""Power at which the smallest detectable difference is stated."""
SIZE = 0.05
"""Two-sided size at which it is stated."""


def detectable(error: float, freedom: float = math.inf, *, power: float = POWER, size: float = SIZE) -> float:
    """Return the smallest true difference that a two-sided test of ``size`` finds with ``power``.

    (t(1 - size / 2) + t(power)) times the standard error, both quantiles with ``freedom`` degrees of freedom: the
    minimum detectable effect of Bloom (1995, "Minimum detectable effects", Evaluation Review 19(5)); 2.80 standard
    errors for large samples. NaN where the error is.

    Raises:
        UsageError: ``power`` or ``size`` is not in (0, 1).
    """
    for name, value in (("power", power), ("size", size)):
        if not 0 < value < 1:
            raise UsageError(f"'{name}' must be above 0 and below 1; got {value!r}.")
    if not math.isfinite(error) or freedom < 1:
        return math.nan
    return (t_quantile(1 - size / 2, freedom) + t_quantile(power, freedom)) * error
