"""Faces in the frames of a video: as by a search of every frame, and how few frames are searched whole for it."""

from __future__ import annotations

import weakref

import cv2
import numpy as np
import pytest

from affectkit.core.boxes import overlap
from affectkit.data.faces import SEARCH_SIDE
from affectkit.data.faces.detection import FaceDetector
from affectkit.data.faces.tracking import Tracker
from affectkit.data.faces.video_search import HELD, SPAN, faces_in_frames, search_near
from affectkit.data.media.video_stream import Frame
from affectkit.errors import DataError
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face

DRAWN = {
    seed: draw_face(np.zeros(len(PARAMETERS)), draw_appearance(np.random.default_rng(seed)), size=200)
    for seed in (6, 20, 23)
}
WIDTH, HEIGHT = 320, 240


def film(count, places):
    """Frames with schematic faces (seed, left, top, size) on a noisy ground; they may lie beyond the edges."""
    rng, frames = np.random.default_rng(0), []
    for number in range(count):
        picture = 120 + np.repeat(rng.integers(-6, 7, (HEIGHT, WIDTH, 1)), 3, axis=2)
        for seed, *place in places(number):
            left, top, size = map(round, place)
            drawn = cv2.resize(DRAWN[seed], (size, size), interpolation=cv2.INTER_AREA)
            inner = slice(max(top, 0), max(top + size, 0)), slice(max(left, 0), max(left + size, 0))
            seen = picture[inner]
            seen[:] = drawn[max(-top, 0) :, max(-left, 0) :][: seen.shape[0], : seen.shape[1]]
        frames.append(Frame(number, number / 30, picture.astype(np.uint8)))
    return frames


def squares(*places):
    """Frames with white squares (left, top, side), one tuple of squares a frame."""
    frames = []
    for number, own in enumerate(places):
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for left, top, side in own:
            picture[top : top + side, left : left + side] = 255
        frames.append(Frame(number, number / 30, picture))
    return frames


class White(FaceDetector):
    """Finds white squares, here in place of faces; ``whole`` holds the sums of the frames that are searched whole."""

    def __init__(self):
        super().__init__("haar")
        self._detect, self.whole, self.near = self.white, [], 0

    def search(self, picture, *, longest=None, turns=None):
        self.whole.append(int(picture.astype(int).sum()))
        return self.white(picture)

    def white(self, picture):
        self.near += picture.shape[:2] != (HEIGHT, WIDTH)
        count, _, parts, _ = cv2.connectedComponentsWithStats((picture[..., 0] > 127).astype(np.uint8))
        return [(tuple(map(float, part[:4])), 1.0, ()) for part in parts[1:count]]


def known(left, top, side):
    """A face as it is known from a neighbouring frame."""
    return (left, top, side, side), 1.0, ()


def boxes(found):
    return [sorted(tuple(round(value) for value in face.box) for face in faces) for _, faces in found]


def searched(detector, frames):
    """Numbers of the frames that are searched whole, by frames that all differ; and the boxes of each frame."""
    sums = [int(frame.pixels.astype(int).sum()) for frame in frames]
    found = list(faces_in_frames(frames, detector))
    assert [frame.number for frame, _ in found] == [frame.number for frame in frames]
    return sorted(sums.index(one) for one in detector.whole), boxes(found)


# --- against the search of every frame -------------------------------------------------------------------------------


def mixed(number):
    """Two faces that cross; then, after a cut, one that grows while another one comes, fast, and goes at once."""
    if number < 34:
        return [(6, 20 + 4 * number, 70, 80), (20, 210 - 4 * number, 80, 70)]
    coming = [(20, 320 - 12 * (number - 40), 20, 76)] if 40 <= number < 57 else []
    size = 60 + 1.2 * (number - 34)
    return [(23, 90 - size / 2, 150 - size / 2, size), *coming]


def test_a_video_of_faces_as_by_a_search_of_every_frame():
    frames, detector = film(66, mixed), FaceDetector("haar")
    every = [detector(frame.pixels) for frame in frames]
    mine = [faces for _, faces in faces_in_frames(frames, detector)]
    matched, extra, offsets = 0, 0, []
    for wanted, own in zip(every, mine, strict=True):
        left = [face.box for face in own]
        for face in wanted:
            best = max(left, key=lambda box: overlap(box, face.box), default=(0, 0, 0, 0))
            if overlap(best, face.box) >= 0.7:
                matched += 1
                left.remove(best)
                offsets.append(abs(best[0] + best[2] / 2 - face.box[0] - face.box[2] / 2) / face.box[2])
        extra += len(left)
    count = sum(map(len, every))
    assert count > 90
    assert matched >= 0.99 * count and extra <= 0.05 * count
    assert np.mean(offsets) < 0.02 and max(offsets) < 0.08

    def tracks(found):
        tracker = Tracker()
        for frame, faces in zip(frames, found, strict=True):
            tracker.update(frame.time, [face.box for face in faces])
        return tracker.count

    assert tracks(mine) <= tracks(every)


