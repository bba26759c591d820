"""Variance over items and repeats against sums of squares in loops, and against Student's t where one vanishes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from affectkit.errors import DataError, UsageError
from affectkit.statistics.measures import ItemValues, calibration_measure, class_measures, mean_measures
from affectkit.statistics.paired import difference
from affectkit.statistics.two_way import repeated_difference

pytestmark = pytest.mark.filterwarnings("error")


def mean(values):
    return mean_measures({"kl": ItemValues(np.asarray(values, dtype=np.float64))})[0]


def layout(n: int = 12, repeats: int = 4, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(1, n)) + 0.5 * rng.normal(size=(repeats, 1)) + 0.3 * rng.normal(size=(repeats, n))


def test_variances_equal_the_mean_squares_of_a_two_way_layout():
    """(MS_items + MS_repeats - MS_together) / (n R), Satterthwaite's degrees of freedom; the other is constant."""
    y = layout()
    repeats, n = y.shape
    by_item, by_repeat, grand = y.mean(0), y.mean(1), y.mean()
    ms_items = repeats * sum((by_item[i] - grand) ** 2 for i in range(n)) / (n - 1)
    ms_repeats = n * sum((by_repeat[r] - grand) ** 2 for r in range(repeats)) / (repeats - 1)
    ms_together = sum((y[r, i] - by_item[i] - by_repeat[r] + grand) ** 2 for r in range(repeats) for i in range(n)) / (
        (n - 1) * (repeats - 1)
    )
    found = repeated_difference([mean(row) for row in y], [mean(np.zeros(n))])
    variance = (ms_items + ms_repeats - ms_together) / (n * repeats)
    assert found.error == pytest.approx(math.sqrt(variance))
    assert found.items_error == pytest.approx(math.sqrt((ms_items - ms_together) / (n * repeats)))
    assert found.repeats_error == pytest.approx(math.sqrt((ms_repeats - ms_together) / (n * repeats)))
    assert found.together_error == pytest.approx(math.sqrt(ms_together / (n * repeats)))
    freedom = (ms_items + ms_repeats - ms_together) ** 2 / (
        ms_items**2 / (n - 1) + ms_repeats**2 / (repeats - 1) + ms_together**2 / ((n - 1) * (repeats - 1))
    )
    assert found.freedom == pytest.approx(freedom)
    half = stats.t.ppf(0.975, freedom) * found.error
    assert (found.low, found.high) == pytest.approx((grand - half, grand + half)) and found.repeats == (4, 1)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(grand) / found.error, freedom))


def test_repeats_that_are_the_same_leave_the_variance_of_items():
    a, b = np.random.default_rng(1).random((2, 60))
    found, single = repeated_difference([mean(a)] * 3, [mean(b)] * 2), difference(mean(a), mean(b))
    assert (found.low, found.high) == pytest.approx((single.low, single.high))
    assert found.repeats_error == 0 and found.items_error == pytest.approx(single.error)


def test_items_that_are_all_alike_leave_welchs_t():
    a, b = np.random.default_rng(2).random(5), np.random.default_rng(3).random(4)
    found = repeated_difference([mean(np.full(30, v)) for v in a], [mean(np.full(30, v)) for v in b])
    expected = stats.ttest_ind(a, b, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-6)


def test_one_training_is_taken_to_vary_as_the_other_or_not_at_all():
    a = np.random.default_rng(6).random(5)
    first, second = [mean(np.full(30, v)) for v in a], [mean(np.full(30, 0.2))]
    alike, fixed = repeated_difference(first, second, single="alike"), repeated_difference(first, second)
    assert alike.error == pytest.approx(a.std(ddof=1) * math.sqrt(1 / 5 + 1)) and alike.assumed  # Crawford and Howell
    assert fixed.error == pytest.approx(a.std(ddof=1) * math.sqrt(1 / 5)) and not fixed.assumed
    assert alike.freedom == pytest.approx(4) and alike.repeats == (5, 1)


def test_clusters_make_it_wider_and_metrics_of_classes_have_one():
    rng = np.random.default_rng(4)
    true, cluster = rng.integers(0, 3, 300), np.repeat(np.arange(20), 15)
    hard = rng.random(20)[cluster] < 0.5
    models = [
        [np.where(rng.random(300) < (0.4 + 0.5 * (hard == side)), true, rng.integers(0, 3, 300)) for _ in range(3)]
        for side in (0, 1)
    ]
    for place, name in enumerate(("accuracy", "balanced_accuracy", "macro_f1")):
        first, second = ([class_measures(true, p, 3)[place] for p in side] for side in models)
        plain, clustered = repeated_difference(first, second), repeated_difference(first, second, clusters=cluster)
        assert plain.name == name and clustered.clusters == 20 and plain.clusters is None
        assert clustered.error > 1.5 * plain.error and clustered.high - clustered.low > plain.high - plain.low
        assert plain.difference == pytest.approx(np.mean([m.of() for m in first]) - np.mean([m.of() for m in second]))


def test_what_cannot_be_told_is_refused_or_has_no_interval():
    a, b = mean(np.arange(5.0)), mean(np.ones(5))
    with pytest.raises(UsageError, match="at least two of a model; got 1 and 1"):
        repeated_difference([a], [b])
    with pytest.raises(DataError, match="same measure of the same items"):
        repeated_difference([a, mean(np.ones(4))], [b])
    same = repeated_difference([b, b], [b])
    assert same.method == "no interval: nothing varies" and math.isnan(same.low) and math.isnan(same.p)
    single = repeated_difference([a, b], [b], clusters=[0] * 5)
    assert single.method == "no interval: undefined, or one unit alone" and math.isnan(single.error)
    ece = [calibration_measure("ece", [0.5, 0.9], [1.0, right]) for right in (0.0, 1.0, 1.0)]
    assert repeated_difference(ece[:2], ece[2:]).method == "no interval: chance adds to the error itself"
