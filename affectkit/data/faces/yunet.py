"""The face detector with YuNet: it searches a picture upright and tilted, and looks at each find again.

YuNet was trained on faces as they stand in photographs, and misses most that are turned by 45 degrees. So the picture
is searched as it is, and turned by ``TILT`` either way. Each find is then cut out at the size that the network knows
best, levelled as it was found, and once more as the face's alignment says; the box and the points of this last look
are taken. What is no face rarely seems one in both looks, so that the first one may take unsure finds: the weighted
mean of the two scores counts.

Frames of a video follow each other, so that less will do: see ``FRAME_ENLARGED``. In a region about a face that is
known from another frame, the face is looked for in one size, turned as it was there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from affectkit.data.faces.alignment import align_square, box_square
from affectkit.data.faces.detection import Found, drop_outside, drop_overlapping
from affectkit.data.faces.squares import cut_square, square_matrix
from affectkit.data.faces.weights import PACKAGE, YUNET_INT8, find_weights
from affectkit.data.faces.yunet_network import GET_IT, ROW, YuNetNetwork, drop_doubles, overlaps
from affectkit.errors import CheckpointError

ENLARGED, ENLARGED_TILTED = 1.5, 1.25
"""By how much a picture is enlarged that is searched, upright and tilted: faces of 24 pixels are small for YuNet."""
LONGEST, LONGEST_TILTED = 1600, 1200
"""Pixels of the longer side at which it is searched, upright and tilted, at most."""
COARSE = 320
"""Pixels of the longer side at which it is searched for faces that are too large there."""
TILT = 45.0
"""Degrees by which it is turned."""
FRAME_ENLARGED, FRAME_TILTED = 1.25, (1.0, 0.75)
"""By how much a frame of a video is enlarged, upright, and tilted one way and both ways."""
FRAME_COARSE = 1.9
"""By how much a frame is larger, as it is searched, where it is searched at ``COARSE``, too; a picture is by 1.4."""
FRAME_SAME = 0.3
"""Intersection over union with a face above which another find of a frame is that face."""
REGION, REGION_FACE = (64, 256), 64.0
"""Least and most pixels of a region as it is searched, and of the expected face in it, if they allow it."""
REGION_NEAR = 0.75
"""How far a face may lie off the middle of a region, across and down, in sides of the expected one."""
FIRST, LAST, SCORE = 0.1, 0.5, 0.65
"""Least scores of the first look, of the last one, and of their mean."""
FAINTEST = 0.05
"""Least score of the first look whatever is asked for: below, most cells of the network's grids are finds."""
SIDES, WEIGHTS = (24, 60), (0.3, 0.5)
"""Weight of the first look in the mean, by the longer side of a find in pixels: it sees little of small ones."""
BEST = 0.96
"""What scores of the last look do not exceed: finds that would not pass with it are not looked at again."""
SIDE, FILLED = 128, 0.6
"""Pixels of a find as it is looked at again, and the share of it that its box takes."""
LEVEL, WORSE = 2.0, 0.1
"""Degrees by which a find may be turned as it is looked at; one that is turned by more is levelled and looked at once
more, unless its score falls by more than this.
"""
NEAR, AGAIN = 0.15, 1.65
"""By how much, in sides of that cut, a face in it may lie off its middle, and by what ratio its box may differ."""
SAME = 0.5
"""Intersection over union above which finds of the first look are one."""
MOST = 5000
"""Finds of the first look, the surest, among which faces are looked for: a bound on the time of a picture."""


