"""Faces followed from look to look: the assignment against brute force, numbers over gaps and crossings, smoothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from affectkit.data.faces.assignment import assign_pairs
from affectkit.data.faces.tracking import Smoother, Tracker


def best_sum(gains):
    """The largest sum of any assignment, by trying all."""
    rows, columns = gains.shape
    if rows > columns:
        return best_sum(gains.T)
    return max(gains[range(rows), list(some)].sum() for some in itertools.permutations(range(columns), rows))


def test_the_assignment_is_the_best_of_all():
    rng = np.random.default_rng(0)
    checked = 0
    for rows, columns in itertools.product(range(1, 6), range(1, 6)):
        for kind in range(6):
            gains = rng.random((rows, columns))
            gains = np.where(gains > 0.6, gains, 0.0) if kind > 2 else gains  # as of boxes: most do not overlap
            gains = np.round(gains, 1) if kind % 3 == 0 else gains  # ties
            pairs = assign_pairs(gains)
            assert len(pairs) == min(rows, columns)
            assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
            assert sum(gains[pair] for pair in pairs) == pytest.approx(best_sum(gains))
            checked += 1
    assert checked == 150
    large = rng.random((7, 8))
    assert sum(large[pair] for pair in assign_pairs(large)) == pytest.approx(
        large[linear_sum_assignment(large, maximize=True)].sum()
    )
    assert assign_pairs(np.zeros((0, 3))) == assign_pairs(np.zeros((3, 0))) == []


def test_greedy_choices_are_not_made():
    tracker = Tracker()
    assert tracker.update(0.0, [(0, 0, 100, 100), (60, 0, 100, 100)]) == [1, 2]
    # The box in between overlaps the first more than the second; the other one can be of the second alone.
    assert tracker.update(0.5, [(20, 0, 100, 100), (-40, 0, 100, 100)]) == [2, 1]


def test_numbers_stay_and_are_never_given_again():
    tracker = Tracker(patience=1.0)
    assert tracker.update(0.0, [(0, 0, 50, 50), (200, 0, 50, 50)]) == [1, 2]
    assert tracker.update(0.5, [(204, 2, 50, 50), (3, 0, 50, 50)]) == [2, 1]
    assert tracker.update(1.0, [(5, 0, 50, 50)]) == [1]
    assert tracker.update(1.5, [(5, 0, 50, 50), (206, 2, 50, 50)]) == [1, 2]  # away for one look
    assert tracker.update(2.0, []) == []
    assert tracker.update(4.0, [(5, 0, 50, 50)]) == [3]  # away for too long
    assert tracker.update(4.5, [(300, 300, 50, 50), (5, 0, 50, 50)]) == [4, 3]


def test_however_seldom_a_film_is_looked_at_the_last_look_counts():
    tracker = Tracker(patience=1.0)
    for look in range(5):
        assert tracker.update(10.0 * look, [(look, 0, 50, 50)]) == [1]


def test_faces_that_cross_keep_their_numbers():
    rng = np.random.default_rng(2)
    kept = 0
    for _ in range(20):
        tracker, height = Tracker(), rng.uniform(-8, 8)
        for look in range(30):
            left = (20 + 12 * look + rng.normal(0, 1.5), 40 + rng.normal(0, 1.5), 60, 60)
            right = (400 - 12 * look + rng.normal(0, 1.5), 40 + height + rng.normal(0, 1.5), 60, 60)
            if 14 <= look <= 16:  # one hides the other
                numbers = tracker.update(look / 10, [left])
            else:
                order = rng.permutation(2) if look else [0, 1]
                numbers = tracker.update(look / 10, [(left, right)[place] for place in order])
                if look > 20:
                    kept += numbers == [1 + place for place in order]
    assert kept >= 0.95 * 20 * 9


def test_random_walks_keep_their_numbers():
    rng = np.random.default_rng(3)
    tracker = Tracker(patience=2.0)
    places = rng.uniform(0, 100, (5, 2)) + 300 * np.arange(5)[:, None]
    checked = 0
    for look in range(60):
        places += rng.normal(0, 6, places.shape)
        there = np.flatnonzero(rng.random(5) > 0.15) if look else np.arange(5)
        order = rng.permutation(there) if look else there
        numbers = tracker.update(look / 4, [(*places[face], 80, 80) for face in order])
        assert numbers == [face + 1 for face in order]
        checked += len(order)
    assert checked > 200 and tracker.count == 5


def test_smoothing_by_its_formula():
    rng = np.random.default_rng(4)
    times, values = np.sort(rng.uniform(0, 10, 40)), rng.normal(size=(40, 3))
    smooth = Smoother(0.7)
    found = [smooth(1, time, value) for time, value in zip(times, values, strict=True)]
    for last in (0, 1, 7, 39):
        # Written out: each look weighs what its own step took, times what the steps after left of it.
        steps = 1 - np.exp(-np.diff(times[: last + 1]) / 0.7)
        weights = np.append(1.0, steps)
        for place in range(last + 1):
            weights[place] *= np.prod(1 - steps[place:])
        assert weights.sum() == pytest.approx(1)
        assert found[last] == pytest.approx(weights @ values[: last + 1])


def test_smoothing_is_of_each_face_and_can_be_left_out():
    smooth, one, other = Smoother(1.0), np.array([1.0, 0.0]), np.array([0.0, 5.0])
    assert smooth(1, 0.0, one) is one and smooth(2, 0.0, other) is other
    assert smooth(1, 1.0, other) == pytest.approx(np.exp(-1) * one + (1 - np.exp(-1)) * other)
    smooth.keep([2])
    assert smooth(1, 2.0, one) is one
    assert smooth(2, 5.0, other) == pytest.approx(other)
    off = Smoother(0.0)
    assert off(1, 0.0, one) is one and off(1, 0.1, other) is other
