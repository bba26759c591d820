from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.special import softmax as scipy_softmax
from sklearn.metrics import brier_score_loss

from affectkit.errors import DataError, UsageError
from affectkit.metrics import calibration

SEEDS = range(8)
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def bins_by_loop(confidence, agreement, bins):
    """Count, mean confidence and mean agreement of each bin (lo, hi], one comparison at a time."""
    rows = []
    for i in range(bins):
        lo, hi = i / bins, (i + 1) / bins
        inside = [k for k, c in enumerate(confidence) if lo < c <= hi or (i == 0 and c == 0)]
        mean = [math.fsum(v[k] for k in inside) / len(inside) if inside else math.nan for v in (confidence, agreement)]
        rows.append((len(inside), *mean))
    return np.array(rows)


@pytest.mark.parametrize("bins", (1, 10, 15))
def test_reliability_equals_a_loop(bins):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        # Exact edges, 0 and 1 among random numbers; agreement as raters' shares.
        confidence = np.concatenate([rng.random(60) ** 2, np.arange(bins + 1) / bins, [0.2, 0.6, 0.7]])
        agreement = rng.integers(0, 11, size=len(confidence)) / 10
        table = bins_by_loop(confidence, agreement, bins)
        result = calibration.reliability(confidence, agreement, bins)
        assert result.edges.tolist() == [i / bins for i in range(bins + 1)]
        assert result.count.tolist() == table[:, 0].tolist() and result.count.sum() == len(confidence)
        np.testing.assert_allclose(result.confidence, table[:, 1], rtol=1e-12)
        np.testing.assert_allclose(result.agreement, table[:, 2], rtol=1e-12)
        gap = np.abs(table[:, 1] - table[:, 2])
        expected = np.nansum(table[:, 0] / len(confidence) * gap)
        assert calibration.expected_calibration_error(confidence, agreement, bins) == pytest.approx(expected)


def test_edges_belong_to_the_bin_below():
    result = calibration.reliability([0.0, 0.2, np.nextafter(0.2, 1), 1.0], [0, 1, 0, 1], 5)
    assert result.count.tolist() == [2, 1, 0, 0, 1]
    for bins in range(1, 40):
        edges = [float(f"{i}") / bins for i in range(1, bins + 1)]
        assert calibration.reliability(edges, edges, bins).count.tolist() == [1] * bins


def test_known_calibration_errors():
    confidence, right = np.array([0.9, 0.9, 0.9, 0.9, 0.6, 0.6]), np.array([1, 1, 1, 0, 0, 0])
    assert calibration.expected_calibration_error(confidence, right, 10) == pytest.approx((4 * 0.15 + 2 * 0.6) / 6)
    assert calibration.expected_calibration_error([0.5, 0.5], [True, False]) == 0
    assert math.isnan(calibration.expected_calibration_error([], []))
    assert calibration.expected_calibration_error([1 + 5e-7], [1.0]) == 0  # rounding in float32 is forgiven


@pytest.mark.parametrize(
    ("confidence", "agreement", "says"),
    [
        ([0.5, 1.2], [0, 1], r"confidence must be in \[0, 1\]; row 1 are not \(first value: 1.2\)"),
        ([0.5, 0.2], [0, 3], "agreement must be in"),
        ([np.nan, 0.2], [0, 1], "row 0"),
        ([-0.1, 0.2], [0, 1], "row 0"),
        ([0.5, 0.2], [0], "same length; got 2 and 1"),
        ([[0.5]], [[0]], r"shape \(samples,\)"),
        (["a"], [0], "numbers"),
    ],
)
def test_reliability_refuses(confidence, agreement, says):
    for function in (
        calibration.reliability,
        calibration.expected_calibration_error,
    ):
        with pytest.raises(DataError, match=says):
            function(confidence, agreement)


@pytest.mark.parametrize("bins", (0, -1, 2.5, True, "15"))
def test_bins_are_checked(bins):
    with pytest.raises(UsageError, match="'bins' must be a whole number of at least 1"):
        calibration.reliability([0.5], [1], bins)


