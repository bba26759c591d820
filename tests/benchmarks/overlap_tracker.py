"""Tracks by overlap alone, as affectkit made them before: what ``test_face_tracks`` compares with."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from affectkit.core.boxes import overlap
from affectkit.data.faces.motion import box_centre

LEAST, PATIENCE = 0.15, 2.0


class OverlapTracker:
    """A box goes to the track whose last box, carried on at its speed, overlaps it most; else it begins a track."""

    def __init__(self):
        self.tracks, self.count, self.last = [], 0, 0.0

    def update(self, time, boxes, look=None):
        last, self.last = self.last, time
        self.tracks = [one for one in self.tracks if one["time"] == last or time - one["time"] <= PATIENCE]
        alike = np.array([[self.likeness(one, box, time) for box in boxes] for one in self.tracks])
        alike = np.where(alike >= LEAST, alike, 0.0).reshape(len(self.tracks), len(boxes))
        numbers = [0] * len(boxes)
        for row, column in zip(*linear_sum_assignment(alike, maximize=True), strict=True):
            if alike[row, column] > 0:
                track, box = self.tracks[row], boxes[column]
                passed, before, now = time - track["time"], box_centre(track["box"]), box_centre(box)
                track["speed"] = [(new - old) / passed for new, old in zip(now, before, strict=True)]
                track["box"], track["time"] = box, time
                numbers[column] = track["number"]
        for column, number in enumerate(numbers):
            if not number:
                self.count += 1
                numbers[column] = self.count
                self.tracks.append({"number": self.count, "box": boxes[column], "time": time, "speed": [0.0, 0.0]})
        return numbers

    @staticmethod
    def likeness(track, box, time):
        passed, (left, top, width, height) = time - track["time"], track["box"]
        carried = (left + track["speed"][0] * passed, top + track["speed"][1] * passed, width, height)
        return max(overlap(carried, box), overlap(track["box"], box) / 2)
