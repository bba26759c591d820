"""OpenCV's cascade of frontal faces (Viola and Jones 2001): all of its search's faces for a fraction of its work.

``detectMultiScale`` looks at every size, in steps of 1.1, and at every place: a million windows in a picture of
640 x 480 pixels, nearly all of which the first stages refuse. Here the first ``STAGES`` stages look at every third size
and at half of the places each way. Near what passes them, and there alone, all stages look at all sizes and places, at
the same pixels of the same reduced pictures as ``detectMultiScale`` would, and what they find is grouped as it groups.
So boxes and scores are its own; of faces that it finds by a hair few are missed (tests/benchmarks/test_face_search.py).
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from affectkit.data.faces.detection import LEAST, LONGEST, Found, at_most, drop_outside, drop_overlapping, in_channels
from affectkit.errors import DataError

WINDOW = 20
"""Side in pixels of the cascade's window."""
STEP = 1.1
"""Ratio of a size that is searched to the one before."""
NEIGHBOURS = 4
"""Windows of one face must be more than these."""
SIMILAR = 0.2
"""Share of a window's side by which another's edges may be off that is of the same face."""
BORDER = 0.15
"""Border about a picture in its shorter sides: faces that touch an edge are found where there is something beyond."""
STAGES = 12
"""Stages of the coarse search, of 20."""
FIRST, EVERY = 1, 3
"""The first size of the coarse search, and how many it goes on by."""
CHEAP = 4.0
"""The factor from which on every size is searched coarsely: a few thousand windows each."""
RIM = 8
"""Pixels of a reduced picture's border that the coarse search takes in: two fifths of a window."""
SAME = 0.4
"""Intersection over union from which windows of the coarse search are looked at once."""
GLANCE, LOOK = 2, 6
"""How far all stages look, in pixels of reduced pictures: from such windows, then from what passes all stages."""
SPAN = 5
"""How many sizes, smaller and larger, they then look at."""
ONE_SIZE = {"scaleFactor": 2.0, "minNeighbors": 0}
"""What makes ``detectMultiScale`` search for one size and return every window."""

Square = tuple[int, int, int, float]
"""Left, top and side of a face in pixels, and its score."""


class HaarDetector:
    """OpenCV's cascade of frontal faces."""

    takes_sides = True

    def __init__(self, file: Path | None = None) -> None:
        path = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"
        self.cascade = cv2.CascadeClassifier(str(path))
        self.first_stages = load_first_stages(path, STAGES)

    def __call__(self, picture: np.ndarray, *, sides: tuple[float, float] | None = None) -> list[Found]:
        """Detect the faces of a picture, or with ``sides`` of a region, see ``data.faces.DetectorEntry``."""
        gray, across, down = at_most(in_channels(picture, 1), LONGEST)
        if sides is None:
            found, border = self._search(gray)
        else:
            found, border = self._search_region(gray, sides[0] / across, sides[1] / across), 0
        moved: list[Found] = [
            (((x - border) * across, (y - border) * down, side * across, side * down), score, ())
            for x, y, side, score in found
        ]
        return drop_overlapping(drop_outside(moved, picture.shape))

    def _search_region(self, gray: np.ndarray, least: float, most: float) -> list[Square]:
        """Return the faces with sides from ``least`` to ``most``; a region is small."""
        low, high = max(LEAST, math.floor(least)), math.ceil(most)
        boxes, _, weights = self.cascade.detectMultiScale3(
            gray,
            scaleFactor=STEP,
            minNeighbors=NEIGHBOURS,
            minSize=(low, low),
            maxSize=(high, high),
            outputRejectLevels=True,
        )
        return [
            (x, y, side, float(weight))
            for (x, y, side, _), weight in zip(np.asarray(boxes).tolist(), np.ravel(weights), strict=True)
        ]

    def _search(self, gray: np.ndarray) -> tuple[list[Square], int]:
        """Return the faces in ``gray`` with a border, and how wide that is."""
        border = max(round(BORDER * min(gray.shape[:2])), 1)
        levels = make_levels(cv2.copyMakeBorder(gray, border, border, border, border, cv2.BORDER_REPLICATE))
        passed = [window for level in coarse_levels(levels) for window in self._search_coarsely(level, border)]
        windows: dict[tuple[int, int, int], float] = {}
        for x, y, side in join_windows(np.array(passed).reshape(-1, 3)):
            self._look_near(levels, x, y, side, windows)
        return group_windows(windows), border

    def _search_coarsely(self, level: Level, border: int) -> list[tuple[float, float, float]]:
        """Return middle and side of the windows of ``level`` that the first stages pass, few of its border's."""
        edge = _even(border / level.factor - RIM)
        inner = level.image[edge : level.image.shape[0] - edge, edge : level.image.shape[1] - edge]
        if min(inner.shape) < WINDOW:
            return []
        found = self.first_stages.detectMultiScale(inner, **ONE_SIZE, minSize=(WINDOW,) * 2, maxSize=(WINDOW,) * 2)
        half = edge + WINDOW / 2
        places = np.asarray(found).reshape(-1, 4)[:, :2].tolist()
        return [((x + half) * level.factor, (y + half) * level.factor, level.side) for x, y in places]

    def _look_near(
        self, levels: list[Level], x: float, y: float, side: float, windows: dict[tuple[int, int, int], float]
    ) -> None:
        """Add to ``windows`` what all stages pass of those about as large as ``side`` with their middle near (x, y)."""
        at = _nearest(levels, side)
        near = {}
        for level in levels[max(at - 1, 0) : at + 2]:
            near |= windows_near(self.cascade, level, x, y, GLANCE)
        if near:
            left, top, side = np.mean(list(near), axis=0).tolist()
            at = _nearest(levels, side)
            for level in levels[max(at - SPAN, 0) : at + SPAN + 1]:
                windows |= windows_near(self.cascade, level, left + side / 2, top + side / 2, LOOK)


