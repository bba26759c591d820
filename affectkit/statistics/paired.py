"""Differences of two models on the same items: interval, test, effect size, smallest detectable difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from affectkit.errors import DataError, UsageError
from affectkit.metrics.distribution import Floats
from affectkit.statistics.exact import mcnemar
from affectkit.statistics.intervals import METHODS, Estimate, Method, intervals_of
from affectkit.statistics.measures import Measure
from affectkit.statistics.permutation import permutation_tests
from affectkit.statistics.power import detectable
from affectkit.statistics.resampling import check_draws
from affectkit.statistics.students_t import check_level, t_quantile
from affectkit.statistics.units import Units, cluster_numbers, jackknife, make_units

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Difference:
    """A measure of one model minus that of another on the same items.

    Attributes:
        name: of the measure.
        better: which is better, ``max`` or ``min``: a difference above 0 speaks for the first model, or against it.
        first, second: the measure of each.
        difference: first - second.
        low, high: interval of the difference; NaN where there is none.
        p: two-sided p of no difference; NaN where there is no test.
        test: its name, and how many clusters or swaps it rests on.
        effect_size: how large the difference is, in units that do not depend on the number of items where there are
            such; see ``effect_name``.
        effect_name: "Cohen's g", "d_z" or "difference / jackknife SE".
        error: standard error of the difference (jackknife).
        detectable: the smallest true difference that a two-sided test of 5% finds with 80% power, see ``power``.
        n: number of items.
        clusters: number of clusters; None where items are independent.
        method: which interval it is.
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
    effect_size: float
    effect_name: str
    error: float
    detectable: float
    n: int
    clusters: int | None
    method: str
    level: float


def difference(a: Measure, b: Measure, **options: object) -> Difference:
    """Return the difference of one measure of two models; see ``differences`` for the options."""
    return differences([(a, b)], **options)[0]


def differences(
    pairs: Sequence[tuple[Measure, Measure]],
    *,
    rows: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    method: Method = "auto",
    permutations: int | None = None,
) -> list[Difference]:
    """Return first minus second of each of ``pairs``, measures of two models on the same N items.

    Args:
        pairs: (first, second), each of the same measure.
        rows: the items that count, as numbers or (N,) bool; None for all.
        clusters: (N,) what each item belongs to, where items of one are alike.
        level: wished coverage of the intervals.
        draws: number of resamples, for the methods that take any.
        seed: address of resamples and permutations.
        method: of the interval.
        permutations: number of swaps drawn by permutation tests; None for ``draws``.

    Raises:
        DataError: measures are not of the same items, or not all items have a cluster.
        UsageError: ``level``, ``draws``, ``permutations`` or ``method`` is out of range.
    """
    check_level(level)
    check_draws(draws)
    check_draws(draws if permutations is None else permutations)
    if method not in METHODS:
        raise UsageError(f"'method' must be one of {', '.join(METHODS)}; got {method!r}.")
    joint = _joint(pairs, rows=rows, clusters=clusters)
    drawn: Method = "jackknife-t" if method in ("auto", "exact") else method
    found = intervals_of(joint, level=level, draws=draws, seed=seed, method=drawn)
    tests = permutation_tests(pairs, [units for _, units in joint], draws=permutations or draws, seed=seed)
    return [
        _difference(
            pair, measure, units, estimate=estimate, test=test, each=_item_differences(*pair, rows), method=method
        )
        for pair, (measure, units), estimate, test in zip(pairs, joint, found, tests, strict=True)
    ]


def _joint(
    pairs: Sequence[tuple[Measure, Measure]], *, rows: ArrayLike | None, clusters: ArrayLike | None
) -> list[tuple[Measure, Units]]:
    """Return, for each pair, the difference as a measure of the terms of both side by side, and its units."""
    known: dict[tuple[int, ...], tuple[Floats, Floats | None, Units]] = {}
    found = []
    for a, b in pairs:
        if len(a) != len(b) or a.better != b.better:
            raise DataError(
                f"measures to be compared must be the same one of the same items; got {a.name} ({a.better}) of "
                f"{len(a):,} and {b.name} ({b.better}) of {len(b):,}."
            )
        key = id(a.terms), id(b.terms), id(a.cells), id(b.cells)
        if key not in known:
            terms = np.concatenate([a.terms, b.terms], axis=1)
            cells = None
            if a.cells is not None and b.cells is not None and len(a):
                cells = a.cells * (int(b.cells.max()) + 1) + b.cells
            numbers = cluster_numbers(clusters, len(a))
            if rows is not None:
                chosen = np.asarray(rows)
                terms, cells = terms[chosen], None if cells is None else cells[chosen]
                numbers = None if numbers is None else np.unique(numbers[chosen], return_inverse=True)[1]
            known[key] = terms, cells, make_units(terms, cells=cells, cluster=numbers)
        terms, cells, units = known[key]
        width = a.terms.shape[1]

        def value(sums: Floats, a: Measure = a, b: Measure = b, width: int = width) -> Floats:
            return np.asarray(a.value(sums[..., :width])) - b.value(sums[..., width:])

        found.append((Measure(a.name, a.better, terms, value, cells=cells), units))
    return found


