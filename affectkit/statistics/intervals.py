"""Intervals of measures over items, or over clusters of items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from affectkit.errors import DataError, UsageError
from affectkit.metrics.bootstrap import MOST_UNDEFINED
from affectkit.metrics.distribution import Floats
from affectkit.statistics.exact import lower_bound, upper_bound
from affectkit.statistics.measures import Link, Measure
from affectkit.statistics.resampling import check_draws, resampled
from affectkit.statistics.students_t import check_level, t_quantile
from affectkit.statistics.units import Units, Value, cluster_numbers, jackknife, make_units

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Method = Literal["auto", "exact", "jackknife-t", "bca", "percentile"]
METHODS: tuple[Method, ...] = ("auto", "exact", "jackknife-t", "bca", "percentile")
NOWHERE = (math.nan, math.nan)


@dataclass(frozen=True)
class Estimate:
    """A measure with its interval.

    Attributes:
        name: of the measure.
        value: NaN where it is not defined.
        low, high: bounds; NaN where there is no interval.
        method: which interval it is, in words; why there is none, where there is none.
        n: number of items.
        clusters: number of clusters, None where items are independent.
        level: wished coverage.
    """

    name: str
    value: float
    low: float
    high: float
    method: str
    n: int
    clusters: int | None
    level: float


def estimate(
    measure: Measure,
    *,
    rows: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    method: Method = "auto",
) -> Estimate:
    """Return ``measure`` with an interval; see ``estimates``."""
    options = {"rows": rows, "clusters": clusters, "level": level, "draws": draws, "seed": seed, "method": method}
    return estimates([measure], **options)[0]


def estimates(
    measures: Sequence[Measure],
    *,
    rows: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    method: Method = "auto",
) -> list[Estimate]:
    """Return each of ``measures`` with an interval, all from the same resamples where there are any.

    Args:
        measures: of the same N items.
        rows: the items that count, as numbers or (N,) bool; None for all.
        clusters: (N,) what each item belongs to (an actor), where items of one are alike; None where they are
            independent. For all N items, also where ``rows`` are given.
        level: wished coverage, in (0, 1).
        draws: number of resamples, for the methods that take any.
        seed: their address.
        method: see the table above; "auto" takes what covers.

    Raises:
        DataError: not all measures are of N items, or not all items have a cluster.
        UsageError: ``level``, ``draws`` or ``method`` is out of range.
    """
    check_level(level)
    check_draws(draws)
    if method not in METHODS:
        raise UsageError(f"'method' must be one of {', '.join(METHODS)}; got {method!r}.")
    check_alike(measures)
    known: dict[tuple[int, int], Units] = {}
    chosen = [units_of(measure, rows=rows, clusters=clusters, known=known) for measure in measures]
    return intervals_of(list(zip(measures, chosen, strict=True)), level=level, draws=draws, seed=seed, method=method)


def units_of(
    measure: Measure, *, rows: ArrayLike | None, clusters: ArrayLike | None, known: dict[tuple[int, int], Units]
) -> Units:
    """Return the units of a measure; ``known`` keeps those of the same terms and cells."""
    key = id(measure.terms), id(measure.cells)
    if key not in known:
        count = len(measure)
        numbers = cluster_numbers(clusters, count)
        terms, cells = measure.terms, measure.cells
        if rows is not None:
            rows = np.asarray(rows)
            terms, cells = terms[rows], None if cells is None else cells[rows]
            numbers = None if numbers is None else np.unique(numbers[rows], return_inverse=True)[1]
        known[key] = make_units(terms, cells=cells, cluster=numbers)
    return known[key]


def intervals_of(
    wanted: Sequence[tuple[Measure, Units]], *, level: float, draws: int, seed: int, method: Method
) -> list[Estimate]:
    """Return the estimates of measures whose units are known."""
    methods = [_chosen(measure, units) if method == "auto" else method for measure, units in wanted]
    drawn = [
        place for place, name in enumerate(methods) if name in ("bca", "percentile") and wanted[place][1].count > 1
    ]
    values = resampled([(wanted[k][1], wanted[k][0].value) for k in drawn], draws=draws, seed=seed)
    replicates = dict(zip(drawn, values, strict=True))
    found = []
    for place, ((measure, units), name) in enumerate(zip(wanted, methods, strict=True)):
        value = float(measure.value(units.total)) if units.items else math.nan
        (low, high), told = _interval(measure, units, value, name, level=level, replicates=replicates.get(place))
        if math.isnan(low) or math.isnan(high):
            low, high = NOWHERE
        clusters = units.count if units.clustered else None
        found.append(Estimate(measure.name, value, low, high, told, units.items, clusters, level))
    return found


def _chosen(measure: Measure, units: Units) -> Method:
    if measure.binary and measure.ratio is not None:
        return "exact"
    return "jackknife-t"


def _interval(
    measure: Measure, units: Units, value: float, name: str, *, level: float, replicates: Floats | None
) -> tuple[tuple[float, float], str]:
    if math.isnan(value):
        return NOWHERE, "not defined"
    over = f" over {units.count:,} clusters" if units.clustered else ""
    if name == "exact":
        return _exact(measure, units, level)
    if units.count < 2:
        return NOWHERE, "no interval: one " + ("cluster" if units.clustered else "item")
    if name == "jackknife-t":
        return jackknife_t(units, measure.value, level, measure.link), f"jackknife t{over}"
    if name == "bca":
        return bca(units, measure.value, replicates, level), f"BCa bootstrap{over}"
    return percentile(replicates, level), f"percentile bootstrap{over}"


def _exact(measure: Measure, units: Units, level: float) -> tuple[tuple[float, float], str]:
    """Return Clopper-Pearson's interval; of clusters with the effective number of items (Korn and Graubard 1998)."""
    if measure.ratio is None or not measure.binary:
        raise UsageError(f"{measure.name} is no share of items: it has no exact interval.")
    part, whole = (float(units.total[column]) for column in measure.ratio)
    tail = (1 - level) / 2
    if not units.clustered:
        return (lower_bound(round(part), round(whole), 1 - tail), upper_bound(round(part), round(whole), 1 - tail)), (
            "Clopper-Pearson"
        )
    count, share = units.count, part / whole
    if count < 2:
        return NOWHERE, "no interval: one cluster"
    error, _ = jackknife(units, measure.value)
    if not error > 0:  # all right or all wrong: what the clusters show as units of their own
        effective, told = float(min(count, whole)), "Clopper-Pearson of clusters"
    else:
        ratio = (t_quantile(1 - tail, max(whole - 1, 1)) / t_quantile(1 - tail, count - 1)) ** 2
        effective = min(whole, share * (1 - share) / error**2 * ratio)
        told = "Korn-Graubard"
    k = share * effective
    return (lower_bound(k, effective, 1 - tail), upper_bound(k, effective, 1 - tail)), f"{told} over {count:,} clusters"


