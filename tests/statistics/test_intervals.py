"""Intervals against SciPy, published examples and loops that leave out items and clusters one by one."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from affectkit.errors import DataError, UsageError
from affectkit.statistics import resampling
from affectkit.statistics.intervals import estimate, estimates, on_link, units_of
from affectkit.statistics.measures import (
    ItemValues,
    calibration_measure,
    class_measures,
    mean_measures,
    per_class_measures,
    rating_measures,
)
from affectkit.statistics.units import jackknife

pytestmark = pytest.mark.filterwarnings("error")
# Efron and Tibshirani 1993, table 3.1: LSAT and 100 GPA of 15 law schools.
LAW = np.array(
    [
        [576, 635, 558, 578, 666, 580, 555, 661, 651, 605, 653, 575, 545, 572, 594],
        [339, 330, 281, 303, 344, 307, 300, 343, 336, 313, 312, 274, 276, 288, 296],
    ]
)


def law_school_r():
    return next(measure for measure in rating_measures(*LAW, ("gpa",)) if measure.name == "r")


def classes(n: int = 120, seed: int = 0):
    rng = np.random.default_rng(seed)
    true = rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    return true, np.where(rng.random(n) < 0.6, true, rng.integers(0, 4, n))


def mean(values, better="min"):
    return mean_measures({"x": ItemValues(np.asarray(values, dtype=np.float64), better)})[0]


def test_jackknife_of_the_law_schools():
    """Efron and Tibshirani 1993, ch. 11: the jackknife's standard error of r is 0.1425."""
    measure = law_school_r()
    error, _ = jackknife(units_of(measure), measure.value)
    assert measure.of() == pytest.approx(0.776, abs=5e-4) and error == pytest.approx(0.1425, abs=2e-4)


def test_bca_of_the_law_schools_equals_scipy():
    """SciPy 1.17.1, bootstrap(method="BCa"), 30,000 resamples of two seeds: 0.322 and 0.341 to 0.940 and 0.942."""
    found = estimate(law_school_r(), method="bca", draws=20000)
    assert found.low == pytest.approx(0.332, abs=0.02) and found.high == pytest.approx(0.941, abs=0.004)
    assert found.method == "BCa bootstrap" and (found.n, found.clusters) == (15, None)


def test_bootstraps_equal_scipy_on_a_skewed_mean():
    values = np.random.default_rng(4).exponential(size=60)
    for method, name in (("bca", "BCa"), ("percentile", "percentile")):
        expected = stats.bootstrap((values,), np.mean, n_resamples=20000, method=name, rng=1).confidence_interval
        found = estimate(mean(values), method=method, draws=20000)
        assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.02)


def test_a_mean_that_may_be_negative_has_students_interval():
    values = np.random.default_rng(5).normal(size=40)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    found = estimate(mean(values), level=0.9)
    assert (found.low, found.high) == pytest.approx(tuple(expected)) and found.method == "jackknife t"


