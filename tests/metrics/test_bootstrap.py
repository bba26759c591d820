"""Bootstrap intervals against resampling in a loop, SciPy, and the truth that they should hold."""

from __future__ import annotations

import math
import tracemalloc
import warnings

import numpy as np
import pytest
from scipy.stats import bootstrap

from affectkit.core.randomness import numpy_generator
from affectkit.errors import DataError, UsageError
from affectkit.metrics import bootstrap as module
from affectkit.metrics.bootstrap import confusion_intervals, mean_interval, mean_intervals, rating_intervals
from affectkit.metrics.ratings import MEASURES, agreement, pearson_r

pytestmark = pytest.mark.filterwarnings("error")


def pair(n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    q = np.round(rng.uniform(1, 9, n), 1)
    return 2 + 0.6 * q + rng.normal(0, 1, n), q


def by_loop(p, q, *, draws: int, seed: int, level: float) -> dict[str, tuple[float, float]]:
    """Every resample by itself, measured with ``agreement``."""
    drawn = numpy_generator(seed, "bootstrap", len(p)).integers(0, len(p), size=(draws, len(p)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [agreement(p[index], q[index]) for index in drawn]
    found = {}
    for name in MEASURES:
        values = [row[name] for row in rows if not math.isnan(row[name])]
        enough = len(values) >= 0.9 * draws
        found[name] = tuple(np.quantile(values, [(1 - level) / 2, (1 + level) / 2])) if enough else (math.nan, math.nan)
    return found


@pytest.mark.parametrize("n", [5, 30, 120])
def test_intervals_equal_a_loop_over_the_same_resamples(n, monkeypatch):
    p, q = pair(n)
    expected = by_loop(p, q, draws=200, seed=3, level=0.9)
    found = rating_intervals(p, q, draws=200, seed=3, level=0.9)
    assert list(found) == list(MEASURES)
    for name, interval in expected.items():
        assert found[name] == pytest.approx(interval, rel=1e-9), name
        assert found[name][0] <= found[name][1]
    monkeypatch.setattr(module, "_CELLS", 7 * n)  # in pieces
    for name, interval in rating_intervals(p, q, draws=200, seed=3, level=0.9).items():
        assert interval == pytest.approx(found[name], rel=1e-12, abs=1e-12), name


def test_resamples_that_are_constant_are_left_out():
    p, q = np.array([5.2] * 9 + [5.9]), np.arange(10.0)
    few = by_loop(p, q, draws=300, seed=0, level=0.95)  # a third of the resamples lack the one that differs
    found = rating_intervals(p, q, draws=300)
    assert math.isnan(few["r"][0]) and all(math.isnan(bound) for bound in found["r"] + found["ccc"] + found["r2"])
    assert found["rmse"] == pytest.approx(few["rmse"])
    p[:3] = 5.0, 5.5, 5.7  # now hardly any does
    some = by_loop(p, q, draws=300, seed=0, level=0.95)
    assert rating_intervals(p, q, draws=300)["r"] == pytest.approx(some["r"], rel=1e-9)


def test_undefined_measures_have_no_interval():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = rating_intervals(np.full(20, np.float32(0.1)), np.arange(20.0))
        single = rating_intervals([1.0], [2.0])
    assert [name for name, (low, _) in constant.items() if not math.isnan(low)] == ["rmse"]
    assert all(math.isnan(low) and math.isnan(high) for low, high in single.values())


def test_intervals_agree_with_scipy_and_depend_on_the_seed_alone():
    p, q = pair(80)
    theirs = bootstrap(
        (p, q), pearson_r, paired=True, vectorized=False, n_resamples=2000, method="percentile", rng=1
    ).confidence_interval  # fmt: skip
    ours = rating_intervals(p, q)
    assert ours["r"] == pytest.approx(tuple(theirs), abs=0.012)
    assert rating_intervals(p, q) == ours != rating_intervals(p, q, seed=1)
    reference = bootstrap((p[:30],), np.mean, n_resamples=2000, method="percentile", rng=1).confidence_interval
    assert mean_interval(p[:30]) == pytest.approx(tuple(reference), abs=0.05)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    held = dict.fromkeys(("r", "mean"), 0)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        q = rng.normal(size=60)
        p = 0.6 * q + 0.8 * rng.normal(size=60)
        low, high = rating_intervals(p, q, draws=200, level=0.9)["r"]
        held["r"] += low <= 0.6 <= high
        low, high = mean_interval(p, draws=200, level=0.9)
        held["mean"] += low <= 0 <= high
    assert all(165 <= count <= 193 for count in held.values()), held  # 180 expected


def test_mean_interval_of_few_and_of_undefined_values():
    low, high = mean_interval([0.5, 0.7])
    assert (low, high) == (0.5, 0.7)
    assert mean_interval([0.25, 0.25, 0.25]) == (0.25, 0.25)
    for values in ([], [0.5], [0.5, math.nan, 0.7], [0.5, math.inf]):
        assert all(math.isnan(bound) for bound in mean_interval(values))


def test_memory_is_bounded():
    p, q = pair(100_000)
    tracemalloc.start()
    rating_intervals(p, q, draws=25)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def test_faults_are_refused():
    for options in ({"level": 0}, {"level": 1}, {"level": math.nan}, {"draws": 0}, {"draws": 2.5}):
        with pytest.raises(UsageError, match=next(iter(options))):
            rating_intervals([1, 2], [1, 2], **options)
        with pytest.raises(UsageError, match=next(iter(options))):
            mean_interval([1, 2], **options)
    with pytest.raises(DataError, match="finite"):
        rating_intervals([1, math.nan], [1, 2])
    with pytest.raises(DataError, match="shape"):
        mean_interval([[1, 2]])


def test_means_of_several_measures_share_their_resamples():
    rng = np.random.default_rng(2)
    values = {"kl": rng.exponential(size=80), "top1": (rng.random(80) < 0.7).astype(float)}
    found = mean_intervals(values)
    for name, array in values.items():
        assert found[name] == pytest.approx(mean_interval(array), rel=1e-12)
        expected = bootstrap((array,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
        width = expected[1] - expected[0]
        assert np.abs(np.subtract(found[name], expected)).max() < 0.1 * width
    gone = mean_intervals({"kl": [1.0, math.nan], "top1": [0.0, 1.0]})
    assert math.isnan(gone["kl"][0]) and not math.isnan(gone["top1"][0])


def test_intervals_of_a_confusion_matrix_agree_with_resampled_items():
    """Items of 4 classes, one of them rare, resampled in a loop and measured by scikit-learn."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

    rng = np.random.default_rng(4)
    truth = rng.choice(4, size=150, p=[0.5, 0.3, 0.16, 0.04])
    guess = np.where(rng.random(150) < 0.65, truth, rng.integers(0, 4, 150))
    counts = np.zeros((4, 4), int)
    np.add.at(counts, (truth, guess), 1)
    found = confusion_intervals(counts)
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(1500):
            drawn = rng.integers(0, 150, 150)
            pair = truth[drawn], guess[drawn]
            rows.append((accuracy_score(*pair), balanced_accuracy_score(*pair), f1_score(*pair, average="macro")))
    for name, values in zip(("accuracy", "balanced_accuracy", "macro_f1"), np.transpose(rows), strict=True):
        low, high = np.quantile(values, [0.025, 0.975])
        assert np.abs(np.subtract(found[name], (low, high))).max() < 0.12 * (high - low), name
    assert confusion_intervals(counts) == found != confusion_intervals(counts, seed=1)
    assert all(math.isnan(bound) for bound in confusion_intervals([[1, 0], [0, 0]])["accuracy"])
    with pytest.raises(DataError):
        confusion_intervals([[1, 2]])
