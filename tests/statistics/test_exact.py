"""Exact intervals, tests and corrections against published numbers, SciPy and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from affectkit.errors import DataError, UsageError
from affectkit.statistics.exact import (
    binomial_tail,
    bonett_price,
    clopper_pearson,
    lower_bound,
    mcnemar,
    upper_bound,
)
from affectkit.statistics.multiple import holm
from affectkit.statistics.power import detectable
from affectkit.statistics.students_t import t_interval, t_quantile, two_sided_p


@pytest.mark.parametrize(
    ("k", "n", "level", "expected"),
    [
        # R's help of binom.test: Mendelian inheritance, 682 of 925.
        (682, 925, 0.95, (0.7076683, 0.7654066)),
        # statsmodels 0.15.0, proportion_confint(method="beta").
        (7, 20, 0.95, (0.1539092047845412, 0.5921885345328282)),
        (0, 10, 0.95, (0.0, 0.3084971078187607)),
        (10, 10, 0.95, (0.6915028921812392, 1.0)),
        (1, 30, 0.9, (0.001708315644465734, 0.14859606865911315)),
        (99990, 100000, 0.99, (0.9997860339192646, 0.9999628297968037)),
    ],
)
def test_clopper_pearson(k, n, level, expected):
    assert clopper_pearson(k, n, level) == pytest.approx(expected, abs=5e-8)
    exact = stats.binomtest(k, n).proportion_ci(level, method="exact")
    assert clopper_pearson(k, n, level) == pytest.approx((exact.low, exact.high), rel=1e-9)


def test_one_sided_bounds_are_where_the_binomial_tail_is_what_is_left():
    for k, n, level in ((0, 30, 0.95), (3, 50, 0.9), (40, 50, 0.99)):
        assert binomial_tail(k, n, upper_bound(k, n, level)) == pytest.approx(1 - level)
        if k:
            assert 1 - binomial_tail(k - 1, n, lower_bound(k, n, level)) == pytest.approx(1 - level)
    assert upper_bound(0, 300) == pytest.approx(3 / 300, rel=0.01)  # the rule of three
    assert lower_bound(0, 5) == 0 and upper_bound(5, 5) == 1
    assert math.isnan(upper_bound(0, 0)) and math.isnan(clopper_pearson(0, 0)[0])
    with pytest.raises(UsageError, match="'k' must be from 0 to n"):
        upper_bound(6, 5)
    with pytest.raises(UsageError, match="'level'"):
        clopper_pearson(1, 5, 95)


@pytest.mark.parametrize(
    ("b", "c", "expected"),
    [
        # Agresti 2013, table 11.1: approval of a prime minister in two surveys of the same people.
        (86, 150, 3.7159361395713866e-05),
        (1, 7, 0.0703125),
        (5, 5, 1.0),
        (0, 6, 0.03125),
        (10, 3, 0.09228515625),
    ],
)
def test_mcnemar_equals_statsmodels(b, c, expected):
    """statsmodels 0.15.0, mcnemar(exact=True)."""
    assert mcnemar(b, c) == mcnemar(c, b) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(b, c) == pytest.approx(stats.binomtest(b, b + c).pvalue, rel=1e-9)


def test_mcnemar_of_models_that_never_differ():
    assert mcnemar(0, 0) == 1
    with pytest.raises(UsageError):
        mcnemar(-1, 3)


def test_bonett_price_of_the_published_example():
    """Fagerland, Lydersen and Laake 2014 (Stat. Med. 33), data of Bentur et al. 2009: 1 and 7 of 21 pairs."""
    assert bonett_price(1, 7, 21) == pytest.approx((-0.508, -0.013), abs=1e-3)
    low, high = bonett_price(0, 0, 100)
    assert low == pytest.approx(-high) and high > 0.01
    assert bonett_price(1, 0, 1) == (pytest.approx(-0.733, abs=1e-3), 1.0)  # cut at 1
    with pytest.raises(UsageError, match="at most n"):
        bonett_price(3, 3, 5)


def test_holm():
    # R, p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm").
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    # The 15 comparisons of Benjamini and Hochberg 1995, sec. 4; adjusted by statsmodels 0.15.0.
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    expected = [0.0015, 0.0056, 0.0247, 0.114, 0.2211, 0.278, 0.278, 0.278, 0.3213, 1, 1, 1, 1, 1, 1]
    order = np.random.default_rng(0).permutation(len(p))
    assert holm(np.array(p)[order]) == pytest.approx(np.array(expected)[order])


def test_holm_leaves_what_is_no_test():
    found = holm([0.02, math.nan, 0.03])
    assert math.isnan(found[1]) and found[[0, 2]] == pytest.approx([0.04, 0.04])
    assert len(holm([])) == 0
    with pytest.raises(DataError, match=r"in \[0, 1\]"):
        holm([0.5, 1.5])


def test_students_t_equals_scipy():
    values = np.random.default_rng(1).normal(3, 2, 5)
    expected = stats.t.interval(0.9, 4, values.mean(), stats.sem(values))
    assert t_interval(values, 0.9) == pytest.approx(expected)
    assert t_quantile(0.975) == pytest.approx(1.959964, abs=1e-6)
    assert two_sided_p(2.1, 7) == pytest.approx(2 * stats.t.sf(2.1, 7)) and two_sided_p(-1.96) == pytest.approx(
        0.05, abs=1e-4
    )
    assert all(map(math.isnan, (*t_interval([1.0]), *t_interval([1.0, math.nan]), *t_interval([]))))
    assert t_interval([2.0, 2.0]) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("n", "expected"), [(34, 0.4950291315285059), (100, 0.2829117119690806), (300, 0.16227121662192304)]
)
def test_detectable_difference_of_a_paired_t_test(n, expected):
    """statsmodels 0.15.0, TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8), which has the noncentral t."""
    assert detectable(1 / math.sqrt(n), n - 1) == pytest.approx(expected, rel=2e-3)


def test_detectable_difference_of_many_items():
    assert detectable(1.0) == pytest.approx(2.8016, abs=1e-4)  # Bloom 1995
    assert math.isnan(detectable(math.nan)) and math.isnan(detectable(1.0, 0))
    with pytest.raises(UsageError, match="'power'"):
        detectable(1.0, power=80)


@pytest.mark.parametrize("n", [10, 30, 100])
def test_clopper_pearson_covers_every_share(n):
    """Not simulated: the chance, by the binomial distribution, of a count whose interval holds the share."""
    bounds = np.array([clopper_pearson(k, n) for k in range(n + 1)])
    shares = np.linspace(0.001, 0.999, 999)
    inside = (bounds[:, :1] <= shares) & (shares <= bounds[:, 1:])
    held = (stats.binom.pmf(np.arange(n + 1)[:, None], n, shares) * inside).sum(0)
    assert held.min() >= 0.95 and held.mean() < 0.995
