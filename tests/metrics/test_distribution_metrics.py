from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, wasserstein_distance
from sklearn.metrics import log_loss

from affectkit.errors import DataError
from affectkit.metrics import distribution as metrics

DISTANCES = ("mse", "total_variation", "kl_divergence", "js_divergence", "earth_movers_distance")
SEEDS = range(8)


def sample(seed: int, rows: int = 7, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Predictions without zeros; votes of ten raters as truth, with many zeros and a one-hot row."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.6), size=rows)
    q = rng.multinomial(10, rng.dirichlet(np.full(classes, 0.4), size=rows)) / 10
    q[0] = np.eye(classes)[seed % classes]
    return p, q


def loop(name: str, p: list[float], q: list[float]) -> float:
    """The distance of one pair in plain Python floats, from its definition."""
    pairs = list(zip(p, q, strict=True))
    if name == "mse":
        return math.fsum((a - b) ** 2 for a, b in pairs) / len(p)
    if name == "total_variation":
        return 0.5 * math.fsum(abs(a - b) for a, b in pairs)
    if name == "kl_divergence":
        return math.fsum(b * (math.log(b) - math.log(a)) for a, b in pairs if b > 0)
    if name == "js_divergence":
        from_p = math.fsum(a * math.log2(2 * a / (a + b)) for a, b in pairs if a > 0)
        return (from_p + math.fsum(b * math.log2(2 * b / (a + b)) for a, b in pairs if b > 0)) / 2
    return math.fsum(abs(math.fsum(p[: c + 1]) - math.fsum(q[: c + 1])) for c in range(len(p)))


@pytest.mark.parametrize("name", DISTANCES)
def test_equals_its_definition(name):
    checked = 0
    for seed in SEEDS:
        p, q = sample(seed)
        values = getattr(metrics, name)(p, q)
        assert values.shape == (7,) and values.dtype == np.float64
        for row in range(7):
            assert values[row] == pytest.approx(loop(name, p[row].tolist(), q[row].tolist()), rel=1e-12, abs=1e-14)
            checked += 1
    assert checked == 56


def test_equals_scipy_and_scikit_learn():
    for seed in SEEDS:
        p, q = sample(seed)
        np.testing.assert_allclose(metrics.kl_divergence(p, q), entropy(q, p, axis=1), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(
            metrics.js_divergence(p, q), jensenshannon(p, q, axis=1, base=2) ** 2, rtol=1e-12, atol=1e-14
        )
        places = np.arange(p.shape[1])
        moved = [wasserstein_distance(places, places, a, b) for a, b in zip(p, q, strict=True)]
        np.testing.assert_allclose(metrics.earth_movers_distance(p, q), moved, rtol=1e-12, atol=1e-14)
        # For one-hot truth KL is the log loss.
        label = np.random.default_rng(seed).integers(6, size=7)
        mean = metrics.kl_divergence(p, np.eye(6)[label]).mean()
        assert mean == pytest.approx(log_loss(label, p, labels=range(6)), rel=1e-9)


@pytest.mark.parametrize("name", DISTANCES)
def test_properties(name):
    distance = getattr(metrics, name)
    top = {"mse": 2 / 6, "kl_divergence": 710.0, "earth_movers_distance": 5.0}.get(name, 1.0)
    for seed in SEEDS:
        p, q = sample(seed)
        assert (distance(q, q) == 0).all() and (distance(p, p) == 0).all()
        hot = np.eye(6)
        for a, b in ((p, q), (q, p), (hot, np.roll(hot, 1, axis=0)), (hot[[0]], hot[[5]])):
            values = distance(a, b)
            assert np.isfinite(values).all() and (values >= 0).all() and (values <= top).all()
        if name != "kl_divergence":
            np.testing.assert_allclose(distance(p, q), distance(q, p), rtol=1e-12, atol=1e-15)
        if name != "earth_movers_distance":
            order = np.random.default_rng(seed).permutation(6)
            np.testing.assert_allclose(distance(p[:, order], q[:, order]), distance(p, q), rtol=1e-12, atol=1e-15)
        assert distance(p.tolist(), q.tolist()).tolist() == distance(p, q).tolist()
        np.testing.assert_allclose(distance(p.astype(np.float32), q.astype(np.float32)), distance(p, q), atol=1e-5)


def test_earth_movers_distance_follows_the_order_of_classes():
    q = np.array([[1.0, 0, 0, 0]])
    near, far = np.array([[0, 1.0, 0, 0]]), np.array([[0, 0, 0, 1.0]])
    assert metrics.earth_movers_distance(near, q) == [1.0]
    assert metrics.earth_movers_distance(far, q) == [3.0]


def test_disjoint_distributions_reach_the_bounds():
    p, q = np.array([[0.5, 0.5, 0, 0]]), np.array([[0, 0, 0.5, 0.5]])
    assert metrics.total_variation(p, q) == [1.0]
    assert metrics.js_divergence(p, q) == [1.0]
    clamped = -math.log(0.5) * -1 - math.log(np.finfo(np.float64).tiny)
    assert metrics.kl_divergence(p, q)[0] == pytest.approx(clamped)


def test_smallest_numbers_do_not_break_js():
    tiny = 5e-324
    values = metrics.js_divergence([[1.0, tiny, 0.0]], [[1.0, 0.0, tiny]])
    assert 0 <= values[0] <= 2 * tiny


def test_sums_off_by_rounding_keep_the_ranges():
    q = np.array([[0.3334, 0.3334, 0.3336], [0.333, 0.333, 0.3335]])
    for name in DISTANCES:
        exact = q / q.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(getattr(metrics, name)(exact, q), 0, atol=1e-15)


def test_top1_agreement_counts_every_leader_of_q():
    q = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.1, 0.8, 0.1]])
    p = np.array([[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.2, 0.6], [0.5, 0.5, 0.0]])
    agreed = metrics.top1_agreement(p, q)
    assert agreed.dtype == np.bool_
    assert agreed.tolist() == [True, True, False, False]  # the last: a tie in p goes to the first class
    for seed in SEEDS:
        p, q = sample(seed)
        expected = [b[int(np.argmax(a))] == max(b) for a, b in zip(p, q, strict=True)]
        assert metrics.top1_agreement(p, q).tolist() == expected


