from __future__ import annotations

import math

import numpy as np
import pytest

from affectkit.errors import DataError
from affectkit.metrics import raters

SEEDS = range(10)
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def leave_one_out_by_loop(votes: list[int]) -> float:
    """Takes away each rater in turn and asks the others."""
    ballots = [c for c, count in enumerate(votes) for _ in range(count)]
    if len(ballots) < 2:
        return math.nan
    total = 0.0
    for k, own in enumerate(ballots):
        others = ballots[:k] + ballots[k + 1 :]
        counts = [others.count(c) for c in range(len(votes))]
        leaders = [c for c, count in enumerate(counts) if count == max(counts)]
        total += (own in leaders) / len(leaders)
    return total / len(ballots)


def test_leave_one_out_equals_a_loop():
    checked = nan = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        weights = rng.dirichlet(np.full(1 + seed % 6, 0.8), size=40)
        votes = np.stack([rng.multinomial(rng.integers(1, 12), row) for row in weights])
        found = raters.leave_one_out_agreement(votes)
        expected = [leave_one_out_by_loop(row) for row in votes.tolist()]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        checked += len(found)
        nan += int(np.isnan(found).sum())
        defined = ~np.isnan(found)
        assert (found[defined] <= raters.rater_ceiling(votes)[defined]).all()
    assert checked == 400 and 0 < nan < 100


def test_leave_one_out_by_hand():
    votes = [[10, 0, 0], [5, 5, 0], [2, 1, 0], [2, 1, 1], [3, 1, 0], [1, 1, 0], [1, 0, 0], [0, 2, 0]]
    expected = [1, 0, 2 / 3 / 2, 2 / 4 / 3, 3 / 4, 0, math.nan, 1]
    np.testing.assert_allclose(raters.leave_one_out_agreement(votes), expected)


def test_ceiling_and_expected_agreement():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        votes = rng.multinomial(10, rng.dirichlet(np.full(5, 0.5), size=30))
        p = rng.dirichlet(np.ones(5), size=30)
        agreement, ceiling = raters.expected_agreement(p, votes), raters.rater_ceiling(votes)
        assert agreement.shape == ceiling.shape == (30,)
        for row in range(30):
            ballots = [c for c, count in enumerate(votes[row]) for _ in range(count)]
            rates = [sum(b == c for b in ballots) / 10 for c in range(5)]
            assert ceiling[row] == pytest.approx(max(rates))
            assert agreement[row] == pytest.approx(rates[int(p[row].argmax())])
        assert (agreement <= ceiling).all()
        np.testing.assert_allclose(raters.expected_agreement(votes / 10, votes), ceiling)
        np.testing.assert_allclose(raters.rater_ceiling(votes / 10), ceiling)  # shares say the same


def test_no_samples():
    none = np.zeros((0, 3))
    assert raters.expected_agreement(none, none).shape == (0,)
    assert raters.rater_ceiling(none).shape == raters.leave_one_out_agreement(none).shape == (0,)


def test_wrong_votes_are_refused():
    for function in (
        raters.rater_ceiling,
        raters.leave_one_out_agreement,
        lambda votes: raters.expected_agreement(np.full((2, 2), 0.5), votes),
    ):
        with pytest.raises(DataError, match="at least one vote; none in row 1"):
            function([[1, 2], [0, 0]])
        with pytest.raises(DataError, match="votes must be at least 0; the smallest is -1, in row 0"):
            function([[-1, 2], [1, 0]])
        with pytest.raises(DataError, match="votes must be finite"):
            function([[math.nan, 2], [1, 0]])
        with pytest.raises(DataError, match="shape"):
            function([1, 2])
    with pytest.raises(DataError, match="whole numbers to leave one out; row 1 are not"):
        raters.leave_one_out_agreement([[2, 1], [0.5, 0.5]])
    with pytest.raises(DataError, match="p and votes must have the same shape"):
        raters.expected_agreement([[0.5, 0.5]], [[1, 2, 3]])
    with pytest.raises(DataError, match="each row of p must sum to 1"):
        raters.expected_agreement([[2, 1]], [[2, 1]])
