"""JPEGs decoded at 1/2, 1/4 and 1/8 show what the whole picture shows, whatever its sides, turned or not.

The reference is written out here: the file decoded at its own size, turned by NumPy, and brought to the input size by
one call of Pillow's resize (or of OpenCV for boxes). Between a reduced and a full decode lies what the two filters do
to fine detail, which no placing can take away; sides that are multiples of 8 give the measure of it here: 0.5 to 0.9
levels in the mean, and 1.7 where the decoded side is just twice the input (384 pixels, decoded to 96, at 48). A picture
squeezed by one decoded pixel is 3 to 6 levels off.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from affectkit.core.spec import FITS, InputSpec
from affectkit.data.faces.detection import Face, FaceDetector, crop_face
from affectkit.data.loading import face_crops
from affectkit.data.loading.face_crops import PathFaces, read_picture, scale_to_file
from affectkit.data.media.images import load_for_spec, read_reduced
from affectkit.data.media.reduced_decoding import scale_for

SIDES = (389, 394, 401, 447, 511, 577, 655, 723, 785, 801)
BOUND, MEAN = 2.0, 0.7


def drawn(height: int, width: int) -> np.ndarray:
    """A face with fine lines at all edges, gray uint8 (height, width): a shift by half a pixel of 48 shows."""
    side = min(height, width)

    def at(x: float, y: float) -> tuple[int, int]:
        return round(x * width), round(y * height)

    picture = np.full((height, width), 150, np.uint8)
    cv2.ellipse(picture, at(0.5, 0.52), at(0.36, 0.45), 0, 0, 360, 210, -1)
    for x in (0.36, 0.64):
        cv2.ellipse(picture, at(x, 0.42), at(0.07, 0.035), 0, 0, 360, 30, -1)
        cv2.line(picture, at(x - 0.09, 0.33), at(x + 0.09, 0.31), 40, round(side * 0.02))
    cv2.ellipse(picture, at(0.5, 0.7), at(0.16, 0.09), 0, 10, 170, 50, round(side * 0.025))
    for x in np.arange(0.02, 1, 0.06):
        for begin, end in (((x, 0), (x, 0.12)), ((x, 0.9), (x, 1)), ((0.93, x), (1, x)), ((0, x), (0.08, x))):
            cv2.line(picture, at(*begin), at(*end), 20, round(side * 0.02))
    return picture


STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: a.T[::-1],
    7: lambda a: a.T[::-1, ::-1],
    8: lambda a: a.T[:, ::-1],
}
"""What a camera stores of an upright picture, by where EXIF says that the first row and column belong."""
UPRIGHT = {**STORED, 6: STORED[8], 8: STORED[6]}
"""The way back: each of them undoes itself, but the quarter turns, which undo each other."""


def saved(path: Path, upright: np.ndarray, orientation: int = 1) -> np.ndarray:
    """Write a JPEG that shows ``upright``; returns what it holds, decoded whole and turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(STORED[orientation](upright))).save(path, quality=92, exif=exif)
    with Image.open(path) as image:
        return np.ascontiguousarray(UPRIGHT[orientation](np.asarray(image)))


def reference(whole: np.ndarray, spec: InputSpec) -> np.ndarray:
    """``whole`` at the size of ``spec``, by the words of ``core.spec.FITS``."""
    height, width = whole.shape
    picture, size = Image.fromarray(whole), (spec.width, spec.height)
    if spec.fit == "stretch":
        return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))
    if spec.fit == "pad":
        share = min(spec.height / height, spec.width / width)
        inner = round(width * share), round(height * share)
        made, canvas = np.asarray(picture.resize(inner, Image.Resampling.BILINEAR)), np.zeros(size[::-1], np.uint8)
        top, left = (spec.height - inner[1]) // 2, (spec.width - inner[0]) // 2
        canvas[top : top + inner[1], left : left + inner[0]] = made
        return canvas
    # Resize the shorter side to 256 of 224 parts ("imagenet"), or to the size itself ("crop"), and cut the centre.
    share = max(spec.height / height, spec.width / width) * (256 / 224 if spec.fit == "imagenet" else 1)
    wide, tall = spec.width / share, spec.height / share
    left, top = (width - wide) / 2, (height - tall) / 2
    box = (max(left, 0), max(top, 0), min(left + wide, width), min(top + tall, height))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, box=box))