def test_brier_score():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        p, q = rng.dirichlet(np.full(5, 0.5), size=20), rng.multinomial(10, np.full(5, 0.2), size=20) / 10
        # Over the label that a drawn rater gives.
        drawn = sum(q[:, c] * np.square(p - np.eye(5)[c]).sum(axis=1) for c in range(5))
        np.testing.assert_allclose(calibration.brier_score(p, q), drawn, rtol=1e-12)
        formula = 1 - 2 * (p * q).sum(axis=1) + np.square(p).sum(axis=1)
        np.testing.assert_allclose(calibration.brier_score(p, q), formula, rtol=1e-12)
        label = rng.integers(5, size=20)
        expected = brier_score_loss(label, p, labels=range(5), scale_by_half=False)
        assert calibration.brier_score(p, np.eye(5)[label]).mean() == pytest.approx(expected)
        # Proper: the truth itself scores best.
        assert (calibration.brier_score(q, q) <= calibration.brier_score(p, q)).all()
    hot = np.eye(3)
    assert calibration.brier_score(hot, hot).tolist() == [0, 0, 0]
    assert calibration.brier_score(hot, np.roll(hot, 1, axis=0)).tolist() == [2, 2, 2]
    with pytest.raises(DataError, match="sum to 1"):
        calibration.brier_score(hot * 2, hot)


def test_softmax():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(50, 7)) * 10
    for temperature in (0.05, 1.0, 3.0):
        np.testing.assert_allclose(
            calibration.softmax(logits, temperature), scipy_softmax(logits / temperature, axis=1), rtol=1e-12
        )
    extreme = calibration.softmax([[1e4, -1e4, 0], [1e308, -1e308, 1e308]], 0.05)
    assert extreme.tolist() == [[1, 0, 0], [0.5, 0, 0.5]]
    assert calibration.softmax(logits.astype(np.float32)).dtype == np.float64
    assert calibration.softmax(np.zeros((0, 3))).shape == (0, 3)
    for temperature in (0, -1, math.nan, math.inf):
        with pytest.raises(UsageError, match="'temperature' must be"):
            calibration.softmax(logits, temperature)
    with pytest.raises(DataError, match="logits must be finite; NaN or infinity in row 0"):
        calibration.softmax([[math.nan, 0.0]])


def cross_entropy(logits, target, temperature):
    return -(target * log_softmax(logits / temperature, axis=1)).sum(axis=1).mean()


@pytest.mark.parametrize("soft", (False, True))
def test_temperature_equals_scipys_minimum(soft):
    inside = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        true = rng.normal(size=(200, 6)) * 2
        p = scipy_softmax(true, axis=1)
        draws = np.stack([rng.multinomial(10 if soft else 1, row) for row in p])
        target = draws / draws.sum(axis=1, keepdims=True)
        for scale in (0.1, 1.0, 7.0):
            logits = true * scale + rng.normal(size=(200, 1)) * 100
            found = calibration.fit_temperature(logits, target)
            best = minimize_scalar(
                lambda b, z=logits, q=target: cross_entropy(z, q, 1 / b),
                bounds=(0.05, 20),
                method="bounded",
                options={"xatol": 1e-10},
            )
            assert found == pytest.approx(1 / best.x, rel=1e-5)
            assert cross_entropy(logits, target, found) <= best.fun * (1 + 1e-13)
            # The slope by 1 / T vanishes: the mean logit under the model is that under the target.
            q = scipy_softmax(logits / found, axis=1)
            assert abs(((q - target) * (logits - logits.max(axis=1, keepdims=True))).sum(axis=1).mean()) < 1e-9 * scale
            assert found == calibration.fit_temperature(logits, target)
            inside += 1
    assert inside == 24


def test_temperature_scales_with_the_logits():
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(300, 4)) * 2
    target = np.stack([rng.multinomial(1, row) for row in scipy_softmax(logits, axis=1)]).astype(float)
    one = calibration.fit_temperature(logits, target)
    assert 0.7 < one < 1.4  # labels were drawn at T = 1
    for scale in (0.1, 3.0, 12.0):
        assert calibration.fit_temperature(logits * scale, target) == pytest.approx(one * scale, rel=1e-9)
    assert calibration.fit_temperature(np.repeat(logits, 2, axis=0), np.repeat(target, 2, axis=0)) == pytest.approx(one)


def test_temperature_with_outliers_far_apart():
    # A few huge wrong logits among small right ones: a badly scaled slope, on which plain Newton steps jump away.
    rng = np.random.default_rng(2)
    target = np.eye(3)[rng.integers(3, size=2000)]
    logits = target * 2 + rng.normal(size=(2000, 3)) * 0.5
    logits[:3] = np.roll(target[:3], 1, axis=1) * [[30], [500], [40]]
    found = calibration.fit_temperature(logits, target)
    around = [cross_entropy(logits, target, found * factor) for factor in (0.9999, 1.0, 1.0001)]
    assert 0.05 < found < 20 and around[1] == min(around)