def test_clusters_of_one_size_are_as_their_means():
    rng = np.random.default_rng(6)
    values = rng.normal(size=(8, 5)) + rng.normal(size=(8, 1))
    names = np.repeat([f"actor {k}" for k in range(8)], 5)
    order = rng.permutation(40)
    found = estimate(mean(values.ravel()[order]), clusters=names[order])
    expected = stats.ttest_1samp(values.mean(1), 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert found.clusters == 8 and found.n == 40 and found.method == "jackknife t over 8 clusters"


def test_the_jackknife_equals_a_loop_that_leaves_out_clusters():
    true, predicted = classes()
    cluster = np.random.default_rng(7).integers(0, 9, len(true))
    measure = class_measures(true, predicted, 4)[2]
    left = [f1_score(true[cluster != g], predicted[cluster != g], average="macro") for g in range(9)]
    error = math.sqrt(8 / 9 * np.square(np.array(left) - measure.of()).sum())
    assert jackknife(units_of(measure, clusters=cluster), measure.value)[0] == pytest.approx(error)
    found = estimate(measure, clusters=cluster)
    assert (found.low, found.high) == pytest.approx(on_link(measure.of(), stats.t.ppf(0.975, 8) * error, "logit"))


def test_links_stay_in_range_and_end_with_it():
    assert on_link(0.5, 0.1, "identity") == pytest.approx((0.4, 0.6))
    for value, link, low, high in (
        (0.97, "logit", 0, 1),
        (0.02, "logit", 0, 1),
        (0.9, "fisher", -1, 1),
        (0.1, "log", 0, math.inf),
    ):
        found = on_link(value, 0.3, link)
        assert low <= found[0] < value < found[1] <= high
        # A small step is the same on every scale.
        assert on_link(value, 1e-6, link) == pytest.approx((value - 1e-6, value + 1e-6), abs=1e-10)
    assert on_link(1.0, 0.1, "logit") == pytest.approx((0.9, 1.1)) and on_link(0.0, 0.1, "log") == (-0.1, 0.1)
    assert on_link(1e-12, 5.0, "logit")[1] <= 1 and on_link(1e-12, 5.0, "log")[0] >= 0


def test_shares_of_independent_items_are_exact():
    true, predicted = classes()
    right = int((true == predicted).sum())
    exact = stats.binomtest(right, len(true)).proportion_ci(method="exact")
    found = estimate(class_measures(true, predicted, 4)[0])
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high)) and found.method == "Clopper-Pearson"
    recall = per_class_measures(true, predicted, list("abcd"))[1]
    hits, total = int(((true == 1) & (predicted == 1)).sum()), int((true == 1).sum())
    exact = stats.binomtest(hits, total).proportion_ci(method="exact")
    assert (estimate(recall).low, estimate(recall).high) == pytest.approx((exact.low, exact.high))


def test_rows_are_as_measures_of_those_items_alone():
    true, predicted = classes()
    cluster = np.arange(120) // 6
    rows = np.flatnonzero((true != 2) & (cluster != 3))
    for whole, part in zip(
        estimates(class_measures(true, predicted, 4), rows=rows, clusters=cluster),
        estimates(class_measures(true[rows], predicted[rows], 4), clusters=cluster[rows]),
        strict=True,
    ):
        assert whole == part
        assert whole.n == len(rows) and whole.clusters == 19
    marked = np.isin(np.arange(120), rows)
    assert estimates(class_measures(true, predicted, 4), rows=marked)[1].n == len(rows)


