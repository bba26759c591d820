"""What follows from where a face was found: how far its head is turned, how much of its box lies in the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

from affectkit.core.boxes import Box, shared_area


def head_roll(points: Sequence[tuple[float, float]]) -> float | None:
    """Return by how many degrees the line of the eyes is turned clockwise in the picture, in (-180, 180].

    0: the eyes lie level; 90: the person's left eye lies straight below the right one.

    Args:
        points: landmarks of a face (x, y), the right eye and the left eye first; y grows downwards.

    Returns:
        None where the eyes are not known, or lie in one place.

    >>> head_roll([(10, 10), (20, 20)])
    45.0
    """
    if len(points) < 2:
        return None
    (right_x, right_y), (left_x, left_y) = points[:2]
    across, down = left_x - right_x, left_y - right_y
    if across == 0 and down == 0:
        return None
    angle = math.degrees(math.atan2(down, across))
    return 180.0 if angle == -180.0 else angle


def share_outside(box: Box, height: float, width: float) -> float:
    """Return the share of a box's area that lies beyond a picture of ``height`` x ``width`` pixels, in [0, 1].

    >>> share_outside((-5, 0, 10, 10), 100, 100)
    0.5
    """
    area = box[2] * box[3]
    if area <= 0:
        return 0.0
    # Rounding may leave a trifle of a box that lies wholly within.
    outside = 1.0 - shared_area(box, (0.0, 0.0, width, height)) / area
    return min(outside, 1.0) if outside > 1e-9 else 0.0
