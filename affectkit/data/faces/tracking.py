"""Face tracks of a video: a face is followed over sampled frames by motion and appearance, its outputs averaged.

A box is assigned by a log-likelihood ratio, of this face against any other: of its place and size (``motion``), and of
how it looks (``appearance``). A cut (``shots``) ends motion: then appearance alone decides, and more strictly, until
the video comes back to the shot in which a face was seen. Without pixels motion alone decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from affectkit.core.boxes import Box, overlap
from affectkit.data.faces import TRACK_GAP, appearance, motion
from affectkit.data.faces.appearance import describe_faces
from affectkit.data.faces.assignment import assign_pairs
from affectkit.data.faces.motion import Motion
from affectkit.data.faces.shots import Picture, is_cut, is_same_shot, reduce_picture

FARTHEST = 6.0
"""What place and size may say for a face, at most: less than its looks may say against it."""
LEAST = -3.0
"""Log-likelihood ratio below which a box is of another face."""
LEAST_APART = 1.0
"""The same where the two are of different shots: looks alone decide."""
EXEMPLARS = 10
"""Descriptors that are kept of a face, at most."""
NOVEL = 4.0
"""Log-likelihood ratio to those that are kept below which another one is."""
APART = 0.1
"""Overlap with another box above which a face is partly hidden: its descriptor is not kept."""


@dataclass(frozen=True)
class FrameLook:
    """How a sampled frame looks.

    Attributes:
        faces: descriptors, float32 (F, D), see ``appearance``.
        picture: the frame reduced, see ``shots``.
    """

    faces: np.ndarray
    picture: Picture

    @classmethod
    def of(cls, pixels: np.ndarray, boxes: Sequence[Box]) -> FrameLook:
        """Look at ``boxes`` in a frame, uint8 (H, W, C)."""
        return cls(describe_faces(pixels, boxes), reduce_picture(pixels))


@dataclass
class Track:
    """A face that is followed: where, when and in which shot it was last seen, and how it looked.

    Attributes:
        motion: estimate at ``time``.
        shot: number of the shot.
        looks: descriptors (1 to ``EXEMPLARS``, D); none where the pixels are not known.
        picture: the frame in which it was last seen.
    """

    number: int
    motion: Motion
    time: float
    shot: int = 0
    looks: list[np.ndarray] = field(default_factory=list)
    picture: Picture | None = None

    @property
    def box(self) -> Box:
        """Return left, top, width and height where it was last seen."""
        return self.motion.box

    def seen(self, box: Box, time: float) -> None:
        """Continue the track with ``box``."""
        passed = time - self.time
        self.motion = self.motion.after(passed).seen(box) if passed >= 0 else Motion.begin(box)
        self.time = time

    def keep_look(self, look: np.ndarray, alike: np.ndarray) -> None:
        """Keep a descriptor that is unlike those that are kept; of too many the one most like it makes room.

        Args:
            look: (D,).
            alike: its log-likelihood ratios with ``looks``.
        """
        nearest = int(alike.argmax())
        if alike[nearest] < NOVEL:
            if len(self.looks) >= EXEMPLARS:
                del self.looks[nearest]
            self.looks.append(look)


class Tracker:
    """Tracker that numbers faces over sampled frames: from 1, each for one face, never reused.

    At each sampled frame the boxes are assigned to the tracks so that the sum of what speaks for them is largest; what
    is left begins a track. A track that was seen at the last sampled frame is always known again; one that was not,
    within ``patience``. Numbers depend on times, boxes and pixels alone.

    Args:
        patience: seconds out of sight.
        least: log-likelihood ratio below which a box is of another face.

    Attributes:
        cut: whether there was a cut before the last sampled frame; None: its pixels are not known.
    """

    def __init__(self, patience: float = TRACK_GAP, least: float = LEAST) -> None:
        self.patience, self.least = patience, least
        self.tracks: list[Track] = []
        self.count = self.shot = 0
        self.cut: bool | None = None
        self._last = 0.0
        self._picture: Picture | None = None

    def update(self, time: float, boxes: Sequence[Box], look: FrameLook | None = None) -> list[int]:
        """Return the numbers of ``boxes``, seen at ``time`` seconds, which rises from call to call.

        Args:
            time: of the sampled frame.
            boxes: left, top, width and height in pixels.
            look: how the frame looks; None: motion alone decides.
        """
        last, self._last = self._last, time
        self.tracks = [track for track in self.tracks if track.time == last or time - track.time <= self.patience]
        self.cut = None
        if look is not None:
            self.cut = self._picture is not None and is_cut(self._picture, look.picture, time - last)
            self.shot += self.cut
            self._picture = look.picture
        likeness = self._likeness(boxes, look)
        gains = self._gains(time, boxes, look, likeness)
        numbers = [0] * len(boxes)
        for row, column in assign_pairs(gains):
            if gains[row, column] > 0:
                track = self.tracks[row]
                self._continue(track, boxes[column], time)
                numbers[column] = track.number
                if look is not None:
                    track.picture = look.picture
                    if not track.looks or _is_alone(boxes, column):
                        track.keep_look(look.faces[column], likeness[row][:, column])
        for column, number in enumerate(numbers):
            if not number:
                self.count += 1
                numbers[column] = self.count
                track = Track(self.count, Motion.begin(boxes[column]), time, self.shot)
                if look is not None:
                    track.looks, track.picture = [look.faces[column]], look.picture
                self.tracks.append(track)
        return numbers

    def _likeness(self, boxes: Sequence[Box], look: FrameLook | None) -> list[np.ndarray]:
        """Return log-likelihood ratios of what is kept of each track with the boxes (1 to ``EXEMPLARS``, N); 0 where
        there is nothing.
        """
        if look is None or not boxes or not self.tracks:
            return [np.zeros((1, len(boxes)))] * len(self.tracks)
        known = [one for track in self.tracks for one in track.looks]
        ratios = appearance.log_likelihood_ratios(np.stack(known), look.faces) if known else np.zeros((0, len(boxes)))
        parts = np.split(ratios, np.cumsum([len(track.looks) for track in self.tracks])[:-1])
        return [part if len(part) else np.zeros((1, len(boxes))) for part in parts]

    def _gains(
        self, time: float, boxes: Sequence[Box], look: FrameLook | None, likeness: Sequence[np.ndarray]
    ) -> np.ndarray:
        """Return by how much the ratio of each track (rows) and box exceeds the least; 0 where it does not."""
        passed = [time - track.time for track in self.tracks]
        near = self._in_shot(look)
        expected = [track.motion.after(past) for track, past in zip(self.tracks, passed, strict=True)]
        places = np.minimum(motion.log_likelihood_ratios(expected, passed, boxes), FARTHEST)
        gains = np.zeros((len(self.tracks), len(boxes)))
        for row, (alike, same) in enumerate(zip(likeness, near, strict=True)):
            # Of what is kept of a face the descriptor most like the box counts.
            gains[row] = alike.max(0) + (places[row] - self.least if same else -LEAST_APART)
        return np.maximum(gains, 0.0)

    def _in_shot(self, look: FrameLook | None) -> list[bool]:
        """Return which tracks were last seen in this shot, or in one to which the video comes back."""
        known: dict[int, bool] = {}
        for track in self.tracks:
            if look is not None and track.shot != self.shot and id(track.picture) not in known:
                known[id(track.picture)] = track.picture is not None and is_same_shot(track.picture, look.picture)
        return [track.shot == self.shot or known.get(id(track.picture), False) for track in self.tracks]

    def _continue(self, track: Track, box: Box, time: float) -> None:
        if track.shot == self.shot:
            track.seen(box, time)
        else:
            track.motion, track.time, track.shot = Motion.begin(box), time, self.shot


def _is_alone(boxes: Sequence[Box], place: int) -> bool:
    """Return whether no other box hides a part of the one at ``place``."""
    return all(overlap(boxes[place], other) <= APART for column, other in enumerate(boxes) if column != place)


class Smoother:
    """The exponential average of the outputs of each face: ``y += a (x - y)``, with ``a = 1 - exp(-dt / seconds)`` and
    dt the time since the face was last seen, so that it does not depend on how often a video is sampled.

    Args:
        seconds: time constant; 0: outputs stay as they are.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._held: dict[int, tuple[float, np.ndarray]] = {}

    def __call__(self, number: int, time: float, outputs: np.ndarray) -> np.ndarray:
        """Average the face ``number`` with ``outputs`` (K,) at ``time`` seconds; the first is itself."""
        if not self.seconds:
            return outputs
        before = self._held.get(number)
        if before is not None:
            share = 1 - math.exp(-(time - before[0]) / self.seconds)
            outputs = before[1] + share * (outputs - before[1])
        self._held[number] = (time, outputs)
        return outputs

    def keep(self, numbers: Sequence[int]) -> None:
        """Forget all faces but ``numbers``."""
        known = set(numbers)
        self._held = {number: held for number, held in self._held.items() if number in known}
