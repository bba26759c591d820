"""Correction of p-values for their number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from affectkit.errors import DataError
from affectkit.metrics.distribution import Floats, check_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def holm(p_values: ArrayLike) -> Floats:
    """Return p-values (M,) adjusted so that any of them is below a level by chance alone at most as often as that
    level says (Holm 1979); whatever their dependence.

    The i-th smallest, from 0, is multiplied by M - i, then made at least as large as those before it and at most 1.
    NaN stays NaN and counts as no test.

    >>> [round(float(p), 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]

    Raises:
        DataError: not (M,), or a value outside [0, 1].
    """
    p = check_vector(p_values, "p_values", each="tests")
    known = ~np.isnan(p)
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise DataError(f"p-values must be in [0, 1]; got {p[known].min():g} to {p[known].max():g}.")
    found = np.full(len(p), math.nan)
    order = np.flatnonzero(known)[np.argsort(p[known], kind="stable")]
    times = len(order) - np.arange(len(order))
    found[order] = np.minimum(np.maximum.accumulate(p[order] * times), 1.0)
    return found
