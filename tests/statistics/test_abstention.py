"""Thresholds with a promise: exact bounds by SciPy, what is said where nothing can be promised, and by simulation that
promises are broken as seldom as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta, binom

from affectkit.errors import DataError, UsageError
from affectkit.statistics.abstention import fewest, fit_accuracy, fit_coverage

SHAPES = {
    "falling": lambda u: 0.998 - 0.55 * u**2,
    "a step": lambda u: np.where(u < 0.5, 1.0, 0.6),
    "just too low": lambda u: np.full_like(u, 0.9499),
    "hardly falling": lambda u: 0.97 - 0.1 * u,
    "wrong where surest": lambda u: np.where(u < 0.05, 0.85, np.where(u < 0.6, 0.99, 0.7)),
    "worse in the middle": lambda u: np.where(u < 0.2, 0.99, np.where(u < 0.5, 0.90, 0.985)),
    "up and down": lambda u: np.where((u * 10).astype(int) % 2 == 0, 0.99, 0.90),
    "nearly all right": lambda u: 0.999 - 0.04 * u,
}
"""Chance to be right of the item that a share u of the population is surer than."""


def items(shape, count, rng):
    u = rng.random(count)
    return 1 - u, rng.random(count) < SHAPES[shape](u)


def test_the_accepted_are_as_accurate_as_the_bound_needs():
    rng = np.random.default_rng(0)
    confidence, right = items("falling", 1000, rng)
    found = fit_accuracy(confidence, right, 0.9)
    taken = confidence >= found.threshold
    assert (found.accepted, found.right, found.n) == (taken.sum(), right[taken].sum(), 1000)
    assert 0.5 < found.accepted / 1000 < 0.75
    # Clopper and Pearson's bound of what is accepted alone is above what is wished: more is asked for than that.
    assert beta.ppf(0.05, found.right, found.accepted - found.right + 1) >= 0.9
    assert fit_accuracy(confidence, right, 0.9, level=0.5).accepted > found.accepted
    assert fit_accuracy(confidence, right, 0.95).accepted < found.accepted


def test_all_right_items_suffice_from_the_least_number_on():
    assert fewest(0.95) == 59 and fewest(0.9) == 29 and fewest(0.95, 0.99) == 90
    for count, promised in ((58, False), (59, True)):
        found = fit_accuracy(np.linspace(0.5, 0.9, count), np.ones(count), 0.95)
        assert (found.threshold == 0) == promised and (found.reason == "") == promised
    assert "59" in fit_accuracy(np.linspace(0.5, 0.9, 58), np.ones(58), 0.95).reason


def test_where_nothing_can_be_promised_it_says_what_would_do():
    rng = np.random.default_rng(1)
    confidence, right = items("hardly falling", 300, rng)
    found = fit_accuracy(confidence, right, 0.99)
    assert found.threshold is None and found.needed is None and "no number of such items" in found.reason
    assert fit_accuracy(confidence, right, found.best).threshold is not None
    assert fit_accuracy(confidence, right, found.best + 0.001).threshold is None
    confidence, right = items("a step", 200, rng)
    short = fit_accuracy(confidence, right, 0.985)
    assert short.threshold is None and 200 < short.needed < 1000 and f"{short.needed:,}" in short.reason
    more = items("a step", short.needed * 2, rng)
    assert fit_accuracy(*more, 0.985).threshold is not None


def test_coverage_is_an_order_statistic():
    rng = np.random.default_rng(2)
    confidence, right = items("falling", 500, rng)
    found = fit_coverage(confidence, right, 0.8)
    assert binom.cdf(found.accepted - 1, 500, 0.8) >= 0.95 > binom.cdf(found.accepted - 2, 500, 0.8)
    assert found.accuracy_bound == pytest.approx(beta.ppf(0.05, found.right, found.accepted - found.right + 1))
    short = fit_coverage(confidence[:20], right[:20], 0.9)
    assert short.threshold is None and short.needed == math.ceil(math.log(0.05) / math.log(0.9)) == 29


def test_ties_are_accepted_together_and_thresholds_lie_between():
    confidence = np.repeat([0.9, 0.8, 0.3], [100, 100, 100])
    right = np.repeat([1, 1, 0], [100, 100, 100])
    found = fit_accuracy(confidence, right, 0.9)
    assert found.accepted == 200 and found.threshold == 0.55
    assert fit_coverage(confidence, right, 0.5).accepted == 200


def test_faulty_values_are_refused():
    for wrong in (0, 1, -0.5, 2):
        with pytest.raises(UsageError):
            fit_accuracy([0.5], [1], wrong)
    with pytest.raises(DataError):
        fit_accuracy([0.5], [0.5], 0.9)
    with pytest.raises(DataError):
        fit_coverage([], [], 0.9)


def broken(shape, count, wished, repeats, *, seed=0):
    """How many of the repeats break their promise, and the mean coverage."""
    grid = np.linspace(0, 1, 100_001)
    accuracy = np.cumsum(SHAPES[shape](grid)) / np.arange(1, len(grid) + 1)
    rng, wrong, covered = np.random.default_rng(seed), 0, 0.0
    for _ in range(repeats):
        found = fit_accuracy(*items(shape, count, rng), wished)
        if found.threshold is not None:
            share = 1 - found.threshold
            wrong += accuracy[round(share * 100_000)] < wished - 1e-9
            covered += share
    return wrong, covered / repeats


def test_promises_of_few_items_hold():
    wrong, _ = broken("falling", 100, 0.9, 200)
    assert wrong <= binom.ppf(0.999, 200, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("count", [100, 1000, 3000])
@pytest.mark.parametrize("shape", SHAPES)
def test_promises_are_broken_as_seldom_as_they_say(shape, count):
    repeats = 600
    for wished in (0.9, 0.95):
        wrong, covered = broken(shape, count, wished, repeats, seed=count)
        print(f"{shape:20} n {count:5,} accuracy {wished:g}: broken {wrong / repeats:.3f}, coverage {covered:.3f}")
        assert wrong <= binom.ppf(0.9999, repeats, 0.05), (shape, wished, wrong)


@pytest.mark.slow
@pytest.mark.parametrize("count", [100, 1000, 3000])
def test_promised_coverages_hold(count):
    rng, repeats, low, inaccurate = np.random.default_rng(count), 1000, 0, 0
    grid = np.linspace(0, 1, 100_001)
    accuracy = np.cumsum(SHAPES["falling"](grid)) / np.arange(1, len(grid) + 1)
    for _ in range(repeats):
        found = fit_coverage(*items("falling", count, rng), 0.8)
        low += 1 - found.threshold < 0.8
        inaccurate += accuracy[round((1 - found.threshold) * 100_000)] < found.accuracy_bound
    assert max(low, inaccurate) <= binom.ppf(0.9999, repeats, 0.05)
    assert low > binom.ppf(0.0001, repeats, 0.02)  # it gives away no more than whole numbers cost
