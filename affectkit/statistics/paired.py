"""Differences of two models on the same items: interval, test, effect size, smallest detectable difference.

Which interval ``auto`` takes, and what 95% intervals covered when simulated (tests/statistics/test_paired_coverage.py
holds the bounds):

- shares of the same independent items (accuracy, recall): Bonett and Price's, 95 to 97 at n from 30;
- everything else: t of the jackknife over items or clusters (``intervals``), on the plain scale: 94 to 97 at n from 30
  (accuracy, macro F1, skewed means, CCC, RMSE), 93 to 97 over 5 to 100 clusters. The percentile bootstrap covered 92 to
  95 and BCa 87 to 94 at n = 30;
- none for a calibration error.

Which test:

- shares of the same independent items: McNemar's, exact;
- fewer than six clusters, whose 32 swaps at most cannot give a p below 0.05: the t of the interval, rejecting 3 to 7%
  of the differences that are none over 5 clusters;
- everything else: permutation of the models by item, or by cluster (``permutation``); size 4 to 6%.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from affectkit.errors import DataError, UsageError
from affectkit.metrics.distribution import Floats
from affectkit.statistics.exact import bonett_price, mcnemar
from affectkit.statistics.intervals import Estimate, Method, check_options, intervals_of, units_of
from affectkit.statistics.measures import Measure
from affectkit.statistics.permutation import permutation_tests
from affectkit.statistics.power import detectable
from affectkit.statistics.resampling import check_draws
from affectkit.statistics.students_t import two_sided_p
from affectkit.statistics.units import Units, cluster_numbers, jackknife

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

FEWEST_CLUSTERS = 6
"""Clusters from which a permutation test can reject at 5%: 2 / 2^6 is below it, 2 / 2^5 is not."""
Test = tuple[float, str, float]


@dataclass(frozen=True)
class Difference:
    """A measure of one model minus that of another on the same items.

    Attributes:
        name: of the measure.
        better: which is better, ``max`` or ``min``: whether a difference above 0 speaks for the first model.
        first, second: the measure of each.
        difference: first - second.
        low, high: interval of the difference; NaN where there is none.
        p: two-sided p of no difference; NaN where there is no test.
        test: its name with what it rests on; why there is none, where there is none.
        least_p: the smallest p that the test can give with so many items, clusters or swaps.
        effect_size: see ``effect_name``; NaN where it is not defined.
        effect_name: ``Cohen's g``, the share of the items on which one model alone is right that are the first's, minus
            1/2 (Cohen 1988, ch. 5); ``d_z``, mean of the differences by item over their standard deviation; for
            measures that are no means ``difference / SE``, which grows with the number of items.
        error: standard error of the difference (jackknife); NaN where it is 0 or undefined.
        detectable: the smallest true difference that a two-sided test of 5% finds with a power of 80%, see
            ``power.detectable``.
        n: number of items.
        clusters: number of clusters; None where items are independent.
        method: which interval it is, in words; where there is none, why.
        level: its wished coverage.
    """

    name: str
    better: Literal["max", "min"]
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    test: str
    least_p: float
    effect_size: float
    effect_name: str
    error: float
    detectable: float
    n: int
    clusters: int | None
    method: str
    level: float


def difference(
    first: Measure,
    second: Measure,
    *,
    rows: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    draws: int = 2000,
    permutations: int | None = None,
    seed: int = 0,
    method: Method = "auto",
) -> Difference:
    """Return the difference of a measure of two models; see ``differences``."""
    options = {"rows": rows, "clusters": clusters, "level": level, "draws": draws, "seed": seed, "method": method}
    return differences([(first, second)], permutations=permutations, **options)[0]


def differences(
    pairs: Sequence[tuple[Measure, Measure]],
    *,
    rows: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    draws: int = 2000,
    permutations: int | None = None,
    seed: int = 0,
    method: Method = "auto",
) -> list[Difference]:
    """Return first minus second of each of ``pairs``, measures of two models on the same N items in the same order.

    p-values are of one difference each: ``multiple.holm`` corrects them for their number.

    Args:
        pairs: (first, second), each of the same measure.
        rows: the items that count, as numbers or (N,) bool; None for all.
        clusters: (N,) what each item belongs to (an actor), where items of one are alike. For all N items, also where
            ``rows`` are given.
        level: wished coverage of the intervals, in (0, 1).
        draws: number of resamples, for ``bca`` and ``percentile``.
        permutations: number of swaps that permutation tests draw; None for ``draws``.
        seed: address of resamples and swaps.
        method: of the interval; ``auto`` takes what covers, see above.

    Raises:
        DataError: a pair is not of the same measure of the same items, or not all items have a cluster.
        UsageError: ``level``, ``draws``, ``permutations`` or ``method`` is out of range.
    """
    check_options(level=level, draws=draws, method=method)
    if method == "exact":
        raise UsageError("'method' exact: there is no exact interval of a difference.", "Leave it to auto.")
    permutations = draws if permutations is None else permutations
    check_draws(permutations)
    pairs = [_with_columns_alike(*pair) for pair in pairs]
    joint = joint_measures(pairs, rows=rows, clusters=clusters)
    found = intervals_of(joint, level=level, draws=draws, seed=seed, method=method)
    each = [_item_differences(*pair, rows) for pair in pairs]
    exact = [_exact_counts(pair, values, units) for pair, values, (_, units) in zip(pairs, each, joint, strict=True)]
    drawn = [k for k, (_, units) in enumerate(joint) if exact[k] is None and not _few(units)]
    tests = permutation_tests([pairs[k] for k in drawn], [joint[k][1] for k in drawn], draws=permutations, seed=seed)
    permuted = dict(zip(drawn, tests, strict=True))
    return [
        _difference(
            pair, *joint[k], estimate=found[k], permuted=permuted.get(k), each=each[k], exact=exact[k], method=method
        )
        for k, pair in enumerate(pairs)
    ]


def joint_measures(
    pairs: Sequence[tuple[Measure, Measure]], *, rows: ArrayLike | None = None, clusters: ArrayLike | None = None
) -> list[tuple[Measure, Units]]:
    """Return each difference as a measure of the terms of both models side by side, and its units.

    Raises:
        DataError: as ``differences``.
    """
    known: dict[tuple[int, ...], tuple[Measure, Units]] = {}
    clusters = cluster_numbers(clusters, len(pairs[0][0])) if pairs else None
    found = []
    for a, b in pairs:
        if len(a) != len(b) or a.better != b.better:
            raise DataError(
                f"models are compared by the same measure of the same items; got {a.name} ({a.better}) of {len(a):,} "
                f"and {b.name} ({b.better}) of {len(b):,} items."
            )
        key = id(a.terms), id(b.terms), id(a.cells), id(b.cells)
        width = a.terms.shape[1]
        value = functools.partial(_minus, first=a.value, second=b.value, width=width)
        if key not in known:
            cells = None
            if a.cells is not None and b.cells is not None and len(a):
                cells = a.cells * (int(b.cells.max()) + 1) + b.cells
            measure = Measure(a.name, a.better, np.concatenate([a.terms, b.terms], axis=1), value, cells=cells)
            known[key] = measure, units_of(measure, rows=rows, clusters=clusters)
        beside, units = known[key]
        smooth = a.smooth and b.smooth
        found.append((Measure(a.name, a.better, beside.terms, value, cells=beside.cells, smooth=smooth), units))
    return found


def _with_columns_alike(a: Measure, b: Measure) -> tuple[Measure, Measure]:
    """Return two means with terms whose columns mean the same, for swaps exchange these: tables of other means (of a
    test that knew the raters' votes, and one that did not) have them in other places.
    """
    if a.ratio is None or b.ratio is None or (a.ratio == b.ratio and a.terms.shape[1] == b.terms.shape[1]):
        return a, b
    return _of_two_columns(a), _of_two_columns(b)


def _of_two_columns(measure: Measure) -> Measure:
    terms = np.ascontiguousarray(measure.terms[:, list(measure.ratio)])
    return replace(measure, terms=terms, ratio=(0, 1), value=_mean)


def _mean(sums: Floats) -> Floats:
    part, whole = sums[..., 0], sums[..., 1]
    return np.divide(part, whole, out=np.full(np.shape(whole), math.nan), where=whole > 1e-9)


def _minus(sums: Floats, first: object, second: object, width: int) -> Floats:
    return np.asarray(first(sums[..., :width])) - second(sums[..., width:])


def _item_differences(a: Measure, b: Measure, rows: ArrayLike | None) -> Floats | None:
    """Return first minus second of each item that both are means over; None where they are no means of the same."""
    if a.ratio is None or b.ratio is None:
        return None
    (part, whole), (other, rest) = a.ratio, b.ratio
    columns = [a.terms[:, part], a.terms[:, whole], b.terms[:, other], b.terms[:, rest]]
    if rows is not None:
        columns = [column[np.asarray(rows)] for column in columns]
    if (columns[1] != columns[3]).any():
        return None
    return (columns[0] - columns[2])[columns[1] != 0]


def _exact_counts(pair: tuple[Measure, Measure], each: Floats | None, units: Units) -> tuple[int, int] | None:
    """Return on how many items the first alone is right, and the second alone; None where McNemar's test has no say."""
    if each is None or not len(each) or units.clustered or not (pair[0].binary and pair[1].binary):
        return None
    return int((each > 0).sum()), int((each < 0).sum())


def _few(units: Units) -> bool:
    return units.clustered and units.count < FEWEST_CLUSTERS


def _difference(
    pair: tuple[Measure, Measure],
    measure: Measure,
    units: Units,
    *,
    estimate: Estimate,
    permuted: Test | None,
    each: Floats | None,
    exact: tuple[int, int] | None,
    method: Method,
) -> Difference:
    width = pair[0].terms.shape[1]
    error = jackknife(units, measure.value)[0] if measure.smooth else math.nan
    error = error if error > 0 else math.nan
    bounds, told = (estimate.low, estimate.high), estimate.method
    if exact is not None and method == "auto":
        bounds, told = bonett_price(*exact, len(each), level=estimate.level), "Bonett-Price"
    p, test, least = _test(estimate.value, error, units, exact=exact, permuted=permuted)
    size, name = _effect(estimate.value, error, each, shares=pair[0].binary and pair[1].binary)
    return Difference(
        name=pair[0].name,
        better=pair[0].better,
        first=float(pair[0].value(units.total[:width])),
        second=float(pair[1].value(units.total[width:])),
        difference=estimate.value,
        low=bounds[0],
        high=bounds[1],
        p=p,
        test=test,
        least_p=least,
        effect_size=size,
        effect_name=name,
        error=error,
        detectable=detectable(error, units.count - 1),
        n=units.items,
        clusters=estimate.clusters,
        method=told,
        level=estimate.level,
    )


def _test(value: float, error: float, units: Units, *, exact: tuple[int, int] | None, permuted: Test | None) -> Test:
    """Return (p, name, least p that it can give)."""
    if exact is not None:
        b, c = exact
        return mcnemar(b, c), f"exact McNemar, {b:,} against {c:,}", min(1.0, 2.0 * 0.5 ** (b + c))
    if permuted is not None:
        return permuted
    if math.isnan(error) or math.isnan(value):
        return math.nan, "no test: " + ("one cluster" if units.count < 2 else "not defined"), math.nan
    return two_sided_p(value / error, units.count - 1), f"t over {units.count} clusters, too few to permute", 0.0


def _effect(value: float, error: float, each: Floats | None, *, shares: bool) -> tuple[float, str]:
    """Return an effect size and its name, see ``Difference``."""
    if each is None:
        return value / error, "difference / SE"
    if shares:
        plus, minus = int((each > 0).sum()), int((each < 0).sum())
        return (plus / (plus + minus) - 0.5 if plus + minus else 0.0), "Cohen's g"
    spread = float(each.std(ddof=1)) if len(each) > 1 else 0.0
    return (float(each.mean()) / spread if spread > 0 else math.nan), "d_z"
