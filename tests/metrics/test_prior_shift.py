"""Label shift: Bayes' rule by hand, the EM estimate against a maximiser of SciPy, a known prior found again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from affectkit.errors import DataError
from affectkit.metrics.calibration import softmax
from affectkit.metrics.prior_shift import estimate_prior, prior_shift, reweighted

TRAINING = np.array([0.5, 0.3, 0.2])
CENTRES = np.array([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])


def drawn(prior, count, seed):
    """Items of three normal classes, and the exact posterior of each under the prior of training."""
    rng = np.random.default_rng(seed)
    label = rng.choice(3, count, p=prior)
    x = CENTRES[label] + rng.standard_normal((count, 2))
    density = np.stack([multivariate_normal(centre).pdf(x) for centre in CENTRES], axis=1)
    posterior = density * TRAINING
    return label, density, posterior / posterior.sum(1, keepdims=True)


def test_reweighted_posteriors_are_those_of_the_other_prior():
    prior = np.array([0.1, 0.2, 0.7])
    _, density, p = drawn(prior, 200, 0)
    wanted = density * prior
    assert np.allclose(reweighted(p, prior, TRAINING), wanted / wanted.sum(1, keepdims=True), atol=1e-12)
    for temperature in (1.0, 0.7, 2.5):
        logits = temperature * np.log(p) + 3
        shifted = softmax(logits + prior_shift(prior, TRAINING, temperature), temperature)
        assert np.allclose(shifted, reweighted(p, prior, TRAINING), atol=1e-9)


def test_the_prior_of_training_changes_nothing_to_the_last_bit():
    assert prior_shift(TRAINING, TRAINING, 0.68).tolist() == [0, 0, 0]
    assert prior_shift([0.6, 0.4, 0], [0.6, 0.4, 0]).tolist() == [0, 0, 0]


def test_the_estimate_is_the_maximum_of_the_likelihood():
    for seed, prior in enumerate(([0.1, 0.2, 0.7], [0.8, 0.15, 0.05])):
        _, _, p = drawn(prior, 400, seed)

        def loss(free, ratio=p / TRAINING):
            weights = np.exp(np.append(free, 0) - max(*free, 0))
            return -np.log(ratio @ (weights / weights.sum())).mean()

        best = minimize(
            loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-14, "maxiter": 9999}
        )
        weights = np.exp(np.append(best.x, 0))
        found = estimate_prior(p, TRAINING)
        assert found.converged and np.allclose(found.prior, weights / weights.sum(), atol=2e-4)


def test_a_known_shift_is_found_again_and_accuracy_rises():
    prior = np.array([0.05, 0.15, 0.8])
    label, _, p = drawn(prior, 20_000, 5)
    found = estimate_prior(p, TRAINING)
    assert np.abs(found.prior - np.bincount(label) / len(label)).max() < 0.02
    before, after = ((q.argmax(1) == label).mean() for q in (p, reweighted(p, found.prior, TRAINING)))
    assert after > before + 0.1
    assert np.abs(estimate_prior(drawn(TRAINING, 20_000, 6)[2], TRAINING).prior - TRAINING).max() < 0.02


def test_what_cannot_be_reweighted_is_refused():
    with pytest.raises(DataError, match="none in training"):
        prior_shift([0.5, 0.5], [1.0, 0.0])
    with pytest.raises(DataError):
        estimate_prior(np.zeros((0, 2)), [0.5, 0.5])
    with pytest.raises(DataError):
        estimate_prior([[0.5, 0.5]], [1.0, 0.0])
    with pytest.raises(DataError):
        prior_shift([0.5, 0.6], [0.5, 0.5])
