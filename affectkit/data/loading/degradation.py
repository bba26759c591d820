"""What cameras, detectors and the web do to face crops, as augmentation: few pixels, compression, pixels out of place.

The order is that of a picture's way: it is taken small, its pixels wander, it is compressed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SMOOTH = (0.0, 2.0)
"""Deviations of the Gaussian that makes neighbouring pixels move alike, in pixels."""
LEAST_SMOOTH = 0.3
"""Below this each pixel moves by itself, as behind ground glass."""


@dataclass(frozen=True)
class DegradationRanges:
    """Probabilities and ranges that ``draw_degradation`` draws from.

    Attributes:
        shrink: probability that the image is made smaller and enlarged again; ``sizes``: share of its side.
        wander: probability that pixels are moved about; ``reaches``: largest move, as a share of the side.
        jpeg: probability of a compression; ``qualities``: JPEG's quality, 1 to 100.
    """

    shrink: float = 0.0
    sizes: tuple[float, float] = (0.4, 0.9)
    wander: float = 0.0
    reaches: tuple[float, float] = (0.01, 0.05)
    jpeg: float = 0.0
    qualities: tuple[float, float] = (15.0, 80.0)


@dataclass(frozen=True)
class Degradation:
    """The drawn parameters; None: left out.

    Attributes:
        size: share of the side to which the image is shrunk.
        reach: largest move of a pixel, as a share of the side; ``smooth``: deviation of the Gaussian that makes
            neighbours move alike, in pixels; ``seed``: of the moves.
        quality: of the JPEG.
    """

    size: float | None
    reach: float | None
    smooth: float
    seed: int
    quality: int | None


def draw_degradation(ranges: DegradationRanges, rng: np.random.Generator) -> Degradation:
    """Draw the parameters for one image. Every value is drawn whether used or not."""
    unit = rng.random(8)

    def within(bounds: tuple[float, float], value: float) -> float:
        return float(bounds[0] + (bounds[1] - bounds[0]) * value)

    return Degradation(
        size=within(ranges.sizes, unit[1]) if unit[0] < ranges.shrink else None,
        reach=within(ranges.reaches, unit[3]) if unit[2] < ranges.wander else None,
        smooth=within(SMOOTH, unit[4]),
        seed=int(unit[5] * 2**53),
        quality=round(within(ranges.qualities, unit[7])) if unit[6] < ranges.jpeg else None,
    )


def degrade(image: np.ndarray, drawn: Degradation) -> np.ndarray:
    """Return the degraded copy of ``image``, uint8 (H, W, C) of 1 or 3 channels; itself where nothing was drawn."""
    shape = image.shape
    if drawn.size is not None:
        image = _shrunk(image, drawn.size)
    if drawn.reach is not None:
        image = _moved(image.reshape(shape), drawn)
    if drawn.quality is not None:
        image = _compressed(image.reshape(shape), drawn.quality)
    return image.reshape(shape)


def _shrunk(image: np.ndarray, size: float) -> np.ndarray:
    """Shrink by area averages and enlarge bilinearly."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(round(width * size), 1), max(round(height * size), 1)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """Return what a JPEG of ``image`` (gray or RGB) shows."""
    gray = image.shape[2] == 1
    _, code = cv2.imencode(".jpg", image if gray else image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    found = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR)
    return found if gray else found[..., ::-1]


def _moved(image: np.ndarray, drawn: Degradation) -> np.ndarray:
    """Move each pixel by a random field: uniform within the reach or, smoothed, with the reach as its largest value."""
    height, width = image.shape[:2]
    moves = np.random.default_rng(drawn.seed).uniform(-1, 1, (height, width, 2)).astype(np.float32)
    if drawn.smooth > LEAST_SMOOTH:
        moves = cv2.GaussianBlur(moves, (0, 0), drawn.smooth)
        moves /= max(float(np.abs(moves).max()), 1e-6)
    moves *= drawn.reach * min(height, width)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return cv2.remap(
        image, columns + moves[..., 0], rows + moves[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