def test_temperature_at_the_ends():
    hot = np.eye(3)
    low, high = calibration.TEMPERATURES
    assert calibration.fit_temperature(np.zeros((0, 3)), np.zeros((0, 3))) == 1.0
    assert calibration.fit_temperature(np.full((3, 3), 7.0), hot) == 1.0  # all logits equal
    assert calibration.fit_temperature(np.ones((3, 1)), np.ones((3, 1))) == 1.0  # a single class
    assert calibration.fit_temperature(hot * 1e4, hot) == 1.0  # right, and sure to the last bit
    assert calibration.fit_temperature(hot * 1e-3, hot) == low  # right, sharper is better for ever
    assert calibration.fit_temperature(-hot, hot) == high  # the opposite
    assert calibration.fit_temperature(hot * 1e4, np.roll(hot, 1, axis=0)) == high
    assert calibration.fit_temperature(hot, np.full((3, 3), 1 / 3)) == high
    soft = np.array([[0.8, 0.1, 0.1]])
    assert calibration.fit_temperature(np.log(soft) * 2, soft) == pytest.approx(2.0, rel=1e-9)
    assert calibration.fit_temperature(np.log(soft) * 19.99, soft) == pytest.approx(19.99, rel=1e-9)
    assert calibration.fit_temperature(np.log(soft) * 0.0501, soft) == pytest.approx(0.0501, rel=1e-9)


def test_temperature_refuses():
    with pytest.raises(DataError, match="logits and target must have the same shape"):
        calibration.fit_temperature(np.zeros((2, 3)), np.full((2, 2), 0.5))
    with pytest.raises(DataError, match="target must be at least 0"):
        calibration.fit_temperature(np.zeros((1, 2)), [[1.5, -0.5]])
    with pytest.raises(DataError, match="logits must be finite"):
        calibration.fit_temperature([[np.inf, 0]], [[1.0, 0]])


# --- fitted as far as the samples bear it out ------------------------------------------------------------------------


