"""Cuts of a video: scenes against each other, and what is no cut: motion, flashes, a swing of the camera."""

from __future__ import annotations

import numpy as np
import pytest
from face_film_kinds import KINDS, make_film
from face_films import SIZE, background, schematic_people

from affectkit.data.faces.shots import differences, is_cut, is_same_shot, reduce_picture

SCENES = [reduce_picture(background(scene, SIZE, (0, 0)).astype(np.uint8)) for scene in range(30)]


def test_scenes_are_told_apart_and_a_scene_from_nothing():
    pairs = [(one, other) for place, one in enumerate(SCENES) for other in SCENES[:place]]
    assert len(pairs) == 435
    assert np.mean([is_cut(one, other, 1 / 25) for one, other in pairs]) > 0.99
    assert np.mean([is_cut(one, other, 0.5) for one, other in pairs]) > 0.95
    assert np.mean([is_same_shot(one, other) for one, other in pairs]) < 0.01
    assert not any(is_cut(one, one, 0.0) for one in SCENES) and all(is_same_shot(one, one) for one in SCENES)


@pytest.mark.parametrize("rate", [25, 10, 2])
def test_cuts_of_films_are_found_and_no_others(rate):
    found, missed, false, pictures = 0, 0, 0, 0
    for kind in KINDS:
        film = make_film(kind, schematic_people(2, 1), 1)
        before = None
        for number in range(round(film.seconds * rate)):
            pair = (number / rate, (number + 1) / rate)
            if rate == 25 and number % 9 and not any(pair[0] < shot.since <= pair[1] for shot in film.shots):
                continue  # Of 25 a second every ninth pair is looked at, and those with a cut.
            for time in pair[: 1 if rate < 25 else 2]:
                picture = reduce_picture(film.picture(time)[0])
                cuts = [shot.since for shot in film.shots if before and before[0] < shot.since <= time]
                if before is not None and time - before[0] < 1.5 / rate:
                    cut = is_cut(before[1], picture, time - before[0])
                    found, missed, false = (
                        found + (cut and bool(cuts)),
                        missed + (bool(cuts) > cut),
                        false + (cut > bool(cuts)),
                    )
                    pictures += 1
                before = (time, picture)
    assert pictures > 100 and found >= 4
    assert missed == 0 and false <= 0.005 * pictures


def test_a_flash_a_swing_and_a_larger_picture_are_no_cuts():
    scene = background(3, SIZE, (0, 0))
    one = reduce_picture(scene.astype(np.uint8))
    flash = reduce_picture(np.clip(scene * 0.6 + 100, 0, 255).astype(np.uint8))
    assert not is_cut(one, flash, 0.04)
    wide = np.concatenate([scene, background(4, SIZE, (0, 0))], axis=1)
    swung = [
        reduce_picture(np.ascontiguousarray(wide[:, 12 * k : 12 * k + SIZE[0]]).astype(np.uint8)) for k in range(40)
    ]
    assert not any(is_cut(before, after, 0.04) for before, after in zip(swung, swung[1:], strict=False))
    assert is_cut(swung[0], reduce_picture(background(4, SIZE, (0, 0)).astype(np.uint8)), 0.04)
    large = np.repeat(np.repeat(scene.astype(np.uint8), 4, axis=0), 4, axis=1)
    layout, colours = differences(one, reduce_picture(large))
    assert layout < 0.01 and colours < 0.1


def test_plain_and_gray_and_tiny_pictures():
    black, gray, white = (reduce_picture(np.full((60, 80, 3), value, np.uint8)) for value in (0, 8, 255))
    assert not is_cut(black, gray, 0.04) and is_cut(black, white, 0.04)
    assert is_cut(black, SCENES[0], 0.04)
    single = reduce_picture(np.full((60, 80, 1), 255, np.uint8))
    assert single.colours == pytest.approx(white.colours) and single.layout == pytest.approx(white.layout)
    assert reduce_picture(np.zeros((1, 1, 3), np.uint8)).layout.shape == (24, 32)
