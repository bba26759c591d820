"""Face tracks of a video: a face is followed over sampled frames by overlap, its outputs averaged over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affectkit.core.boxes import Box, overlap

LEAST = 0.15
"""Intersection over union below which two boxes are not of one face."""
PATIENCE = 2.0
"""Seconds for which a face may be out of sight and is known again."""


@dataclass
class Track:
    """A face that is followed: where and when it was last seen, and how fast it moved there.

    Attributes:
        box: left, top, width and height.
        speed: of its centre, in pixels per second (x, y).
    """

    number: int
    box: Box
    time: float
    speed: tuple[float, float] = (0.0, 0.0)

    def likeness(self, box: Box, time: float) -> float:
        """Return how well ``box`` continues the track, in [0, 1]: its overlap with the last box carried on at its
        speed; with the box where it last was, at half the weight, for faces stop and turn.
        """
        passed = time - self.time
        left, top, width, height = self.box
        carried = (left + self.speed[0] * passed, top + self.speed[1] * passed, width, height)
        return max(overlap(carried, box), overlap(self.box, box) / 2)

    def seen(self, box: Box, time: float) -> None:
        """Continue the track with ``box``."""
        passed = time - self.time
        if passed > 0:
            before, now = box_centre(self.box), box_centre(box)
            self.speed = ((now[0] - before[0]) / passed, (now[1] - before[1]) / passed)
        self.box, self.time = box, time


class Tracker:
    """Tracker that numbers faces over sampled frames: from 1, each for one face, never reused.

    At each sampled frame the boxes are assigned to the tracks so that the sum of their ``likeness`` is largest; what
    is left begins a track. A track that was seen at the last sampled frame is always known again; one that was not,
    within ``patience``.

    Args:
        patience: seconds out of sight.
        least: likeness below which a box is of another face.
    """

    def __init__(self, patience: float = PATIENCE, least: float = LEAST) -> None:
        self.patience, self.least = patience, least
        self.tracks: list[Track] = []
        self.count = 0
        self._last = 0.0

    def update(self, time: float, boxes: Sequence[Box]) -> list[int]:
        """Return the numbers of ``boxes``, seen at ``time`` seconds, which rises from call to call."""
        last, self._last = self._last, time
        self.tracks = [track for track in self.tracks if track.time == last or time - track.time <= self.patience]
        likeness = np.zeros((len(self.tracks), len(boxes)))
        for row, track in enumerate(self.tracks):
            likeness[row] = [track.likeness(box, time) for box in boxes]
        numbers = [0] * len(boxes)
        for row, column in assign_pairs(np.where(likeness >= self.least, likeness, 0.0)):
            if likeness[row, column] >= self.least:
                self.tracks[row].seen(boxes[column], time)
                numbers[column] = self.tracks[row].number
        for column, number in enumerate(numbers):
            if not number:
                self.count += 1
                numbers[column] = self.count
                self.tracks.append(Track(self.count, boxes[column], time))
        return numbers


class Smoother:
    """The exponential average of the outputs of each face: ``y += a (x - y)``, with ``a = 1 - exp(-dt / seconds)`` and
    dt the time since the face was last seen, so that it does not depend on how often a video is sampled.

    Args:
        seconds: time constant; 0: outputs stay as they are.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._held: dict[int, tuple[float, np.ndarray]] = {}

    def __call__(self, number: int, time: float, outputs: np.ndarray) -> np.ndarray:
        """Average the face ``number`` with ``outputs`` (K,) at ``time`` seconds; the first is itself."""
        if not self.seconds:
            return outputs
        before = self._held.get(number)
        if before is not None:
            share = 1 - math.exp(-(time - before[0]) / self.seconds)
            outputs = before[1] + share * (outputs - before[1])
        self._held[number] = (time, outputs)
        return outputs

    def keep(self, numbers: Sequence[int]) -> None:
        """Forget all faces but ``numbers``."""
        known = set(numbers)
        self._held = {number: held for number, held in self._held.items() if number in known}


def box_centre(box: Box) -> tuple[float, float]:
    """Return the middle (x, y) of a box."""
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def assign_pairs(gains: np.ndarray) -> list[tuple[int, int]]:
    """Assign rows to columns of ``gains`` (M, N), not below 0, each once at most, for the largest sum: min(M, N)
    pairs.
    """
    above = gains > 0
    if above.sum(0).max(initial=0) > 1 or above.sum(1).max(initial=0) > 1:
        from scipy.optimize import linear_sum_assignment  # 0.3 s, and few videos need it

        rows, columns = linear_sum_assignment(gains, maximize=True)
        return list(zip(rows.tolist(), columns.tolist(), strict=True))
    # No two want the same: these pairs have the largest sum, and the others add nothing to it.
    pairs = [(int(row), int(column)) for row, column in np.argwhere(above)]
    left = (sorted(set(range(size)) - {pair[axis] for pair in pairs}) for axis, size in enumerate(gains.shape))
    return sorted([*pairs, *zip(*left, strict=False)])
