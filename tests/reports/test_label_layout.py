"""Labels cover no face and no label, whatever the boxes; bars of all faces are drawn, in a strip where it must be."""

from __future__ import annotations

import numpy as np
import pytest

from affectkit.core.text import percent
from affectkit.reports.face_overlay import MOST_BARS, Mark, draw_face_marks, lay_out
from affectkit.reports.label_layout import covered, place_labels

BARS = tuple((name, share) for name, share in (
    ("neutral", 0.01), ("happiness", 0.75), ("surprise", 0.1), ("sadness", 0.08), ("contempt", 0.06)))  # fmt: skip
MOST = 0.05


def crowd(count, room, seed):
    """``count`` boxes of all sizes, which may overlap and reach beyond the picture."""
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.uniform(np.log(0.02), np.log(0.5), count)) * min(room)
    corners = rng.uniform(-0.05, 0.95, (count, 2)) * room
    return [(float(x), float(y), float(side), float(side)) for (x, y), side in zip(corners, sides, strict=True)]


@pytest.mark.parametrize("room", [(640, 480), (480, 640), (1920, 1080), (4000, 3000), (96, 72)])
@pytest.mark.parametrize("strip", [True, False])
def test_no_label_covers_a_face_or_a_label_nor_is_cut(room, strip):
    looked = drawn = 0
    for count in range(0, 61, 4):
        boxes = crowd(count, room, seed=count)
        marks = [Mark(box, f"{k + 1} · happiness 75%", BARS, k) for k, box in enumerate(boxes)]
        laid = lay_out(marks, room, strip=strip)
        labels = [place.box for place in (*laid.titles, *laid.panels) if place is not None]
        drawn += sum(place is not None for place in laid.titles)
        for number, label in enumerate(labels):
            left, top, wide, tall = label
            assert left >= 0 and top >= 0 and left + wide <= room[0] + 1e-6 and top + tall <= room[1] + 1e-6
            others = [*boxes, *labels[:number], *labels[number + 1 :]]
            assert covered(label, others, room).max(initial=0) <= MOST
            looked += 1
        assert all(place is not None for place in laid.panels) or strip == laid.strip or not count or not strip
    if min(room) > 100:
        assert looked > 100
        assert drawn > 250  # of 480: most faces have their label in the picture, though they overlap at random


def test_all_faces_have_bars_where_a_strip_is_allowed():
    rng = np.random.default_rng(0)
    plain = rng.integers(0, 256, (480, 640, 3)).astype(np.uint8)
    for count in (1, 3, 12, 30):
        marks = [
            Mark(box, f"{k + 1} · happiness 75%", BARS, k) for k, box in enumerate(crowd(count, (640, 480), count))
        ]
        laid = lay_out(marks, (640, 480), strip=True)
        made = draw_face_marks(plain, marks, strip=True)
        assert made.shape[1] == 640
        assert (made.shape[0] > 480) == laid.strip == any(place is None for place in lay_out(marks, (640, 480)).panels)
        assert draw_face_marks(plain, marks).shape == plain.shape
    upright = draw_face_marks(
        np.zeros((900, 400, 3), np.uint8), [Mark((10, 10, 380, 880), "x 50%", BARS)] * 3, strip=True
    )
    assert upright.shape[0] == 900
    assert upright.shape[1] > 400


@pytest.mark.parametrize("room", [(1200, 1200), (900, 1800), pytest.param((2700, 2700), marks=pytest.mark.slow)])
def test_the_strip_of_a_crowd_stays_a_picture(room):
    side = 60
    boxes = [(x, y, side, side) for x in range(0, room[0] - side, 75) for y in range(0, room[1] - side, 75)]
    marks = [Mark(box, f"{k + 1} · happiness 75%", BARS, k) for k, box in enumerate(boxes)]
    assert len(marks) > 200
    height, width, _ = draw_face_marks(np.zeros((room[1], room[0], 3), np.uint8), marks, strip=True).shape
    assert height * width < 6 * room[0] * room[1], "74,400 pixels high below 1,200: no JPEG holds that"
    assert max(height, width) < 4 * max(room)


def test_the_three_largest_bars_are_drawn_the_largest_first():
    mark = Mark((0, 0, 1, 1), "", BARS)
    assert [name for name, _ in mark.top_bars] == ["happiness", "surprise", "sadness"]
    assert len(mark.top_bars) == MOST_BARS
    assert Mark((0, 0, 1, 1), "", BARS[:2]).top_bars == BARS[:2]


def test_titles_become_shorter_until_they_fit():
    assert Mark((0, 0, 1, 1), "3 · happiness 75%").titles == ["3 · happiness 75%", "3 · happiness", "3"]
    assert Mark((0, 0, 1, 1), "happiness 75%").titles == ["happiness 75%", "happiness"]
    assert Mark((0, 0, 1, 1), "").titles == []
    laid = lay_out([Mark((2, 2, 60, 60), "12 · contempt 99.9%")], (64, 80))
    assert laid.titles[0].variant > 0


def test_a_title_goes_by_the_size_of_its_face():
    laid = lay_out([Mark((100, 100, 800, 800), "a 50%"), Mark((1200, 100, 60, 60), "b 50%")], (2000, 1500))
    assert laid.letters[0] > laid.letters[1]


def test_a_label_without_room_is_left_out_and_one_apart_is_said_to_be():
    assert place_labels([(0, 0, 10, 10)], [[(50, 5)]], (20, 20)) == [None]
    everywhere = [(0, 0, 100, 100), (40, 40, 10, 10)]
    assert place_labels(everywhere, [[], [(30, 10)]], (100, 100))[1] is None
    around = [(40, 40, 20, 20), *[(x, y, 20, 20) for x in (20, 40, 60) for y in (20, 40, 60) if (x, y) != (40, 40)]]
    (place, *_) = place_labels(around, [[(18, 18)]] + [[]] * 8, (200, 200))
    assert place.far
    assert place_labels(around, [[(18, 18)]] + [[]] * 8, (200, 200), panels=True)[0] is None


def test_no_share_but_one_is_a_hundred_percent():
    assert [percent(share) for share in (0.0996, 0.5, 0.9894, 0.996, 0.99949, 0.9996)] == [
        "10%", "50%", "99%", "99.6%", "99.9%", ">99.9%",
    ]  # fmt: skip
