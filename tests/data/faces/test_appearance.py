"""Appearance of faces: the same person against others, gray and colour, edges of a picture, sizes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from face_film_kinds import make_film
from face_films import detect, ferplus_people, has_ferplus, schematic_people

from affectkit.core.boxes import overlap
from affectkit.data.faces.appearance import LIMITS, OFFSET, WIDTH, describe_faces, log_likelihood_ratios

PICTURE = np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)


def separated(people, *, gray=False):
    """Ratios of pairs of the same person and of different ones, seen in different shots."""
    film = make_film("cutaway", people, 3, gray=gray)
    looks = []
    found = detect(film, 2.0, false=0.0)
    for time, truth, boxes, pixels in zip(found.times, found.truth, found.boxes, found.pixels, strict=True):
        for box, look in zip(boxes, describe_faces(pixels, boxes), strict=True):
            looks.append((max(truth, key=lambda face: overlap(truth[face], box)), time >= 6.0, look))
    same, different = [], []
    for person, late, look in looks:
        for other, later, seen in looks:
            if later and not late:
                (same if person == other else different).append(log_likelihood_ratios(look[None], seen[None])[0, 0])
    assert min(len(same), len(different)) > 50
    return np.array(same), np.array(different)


def area_under(same, different):
    """Share of pairs of pairs in order."""
    return float((same[:, None] > different[None]).mean())


def test_schematic_people_in_two_shots():
    same, different = separated(schematic_people(6, 2))
    assert area_under(same, different) > 0.85
    assert np.median(same) > np.median(different) + 2


@pytest.mark.skipif(not has_ferplus(), reason="the FER+ label file is not at shared/data")
@pytest.mark.parametrize(("gray", "least"), [(False, 0.95), (True, 0.9)])
def test_faces_of_ferplus_in_two_shots(gray, least):
    same, different = separated(ferplus_people(6, 2), gray=gray)
    assert area_under(same, different) > least
    assert np.median(same) > 0 > np.median(different)


def test_a_descriptor_has_parts_of_unit_length_and_is_most_like_itself():
    looks = describe_faces(PICTURE, [(50, 40, 60, 60), (150, 60, 80, 90)])
    assert looks.shape == (2, WIDTH) and looks.dtype == np.float32
    assert (looks**2).sum(1) == pytest.approx([3, 3], rel=1e-4)
    ratios = log_likelihood_ratios(looks, looks)
    assert np.diag(ratios) == pytest.approx([min(OFFSET, LIMITS[1])] * 2, abs=0.05)
    assert ratios[0, 1] < ratios.diagonal().min() - 3 and (ratios >= LIMITS[0]).all()
    assert log_likelihood_ratios(looks[:0], looks).shape == (0, 2) and describe_faces(PICTURE, []).shape == (0, WIDTH)


def test_gray_pictures_of_one_and_three_channels_are_alike():
    gray = PICTURE[:, :, :1]
    boxes = [(50, 40, 60, 60), (150, 60, 80, 90)]
    assert describe_faces(gray, boxes) == pytest.approx(describe_faces(np.repeat(gray, 3, axis=2), boxes), abs=0.02)


def test_boxes_beyond_the_edges_and_flat_pictures_have_descriptors():
    boxes = [(-40, -30, 60, 60), (280, 190, 50, 50), (-500, 0, 10, 10), (900, 900, 20, 20), (5, 5, 0.2, 0.2)]
    for picture in (PICTURE, np.zeros_like(PICTURE), np.full((1, 1, 3), 255, np.uint8)):
        looks = describe_faces(picture, boxes)
        assert np.isfinite(looks).all() and np.isfinite(log_likelihood_ratios(looks, looks)).all()


def test_size_and_light_count_little():
    (one,) = schematic_people(1, 4)
    drawn = one.drawings[0]
    boxes = {size: [(0.16 * size, 0.14 * size, 0.68 * size, 0.72 * size)] for size in (60, 110, 900)}
    looks = {size: describe_faces(cv2.resize(drawn, (size, size)), boxes[size]) for size in boxes}
    darker = describe_faces((cv2.resize(drawn, (110, 110)) * 0.7).astype(np.uint8), boxes[110])
    (ratios,) = log_likelihood_ratios(looks[110], np.concatenate([looks[60], looks[900], darker]))
    assert (ratios > 3).all()
