"""Losses of ratings against direct computation in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from affectkit.errors import UsageError
from affectkit.losses import LOSSES, RATING_LOSSES, parse_loss
from affectkit.losses.ratings import arousal_weight, concordance, l1, mse, vca_published_loss


@pytest.fixture
def pair():
    rng = np.random.default_rng(5)
    return tuple(torch.tensor(rng.normal(5, 2, (33, 2))) for _ in range(2))


@pytest.mark.parametrize("weight", [0.7, 0.6, 0.5])
def test_the_published_loss(pair, weight):
    predicted, actual = (value.numpy() for value in pair)
    gap = np.abs(predicted[:, 0] - actual[:, 0])
    arousal = np.where(gap < 0.5, gap**2 / (2 * 0.5), gap - 0.25)
    valence = (predicted[:, 1] - actual[:, 1]) ** 2
    found = vca_published_loss(*pair, weight)
    np.testing.assert_allclose(found, weight * arousal + (1 - weight) * valence, rtol=1e-12)
    assert (gap < 0.5).any() and (gap > 0.5).any()


def test_a_single_output_has_the_mean_squared_error(pair):
    predicted, actual = (value[:, :1] for value in pair)
    np.testing.assert_allclose(
        vca_published_loss(predicted, actual, 0.7), ((predicted - actual) ** 2)[:, 0], rtol=1e-12
    )


@pytest.mark.parametrize("epochs", [1, 3, 4, 10, 50, 100])
def test_weights_change_at_30_and_70_percent_of_the_epochs(epochs):
    from fractions import Fraction

    for epoch in range(epochs):
        share = Fraction(epoch, epochs)
        expected = 0.7 if share < Fraction(3, 10) else 0.6 if share < Fraction(7, 10) else 0.5
        assert arousal_weight(epoch, epochs) == expected


def test_mean_losses_and_concordance(pair):
    predicted, actual = (value.numpy() for value in pair)
    np.testing.assert_allclose(mse(*pair), ((predicted - actual) ** 2).mean(1), rtol=1e-12)
    np.testing.assert_allclose(l1(*pair), np.abs(predicted - actual).mean(1), rtol=1e-12)
    ccc = [
        2 * np.cov(p, q, bias=True)[0, 1] / (p.var() + q.var() + (p.mean() - q.mean()) ** 2)
        for p, q in zip(predicted.T, actual.T, strict=True)
    ]
    np.testing.assert_allclose(concordance(*pair), 1 - np.mean(ccc), rtol=1e-12)
    assert torch.isfinite(concordance(torch.ones(4, 2), torch.ones(4, 2)))


def test_names_belong_to_tasks():
    assert parse_loss("vca+ccc:0.5", RATING_LOSSES) == {"vca": 1.0, "ccc": 0.5}
    with pytest.raises(UsageError, match="unknown loss 'kl'"):
        parse_loss("kl", RATING_LOSSES)
    with pytest.raises(UsageError, match="unknown loss 'vca'"):
        parse_loss("vca", LOSSES)
    assert parse_loss("vca") and parse_loss("kl")
