"""Boxes in pictures: left, top, width and height in pixels, (0, 0) being the upper left corner."""

from __future__ import annotations

Box = tuple[float, float, float, float]


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes (left, top, width, height), in [0, 1]."""
    shared = shared_area(one, other)
    union = one[2] * one[3] + other[2] * other[3] - shared
    return shared / union if union > 0 else 0.0


def shared_area(one: Box, other: Box) -> float:
    """Return the area that two boxes have in common."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(across, 0.0) * max(down, 0.0)
