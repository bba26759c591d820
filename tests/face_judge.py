"""Judge face detectors: match their boxes to marked faces; count what was found, false and double.

Detectors frame faces differently: one to the hairline, one to the chin alone. So a box is of a face where it overlaps
the mark by ``OVERLAP`` or more, or lies on the same centre and is of about the same size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from affectkit.core.boxes import Box, overlap, shared_area

OVERLAP = 0.4
"""Intersection over union from which a box is of a marked face."""
OFF = 0.25
"""How far the centre of such a box may lie from the mark's otherwise, in sides of the mark."""
RATIOS = (0.6, 1.67)
"""Side of such a box in sides of the mark, least and most. A side is the root of the area."""
INSIDE = 0.5
"""Share of the smaller of box and mark that both have, from which a box without a mark of its own is a double one."""


@dataclass(frozen=True)
class Mark:
    """A marked face.

    Attributes:
        box: left, top, width and height in pixels.
        eyes: (x, y) of the right eye, left in an upright picture, and of the left one; empty where not marked.
        roll: turn of the head in the plane in degrees, clockwise in the picture.
        kind: what makes it hard, as ``plain`` or ``blur``.
        ignore: neither found nor missed, and boxes on it are not false: animals, drawings, faces that nobody can tell.
    """

    box: Box
    eyes: tuple[tuple[float, float], ...] = ()
    roll: float = 0.0
    kind: str = "plain"
    ignore: bool = False

    @property
    def side(self) -> float:
        """Return the root of the box's area."""
        return math.sqrt(max(self.box[2], 0.0) * max(self.box[3], 0.0))


@dataclass(frozen=True)
class Judgement:
    """What became of the boxes of one picture.

    Attributes:
        found: of each mark the place of its box among the boxes; None: missed, or to be ignored.
        false: places of boxes on no mark.
        double: places of further boxes of a face that has one.
    """

    found: tuple[int | None, ...]
    false: tuple[int, ...]
    double: tuple[int, ...]


@dataclass
class Tally:
    """Sums of judgements."""

    faces: int = 0
    found: int = 0
    false: int = 0
    double: int = 0
    pictures: int = 0
    missed: list[Mark] = field(default_factory=list)

    def add(self, marks: Sequence[Mark], judgement: Judgement) -> None:
        """Count the marks and boxes of a picture."""
        self.pictures += 1
        self.false += len(judgement.false)
        self.double += len(judgement.double)
        for mark, box in zip(marks, judgement.found, strict=True):
            if not mark.ignore:
                self.faces += 1
                self.found += box is not None
                if box is None:
                    self.missed.append(mark)

    @property
    def recall(self) -> float:
        """Return the share of the faces that were found, in [0, 1]; NaN without faces."""
        return self.found / self.faces if self.faces else math.nan


def is_of(box: Box, mark: Box) -> bool:
    """Return whether a detector's box is of the marked face; see the module."""
    if overlap(box, mark) >= OVERLAP:
        return True
    side, own = math.sqrt(mark[2] * mark[3]), math.sqrt(max(box[2] * box[3], 0.0))
    across = box[0] + box[2] / 2 - mark[0] - mark[2] / 2
    down = box[1] + box[3] / 2 - mark[1] - mark[3] / 2
    return math.hypot(across, down) <= OFF * side and RATIOS[0] * side <= own <= RATIOS[1] * side


def judge(marks: Sequence[Mark], boxes: Sequence[Box], scores: Sequence[float] | None = None) -> Judgement:
    """Match boxes to marks, one to one.

    The box of the highest score chooses first, and of the marks that it is of the one that it overlaps most. Marks to
    be ignored come after all others, and take any number of boxes: those of which they are, and those whose larger part
    lies in them.

    Args:
        marks: the faces of the picture.
        boxes: left, top, width and height in pixels.
        scores: one a box; without any the order of the boxes counts.

    Raises:
        ValueError: not as many scores as boxes.
    """
    scores = [0.0] * len(boxes) if scores is None else scores
    if len(scores) != len(boxes):
        raise ValueError(f"{len(boxes)} boxes, {len(scores)} scores: one a box.")
    order = sorted(range(len(boxes)), key=[-score for score in scores].__getitem__)
    found: list[int | None] = [None] * len(marks)
    false, double = [], []
    for place in order:
        box = boxes[place]
        free = [
            number
            for number, mark in enumerate(marks)
            if not mark.ignore and found[number] is None and is_of(box, mark.box)
        ]
        if free:
            found[max(free, key=lambda number: overlap(box, marks[number].box))] = place
        elif any(mark.ignore and _on(box, mark.box) for mark in marks):
            continue
        elif any(taken is not None and _again(box, mark.box) for mark, taken in zip(marks, found, strict=True)):
            double.append(place)
        else:
            false.append(place)
    return Judgement(tuple(found), tuple(sorted(false)), tuple(sorted(double)))


def _on(box: Box, mark: Box) -> bool:
    return is_of(box, mark) or shared_area(box, mark) > 0.5 * box[2] * box[3]


def _again(box: Box, mark: Box) -> bool:
    return is_of(box, mark) or shared_area(box, mark) > INSIDE * min(box[2] * box[3], mark[2] * mark[3])


def wilson(successes: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Return the interval of a share by Wilson (1927), as in Brown, Cai and DasGupta (2001, section 3.1.1).

    Args:
        successes: how many of ``count``.
        count: 0: nothing is known, (0, 1).
        z: quantile of the normal distribution; 1.96: 95%.

    Returns:
        Least and most, in [0, 1].

    Raises:
        ValueError: ``successes`` not in [0, count].
    """
    if not 0 <= successes <= count:
        raise ValueError(f"successes must be in [0, {count}], got {successes}.")
    if not count:
        return 0.0, 1.0
    share, square = successes / count, z * z
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = z / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    return max(centre - half, 0.0), min(centre + half, 1.0)
