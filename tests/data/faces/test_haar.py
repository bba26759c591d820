"""The cascade's search in two steps beside OpenCV's own search of every place and size."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from PIL import Image

from affectkit.data.faces.detection import drop_outside, drop_overlapping
from affectkit.data.faces.haar import (
    GLANCE,
    LOOK,
    STAGES,
    WINDOW,
    HaarDetector,
    Level,
    group_windows,
    join_windows,
    load_first_stages,
    make_levels,
    windows_near,
)
from affectkit.errors import DataError
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face

CASCADE = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"
PHOTOGRAPH = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def ground(height, width, seed=0):
    """Coarse structure and noise, in gray."""
    rng = np.random.default_rng(seed)
    rough = rng.integers(60, 180, (height // 16, width // 16), dtype=np.uint8)
    smooth = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return np.clip(smooth + rng.integers(-6, 7, (height, width)), 0, 255).astype(np.uint8)


def scene(places, height=480, width=640):
    """Schematic faces (seed, left, top, size) on that ground, beyond its edges too."""
    picture = np.repeat(ground(height, width)[:, :, None], 3, axis=2)
    for seed, left, top, size in places:
        face = draw_face(np.zeros(len(PARAMETERS)), draw_appearance(np.random.default_rng(seed)), size=size)
        part = picture[max(top, 0) : top + size, max(left, 0) : left + size]
        from_row, from_column = max(-top, 0), max(-left, 0)
        part[:] = face[from_row : from_row + part.shape[0], from_column : from_column + part.shape[1]]
    return picture


def whole_search(picture):
    """Every place and size, by OpenCV alone: as the detector searched before it had two steps."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    border = max(round(0.15 * min(gray.shape)), 1)
    gray = cv2.copyMakeBorder(gray, *[border] * 4, cv2.BORDER_REPLICATE)
    options = {"scaleFactor": 1.1, "minNeighbors": 4, "minSize": (24, 24), "outputRejectLevels": True}
    boxes, _, weights = cv2.CascadeClassifier(str(CASCADE)).detectMultiScale3(gray, **options)
    found = [
        ((x - border, y - border, side, side), float(weight), ())
        for (x, y, side, _), weight in zip(np.asarray(boxes).tolist(), np.ravel(weights), strict=True)
    ]
    return drop_overlapping(drop_outside(found, picture.shape))


SCENES = {
    "a photograph": lambda: np.array(Image.open(PHOTOGRAPH)),
    "faces of many sizes": lambda: scene([(6, 20, 30, 60), (20, 120, 40, 220), (23, 400, 20, 40), (6, 420, 200, 150)]),
    "a face beyond an edge": lambda: scene([(20, -30, 120, 300), (6, 560, -8, 100)]),
    "a face that fills it": lambda: scene([(20, 0, 0, 240)], 240, 240),
    "no face": lambda: scene([]),
    "a strip": lambda: scene([(20, 100, 0, 64)], 64, 400),
}


@pytest.mark.parametrize("name", SCENES)
def test_faces_are_those_of_the_whole_search(name):
    picture = SCENES[name]()
    expected = whole_search(picture)
    found = HaarDetector()(picture)
    assert [box for box, *_ in found] == [box for box, *_ in expected]
    assert [score for _, score, _ in found] == pytest.approx([score for _, score, _ in expected], abs=1e-9)
    assert bool(expected) == (name != "no face")


def test_a_picture_smaller_than_the_window():
    detector = HaarDetector()
    for shape in ((19, 300), (24, 24), (1, 1), (40, 25)):
        assert detector(np.full((*shape, 3), 90, np.uint8)) == []