def gap(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def gray(height: int, width: int, fit: str) -> InputSpec:
    return InputSpec("classification", height, width, 1, (0.5,), (0.5,), fit)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sides_that_are_no_multiples(tmp_path: Path, orientation: int, fit: str) -> None:
    path, gaps = tmp_path / "a.jpg", []
    for side in SIDES:
        for height, width in ((side, side), (side, side * 3 // 4), (side * 2 // 3, side)):
            whole = saved(path, drawn(height, width), orientation)
            for spec in (gray(48, 48, fit), gray(24, 36, fit)):
                gaps.append(gap(load_for_spec(path, spec)[:, :, 0], reference(whole, spec)))
    assert len(gaps) == 6 * len(SIDES)
    assert max(gaps) < BOUND and sum(gaps) / len(gaps) < MEAN


@pytest.mark.parametrize("orientation", range(1, 9))
def test_random_crops_of_reduced_pictures(tmp_path: Path, orientation: int) -> None:
    """A part is a box of the whole picture in its own pixels, also where it ends at the spare strip."""
    path = tmp_path / "a.jpg"
    whole = saved(path, drawn(801, 723), orientation)
    for box in ((0, 0, 723, 801), (300, 401, 723, 801), (0, 0, 399, 777), (11, 0, 723, 500)):
        found = load_for_spec(path, gray(24, 24, "crop"), part=lambda height, width, box=box: box)[:, :, 0]
        left, top, right, bottom = box
        cutout = Image.fromarray(whole[top:bottom, left:right])
        assert gap(found, np.asarray(cutout.resize((24, 24), Image.Resampling.BILINEAR))) < 0.8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_where_the_picture_lies(tmp_path: Path, scale: int, orientation: int) -> None:
    """By a ramp, of which each decoded pixel tells the place that it stands for."""
    height, width = 405, 499
    ramps = np.arange(width) * 0.4 + 20, np.arange(height) * 0.4 + 20
    for axis, ramp in enumerate(ramps):
        upright = np.tile(ramp, (height, 1)) if axis == 0 else np.tile(ramp[:, None], (1, width))
        saved(tmp_path / "a.jpg", np.rint(upright).astype(np.uint8), orientation)
        pixels, extent = read_reduced(tmp_path / "a.jpg", lambda height, width: (height // scale, width // scale))
        assert (extent.height, extent.width, extent.scale) == (height, width, scale)
        assert pixels.shape[:2] == (math.ceil(height / scale), math.ceil(width / scale))
        left, top, right, bottom = extent.box
        assert (right - left, bottom - top) == (width / scale, height / scale)
        assert 0 <= left < 1 and 0 <= top < 1 and right <= pixels.shape[1] and bottom <= pixels.shape[0]
        line = pixels.mean((0, 2)) if axis == 0 else pixels.mean((1, 2))
        places = np.arange(1, len(line) - 1)
        x, y = extent.outer(places + 0.5, places + 0.5)
        told = (x if axis == 0 else y) - 0.5
        off = (line[places] - 20) / 0.4 - told
        assert abs(off.mean()) < 0.25 and np.abs(off).max() < 2.5  # of the 1 to 7 pixels that the strip has
        box = (31.0, 40.0, 77.0, 99.0)
        inner = extent.inner(box)
        assert (*extent.outer(*inner[:2]), *extent.outer(*inner[2:])) == pytest.approx(box)


def test_scale_for() -> None:
    """The rule of libjpeg's users: as small as both sides allow; beyond the limit smaller than was asked for."""
    checked = 0
    for width in (7, 64, 389, 785):
        for height in (9, 64, 401, 801):
            for wanted in ((1, 1), (48, 48), (100, 96), (200, 400), (2000, 10)):
                best = max(s for s in (1, 2, 4, 8) if s == 1 or (width // s >= wanted[0] and height // s >= wanted[1]))
                assert scale_for((width, height), wanted, 10**9) == best
                checked += 1
    assert checked == 80
    assert scale_for((1000, 1000), (1000, 1000), 10**6) == 1
    assert scale_for((1001, 1000), (1001, 1000), 10**6) == 2
    assert scale_for((8000, 8000), (8000, 8000), 10**6) == 8 == scale_for((90_000, 90_000), (90_000, 90_000), 10**6)


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_faces_found_and_taken_whole(tmp_path: Path, orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces cut from a reduced picture, and pictures taken whole, are as of the whole one; boxes are the file's."""
    monkeypatch.setattr(face_crops, "LONGEST", 160)
    monkeypatch.setattr(face_crops, "DETAIL", 1)
    path, spec = tmp_path / "a.jpg", gray(24, 24, "stretch")
    whole = saved(path, drawn(1281, 1091), orientation)
    pixels, extent = read_picture(path)
    assert extent.scale == 8 and pixels.shape[:2] == (161, 137)
    dataset = PathFaces(spec, FaceDetector("none"))
    found = dataset[0, str(path)]
    assert [face.box for face in found.faces] == [(0, 0, 1091, 1281)]
    assert gap(found.crops[0, :, :, 0], reference(whole, spec)) < 0.8
    for x, y, side in ((545.0, 666.0, 900.0), (800.0, 900.0, 500.0), (200.0, 200.0, 400.0)):
        inner = extent.inner((x, y, x, y))[:2]
        small = Face((0, 0, 1, 1), frame=(*inner, side / extent.scale, 0.0))
        large = Face((0, 0, 1, 1), frame=(x, y, side, 0.0))
        made = [crop_face(one, face, spec)[:, :, 0] for one, face in ((pixels, small), (whole[:, :, None], large))]
        assert gap(*made) < 2.0
    box = extent.inner((96, 104, 896, 904))
    told = scale_to_file(Face((box[0], box[1], box[2] - box[0], box[3] - box[1])), extent)
    assert told.box == pytest.approx((96, 104, 800, 800))
