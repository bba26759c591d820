"""Intervals of measures over items, or over clusters of items.

``auto`` takes the interval that covered best when simulated (tests/statistics/test_coverage.py, which holds the
bounds):

- a share of independent items (accuracy, recall): Clopper-Pearson, exact, never below the level;
- everything else: t of the jackknife over the units, which are the items, or the clusters where there are some, with
  G - 1 degrees of freedom for G units, on the scale that makes the error symmetric (``Measure.link``). Without one
  cluster each in turn it is CV3 of MacKinnon, Nielsen and Webb (2023, "Cluster-robust inference", J. Econometrics 232);
- a share over clusters without a single wrong (or right) item: Clopper-Pearson with the clusters as the items;
- none for a calibration error (``measures.calibration_measure``).

Coverage of nominal 95% intervals in percent, simulated; the percentile bootstrap and BCa beside it, which can be asked
for by name:

====================================  ========  ===========  =====
n independent items, or G clusters    ``auto``  percentile   BCa
====================================  ========  ===========  =====
accuracy, n = 30                      96.8      93.9         96.8
balanced accuracy, n = 100            94.0      92.2         94.4
macro F1, n = 100                     95.0      93.5         94.8
CCC, normal ratings, n = 30           94.5      92.1         92.3
CCC, skewed errors, n = 100           92.7      92.0         89.2
exponential mean, n = 30              94.3      91.8         92.5
log-normal mean, n = 30               90.3      87.3         89.2
log-normal mean, n = 100              93.4      92.4         91.8
macro F1, 5 clusters                  96.5      85.8         85.0
CCC, 5 clusters                       94.5      81.0         76.3
skewed mean, 5 clusters               92.3      78.4         78.7
CCC, 10 clusters                      96.1      91.3         88.9
skewed mean, 10 clusters              92.8      85.9         86.3
====================================  ========  ===========  =====

Below the level stay: very skewed means and errors (KL, RMSE) of under 100 items or 30 clusters, down to 90; macro F1
and balanced accuracy where a class has less than about ten items (88 to 92 at n = 30 of four uneven classes).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from affectkit.errors import DataError, UsageError
from affectkit.metrics.distribution import Floats
from affectkit.statistics.exact import clopper_pearson
from affectkit.statistics.measures import Link, Measure
from affectkit.statistics.resampling import check_draws, resampled
from affectkit.statistics.students_t import check_level, t_quantile
from affectkit.statistics.units import Units, Value, cluster_numbers, jackknife, make_units

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Method: TypeAlias = Literal["auto", "exact", "jackknife-t", "bca", "percentile"]
METHODS: tuple[Method, ...] = get_args(Method)
MOST_UNDEFINED = 0.1
"""Where a larger share of the resamples leaves a measure undefined, it has no interval."""
NOWHERE = (math.nan, math.nan)
"""The bounds where there is no interval."""
_DRAWN = ("bca", "percentile")


@dataclass(frozen=True)
class Estimate:
    """A measure with its interval.

    Attributes:
        name: of the measure.
        value: NaN where it is not defined.
        low, high: bounds; NaN where there is no interval.
        method: which interval it is, in words; where there is none, why.
        n: number of items.
        clusters: number of clusters; None where items are independent.
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

    @property
    def has_interval(self) -> bool:
        """Return whether there are bounds."""
        return math.isfinite(self.low) and math.isfinite(self.high)


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
    """Return each of ``measures`` with an interval; resamples, where a method takes some, are the same for all.

    An interval says how far a measure of these trained models would vary with other items of the same kind (or other
    clusters); not how far with another training.

    Args:
        measures: of the same N items.
        rows: the items that count, as numbers or (N,) bool; None for all.
        clusters: (N,) what each item belongs to (an actor), where items of one are alike; None where they are
            independent. For all N items, also where ``rows`` are given.
        level: wished coverage, in (0, 1).
        draws: number of resamples, for ``bca`` and ``percentile``.
        seed: their address.
        method: ``auto`` takes what covers, see above; ``exact`` is for shares of independent items alone.

    Raises:
        DataError: not all measures are of N items, or not all items have a cluster.
        UsageError: ``level``, ``draws`` or ``method`` is out of range, or a measure has no exact interval.
    """
    check_options(level=level, draws=draws, method=method)
    check_alike(measures)
    clusters = cluster_numbers(clusters, len(measures[0])) if measures else None
    known: dict[tuple[int, int], Units] = {}
    wanted = []
    for measure in measures:
        key = id(measure.terms), id(measure.cells)
        if key not in known:
            known[key] = units_of(measure, rows=rows, clusters=clusters)
        wanted.append((measure, known[key]))
    return intervals_of(wanted, level=level, draws=draws, seed=seed, method=method)


def check_options(*, level: float, draws: int, method: str) -> None:
    """Refuse what is out of range.

    Raises:
        UsageError: it is.
    """
    check_level(level)
    check_draws(draws)
    if method not in METHODS:
        raise UsageError(f"'method' must be one of {', '.join(METHODS)}; got {method!r}.")


def check_alike(measures: Sequence[Measure]) -> None:
    """Refuse measures of different numbers of items.

    Raises:
        DataError: they are.
    """
    lengths = sorted({len(measure) for measure in measures})
    if len(lengths) > 1:
        raise DataError(f"measures must be of the same items; got {' and '.join(map(str, lengths))} of them.")


