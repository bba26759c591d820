"""How ambiguous a predicted or voted distribution over classes is: its margin and its entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from affectkit.metrics.distribution import Floats

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def margin(shares: ArrayLike) -> Floats:
    """Return by how much the largest share exceeds the second largest, (N,) in [0, 1]; of one class its share.

    0 where several classes have the largest share, 1 where one class has everything.

    Args:
        shares: distributions (N, C) over C >= 1 classes.

    >>> margin([[0.75, 0.25, 0.0], [0.5, 0.5, 0.0]]).tolist()
    [0.5, 0.0]
    """
    found = np.asarray(shares, np.float64)
    if found.shape[1] == 1:
        return found[:, 0].copy()
    two = np.partition(found, -2, axis=1)[:, -2:]
    return two[:, 1] - two[:, 0]


def entropy(shares: ArrayLike) -> Floats:
    """Return Shannon's entropy of each distribution in bits, (N,) in [0, log2 C]: -sum q log2 q, with 0 log2 0 = 0.

    0 where one class has everything, log2 C where all have as much. Not divided by log2 C.

    Args:
        shares: distributions (N, C).

    >>> entropy([[1.0, 0.0], [0.5, 0.5]]).tolist()
    [0.0, 1.0]
    """
    found = np.asarray(shares, np.float64)
    bits = (found * np.log2(np.where(found > 0, found, 1.0))).sum(axis=1)
    return np.maximum(-bits, 0.0) + 0.0  # which makes 0 of -0
