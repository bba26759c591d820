"""Metrics as functions of sums of per-item terms.

Nearly every metric is one: accuracy of the sums of (1, right), macro F1 of how often each class was hit, true and
predicted, CCC of moments. So the metric of any subset or resample of the items costs sums, and no pass over
predictions. Values equal those of ``affectkit.metrics`` to rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from affectkit.errors import DataError
from affectkit.metrics import METRICS
from affectkit.metrics.calibration import BINS, reliability
from affectkit.metrics.classification import confusion_matrix
from affectkit.metrics.distribution import Floats, check_vector
from affectkit.metrics.ratings import EQUAL, MEASURES, check_ratings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Link = Literal["identity", "logit", "fisher", "log"]
"""The scale on which a measure's error is nearly symmetric: a share on that of log odds, a correlation on that of
atanh, an error or divergence, above 0, on that of its logarithm."""


@dataclass(frozen=True, eq=False)
class Measure:
    """A metric of N items as a function of sums of their terms.

    Attributes:
        name: as ``Task.metrics`` names it: ``accuracy``, ``macro_f1``, ``kl``, ``valence_ccc``.
        better: which is better, ``max`` or ``min``.
        terms: (N, K) float64, one row an item. Measures that share terms share the array itself, so that they are
            summed once.
        value: takes sums of rows of ``terms`` (..., K), returns values (...); NaN where undefined.
        ratio: columns (part, whole), where the value is sum of part / sum of whole: a mean, or a share; else None.
        binary: whether part and whole are 0 or 1, part at most whole: a share of items, with exact intervals.
        link: see ``Link``.
        cells: (N,) whole numbers from 0, where ``terms`` are a function of few such numbers (the pair of true and
            predicted class); else None. Resamples are then drawn by cell, not by item.
        of_model: whether it depends on the predictions; a limit set by raters does not.
        smooth: whether small changes of the sums change it in proportion. An absolute value does not, and a calibration
            error is a sum of them: biased by chance, so that no interval here covers it.
    """

    name: str
    better: Literal["max", "min"]
    terms: Floats
    value: Callable[[Floats], Floats]
    ratio: tuple[int, int] | None = None
    binary: bool = False
    link: Link = "identity"
    cells: NDArray[np.int64] | None = None
    of_model: bool = True
    smooth: bool = True

    def __len__(self) -> int:
        """Return N."""
        return len(self.terms)

    def of(self, rows: ArrayLike | None = None) -> float:
        """Return the value over all items, or over ``rows`` (numbers, or (N,) bool)."""
        terms = self.terms if rows is None else self.terms[np.asarray(rows)]
        return float(self.value(terms.sum(axis=0)))


def left_out(metrics: Iterable[str], measures: Iterable[Measure]) -> list[str]:
    """Return the names of ``metrics`` that no measure has: they are no function of sums, and have no interval here."""
    there = {measure.name for measure in measures}
    return [name for name in metrics if name not in there]


# --- classes ----------------------------------------------------------------------------------------------------------


def class_measures(true: ArrayLike, predicted: ArrayLike, classes: int | Sequence[str]) -> list[Measure]:
    """Return ``accuracy``, ``balanced_accuracy`` and ``macro_f1`` as ``metrics.classification`` computes them.

    Args:
        true, predicted: (N,) class numbers from 0.
        classes: their number C, or their names.

    Raises:
        DataError: as ``confusion_matrix``.
    """
    terms, cells, count = _class_terms(true, predicted, classes)
    make = functools.partial(Measure, better="max", terms=terms, cells=cells, link="logit")
    return [
        make("accuracy", value=functools.partial(_ratio_of, part=1, whole=0), ratio=(1, 0), binary=True),
        make("balanced_accuracy", value=functools.partial(_mean_recall, count=count)),
        make("macro_f1", value=functools.partial(_mean_f1, count=count)),
    ]


def per_class_measures(true: ArrayLike, predicted: ArrayLike, classes: Sequence[str]) -> list[Measure]:
    """Return ``recall NAME``, ``precision NAME`` and ``f1 NAME`` of each class, as ``classification.per_class``.

    The number of items of which a recall or precision is the share varies from resample to resample; their exact
    intervals are for the number that there is.
    """
    terms, cells, count = _class_terms(true, predicted, classes)
    make = functools.partial(Measure, better="max", terms=terms, cells=cells, link="logit")
    found = []
    for kind, whole in (("recall", 2 + count), ("precision", 2 + 2 * count)):
        for k, name in enumerate(classes):
            columns = (2 + k, whole + k)
            value = functools.partial(_ratio_of, part=columns[0], whole=columns[1])
            found.append(make(f"{kind} {name}", value=value, ratio=columns, binary=True))
    for k, name in enumerate(classes):
        found.append(make(f"f1 {name}", value=functools.partial(_f1_of, class_number=k, count=count)))
    return found


def _class_terms(
    true: ArrayLike, predicted: ArrayLike, classes: int | Sequence[str]
) -> tuple[Floats, NDArray[np.int64], int]:
    """Return terms (N, 2 + 3C): 1, right, then hit, true and predicted by class; the cells (N,), and C."""
    count = classes if isinstance(classes, int) else len(classes)
    confusion_matrix(true, predicted, count)  # which checks them
    true, predicted = np.asarray(true, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    terms = np.zeros((len(true), 2 + 3 * count))
    rows, right = np.arange(len(true)), true == predicted
    terms[:, 0] = 1
    terms[:, 1] = right
    terms[rows[right], 2 + true[right]] = 1
    terms[rows, 2 + count + true] = 1
    terms[rows, 2 + 2 * count + predicted] = 1
    return terms, true * count + predicted, count


def _by_class(sums: Floats, count: int) -> tuple[Floats, Floats, Floats]:
    return sums[..., 2 : 2 + count], sums[..., 2 + count : 2 + 2 * count], sums[..., 2 + 2 * count :]


def _mean_recall(sums: Floats, count: int) -> Floats:
    hits, true, _ = _by_class(sums, count)
    return _mean_of_defined(hits, true)


def _mean_f1(sums: Floats, count: int) -> Floats:
    hits, true, predicted = _by_class(sums, count)
    return _mean_of_defined(2 * hits, true + predicted)


def _f1_of(sums: Floats, class_number: int, count: int) -> Floats:
    hits, true, predicted = (values[..., class_number] for values in _by_class(sums, count))
    return _divide(2 * hits, true + predicted)


def _mean_of_defined(part: Floats, whole: Floats) -> Floats:
    """Return the mean over the classes (last axis) whose whole is above 0 of part / whole; NaN where there is none."""
    there = whole > 0.5  # sums of 0 and 1, perhaps a total minus a part of it
    shares = np.divide(part, whole, out=np.zeros(np.shape(whole)), where=there)
    return _divide(shares.sum(axis=-1), there.sum(axis=-1))


def _ratio_of(sums: Floats, part: int, whole: int) -> Floats:
    return _divide(sums[..., part], sums[..., whole])


def _divide(part: ArrayLike, whole: ArrayLike) -> Floats:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 1e-9)


# --- means ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ItemValues:
    """One value an item, whose mean is a metric.

    Attributes:
        values: (N,); NaN for an item that the metric is not of.
        better: ``max`` or ``min``.
        of_model: see ``Measure``.
    """

    values: Floats
    better: Literal["max", "min"] = "min"
    of_model: bool = True


def mean_measures(values: Mapping[str, ItemValues]) -> list[Measure]:
    """Return the mean of each of ``values`` over the items that have one, all with the same terms.

    Raises:
        DataError: they are not (N,) each, of one N, or a value is infinite.
    """
    arrays = {name: check_vector(entry.values, name, each="items") for name, entry in values.items()}
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) > 1:
        raise DataError(f"all values must be of the same items; got {', '.join(map(str, sorted(lengths)))} of them.")
    endless = [name for name, array in arrays.items() if np.isinf(array).any()]
    if endless:
        raise DataError(f"values must be finite, or NaN for items that have none; {', '.join(endless)} has infinity.")
    if not arrays:
        return []
    columns, places = [np.ones(lengths.pop())], {}
    for name, array in arrays.items():
        known = ~np.isnan(array)
        places[name] = (len(columns), 0 if known.all() else len(columns) + 1)
        columns.append(np.where(known, array, 0.0))
        if not known.all():
            columns.append(known.astype(np.float64))
    terms = np.stack(columns, axis=1)
    found = []
    for name, entry in values.items():
        part, whole = places[name]
        two = bool(((terms[:, part] == 0) | (terms[:, part] == 1)).all())
        positive = bool((terms[:, part] >= 0).all())
        inside = positive and bool((terms[:, part] <= 1).all()) and entry.better == "max"
        found.append(
            Measure(
                name,
                entry.better,
                terms,
                functools.partial(_ratio_of, part=part, whole=whole),
                ratio=(part, whole),
                binary=two,
                link="logit" if inside else "log" if positive else "identity",
                cells=(terms[:, part] + 2 * terms[:, whole]).astype(np.int64) if two else None,
                of_model=entry.of_model,
            )
        )
    return found


def distribution_measures(
    target: ArrayLike, predicted: ArrayLike, metrics: Mapping[str, str] | None = None
) -> list[Measure]:
    """Return the metrics of ``metrics.METRICS`` that are means over items of a value of probabilities and target.

    Args:
        target: (N, C) shares, or one-hot labels.
        predicted: (N, C) probabilities.
        metrics: names and directions ("max" or "min") of those wanted; None for all of the task over distributions.
            One that gives a single number, not one an item, is left out.

    Raises:
        DataError: as ``metrics.distribution``.
    """
    if metrics is None:
        metrics = {name: entry.direction for name, entry in METRICS.items() if "distribution" in entry.tasks}
    return mean_measures(metric_values(target, predicted, metrics))


def metric_values(target: ArrayLike, predicted: ArrayLike, metrics: Mapping[str, str]) -> dict[str, ItemValues]:
    """Return the values by item of ``distribution_measures``, to be put together with others."""
    p, q = np.asarray(predicted, dtype=np.float64), np.asarray(target, dtype=np.float64)
    found = {}
    for name, better in metrics.items():
        values = np.asarray(METRICS[name].load()(p, q), dtype=np.float64)
        if values.shape == (len(p),):
            found[name] = ItemValues(values, better)
    return found


def calibration_measure(name: str, confidence: ArrayLike, agreement: ArrayLike, bins: int = BINS) -> Measure:
    """Return the expected calibration error as ``calibration.expected_calibration_error`` computes it.

    It is the sum over bins of |sum of agreement - confidence| / N, which chance makes larger, the more the fewer items
    a bin holds; resamples add the same once more. Simulated, 95% intervals of a calibrated model held its error, 0, in
    0% (percentile, BCa) to 20% (jackknife) of the cases at any n up to 10,000, so that none is given.

    Args:
        name: of the measure.
        confidence, agreement: (N,) in [0, 1].
        bins: of equal width.

    Raises:
        DataError, UsageError: as ``calibration.reliability``.
    """
    edges = reliability(confidence, agreement, bins).edges
    confidence, agreement = (np.clip(np.asarray(v, dtype=np.float64), 0, 1) for v in (confidence, agreement))
    index = np.maximum(np.searchsorted(edges, confidence, side="left") - 1, 0)
    terms = np.zeros((len(confidence), 1 + bins))
    terms[:, 0] = 1
    terms[np.arange(len(index)), 1 + index] = agreement - confidence
    return Measure(name, "min", terms, _calibration_error, smooth=False)


def _calibration_error(sums: Floats) -> Floats:
    return _divide(np.abs(sums[..., 1:]).sum(axis=-1), sums[..., 0])


# --- ratings ----------------------------------------------------------------------------------------------------------


def rating_measures(predicted: ArrayLike, actual: ArrayLike, names: Sequence[str]) -> list[Measure]:
    """Return every one of ``ratings.MEASURES`` as a mean over the dimensions, then ``NAME_measure`` of each dimension.

    Args:
        predicted, actual: (N, D) finite, a column for each of ``names``; (N,) for one.
        names: of the D dimensions, in the order of the columns; with one, measures have no prefix.

    Raises:
        DataError: as ``metrics.ratings``, or there are not as many columns as names.
    """
    pairs = _columns(predicted, actual, names)
    terms = np.concatenate([np.ones((len(pairs[0][0]), 1)), *(_rating_terms(p, q) for p, q in pairs)], axis=1)
    floors = [tuple(_floor(values) for values in pair) for pair in pairs]
    links = {"ccc": "fisher", "r": "fisher", "r2_fitted": "logit", "rmse": "log", "rmse_fitted": "log"}
    found, single = [], []
    for name in MEASURES:
        make = functools.partial(Measure, better=METRICS[name].direction, terms=terms, link=links.get(name, "identity"))
        found.append(make(name, value=functools.partial(_mean_rating, name=name, floors=floors)))
        for place, own in enumerate(names if len(names) > 1 else ()):
            value = functools.partial(_rating, name=name, place=place, floors=floors[place])
            single.append(make(f"{own}_{name}", value=value))
    return found + single


def _columns(predicted: ArrayLike, actual: ArrayLike, names: Sequence[str]) -> list[tuple[Floats, Floats]]:
    arrays = [np.asarray(values) for values in (predicted, actual)]
    arrays = [values[:, None] if values.ndim == 1 else values for values in arrays]
    for values, what in zip(arrays, ("predicted", "actual"), strict=True):
        if values.ndim != 2 or values.shape[1] != len(names) or not names:
            raise DataError(f"{what} must have a column for each of {', '.join(names)}; got {values.shape}.")
    return [check_ratings(arrays[0][:, place], arrays[1][:, place]) for place in range(len(names))]


def _rating_terms(p: Floats, q: Floats) -> Floats:
    """Return (N, 7): x, y, x², y², xy, (p - q)² and p - q, x and y centred so that little cancels."""
    if not len(p):
        return np.empty((0, 7))
    x, y = p - p.mean(), q - q.mean()
    return np.stack([x, y, x * x, y * y, x * y, np.square(p - q), p - q], axis=1)


def _floor(values: Floats) -> float:
    """Return the variance up to which values count as equal, see ``ratings.EQUAL``."""
    return float((EQUAL * np.abs(values).max()) ** 2) if len(values) else 0.0


def _mean_rating(sums: Floats, name: str, floors: Sequence[tuple[float, float]]) -> Floats:
    each = [_rating(sums, name, place, pair) for place, pair in enumerate(floors)]
    return np.mean(each, axis=0)


def _rating(sums: Floats, name: str, place: int, floors: tuple[float, float]) -> Floats:
    """Return one of ``ratings.MEASURES`` from sums (..., 1 + 7D) of one, then ``_rating_terms`` by dimension."""
    count = np.asarray(sums)[..., 0]
    few = np.maximum(count, 1e-9)[..., None]
    x, y, xx, yy, xy, mse, gap = np.moveaxis(sums[..., 1 + 7 * place : 8 + 7 * place] / few, -1, 0)
    if name == "rmse":
        return np.where(count > 0.5, np.sqrt(np.maximum(mse, 0)), np.nan)
    p_variance, q_variance, covariance = xx - x * x, yy - y * y, xy - x * y
    defined = (p_variance > np.maximum(floors[0], 1e-12 * xx)) & (q_variance > np.maximum(floors[1], 1e-12 * yy))
    defined &= count > 1.5
    p_variance, q_variance = (np.where(defined, values, np.nan) for values in (p_variance, q_variance))
    if name == "r2":
        return 1 - mse / q_variance
    if name == "ccc":
        return 2 * covariance / (p_variance + q_variance + gap * gap)
    r = np.clip(covariance / np.sqrt(p_variance * q_variance), -1, 1)
    return {"r": r, "r2_fitted": r * r, "rmse_fitted": np.sqrt(q_variance * (1 - r * r))}[name]
