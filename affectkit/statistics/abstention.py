"""Confidence thresholds whose promise holds at the number of items at hand: selective accuracy, or coverage.

Notation: of items in falling confidence the first k are accepted; R(k) is the accuracy among all items of the
population that are at least so sure. Given the confidence of item k + 1, the first k are independent draws from those
items, so that their errors are binomial with chance 1 - R(k), and "R(k) is less than wished" is tested exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from affectkit.core.text import count_text
from affectkit.errors import DataError, UsageError
from affectkit.metrics.selective import RiskCoverage, risk_coverage
from affectkit.statistics.exact import lower_bound

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

FIRST_WEIGHT, LATER_STARTS = 0.8, (0.25, 0.5, 0.75)
"""The share of the chance of error that the chain from the surest items has, and where others begin, in shares of n."""
FEW_ERRORS, EARLY = 5, 0.2
"""The first chain begins where so many errors would still be passed, if that is within such a share of n."""
FEWEST_FOR_MORE = 2.0
"""Chains beyond the first are begun where n is so many times the least number that can promise anything."""
LEAST_SHARE = 0.1
"""Of items that a forecast of the number needed relies on."""
MOST_NEEDED = 1e4
"""Times as many items as there are, beyond which no number is named."""


@dataclass(frozen=True)
class Threshold:
    """A threshold of the confidence, and what it promises of new items that are like those it was fitted on.

    Attributes:
        threshold: items of at least this confidence are accepted; 0 accepts all. None: nothing can be promised.
        wished: ``accuracy`` (of those accepted, at least ``value``) or ``coverage`` (share accepted).
        value: the promise, in (0, 1).
        confidence: with which it holds: of repeats of the fit on new items at most 1 - ``confidence`` break it.
        n: items that it was fitted on.
        accepted: those of them that are accepted.
        right: those of the accepted that are right.
        accuracy_bound: with a wished coverage: the accuracy that is promised beside it, with the same confidence.
        reason: why there is none, with what would do; empty otherwise.
        best: with a wished accuracy that cannot be promised: the greatest that can; None: nothing can.
        needed: how many items would be needed if more came out as these; None: no number would do.
    """

    threshold: float | None
    wished: str
    value: float
    confidence: float
    n: int
    accepted: int = 0
    right: int = 0
    accuracy_bound: float | None = None
    reason: str = ""
    best: float | None = None
    needed: int | None = None


def fit_accuracy(confidence: ArrayLike, right: ArrayLike, wished: float, *, level: float = 0.95) -> Threshold:
    """Return the smallest threshold whose selective accuracy is at least ``wished`` with confidence ``level``.

    To take the smallest of many thresholds whose own bound suffices would promise too much: in simulations it breaks
    its word in up to 28% of repeats at level 95%. Here the thresholds are tested one after the other, the surest items
    first, and the first that fails ends the chain: fixed-sequence testing, as Angelopoulos et al. 2021 (Learn then
    Test, sec. 3) use it, which spends the chance of error once. Since errors among the very surest would end it at
    once, it begins where ``FEW_ERRORS`` are passed, and three more chains begin at a quarter, half and three quarters
    of the items, each with a fifteenth of the chance of error, which a chain that arrives there passes on (the fallback
    procedure of Wiens 2003). Exact where accuracy falls as more items are accepted; elsewhere the slow test holds it
    to the level (``tests/statistics/test_abstention.py``). SGR (Geifman and El-Yaniv 2017, a union bound over the steps
    of a search) keeps the level too, and covers less: 28% where this covers 37%, of 1,000 items.

    Args:
        confidence: (N,) numbers, the same function of an item that the threshold is applied to later.
        right: (N,) 0 or 1.
        wished: accuracy of the accepted items, in (0, 1).
        level: the confidence of the promise, in (0, 1).

    Raises:
        DataError: shapes differ, values are NaN or no 0 and 1, or there is no item.
        UsageError: ``wished`` or ``level`` is out of range.
    """
    curve, n = _curve(confidence, right, wished, level)
    place = _certified(curve, n, wished, level)
    if place >= 0:
        return _threshold(curve, place, wished="accuracy", value=wished, level=level)
    best = _best_promise(curve, n, level)
    needed = _needed(curve, n, wished, level)
    return Threshold(
        None, "accuracy", wished, level, n, reason=_why_not(curve, n, wished, level, needed), best=best, needed=needed
    )


def fit_coverage(confidence: ArrayLike, right: ArrayLike, wished: float, *, level: float = 0.95) -> Threshold:
    """Return the largest threshold whose coverage is at least ``wished`` with confidence ``level``.

    It is the k-th largest confidence for the least k with P(Binomial(n, wished) < k) of at least ``level``: the
    coverage of an order statistic is Beta(k, n - k + 1), whatever the distribution (Wilks 1941); ties only add to it.
    As k depends on no label, the accuracy of those accepted has an exact bound of its own.

    Arguments and errors as in ``fit_accuracy``.
    """
    from scipy.special import bdtr

    curve, n = _curve(confidence, right, wished, level)
    enough = np.flatnonzero(bdtr(np.arange(n), n, wished) >= level)
    if not len(enough):
        needed = math.ceil(math.log(1 - level) / math.log(wished))
        reason = (
            f"with {count_text(n, 'item')} no threshold promises a coverage of {wished:g}; "
            f"{needed:,} are needed for one"
        )
        return Threshold(None, "coverage", wished, level, n, reason=reason, needed=needed)
    place = int(np.searchsorted(curve.accepted, enough[0] + 1))
    return _threshold(curve, place, wished="coverage", value=wished, level=level)


def fewest(wished: float, level: float = 0.95) -> int:
    """Return the least number of items, all right, that promises the accuracy ``wished`` with confidence ``level``."""
    return math.ceil(math.log(1 - level) / math.log(wished) - 1e-9)


def _curve(confidence: ArrayLike, right: ArrayLike, wished: float, level: float) -> tuple[RiskCoverage, int]:
    """Return the risk-coverage curve and the number of items, both checked."""
    for name, value in (("wished", wished), ("level", level)):
        if not 0 < value < 1:
            raise UsageError(f"{name!r} must be above 0 and below 1; got {value!r}.")
    right = np.asarray(right, dtype=np.float64)
    if not np.isin(right, (0.0, 1.0)).all():
        raise DataError("right must hold 0 and 1; other values have no binomial bound.")
    if not right.size:
        raise DataError("there is no item to fit a threshold on.")
    return risk_coverage(confidence, 1 - right), right.size


def _threshold(curve: RiskCoverage, place: int, *, wished: str, value: float, level: float) -> Threshold:
    n = int(curve.accepted[-1])
    accepted = int(curve.accepted[place])
    right = accepted - round(float(curve.errors[place]))
    bound = lower_bound(right, accepted, level) if wished == "coverage" else None
    if place + 1 == len(curve.threshold):
        at = 0.0 if curve.threshold[-1] >= 0 else float(curve.threshold[-1])
    else:
        at = _between(float(curve.threshold[place + 1]), float(curve.threshold[place]))
    return Threshold(at, wished, value, level, n, accepted, right, bound)


def _between(low: float, high: float) -> float:
    """Return the number with the fewest decimals near the middle of (low, high]: another engine's last digits of the
    same confidences do not change what it accepts."""
    for digits in range(2, 17):
        value = round((low + high) / 2, digits)
        if low < value <= high:
            return value
    return high


def _certified(curve: RiskCoverage, n: int, wished: float, level: float) -> int:
    """Return the number of the last point that the chains certify; -1 for none."""
    from scipy.special import bdtr

    chance = bdtr(np.round(curve.errors), curve.accepted, 1 - wished)
    found, carried, starts = -1, 0.0, _starts(n, wished, level)
    for (start, weight), (end, _) in zip(starts, [*starts[1:], (n + 1, 0.0)], strict=True):
        own = np.flatnonzero((curve.accepted >= start) & (curve.accepted < end))
        spent = carried + weight
        failed = np.flatnonzero(chance[own] > spent * (1 - level))
        passed = own if not len(failed) else own[: failed[0]]
        found = int(passed[-1]) if len(passed) else found
        carried = 0.0 if len(failed) else spent
    return found


def _starts(n: int, wished: float, level: float) -> Sequence[tuple[int, float]]:
    """Return where chains begin, by number of accepted items, and their shares of the chance of error."""
    if n < FEWEST_FOR_MORE * fewest(wished, level):
        return [(fewest(wished, level), 1.0)]
    first = _first(n, wished, 1 - FIRST_WEIGHT * (1 - level))
    later = [start for share in LATER_STARTS if (start := math.ceil(share * n)) > first]
    if not later:
        return [(_first(n, wished, level), 1.0)]
    return [(first, FIRST_WEIGHT), *((start, (1 - FIRST_WEIGHT) / len(later)) for start in later)]


def _first(n: int, wished: float, level: float) -> int:
    """Return the number of accepted items at which the first chain begins."""
    from scipy.special import bdtr

    counts = np.arange(1, n + 1)
    found = fewest(wished, level)
    for errors in range(1, FEW_ERRORS + 1):
        passed = counts[(counts > errors) & (bdtr(errors, counts, 1 - wished) <= 1 - level)]
        if not len(passed) or passed[0] > EARLY * n:
            break
        found = int(passed[0])
    return found


def _best_promise(curve: RiskCoverage, n: int, level: float) -> float | None:
    """Return the greatest accuracy that can be promised, to three decimals and not rounded up; None for none of at
    least a half."""
    low, high = 499, 1000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _certified(curve, n, middle / 1000, level) >= 0 else (low, middle)
    return low / 1000 if low >= 500 else None


def _needed(curve: RiskCoverage, n: int, wished: float, level: float) -> int | None:
    """Return about how many items like these would do, to two digits and rounded up; None where no number would."""
    from scipy.special import betaincinv

    enough = np.flatnonzero((curve.accepted >= LEAST_SHARE * n) & (1 - curve.risk > wished))
    if not len(enough):
        return None
    enough = enough[np.unique(np.linspace(0, len(enough) - 1, 50).round().astype(int))]
    accepted, errors = curve.accepted[enough], curve.errors[enough]
    # The least factor by which the counts of a point must grow, by bisection of its logarithm, all points together.
    low, high = np.zeros(len(enough)), np.full(len(enough), math.log(MOST_NEEDED))
    for _ in range(30):
        middle = (low + high) / 2
        factor = np.exp(middle)
        bound = betaincinv(factor * (accepted - errors), factor * errors + 1, FIRST_WEIGHT * (1 - level))
        low, high = np.where(bound < wished, middle, low), np.where(bound < wished, high, middle)
    found = n * float(np.exp(high.min()))
    if found > 0.99 * n * MOST_NEEDED:
        return None
    unit = 10 ** max(math.floor(math.log10(found)) - 1, 0)
    return max(math.ceil(found / unit) * unit, n + 1)


def _why_not(curve: RiskCoverage, n: int, wished: float, level: float, needed: int | None) -> str:
    """Return why no threshold promises ``wished``, and what would."""
    least = fewest(wished, level)
    if n < least:
        return f"{n:,} items are too few for any threshold: {least:,}, all of them right, are the least that promise it"
    if needed is None:
        first = int(np.searchsorted(curve.accepted, max(LEAST_SHARE * n, 1)))
        share = 1 - float(curve.risk[first])
        return (
            f"of the surest {curve.coverage[first]:.0%} of the items {share:.1%} are right, and of no larger share are "
            f"more than {wished:g}: no number of such items would do"
        )
    return f"{n:,} items are too few; about {needed:,} such items would do"
