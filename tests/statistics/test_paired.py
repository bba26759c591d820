"""Differences of two models against SciPy, loops over all swaps, and published examples."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from affectkit.errors import DataError, UsageError
from affectkit.statistics import permutation
from affectkit.statistics.exact import bonett_price
from affectkit.statistics.measures import (
    ItemValues,
    calibration_measure,
    class_measures,
    mean_measures,
    per_class_measures,
    rating_measures,
)
from affectkit.statistics.paired import difference, differences

pytestmark = pytest.mark.filterwarnings("error")


def mean(values):
    return mean_measures({"kl": ItemValues(np.asarray(values, dtype=np.float64))})[0]


def models(n: int = 150, seed: int = 0):
    rng = np.random.default_rng(seed)
    true = rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    a = np.where(rng.random(n) < 0.6, true, rng.integers(0, 4, n))
    b = np.where(rng.random(n) < 0.5, a, np.where(rng.random(n) < 0.8, true, rng.integers(0, 4, n)))
    return true, a, b


def test_a_mean_has_the_paired_t_interval_and_an_effect_size():
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 40))
    found, d = difference(mean(a), mean(b)), a - b
    expected = stats.ttest_rel(a, b).confidence_interval()
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert found.error == pytest.approx(stats.sem(d)) and found.difference == pytest.approx(d.mean())
    assert (found.effect_name, found.effect_size) == ("d_z", pytest.approx(d.mean() / d.std(ddof=1)))
    assert (found.first, found.second) == (pytest.approx(a.mean()), pytest.approx(b.mean()))
    assert found.detectable == pytest.approx(stats.t.ppf([0.975, 0.8], 39).sum() * stats.sem(d))


def test_the_permutation_of_a_mean_equals_scipy():
    rng = np.random.default_rng(2)
    a, b = rng.exponential(size=(2, 11))
    expected = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=math.inf
    )
    found = difference(mean(a), mean(b))
    assert found.p == pytest.approx(expected.pvalue) and found.test == "permutation, all 2,048 swaps"
    assert found.least_p == 2 / 2048
    drawn = difference(mean(np.tile(a, 5)), mean(np.tile(b, 5)), permutations=9999)
    expected = stats.permutation_test(
        (np.tile(a, 5), np.tile(b, 5)), lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples", n_resamples=9999, vectorized=True, rng=3,
    )  # fmt: skip
    assert drawn.p == pytest.approx(expected.pvalue, abs=0.02) and drawn.least_p == 1e-4


def by_all_swaps(true, a, b, cluster):
    """Every exchange of whole clusters, with scikit-learn."""

    def f1(values):
        return f1_score(true, values, average="macro")

    seen, count, names = abs(f1(a) - f1(b)), 0, np.unique(cluster)
    for swap in itertools.product([False, True], repeat=len(names)):
        mask = np.isin(cluster, names[np.array(swap)])
        count += abs(f1(np.where(mask, b, a)) - f1(np.where(mask, a, b))) >= seen - 1e-12
    return count / 2 ** len(names)


@pytest.mark.parametrize("clusters", [None, np.arange(60) % 12], ids=["items", "clusters"])
def test_tables_with_columns_in_other_places_give_the_same(clusters):
    rng = np.random.default_rng(4)
    a, b, votes = rng.exponential(1, 60), rng.exponential(1.4, 60), rng.random(60)
    votes[:9] = np.nan
    plain, other = ({"kl": ItemValues(values)} for values in (a, b))
    before, same = {"agreement": ItemValues(votes)}, mean_measures(plain)[0]
    wished = difference(same, mean_measures(other)[0], clusters=clusters, draws=500)
    assert 0 < wished.p < 1
    longer = mean_measures(before | other)[-1]  # its columns stand further right
    shorter = mean_measures(plain | {"mse": ItemValues(a * 100), "loss": ItemValues(a * 3)})[0]
    assert shorter.terms.shape == longer.terms.shape and shorter.ratio != longer.ratio
    for first in (same, shorter):
        found = difference(first, longer, clusters=clusters, draws=500)
        assert (found.p, found.test) == (wished.p, wished.test)
        assert (found.low, found.high) == pytest.approx((wished.low, wished.high))


def test_the_permutation_of_clusters_equals_a_loop_over_all_swaps():
    true, a, b = models(48)
    cluster = np.arange(48) % 7
    found = difference(class_measures(true, a, 4)[2], class_measures(true, b, 4)[2], clusters=cluster)
    assert found.p == pytest.approx(by_all_swaps(true, a, b, cluster))
    assert found.test == "permutation of 7 clusters, 5 of which differ, all 32 swaps" and found.least_p == 2 / 32
    assert found.effect_name == "difference / SE" and found.effect_size == pytest.approx(found.difference / found.error)


def test_swaps_drawn_by_cell_by_item_and_all_of_them_agree(monkeypatch):
    true, a, b = models(2000)
    pair = class_measures(true, a, 4)[2], class_measures(true, b, 4)[2]
    by_cell = difference(*pair, permutations=4000).p
    monkeypatch.setattr("affectkit.statistics.units._FEWER", 10**9)
    by_item = difference(*pair, permutations=4000).p
    assert by_cell == pytest.approx(by_item, abs=0.03) and 0.0 < by_cell < 1
    true, a, b = models(26, seed=3)
    pair = class_measures(true, a, 4)[1], class_measures(true, b, 4)[1]
    exact = difference(*pair)
    assert "all" in exact.test
    monkeypatch.setattr(permutation, "MOST_EXACT", 0)
    assert difference(*pair, permutations=9999).p == pytest.approx(exact.p, abs=0.02)


def test_accuracy_has_mcnemar_and_cohens_g():
    true, a, b = models()
    found = difference(class_measures(true, a, 4)[0], class_measures(true, b, 4)[0])
    first, second = int(((a == true) & (b != true)).sum()), int(((a != true) & (b == true)).sum())
    assert found.p == pytest.approx(stats.binomtest(first, first + second).pvalue)
    assert found.test == f"exact McNemar, {first} against {second}"
    assert (found.low, found.high) == bonett_price(first, second, 150) and found.method == "Bonett-Price"
    assert (found.effect_name, found.effect_size) == ("Cohen's g", pytest.approx(first / (first + second) - 0.5))
    assert found.difference == pytest.approx((first - second) / 150)
    recall = [per_class_measures(true, values, list("abcd"))[0] for values in (a, b)]
    found, of = difference(*recall), true == 0
    assert found.p == pytest.approx(
        stats.binomtest(int((of & (a == 0) & (b != 0)).sum()), int((of & ((a == 0) != (b == 0))).sum())).pvalue
    )


def test_a_precision_is_of_other_items_for_each_model():
    true, a, b = models()
    precision = [per_class_measures(true, values, list("abcd"))[4] for values in (a, b)]
    assert precision[0].name == "precision a" and precision[0].binary
    found = difference(*precision)
    assert found.test == "permutation, 2,000 swaps" and found.method == "jackknife t"


def test_equal_models_do_not_differ():
    true, a, _ = models()
    q = np.random.default_rng(5).normal(size=(150, 2))
    first = [*class_measures(true, a, 4), mean(q[:, 0]), *rating_measures(q, q[::-1], ("v", "a"))]
    second = [*class_measures(true, a.copy(), 4), mean(q[:, 0]), *rating_measures(q, q[::-1], ("v", "a"))]
    found = differences(list(zip(first, second, strict=True)))
    assert len(found) > 10
    for each in found:
        assert each.difference == 0 and each.p == 1, each.name
        assert (each.method == "Bonett-Price") == (each.name == "accuracy") and math.isnan(each.error)
    low, high = found[0].low, found[0].high
    assert low == -high and 0 < high < 0.03 and found[0].effect_size == 0


def test_the_order_of_the_models_turns_the_sign_alone():
    true, a, b = models()
    rng = np.random.default_rng(6)
    q = rng.normal(size=(150, 1))
    pa, pb = (q + rng.normal(size=q.shape) for _ in range(2))
    for cluster in (None, np.arange(150) % 12, np.arange(150) % 4):
        first = [*class_measures(true, a, 4), *rating_measures(pa, q, ("v",))]
        second = [*class_measures(true, b, 4), *rating_measures(pb, q, ("v",))]
        there = differences(list(zip(first, second, strict=True)), clusters=cluster)
        back = differences(list(zip(second, first, strict=True)), clusters=cluster)
        for x, y in zip(there, back, strict=True):
            assert (x.difference, x.low, x.high) == pytest.approx((-y.difference, -y.high, -y.low)), x.name
            assert x.p == pytest.approx(y.p, abs=0.06) and x.detectable == pytest.approx(y.detectable)


def test_few_clusters_are_tested_by_t():
    rng = np.random.default_rng(7)
    a, b = rng.random((2, 50))
    cluster = np.repeat(np.arange(5), 10)
    found = difference(mean(a), mean(b), clusters=cluster)
    d = (a - b).reshape(5, 10).mean(1)
    assert found.p == pytest.approx(stats.ttest_1samp(d, 0).pvalue) and "t over 5 clusters" in found.test
    assert (found.low <= 0 <= found.high) == (found.p >= 0.05)
    single = difference(mean(a), mean(b), clusters=[1] * 50)
    assert math.isnan(single.p) and math.isnan(single.low) and single.test == "no test: one cluster"
    assert math.isnan(single.detectable)


def test_a_calibration_error_is_tested_and_has_no_interval():
    rng = np.random.default_rng(8)
    confidence = rng.random((2, 400))
    right = (rng.random((2, 400)) < confidence).astype(float)
    found = difference(*(calibration_measure("ece", c, r) for c, r in zip(confidence, right, strict=True)))
    assert 0 < found.p <= 1 and math.isnan(found.low) and math.isnan(found.detectable)
    assert found.method == "no interval: chance adds to the error itself"


def test_rows_are_as_models_of_those_items_alone():
    true, a, b = models()
    rows, cluster = np.flatnonzero(true != 1), np.arange(150) // 10
    for clusters in (None, cluster):
        whole = differences(
            list(zip(class_measures(true, a, 4), class_measures(true, b, 4), strict=True)), rows=rows, clusters=clusters
        )
        parts = [class_measures(true[rows], values[rows], 4) for values in (a, b)]
        alone = differences(list(zip(*parts, strict=True)), clusters=None if clusters is None else cluster[rows])
        assert whole == alone and whole[0].n == len(rows) and len(whole) == 3


def test_the_bootstraps_agree_with_the_jackknife_on_many_items():
    true, a, b = models(3000)
    pair = class_measures(true, a, 4)[2], class_measures(true, b, 4)[2]
    expected = difference(*pair)
    for method in ("bca", "percentile"):
        found = difference(*pair, method=method)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=3e-3)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_items_crash_nothing(n):
    rng = np.random.default_rng(n)
    true, a, b = rng.integers(0, 3, (3, n))
    q, pa, pb = rng.random((3, n, 2))
    first = [*class_measures(true, a, 3), mean(q[:, 0]), *rating_measures(pa, q, ("v", "a"))]
    second = [*class_measures(true, b, 3), mean(q[:, 1]), *rating_measures(pb, q, ("v", "a"))]
    for cluster in (None, np.zeros(n, int)):
        found = differences(list(zip(first, second, strict=True)), clusters=cluster, permutations=20)
        assert len(found) == 22
        for each in found:
            assert each.n == n and math.isnan(each.low) == math.isnan(each.high)


def test_wrong_input_is_refused():
    true, a, b = models()
    first, second = class_measures(true, a, 4), class_measures(true, b, 4)
    with pytest.raises(DataError, match="150 and accuracy"):
        difference(first[0], class_measures(true[:9], b[:9], 4)[0])
    with pytest.raises(DataError, match=r"accuracy \(max\)"):
        difference(first[0], mean(np.ones(150)))
    with pytest.raises(UsageError, match="no exact interval of a difference"):
        difference(first[0], second[0], method="exact")
    with pytest.raises(UsageError, match="'draws'"):
        difference(first[0], second[0], permutations=0)
