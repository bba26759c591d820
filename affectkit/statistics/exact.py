"""Shares of items: Clopper-Pearson, one-sided bounds, McNemar's test, and the interval of a paired difference."""

from __future__ import annotations

import math

from affectkit.errors import UsageError
from affectkit.statistics.students_t import check_level, t_quantile


def clopper_pearson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a share of which ``k`` of ``n`` were seen (Clopper and Pearson 1934).

    It holds the share in at least ``level`` of the cases, for every share and n; more than that where n is small.
    (NaN, NaN) for n = 0.

    >>> [round(bound, 4) for bound in clopper_pearson(2, 20)]
    [0.0123, 0.317]

    Raises:
        UsageError: not 0 <= k <= n, or ``level`` out of range.
    """
    check_level(level)
    tail = (1 - level) / 2
    return lower_bound(k, n, 1 - tail), upper_bound(k, n, 1 - tail)


def upper_bound(k: float, n: float, level: float = 0.95) -> float:
    """Return the share that is not exceeded with confidence ``level``, of which ``k`` of ``n`` were seen: the share
    at which so few have the chance 1 - ``level``; 1 for k = n, NaN for n = 0.

    ``k`` and ``n`` need not be whole: an effective number of items is not.

    Raises:
        UsageError: as ``clopper_pearson``.
    """
    from scipy.special import betaincinv

    _check(k, n, level)
    if not n:
        return math.nan
    return 1.0 if k >= n else float(betaincinv(k + 1, n - k, level))


def lower_bound(k: float, n: float, level: float = 0.95) -> float:
    """Return the share that is reached at least with confidence ``level``; see ``upper_bound``; 0 for k = 0."""
    from scipy.special import betaincinv

    _check(k, n, level)
    if not n:
        return math.nan
    return 0.0 if k <= 0 else float(betaincinv(k, n - k + 1, 1 - level))


def binomial_tail(k: int, n: int, share: float) -> float:
    """Return the chance that at most ``k`` of ``n`` fall to what has the chance ``share``."""
    from scipy.special import bdtr

    _check(k, n, 0.5)
    return 1.0 if k >= n else float(bdtr(k, n, share))


def mcnemar(b: int, c: int) -> float:
    """Return the two-sided p of McNemar's exact test: of b + c items on which two models differ, each is the first's
    with chance 1/2 if neither is better (McNemar 1947; Agresti 2013, sec. 11.1.1).

    Args:
        b: items that the first alone has right.
        c: items that the second alone has right.

    Returns:
        Twice the smaller binomial tail, at most 1; 1 where the models differ on no item.

    Raises:
        UsageError: a count is negative.
    """
    return min(1.0, 2 * binomial_tail(min(b, c), b + c, 0.5))


def bonett_price(b: int, c: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the difference of two shares of the same ``n`` items, of which the first alone has ``b``
    and the second alone ``c``: Wald's with one more item counted to each (Bonett and Price 2012, "Adjusted Wald
    confidence interval for a difference of binomial proportions based on paired data", J. Educ. Behav. Stat. 37(4)).

    It has a width where b = c = 0, too. Not exact, although it stands here: McNemar's test, which is, can say p > 0.05
    where the interval just leaves out 0.

    Raises:
        UsageError: a count is negative, both exceed ``n``, or ``level`` is out of range.
    """
    check_level(level)
    if min(b, c) < 0 or b + c > n:
        raise UsageError(f"'b' and 'c' must be counts, together at most n; got {b} and {c} of {n}.")
    first, second = (b + 1) / (n + 2), (c + 1) / (n + 2)
    half = t_quantile((1 + level) / 2) * math.sqrt((first + second - (first - second) ** 2) / (n + 2))
    return max(first - second - half, -1.0), min(first - second + half, 1.0)


def _check(k: float, n: float, level: float) -> None:
    check_level(level)
    if not 0 <= k <= n:
        raise UsageError(f"'k' must be from 0 to n; got {k!r} of {n!r}.")