def drawn(kind, count, classes, scale, rng):
    """Logits (N, C) at ``scale`` and one-hot targets: ``true``: drawn from the logits' own probabilities (the true
    temperature is ``scale``); ``noisy``: on top of noise; ``random``: nothing to do with each other; ``separable``:
    always the largest; ``nearly``: the largest but for one in 25."""
    label = rng.integers(classes, size=count)
    if kind == "true":
        logits = rng.normal(size=(count, classes)) * 2
        label = (scipy_softmax(logits, axis=1).cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    elif kind == "noisy":
        logits = np.eye(classes)[label] * 3 + rng.normal(size=(count, classes)) * 2
    elif kind == "random":
        logits = rng.normal(size=(count, classes)) * 2
    else:
        off = (rng.random(count) < 0.04) & (kind == "nearly")
        logits = np.eye(classes)[np.where(off, (label + 1) % classes, label)] * 4
        logits += np.clip(rng.normal(size=(count, classes)) * 0.3, -0.9, 0.9)
    return logits * scale, np.eye(classes)[label]


KINDS = ("true", "noisy", "random", "separable", "nearly")


@pytest.mark.parametrize(
    ("count", "mean_margin", "margin"),
    [(5, 0, 0), (10, 0, 0), (18, 0, 0), (20, 0.03, 0.15), (50, 0.03, 0.15), (200, 0.005, 0.02), (1000, 0.002, 0.005),
     pytest.param(5000, 0.0005, 0.001, marks=pytest.mark.slow)],
)  # fmt: skip
def test_nll_on_fresh_data_is_never_made_much_worse(count, mean_margin, margin):
    """``mean_margin``: of the mean over seeds, for each kind of data; ``margin``: of every single fit."""
    fits, seeds = 0, 8 if count < 1000 else 2
    for kind in KINDS:
        for classes in (2, 3, 10):
            for scale in (0.2, 0.5, 1.0, 2.0, 5.0) if count < 1000 else (0.2, 1.0, 5.0):
                changes = []
                for seed in range(seeds):
                    rng = np.random.default_rng([seed, count, classes, int(10 * scale), KINDS.index(kind)])
                    found = calibration.fit_calibration(*drawn(kind, count, classes, scale, rng))
                    assert found.fitted == (found.reason == "") and found.samples == count
                    assert found.fitted or found.temperature == 1
                    fits += found.fitted
                    if not found.fitted:  # and its temperature is 1
                        changes.append(0.0)
                        continue
                    fresh = drawn(kind, 2000, classes, scale, rng)
                    changes.append(cross_entropy(*fresh, found.temperature) - cross_entropy(*fresh, 1.0))
                assert np.mean(changes) <= mean_margin, (kind, classes, scale, changes)
                assert max(changes) <= margin, (kind, classes, scale, changes)
    assert (fits == 0) == (count < calibration.FEWEST)
    assert fits == 0 or fits > 20


@pytest.mark.parametrize("true", (0.3, 0.7, 1.5, 4.0))
@pytest.mark.parametrize("classes", (2, 8))
def test_many_samples_recover_the_true_temperature(true, classes):
    rng = np.random.default_rng([int(true * 10), classes])
    logits, target = drawn("true", 10_000, classes, true, rng)
    found = calibration.fit_calibration(logits, target)
    assert found.fitted and found.temperature == pytest.approx(true, rel=0.06)
    # What holds it towards 1 weighs as much as a few samples.
    assert found.temperature == pytest.approx(calibration.fit_temperature(logits, target), rel=5e-3)


def test_what_eighteen_images_allow():
    """Three classes of 60 images, a tenth of them for validation: what ended at 0.05, and at 20."""
    for kind in ("separable", "random"):
        found = calibration.fit_calibration(*drawn(kind, 18, 3, 0.3, np.random.default_rng(0)))
        assert found.temperature == 1 and not found.fitted and "18 samples are too few" in found.reason


def test_a_bound_is_a_failure_and_says_which():
    rng = np.random.default_rng(1)
    for count in (calibration.FEWEST, 500):
        logits, target = drawn("separable", count, 3, 0.3, rng)
        found = calibration.fit_calibration(logits, target)
        assert (found.temperature, found.fitted) == (1, False) and "its bound, 0.05" in found.reason
        found = calibration.fit_calibration(-logits, target)
        assert (found.temperature, found.fitted) == (1, False) and "its bound, 20" in found.reason
    flat = calibration.fit_calibration(np.zeros((50, 3)), np.eye(3)[rng.integers(3, size=50)])
    assert not flat.fitted and flat.temperature == 1


def penalised(logits, target, b):
    """The sum of cross-entropies and penalty at b = 1 / T, written out."""
    return len(logits) * cross_entropy(logits, target, 1 / b) + calibration.PENALTY * (b - 1 - math.log(b))


def test_the_fit_is_the_penalised_minimum_and_the_check_its_cross_validation():
    fitted = refused = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        logits, target = drawn("true", 40, 4, (0.5, 1.0, 2.0)[seed % 3], rng)
        held_out = np.zeros(40)
        for part in range(5):
            own, rest = np.arange(40) % 5 == part, np.arange(40) % 5 != part
            best = minimize_scalar(
                lambda b, z=logits[rest], q=target[rest]: penalised(z, q, b),
                bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9},
            )  # fmt: skip
            held_out[own] = -(target[own] * log_softmax(logits[own] * best.x, axis=1)).sum(axis=1)
        found = calibration.fit_calibration(logits, target)
        assert found.nll == pytest.approx(held_out.mean(), rel=1e-6)
        assert found.nll_before == pytest.approx(cross_entropy(logits, target, 1.0), rel=1e-12)
        assert found.fitted == (held_out.mean() < found.nll_before)
        if found.fitted:
            fitted += 1
            values = [penalised(logits, target, factor / found.temperature) for factor in (0.999, 1.0, 1.001)]
            assert values[1] == min(values)
        else:
            refused += 1
            assert "cross-validated" in found.reason
    assert fitted > 2 and refused > 0


def test_penalty_is_checked():
    for penalty in (-1, math.nan, math.inf):
        with pytest.raises(UsageError, match="'penalty' must be"):
            calibration.fit_temperature(np.zeros((1, 2)), [[1.0, 0]], penalty=penalty)
    with pytest.raises(DataError, match="same shape"):
        calibration.fit_calibration(np.zeros((2, 3)), np.full((2, 2), 0.5))
