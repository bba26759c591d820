"""Faces in the frames of a video: frames between two that are searched whole are searched around their faces.

Frames that follow each other closely show the same faces in nearly the same places. Anchors, at most ``SPAN`` seconds
apart, are searched whole. The frames between are searched near the faces of the nearest frame before and behind them
whose faces are known: so a face that comes or goes between is followed to where it is seen last. Where a face of its
neighbour is not found again, a frame is searched whole. Which frames these are follows from times, sizes and faces
alone, so that rows are the same whatever the machine.

Heads that are tilted one way are looked for in one anchor, those tilted the other way in the next one; once found, they
are followed. Frames that are farther apart are searched for both. Of a camera nothing is known of what comes: frames
are searched near the faces of the one before, and whole every ``SPAN`` seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from affectkit.core.boxes import Box, overlap
from affectkit.data.faces import SEARCH_SIDE
from affectkit.data.faces.assignment import assign_pairs
from affectkit.data.faces.detection import OVERLAP, Face, FaceDetector, Found, drop_outside, drop_overlapping, moved
from affectkit.data.faces.geometry import head_roll
from affectkit.data.faces.motion import box_centre
from affectkit.data.media.video_stream import Frame
from affectkit.errors import AffectkitError

SPAN = 0.2
"""Seconds between two anchors, at most."""
TOLERANCE = 1e-4
"""Seconds by which a time may be off."""
HELD = 160 * 2**20
"""Bytes of the frames that wait for the next anchor, at most: six of 3840 x 2160; two wait whatever their size."""
REGION = 2.0
"""Side of the square that is searched near a face, in sides of its box."""
NEAR_SIDE = 72
"""Pixels of a face in that square, at most; a larger one is reduced."""
STEP = 16
"""Pixels by which that square grows: networks take few sizes in turn faster than many."""
SIDE_STEP, PLACE_STEPS = 1.15, 8
"""Sides of that square are powers of it; its centre lies on a grid of so many steps in half of its side."""
SIDES = (0.7, 1.45)
"""Sides of a box that may be the face again, in sides of its box in the neighbouring frame."""
AWAY = 0.5
"""How far its centre may be from there, across and down, in those sides."""
VAIN = 2
"""Frames between two anchors that may be searched near faces in vain; the others are then searched whole at once."""
TURNS = (45.0, -45.0)
"""Degrees by which tilted heads are turned, clockwise."""
ROLL_STEP = 15.0
"""Degrees: a face is looked for turned by a multiple of it, so that one at rest is searched in the same way."""


def faces_in_frames(
    frames: Iterable[Frame], detector: FaceDetector, *, longest: int = SEARCH_SIDE
) -> Iterator[tuple[Frame, list[Face]]]:
    """Yield each of ``frames`` with its faces, the largest first; a few frames are read ahead.

    Args:
        frames: of one video, in order.
        detector: searches them.
        longest: pixels of the longer side at which a frame is searched, at most.

    Raises:
        AffectkitError: what ``frames`` raises, after the frames before it.
    """
    search = _Search(detector, longest)
    fault = None
    try:
        for frame in frames:
            yield from search.add(frame)
    except AffectkitError as error:
        fault = error
    yield from search.flush()
    if fault is not None:
        raise fault


def live_faces(
    frames: Iterable[Frame], detector: FaceDetector, *, longest: int = SEARCH_SIDE
) -> Iterator[tuple[Frame, list[Face]]]:
    """Yield each of ``frames`` with its faces, the largest first, before the next one is read; see
    ``faces_in_frames``.
    """
    search = _Search(detector, longest)
    for frame in frames:
        yield search.take(frame)


class _Search:
    """Hold the last anchor, and the frames since."""

    def __init__(self, detector: FaceDetector, longest: int) -> None:
        self.detector, self.longest = detector, longest
        self.time, self.shape = 0.0, ()
        self.found: list[Found] | None = None
        self.waiting: list[Frame] = []
        self.turns = TURNS
        self.last, self.known, self.vain = -math.inf, None, 0

    def add(self, frame: Frame) -> Iterator[tuple[Frame, list[Face]]]:
        """Take the next frame; yield those that are done."""
        if self.waiting and not self._follows(frame):
            yield from self.flush()
        if self._follows(frame):
            self.waiting.append(frame)
            return
        self._begin(frame, self._whole(frame))
        yield self._done(frame, self.found)

    def flush(self) -> Iterator[tuple[Frame, list[Face]]]:
        """Make the last frame that waits the next anchor, and yield all that wait."""
        if not self.waiting:
            return
        frames, self.waiting = self.waiting, []
        found = [self.found, *[None] * (len(frames) - 1), self._anchor(frames[-1])]
        self._search_between(frames, found)
        self._begin(frames[-1], self._completed(frames[-1].pixels, found[-1], found[-2]))
        for frame, own in zip(frames, [*found[1:-1], self.found], strict=True):
            yield self._done(frame, own)

    def take(self, frame: Frame) -> tuple[Frame, list[Face]]:
        """Search the next frame of those of which none is read ahead."""
        pixels, known = frame.pixels, self.known
        if known is None or pixels.shape != self.shape or not 0 <= frame.time - self.last <= SPAN + TOLERANCE:
            self._begin(frame, self._whole(frame))
            self.known, self.vain = self.found, 0
        elif frame.time - self.time >= SPAN - TOLERANCE:
            self._begin(frame, self._completed(pixels, self._anchor(frame), known))
            self.known, self.vain = self.found, 0
        else:
            near, again = self._near(pixels, known, []) if self.vain < VAIN else ([], False)
            self.vain += not again
            self.known = near if again else drop_overlapping([*near, *self._whole(frame)])
        self.last = frame.time
        return self._done(frame, self.known)

    def _begin(self, frame: Frame, found: list[Found] | None) -> None:
        """Make ``frame`` the anchor; its pixels are not needed any more."""
        self.time, self.shape, self.found = frame.time, frame.pixels.shape, found

    def _follows(self, frame: Frame) -> bool:
        """Return whether ``frame`` may wait: it is near the anchor in time, of its size, and there is room for it."""
        if self.found is None or frame.pixels.shape != self.shape:
            return False
        room = max(HELD // frame.pixels.nbytes, 2)
        return 0 <= frame.time - self.time <= SPAN + TOLERANCE and len(self.waiting) < room

    def _whole(self, frame: Frame) -> list[Found] | None:
        return self.detector.search(frame.pixels, longest=self.longest, turns=TURNS)

    def _anchor(self, frame: Frame) -> list[Found]:
        """Search an anchor near the last one, for heads tilted the other way than there."""
        self.turns = TURNS[1:] if self.turns == TURNS[:1] else TURNS[:1]
        return self.detector.search(frame.pixels, longest=self.longest, turns=self.turns)

    def _done(self, frame: Frame, found: list[Found] | None) -> tuple[Frame, list[Face]]:
        return frame, self.detector.faces(found, frame.pixels)

    def _search_between(self, frames: Sequence[Frame], found: list[list[Found] | None]) -> None:
        """Fill ``found`` between its first element, the last anchor's, and its last one, from both ends inwards.

        Its other elements belong to ``frames``, the last of which is the next anchor.
        """
        low, high, vain = 0, len(frames), 0
        while high - low > 1:
            # From the side whose faces are not all on the other one: these are followed to where they come or go.
            ahead = bool(_missing(found[low], found[high])) or not _missing(found[high], found[low])
            place, known, other = (low + 1, low, high) if ahead else (high - 1, high, low)
            frame = frames[place - 1]
            near, again = self._near(frame.pixels, found[known], found[other]) if vain < VAIN else ([], False)
            vain += not again
            found[place] = near if again else drop_overlapping([*near, *self._whole(frame)])
            low, high = (place, high) if ahead else (low, place)

    def _near(self, picture: np.ndarray, known: list[Found], other: list[Found]) -> tuple[list[Found], bool]:
        """Return the faces of ``picture`` near those of two other frames, and whether all of ``known`` are there."""
        faces = [*known, *(face for face in other if all(overlap(face[0], own[0]) <= OVERLAP for own in known))]
        if sum(_reduced_side(box) ** 2 for box, *_ in faces) > self._area(picture):
            return [], False  # many faces: whole is faster
        found = drop_overlapping(face for one in faces for face in search_near(self.detector, picture, one))
        if len(found) < len(known):
            return found, False
        likeness = np.array([[_likeness(box, face[0]) for face in found] for box, *_ in known])
        return found, not known or sum(likeness[pair] > 0 for pair in assign_pairs(likeness)) == len(known)

    def _completed(self, picture: np.ndarray, found: list[Found], before: list[Found]) -> list[Found]:
        """Return ``found`` in an anchor with the faces of the frame ``before`` that its search missed.

        A detector misses a face in some frames that it finds in all others; near the face it looks more closely.
        """
        missed = _missing(before, found)
        more = (face for one in missed for face in search_near(self.detector, picture, one))
        return drop_overlapping([*found, *more]) if missed else found

    def _area(self, picture: np.ndarray) -> float:
        """Return how many pixels a search of the whole ``picture`` takes in."""
        height, width = picture.shape[:2]
        return height * width * min(self.longest / max(height, width), 1.0) ** 2


def search_near(detector: FaceDetector, picture: np.ndarray, known: Found) -> list[Found]:
    """Search ``picture`` (H, W, C) for the face that is ``known`` from a neighbouring frame.

    Returns:
        Boxes, scores and points in pixels of ``picture``, of faces about as large and about there.
    """
    box = known[0]
    side = max(box[2:])
    # In steps, so that a face at rest is searched in the same square again and again, and its box rests, too.
    factor = max(SIDE_STEP ** round(math.log(side, SIDE_STEP)) / NEAR_SIDE, 1.0)
    size = _reduced_side(box)
    reach = size * factor / 2
    x, y = (round(place * PLACE_STEPS / reach) * reach / PLACE_STEPS for place in box_centre(box))
    height, width = picture.shape[:2]
    left, top = max(math.floor(x - reach), 0), max(math.floor(y - reach), 0)
    part = picture[top : min(math.ceil(y + reach), height), left : min(math.ceil(x + reach), width)]
    reduced = (max(round(part.shape[1] / factor), 1), max(round(part.shape[0] / factor), 1))
    across, down = part.shape[1] / reduced[0], part.shape[0] / reduced[1]
    small = cv2.resize(part, reduced, interpolation=cv2.INTER_AREA) if factor > 1 else np.ascontiguousarray(part)
    small = small.reshape(*small.shape[:2], picture.shape[2])
    # What lies beyond the edges of the picture is its outermost pixels, as where it is searched whole.
    before = [max(round((place - reach) / -factor), 0) for place in (y, x)]
    after = [max(size - lead - have, 0) for lead, have in zip(before, small.shape, strict=False)]
    if any(before) or any(after):
        small = np.pad(small, (*zip(before, after, strict=True), (0, 0)), mode="edge")
    expected = side / factor
    sides = (SIDES[0] * expected, SIDES[1] * expected)
    turn = round((head_roll(known[2]) or 0.0) / ROLL_STEP) * ROLL_STEP
    wanted = {"sides": sides, "turns": (turn,)}
    options = {name: value for name, value in wanted.items() if getattr(detector.detect, f"takes_{name}", False)}
    found = [
        moved(face, left - before[1] * across, top - before[0] * down, across, down)
        for face in detector.detect(small, **options)
        if sides[0] <= max(face[0][2:]) <= sides[1]
    ]
    return [face for face in drop_outside(found, picture.shape) if _likeness(box, face[0]) > 0]


def _missing(known: Iterable[Found], found: Sequence[Found]) -> list[Found]:
    """Return the faces of one frame that have none like them in another."""
    return [one for one in known if all(_likeness(one[0], face[0]) == 0 for face in found)]


def _reduced_side(box: Box) -> int:
    """Return the side of the square in which a face is searched that was at ``box``, in pixels as it is searched."""
    return math.ceil(REGION * min(max(box[2:]), NEAR_SIDE) / STEP) * STEP


def _likeness(box: Box, other: Box) -> float:
    """Return how near ``other`` lies to ``box``, above 0 to 1; 0 where it is too far away or of another size."""
    side = max(box[2:])
    far = max(abs(here - there) for here, there in zip(box_centre(box), box_centre(other), strict=True)) / side
    if far > AWAY or not SIDES[0] <= max(other[2:]) / side <= SIDES[1]:
        return 0.0
    return 1 / (1 + far)
