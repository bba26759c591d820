from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from affectkit.data.faces.squares import cut_square, square_matrix


@pytest.fixture(scope="module")
def picture():
    small = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return cv2.GaussianBlur(cv2.resize(small, (400, 300), interpolation=cv2.INTER_CUBIC), (0, 0), 4)


@pytest.mark.parametrize("side", [40.0, 41.5, 160.0])
def test_a_level_square_is_that_part(picture, side):
    """Against a resize of the same pixels."""
    left, top = 100, 80
    whole = math.ceil(side)
    part = picture[top : top + whole, left : left + whole]
    if whole != side:
        part = cv2.resize(picture, None, fx=8, fy=8, interpolation=cv2.INTER_LINEAR)
        part = part[top * 8 : round((top + side) * 8), left * 8 : round((left + side) * 8)]
    wanted = cv2.resize(part, (40, 40), interpolation=cv2.INTER_AREA)
    made = cut_square(picture, (left + side / 2, top + side / 2, side, 0.0), 40)
    assert np.abs(made.astype(int) - wanted).mean() < 1.5


@pytest.mark.parametrize("degrees", [-90, 35, 180])
@pytest.mark.parametrize("side", [60.0, 260.0])
def test_a_turned_square_comes_out_level(picture, degrees, side):
    """The picture turned about the square's middle by OpenCV, the square then cut out level."""
    x, y = 190.0, 160.0
    turned = cv2.warpAffine(
        picture, cv2.getRotationMatrix2D((x - 0.5, y - 0.5), degrees, 1), (400, 300), borderMode=cv2.BORDER_REPLICATE
    )
    made = cut_square(picture, (x, y, side, math.radians(degrees)), 48)
    level = cut_square(turned, (x, y, side, 0.0), 48)
    inner = slice(12, 36)  # beyond the picture's edges the two differ
    assert np.abs(made[inner, inner].astype(int) - level[inner, inner]).mean() < 2.5


def test_places_map_as_pixels_do():
    picture = np.zeros((200, 300, 1), np.uint8)
    cv2.circle(picture, (150, 90), 4, 255, -1)
    square = (140.0, 100.0, 80.0, 0.6)
    rows, columns = np.nonzero(cut_square(picture, square, 160)[:, :, 0] > 128)
    seen = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    assert (square_matrix(square, 160) @ (150.5, 90.5, 1))[:2] == pytest.approx(seen, abs=0.3)


def test_beyond_the_edges_pixels_are_continued(picture):
    gray = picture[:, :, :1]
    made = cut_square(gray, (-500.0, 150.0, 600.0, 0.0), 20)
    assert made.shape == (20, 20, 1) and np.ptp(made, axis=1).max() == 0
    assert cut_square(gray, (1e5, 1e5, 10.0, 1.0), 8).max() == gray[-1, -1, 0]
