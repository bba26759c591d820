"""Ratings' measures against SciPy, scikit-learn and sums written out; nothing undefined is a number."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import linregress, pearsonr
from sklearn.metrics import mean_squared_error, r2_score

from affectkit.errors import DataError
from affectkit.metrics import ratings

pytestmark = pytest.mark.filterwarnings("error")
SINGLE = {name: getattr(ratings, {"r": "pearson_r"}.get(name, name)) for name in ratings.MEASURES}


def exact(p, q) -> dict[str, float]:
    """The measures from exact fractions, by their definitions."""
    p, q = [Fraction(float(x)) for x in p], [Fraction(float(x)) for x in q]
    n = len(p)
    p_mean, q_mean = sum(p) / n, sum(q) / n
    p_var, q_var = (sum((x - mean) ** 2 for x in xs) / n for xs, mean in ((p, p_mean), (q, q_mean)))
    cov = sum((a - p_mean) * (b - q_mean) for a, b in zip(p, q, strict=True)) / n
    sse = sum((a - b) ** 2 for a, b in zip(p, q, strict=True))
    fit = [q_mean + cov / p_var * (a - p_mean) for a in p]
    fitted = sum((a - b) ** 2 for a, b in zip(fit, q, strict=True))
    return {
        "ccc": float(2 * cov / (p_var + q_var + (p_mean - q_mean) ** 2)),
        "r": math.copysign(math.sqrt(cov**2 / (p_var * q_var)), cov),
        "r2": float(1 - sse / (n * q_var)),
        "rmse": math.sqrt(sse / n),
        "r2_fitted": float(1 - fitted / (n * q_var)),
        "rmse_fitted": math.sqrt(fitted / n),
    }


def cases():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(3, 60))
        q = np.round(rng.uniform(1, 9, n), seed % 3) if seed % 2 else rng.normal(0, 1, n)
        p = rng.normal() + rng.normal() * q + rng.normal(0, rng.uniform(0.01, 2), n)
        if np.ptp(q):
            yield p, q


def test_measures_equal_exact_sums_and_the_libraries():
    checked = 0
    for p, q in cases():
        found = ratings.agreement(p, q)
        assert list(found) == ["ccc", "r", "r2", "rmse", "r2_fitted", "rmse_fitted"]
        for name, value in exact(p, q).items():
            assert found[name] == pytest.approx(value, rel=1e-11, abs=1e-13), name
            assert SINGLE[name](p, q) == found[name]
            checked += 1
        assert found["r"] == pytest.approx(pearsonr(p, q).statistic, rel=1e-10)
        assert found["r2"] == pytest.approx(r2_score(q, p), rel=1e-10)
        assert found["rmse"] == pytest.approx(math.sqrt(mean_squared_error(q, p)), rel=1e-12)
        line = linregress(p, q)
        fit = line.intercept + line.slope * p
        assert found["r2_fitted"] == pytest.approx(r2_score(q, fit), rel=1e-9, abs=1e-12)
        assert found["rmse_fitted"] == pytest.approx(math.sqrt(mean_squared_error(q, fit)), rel=1e-9)
        assert abs(found["ccc"]) <= abs(found["r"]) + 1e-12 and found["r2"] <= found["r2_fitted"] + 1e-12
    assert checked > 150


def test_values_of_any_size_and_far_from_zero():
    rng = np.random.default_rng(1)
    q = rng.normal(size=40)
    p = 0.5 * q + rng.normal(size=40)
    at_one = ratings.agreement(p, q)
    for factor in (1e-200, 1e200):
        found = ratings.agreement(p * factor, q * factor)
        for name, value in at_one.items():
            assert found[name] == pytest.approx(value * (factor if "rmse" in name else 1), rel=1e-11), name
    moved = ratings.agreement(p + 1e5, q + 1e5)
    assert moved == pytest.approx(at_one, rel=1e-8)


def test_perfect_reversed_and_shifted_predictions():
    q = np.array([1.0, 2.0, 2.5, 7.0])
    assert ratings.agreement(q, q) == {"ccc": 1, "r": 1, "r2": 1, "rmse": 0, "r2_fitted": 1, "rmse_fitted": 0}
    assert ratings.pearson_r(-q, q) == -1 and ratings.ccc(2 * q.mean() - q, q) == pytest.approx(-1)
    assert ratings.r2(np.array([3.125, 3.125, 3.125, 3.1251]), q) == pytest.approx(0, abs=1e-3)
    shifted = ratings.agreement(q + 1, q)
    variance = q.var()
    assert shifted["rmse"] == 1 and shifted["r2"] == pytest.approx(1 - 1 / variance)
    assert shifted["ccc"] == pytest.approx(2 * variance / (2 * variance + 1)) and shifted["r2_fitted"] == 1


def almost(value: float, steps: int) -> np.ndarray:
    """float32 values that differ by units in the last place only, as those of a network that collapsed."""
    step = np.spacing(np.float32(value))
    return np.float32(value) + step * np.random.default_rng(0).integers(0, steps, 50).astype(np.float32)


@pytest.mark.parametrize(
    ("predicted", "actual", "words"),
    [
        (np.full(50, 5.2), np.arange(50.0), "every predicted value is 5.2"),
        (np.full(50, np.float32(0.1)), np.arange(50.0), "every predicted value is 0.1"),
        (almost(5.2, 4), np.arange(50.0), "every predicted value is 5.2"),
        (almost(-0.37, 4), np.arange(50.0), "every predicted value is -0.37"),
        (np.zeros(50), np.arange(50.0), "every predicted value is 0"),
        (np.arange(50.0), np.full(50, 1 / 3), "every actual value is 0.333333"),
        (np.full(50, 2.0), np.full(50, 2.0), "every predicted value is 2"),
        ([1.0], [2.0], "one value only"),
    ],
)
def test_what_is_not_defined_is_nan_with_one_warning(predicted, actual, words):
    with pytest.warns(ratings.ConstantWarning, match=words) as caught:
        found = ratings.agreement(predicted, actual)
    assert len(caught) == 1 and caught[0].filename == __file__
    error = np.asarray(predicted, dtype=np.float64) - np.asarray(actual)
    assert found.pop("rmse") == pytest.approx(math.sqrt(np.mean(error**2)))
    assert len(found) == 5 and all(math.isnan(value) for value in found.values())
    assert ratings.rmse(predicted, actual) >= 0  # and no warning, which would be an error here
    for name in found:
        with pytest.warns(ratings.ConstantWarning, match=words) as caught:
            assert math.isnan(SINGLE[name](predicted, actual))
        assert caught[0].filename == __file__


def test_small_but_real_differences_are_no_constant():
    q = np.arange(50.0)
    p = 5.2 + 1e-4 * q
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ratings.pearson_r(p, q) == pytest.approx(1)
        assert ratings.pearson_r(np.float32(p), q) == pytest.approx(1, abs=1e-4)


def test_without_values_all_is_nan():
    with pytest.warns(ratings.ConstantWarning, match="no values") as caught:
        found = ratings.agreement([], [])
    assert len(caught) == 1 and len(found) == 6 and all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize(
    ("predicted", "actual", "words"),
    [
        ([1, 2, 3], [1, 2], "same length; got 3 and 2"),
        ([[1, 2]], [1, 2], r"shape \(samples,\)"),
        ([1, math.nan, math.inf, 4], [1, 2, 3, 4], "predicted must be finite; 2 of 4 values .* rows 1, 2"),
        ([1, 2], [1, -math.inf], "actual must be finite; 1 of 2"),
        (["a", "b"], [1, 2], "predicted must be numbers"),
    ],
)
def test_faulty_arrays_are_refused(predicted, actual, words):
    for function in (ratings.agreement, ratings.rmse, ratings.ccc):
        with pytest.raises(DataError, match=words):
            function(predicted, actual)
