from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from affectkit.errors import DataError, UsageError
from affectkit.metrics import classification as metrics

SEEDS = range(12)
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def sample(seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels of 6 classes; some classes never occur, are never predicted, or neither."""
    rng = np.random.default_rng(seed)
    true = rng.choice(rng.permutation(6)[: 3 + seed % 4], size=40)
    predicted = np.where(rng.random(40) < 0.5, true, rng.choice(rng.permutation(6)[: 2 + seed % 5], size=40))
    return true, predicted, 6


def test_equals_scikit_learn():
    missing = 0
    for seed in SEEDS:
        true, predicted, n = sample(seed)
        confusion = metrics.confusion_matrix(true, predicted, n)
        assert confusion.dtype == np.int64
        assert (confusion == reference.confusion_matrix(true, predicted, labels=range(n))).all()
        assert metrics.accuracy(confusion) == pytest.approx(reference.accuracy_score(true, predicted))
        keep = np.isin(predicted, true)  # scikit-learn warns where a predicted class does not occur
        if keep.all():
            expected = reference.balanced_accuracy_score(true, predicted)
        else:
            expected = np.mean([(predicted[true == c] == c).mean() for c in np.unique(true)])
        assert metrics.balanced_accuracy(confusion) == pytest.approx(expected)
        assert metrics.macro_f1(confusion) == pytest.approx(reference.f1_score(true, predicted, average="macro"))
        precision, recall, f1, support = reference.precision_recall_fscore_support(
            true, predicted, labels=range(n), zero_division=np.nan
        )
        table = metrics.per_class(confusion)
        np.testing.assert_allclose(table["precision"], precision)
        np.testing.assert_allclose(table["recall"], recall)
        np.testing.assert_allclose(table["f1"], f1)
        assert table["support"].tolist() == support.tolist()
        missing += int(np.isnan(table["f1"]).any())
    assert 0 < missing < len(SEEDS)


def test_rows_are_the_true_class():
    confusion = metrics.confusion_matrix([0, 0, 1], [1, 1, 2], 3)
    assert confusion.tolist() == [[0, 2, 0], [0, 0, 1], [0, 0, 0]]


def test_undefined_is_nan_and_never_right_is_zero():
    table = metrics.per_class(metrics.confusion_matrix([0, 0, 1], [0, 2, 2], 4))
    np.testing.assert_array_equal(table["precision"], [1, np.nan, 0, np.nan])
    np.testing.assert_array_equal(table["recall"], [0.5, 0, np.nan, np.nan])
    np.testing.assert_allclose(table["f1"], [2 / 3, 0, 0, np.nan])
    assert table["support"].tolist() == [2, 1, 0, 0]


def test_no_samples():
    confusion = metrics.confusion_matrix([], [], 3)
    assert confusion.shape == (3, 3) and confusion.sum() == 0
    for function in (metrics.accuracy, metrics.balanced_accuracy, metrics.macro_f1):
        assert np.isnan(function(confusion))


def test_small_integer_types_do_not_overflow():
    true = np.arange(100, dtype=np.uint8)
    confusion = metrics.confusion_matrix(true, true[::-1].astype(np.int8), 100)
    assert confusion.sum() == 100 and (np.fliplr(confusion).diagonal() == 1).all()


@pytest.mark.parametrize(
    ("true", "predicted", "says"),
    [
        ([0, 1], [0], "same length; got 2 and 1"),
        ([[0, 1]], [0, 1], r"true must be class numbers of shape \(samples,\); got \(1, 2\)"),
        ([0, 1], [0.0, 1.0], "predicted must be class numbers of an integer type; got float64"),
        ([0, 3, -1], [0, 1, 2], r"true must be class numbers from 0 to 2; rows 1, 2 are not \(first value: 3\)"),
        ([0, 1], [0, 7], r"predicted must be class numbers from 0 to 2; row 1 are not"),
    ],
)
def test_wrong_labels_are_refused(true, predicted, says):
    with pytest.raises(DataError, match=says):
        metrics.confusion_matrix(true, predicted, 3)


def test_wrong_counts_are_refused():
    with pytest.raises(UsageError, match="'n_classes' must be at least 1; got 0"):
        metrics.confusion_matrix([], [], 0)
    for bad in (np.zeros((2, 3), int), np.zeros(3, int), np.zeros((0, 0), int)):
        with pytest.raises(DataError, match="shape"):
            metrics.accuracy(bad)
    for bad in (np.eye(2), -np.eye(2, dtype=int)):
        with pytest.raises(DataError, match="counts"):
            metrics.per_class(bad)
