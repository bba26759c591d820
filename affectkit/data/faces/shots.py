"""Shots of a video: whether two of its pictures were taken without a cut between them.

Two signs have to agree, as each alone is misled: the layout of light and dark, compared at several shifts (a flash
keeps it, a camera that swings does not), and the histogram of colours (a camera that swings keeps most of it).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

SAMPLES = (64, 48)
"""Pixels across and down that are looked at."""
LAYOUT = (32, 24)
MARGIN = 4
"""Pixels of that by which a picture may have moved."""
LEVELS = 6
"""Bins of each colour."""
LEVEL = (np.arange(256) * LEVELS // 256).astype(np.uint8)
"""Bin of each value."""
MOVED = (0.12, 0.4, 0.7)
"""What the layout may differ by without a cut, from 0 to 1: at once, what time adds, and its time constant in
seconds."""
COLOURS = (0.08, 0.17, 0.7)
"""The same of the histogram."""
RETURNED = (0.4, 0.12)
"""What layout and histogram may differ by where a video comes back to a shot."""


@dataclass(frozen=True)
class Picture:
    """A reduced picture.

    Attributes:
        layout: luma, float32 (24, 32).
        colours: histogram, float32 (216,), its sum is 1.
    """

    layout: np.ndarray
    colours: np.ndarray


def reduce_picture(picture: np.ndarray) -> Picture:
    """Reduce ``picture``, uint8 (H, W, 3) RGB or (H, W, 1); 0.1 ms whatever its size."""
    height, width = picture.shape[:2]
    # Two pixels for each, and then their mean: an average of all would read a large picture whole.
    steps = max(height // (2 * SAMPLES[1]), 1), max(width // (2 * SAMPLES[0]), 1)
    some = np.ascontiguousarray(picture[:: steps[0], :: steps[1]])
    small = cv2.resize(some, SAMPLES, interpolation=cv2.INTER_AREA).reshape(SAMPLES[1], SAMPLES[0], -1)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) if small.shape[2] == 3 else small[:, :, 0]
    levels = LEVEL[small]
    index = (levels[:, :, 0] * LEVELS + levels[:, :, small.shape[2] // 2]) * LEVELS + levels[:, :, -1]
    colours = np.bincount(index.ravel(), minlength=LEVELS**3) / index.size
    return Picture(
        cv2.resize(gray, LAYOUT, interpolation=cv2.INTER_AREA).astype(np.float32), colours.astype(np.float32)
    )


def differences(one: Picture, other: Picture) -> tuple[float, float]:
    """Return by how much layout (1 - the largest correlation, in [0, 2]) and colours (1 - the shared part) differ."""
    inner = other.layout[MARGIN:-MARGIN, MARGIN:-MARGIN]
    if min(float(inner.std()), float(one.layout.std())) < 2.0:  # a plain picture has no layout
        return (0.0 if abs(float(inner.mean() - one.layout.mean())) < 16 else 1.0), _apart(one, other)
    shifts = cv2.matchTemplate(one.layout, inner, cv2.TM_CCOEFF_NORMED)
    return 1 - float(np.nan_to_num(shifts).max()), _apart(one, other)


def is_cut(one: Picture, other: Picture, passed: float) -> bool:
    """Return whether there is a cut between two pictures that follow each other, ``passed`` seconds apart.

    Both signs count, the layout less where the colours are others altogether.
    """
    most, most_colours = _allowed(MOVED, passed), _allowed(COLOURS, passed)
    if _apart(one, other) <= most_colours:  # nearly always, and found in no time
        return False
    layout, colours = differences(one, other)
    return layout > most / 2 and layout * colours > most * most_colours


def is_same_shot(one: Picture, other: Picture) -> bool:
    """Return whether two pictures look as if from one place, whatever was shown between them."""
    layout, colours = differences(one, other)
    return layout <= RETURNED[0] and colours <= RETURNED[1]


def _apart(one: Picture, other: Picture) -> float:
    return 1 - float(np.minimum(one.colours, other.colours).sum())


def _allowed(limits: tuple[float, float, float], passed: float) -> float:
    at_once, more, seconds = limits
    return at_once + more * (1 - math.exp(-max(passed, 0.0) / seconds))
