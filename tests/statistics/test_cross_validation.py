from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from affectkit.errors import UsageError
from affectkit.statistics.cross_validation import mean_over_folds


def test_the_plain_interval_is_that_of_students_t():
    values = np.random.default_rng(0).normal(0.7, 0.05, 10)
    found = mean_over_folds(values, ratio=1 / 9)
    low, high = stats.t.interval(0.95, 9, loc=values.mean(), scale=stats.sem(values))
    assert found.t_interval == (pytest.approx(low), pytest.approx(high))
    assert (found.mean, found.sd, found.defined) == (
        pytest.approx(values.mean()),
        pytest.approx(values.std(ddof=1)),
        10,
    )


def test_the_corrected_variance_is_that_of_nadeau_and_bengio():
    values = [0.61, 0.68, 0.64, 0.7, 0.66]
    found = mean_over_folds(values, ratio=1 / 4)
    # (1/J + n2/n1) times the sample variance, J = 5 folds, n2/n1 = (N/5) / (4N/5)
    wide = stats.t.ppf(0.975, 4) * math.sqrt((1 / 5 + 1 / 4) * np.var(values, ddof=1))
    assert found.corrected_interval == (pytest.approx(np.mean(values) - wide), pytest.approx(np.mean(values) + wide))
    plain = (found.t_interval[1] - found.t_interval[0]) / 2
    assert wide / plain == pytest.approx(1.5)  # sqrt(1 + J n2/n1) = sqrt(1 + 5/4)


def test_folds_that_do_not_define_a_metric_are_left_out_and_counted():
    found = mean_over_folds([0.5, math.nan, 0.7], ratio=0.5)
    assert (found.mean, found.defined) == (pytest.approx(0.6), 2)
    for values in ([0.5, math.nan], [math.nan]):
        alone = mean_over_folds(values, ratio=0.5)
        assert all(map(math.isnan, (*alone.t_interval, *alone.corrected_interval, alone.sd)))
    same = mean_over_folds([0.5, 0.5, 0.5], ratio=0.5)
    assert (same.mean, same.sd) == (0.5, 0.0) and all(map(math.isnan, (*same.t_interval, *same.corrected_interval)))
    for wrong in ({"level": 1.0, "ratio": 0.5}, {"ratio": math.nan}, {"ratio": -1.0}):
        with pytest.raises(UsageError):
            mean_over_folds([0.5, 0.6], **wrong)


@pytest.mark.slow
def test_of_independent_folds_the_plain_interval_covers_and_of_correlated_ones_the_corrected():
    rng, trials, folds = np.random.default_rng(1), 4000, 5
    inside = {"independent": 0, "plain": 0, "corrected": 0}
    for _ in range(trials):
        own, shared = rng.normal(0, 1, folds), rng.normal()
        found = mean_over_folds(own, ratio=0.25)
        inside["independent"] += found.t_interval[0] <= 0 <= found.t_interval[1]
        rho = 0.2  # n2 / (n1 + n2), which the correction assumes
        found = mean_over_folds(math.sqrt(rho) * shared + math.sqrt(1 - rho) * own, ratio=0.25)
        inside["plain"] += found.t_interval[0] <= 0 <= found.t_interval[1]
        inside["corrected"] += found.corrected_interval[0] <= 0 <= found.corrected_interval[1]
    share = {name: count / trials for name, count in inside.items()}
    assert abs(share["independent"] - 0.95) < 0.012 and abs(share["corrected"] - 0.95) < 0.012, share
    assert share["plain"] < 0.9, share