@pytest.mark.parametrize("name", [*DISTANCES, "top1_agreement"])
def test_no_samples_give_no_values(name):
    assert getattr(metrics, name)(np.zeros((0, 4)), np.zeros((0, 4))).shape == (0,)


GOOD = np.full((3, 4), 0.25)


@pytest.mark.parametrize("name", [*DISTANCES, "top1_agreement"])
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.full(4, 0.25), r"must have the shape \(samples, classes\).*got \(4,\)"),
        (np.zeros((3, 0)), "at least one class"),
        (np.full((2, 4), 0.25), r"same shape; got .*\(2, 4\)|same shape; got .*\(3, 4\)"),
        (np.full((3, 2), 0.5), "same shape"),
        (np.array([[0.25] * 4, [np.nan, 0.5, 0.5, 0], [np.inf, 0, 0, 0]]), "finite; NaN or infinity in rows 1, 2"),
        (np.array([[0.25] * 4, [-0.5, 0.5, 0.5, 0.5], [0.25] * 4]), "at least 0; the smallest is -0.5, in row 1"),
        (np.array([[0.25] * 4, [0.25] * 4, [0.25, 0.25, 0.25, 0.26]]), r"row 2 do not \(row 2 sums to 1.01\)"),
        (np.zeros((3, 4)), r"rows 0, 1, 2 do not \(row 0 sums to 0\)"),
        ([["a", "b"]], "must be numbers"),
        ([[0.5, 0.5], [1.0]], "must be numbers"),
    ],
)
def test_wrong_input_is_refused_on_both_sides(name, bad, says):
    for p, q, which in ((bad, GOOD, "p"), (GOOD, bad, "q")):
        with pytest.raises(DataError, match=says) as caught:
            getattr(metrics, name)(p, q)
        assert which in caught.value.message


def test_a_long_list_of_rows_is_cut():
    mask = np.zeros(40, dtype=bool)
    mask[::2] = True
    assert metrics.rows_text(mask) == "rows 0, 2, 4, 6, 8, 10, 12, 14, 16, 18 and 10 more"
    mask[:] = False
    mask[7] = True
    assert metrics.rows_text(mask) == "row 7"