def units_of(
    measure: Measure, *, rows: ArrayLike | None = None, clusters: ArrayLike | None = None, kinds: bool = True
) -> Units:
    """Return the units of a measure, of ``rows`` of its items, see ``estimates``.

    Args:
        measure: whose terms are summed.
        rows: the items that count.
        clusters: of all items.
        kinds: whether items of few kinds may be counted instead of listed.
    """
    numbers, terms, cells = cluster_numbers(clusters, len(measure)), measure.terms, measure.cells if kinds else None
    if rows is not None:
        chosen = np.asarray(rows)
        terms, cells = terms[chosen], None if cells is None else cells[chosen]
        numbers = None if numbers is None else np.unique(numbers[chosen], return_inverse=True)[1]
    return make_units(terms, cells=cells, cluster=numbers)


def intervals_of(
    wanted: Sequence[tuple[Measure, Units]], *, level: float, draws: int, seed: int, method: Method
) -> list[Estimate]:
    """Return the estimates of measures whose units are known."""
    drawn = [k for k, (_, units) in enumerate(wanted) if method in _DRAWN and units.count > 1]
    values = resampled([(wanted[k][1], wanted[k][0].value) for k in drawn], draws=draws, seed=seed)
    replicates = dict(zip(drawn, values, strict=True))
    found = []
    for place, (measure, units) in enumerate(wanted):
        value = float(measure.value(units.total)) if units.items else math.nan
        (low, high), told = _interval(
            measure, units, value, method=method, level=level, replicates=replicates.get(place)
        )
        clusters = units.count if units.clustered else None
        found.append(Estimate(measure.name, value, low, high, told, units.items, clusters, level))
    return found


def _interval(
    measure: Measure, units: Units, value: float, *, method: Method, level: float, replicates: Floats | None
) -> tuple[tuple[float, float], str]:
    """Return (low, high) and which interval it is, or NaN and why there is none."""
    if math.isnan(value):
        return NOWHERE, "no interval: not defined"
    if method == "auto" and not measure.smooth:
        return NOWHERE, "no interval: chance adds to the error itself"
    share = measure.binary and measure.ratio is not None
    if method == "exact" and (not share or units.clustered):
        raise UsageError(f"'method' exact is for shares of independent items; {measure.name} is none.")
    if share and not units.clustered and method in ("auto", "exact"):
        part, whole = (round(float(units.total[column])) for column in measure.ratio)
        return clopper_pearson(part, whole, level), "Clopper-Pearson"
    over = f" over {units.count:,} clusters" if units.clustered else ""
    if units.count < 2:
        return NOWHERE, "no interval: one " + ("cluster" if units.clustered else "item")
    if method in _DRAWN:
        found = bca(units, measure.value, replicates, level) if method == "bca" else percentile(replicates, level)
        told = ("BCa bootstrap" if method == "bca" else "percentile bootstrap") + over
        return found, "no interval: resamples are equal or undefined" if math.isnan(found[0]) else told
    found = jackknife_t(units, measure.value, level, measure.link)
    if not math.isnan(found[0]):
        return found, f"jackknife t{over}"
    if share and value in (0.0, 1.0) and method == "auto":
        count = round(min(units.count, float(units.total[measure.ratio[1]])))
        return clopper_pearson(round(value) * count, count, level), f"Clopper-Pearson{over}"
    return (
        NOWHERE,
        f"no interval: without one {'cluster' if units.clustered else 'item'} it is undefined, or never differs",
    )


def jackknife_t(units: Units, value: Value, level: float, link: Link = "identity") -> tuple[float, float]:
    """Return value +- t * error, the error by the jackknife, t with G - 1 degrees of freedom, on the scale ``link``;
    (NaN, NaN) where the error is 0 or undefined.
    """
    error, _ = jackknife(units, value)
    if not error > 0:
        return NOWHERE
    half = t_quantile((1 + level) / 2, units.count - 1) * error
    return on_link(float(value(units.total)), half, link)


def on_link(value: float, half: float, link: Link) -> tuple[float, float]:
    """Return (low, high) around ``value`` for the half width ``half``, carried to the scale ``link`` and back (the
    delta method); on the plain scale at the end of a range, where the link is infinite.
    """
    if link == "log" and value > 0:
        times = math.exp(min(half / value, 300))
        return value / times, value * times
    if link == "logit" and 0 < value < 1:
        centre, half = math.log(value / (1 - value)), half / (value * (1 - value))
        low, high = (1 / (1 + math.exp(max(min(-centre - side, 300), -300))) for side in (-half, half))
        return low, high
    if link == "fisher" and -1 < value < 1:
        centre, half = math.atanh(value), half / (1 - value * value)
        return math.tanh(centre - half), math.tanh(centre + half)
    return value - half, value + half


def percentile(replicates: Floats, level: float) -> tuple[float, float]:
    """Return the quantiles of the resamples' values (Efron and Tibshirani 1993, ch. 13); (NaN, NaN) where they are
    equal, or more than a tenth are undefined.
    """
    return _quantiles(replicates, (1 - level) / 2, (1 + level) / 2)


def bca(units: Units, value: Value, replicates: Floats, level: float) -> tuple[float, float]:
    """Return the bias-corrected and accelerated interval (Efron 1987; Efron and Tibshirani 1993, sec. 14.3), (NaN, NaN)
    as ``percentile``. Resamples equal to the value count half to the bias.
    """
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
