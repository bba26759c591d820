"""Metrics for one class per sample. Count once with ``confusion_matrix``; the others are functions of those counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from affectkit.errors import DataError, UsageError
from affectkit.metrics.distribution import Floats, rows_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Counts: TypeAlias = "NDArray[np.int64]"


def confusion_matrix(true: ArrayLike, predicted: ArrayLike, n_classes: int) -> Counts:
    """Count how often each true class was predicted as each class.

    Args:
        true, predicted: class numbers from 0 to ``n_classes`` - 1, shape (N,), of an integer type; N may be 0.
        n_classes: number of classes C, at least 1.

    Returns:
        (C, C) counts, rows the true class, columns the predicted one.

    Raises:
        DataError: shapes differ or are not (N,), not whole numbers, or a class out of range; names the samples.
        UsageError: ``n_classes`` is below 1.
    """
    if n_classes < 1:
        raise UsageError(f"'n_classes' must be at least 1; got {n_classes}.")
    true, predicted = _class_numbers(true, "true", n_classes), _class_numbers(predicted, "predicted", n_classes)
    if true.shape != predicted.shape:
        raise DataError(f"true and predicted must have the same length; got {len(true)} and {len(predicted)}.")
    counts = np.bincount(true * n_classes + predicted, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def accuracy(confusion: ArrayLike) -> float:
    """Share of the samples whose predicted class is the true one; NaN without samples."""
    counts = _counts(confusion)
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float("nan")


def balanced_accuracy(confusion: ArrayLike) -> float:
    """Return the unweighted mean of the recall over the classes that occur in ``true``; NaN without samples.

    Chance is 1 / (number of those classes), however unequal their sizes. Equals scikit-learn's
    ``balanced_accuracy_score``.
    """
    return _mean_of_defined(per_class(confusion)["recall"])


def macro_f1(confusion: ArrayLike) -> float:
    """Return the unweighted mean of F1 over the classes that occur in ``true`` or ``predicted``; NaN without samples.

    Equals scikit-learn's ``f1_score(average="macro")``, which averages over the same classes.
    """
    return _mean_of_defined(per_class(confusion)["f1"])


def negative_log_likelihood(p: ArrayLike, target: ArrayLike) -> Floats:
    """Return the negative log of the probability of each label, (N,) in nats; probabilities of 0 count as the least
    above 0.

    Args:
        p: (N, C) predicted probabilities.
        target: (N, C), whose largest share is the label.
    """
    p, labels = np.asarray(p, dtype=np.float64), np.asarray(target).argmax(1)
    return -np.log(np.maximum(p[np.arange(len(p)), labels], np.finfo(float).tiny))


def per_class(confusion: ArrayLike) -> dict[str, NDArray]:
    """Compute precision, recall, F1 and support of each class.

    Args:
        confusion: (C, C) counts, rows the true class.

    Returns:
        ``precision`` (NaN for a class never predicted), ``recall`` (NaN for a class that never occurs), ``f1`` (NaN
        for a class that does neither; 0 for one that occurs or is predicted and is never right), each (C,) in
        [0, 1], and ``support``, (C,) int64, how often a class occurs.

    Raises:
        DataError: not square, or not counts.
    """
    counts = _counts(confusion)
    right, predicted, support = np.diagonal(counts), counts.sum(axis=0), counts.sum(axis=1)
    return {
        "precision": _ratio(right, predicted),
        "recall": _ratio(right, support),
        "f1": _ratio(2 * right, predicted + support),
        "support": support,
    }


def _class_numbers(values: ArrayLike, name: str, n_classes: int) -> Counts:
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{name} must be class numbers of shape (samples,); got {array.shape}.")
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"{name} must be class numbers of an integer type; got {array.dtype}.")
    out = (array < 0) | (array >= n_classes)
    if out.any():
        raise DataError(
            f"{name} must be class numbers from 0 to {n_classes - 1}; {rows_text(out)} are not "
            f"(first value: {array[out][0]})."
        )
    return array.astype(np.int64)


def _counts(confusion: ArrayLike) -> Counts:
    array = np.asarray(confusion)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        raise DataError(f"a confusion matrix must have the shape (classes, classes); got {array.shape}.")
    if not np.issubdtype(array.dtype, np.integer) or (array < 0).any():
        raise DataError(f"a confusion matrix must hold counts, whole numbers from 0; got {array.dtype}.")
    return array.astype(np.int64)


def _ratio(part: Counts, whole: Counts) -> Floats:
    """Return part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _mean_of_defined(values: Floats) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
