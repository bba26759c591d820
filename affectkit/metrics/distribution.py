"""Distances between predicted distributions p and true distributions q over classes, one value per sample.

Every function takes p and q of shape (N, C), rows at least 0 that sum to 1 within ``TOLERANCE``, and returns (N,).
Rows are divided by their sum first, so that rounded probabilities cannot push a distance out of its range. All of
them raise a DataError for other shapes, NaN or infinity, negative entries, and rows with another sum. N may be 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from affectkit.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = "NDArray[np.float64]"

TOLERANCE = 1e-3
"""How far the sum of a distribution may be from 1."""


def mse(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return the mean over classes of (p - q)^2, in [0, 2/C]."""
    p, q = check_pair(p, q)
    return np.square(p - q).mean(axis=1)


def total_variation(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return half the sum of |p - q|, in [0, 1]: the largest difference in the probability of any set of classes."""
    p, q = check_pair(p, q)
    return np.minimum(np.abs(p - q).sum(axis=1) / 2, 1.0)


def kl_divergence(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return KL(q || p) = sum q log(q / p) in nats, at least 0 (Kullback and Leibler 1951).

    Classes with q = 0 add nothing. So that the result stays finite, p is taken as at least the smallest normal float64,
    2.2e-308: where the truth has probability q and the prediction 0, the class adds about 708 q and will dominate a
    mean. Probabilities in float32 underflow to 0 below 1e-45; ``calibration.softmax`` gives them in float64.
    """
    p, q = check_pair(p, q)
    log_q = np.log(np.where(q > 0, q, 1.0))
    log_p = np.log(np.maximum(p, np.finfo(np.float64).tiny))
    return np.maximum((q * (log_q - log_p)).sum(axis=1), 0.0)


def js_divergence(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return the Jensen-Shannon divergence, base 2: (KL(p || m) + KL(q || m)) / 2, m = (p + q) / 2, in [0, 1] (Lin
    1991).

    It is the square of SciPy's ``jensenshannon(p, q, base=2)``, which is the distance.
    """
    p, q = check_pair(p, q)
    total = np.where(p + q > 0, p + q, 1.0)
    halves = (_x_log2(p, 2 * p / total) + _x_log2(q, 2 * q / total)).sum(axis=1) / 2
    return np.clip(halves, 0.0, 1.0)


def earth_movers_distance(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return the sum over classes of |CDF of p - CDF of q|, in [0, C - 1] (Rubner et al. 2000; in one dimension,
    Vallender 1974).

    Classes lie one unit apart in the order given, so the value depends on that order, and moving all the mass from
    the first class to the last costs C - 1.
    """
    p, q = check_pair(p, q)
    # The last entry is 1 - 1: leaving it out drops nothing but rounding.
    return np.abs(np.cumsum(p - q, axis=1)[:, :-1]).sum(axis=1)


def top1_agreement(p: ArrayLike, q: ArrayLike) -> NDArray[np.bool_]:
    """Return whether the predicted class is one of the most probable classes of q.

    The predicted class is the most probable one of p, the first of them on a tie. Where several classes share the
    largest q exactly, each of them counts as right, so a tie among the raters is never held against a prediction.
    """
    p, q = check_pair(p, q)
    chosen = np.take_along_axis(q, p.argmax(axis=1)[:, None], axis=1)[:, 0]
    return chosen == q.max(axis=1)


def check_pair(p: ArrayLike, q: ArrayLike) -> tuple[Floats, Floats]:
    """Return p and q as checked distributions (see ``check_distributions``) of one shape, or raise a DataError."""
    p, q = check_distributions(p, "p"), check_distributions(q, "q")
    check_same_shape(p, q, names=("p", "q"))
    return p, q


def check_distributions(values: ArrayLike, name: str) -> Floats:
    """Return ``values`` (N, C) as float64 with rows that sum to 1.

    Args:
        values: rows at least 0, each with a sum in 1 +- ``TOLERANCE``.
        name: what to call them in messages.

    Returns:
        A new array, each row divided by its sum.

    Raises:
        DataError: not two-dimensional, no class, not finite, negative, or another sum; names the rows.
    """
    array = check_matrix(values, name)
    sums = array.sum(axis=1, keepdims=True)
    off = np.abs(sums[:, 0] - 1) > TOLERANCE
    if off.any():
        first = int(np.flatnonzero(off)[0])
        raise DataError(
            f"each row of {name} must sum to 1 within {TOLERANCE:g}; {rows_text(off)} do not "
            f"(row {first} sums to {sums[first, 0]:.6g}).",
            "Pass probabilities: softmax of logits, or votes divided by their sum.",
        )
    return array / sums


def check_matrix(values: ArrayLike, name: str, *, negative: bool = False) -> Floats:
    """Return ``values`` as a finite float64 array (N, C), C at least 1; entries below 0 are refused unless
    ``negative``.

    Raises:
        DataError: names the rows that break a rule.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be numbers of shape (samples, classes): {error}.") from error
    if array.ndim != 2 or array.shape[1] < 1:
        raise DataError(f"{name} must have the shape (samples, classes), at least one class; got {array.shape}.")
    broken = ~np.isfinite(array).all(axis=1)
    if broken.any():
        raise DataError(f"{name} must be finite; NaN or infinity in {rows_text(broken)}.")
    if not negative:
        broken = (array < 0).any(axis=1)
        if broken.any():
            raise DataError(f"{name} must be at least 0; the smallest is {array.min():.6g}, in {rows_text(broken)}.")
    return array


def check_whole(votes: Floats, purpose: str) -> Floats:
    """Return ``votes`` (N, C); a DataError that names the rows and the ``purpose`` where they are no whole numbers."""
    broken = (votes != np.floor(votes)).any(axis=1)
    if broken.any():
        raise DataError(
            f"votes must be whole numbers to {purpose}; {rows_text(broken)} are not.",
            "Pass the raters' counts, not shares.",
        )
    return votes


def check_same_shape(first: Floats, second: Floats, *, names: tuple[str, str]) -> None:
    """Raise a DataError unless both arrays have the same shape."""
    if first.shape != second.shape:
        raise DataError(
            f"{names[0]} and {names[1]} must have the same shape; got {first.shape} and {second.shape}.",
            "Rows are samples and columns are classes, in the same order in both.",
        )


def rows_text(broken: NDArray[np.bool_], limit: int = 10) -> str:
    """Return the numbers of the marked rows (from 0), at most ``limit`` of them: ``"rows 3, 7 and 12 more"``."""
    rows = np.flatnonzero(broken)
    listed = ", ".join(str(row) for row in rows[:limit])
    more = f" and {len(rows) - limit} more" if len(rows) > limit else ""
    return f"row{'s' if len(rows) > 1 else ''} {listed}{more}"


def check_vector(values: ArrayLike, name: str, *, each: str = "samples") -> Floats:
    """Return ``values`` as (N,) float64, or raise a DataError that says what ``name``, one of ``each``, must be."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be numbers of shape ({each},): {error}.") from error
    if array.ndim != 1:
        raise DataError(f"{name} must have the shape ({each},); got {array.shape}.")
    return array


def _x_log2(x: Floats, ratio: Floats) -> Floats:
    """Return x log2(ratio), 0 where x is 0."""
    return x * np.log2(np.where(x > 0, ratio, 1.0))
