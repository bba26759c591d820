"""Quantile bins are those of pandas, ties included."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import mean_squared_error, r2_score

from affectkit.errors import DataError, UsageError
from affectkit.metrics.quantiles import quantile_means
from affectkit.metrics.ratings import ConstantWarning

pytestmark = pytest.mark.filterwarnings("error")
KINDS = {
    "normal": lambda rng, n: rng.normal(5, 2, n),
    "whole": lambda rng, n: rng.integers(1, 10, n).astype(float),
    "tenths": lambda rng, n: np.round(rng.uniform(1, 9, n), 1),
    "even": lambda rng, n: np.linspace(1, 9, n),
    "heap": lambda rng, n: np.where(rng.random(n) < 0.7, 5.0, rng.normal(5, 1, n)),
}


def test_bins_are_those_of_qcut():
    checked = merged = other = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        n, bins = int(rng.integers(2, 300)), int(rng.integers(1, 31))
        actual = list(KINDS.values())[seed % len(KINDS)](rng, n)
        predicted = actual + rng.normal(0, 1, n)
        shares = np.linspace(0, 1, bins + 1)
        if not np.array_equal(pd.Series(actual).quantile(shares), np.quantile(actual, shares)):
            other += 1  # pandas before 3 takes percentiles, which differ in the last bit
            continue
        codes, edges = pd.qcut(actual, bins, labels=False, duplicates="drop", retbins=True)
        groups = pd.DataFrame({"actual": actual, "predicted": predicted}).groupby(codes)
        if len(groups) < 2:
            continue
        found = quantile_means(actual, predicted, bins)
        assert found.asked == bins and found.count.tolist() == groups.size().tolist(), seed
        np.testing.assert_allclose(found.actual, groups["actual"].mean(), rtol=1e-12)
        np.testing.assert_allclose(found.predicted, groups["predicted"].mean(), rtol=1e-11, atol=1e-12)
        assert set(found.edges) <= set(edges) and len(found.edges) == len(found.count) + 1
        assert found.edges[0] == edges[0] and found.edges[-1] == edges[-1]
        p, q = groups["predicted"].mean(), groups["actual"].mean()
        if len(p) > 2:
            assert found.r == pytest.approx(pearsonr(p, q).statistic, abs=1e-10)
        assert found.r2 == pytest.approx(r2_score(q, p), rel=1e-9)
        assert found.rmse == pytest.approx(math.sqrt(mean_squared_error(q, p)), rel=1e-9)
        checked += 1
        merged += len(found.count) < bins
    assert checked > 250 - other and merged > 20


def test_a_bin_is_closed_on_the_right_and_the_lowest_holds_the_least():
    found = quantile_means([1, 2, 3, 4, 5], [10, 20, 30, 40, 50], bins=2)
    assert found.edges.tolist() == [1, 3, 5] and found.count.tolist() == [3, 2]
    assert found.actual.tolist() == [2, 4.5] and found.predicted.tolist() == [20, 45]


def test_ties_merge_bins_and_empty_ones_join_the_next():
    tied = quantile_means([1] * 6 + [2] * 2 + [3] * 2, np.arange(10.0), bins=5)
    assert tied.count.tolist() == [6, 2, 2] and tied.asked == 5
    few = quantile_means([1.0, 2.0, 4.0], [1.0, 2.0, 3.0], bins=25)
    assert few.count.tolist() == [1, 1, 1] and few.actual.tolist() == [1, 2, 4]
    inside = [(few.edges[k] < value <= few.edges[k + 1]) or k == 0 for k, value in enumerate((1.0, 2.0, 4.0))]
    assert inside == [True] * 3 and few.r == pytest.approx(pearsonr([1, 2, 4], [1, 2, 3]).statistic)


@pytest.mark.parametrize(("actual", "bins"), [([4.0] * 9, 25), ([4.0], 25), ([1.0, 2.0, 3.0], 1)])
def test_one_bin_has_no_measures(actual, bins):
    with pytest.warns(ConstantWarning, match="only one bin") as caught:
        found = quantile_means(actual, np.arange(len(actual)), bins)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert found.count.tolist() == [len(actual)] and len(found.edges) == 2
    assert found.actual[0] == pytest.approx(np.mean(actual))
    assert [math.isnan(value) for value in (found.r, found.r2, found.rmse)] == [True] * 3


def test_constant_predictions_have_no_r_but_an_error():
    with pytest.warns(ConstantWarning, match="over the bin means, every predicted value is 0.1") as caught:
        found = quantile_means(np.arange(100.0), np.full(100, 0.1), bins=7)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert math.isnan(found.r) and math.isnan(found.r2) and found.rmse > 40


def test_faults_are_refused():
    for bins in (0, -1, 2.5, True):
        with pytest.raises(UsageError, match="bins"):
            quantile_means([1, 2], [1, 2], bins)
    with pytest.raises(DataError, match="no values"):
        quantile_means([], [])
    with pytest.raises(DataError, match="actual must be finite; 1 of 2"):
        quantile_means([1, math.nan], [1, 2])