# --- which frames are searched whole ---------------------------------------------------------------------------------


def test_anchors_lie_a_fifth_of_a_second_apart_whatever_is_there():
    still = squares(*[[(100 + number, 80, 60)] for number in range(31)])
    still = [Frame(frame.number, frame.time, frame.pixels.copy()) for frame in still]
    for number, frame in enumerate(still):
        frame.pixels[0, 0] = number  # all differ
    whole, found = searched(White(), still)
    assert whole == list(range(0, 31, 6)) and found == [[(100 + number, 80, 60, 60)] for number in range(31)]
    empty = [Frame(number, number / 25, np.full((HEIGHT, WIDTH, 3), number, np.uint8)) for number in range(26)]
    detector = White()
    assert searched(detector, empty) == (list(range(0, 26, 5)), [[]] * 26)
    assert detector.near == 0
    apart = [Frame(frame.number, frame.number * 0.21, frame.pixels) for frame in empty]
    assert searched(White(), apart)[0] == list(range(26))  # too far from each other
    tenth = [Frame(frame.number, frame.number * 0.1, frame.pixels) for frame in empty]
    assert searched(White(), tenth)[0] == [*range(0, 26, 2), 25]


def test_a_face_that_comes_or_goes_is_followed_to_where_it_does():
    for first, last in ((2, 99), (0, 3), (4, 9), (0, 6)):
        frames = squares(
            *[[(20, 30, 40), *([(180, 80, 50)] if first <= number <= last else [])] for number in range(13)]
        )
        for frame in frames:
            frame.pixels[0, 0] = frame.number
        whole, found = searched(White(), frames)
        assert [len(own) for own in found] == [1 + (first <= number <= last) for number in range(13)]
        assert len(whole) <= 3 + 2  # one more for each time it comes or goes


def test_a_face_that_comes_fast_is_followed_back():
    places = [[(20 * number - 20, 80, 44)] if number >= 2 else [] for number in range(13)]
    there = [[(left, top, side, side) for left, top, side in own] for own in places]
    assert boxes(faces_in_frames(squares(*places), White())) == there
    gone = squares(*reversed(places))
    gone = [Frame(number, number / 30, frame.pixels) for number, frame in enumerate(gone)]
    assert boxes(faces_in_frames(gone, White())) == there[::-1]


def test_a_face_that_jumps_is_searched_whole_and_a_cut_is_seen():
    frames = squares(*[[(20, 30, 40)]] * 3, [(200, 150, 40)], *[[(20, 30, 40)]] * 5, *[[(150, 60, 90)]] * 5)
    for frame in frames:
        frame.pixels[0, 0] = frame.number
    whole, found = searched(White(), frames)
    assert found == boxes((frame, White()(frame.pixels)) for frame in frames)
    assert 3 in whole and len(whole) <= 4 + 4  # the anchors, the jump there and back, the cut


def test_what_is_never_found_again_costs_little_more_than_before():
    rng = np.random.default_rng(0)
    frames = squares(*[[(*rng.integers(0, 90, 2) * 2, 30)] for _ in range(61)])
    detector = White()
    list(faces_in_frames(frames, detector))
    assert len(detector.whole) >= 45 and detector.near <= 11 * 4 * 2


def test_many_faces_are_searched_whole():
    places = [(4 + 40 * column, 4 + 40 * row, 24) for column in range(8) for row in range(6)]
    detector = White()
    list(faces_in_frames(squares(*[places] * 13), detector))
    assert len(detector.whole) == 13 and detector.near == 0


def test_the_size_of_frames_may_change():
    frames = squares(*[[(100, 80, 60)]] * 7)
    turned = [Frame(7 + frame.number, (7 + frame.number) / 30, frame.pixels.transpose(1, 0, 2)) for frame in frames]
    assert boxes(faces_in_frames([*frames, *turned], White())) == [[(100, 80, 60, 60)]] * 7 + [[(80, 100, 60, 60)]] * 7


