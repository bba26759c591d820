"""Motion of faces: the filter against matrices integrated by small steps, and against how often a video is sampled."""

from __future__ import annotations

import math

import numpy as np
import pytest

from affectkit.data.faces.motion import DECAY, NOISE, SPEED, Course, Motion, log_likelihood_ratios

STEPS = 20000


def covariance(course):
    place, both, speed = course.variance
    return np.array([[place, both], [both, speed]])


@pytest.mark.parametrize("passed", [1 / 30, 0.5, 3.0])
def test_a_course_as_its_differential_equation_integrated(passed):
    course = Course(10.0, -3.0, (4.0, 1.5, 2.0))
    step, scale = passed / STEPS, 80.0
    drift = np.array([[0.0, 1.0], [0.0, -1 / DECAY]])
    push = np.diag([0.0, 2 * (SPEED * scale) ** 2 / DECAY])
    mean, spread = np.array([10.0, -3.0]), covariance(course)
    for _ in range(STEPS):
        mean = mean + drift @ mean * step
        spread = spread + (drift @ spread + spread @ drift.T + push) * step
    after = course.after(passed, scale)
    assert (after.place, after.speed) == pytest.approx(tuple(mean), rel=1e-3)
    assert covariance(after) == pytest.approx(spread, rel=2e-3)


def test_steps_between_which_nothing_is_seen_do_not_count():
    course = Course(5.0, 40.0, (9.0, 2.0, 100.0))
    whole, parts = course.after(1.2, 50.0), course
    for _ in range(12):
        parts = parts.after(0.1, 50.0)
    assert (parts.place, parts.speed, *parts.variance) == pytest.approx((whole.place, whole.speed, *whole.variance))
    rest = Course(5.0, 40.0, (9.0, 2.0, 100.0)).after(0.0, 50.0)
    assert (rest.place, rest.speed, *rest.variance) == pytest.approx((5.0, 40.0, 9.0, 2.0, 100.0))


def test_a_measurement_as_by_matrices():
    course, noise = Course(5.0, 40.0, (9.0, 2.0, 100.0)), 4.0
    before, seen = covariance(course), np.array([[1.0, 0.0]])
    gain = before @ seen.T / (seen @ before @ seen.T + noise**2)
    mean = np.array([5.0, 40.0]) + gain[:, 0] * (11.0 - 5.0)
    corrected = course.corrected(11.0, noise)
    assert (corrected.place, corrected.speed) == pytest.approx(tuple(mean))
    assert covariance(corrected) == pytest.approx((np.eye(2) - gain @ seen) @ before)


@pytest.mark.parametrize("rate", [2, 5, 10, 30])
def test_a_face_that_moves_on_is_expected_ahead(rate):
    speed, side = 90.0, 60.0
    motion = Motion.begin((0.0, 50.0, side, side))
    for number in range(1, 2 * rate):
        motion = motion.after(1 / rate).seen((speed * number / rate, 50.0, side, side))
    last = speed * (2 * rate - 1) / rate
    passed = 0.4
    ahead, behind = ((last + sign * speed * passed, 50.0, side, side) for sign in (1, -1))
    (ratios,) = log_likelihood_ratios([motion.after(passed)], [passed], [ahead, behind])
    assert ratios[0] > ratios[1] + 1.5 and ratios[0] > 2
    # How fast it is, the filter finds from 5 frames a second on to a quarter; at 2 the decay holds it back.
    assert motion.x.speed == pytest.approx(speed, rel=0.25 if rate >= 5 else 0.5)


def test_what_is_said_falls_with_distance_size_and_time():
    motion = Motion.begin((100.0, 100.0, 50.0, 50.0))
    away = [(100.0 + offset, 100.0, 50.0, 50.0) for offset in (0, 20, 50, 150)]
    (ratios,) = log_likelihood_ratios([motion.after(0.1)], [0.1], away)
    assert (np.diff(ratios) < 0).all() and ratios[0] > 3 and ratios[-1] < 0
    sizes = [(125 - side / 2, 125 - side / 2, side, side) for side in (50, 65, 90, 200)]
    (ratios,) = log_likelihood_ratios([motion.after(0.1)], [0.1], sizes)
    assert (np.diff(ratios) < 0).all()
    same = [log_likelihood_ratios([motion.after(passed)], [passed], away[:1])[0, 0] for passed in (0.04, 0.5, 5.0, 60)]
    assert (np.diff(same) < 0).all() and same[-1] > -1  # after a minute a place says next to nothing
    assert log_likelihood_ratios([], [], away).shape == (0, 4)
    assert log_likelihood_ratios([motion], [0.0], []).shape == (1, 0)


def test_it_does_not_depend_on_the_size_of_the_picture():
    found = []
    for scale in (1.0, 7.0):
        motion = Motion.begin((10 * scale, 20 * scale, 50 * scale, 60 * scale))
        motion = motion.after(0.3).seen((30 * scale, 25 * scale, 52 * scale, 60 * scale))
        found.append(
            log_likelihood_ratios([motion.after(0.3)], [0.3], [(45 * scale, 30 * scale, 50 * scale, 61 * scale)])
        )
    assert found[0] == pytest.approx(found[1])


def test_noise_is_that_of_a_detector():
    assert math.isclose(NOISE, 0.07) and Motion.begin((0, 0, 0, 0)).size[0] == 0.0  # an empty box has a side of 1