class Level:
    """A picture reduced so that faces of one size fill the cascade's window.

    Attributes:
        factor: pixels of the picture, each way, to one of the reduced picture, about.
        side: of these faces in pixels of the picture.
    """

    def __init__(self, picture: np.ndarray, factor: float) -> None:
        self.picture, self.factor, self.side = picture, factor, round(WINDOW * factor)

    @functools.cached_property
    def image(self) -> np.ndarray:
        """Return the reduced picture, made at first use as ``detectMultiScale`` makes it."""
        height, width = (round(length / self.factor) for length in self.picture.shape[:2])
        return cv2.resize(self.picture, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)


def make_levels(picture: np.ndarray) -> list[Level]:
    """Return the sizes at which ``detectMultiScale`` searches ``picture`` for faces of ``LEAST`` pixels or more."""
    levels, factor = [], 1.0
    while round(WINDOW * factor) <= min(picture.shape[:2]):
        if round(WINDOW * factor) >= LEAST:
            levels.append(Level(picture, factor))
        factor *= STEP  # rounded with each step, as there
    return levels


def coarse_levels(levels: list[Level]) -> list[Level]:
    """Return those of ``levels`` that are searched coarsely: few of the small sizes, which take the time."""
    return [level for place, level in enumerate(levels) if level.factor >= CHEAP or place % EVERY == FIRST]


def _nearest(levels: list[Level], side: float) -> int:
    """Return the place of the level for faces of ``side`` pixels, about."""
    return min(range(len(levels)), key=lambda place: abs(levels[place].side - side))