def test_a_face_that_the_search_of_an_anchor_missed_is_found_from_its_neighbour():
    class Blind(White):
        def search(self, picture, *, longest=None, turns=None):
            found = super().search(picture, longest=longest, turns=turns)
            return [] if len(self.whole) == 2 else found

    frames = squares(*[[(100, 80, 60)]] * 13)
    assert boxes(faces_in_frames(frames, Blind())) == [[(100, 80, 60, 60)]] * 13


# --- order, memory, errors -------------------------------------------------------------------------------------------


def test_few_frames_are_held():
    alive: list[weakref.ref] = []
    most = 0

    def frames():
        nonlocal most
        for number in range(40):
            pixels = np.zeros((2160, 3840, 3), np.uint8)
            alive.append(weakref.ref(pixels))
            most = max(most, sum(one() is not None for one in alive))
            yield Frame(number, number / 240, pixels)
            del pixels

    detector = White()
    detector.search = lambda picture, longest=None, turns=None: []
    assert len(list(map(lambda pair: pair[0].number, faces_in_frames(frames(), detector)))) == 40
    assert 4 <= most <= HELD // (2160 * 3840 * 3) + 3


def test_an_error_comes_after_the_frames_before_it():
    frames = squares(*[[(100, 80, 60)]] * 10)

    def broken():
        yield from frames
        raise DataError("cut short")

    seen = []
    with pytest.raises(DataError, match="cut short"):
        for frame, faces in faces_in_frames(broken(), White()):
            seen.append((frame.number, len(faces)))
    assert seen == [(number, 1) for number in range(10)]


def test_whole_pictures_wait_for_nothing():
    taken = []

    def frames():
        for frame in squares(*[[(100, 80, 60)]] * 3):
            taken.append(frame.number)
            yield frame

    for frame, (face,) in faces_in_frames(frames(), FaceDetector("none")):
        assert taken[-1] == frame.number and face.frame is None and face.box == (0, 0, WIDTH, HEIGHT)


# --- near a face -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [(100, 80, 60), (4, 3, 50), (WIDTH - 53, HEIGHT - 54, 50), (90, 40, 160)])
def test_boxes_near_a_face_are_in_pixels_of_the_picture(place):
    (frame,) = squares([place])
    left, top, side = place
    (found,) = search_near(White(), frame.pixels, known(left + 8.0, top - 5.0, side * 1.1))
    assert found[0] == pytest.approx((left, top, side, side), abs=side / 72 + 1)


def test_only_faces_like_the_expected_one_are_taken():
    (frame,) = squares([(100, 80, 60)])
    assert search_near(White(), frame.pixels, known(100.0, 80.0, 100.0)) == []  # of another size
    assert search_near(White(), frame.pixels, known(65.0, 80.0, 60.0)) == []  # away


def test_a_cascade_is_given_the_sizes_in_question():
    (frame,) = film(1, lambda number: [(6, 100, 60, 110)])
    (wanted,) = FaceDetector("haar")(frame.pixels)
    detector, asked = FaceDetector("haar"), []

    class Watched:
        takes_sides = True

        def __init__(self, detect):
            self.inner = detect

        def __call__(self, picture, *, sides):
            asked.append((picture.shape, sides))
            return self.inner(picture, sides=sides)

    detector._detect = Watched(detector.detect)
    (found,) = search_near(detector, frame.pixels, (wanted.box, wanted.score, ()))
    assert overlap(found[0], wanted.box) > 0.8 and abs(found[1] - wanted.score) < 5
    ((shape, (least, most)),) = asked
    assert max(shape) <= 144 and least < 72 < most <= 72 * 1.5


def test_a_large_frame_is_searched_smaller():
    (frame,) = film(1, lambda number: [(6, 90, 50, 150)])
    large = cv2.resize(frame.pixels, None, fx=6, fy=6)
    (wanted,) = FaceDetector("haar")(large)
    (found,) = FaceDetector("haar")(large, longest=SEARCH_SIDE)
    assert overlap(found.box, wanted.box) > 0.75
    small = cv2.resize(frame.pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert FaceDetector("haar")(small, longest=SEARCH_SIDE) == FaceDetector("haar")(small)
    assert FaceDetector("haar")(large, longest=100) == []  # the face is less than 24 of 100
    (frame,) = list(faces_in_frames([Frame(0, 0.0, large)], FaceDetector("haar"), longest=100))
    assert frame[1] == []


def test_the_rule_is_of_times():
    assert SPAN == 0.2  # the guide to faces and films says so
