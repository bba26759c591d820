"""Pictures in which faces are searched: of a JPEG for a gray model the luma alone is decoded."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from affectkit.core.spec import InputSpec
from affectkit.data.faces.detection import FaceDetector
from affectkit.data.loading import face_crops
from affectkit.data.loading.face_crops import PathFaces, read_picture
from affectkit.data.media.images import read_image
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face

GRAY = InputSpec("distribution", 48, 48, 1, (0.0,), (1.0,))
COLOUR = InputSpec("distribution", 48, 48)


def save_scene(path, **options):
    """A schematic face on a coloured, uneven ground."""
    rng = np.random.default_rng(0)
    rough = Image.fromarray(rng.integers(60, 180, (30, 40, 3), dtype=np.uint8))
    picture = rough.resize((640, 480), Image.Resampling.BICUBIC)
    face = draw_face(np.zeros(len(PARAMETERS)), draw_appearance(np.random.default_rng(20)), size=260)
    picture.paste(Image.fromarray(face), (200, 120))
    picture.save(path, **options)
    return path


@pytest.fixture
def modes(monkeypatch):
    """Modes in which Pillow decoded."""
    from PIL import ImageFile

    found, load = [], ImageFile.ImageFile.load

    def spy(image):
        if image.tile:
            found.append(image.mode)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", spy)
    return found


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_gray_model_has_the_luma_alone_decoded(tmp_path, modes, orientation, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save_scene(tmp_path / "a.jpg", quality=92, exif=exif)
    modes.clear()
    assert np.array_equal(read_picture(path, gray=True)[0], read_image(path))  # small: as in memory
    assert modes == ["RGB", "RGB"]
    modes.clear()
    monkeypatch.setattr(face_crops, "LONGEST", 300)
    picture, extent = read_picture(path, gray=True)
    assert modes == ["L"] and extent.scale == 1
    assert picture.shape == ((640, 480, 1) if orientation == 6 else (480, 640, 1))
    off = np.abs(picture.astype(int) - read_image(path, channels=1))
    assert off.mean() < 0.05 and off.max() <= 12  # where colours saturate
    modes.clear()
    assert read_picture(path)[0].shape[2] == 3 and modes == ["RGB"]


@pytest.mark.parametrize(("name", "options"), [("a.jpg", {"quality": 92}), ("a.png", {}), ("gray.jpg", {})])
def test_faces_are_those_of_the_coloured_picture(tmp_path, name, options, monkeypatch):
    monkeypatch.setattr(face_crops, "LONGEST", 300)
    path = save_scene(tmp_path / name, **options)
    if name == "gray.jpg":
        Image.open(path).convert("L").save(path)
    gray, colour = (PathFaces(spec, FaceDetector("haar"))[0, str(path)] for spec in (GRAY, COLOUR))
    assert len(gray.faces) == len(colour.faces) == 1
    assert gray.crops.shape == (1, 48, 48, 1) and colour.crops.shape == (1, 48, 48, 3)
    assert gray.faces[0].box == pytest.approx(colour.faces[0].box, abs=1.5)
    expected = np.array(Image.fromarray(colour.crops[0]).convert("L")).astype(int)
    assert np.abs(gray.crops[0, :, :, 0] - expected).mean() < 1


def test_a_huge_picture_is_reduced_in_gray_too(tmp_path, monkeypatch):
    path = save_scene(tmp_path / "a.jpg", quality=92)
    monkeypatch.setattr(face_crops, "LONGEST", 80)
    picture, extent = read_picture(path, gray=True)
    assert extent.scale == 4 and picture.shape == (120, 160, 1)
    assert np.abs(picture.astype(int).mean() - read_image(path, channels=1).mean()) < 1
