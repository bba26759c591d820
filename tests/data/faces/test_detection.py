from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from PIL import Image

from affectkit.core.boxes import overlap
from affectkit.core.spec import InputSpec
from affectkit.data.faces.alignment import box_square
from affectkit.data.faces.detection import (
    EYES,
    Face,
    FaceDetector,
    covered_share,
    crop_face,
    drop_overlapping,
    first_square,
)
from affectkit.data.loading.face_crops import PathFaces, collate_faces, read_picture, scale_to_file
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.media.reduced_decoding import Extent
from affectkit.errors import DataError
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face

GRAY = InputSpec("distribution", 48, 48, 1, (0.0,), (1.0,))
COLOUR = InputSpec("distribution", 32, 32)
SEEN = (6, 20, 23)
"""Seeds of schematic faces in which OpenCV's cascade sees a face; it does not in all."""
PHOTOGRAPH = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
"""Of the United States Navy, in the public domain; matplotlib ships it."""


def face(seed, size):
    return draw_face(np.zeros(len(PARAMETERS)), draw_appearance(np.random.default_rng(seed)), size=size)


def scene(places, height=500, width=700):
    """Schematic faces (seed, left, top, size) on a plain ground."""
    picture = np.full((height, width, 3), 120, np.uint8)
    for seed, left, top, size in places:
        picture[top : top + size, left : left + size] = face(seed, size)
    return picture


def test_a_photograph_has_its_face_whatever_its_size():
    picture = np.array(Image.open(PHOTOGRAPH))
    for factor in (0.5, 1, 4):
        scaled = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else 1)
        (found,) = FaceDetector("haar")(scaled)
        x, y, width, height = (value / factor for value in found.box)
        # Of the face as it is seen: brows at 165, chin at 320, ears at 165 and 360.
        assert 140 < x < 175 and 90 < y < 125 and 205 < width < 245 and width == pytest.approx(height, rel=1e-3)
        assert found.score > 20


def test_several_faces_come_the_largest_first():
    picture = scene([(6, 10, 20, 160), (20, 200, 40, 300), (23, 520, 250, 120)])
    found = FaceDetector("haar")(picture)
    assert len(found) == 3
    for own, (left, top, size) in zip(found, [(200, 40, 300), (10, 20, 160), (520, 250, 120)], strict=True):
        x, y, width, height = own.box
        assert left < x < x + width < left + size and top < y < y + height < top + size
    assert FaceDetector("haar")(np.full((300, 400, 3), 90, np.uint8)) == []


def test_auto_takes_face_crops_whole_and_no_portraits():
    picture = np.array(Image.open(PHOTOGRAPH).convert("RGB"))
    finder = FaceDetector("auto")
    tiny = cv2.resize(picture[90:330, 150:390], (99, 99), interpolation=cv2.INTER_AREA)
    assert finder(tiny) == [Face((0, 0, 99, 99))]  # too small for a face in a scene
    (found,) = finder(picture)  # head and shoulders
    assert found.score is not None and found.frame is not None
    x, y, side, _ = found.frame
    whole = {}
    for share in (1.0, 1.1, 1.4, 1.8):  # sides of a crop in sides of the face as FER-2013 frames it
        left, top, edge = round(x - side * share / 2), round(y - side * share / 2), round(side * share)
        crop = np.ascontiguousarray(picture[max(top, 0) : top + edge, max(left, 0) : left + edge])
        whole[share] = finder(crop)[0].score is None
    assert whole == {1.0: True, 1.1: True, 1.4: False, 1.8: False}
    two = np.concatenate([picture[60:360, 120:420]] * 2, axis=1)
    assert [face.score is None for face in finder(two)] == [False, False]  # two are no crop
    assert finder(np.full((300, 300, 3), 90, np.uint8)) == []
    assert FaceDetector("none")(np.zeros((300, 200, 3), np.uint8)) == [Face((0, 0, 200, 300))]


def test_the_square_about_a_box():
    x, y, side, angle = box_square((100, 50, 60, 80))
    assert (x, angle) == (130, 0) and 90 < y < 95 and side == pytest.approx(80 * 1.03)
    down = box_square((100, 50, 60, 80), angle=math.pi / 2)
    assert down == pytest.approx((130 - (y - 90), 90, side, math.pi / 2))
    assert covered_share((50, 50, 60, 0), 100, 100) == pytest.approx(0.36)
    assert covered_share((0, 50, 60, 0), 100, 100) == pytest.approx(0.18)  # half of it lies outside


@pytest.mark.parametrize("angle", [0.0, 0.4, -0.7])
def test_eyes_set_the_square_and_turn_it(angle):
    """Eyes painted where a turned face has them come out level, where FER's are, at its distance."""
    picture = np.full((400, 400, 3), 40, np.uint8)
    middle, apart = np.array([210.0, 170.0]), 76.0
    along = np.array([math.cos(angle), math.sin(angle)])
    right, left = middle - along * apart / 2, middle + along * apart / 2
    for eye in (right, left):
        cv2.circle(picture, tuple(round(value * 16) for value in eye - 0.5), 6 * 16, (255,) * 3, -1, cv2.LINE_AA, 4)
    box = (120, 100, 180, 180)
    frame = first_square(box, (tuple(right), tuple(left)))
    made = crop_face(picture, Face(box, 0.9, (), frame), replace(GRAY, height=200, width=200))[:, :, 0] > 150
    rows, columns = np.nonzero(made)
    assert rows.mean() / 200 == pytest.approx(EYES[1], abs=0.01)
    first, second = columns[columns < 98].mean() / 200, columns[columns >= 98].mean() / 200
    assert (first + second) / 2 == pytest.approx(EYES[0], abs=0.01)
    assert second - first == pytest.approx(EYES[2], abs=0.01)
    assert np.ptp([rows[columns < 98].mean(), rows[columns >= 98].mean()]) < 1


