"""The framing of a face on a photograph: a square that is turned, moved and scaled comes back to the same place."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from PIL import Image

from affectkit.core.assets import FOLDER
from affectkit.core.files import sha256
from affectkit.data.faces.alignment import FILE, MOST_MOVED, MOST_SCALED, SHA256, align_square

PHOTOGRAPH = np.array(Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB"))
"""Of the United States Navy, in the public domain; matplotlib ships it. Brows at row 165, chin at 320."""
SQUARE = (262.0, 235.0, 200.0, 0.0)


@pytest.fixture(scope="module")
def framed():
    return align_square(PHOTOGRAPH, SQUARE)


def test_it_is_framed_as_fer_frames_faces(framed):
    x, y, side, angle = framed
    assert 245 < x < 275 and 210 < y < 250 and 165 < side < 225 and abs(math.degrees(angle)) < 8
    gray = cv2.cvtColor(PHOTOGRAPH, cv2.COLOR_RGB2GRAY)[:, :, None]
    assert align_square(gray, SQUARE) == pytest.approx(framed, abs=1)  # rounded before, not after


@pytest.mark.parametrize("degrees", [-50, -25, 0, 25, 50])
@pytest.mark.parametrize(("across", "down"), [(0.0, 0.0), (0.07, -0.05)])
@pytest.mark.parametrize("scale", [0.9, 1.1])
def test_a_square_comes_back_to_the_face(framed, degrees, across, down, scale):
    x, y, side, angle = framed
    start = (x + across * side, y + down * side, side * scale, angle + math.radians(degrees))
    found = align_square(PHOTOGRAPH, start)
    assert math.hypot(found[0] - x, found[1] - y) < 0.06 * side
    assert abs(math.log(found[2] / side)) < 0.15  # sizes of faces in FER-2013 differ by as much
    assert abs(math.degrees(found[3] - angle)) < 8


def test_a_turned_picture_turns_the_square(framed):
    turn = cv2.getRotationMatrix2D((250, 250), -35, 0.5)
    picture = cv2.warpAffine(PHOTOGRAPH, turn, (500, 500), flags=cv2.INTER_AREA)
    x, y = turn @ (*SQUARE[:2], 1)
    found = align_square(picture, (x, y, SQUARE[2] / 2, 0.0))
    assert math.degrees(found[3] - framed[3]) == pytest.approx(35, abs=6)
    assert found[:2] == pytest.approx(tuple(turn @ (*framed[:2], 1)), abs=0.05 * SQUARE[2])


def test_where_no_face_is_it_stays_about_there():
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    for square in ((150.0, 150.0, 100.0, 0.0), (0.0, 300.0, 250.0, 1.0), (290.0, 5.0, 3.0, 0.0)):
        found = align_square(noise, square)
        assert np.isfinite(found).all()
        assert math.hypot(found[0] - square[0], found[1] - square[1]) <= MOST_MOVED * square[2] * 1.001
        assert abs(math.log(found[2] / square[2])) <= MOST_SCALED * 1.001


def test_the_file_is_the_one_that_was_trained():
    assert sha256(FOLDER / FILE) == SHA256
