"""Squares cut out of a picture at any angle."""

from __future__ import annotations

import math

import cv2
import numpy as np

Square = tuple[float, float, float, float]
"""Centre (x, y) and side in pixels of a picture, and angle in radians, clockwise, of a square in it."""

SUPERSAMPLED = 2.0
"""Pixels of the picture to one of the square, each way, up to which it is read as it is; else it is reduced first."""


def cut_square(picture: np.ndarray, square: Square, size: int) -> np.ndarray:
    """Return a square of ``picture`` as it seems level.

    Args:
        picture: uint8 (H, W, C).
        size: sides of the square that is returned.

    Returns:
        uint8 (size, size, C), antialiased. Beyond the edges of ``picture`` its outermost pixels are continued.
    """
    x, y, side, angle = square
    left = top = 0
    across = down = 1.0
    if side > SUPERSAMPLED * size:
        reach = side / 2 * (abs(math.cos(angle)) + abs(math.sin(angle))) + 2
        left, top = (
            min(max(math.floor(middle - reach), 0), end - 1)
            for middle, end in ((x, picture.shape[1]), (y, picture.shape[0]))
        )
        near = picture[top : max(math.ceil(y + reach), top + 1), left : max(math.ceil(x + reach), left + 1)]
        factor = SUPERSAMPLED * size / side
        smaller = (max(round(near.shape[1] * factor), 1), max(round(near.shape[0] * factor), 1))
        across, down = smaller[0] / near.shape[1], smaller[1] / near.shape[0]
        channels = picture.shape[2]
        picture = cv2.resize(near, smaller, interpolation=cv2.INTER_AREA).reshape(smaller[1], smaller[0], channels)
    matrix = square_matrix(square, size)
    # From pixels of the square, whose middles lie at whole numbers, to those of the picture, reduced.
    inverse = np.linalg.inv(matrix)
    inverse[:2, 2] += inverse[:2, :2] @ (0.5, 0.5)
    inverse[0] = (inverse[0] - (0, 0, left)) * across - (0, 0, 0.5)
    inverse[1] = (inverse[1] - (0, 0, top)) * down - (0, 0, 0.5)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(picture, inverse[:2], (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(size, size, picture.shape[2])


def square_matrix(square: Square, size: int) -> np.ndarray:
    """Return the matrix (3, 3) from places in a picture to places in the square that ``cut_square`` cuts out of it."""
    x, y, side, angle = square
    scale = size / side
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    matrix = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    matrix[:2, 2] = size / 2 - matrix[:2, :2] @ (x, y)
    return matrix
