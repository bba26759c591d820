"""Coverage of paired differences, size of the tests and power at the detectable difference, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from populations import compared, mean, two_models, two_models_of_clusters
from scipy import stats

from affectkit.statistics.measures import ItemValues, mean_measures
from affectkit.statistics.paired import difference

pytestmark = pytest.mark.slow


def check(found, *, low: float = 0.925, high: float = 0.978, size: tuple[float, float] = (0.02, 0.065)) -> None:
    print({name: (round(100 * held, 1), round(100 * rejected, 1)) for name, (held, rejected) in found.items()})
    for name, (held, rejected) in found.items():
        assert low <= held <= high, (name, held)
        # McNemar's exact test of few items rejects less often.
        least = 0.005 if name == "accuracy" else size[0]
        assert least <= rejected <= size[1], (name, rejected)
    assert len(found) == 6


@pytest.mark.parametrize(("n", "repeats"), [(30, 2000), (100, 2000), (300, 1500), (3000, 400)])
def test_models_that_are_equal(n, repeats):
    high = 0.985 if n == 30 else 0.978
    top = 0.075 if n == 3000 else 0.065  # of fewer repeats
    check(compared(lambda rng: two_models(rng, n), repeats, seed=n, permutations=399), high=high, size=(0.02, top))


@pytest.mark.parametrize(("n", "repeats"), [(30, 1500), (100, 1500), (300, 1000)])
def test_models_that_differ(n, repeats):
    found = compared(lambda rng: two_models(rng, n, gain=0.1), repeats, seed=n + 1, permutations=199)
    print(found)
    for name, (held, _) in found.items():
        assert 0.925 <= held <= (0.985 if n == 30 else 0.978), (name, held)
    assert n < 300 or min(found[name][1] for name in ("lognormal", "ccc", "rmse")) > 0.25


@pytest.mark.parametrize(("count", "repeats"), [(5, 2000), (10, 1500), (30, 1000), (100, 500)])
def test_equal_models_on_clusters(count, repeats):
    found = compared(lambda rng: two_models_of_clusters(rng, count), repeats, seed=count, permutations=399)
    # Of 5 clusters p is that of t.
    print(found)
    for name, (held, rejected) in found.items():
        assert 0.92 <= held <= 0.98, (name, held)
        assert 0.015 <= rejected <= (0.08 if count in (5, 100) else 0.07), (name, rejected)


@pytest.mark.parametrize("n", [34, 150])
def test_power_at_the_detectable_difference_of_a_mean_is_80_percent(n):
    """Of normal differences a paired t test has it: Cohen 1988, table 2.4.1, d = 0.5 with n = 34: 0.81."""
    rejected, stated = [], []
    for number in range(1500):
        rng = np.random.default_rng([n, number])
        a, b = rng.normal(size=(2, n)) / math.sqrt(2)
        a += (stats.t.ppf(0.975, n - 1) + stats.t.ppf(0.8, n - 1)) / math.sqrt(n)
        found = difference(mean(a, "x"), mean(b, "x"), permutations=399)
        rejected.append(found.p <= 0.05)
        stated.append(found.detectable * math.sqrt(n))
    assert np.mean(rejected) == pytest.approx(0.8, abs=0.035)
    assert np.mean(stated) == pytest.approx(stats.t.ppf([0.975, 0.8], n - 1).sum(), rel=0.02)


@pytest.mark.parametrize(("first", "second", "n"), [(0.15, 0.05, 155), (0.10, 0.04, 303)])
def test_power_of_mcnemar(first, second, n):
    """n of Connor 1987 (Biometrics 43) for a power of 80%: (1.96 sqrt(s) + 0.8416 sqrt(s - d^2))^2 / d^2, s and d sum
    and difference of both shares. The exact test has less: what the binomial distribution says."""
    s, d = first + second, first - second
    connor = (stats.norm.ppf(0.975) * math.sqrt(s) + stats.norm.ppf(0.8) * math.sqrt(s - d * d)) ** 2 / (d * d)
    assert n == math.ceil(connor)
    exact = sum(
        stats.binom.pmf(m, n, s) * stats.binom.pmf(b, m, first / s)
        for m in range(n + 1)
        for b in range(m + 1)
        if m and stats.binom.pmf(m, n, s) > 1e-9 and 2 * stats.binom.cdf(min(b, m - b), m, 0.5) <= 0.05
    )
    rejected, stated = [], []
    for number in range(1500):
        kind = np.random.default_rng([n, number]).choice(3, n, p=[first, second, 1 - s])
        a, b = (mean_measures({"accuracy": ItemValues((kind != other) * 1.0, "max")})[0] for other in (1, 0))
        found = difference(a, b)
        rejected.append(found.p <= 0.05)
        stated.append(found.detectable)
    assert np.mean(rejected) == pytest.approx(exact, abs=0.03) and 0.7 < exact < 0.8
    assert np.mean(stated) == pytest.approx(d, rel=0.06)