@pytest.mark.parametrize("factor", [1.1**3, 1.1**9])
def test_windows_near_a_place_are_those_of_the_whole_search(factor):
    """With places in steps of two, and with all: position, side and weight, to the last bit."""
    gray = cv2.cvtColor(np.array(Image.open(PHOTOGRAPH)), cv2.COLOR_RGB2GRAY)
    gray = cv2.resize(gray, None, fx=factor * WINDOW / 230, fy=factor * WINDOW / 230, interpolation=cv2.INTER_AREA)
    levels = make_levels(gray)
    level = min(levels, key=lambda level: abs(level.factor - factor))
    assert level.factor == pytest.approx(factor)
    cascade = cv2.CascadeClassifier(str(CASCADE))
    size = (level.side,) * 2
    options = {"scaleFactor": 1.1, "minNeighbors": 0, "minSize": size, "maxSize": size, "outputRejectLevels": True}
    boxes, _, weights = cascade.detectMultiScale3(gray, **options)
    expected = {(*box[:3],): weight for box, weight in zip(boxes.tolist(), np.ravel(weights).tolist(), strict=True)}
    assert len(expected) >= 2
    x, y = np.array(list(expected))[:, :2].mean(axis=0) + level.side / 2
    assert windows_near(cascade, level, x, y, LOOK) == expected
    assert windows_near(cascade, level, x, y, GLANCE).items() <= expected.items()
    assert windows_near(cascade, level, x + 6 * level.side, y, LOOK) == {}


def test_sizes_are_those_of_opencv():
    levels = make_levels(np.zeros((200, 300), np.uint8))
    assert [level.side for level in levels][:4] == [24, 27, 29, 32] and levels[-1].side <= 200 < levels[-1].side * 1.11
    assert levels[2].image.shape == (round(200 / 1.1**4), round(300 / 1.1**4))
    assert isinstance(levels[0], Level) and levels[0].image is levels[0].image  # made once


def test_grouping_is_that_of_opencv():
    rng = np.random.default_rng(3)
    checked = 0
    for _ in range(40):
        middles = rng.uniform(0, 300, (6, 2))
        sides = rng.uniform(24, 120, 6)
        windows = {}
        for middle, side in zip(middles, sides, strict=True):
            for _ in range(rng.integers(1, 14)):
                own = round(side * 1.1 ** rng.integers(-1, 2))
                left, top = (round(value - own / 2 + rng.normal(0, own / 14)) for value in middle)
                windows[left, top, own] = rng.uniform(50, 60)
        expected, _ = cv2.groupRectangles([(x, y, side, side) for x, y, side in windows], 4, 0.2)
        found = group_windows(windows)
        assert sorted(box[:3] for box in found) == sorted((*box[:3],) for box in np.asarray(expected).tolist())
        assert all(min(windows.values()) <= score <= max(windows.values()) for *_, score in found)
        checked += len(found)
    assert checked > 60
    one = {(10 + k, 10, 40): 50.0 + k for k in range(5)}
    assert group_windows(one) == [(12, 10, 40, 54.0)] and group_windows({}) == []
    assert group_windows(dict(list(one.items())[:4])) == []  # four windows are no face


def test_windows_that_overlap_are_joined():
    windows = np.array([(50.0, 50, 40), (53, 50, 40), (50, 52, 36), (200, 50, 40), (50, 50, 20)])
    joined = list(join_windows(windows))
    assert joined[0] == pytest.approx((51, 50 + 2 / 3, 116 / 3))
    assert joined[1:] == [(200, 50, 40), (50, 50, 20)]
    assert list(join_windows(np.empty((0, 3)))) == []


def test_the_first_stages_pass_what_all_pass_and_more(tmp_path):
    gray = cv2.cvtColor(scene([(20, 120, 40, 220)]), cv2.COLOR_RGB2GRAY)
    options = {"scaleFactor": 1.1, "minNeighbors": 0, "minSize": (60, 60)}
    every, first = (
        {tuple(box) for box in np.asarray(cascade.detectMultiScale(gray, **options)).tolist()}
        for cascade in (cv2.CascadeClassifier(str(CASCADE)), load_first_stages(CASCADE, STAGES))
    )
    assert every and every < first
    (tmp_path / "other.xml").write_text("<opencv_storage><cascade></cascade></opencv_storage>")
    with pytest.raises(DataError, match=r"other\.xml: is no cascade"):
        load_first_stages(tmp_path / "other.xml", STAGES)
    with pytest.raises(DataError, match="more than 20 stages"):
        load_first_stages(CASCADE, 20)
