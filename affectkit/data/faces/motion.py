"""Motion of a face in a video: where it is expected after some time, and how likely a box is there.

Centre and size of a box follow a Kalman filter whose velocity is an Ornstein-Uhlenbeck process (Singer 1970, Estimating
optimal tracking filter performance for manned maneuvering targets, IEEE Trans. AES 6, with the decay in the velocity):
carried on for a moment, at rest after a second or two. All follows from the time that passed, so that it is the same
filter whether 2 or 30 frames a second are sampled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from affectkit.core.boxes import Box

SPEED = 1.5
"""Standard deviation of a velocity, in sides of the box per second."""
DECAY = 1.2
"""Seconds after which 1/e of a velocity is left."""
NOISE = 0.07
"""Standard deviation of a detected centre, in sides."""
GROWTH, SIZE_NOISE = 0.4, 0.1
"""Standard deviations of the logarithm of the side: after one second, and of one that is detected."""
REST = (0.2, 0.15)
"""Standard deviation of a face that stays where it was, in sides: at once, and what a second adds (its square)."""
AREA, SIZES = 30.0, 2.0
"""Where a face that is new may be: so many squares of its side, within so much of the logarithm of the side."""
ELSEWHERE = (4.0, 0.6)
"""A face may come back anywhere: the time constant of the share of such, in seconds, and its most."""


@dataclass(frozen=True)
class Course:
    """Estimate of a coordinate and its velocity: means and covariance (place, both, velocity)."""

    place: float
    speed: float = 0.0
    variance: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def after(self, passed: float, scale: float) -> Course:
        """Return the estimate ``passed`` seconds later, ``scale`` pixels being a side of the box."""
        left = math.exp(-passed / DECAY)
        reach = DECAY * (1 - left)
        power = (SPEED * scale) ** 2
        both, own = self.variance[1], self.variance[2]
        variance = (
            self.variance[0] + 2 * reach * both + reach**2 * own
            + power * DECAY * (2 * passed - DECAY * (3 - left) * (1 - left)),
            left * both + left * reach * own + power * DECAY * (1 - left) ** 2,
            left**2 * own + power * (1 - left**2),
        )  # fmt: skip
        return Course(self.place + reach * self.speed, left * self.speed, variance)

    def corrected(self, seen: float, noise: float) -> Course:
        """Return the estimate once the coordinate is measured, with a standard deviation of ``noise``."""
        place, both, own = self.variance
        total = place + noise**2
        gain, push = place / total, both / total
        off = seen - self.place
        variance = ((1 - gain) * place, (1 - gain) * both, own - push * both)
        return Course(self.place + gain * off, self.speed + push * off, variance)


@dataclass(frozen=True)
class Motion:
    """Estimate of a face's centre and side from the boxes seen so far.

    Attributes:
        x, y: courses of the centre, in pixels.
        size: logarithm of the side, and its variance.
        box: the last one.
    """

    x: Course
    y: Course
    size: tuple[float, float]
    box: Box

    @classmethod
    def begin(cls, box: Box) -> Motion:
        """Return the estimate after a first box."""
        side = box_side(box)
        variance = ((NOISE * side) ** 2, 0.0, (SPEED * side) ** 2)
        x, y = box_centre(box)
        return cls(Course(x, 0.0, variance), Course(y, 0.0, variance), (math.log(side), SIZE_NOISE**2), box)

    def after(self, passed: float) -> Motion:
        """Return the estimate ``passed`` seconds later."""
        scale = math.exp(self.size[0])
        size = (self.size[0], self.size[1] + GROWTH**2 * passed)
        return replace(self, x=self.x.after(passed, scale), y=self.y.after(passed, scale), size=size)

    def seen(self, box: Box) -> Motion:
        """Return the estimate with ``box``, seen at its time."""
        side = box_side(box)
        x, y = box_centre(box)
        gain = self.size[1] / (self.size[1] + SIZE_NOISE**2)
        size = (self.size[0] + gain * (math.log(side) - self.size[0]), (1 - gain) * self.size[1])
        return Motion(self.x.corrected(x, NOISE * side), self.y.corrected(y, NOISE * side), size, box)


def log_likelihood_ratios(motions: Sequence[Motion], passed: Sequence[float], boxes: Sequence[Box]) -> np.ndarray:
    """Return the logarithms of how much likelier boxes are for known faces than for any other one.

    A face moved on, or stayed where it was last, with the same probability; or it went and came back elsewhere.

    Args:
        motions: M estimates at the time of the boxes.
        passed: seconds since each of these faces was seen.
        boxes: N, left, top, width and height in pixels.

    Returns:
        float64 (M, N).
    """
    if not len(motions) or not len(boxes):
        return np.zeros((len(motions), len(boxes)))
    known = [
        (one.x.place, one.y.place, one.x.variance[0], one.y.variance[0], *one.size, *box_centre(one.box))
        for one in motions
    ]
    px, py, across, down, size, doubt, before_x, before_y = np.array(known).T[:, :, None]
    x, y, side = np.array([(*box_centre(box), math.log(box_side(box))) for box in boxes]).T[:, None, :]
    time = np.array(passed, np.float64)[:, None]
    scale = np.exp((side + size) / 2)
    moved = _normal((x - px) / scale, np.sqrt(across / scale**2 + NOISE**2))
    moved = moved * _normal((y - py) / scale, np.sqrt(down / scale**2 + NOISE**2))
    rest = np.sqrt(REST[0] ** 2 + REST[1] ** 2 * time)
    stayed = _normal((x - before_x) / scale, rest) * _normal((y - before_y) / scale, rest)
    here = (moved + stayed) / 2 * _normal(side - size, np.sqrt(doubt + SIZE_NOISE**2)) * AREA * SIZES
    away = ELSEWHERE[1] * (1 - np.exp(-time / ELSEWHERE[0]))
    return np.log((1 - away) * here + away + 1e-12)


def box_centre(box: Box) -> tuple[float, float]:
    """Return the middle (x, y) of a box."""
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def box_side(box: Box) -> float:
    """Return the geometric mean of width and height, at least 1 pixel."""
    return math.sqrt(max(box[2], 1.0) * max(box[3], 1.0))


def _normal(off: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * (off / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