def test_a_profile_whose_eyes_coincide_goes_by_its_box():
    assert first_square((0, 0, 100, 100), ((50, 40), (55, 40))) == box_square((0, 0, 100, 100))
    turned = first_square((0, 0, 100, 100), ((50, 40), (54, 44)))
    assert turned == box_square((0, 0, 100, 100), angle=math.pi / 4)


@pytest.mark.parametrize("side", [30, 96, 900])
def test_a_cut_is_that_part_of_the_picture(side):
    """Against Pillow's resize of the same box; a turn by nothing must not move or blur."""
    rng = np.random.default_rng(0)
    small = cv2.GaussianBlur(rng.integers(0, 256, (120, 160, 3), dtype=np.uint8), (0, 0), 3)
    picture = cv2.resize(small, (1600, 1200), interpolation=cv2.INTER_CUBIC)
    left, top = 300, 200
    frame = (left + side / 2, top + side / 2, float(side), 0.0)
    made = crop_face(picture, Face((left, top, side, side), 1.0, (), frame), COLOUR)
    whole = Image.fromarray(picture).resize(
        (32, 32), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
    )
    assert np.abs(made.astype(int) - np.array(whole).astype(int)).mean() < 1.0


def test_beyond_the_edge_the_outermost_pixels_go_on():
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[:, :50] = (200, 100, 50)
    made = crop_face(picture, Face((-40, 30, 80, 80), 1.0, (), (0.0, 70.0, 80.0, 0.0)), COLOUR)
    assert np.abs(made.astype(int) - np.array((200, 100, 50))).max() <= 1
    gray = crop_face(picture[:, :, :1], Face((10, 10, 20, 20), 1.0, (), (20.0, 20.0, 20.0, 0.0)), COLOUR)
    assert gray.shape == (32, 32, 3) and np.abs(gray.astype(int) - 200).max() <= 1
    with pytest.raises(DataError, match="outside of its picture"):
        crop_face(picture, Face((500, 500, 9, 9), 1.0, (), (504.0, 504.0, 9.0, 0.0)), COLOUR)


def test_gray_is_as_where_images_are_decoded(tmp_path):
    picture = np.random.default_rng(1).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    from affectkit.data.media.images import load_for_spec

    whole = crop_face(picture, Face((0, 0, 48, 48)), GRAY)
    assert np.abs(whole.astype(int) - load_for_spec(tmp_path / "a.png", GRAY).astype(int)).max() <= 1


def test_overlap_and_once():
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 10, 10)) == 0
    found = [((0, 0, 100, 100), 5.0, ()), ((5, 5, 100, 100), 9.0, ()), ((300, 0, 50, 50), 1.0, ())]
    assert [box for box, _, _ in drop_overlapping([*found, ((320, 20, 20, 20), 0.5, ())])] == [
        (5, 5, 100, 100),
        (300, 0, 50, 50),
    ]


def test_boxes_are_in_pixels_of_the_upright_file(tmp_path):
    """A phone's picture lies on its side and says so; a huge JPEG is decoded smaller."""
    picture = scene([(20, 200, 40, 300)])
    lying, exif = Image.fromarray(picture).rotate(90, expand=True), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(tmp_path / "plain.png")
    lying.save(tmp_path / "phone.jpg", exif=exif, quality=95)
    Image.fromarray(picture).resize((7000, 5000)).save(tmp_path / "huge.jpg")
    shown, extent = read_picture(tmp_path / "huge.jpg")
    assert shown.shape == (2500, 3500, 3) and extent.scale == 2
    (tmp_path / "torn.jpg").write_bytes((tmp_path / "phone.jpg").read_bytes()[:4000])
    dataset = PathFaces(GRAY, FaceDetector("haar"))
    items = [
        dataset[k, str(tmp_path / name)] for k, name in enumerate(["plain.png", "phone.jpg", "huge.jpg", "torn.jpg"])
    ]
    plain, phone, huge = (np.array(item.faces[0].box) for item in items[:3])
    assert np.abs(plain - phone).max() < 6 and np.abs(plain * 10 - huge).max() < 60
    for item in items[1:3]:
        assert np.abs(item.crops.astype(float) - items[0].crops).mean() < 12
    assert isinstance(items[3], ReadFailure) and "torn.jpg" in items[3].reason
    batch = collate_faces(items)
    assert batch["index"] == [0, 1, 2] and batch["image"].shape == (3, 48, 48, 1)
    assert [len(faces) for faces in batch["faces"]] == [1, 1, 1] and len(batch["failures"]) == 1
    assert scale_to_file(Face((1, 2, 3, 4)), Extent(20, 20, 2)).box == (2, 4, 6, 8)
