"""YuNet in a video: tilted faces found and followed, the same faces as by a search of each frame, fewer looks."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest
from data.faces.test_yunet import PHOTOGRAPH, turned

from affectkit.core.boxes import overlap
from affectkit.data.faces.detection import FaceDetector
from affectkit.data.faces.geometry import head_roll
from affectkit.data.faces.selection import Selection
from affectkit.data.faces.video_search import SPAN, faces_in_frames, live_faces, search_near
from affectkit.data.faces.yunet import FAINTEST, YuNetDetector
from affectkit.data.media.video_stream import Frame

FACE = PHOTOGRAPH[30:330, 100:400]
"""Head and shoulders; the face is about 130 pixels wide."""
GROUND = cv2.resize(np.random.default_rng(0).integers(60, 150, (9, 12, 3), np.uint8), (480, 360))


def picture(*places):
    """Heads (x, y, scale, degrees clockwise) before a wall."""
    canvas = GROUND.astype(np.float32)
    for x, y, scale, degrees in places:
        matrix = cv2.getRotationMatrix2D((150, 130), -degrees, scale)
        matrix[:, 2] += (x - 150, y - 130)
        size, flags = canvas.shape[1::-1], cv2.INTER_AREA
        across, down = (np.arange(300, dtype=np.float32) - 150) / 105, (np.arange(300, dtype=np.float32) - 130) / 125
        cover = np.clip((1 - np.hypot(across[None], down[:, None])) * 8, 0, 1)
        cover = cv2.warpAffine(cover, matrix, size, flags=flags)[..., None]
        canvas += cover * (cv2.warpAffine(FACE, matrix, size, flags=flags) - canvas)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def frames(count, places, rate=25.0):
    rng = np.random.default_rng(1)
    found = []
    for number in range(count):
        noise = rng.normal(0, 2, GROUND.shape)
        pixels = np.clip(picture(*places(number / rate)) + noise, 0, 255).astype(np.uint8)
        found.append(Frame(number, number / rate, pixels))
    return found


def two(time):
    """One that rocks its head up to 55 degrees, one that walks, tilted by 45."""
    return (
        (120, 170, 0.5, 55 * math.sin(3.0 * time)),
        (270 + 90 * time, 200 - 30 * time, 0.4, -45),
    )  # fmt: skip


@pytest.fixture(scope="module")
def detector():
    return FaceDetector("yunet")


@pytest.fixture
def whole(monkeypatch):
    """The turns of each search of a whole frame."""
    turns, search = [], FaceDetector.search

    def noted(self, picture, *, longest=None, turns=None, _turns=turns):
        _turns.append(turns)
        return search(self, picture, longest=longest, turns=turns)

    monkeypatch.setattr(FaceDetector, "search", noted)
    return turns


@pytest.mark.parametrize("search", [faces_in_frames, live_faces])
def test_tilted_faces_are_followed_as_by_a_search_of_each_frame(detector, whole, search):
    given = frames(26, two)
    found = [faces for _, faces in search(given, detector)]
    assert [len(faces) for faces in found] == [2] * 26
    assert len(whole) <= 7 and whole[0] == (45.0, -45.0)
    assert set(whole[1:]) == {(45.0,), (-45.0,)} and all(one != other for one, other in itertools.pairwise(whole[1:]))
    for number in range(0, 26, 3):
        alone = detector(given[number].pixels)
        for face in found[number]:
            same = max(alone, key=lambda one: overlap(one.box, face.box))
            assert overlap(same.box, face.box) > 0.7
            assert math.dist(same.frame[:2], face.frame[:2]) < 0.04 * same.frame[2]
            assert abs(math.log(same.frame[2] / face.frame[2])) < 0.12
            assert abs(math.degrees(math.remainder(same.frame[3] - face.frame[3], 2 * math.pi))) < 6


@pytest.mark.parametrize("degrees", [45, -45])
@pytest.mark.parametrize("search", [faces_in_frames, live_faces])
def test_a_tilted_face_that_comes_is_found_within_two_anchors(detector, degrees, search):
    given = frames(21, lambda time: [(240, 180, 0.3, degrees)] if time > 0.1 else [])
    counts = [len(faces) for _, faces in search(given, detector)]
    first = counts.index(1)
    assert given[first].time <= 0.12 + 2 * SPAN and set(counts[first:]) == {1}


@pytest.mark.parametrize("degrees", [45, -45])
def test_frames_far_apart_are_searched_for_heads_tilted_either_way(detector, whole, degrees):
    given = frames(3, lambda time: [(240, 180, 0.4, degrees)], rate=2.0)
    assert [len(faces) for _, faces in faces_in_frames(given, detector)] == [1, 1, 1]
    assert whole == [(45.0, -45.0)] * 3


@pytest.mark.parametrize("degrees", [0, 30, -60])
@pytest.mark.parametrize("scale", [0.15, 0.4, 1.0])
def test_a_region_is_searched_in_one_size_turned_as_the_face_was(detector, monkeypatch, degrees, scale):
    pixels = picture((240, 180, scale, degrees))
    ((box, score, points),) = detector.search(pixels)
    sizes, run = [], type(detector.detect.network).__call__
    monkeypatch.setattr(
        type(detector.detect.network),
        "__call__",
        lambda self, one, least: sizes.append(one.shape) or run(self, one, least),
    )
    (found,) = search_near(detector, pixels, (box, score, points))
    assert overlap(found[0], box) > 0.75 and abs(head_roll(found[2]) - head_roll(points)) < 8
    assert 2 <= len(sizes) <= 3 and max(sizes)[0] <= 160  # the region, and a look at each find
    sizes.clear()
    turned = math.radians(50)  # the face is known with another roll: looked for as that says, then otherwise
    middle = np.mean(points, axis=0)
    turn = np.array([[math.cos(turned), math.sin(turned)], [-math.sin(turned), math.cos(turned)]])
    other = tuple(map(tuple, (np.array(points) - middle) @ turn + middle))
    (again,) = search_near(detector, pixels, (box, score, other))
    assert overlap(again[0], box) > 0.7


@pytest.mark.parametrize("degrees", [0, 45, -45])
@pytest.mark.parametrize("size", [(640, 480), (1280, 720)])
def test_a_face_that_fills_most_of_a_frame_is_found(detector, degrees, size):
    ((box, _, _),) = detector.search(PHOTOGRAPH)
    pixels, matrix = turned(PHOTOGRAPH, degrees, 0.85 * size[1] / box[3])
    middle = matrix @ (box[0] + box[2] / 2, box[1] + box[3] / 2, 1)
    shift = np.column_stack([np.eye(2), np.array(size) / 2 - middle])
    pixels = cv2.warpAffine(pixels, shift, size, borderValue=(90, 90, 90))
    for turns in ((45.0, -45.0), (45.0,), (-45.0,)):
        ((found, _, _),) = detector.search(pixels, longest=720, turns=turns)
        assert 0.75 < max(found[2:]) / size[1] < 0.95


def test_what_is_not_there_is_not_found(detector):
    pixels = picture()
    assert search_near(detector, pixels, ((200.0, 100.0, 60.0, 70.0), 0.9, ())) == []
    assert [faces for _, faces in faces_in_frames(frames(8, lambda time: []), detector)] == [[]] * 8


def test_without_a_least_score_a_region_has_few_finds(monkeypatch):
    own, looks = FaceDetector("yunet", selection=Selection(min_score=0.0)), []
    look = YuNetDetector._look_level
    monkeypatch.setattr(
        YuNetDetector, "_look_level", lambda self, pixels, find: looks.append(find[4]) or look(self, pixels, find)
    )
    search_near(own, picture(), ((200.0, 100.0, 60.0, 70.0), 0.9, ()))
    assert own.detect.min_score == 0.0 and len(looks) < 20 and all(score >= FAINTEST for score in looks)


def test_a_frame_is_searched_in_fewer_pixels_than_a_photograph(detector, monkeypatch):
    pixels, seen = picture((240, 180, 0.4, 0)), []
    run = type(detector.detect.network).__call__
    monkeypatch.setattr(
        type(detector.detect.network),
        "__call__",
        lambda self, one, least: seen.append(one.shape[0] * one.shape[1]) or run(self, one, least),
    )

    def cost(**options):
        seen.clear()
        assert len(detector.search(pixels, **options)) == 1
        return sum(seen)

    photograph = cost()
    assert cost(turns=(45.0, -45.0)) < 0.5 * photograph and cost(turns=(45.0,)) < 0.5 * photograph


def test_other_detectors_hear_of_turns_where_they_take_them():
    heard = []

    class Own:
        def __init__(self, **takes):
            self.__dict__.update(takes)

        def __call__(self, picture, **options):
            heard.append(options)
            return [((100.0, 100.0, 50.0, 60.0), 1.0, ())] if "sides" not in options else []

    for takes in ({}, {"takes_turns": True}, {"takes_sides": True, "takes_turns": True}):
        detector = FaceDetector("haar")
        detector._detect = Own(**takes)
        detector.search(GROUND, turns=(45.0,))
        search_near(detector, GROUND, ((100.0, 100.0, 50.0, 60.0), 1.0, ((110.0, 120.0), (130.0, 134.0))))
    assert [sorted(one) for one in heard] == [[], [], ["turns"], ["turns"], ["turns"], ["sides", "turns"]]
    assert heard[2]["turns"] == (45.0,) and heard[3]["turns"] == (30.0,)
