"""Measures of the use of a codebook, and of how a mask divides codes into private and shared ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from affectkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def code_counts(codes: ArrayLike, size: int) -> NDArray[np.int64]:
    """Count how often each of ``size`` codes occurs in ``codes``, whole numbers from 0 on of any shape.

    Raises:
        DataError: a number is no code.
    """
    numbers = np.asarray(codes)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < size:
        raise DataError(f"codes must be in [0, {size - 1}]; got {numbers.min()} to {numbers.max()}.")
    return np.bincount(numbers.reshape(-1).astype(np.int64), minlength=size)


def perplexity(counts: ArrayLike) -> float:
    """Return exp(-sum p log(p + 1e-10)) of the shares p of ``counts``: 1 where one code is used, their number where all
    are used alike; NaN without any (van den Oord et al., "Neural Discrete Representation Learning", 2017).
    """
    counts = np.asarray(counts, dtype=np.float64)
    total = counts.sum()
    if not total:
        return float("nan")
    shares = counts / total
    return float(np.exp(-(shares * np.log(shares + 1e-10)).sum()))


def private_shared(mask: ArrayLike) -> dict[str, float]:
    """Return the shares of private and shared channels of both modalities, in percent of all channels, and
    complementarity.

    Args:
        mask: (2K,) as it is applied: the first half is the image's; above 0 and below 0 are shared, 0 is private.

    Returns:
        ``private_image``, ``private_audio``, ``shared_image``, ``shared_audio``, and ``complementarity``: the smaller
        count of shared channels over the larger, NaN where neither modality has any.
    """
    shared = np.asarray(mask) != 0
    half = len(shared) // 2
    counts = int(shared[:half].sum()), int(shared[half:].sum())
    percent = 100 / len(shared)
    return {
        "private_image": percent * (half - counts[0]),
        "private_audio": percent * (len(shared) - half - counts[1]),
        "shared_image": percent * counts[0],
        "shared_audio": percent * counts[1],
        "complementarity": min(counts) / max(counts) if max(counts) else float("nan"),
    }
