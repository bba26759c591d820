"""Faces of a film told apart: the same one from look to look by overlap, its outputs averaged over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affectkit.data.faces import Box, overlap

LEAST = 0.15
"""Intersection over union below which two boxes are not of one face."""
PATIENCE = 2.0
"""Seconds for which a face may be out of sight and is known again."""


@dataclass
class Track:
    """A face that is followed: where and when it was last seen, and how fast it moved there.

    Attributes:
        box: left, top, width and height. speed: of its centre, in pixels a second (x, y).
    """

    number: int
    box: Box
    time: float
    speed: tuple[float, float] = (0.0, 0.0)

    def likeness(self, box: Box, time: float) -> float:
        """How well ``box`` continues the track, in [0, 1]: its overlap with the last box carried on at its speed; with
        the box where it last was, at half the weight, for faces stop and turn."""
        passed = time - self.time
        left, top, width, height = self.box
        carried = (left + self.speed[0] * passed, top + self.speed[1] * passed, width, height)
        return max(overlap(carried, box), overlap(self.box, box) / 2)

    def seen(self, box: Box, time: float) -> None:
        """Go on with ``box``."""
        passed = time - self.time
        if passed > 0:
            before, now = centre(self.box), centre(box)
            self.speed = ((now[0] - before[0]) / passed, (now[1] - before[1]) / passed)
        self.box, self.time = box, time


class Tracker:
    """Numbers faces from look to look: from 1, each for one face, never given again.

    At each look the boxes are assigned to the tracks so that the sum of their ``likeness`` is largest; what is left
    begins a track. A track that was seen at the last look is always known again; one that was not, within ``patience``.

    Args:
        patience: seconds out of sight. least: likeness below which a box is of another face.
    """

    def __init__(self, patience: float = PATIENCE, least: float = LEAST) -> None:
        self.patience, self.least = patience, least
        self.tracks: list[Track] = []
        self.count = 0
        self._last = 0.0

    def update(self, time: float, boxes: Sequence[Box]) -> list[int]:
        """The numbers of ``boxes``, seen at ``time`` seconds, which rises from call to call."""
        last, self._last = self._last, time
        self.tracks = [track for track in self.tracks if track.time == last or time - track.time <= self.patience]
        likeness = np.zeros((len(self.tracks), len(boxes)))
        for row, track in enumerate(self.tracks):
            likeness[row] = [track.likeness(box, time) for box in boxes]
        numbers = [0] * len(boxes)
        for row, column in assign(np.where(likeness >= self.least, likeness, 0.0)):
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
    dt the time since the face was last seen, so that it does not depend on how often a film is looked at.

    Args:
        seconds: time constant; 0: outputs stay as they are.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._held: dict[int, tuple[float, np.ndarray]] = {}

    def __call__(self, number: int, time: float, outputs: np.ndarray) -> np.ndarray:
        """The average of the face ``number`` with ``outputs`` (K,) at ``time`` seconds; the first is itself."""
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


def centre(box: Box) -> tuple[float, float]:
    """The middle (x, y) of a box."""
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def assign(gains: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (row, column) of ``gains`` (M, N), at most one for each, whose sum is largest; min(M, N) of them.

    The Hungarian method with potentials, a row at a time along shortest paths: O(min(M, N)^2 max(M, N)) (Kuhn 1955;
    Jonker and Volgenant 1987).
    """
    rows, columns = gains.shape
    if not rows or not columns:
        return []
    if rows > columns:
        return sorted((row, column) for column, row in assign(gains.T))
    costs = -gains.astype(np.float64)
    row_potential, column_potential = np.zeros(rows), np.zeros(columns)
    owner = np.full(columns, -1)
    for row in range(rows):
        _grow(costs, row, row_potential, column_potential, owner)
    return sorted((int(row), column) for column, row in enumerate(owner) if row >= 0)


def _grow(costs: np.ndarray, start: int, rows: np.ndarray, columns: np.ndarray, owner: np.ndarray) -> None:
    """Give the row ``start`` a column, others moved along the shortest path of reduced costs; all but ``costs`` are
    changed in place."""
    distance = np.full(len(columns), np.inf)
    before = np.full(len(columns), -1)  # the row from which a column is reached
    done = np.zeros(len(columns), bool)
    visited, row, reached, end = [start], start, 0.0, -1
    while end < 0:
        through = reached + costs[row] - rows[row] - columns
        shorter = ~done & (through < distance)
        distance[shorter], before[shorter] = through[shorter], row
        nearest = int(np.argmin(np.where(done, np.inf, distance)))
        reached = distance[nearest]
        done[nearest] = True
        if owner[nearest] < 0:
            end = nearest
        else:
            row = int(owner[nearest])
            visited.append(row)
    # Potentials keep the reduced costs of pairs at 0 and of all others at 0 or more.
    rows[start] += reached
    for column in np.flatnonzero(done):
        if owner[column] >= 0:
            rows[owner[column]] += reached - distance[column]
        columns[column] -= reached - distance[column]
    while end >= 0:
        row = int(before[end])
        following = np.flatnonzero(owner == row)
        owner[end] = row
        end = int(following[0]) if len(following) and row != start else -1
