"""Scenes with pasted faces: that they lie where they are marked, and are the same again."""

from __future__ import annotations

import face_scenes
import numpy as np
import pytest
from face_backgrounds import DRAWN, PHOTOGRAPHS, background
from face_scenes import ANGLES, KINDS, SIZES, Crop, Maker, Place, paste, scenes


def spotted():
    """A gray crop with bright spots where FER-2013's eyes lie."""
    pixels = np.full((48, 48), 60, np.uint8)
    for across, down in face_scenes.EYES:
        x, y = round(48 * across), round(48 * down)
        pixels[y - 2 : y + 2, x - 2 : x + 2] = 255
    return Crop("spots", pixels, (10, 0, 0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("side", [24, 48, 72, 160])
@pytest.mark.parametrize("angle", ANGLES)
def test_eyes_lie_where_they_are_marked(side, angle):
    picture = np.full((480, 640, 3), 60, np.float32)
    place = Place(spotted(), 301.5, 222.0, side, angle, tone=0.0)
    paste(picture, place, np.random.default_rng(0))
    mark = place.mark
    assert mark.side == side and mark.roll == angle
    assert mark.box == (301.5 - side / 2, 222 - side / 2, side, side)
    for x, y in mark.eyes:
        reach = max(side / 8, 3)
        rows, columns = np.mgrid[:480, :640] + 0.5
        weight = np.clip(picture[..., 0] - 75, 0, None) * (np.hypot(columns - x, rows - y) < reach)
        assert weight.max() > 60
        found = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
        assert found == pytest.approx((x, y), abs=max(0.035 * side, 0.8))


def test_what_is_far_from_a_face_stays():
    picture = np.full((200, 300, 3), 90, np.float32)
    paste(picture, Place(spotted(), 60, 60, 40, 30), np.random.default_rng(0))
    assert np.all(picture[:, 140:] == 90) and np.any(picture[40:80, 40:80] != 90)


def test_a_face_beyond_the_edge_is_cut():
    picture = np.full((100, 100, 3), 90, np.float32)
    paste(picture, Place(spotted(), 2, 50, 40, 0), np.random.default_rng(0))
    assert np.any(picture[40:60, :10] != 90) and np.isfinite(picture).all()


def test_the_grid_holds_every_cell_and_is_the_same_again():
    faces = [spotted()]
    asked = {"a_cell": 1, "sizes": (20, 48), "kind_sizes": (32,), "empty": 1}
    made = list(scenes(faces, **asked))
    cells = [(mark.kind, round(mark.side), round(mark.roll)) for scene in made for mark in scene.marks]
    wanted = [("plain", size, angle) for size in (20, 48) for angle in ANGLES]
    wanted += [(kind, 32, angle) for kind in KINDS for angle in (0, 30, -30)]
    assert sorted(cells) == sorted(wanted)
    assert sum(scene.group == "empty" for scene in made) == len(DRAWN) + len(PHOTOGRAPHS)
    assert len({scene.name for scene in made}) == len(made)
    for one, other in zip(made, scenes(faces, **asked), strict=True):
        assert np.array_equal(one.picture, other.picture) and one.marks == other.marks
    other_seed = next(iter(scenes(faces, **asked, seed=1)))
    assert not np.array_equal(other_seed.picture, made[0].picture)


@pytest.mark.parametrize("size", SIZES)
def test_heads_of_every_size_lie_in_the_picture_apart_from_each_other(size):
    scene = Maker([spotted()]).scene(f"plain-{size}-0", size, (0, 45, -60), "plain", "plain")
    height, width = scene.picture.shape[:2]
    assert scene.marks
    for mark in scene.marks:
        left, top, across, down = mark.box
        assert left >= 0 and top >= 0 and left + across <= width and top + down <= height
    for number, one in enumerate(scene.marks):
        for other in scene.marks[:number]:
            assert np.hypot(one.box[0] - other.box[0], one.box[1] - other.box[1]) > 1.5 * size


@pytest.mark.parametrize("kind", [*DRAWN, *PHOTOGRAPHS])
def test_backgrounds(kind):
    made = background(kind, 91, 64, np.random.default_rng(3))
    assert made.shape == (64, 91, 3) and made.dtype == np.float32
    assert made.min() >= 0 and made.max() <= 255 and made.std() > 1
