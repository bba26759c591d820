"""Risk and coverage against a count for each threshold, sums by hand, and what confidence at random must give."""

from __future__ import annotations

import numpy as np
import pytest

from affectkit.errors import DataError, UsageError
from affectkit.metrics.selective import aurc, excess_aurc, risk_coverage


def slow_aurc(confidence, error):
    """The mean over the items of the mean error of all items at least as sure, one by one."""
    risks = []
    for threshold in confidence:
        taken = [e for c, e in zip(confidence, error, strict=True) if c >= threshold]
        risks.append(sum(taken) / len(taken))
    return sum(risks) / len(risks)


@pytest.mark.parametrize("ties", [False, True])
def test_aurc_is_the_mean_risk_over_the_items_thresholds(ties):
    rng = np.random.default_rng(1)
    for _ in range(20):
        confidence = rng.random(80).round(1) if ties else rng.random(80)
        error = (rng.random(80) < 0.3).astype(float)
        assert aurc(confidence, error) == pytest.approx(slow_aurc(confidence, error), abs=1e-12)


def test_items_of_equal_confidence_come_in_together():
    curve = risk_coverage([0.9, 0.5, 0.5, 0.5, 0.2], [0, 1, 0, 0, 1])
    assert curve.threshold.tolist() == [0.9, 0.5, 0.2] and curve.accepted.tolist() == [1, 4, 5]
    assert curve.risk.tolist() == [0, 0.25, 0.4] and curve.coverage.tolist() == [0.2, 0.8, 1]
    assert [curve.at(share) for share in (0.2, 0.21, 0.8, 1.0)] == [0, 1, 1, 2]
    order = np.random.default_rng(0).permutation(5)
    again = risk_coverage(np.array([0.9, 0.5, 0.5, 0.5, 0.2])[order], np.array([0, 1, 0, 0, 1])[order])
    assert np.array_equal(curve.risk, again.risk)


def test_confidence_at_random_gives_the_mean_error_whatever_the_count():
    rng = np.random.default_rng(2)
    for count in (5, 50, 500):
        error = np.zeros(count)
        error[: count // 5] = 1
        found = [aurc(rng.permutation(count), error) for _ in range(4000)]
        assert np.mean(found) == pytest.approx(0.2, abs=4 * np.std(found) / np.sqrt(len(found)))


def test_the_best_order_has_no_excess_and_its_logarithm_is_near():
    error = np.zeros(5000)
    error[:600] = 1
    assert excess_aurc(1 - error - np.arange(5000) * 1e-6, error) == pytest.approx(0, abs=1e-12)
    r = 0.12  # the approximation of Geifman et al. 2019 for many items
    assert aurc(1 - error - np.arange(5000) * 1e-6, error) == pytest.approx(r + (1 - r) * np.log(1 - r), abs=1e-3)
    assert excess_aurc(np.zeros(5000), error) == pytest.approx(r - (r + (1 - r) * np.log(1 - r)), abs=1e-3)


def test_what_is_no_curve_is_refused():
    assert np.isnan(aurc([], [])) and np.isnan(excess_aurc([], []))
    for confidence, error in (([0.1, 0.2], [1]), ([np.nan], [1]), ([0.1], [2]), ([0.1], [np.nan])):
        with pytest.raises(DataError):
            risk_coverage(confidence, error)
    with pytest.raises(UsageError):
        risk_coverage([0.1], [1]).at(0)