def jackknife_t(units: Units, value: Value, level: float, link: Link = "identity") -> tuple[float, float]:
    """Return value +- t * error, the error by the jackknife, t with G - 1 degrees of freedom, on the scale ``link``."""
    error, _ = jackknife(units, value)
    if not error > 0:
        return NOWHERE
    half = t_quantile((1 + level) / 2, units.count - 1) * error
    return on_link(float(value(units.total)), half, link)


def on_link(value: float, half: float, link: Link) -> tuple[float, float]:
    """Return (low, high) of a value with the half width ``half``, which the scale ``link`` makes unequal on both sides;
    on the scale itself at its end, where the link is infinite.
    """
    if link == "log" and value > 0:
        times = math.exp(min(half / value, 700))
        return value / times, value * times
    if link == "logit" and 0 < value < 1:
        centre, half = math.log(value / (1 - value)), half / (value * (1 - value))
        return tuple(1 / (1 + math.exp(-max(min(centre + side, 700), -700))) for side in (-half, half))
    if link == "fisher" and -1 < value < 1:
        centre, half = math.atanh(value), half / (1 - value * value)
        return math.tanh(centre - half), math.tanh(centre + half)
    return value - half, value + half


def percentile(replicates: Floats, level: float) -> tuple[float, float]:
    """Return the quantiles of the resamples' values; (NaN, NaN) where they are equal, or too many are undefined."""
    return _quantiles(replicates, (1 - level) / 2, (1 + level) / 2)


def bca(units: Units, value: Value, replicates: Floats, level: float) -> tuple[float, float]:
    """Return the bias-corrected and accelerated interval (Efron 1987; Efron and Tibshirani 1993, sec. 14.3)."""
    from scipy.special import ndtr, ndtri

    _, acceleration = jackknife(units, value)
    defined = replicates[~np.isnan(replicates)]
    if not len(defined) or not math.isfinite(acceleration):
        return NOWHERE
    here = float(value(units.total))
    below = ((defined < here).sum() + (defined == here).sum() / 2) / len(defined)
    bias = float(ndtri(min(max(below, 0.5 / len(defined)), 1 - 0.5 / len(defined))))
    shares = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = bias + float(ndtri(tail))
        shares.append(float(ndtr(bias + z / (1 - acceleration * z))) if acceleration * z < 1 else 1.0)
    return _quantiles(replicates, *sorted(shares))


def _quantiles(values: Floats, low: float, high: float) -> tuple[float, float]:
    defined = values[~np.isnan(values)]
    if not len(defined) or len(defined) < (1 - MOST_UNDEFINED) * len(values) or np.ptp(defined) == 0:
        return NOWHERE
    found = np.quantile(defined, [low, high])
    return float(found[0]), float(found[1])


def check_alike(measures: Sequence[Measure]) -> None:
    """Refuse measures of different numbers of items."""
    lengths = {len(measure) for measure in measures}
    if len(lengths) > 1:
        raise DataError(f"measures must be of the same items; got {', '.join(map(str, sorted(lengths)))} of them.")
