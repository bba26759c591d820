"""Sound is placed by its stamps: holes, overlaps, jitter, rounded clocks, drift."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest

from affectkit.data.media.sound_stream import BEND, STEP, place_sound


@dataclass(frozen=True)
class Frame:
    number: int
    samples: int = 1024
    sample_rate: int = 48000
    time: float | None = None
    time_base: Fraction = Fraction(1, 1000)


LENGTH = 1024 / 48000


def stamped(count, *, change=lambda number: 0.0):
    """Frames whose stamps are those of their places, changed, in milliseconds."""
    return [Frame(number, time=round(number * LENGTH + change(number), 3)) for number in range(count)]


def place(frames, **options):
    found = list(place_sound(frames, **options))
    assert [one.frame.number for one in found] == [frame.number for frame in frames]  # none lost, none twice
    return found


@pytest.mark.parametrize("start", [0.0, 1.4, 95443.7])
def test_rounded_stamps_are_no_holes(start):
    found = place([replace(frame, time=start + frame.time) for frame in stamped(50_000)])
    assert [one.joins for one in found] == [False] + [True] * 49_999 and not any(one.extra for one in found)
    assert found[-1].begin == pytest.approx(start + 49_999 * LENGTH, abs=1e-6)


@pytest.mark.parametrize("amount", [0.012, 0.025, 0.06])
def test_jitter_is_no_hole(amount):
    rng = np.random.default_rng(3)
    found = place(stamped(3000, change=lambda number: rng.uniform(-amount, amount) if number else 0.0))
    # Were none held, up to two thirds of them would be holes or overlaps.
    assert [one.frame.number for one in found if not one.joins] == [0]
    assert abs(found[-1].begin - 2999 * LENGTH) < STEP + amount / 4


def test_one_wrong_stamp_is_no_hole():
    found = place(stamped(200, change=lambda number: 3.0 if number == 70 else -2.0 if number == 140 else 0.0))
    assert all(one.joins for one in found[1:]) and not any(one.extra for one in found)


@pytest.mark.parametrize("hole", [LENGTH, 2 * LENGTH, 0.5, 1.5, 7200.0])
@pytest.mark.parametrize("at", [1, 100, 198])
def test_a_hole_stays_where_it_is_and_nothing_later_shifts(hole, at):
    found = place(stamped(200, change=lambda number: hole if number >= at else 0.0))
    assert [one.frame.number for one in found if not one.joins] == [0, at]
    for one in found:
        truth = one.frame.number * LENGTH + (hole if one.frame.number >= at else 0.0)
        assert one.begin == pytest.approx(truth, abs=1e-3)


def test_packets_lost_one_by_one():
    lost = {50, 52, 53, 120, 121, 122, 160}
    frames = [frame for frame in stamped(200) if frame.number not in lost]
    for one in place(frames):
        assert one.begin == pytest.approx(one.frame.number * LENGTH, abs=1.5e-3)


def test_sound_that_comes_again_has_the_place_of_the_first():
    found = place(stamped(200, change=lambda number: -0.5 if number >= 100 else 0.0))
    assert [one.frame.number for one in found if not one.joins] == [0, 100]
    assert found[100].begin == pytest.approx(100 * LENGTH - 0.5, abs=1e-3)
    assert found[-1].begin == pytest.approx(199 * LENGTH - 0.5, abs=1e-3)


@pytest.mark.parametrize("drift", [1e-4, -1e-4, 2e-3])
def test_drift_of_an_hour_stays_below_a_frame(drift):
    frames = stamped(169_000, change=lambda number: drift * number * LENGTH)
    worst = bent = 0
    for one in place(frames):
        assert one.joins or not one.frame.number
        worst = max(worst, abs(one.begin - one.frame.number * LENGTH * (1 + drift)))
        bent += one.extra
        assert abs(one.extra) <= BEND * 1024 + 1
    assert worst < STEP
    assert bent == pytest.approx(drift * 169_000 * 1024, rel=0.1)
    unmoved = place(frames, stretch=False)
    assert not any(one.extra for one in unmoved) and sum(not one.joins for one in unmoved) > 5


def test_frames_without_stamps_follow_each_other():
    frames = [frame if frame.number % 5 == 0 else replace(frame, time=None) for frame in stamped(100)]
    assert [one.joins for one in place(frames)][1:] == [True] * 99
    assert [one.begin for one in place([Frame(0), Frame(1)])] == pytest.approx([0.0, LENGTH])
    whole = stamped(100, change=lambda number: 1.0 if number > 49 else 0.0)
    holed = [replace(frame, time=None) if frame.number > 51 else frame for frame in whole]
    assert place(holed)[-1].begin == pytest.approx(99 * LENGTH + 1.0, abs=1e-3)


def test_a_coarse_clock_and_frames_of_several_rates():
    coarse = [replace(one, time=round(one.time * 25) / 25, time_base=Fraction(1, 25)) for one in stamped(500)]
    assert all(one.joins for one in place(coarse)[1:])
    mixed = place([Frame(0, time=0.0), Frame(1, 512, 24000, LENGTH), Frame(2, time=2 * LENGTH)])
    assert [one.begin for one in mixed] == pytest.approx([0, LENGTH, 2 * LENGTH])
    assert [one.joins for one in mixed] == [False, True, True]


def test_memory_is_bounded():
    """However long stamps are off, only frames of a quarter of a second are held back."""
    given = 0

    def frames():
        nonlocal given
        rng = np.random.default_rng(0)
        for number in range(5000):
            given += 1
            yield Frame(number, time=rng.uniform(0, 1000))

    taken = 0
    for taken, one in enumerate(place_sound(frames()), 1):
        assert one.frame.number == taken - 1 and given - taken <= 13
    assert taken == 5000
