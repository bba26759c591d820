"""Gaps between groups: by hand, against SciPy, and by simulation where they promise something."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from affectkit.errors import DataError
from affectkit.statistics.gaps import differences, gap, tukey_factor
from affectkit.statistics.measures import ItemValues, Measure, class_measures, mean_measures


def mean_of(values: np.ndarray) -> Measure:
    return mean_measures({"kl": ItemValues(np.asarray(values, dtype=float))})[0]


@pytest.mark.parametrize("groups", [2, 3, 10, 50])
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_the_factor_is_that_of_the_studentised_range(groups: int, level: float) -> None:
    from scipy.stats import studentized_range

    assert tukey_factor(groups, level) == pytest.approx(studentized_range.ppf(level, groups, np.inf) / math.sqrt(2))


def test_two_shares_have_the_bounds_of_their_own_intervals() -> None:
    true = np.zeros(100, dtype=int)
    predicted = np.r_[np.zeros(40, int), np.ones(10, int), np.zeros(30, int), np.ones(20, int)]
    found = gap(class_measures(true, predicted, 2)[0], np.repeat([0, 1], 50))
    assert (found.lowest, found.highest, found.groups) == (1, 0, 2)
    assert found.value == pytest.approx(0.2)
    from scipy.stats import beta

    ends = [(beta.ppf(0.025, k, 51 - k), beta.ppf(0.975, k + 1, 50 - k)) for k in (40, 30)]
    (l1, u1), (l2, u2) = ends
    assert found.low == pytest.approx(0.2 - math.hypot(0.8 - l1, u2 - 0.6), abs=1e-6)
    assert found.high == pytest.approx(0.2 + math.hypot(u1 - 0.8, 0.6 - l2), abs=1e-6)
    assert "MOVER of Clopper-Pearson" in found.method


def test_groups_that_count_nowhere_and_gaps_that_are_none() -> None:
    values = np.r_[np.arange(10.0), np.arange(10.0) + 100, np.full(10, 1e6)]
    found = gap(mean_of(values), np.repeat([0, 1, -1], 10))
    assert found.value == pytest.approx(100)
    alone = gap(mean_of(values), np.zeros(30, dtype=int))
    assert math.isnan(alone.value) and alone.method == "fewer than two groups have it"
    constant = gap(mean_of(np.repeat([1.0, 2.0], 10)), np.repeat([0, 1], 10))
    assert constant.value == 1 and math.isnan(constant.low) and "a group has none" in constant.method
    with pytest.raises(DataError, match="codes must be whole numbers"):
        gap(mean_of(values), np.zeros(29, dtype=int))


def test_groups_that_share_clusters_differ_within_these() -> None:
    rng = np.random.default_rng(3)
    actor = np.repeat(np.arange(12), 40)
    codes = np.tile([0, 1], 240)
    values = 5 * rng.normal(size=12)[actor] + rng.normal(size=480) + 0.5 * codes + 50
    paired, apart = gap(mean_of(values), codes, clusters=actor), gap(mean_of(values), codes)
    assert "jackknife t over 12 clusters" in paired.method
    assert paired.low > 0.2 and paired.high < 0.9
    assert apart.low == 0 and apart.high > 1  # as if the actors of the groups were others
    from scipy.stats import ttest_1samp

    means = [values[(actor == k) & (codes == 1)].mean() - values[(actor == k) & (codes == 0)].mean() for k in range(12)]
    low, high = ttest_1samp(means, 0).confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((low, high), rel=0.03)


def test_p_is_that_of_all_permutations() -> None:
    rng = np.random.default_rng(0)
    values, codes = rng.normal(size=8) + np.repeat([0, 1.2], [3, 5]) + 9, np.repeat([0, 1], [3, 5])

    def statistic(chosen: tuple[int, ...]) -> float:
        inside = np.isin(np.arange(8), chosen)
        return 3 * (values[inside].mean() - values.mean()) ** 2 + 5 * (values[~inside].mean() - values.mean()) ** 2

    every = np.array([statistic(chosen) for chosen in itertools.combinations(range(8), 3)])
    (found,) = differences([mean_of(values)], codes, draws=20_000)
    assert found.test == "permutation of items"
    assert found.p == pytest.approx((every >= every[0] - 1e-12).mean(), abs=0.01)


def test_clusters_are_exchanged_as_wholes_or_items_within_them() -> None:
    rng = np.random.default_rng(1)
    actor = np.repeat(np.arange(10), 60)
    values = np.array([3, -3, 4, -1, 2, -3, 3, -4, 1, -5])[actor] + rng.normal(size=600) + 50
    nested = differences([mean_of(values)], (actor >= 5).astype(int), clusters=actor, draws=999)[0]
    assert nested.test == "permutation of clusters" and nested.p > 0.05
    as_items = differences([mean_of(values)], (actor >= 5).astype(int), draws=999)[0]
    assert as_items.p == 0.001  # as if 600 clips were of 600 actors
    odd = np.tile([0, 1], 300)
    within = differences([mean_of(values + 0.3 * odd)], odd, clusters=actor, draws=999)[0]
    assert within.test == "permutation of items within clusters" and within.p < 0.01


def test_what_cannot_differ_has_no_test() -> None:
    (found,) = differences([mean_of(np.ones(20))], np.repeat([0, 1], 10), draws=99)
    assert math.isnan(found.p) and "nothing differs" in found.test


# --- simulations ------------------------------------------------------------------------------------------------------

ITEMS = {
    "2 alike, n = 30 and 3,000": ([0.7, 0.7], [30, 3000]),
    "5 alike, n = 30 to 500": ([0.7] * 5, [30, 50, 100, 200, 500]),
    "2 that differ, n = 100": ([0.6, 0.8], [100, 100]),
    "2 near 1, n = 40": ([0.95, 0.99], [40, 40]),
    "5 that differ, n = 60": ([0.6, 0.65, 0.7, 0.75, 0.8], [60] * 5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ITEMS)
def test_the_interval_of_a_gap_of_shares_covers_and_the_test_holds_its_size(name: str) -> None:
    shares, counts = ITEMS[name]
    rng, codes = np.random.default_rng(5), np.repeat(np.arange(len(counts)), counts)
    true = max(shares) - min(shares)
    covered = rejected = 0
    for number in range(500):
        right = (rng.random(len(codes)) < np.array(shares)[codes]).astype(int)
        measure = class_measures(np.ones(len(codes), int), right, 2)[0]
        found = gap(measure, codes)
        covered += found.low - 1e-9 <= true <= found.high + 1e-9
        if not true:
            rejected += differences([measure], codes, draws=199, seed=number)[0].p <= 0.05
    assert covered >= 0.94 * 500
    if not true:
        assert rejected <= 0.075 * 500


@pytest.mark.slow
@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize(("effects", "count"), [((0, 0), 5), ((0, 0.5), 5), ((0, 0, 0, 0), 9), ((0, 0, 0.4), 30)])
def test_the_interval_of_a_gap_over_clusters_covers(within: bool, effects: tuple[float, ...], count: int) -> None:
    rng, groups = np.random.default_rng(6), len(effects)
    number = count if within else count * groups
    actor = np.repeat(np.arange(number), 20)
    codes = np.tile(np.arange(groups), len(actor) // groups + 1)[: len(actor)] if within else actor // count
    covered = rejected = 0
    for run in range(600):
        values = 0.5 * rng.normal(size=number)[actor] + rng.normal(size=len(actor)) + np.array(effects)[codes] + 20
        measure = mean_of(values)
        found = gap(measure, codes, clusters=actor)
        covered += found.low - 1e-9 <= max(effects) <= found.high + 1e-9
        if not any(effects):
            rejected += differences([measure], codes, clusters=actor, draws=199, seed=run)[0].p <= 0.05
    assert covered >= 0.92 * 600
    assert rejected <= 0.08 * 600


@pytest.mark.slow
@pytest.mark.parametrize("count", [30, 300])
def test_the_interval_of_a_gap_of_skewed_means_covers(count: int) -> None:
    rng, codes = np.random.default_rng(7), np.repeat(np.arange(3), count)
    covered = sum(gap(mean_of(np.exp(rng.normal(size=3 * count))), codes).low <= 1e-9 for _ in range(500))
    assert covered >= 0.90 * 500
