"""Metrics from sums against scikit-learn, on subsets, resamples and where they are not defined."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as reference

from affectkit.errors import DataError
from affectkit.metrics.calibration import expected_calibration_error
from affectkit.metrics.distribution import kl_divergence
from affectkit.metrics.ratings import MEASURES, agreement
from affectkit.statistics.measures import (
    ItemValues,
    calibration_measure,
    class_measures,
    distribution_measures,
    left_out,
    mean_measures,
    per_class_measures,
    rating_measures,
)

pytestmark = pytest.mark.filterwarnings("error")


def classes(n: int = 200, seed: int = 0):
    rng = np.random.default_rng(seed)
    true = rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    return true, np.where(rng.random(n) < 0.6, true, rng.integers(0, 4, n))


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("rows", [None, np.arange(9), np.arange(200) % 3 == 0])
def test_classes_equal_scikit_learn(rows):
    true, predicted = classes()
    t, p = (values if rows is None else values[rows] for values in (true, predicted))
    found = {measure.name: measure.of(rows) for measure in class_measures(true, predicted, 4)}
    assert found == pytest.approx(
        {
            "accuracy": reference.accuracy_score(t, p),
            "balanced_accuracy": reference.balanced_accuracy_score(t, p),
            "macro_f1": reference.f1_score(t, p, average="macro"),
        }
    )
    by_class = {measure.name: measure.of(rows) for measure in per_class_measures(true, predicted, list("abcd"))}
    precision, recall, f1, _ = reference.precision_recall_fscore_support(t, p, labels=range(4), zero_division=math.nan)
    for k, name in enumerate("abcd"):
        assert by_class[f"precision {name}"] == pytest.approx(precision[k], nan_ok=True)
        assert by_class[f"recall {name}"] == pytest.approx(recall[k], nan_ok=True)
        assert by_class[f"f1 {name}"] == pytest.approx(f1[k], nan_ok=True)
    assert len(by_class) == 12


def test_values_take_many_sums_at_once():
    true, predicted = classes()
    rng = np.random.default_rng(1)
    times = rng.multinomial(200, np.full(200, 1 / 200), size=(2, 3))
    for measure in class_measures(true, predicted, 4):
        found = measure.value(times @ measure.terms)
        assert found.shape == (2, 3)
        rows = np.repeat(np.arange(200), times[1, 2])
        assert found[1, 2] == pytest.approx(measure.of(rows))


def test_ratings_equal_the_metrics_with_offset_and_gain():
    rng = np.random.default_rng(2)
    q = rng.uniform(1, 9, (80, 2))
    p = 1e3 + 0.01 * q + rng.normal(0, 0.01, (80, 2))
    found = {measure.name: measure.of() for measure in rating_measures(p, q, ("valence", "arousal"))}
    each = [agreement(p[:, k], q[:, k]) for k in range(2)]
    assert len(found) == 3 * len(MEASURES)
    for name in MEASURES:
        assert found[name] == pytest.approx((each[0][name] + each[1][name]) / 2, rel=1e-6)
        assert found[f"arousal_{name}"] == pytest.approx(each[1][name], rel=1e-6)
    single = {measure.name: measure.of() for measure in rating_measures(p[:, 0], q[:, 0], ("valence",))}
    assert single == pytest.approx(each[0], rel=1e-6)


def test_ratings_that_are_constant_have_no_correlation():
    q = np.arange(10.0)
    found = {measure.name: measure.of() for measure in rating_measures(np.full(10, 5.1), q, ("x",))}
    assert {name for name, value in found.items() if not math.isnan(value)} == {"rmse"}
    one = {measure.name: measure.of([3]) for measure in rating_measures(q + 1, q, ("x",))}
    assert one["rmse"] == pytest.approx(1) and math.isnan(one["ccc"])
    with pytest.raises(DataError, match="a column for each of x, y"):
        rating_measures(q, q, ("x", "y"))


def test_distributions_and_calibration_equal_the_metrics():
    rng = np.random.default_rng(3)
    p, q = rng.dirichlet(np.ones(5), 90), rng.dirichlet(np.ones(5), 90)
    found = {measure.name: measure for measure in distribution_measures(q, p)}
    assert set(found) == {"mse", "total_variation", "kl", "js", "emd", "top1"}
    assert found["kl"].of(range(40)) == pytest.approx(kl_divergence(p[:40], q[:40]).mean())
    assert found["top1"].binary and found["top1"].better == "max" and not found["kl"].binary
    confidence, share = p.max(1), rng.random(90)
    ece = calibration_measure("ece", confidence, share)
    for rows in (range(90), range(30), range(5)):
        expected = expected_calibration_error(confidence[rows], share[rows])
        assert ece.of(rows) == pytest.approx(expected)


def test_a_mean_is_of_the_items_that_have_a_value():
    a, b = mean_measures(
        {"a": ItemValues(np.array([1.0, math.nan, 4.0])), "b": ItemValues(np.array([1.0, 0.0, 0.0]), "max")}
    )
    assert a.of() == 2.5 and math.isnan(a.of([1])) and a.terms is b.terms and not a.binary
    assert b.binary and b.of() == pytest.approx(1 / 3)
    assert left_out(["a", "quantile_r", "b"], [a, b]) == ["quantile_r"]
    with pytest.raises(DataError, match="infinity"):
        mean_measures({"a": ItemValues(np.array([1.0, math.inf]))})
    with pytest.raises(DataError, match="same items"):
        mean_measures({"a": ItemValues(np.ones(2)), "b": ItemValues(np.ones(3))})


def test_no_items_have_no_value():
    nothing = np.empty(0, np.int64)
    for measure in [*class_measures(nothing, nothing, 3), *rating_measures(nothing, nothing, ("x",))]:
        assert math.isnan(measure.of()), measure.name