def windows_near(
    cascade: cv2.CascadeClassifier, level: Level, x: float, y: float, reach: int
) -> dict[tuple[int, int, int], float]:
    """Return left, top and side of the windows of ``level`` that ``cascade`` passes, with the weight of its last stage.

    Args:
        x, y: the windows' middles lie near it, in pixels of the picture.
        reach: by how many pixels of the reduced picture they may be off, or one more.
    """
    left, top = (_even(middle / level.factor - WINDOW / 2 - reach) for middle in (x, y))
    length = WINDOW + 2 * reach + 2
    part = level.image[top : top + length, left : left + length]
    if min(part.shape) < WINDOW:
        return {}
    # ``detectMultiScale`` passes over every second place where it reduces a picture by less than 2. A picture whose
    # pixels are doubled is reduced by 2 to what it was, and all its places are searched.
    times = 2 if level.factor >= 2 else 1
    if times == 2:
        part = cv2.resize(part, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    size = (times * WINDOW,) * 2
    found, _, weights = cascade.detectMultiScale3(part, **ONE_SIZE, minSize=size, maxSize=size, outputRejectLevels=True)
    places = np.asarray(found).reshape(-1, 4)[:, :2].tolist()
    return {
        (
            round((across // times + left) * level.factor),
            round((down // times + top) * level.factor),
            level.side,
        ): weight
        for (across, down), weight in zip(places, np.ravel(weights).tolist(), strict=True)
    }


def join_windows(windows: np.ndarray) -> Iterator[tuple[float, float, float]]:
    """Yield the means of ``windows`` (N, 3), middle and side: the largest and what overlaps with it, in turn."""
    left = windows[np.argsort(-windows[:, 2], kind="stable")]
    while len(left):
        x, y, side = left.T
        shared = (side[0] + side) / 2 - np.abs(x - x[0]), (side[0] + side) / 2 - np.abs(y - y[0])
        across, down = (np.clip(value, 0, np.minimum(side, side[0])) for value in shared)
        both = across * down
        same = both >= SAME * (side[0] ** 2 + side**2 - both)
        yield tuple(left[same].mean(axis=0).tolist())
        left = left[~same]


def group_windows(windows: dict[tuple[int, int, int], float]) -> list[Square]:
    """Return the faces of which more than ``NEIGHBOURS`` windows were passed, as OpenCV's ``groupRectangles`` does.

    Windows whose edges are off by no more than ``SIMILAR`` of the smaller are of one face, and so are those that others
    connect. A face is the mean of its windows, its score their greatest weight. One that lies in another of which more
    windows were passed is left out.
    """
    if not windows:
        return []
    corners, weights = np.array(list(windows), np.float64), np.array(list(windows.values()))
    found: list[tuple[int, int, int, int, float]] = []
    for members in _connected(corners):
        if len(members) > NEIGHBOURS:
            # In single precision, as there.
            mean = corners[members].sum(axis=0, dtype=np.float32) * (np.float32(1) / np.float32(len(members)))
            left, top, side = (int(value) for value in np.rint(mean))
            found.append((left, top, side, len(members), float(weights[members].max())))
    return [
        (left, top, side, score)
        for left, top, side, count, score in found
        if not any(_lies_in((left, top, side), other[:3]) and other[3] > max(3, count) for other in found)
    ]


def _connected(corners: np.ndarray) -> Iterator[list[int]]:
    """Yield the places of windows (left, top, side) of one face."""
    ends = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    left = set(range(len(corners)))
    while left:
        members = [left.pop()]
        for own in members:  # grows meanwhile
            off = np.abs(ends - ends[own]).max(axis=1)
            near = off <= SIMILAR * np.minimum(corners[:, 2], corners[own, 2])
            more = left.intersection(np.flatnonzero(near).tolist())
            left -= more
            members += sorted(more)
        yield members


def _lies_in(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    """Return whether a square (left, top, side) lies in another, or nearly."""
    spare = int(other[2] * SIMILAR)
    return all(
        other[axis] - spare <= one[axis] and one[axis] + one[2] <= other[axis] + other[2] + spare for axis in (0, 1)
    )


def _even(place: float) -> int:
    """Return an even number at or below ``place``, 0 at least: half of the places are those."""
    return max(math.floor(place / 2) * 2, 0)


def load_first_stages(file: Path, count: int) -> cv2.CascadeClassifier:
    """Return the first ``count`` stages of a cascade of OpenCV's.

    Raises:
        DataError: it is not written as such files are.
    """
    text = file.read_text()
    begin, end = text.find("<stages>"), text.find("</stages>")
    stages = [found.start() for found in re.finditer(r"<_>\s*<maxWeakCount>", text[begin:end])]
    cascade = cv2.CascadeClassifier()
    if len(stages) > count:
        text = text[: begin + stages[count]] + text[end:]
        text = re.sub(r"<stageNum>\d+</stageNum>", f"<stageNum>{count}</stageNum>", text, count=1)
        stored = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        cascade.read(stored.getFirstTopLevelNode())
    if cascade.empty():
        raise DataError(f"{file}: is no cascade of more than {count} stages as OpenCV {cv2.__version__} writes them.")
    return cascade