class YuNetDetector:
    """YuNet with ``file``, or with the weights that are installed.

    Attributes:
        min_score: least weighted mean of the scores of the first look and of the last, in [0, 1]. The first look takes
            nothing below ``FAINTEST``.

    Raises:
        CheckpointError: ``file`` is not there or not a YuNet; without it, no weights are installed.
    """

    takes_sides = takes_turns = True

    def __init__(self, file: Path | None = None) -> None:
        file = file or find_weights()
        if file is None:
            raise CheckpointError(
                f"the face detector yunet has no weights: the package {PACKAGE} is not installed, or without its "
                f"{YUNET_INT8.name}.",
                GET_IT,
            )
        self.network = YuNetNetwork(file)
        self.min_score = SCORE

    def __call__(
        self,
        picture: np.ndarray,
        *,
        sides: tuple[float, float] | None = None,
        turns: Sequence[float] | None = None,
    ) -> list[Found]:
        """Detect the faces of a picture, of a video's frame or of a region in it, see ``data.faces.DetectorEntry``."""
        if sides is not None:
            rows = self._search_region(picture, sides, *(turns or (0.0,)))
        else:
            finds = self._weighted(picture, drop_doubles(self._first_look(picture, turns), SAME)[:MOST])
            rows = self._look_again_at(picture, finds) if turns is None else self._look_level_at(picture, finds)
        return drop_overlapping(drop_outside(map(as_found, rows), picture.shape))

    def _weighted(self, picture: np.ndarray, finds: np.ndarray) -> np.ndarray:
        """Return those of ``finds`` (F, 16) that may pass, with the weights of their scores, (G, 17)."""
        weights = np.interp(finds[:, 2:4].max(axis=1) * search_share(picture), SIDES, WEIGHTS)
        return np.column_stack([finds, weights])[weights * finds[:, 4] + (1 - weights) * BEST >= self.min_score]

    def _look_again_at(self, picture: np.ndarray, finds: np.ndarray) -> list[np.ndarray]:
        return [row for find in finds if (row := self._look_again(picture, find)) is not None]

    def _look_level_at(self, picture: np.ndarray, finds: np.ndarray) -> list[np.ndarray]:
        """Return the faces at ``finds``, the surest first; those that share much with a surer face are skipped."""
        rows: list[np.ndarray] = []
        for find in finds:
            if not rows or overlaps(find, np.stack(rows)).max() <= FRAME_SAME:
                row = self._look_level(picture, find)
                rows += [row] if row is not None else []
        return rows

    def _search_region(self, picture: np.ndarray, sides: tuple[float, float], turn: float) -> list[np.ndarray]:
        """Return the faces in a region with sides from about ``sides[0]`` to ``sides[1]``, turned by about ``turn``
        degrees; where there are none, those that are turned otherwise.
        """
        expected = math.sqrt(sides[0] * sides[1])
        low, high = sides[0] / AGAIN, sides[1] * AGAIN
        middle = np.array(picture.shape[1::-1]) / 2
        for degrees in (turn, turn + TILT, turn - TILT):
            finds = self._look_in_region(picture, expected, math.radians(degrees))
            larger, off = finds[:, 2:4].max(axis=1), np.abs(finds[:, :2] - middle).max(axis=1)
            finds = finds[(larger >= low) & (larger <= high) & (off < REGION_NEAR * expected)]
            rows = self._look_level_at(picture, self._weighted(picture, finds))
            if rows:
                return rows
        return []

    def _look_level(self, picture: np.ndarray, find: np.ndarray) -> np.ndarray | None:
        """Return the face at ``find`` (17,), turned as about, as it is seen from near; None where there is none."""
        roll = align_square(picture, box_square(as_found(find)[0], angle=find[ROW]))[3]
        return self._counted(find, self._look(picture, np.append(find[:ROW], roll)))

    def _look_in_region(self, picture: np.ndarray, expected: float, roll: float) -> np.ndarray:
        """Return what may be faces of about ``expected`` pixels in a region, turned by ``roll``, (F, 16)."""
        height, width = picture.shape[:2]
        square = (width / 2, height / 2, max(width, height), roll)
        low, high = REGION
        size = round(min(max(square[2] * REGION_FACE / expected, low), high) / 32) * 32
        rows = drop_doubles(self.network(cut_square(picture, square, size), self._least()), SAME)
        rows = map_rows(rows, np.linalg.inv(square_matrix(square, size)))
        return np.column_stack([rows, np.full(len(rows), roll)])

    def _first_look(self, picture: np.ndarray, turns: Sequence[float] | None) -> np.ndarray:
        """Return what may be faces in ``picture``, upright and tilted, (F, 16) in its pixels, with their roll.

        Args:
            turns: of a frame of a video, the degrees by which tilted ones are turned.
        """
        least, longest = self._least(), max(picture.shape[:2])
        upright, tilted, above = ENLARGED, ENLARGED_TILTED, 1.4
        if turns is not None:
            upright, tilted, above = FRAME_ENLARGED, FRAME_TILTED[len(turns) > 1], FRAME_COARSE
        found = [
            self._search(picture, side, 0.0, least) for side in search_sides(min(upright * longest, LONGEST), above)
        ]
        for side in search_sides(min(tilted * longest, LONGEST_TILTED), above):
            # A face that is turned clockwise stands upright in a picture that is turned back.
            found += [self._search(picture, side, -turn, least) for turn in turns or (-TILT, TILT)]
        return np.concatenate(found)

    def _least(self) -> float:
        """Return the least score of the first look."""
        return max(min(FIRST, self.min_score), FAINTEST)

    def _search(self, picture: np.ndarray, longest: float, degrees: float, least: float) -> np.ndarray:
        """Return the faces of ``picture``, scaled to a longer side of ``longest`` and turned clockwise."""
        height, width = picture.shape[:2]
        scale = longest / max(height, width)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        forward = np.array([[size[0] / width, 0, 0], [0, size[1] / height, 0], [0, 0, 1]])
        if degrees:
            turn, canvas = turning(size, degrees)
            small, forward = cv2.warpAffine(small, turn[:2], canvas), turn @ forward
        rows = self.network(small.reshape(*small.shape[:2], picture.shape[2]), least)
        rows = map_rows(drop_doubles(rows, SAME), np.linalg.inv(forward))
        return np.column_stack([rows, np.full(len(rows), -math.radians(degrees))])

    def _look_again(self, picture: np.ndarray, find: np.ndarray) -> np.ndarray | None:
        """Return the face at ``find`` (17,) as it is seen from near and level; None where there is none."""
        row = self._look(picture, find)
        if row is None:
            return None
        roll = align_square(picture, box_square(as_found(row)[0], angle=row[ROW]))[3]
        turned = math.degrees(abs(math.remainder(roll - row[ROW], 2 * math.pi)))
        level = self._look(picture, np.append(row[:ROW], roll)) if turned > LEVEL else None
        if level is not None and level[4] > row[4] - WORSE:
            row = level
        return self._counted(find, row)

    def _counted(self, find: np.ndarray, row: np.ndarray | None) -> np.ndarray | None:
        """Return ``row``, the last look at ``find`` (17,), with the mean of both scores; None where that is too low."""
        if row is None:
            return None
        row[4] = find[-1] * find[4] + (1 - find[-1]) * row[4]
        return row if row[4] >= self.min_score else None

    def _look(self, picture: np.ndarray, find: np.ndarray) -> np.ndarray | None:
        x, y, width, height = find[:4]
        square = x, y, max(width, height) / FILLED, find[ROW]
        rows = self.network(cut_square(picture, square, SIDE), min(LAST, self.min_score))
        off = np.abs(rows[:, :2] - SIDE / 2).max(axis=1, initial=0)
        ratio = np.abs(np.log(rows[:, 2:4].max(axis=1, initial=1) / (SIDE * FILLED)))
        rows = rows[(off < NEAR * SIDE) & (ratio < math.log(AGAIN))]
        if not len(rows):
            return None
        (row,) = map_rows(rows[[np.argmax(rows[:, 4])]], np.linalg.inv(square_matrix(square, SIDE)))
        return np.append(row, find[ROW])


