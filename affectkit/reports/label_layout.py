"""Places for labels beside the faces of a picture: over no face, over no other label, within the picture.

Of the places around a face the first that is free is taken, nearest ones first; where none is, a shorter text is tried,
and a label without any place is left out. Faces may overlap and lie beyond the picture; labels never do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affectkit.core.boxes import Box

Size = tuple[float, float]
"""Width and height in pixels."""

OWN, OTHER = 0.04, 0.02
"""Share of its own face, and of another one, that a label may cover where there is no free place."""
FAR = (1.0, 2.2, 3.6)
"""How far from a face a label may stand, in its own heights; a line leads to it."""
PASSES = ((0.0, 0.0), (OWN, 0.0), (OWN, OTHER))


@dataclass(frozen=True)
class Place:
    """Where a label stands.

    Attributes:
        box: of the label.
        variant: which of the texts it is, 0 being the longest.
        far: whether it stands apart from its face, so that a line must lead to it.
    """

    box: Box
    variant: int = 0
    far: bool = False


def place_labels(
    faces: Sequence[Box],
    sizes: Sequence[Sequence[Size]],
    room: Size,
    *,
    taken: Sequence[Box] = (),
    panels: bool = False,
) -> list[Place | None]:
    """Return a place for the label of each face; None where there is none, or the face has no label.

    Args:
        faces: boxes in pixels.
        sizes: of the texts of each face's label, the preferred one first; none: no label.
        room: width and height of the picture.
        taken: boxes of other labels, which are kept free.
        panels: whether labels are panels, which stand at the side of a face first, and never apart from it.
    """
    areas = _edges(faces, room)
    labels = list(taken)
    found: list[Place | None] = []
    for number, wanted in enumerate(sizes):
        around = _Around(faces[number], room, panels)
        place = _place(around, wanted, own=number, faces=areas, labels=_edges(labels, room))
        found.append(place)
        if place is not None:
            labels.append(place.box)
    return found


def covered(label: Box, others: Sequence[Box], room: Size) -> NDArray[np.float64]:
    """Return the share of each of ``others``, as far as it lies in the picture, that ``label`` covers, (N,)."""
    edges = _edges([label], room)
    return _shares(edges, _edges(others, room))[0]


@dataclass(frozen=True)
class _Around:
    """A face, in a picture of ``room``, around which a label, or a panel, shall stand."""

    face: Box
    room: Size
    panel: bool

    def near(self, size: Size) -> NDArray[np.float64]:
        """Return edges of boxes beside the face and in its corners, each moved into the picture; the first are best."""
        (left, top, width, height), (wide, tall) = self.face, size
        # Of a face that reaches beyond the picture what can be seen counts.
        right, bottom = min(left + width, self.room[0]), min(top + height, self.room[1])
        left, top = max(left, 0), max(top, 0)
        middle, centre = (left + right - wide) / 2, (top + bottom - tall) / 2
        above = [(left, top - tall), (middle, top - tall), (right - wide, top - tall)]
        below = [(left, bottom), (middle, bottom), (right - wide, bottom)]
        beside = [(right, top), (left - wide, top), (right, centre), (left - wide, centre)]
        beside += [(right, bottom - tall), (left - wide, bottom - tall)]
        oblique = [(right, top - tall), (left - wide, top - tall), (right, bottom), (left - wide, bottom)]
        inside = [(left, top), (right - wide, top), (left, bottom - tall), (right - wide, bottom - tall)]
        first = [*beside, *below, *above] if self.panel else [*above, *below, *beside]
        return _moved_inside(np.array([*first, *oblique, *inside], dtype=np.float64), size, self.room)

    def apart(self, size: Size) -> NDArray[np.float64]:
        """Return edges of boxes around the face, further and further away; none for a panel."""
        if self.panel:
            return np.empty((0, 4))
        (left, top, width, height), (wide, tall) = self.face, size
        corners = []
        for distance in FAR:
            gap = distance * tall
            across = np.linspace(left - wide - gap, left + width + gap, 7)
            down = np.linspace(top - tall - gap, top + height + gap, 7)
            corners += [(x, y) for x in across for y in (down[0], down[-1])]
            corners += [(x, y) for x in (across[0], across[-1]) for y in down[1:-1]]
        return _moved_inside(np.array(corners, dtype=np.float64), size, self.room)


def _place(
    around: _Around,
    wanted: Sequence[Size],
    *,
    own: int,
    faces: NDArray[np.float64],
    labels: NDArray[np.float64],
) -> Place | None:
    """Return the best place; ``own`` is the number of the face among ``faces``, ``labels`` are those placed before."""
    for variant, size in enumerate(wanted):
        if size[0] > around.room[0] or size[1] > around.room[1]:
            continue
        near, apart = around.near(size), around.apart(size)
        boxes = np.concatenate([near, apart])
        free = _shares(boxes, labels).max(1, initial=0.0) == 0
        hidden = _shares(boxes, faces)
        of_own = hidden[:, own]
        others = np.delete(hidden, own, axis=1).max(1, initial=0.0)
        for most_own, most_other in PASSES:
            good = np.flatnonzero(free & (of_own <= most_own) & (others <= most_other))
            if len(good):
                left, top, right, bottom = boxes[good[0]]
                box = (float(left), float(top), float(right - left), float(bottom - top))
                return Place(box, variant, far=bool(good[0] >= len(near)))
    return None


def _moved_inside(corners: NDArray[np.float64], size: Size, room: Size) -> NDArray[np.float64]:
    corners = np.clip(corners, 0, [room[0] - size[0], room[1] - size[1]])
    return np.concatenate([corners, corners + size], axis=1)


def _edges(boxes: Sequence[Box], room: Size) -> NDArray[np.float64]:
    """Return left, top, right and bottom edges, (N, 4), of what lies in the picture."""
    values = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    edges = np.concatenate([values[:, :2], values[:, :2] + values[:, 2:]], axis=1)
    return np.clip(edges, 0, [room[0], room[1], room[0], room[1]])


def _shares(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return which share of each of ``others`` each of ``boxes`` covers, (N, M), of edges (N, 4) and (M, 4)."""
    across = np.minimum(boxes[:, None, 2], others[None, :, 2]) - np.maximum(boxes[:, None, 0], others[None, :, 0])
    down = np.minimum(boxes[:, None, 3], others[None, :, 3]) - np.maximum(boxes[:, None, 1], others[None, :, 1])
    # A hundredth of a pixel is no overlap, only rounding.
    shared = np.where((across > 0.01) & (down > 0.01), across * down, 0.0)
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    return shared / np.maximum(areas, 1e-9)
