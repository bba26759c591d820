"""Faces of large JPEGs: searched in a reduced picture, cut from one that is as fine as they need."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from affectkit.core.spec import InputSpec
from affectkit.data.faces.detection import Face, FaceDetector, crop_face
from affectkit.data.loading import face_crops
from affectkit.data.loading.face_crops import FINENESS, PathFaces, move_face, scale_to_file
from affectkit.data.media.images import read_image
from affectkit.data.media.reduced_decoding import Extent
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face

SPEC = InputSpec("distribution", 48, 48, 1, (0.0,), (1.0,))
SIZE = (3600, 2700)


@pytest.fixture
def read_at(monkeypatch):
    """The scales at which pictures were decoded."""
    scales, read = [], face_crops.read_reduced

    def spy(*given):
        picture, extent = read(*given)
        scales.append(extent.scale)
        return picture, extent

    monkeypatch.setattr(face_crops, "read_reduced", spy)
    return scales


def save_scene(path, places):
    """Schematic faces (seed, left, top, size) in a picture of 9.7 megapixels."""
    picture = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
    for seed, left, top, size in places:
        face = draw_face(np.zeros(len(PARAMETERS)), draw_appearance(np.random.default_rng(seed)), size=320)
        picture[top : top + size, left : left + size] = np.array(Image.fromarray(face).resize((size, size)))
    Image.fromarray(picture).save(path, quality=92)
    return path


LARGE, SMALL = (20, 300, 400, 1200), (6, 2400, 1500, 150)


@pytest.mark.parametrize(("places", "scales"), [([LARGE], [2]), ([LARGE, SMALL], [2, 1]), ([SMALL], [2, 1]), ([], [2])])
def test_crops_are_as_of_the_whole_picture(tmp_path, read_at, places, scales):
    """Decoded again only where a face is small; what is cut out is the same, to a gray level or two."""
    path = save_scene(tmp_path / "a.jpg", places)
    found = PathFaces(SPEC, FaceDetector("haar"))[0, str(path)]
    assert read_at == scales and len(found.faces) == len(found.crops) == len(places)
    whole = read_image(path)
    for face, crop, (_, left, top, size) in zip(found.faces, found.crops, places, strict=True):
        x, y, width, height = face.box
        assert left < x < x + width < left + size and top < y < y + height < top + size
        frame = (x + width / 2, y + height / 2, 1.04 * width, 0.0)
        expected = crop_face(whole, Face(face.box, 1.0, (), frame), SPEC)
        assert np.abs(crop.astype(int) - expected).mean() < 1.5
        if 1 in scales:
            assert np.array_equal(crop, expected)


def test_a_picture_that_is_read_whole_is_read_once(tmp_path, read_at):
    path = save_scene(tmp_path / "a.jpg", [SMALL])
    Image.open(path).save(tmp_path / "a.png", compress_level=1)
    found = PathFaces(SPEC, FaceDetector("haar"))[0, str(tmp_path / "a.png")]
    assert len(found.faces) == 1 and read_at == [1]


def test_the_second_time_a_picture_is_as_large_as_its_smallest_face_needs(tmp_path, read_at, monkeypatch):
    path = save_scene(tmp_path / "a.jpg", [LARGE])
    monkeypatch.setattr(face_crops, "LONGEST", 400)
    dataset = PathFaces(SPEC.with_(height=224, width=224), FaceDetector("haar"))
    (face,) = dataset[0, str(path)].faces
    first, second = read_at
    assert first == 8 and face.box[2] * 1.04 / second >= FINENESS * 224 > face.box[2] * 1.04 / (2 * second)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_face_moves_between_sizes(orientation):
    size = (3601, 2703)
    extents = [Extent.of(size, scale, orientation) for scale in (4, 1)]
    small = Face((10.0, 20.0, 30.0, 40.0), 7.0, ((11.0, 22.0),), (25.0, 40.0, 41.6, 0.3))
    large = move_face(small, *extents)
    assert large.box == pytest.approx(scale_to_file(small, extents[0]).box) and large.score == 7.0
    assert large.points[0] == pytest.approx(extents[0].outer(11, 22))
    assert large.frame == pytest.approx((*extents[0].outer(25, 40), 4 * 41.6, 0.3))
    back = move_face(large, *extents[::-1])
    assert back.box == pytest.approx(small.box) and back.frame == pytest.approx(small.frame)
    assert move_face(Face((0, 0, 8, 8)), *extents).frame is None
