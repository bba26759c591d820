"""Fleiss' kappa and Krippendorff's alpha: published examples, and pairs of raters counted one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from affectkit.errors import DataError
from affectkit.metrics.reliability import fleiss_kappa, krippendorff_alpha, pair_agreement

FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
"""Fourteen raters of ten subjects in five categories: the worked example of "Fleiss' kappa" in Wikipedia."""
KRIPPENDORFF = ("123321412...", "123322412 5.3".replace(" ", ""), ".33323422" + "51.", "1233244125" + "1.")
"""Four observers of twelve units, some missing: section C of "Computing Krippendorff's alpha-reliability", 2011."""


def counts(observers, values="12345"):
    return np.array([[sum(one[unit] == value for one in observers) for value in values] for unit in range(12)])


def test_published_examples():
    assert fleiss_kappa(FLEISS) == pytest.approx(0.210, abs=5e-4)
    assert pair_agreement(FLEISS)[[0, 1]] == pytest.approx([1.0, 0.253], abs=5e-4)
    assert krippendorff_alpha(counts(KRIPPENDORFF)) == pytest.approx(0.743, abs=5e-4)


def test_pairs_counted_one_by_one():
    rng = np.random.default_rng(3)
    votes = rng.multinomial(5, [0.5, 0.3, 0.2], 40) * (rng.random((40, 3)) < 0.8)
    raters = [[kind for kind, count in enumerate(row) for _ in range(count)] for row in votes]
    shares = [[a == b for a, b in itertools.combinations(one, 2)] for one in raters]
    wanted = [np.mean(one) if one else math.nan for one in shares]
    np.testing.assert_allclose(pair_agreement(votes), wanted, equal_nan=True)
    # Alpha by its definition: disagreeing pairs within items, of each over n - 1, against those of all votes.
    paired = [one for one in raters if len(one) > 1]
    every = [kind for one in paired for kind in one]
    observed = sum(sum(a != b for a, b in itertools.permutations(one, 2)) / (len(one) - 1) for one in paired)
    expected = sum(a != b for a, b in itertools.permutations(every, 2)) / (len(every) - 1)
    assert krippendorff_alpha(votes) == pytest.approx(1 - observed / expected)
    assert len(paired) < 40  # items with fewer than two votes take no part


def test_what_is_not_defined_and_what_is_refused():
    assert math.isnan(fleiss_kappa([[3, 0], [4, 0]])) and math.isnan(krippendorff_alpha([[3, 0], [4, 0]]))
    assert math.isnan(fleiss_kappa([[1, 0]])) and math.isnan(krippendorff_alpha([[0, 1]]))
    assert fleiss_kappa([[3, 0], [0, 3]]) == krippendorff_alpha([[3, 0], [0, 3]]) == 1
    with pytest.raises(DataError, match="whole numbers"):
        fleiss_kappa([[0.5, 0.5]])
    with pytest.raises(DataError, match="at least 0"):
        krippendorff_alpha([[-1, 3]])
