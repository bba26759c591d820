"""Head roll, and the share of a box beyond the picture."""

from __future__ import annotations

import math

import pytest

from affectkit.data.faces.geometry import head_roll, share_outside


@pytest.mark.parametrize("degrees", [-179, -90, -30, 0, 15, 45, 90, 135, 180])
def test_roll_is_clockwise_in_the_picture(degrees):
    """The eyes of a level face, (-10, 0) and (10, 0), turned clockwise where y grows downwards."""
    turn = math.radians(degrees)
    eyes = [(50 + side * math.cos(turn), 40 + side * math.sin(turn)) for side in (-10, 10)]
    assert head_roll([*eyes, (50, 45)]) == pytest.approx(degrees)


def test_roll_is_known_with_two_eyes_alone():
    assert head_roll([]) is None and head_roll([(1, 2)]) is None and head_roll([(3, 4), (3, 4)]) is None
    assert head_roll([(5, 5), (1, 5)]) == 180 and head_roll([(5.0, 5.0), (1.0, 5.0 - 0.0)]) == 180
    assert head_roll([(5, 0.0), (1, -0.0)]) == 180


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ((10, 10, 20, 20), 0.0),
        ((0, 0, 100, 50), 0.0),
        ((-10, 0, 20, 20), 0.5),
        ((90, 40, 20, 20), 0.75),
        ((-50, -50, 10, 10), 1.0),
        ((0.1, 0.2, 0.3, 0.7), 0.0),
    ],
)
def test_the_share_outside_of_the_picture(box, share):
    assert share_outside(box, 50, 100) == pytest.approx(share, abs=1e-12)