def search_sides(longest: float, above: float = 1.4) -> list[float]:
    """Return the longer sides at which a picture is searched: ``longest``, and ``COARSE`` where it is well below."""
    return [longest, COARSE] if longest > above * COARSE else [longest]


def search_share(picture: np.ndarray) -> float:
    """Return how much smaller ``picture`` is searched than one that is enlarged in full, at most 1."""
    return min(LONGEST / (ENLARGED * max(picture.shape[:2])), 1.0)


def turning(size: tuple[int, int], degrees: float) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the matrix (3, 3) that turns a picture of ``size`` (W, H) clockwise, and the size of what holds it."""
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    canvas = tuple(math.ceil(size[axis] * abs(cosine) + size[1 - axis] * abs(sine)) for axis in (0, 1))
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    turn[:2, 2] = np.array(canvas) / 2 - turn[:2, :2] @ np.array(size) / 2
    return turn, canvas


def map_rows(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return ``rows`` (F, 15) in the pixels to which the similarity ``matrix`` (3, 3) leads; boxes stay upright."""
    mapped = rows.copy()
    mapped[:, 2:4] *= math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    for at in (0, *range(5, ROW, 2)):
        mapped[:, at : at + 2] = rows[:, at : at + 2] @ matrix[:2, :2].T + matrix[:2, 2]
    return mapped


def as_found(row: np.ndarray) -> Found:
    """Return ``row`` (15,) or longer as box, score and points."""
    x, y, width, height, score, *points = (float(value) for value in row[:ROW])
    box = (x - width / 2, y - height / 2, width, height)
    return box, score, tuple(zip(points[::2], points[1::2], strict=True))
