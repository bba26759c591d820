"""The search for faces: of a picture beside every place and size, of a video's frames beside each: processor time."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from benchmarks.measuring import show

from affectkit.data.faces.detection import FaceDetector
from affectkit.data.faces.haar import HaarDetector
from affectkit.data.faces.video_search import faces_in_frames
from affectkit.data.media.video_stream import Frame
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face

pytestmark = pytest.mark.benchmark

DRAWN = {
    seed: draw_face(np.zeros(len(PARAMETERS)), draw_appearance(np.random.default_rng(seed)), size=320)
    for seed in (6, 20, 23)
}
SEEDS = tuple(DRAWN)


def frames(count, places, *, size=(640, 480), rate=30.0):
    """Frames with schematic faces (seed, left, top, size) on a noisy ground with coarse structure."""
    rng = np.random.default_rng(0)
    rough = rng.integers(60, 180, (size[1] // 16, size[0] // 16, 3), dtype=np.uint8)
    ground = cv2.resize(rough, size, interpolation=cv2.INTER_CUBIC)
    for number in range(count):
        picture = np.clip(ground.astype(np.int16) + rng.integers(-6, 7, (size[1], size[0], 1)), 0, 255).astype(np.uint8)
        for seed, left, top, side in places(number):
            drawn = cv2.resize(DRAWN[seed], (side, side), interpolation=cv2.INTER_AREA)
            picture[top : top + side, left : left + side] = drawn
        yield Frame(number, number / rate, picture)


def one(number):
    return [(6, 200 + 2 * number, 150 + number, 160)]


def ten(number):
    return [(SEEDS[k % 3], 10 + k % 5 * 125 + number % 5, 40 + k // 5 * 220, 100) for k in range(10)]


def jumping(number):
    return [(6, 40 + number * 197 % 430, number * 89 % 300, 130)]


def large(number):
    return [(6, 1500 + 40 * number, 700, 700)]


CASES = (
    ("one face, every frame", 37, one, {}, 3.0),
    ("no face, every frame", 37, lambda number: [], {}, 3.5),
    ("ten faces, every frame", 37, ten, {}, 1.6),
    ("a face elsewhere in each frame", 37, jumping, {}, 0.9),
    ("one face, 3840x2160, 0.5 s", 4, large, {"size": (3840, 2160), "rate": 2.0}, 3.5),
)
"""Name, frames, faces, size and rate, and the least ratio."""


YUNET_CASES = (
    ("one face, every frame", 37, one, {}, 6.0),
    ("no face, every frame", 37, lambda number: [], {}, 8.0),
    ("ten faces, every frame", 37, ten, {}, 2.5),
    ("a face elsewhere in each frame", 37, jumping, {}, 1.6),
    ("one face, 0.5 s", 6, one, {"rate": 2.0}, 1.8),
    ("one face, 3840x2160, 0.5 s", 4, large, {"size": (3840, 2160), "rate": 2.0}, 4.0),
)
DETECTED = [("haar", *case) for case in CASES] + [("yunet", *case) for case in YUNET_CASES]


@pytest.mark.parametrize("case", DETECTED, ids=lambda case: f"{case[0]}, {case[1]}")
def test_search(case, capsys):
    how, name, count, places, form, least = case
    given, detector = list(frames(count, places, **form)), FaceDetector(how)
    detector(given[0].pixels)

    def every() -> int:
        return sum(len(detector(frame.pixels)) for frame in given)

    def dense() -> int:
        return sum(len(faces) for _, faces in faces_in_frames(given, detector))

    spent = {}
    for search in (every, dense):
        began = time.process_time()  # of all threads: other load on the machine does not count
        found = search()
        spent[search] = (1000 * (time.process_time() - began) / count, found)
    ratio = spent[every][0] / spent[dense][0]
    header = ("faces in frames of a video", "each whole, CPU ms", "faces", "affectkit, CPU ms", "faces", "ratio")
    show(capsys, header, [(f"{how}, {name}", *spent[every], *spent[dense], ratio)])
    assert ratio >= least


BESIDE = (
    ("no face, every frame", 37, lambda number: [], {}, 1.0),
    ("one face, every frame", 37, one, {}, 0.9),
    ("ten faces, every frame", 37, ten, {}, 0.7),
    ("one face, 0.5 s", 6, one, {"rate": 2.0}, 0.9),
    ("one face, 1280x720, every frame", 19, one, {"size": (1280, 720)}, 0.9),
)
"""Name, frames, faces, size and rate, and the most that YuNet may take, in the cascade's time."""


@pytest.mark.parametrize("case", BESIDE, ids=lambda case: case[0])
def test_films_with_yunet_beside_the_cascade(case, capsys):
    name, count, places, form, most = case
    given, spent = list(frames(count, places, **form)), {}
    for how in ("haar", "yunet"):
        detector = FaceDetector(how)
        detector(given[0].pixels)
        began = time.process_time()
        found = sum(len(faces) for _, faces in faces_in_frames(given, detector))
        spent[how] = (1000 * (time.process_time() - began) / count, found)
    ratio = spent["yunet"][0] / spent["haar"][0]
    header = ("faces in frames of a video", "haar, CPU ms", "faces", "yunet, CPU ms", "faces", "ratio")
    show(capsys, header, [(name, *spent["haar"], *spent["yunet"], ratio)])
    assert spent["yunet"][1] >= spent["haar"][1] and ratio <= most


PICTURES = (
    ("one face, 640x480", one, {}, 2.5),
    ("no face, 640x480", lambda number: [], {}, 2.5),
    ("ten faces, 640x480", ten, {}, 2.0),
    ("one face, 1600x1200", lambda number: [(6, 300, 300, 500)], {"size": (1600, 1200)}, 2.5),
)
"""Name, faces, size, and the least ratio."""


@pytest.mark.parametrize("case", PICTURES, ids=lambda case: case[0])
def test_search_of_pictures(case, capsys):
    """The cascade in two steps, beside OpenCV's search of every place and size: time, and the same faces."""
    name, places, form, least = case
    pictures = [frame.pixels for frame in frames(6, places, **form)]
    detector = HaarDetector()

    def whole(picture) -> list[tuple[int, ...]]:
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        border = round(0.15 * min(gray.shape))
        gray = cv2.copyMakeBorder(gray, *[border] * 4, cv2.BORDER_REPLICATE)
        found = detector.cascade.detectMultiScale(gray, scaleFactor=1.1, minNeighbors=4, minSize=(24, 24))
        return [(x - border, y - border, side) for x, y, side, _ in np.asarray(found).reshape(-1, 4).tolist()]

    def two_steps(picture) -> list[tuple[int, ...]]:
        return [box[:3] for box, *_ in detector(picture)]

    spent = {}
    for search in (whole, two_steps):
        search(pictures[0])
        began = time.process_time()
        found = [box for picture in pictures for box in search(picture)]
        spent[search] = (1000 * (time.process_time() - began) / len(pictures), found)
    ratio = spent[whole][0] / spent[two_steps][0]
    counts = [len(spent[search][1]) for search in (whole, two_steps)]
    header = ("faces in pictures", "every place and size, CPU ms", "faces", "affectkit, CPU ms", "faces", "ratio")
    show(capsys, header, [(name, spent[whole][0], counts[0], spent[two_steps][0], counts[1], ratio)])
    assert set(spent[two_steps][1]) <= set(spent[whole][1]) and counts[1] >= 0.9 * counts[0]
    assert ratio >= least