def test_what_has_no_interval_says_why():
    true, predicted = classes()
    accuracy, balanced, _ = class_measures(true, true, 4)
    exact = stats.binomtest(120, 120).proportion_ci(method="exact")
    assert (estimate(accuracy).low, estimate(accuracy).high) == pytest.approx((exact.low, 1.0))
    over = estimate(accuracy, clusters=np.arange(120) // 12)
    assert over.low == pytest.approx(stats.binomtest(10, 10).proportion_ci(method="exact").low) and over.high == 1
    assert over.method == "Clopper-Pearson over 10 clusters"
    none = {
        "no interval: without one item it is undefined, or never differs": estimate(balanced),
        "no interval: one cluster": estimate(balanced, clusters=["a"] * 120),
        "no interval: one item": estimate(mean([3.0])),
        "no interval: not defined": estimate(mean([])),
        "no interval: chance adds to the error itself": estimate(calibration_measure("ece", [0.5, 0.6], [1.0, 0.0])),
        "no interval: resamples are equal or undefined": estimate(mean([2.0, 2.0]), method="bca"),
    }
    for told, found in none.items():
        assert found.method == told and math.isnan(found.low) and math.isnan(found.high)
    assert math.isnan(none["no interval: not defined"].value) and none["no interval: one item"].value == 3
    only = per_class_measures(true, predicted, list("abcd"))[3]  # all of the class in one cluster
    found = estimate(only, clusters=np.where(true == 3, 0, 1 + np.arange(120) % 7))
    assert found.method.startswith("no interval: without one cluster") and math.isnan(found.low)


@pytest.mark.parametrize("method", ["auto", "jackknife-t", "bca", "percentile"])
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_items_crash_nothing(n, method):
    rng = np.random.default_rng(n)
    true = rng.integers(0, 3, n)
    measures = [*class_measures(true, true[::-1], 3), mean(rng.random(n)), mean(np.ones(n), "max")]
    measures += rating_measures(rng.random((n, 2)), rng.random((n, 2)), ("v", "a"))
    for clusters in (None, np.zeros(n, int), np.arange(n)):
        for found in estimates(measures, clusters=clusters, method=method, draws=50):
            assert math.isnan(found.low) == math.isnan(found.high) and found.n == n
            assert math.isnan(found.low) or found.low <= found.value + 1e-9


def test_wrong_input_is_refused():
    true, predicted = classes()
    measures = class_measures(true, predicted, 4)
    with pytest.raises(UsageError, match="'method' must be one of auto, exact"):
        estimate(measures[0], method="wilson")
    with pytest.raises(UsageError, match="macro_f1 is none"):
        estimate(measures[2], method="exact")
    with pytest.raises(UsageError, match="'draws'"):
        estimate(measures[2], draws=0)
    with pytest.raises(DataError, match="one for each of 120 items; got 3"):
        estimate(measures[0], clusters=["a", "b", "c"])
    with pytest.raises(DataError, match="2 of 120 items have no cluster"):
        estimate(measures[0], clusters=["a"] * 118 + [None, math.nan])
    with pytest.raises(DataError, match="3 and 120"):
        estimates([*measures, mean(np.ones(3))][::-1])


def test_resamples_are_shared_repeatable_and_independent_of_pieces(monkeypatch):
    true, predicted = classes(30)
    measures = [*class_measures(true, predicted, 4), mean(np.random.default_rng(8).random(30))]
    found = estimates(measures, method="percentile", draws=300, seed=3)
    assert found == estimates(measures, method="percentile", draws=300, seed=3)
    assert found[3] == estimate(measures[3], method="percentile", draws=300, seed=3)
    assert found[3] != estimate(measures[3], method="percentile", draws=300, seed=4)
    monkeypatch.setattr(resampling, "_CELLS", 7 * 30)
    assert found == estimates(measures, method="percentile", draws=300, seed=3)


def test_cells_and_items_give_the_same_intervals():
    true, predicted = classes(2000)
    measure = class_measures(true, predicted, 4)[2]
    assert len(units_of(measure).table) == 16 and len(units_of(measure, kinds=False).table) == 2000
    for method in ("jackknife-t", "bca", "percentile"):
        by_cell = estimate(measure, method=method, draws=8000)
        by_item = estimate(dataclasses.replace(measure, cells=None), method=method, draws=8000)
        close = 1e-9 if method == "jackknife-t" else 2e-3
        assert (by_cell.low, by_cell.high) == pytest.approx((by_item.low, by_item.high), abs=close)


def test_rounded_terms_have_exact_sums():
    rng = np.random.default_rng(9)
    table = np.stack([rng.normal(size=5000), 1e9 * rng.random(5000), np.zeros(5000), rng.integers(0, 2, 5000)], axis=1)
    rounded = resampling.exact_sums(table, 5000)
    assert (
        np.abs(rounded - table).max(0) == pytest.approx([0, 0, 0, 0], abs=1e-2) and (rounded[:, 3] == table[:, 3]).all()
    )
    assert (np.abs(rounded - table).max(0) <= 1e-11 * np.abs(table).max(0)).all()
    for column in rounded.T:
        sums = {column[rng.permutation(5000)].cumsum()[-1] for _ in range(5)}
        assert sums == {math.fsum(column)}


def test_the_last_digit_does_not_depend_on_threads():
    script = """
import numpy as np
from affectkit.statistics.intervals import estimates
from affectkit.statistics.measures import rating_measures
from affectkit.statistics.paired import differences
rng = np.random.default_rng(0)
q = rng.normal(size=(3000, 2)); a, b = (q + rng.normal(size=q.shape) for _ in range(2))
first, second = (rating_measures(p, q, ("v", "a")) for p in (a, b))
print([(e.low, e.high) for e in estimates(first, method="percentile", draws=300)])
print([d.p for d in differences(list(zip(first, second)), permutations=300)])
"""
    found = set()
    for threads in ("1", "3"):
        environment = {**os.environ, **{f"{name}_NUM_THREADS": threads for name in ("OMP", "OPENBLAS", "MKL")}}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=120
        )
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1 and len(next(iter(found))) > 500