def _item_differences(a: Measure, b: Measure, rows: ArrayLike | None) -> Floats | None:
    """Return first minus second of the items that both measures are means of; None where they are no such means."""
    if a.ratio is None or b.ratio is None:
        return None
    (part, whole), (other, rest) = a.ratio, b.ratio
    first, second = a.terms, b.terms
    if rows is not None:
        first, second = first[np.asarray(rows)], second[np.asarray(rows)]
    if (first[:, whole] != second[:, rest]).any():
        return None
    return (first[:, part] - second[:, other])[first[:, whole] != 0]


def _difference(
    pair: tuple[Measure, Measure],
    measure: Measure,
    units: Units,
    *,
    estimate: Estimate,
    test: tuple[float, str],
    each: Floats | None,
    method: Method,
) -> Difference:
    a, b = pair
    width = a.terms.shape[1]
    shares = a.binary and b.binary and each is not None
    error, _ = jackknife(units, measure.value)
    low, high, told, (p, test_name) = estimate.low, estimate.high, estimate.method, test
    if shares and not units.clustered and len(each):
        plus, minus = int((each > 0).sum()), int((each < 0).sum())
        p, test_name = mcnemar(plus, minus), f"exact McNemar, {plus:,} against {minus:,}"
        if method in ("auto", "exact"):
            low, high = bonett_price(plus, minus, len(each), level=estimate.level)
            told = "Bonett-Price"
    size, name = _effect(estimate.value, error, each, shares=shares)
    return Difference(
        name=a.name,
        better=a.better,
        first=float(a.value(units.total[:width])),
        second=float(b.value(units.total[width:])),
        difference=estimate.value,
        low=low,
        high=high,
        p=p,
        test=test_name,
        effect_size=size,
        effect_name=name,
        error=error,
        detectable=detectable(error, units.count - 1) if error > 0 else math.nan,
        n=units.items,
        clusters=estimate.clusters,
        method=told,
        level=estimate.level,
    )


def _effect(value: float, error: float, each: Floats | None, *, shares: bool) -> tuple[float, str]:
    """Return an effect size and its name: Cohen's g of shares, b / (b + c) - 1/2 of the items that one model alone has
    right (Cohen 1988, ch. 5); d_z of other means, their mean over their standard deviation; else difference over
    standard error, which grows with the number of items.
    """
    if shares:
        plus, minus = int((each > 0).sum()), int((each < 0).sum())
        return (plus / (plus + minus) - 0.5 if plus + minus else 0.0), "Cohen's g"
    if each is not None:
        spread = float(each.std(ddof=1)) if len(each) > 1 else math.nan
        return (float(each.mean()) / spread if spread > 0 else math.nan), "d_z"
    return (value / error if error > 0 else math.nan), "difference / jackknife SE"


def bonett_price(b: int, c: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the difference of two shares of the same ``n`` items, of which the first alone has ``b``
    and the second alone ``c``: Wald's after one item more is counted to each (Bonett and Price 2012, "Adjusted Wald
    confidence interval for a difference of binomial proportions based on paired data").

    Raises:
        UsageError: a count is negative, or they exceed ``n``; or ``level`` is out of range.
    """
    check_level(level)
    if min(b, c) < 0 or b + c > n:
        raise UsageError(f"'b' and 'c' must be counts of which no more than n are; got {b} and {c} of {n}.")
    first, second = (b + 1) / (n + 2), (c + 1) / (n + 2)
    half = t_quantile((1 + level) / 2) * math.sqrt((first + second - (first - second) ** 2) / (n + 2))
    return max(first - second - half, -1.0), min(first - second + half, 1.0)
