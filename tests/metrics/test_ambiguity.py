"""Margin and entropy of distributions, against hand computations and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy

from affectkit.metrics.ambiguity import entropy, margin


@pytest.mark.parametrize(
    ("shares", "wanted_margin", "wanted_bits"),
    [
        ([0.5, 0.25, 0.25], 0.25, 1.5),
        ([0.5, 0.5, 0.0], 0.0, 1.0),
        ([0.0, 1.0, 0.0], 1.0, 0.0),
        ([0.25, 0.25, 0.25, 0.25], 0.0, 2.0),
        ([0.125] * 8, 0.0, 3.0),
        ([1 / 7] * 7, 0.0, math.log2(7)),
        ([0.125, 0.75, 0.125], 0.625, 0.75 * math.log2(4 / 3) + 0.75),
        ([1.0], 1.0, 0.0),
    ],
)
def test_by_hand(shares, wanted_margin, wanted_bits):
    for found, wanted in ((margin([shares]), wanted_margin), (entropy([shares]), wanted_bits)):
        assert found.shape == (1,) and found[0] == pytest.approx(wanted, abs=1e-12)
        assert not np.signbit(found[0]), "no -0, which tables would show"


def test_the_margin_is_that_of_sorted_shares_and_the_entropy_that_of_scipy():
    for classes in (1, 2, 3, 8, 50):
        shares = np.random.default_rng(classes).dirichlet(np.full(classes, 0.3), 200)
        two = np.sort(np.column_stack([shares, np.zeros(200)]), axis=1)[:, ::-1]
        np.testing.assert_array_equal(margin(shares), two[:, 0] - two[:, 1])
        np.testing.assert_allclose(entropy(shares), scipy_entropy(shares, base=2, axis=1), atol=1e-12)
        assert (entropy(shares) <= math.log2(classes) + 1e-12).all() and (margin(shares) >= 0).all()


def test_nothing_is_no_fault():
    assert margin(np.zeros((0, 3))).shape == entropy(np.zeros((0, 3))).shape == (0,)
