"""Faces in pictures: found by a detector, cut out as the faces of FER-2013 are framed; see ``alignment``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from affectkit.core.boxes import Box, overlap, shared_area
from affectkit.core.files import sha256
from affectkit.core.spec import InputSpec
from affectkit.data.faces.alignment import align_square, box_square
from affectkit.data.faces.checked_detector import load_detector
from affectkit.data.faces.selection import Selection
from affectkit.data.faces.squares import Square, cut_square
from affectkit.data.faces.weights import find_weights
from affectkit.data.media.images import resize
from affectkit.data.media.reduced_decoding import Extent
from affectkit.errors import DataError

Found = tuple[Box, float, tuple[tuple[float, float], ...]]
"""Box, score and points of a face, as a detector gives them."""

DEFAULT, FALLBACK = "yunet", "haar"
"""The detector of ``auto``, and that where the first one's weights are missing."""
EYES = (0.5, 0.4, 0.335)
"""Where the middle between the eyes lies in a face as FER-2013 frames it, across and down, and how far they are apart,
in shares of its side: medians of 488 of 600 training faces, enlarged three times, that YuNet finds.
"""
LONGEST = 1600
"""Pixels of the longer side at which a picture is searched, at most."""
LEAST = 24
"""Side in those pixels of the smallest face that is detected."""
TINY = 100
"""Shorter side in pixels below which ``auto`` takes a picture for a face crop without a search."""
FILLED = 0.75
"""Share of a picture from which on ``auto`` takes it for a face crop, if one face, framed, fills so much of it."""
DETAIL = 4
"""Pixels of a face, each way, that are read for one of the input size, at most."""
OVERLAP = 0.3
"""Intersection over union above which two boxes are of one face."""
INNER = 0.5
"""Share of the smaller of two boxes that must lie in the other for the two to be of one face."""


@dataclass(frozen=True)
class Face:
    """A face in a picture.

    Attributes:
        box: left, top, width and height in pixels of the upright picture, as the detector gave it.
        score: the detector's, higher is surer: of YuNet in [0, 1], of a cascade the weight of its last stage, without
            bounds; None where the picture was taken whole.
        points: eyes, nose and corners of the mouth (x, y), where the detector finds them: right eye first, left in the
            picture.
        frame: centre (x, y), side and angle in radians of the square that is cut out; None: the picture whole.
        extent: where that lies in the pixels, of a picture taken whole that was decoded smaller.
        outside: share of the box that lies beyond the picture, as ``data.faces.selection`` computes it.
    """

    box: Box
    score: float | None = None
    points: tuple[tuple[float, float], ...] = ()
    frame: Square | None = None
    extent: Extent | None = None
    outside: float = 0.0


class FaceDetector:
    """Finds the faces of pictures. Cheap to make and to send to a worker: its detector is loaded at first use.

    Args:
        how: ``none``: each picture whole; a name of ``DETECTORS``, as ``yunet``; or ``auto``: ``yunet``, or where no
            weights of it are installed ``haar``, but a picture that is itself a face crop is taken whole: its shorter
            side is below 100 pixels, or the one face in it, framed, covers three quarters of it or more.
        file: of the detector, where it takes one.
        selection: which of the faces found callers are to take; its least score the detector hears of.

    Raises:
        CheckpointError: at first use: ``file`` is not there, or not one of the detector.
    """

    def __init__(
        self,
        how: str = "auto",
        file: Path | None = None,
        *,
        selection: Selection = Selection(),  # noqa: B008 - frozen
    ) -> None:
        self.how, self.file, self.selection = how, file, selection
        self._detect: Any = None

    @property
    def described(self) -> str:
        """Return how it was asked for."""
        return f"{self.how}:{self.file}" if self.file is not None else self.how

    @property
    def name(self) -> str:
        """Return the name of the detector; of ``auto`` that of the one it stands for."""
        if self.how != "auto":
            return self.how
        return DEFAULT if find_weights() else FALLBACK

    @property
    def weights_sha256(self) -> str | None:
        """Return the SHA-256 of the file of its weights; None of a detector that has none, or where it is missing."""
        file = self.file or (find_weights() if self.name == DEFAULT else None)
        return sha256(file) if file is not None and file.is_file() else None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_detect": None}  # OpenCV's detectors cannot be sent

    def __call__(self, picture: np.ndarray, extent: Extent | None = None, *, longest: int | None = None) -> list[Face]:
        """Find the faces of ``picture``, uint8 (H, W, 3) RGB or (H, W, 1), the largest first.

        Args:
            extent: where the picture lies in these pixels, as ``images.read_reduced`` reported; None: it fills them.
            longest: pixels of the longer side at which it is searched, at most; None: what the detector takes.
        """
        return self.faces(self.search(picture, longest=longest), picture, extent)

    def search(
        self, picture: np.ndarray, *, longest: int | None = None, turns: Sequence[float] | None = None
    ) -> list[Found] | None:
        """Search all of ``picture``; see ``__call__``.

        Args:
            turns: of a frame of a video, the degrees by which tilted heads are looked for; see ``DetectorEntry``.

        Returns:
            Boxes, scores and points as the detector gives them; None where the picture is taken whole without a search.
        """
        if self.how == "none" or (self.how == "auto" and min(picture.shape[:2]) < TINY):
            return None
        small, across, down = at_most(picture, longest or max(picture.shape[:2]))
        options = {"turns": turns} if turns is not None and getattr(self.detect, "takes_turns", False) else {}
        found = self.detect(small, **options)
        return found if small.shape == picture.shape else [moved(face, 0, 0, across, down) for face in found]

    @property
    def detect(self) -> Any:
        """Return the detector as ``data.faces.DetectorEntry`` describes it, loaded at first use."""
        if self._detect is None:
            self._detect = load_detector(self.name, self.file, self.selection.min_score)
        return self._detect

    def faces(self, found: Iterable[Found] | None, picture: np.ndarray, extent: Extent | None = None) -> list[Face]:
        """Return what ``search`` found in ``picture`` as faces to cut out, the largest first."""
        height, width = picture.shape[:2]
        left, top, right, bottom = (extent or Extent(height, width)).box
        whole = Face((left, top, right - left, bottom - top), extent=extent)
        if found is None:
            return [whole]
        ordered = sorted(found, key=lambda face: -face[0][2] * face[0][3])
        faces = [Face(box, score, points, self.frame_face(picture, box, points)) for box, score, points in ordered]
        if self.how == "auto" and len(faces) == 1 and covered_share(faces[0].frame, height, width) >= FILLED:
            return [whole]
        return faces

    def frame_face(self, picture: np.ndarray, box: Box, points: Sequence[tuple[float, float]]) -> Square:
        """Return the square of ``picture`` to cut out for the face of ``box``."""
        return align_square(picture, first_square(box, points))


def first_square(box: Box, points: Sequence[tuple[float, float]] = ()) -> Square:
    """Return about where a face is framed, from its eyes where they are known, else from its box.

    Eyes turn the square, so that they lie level, and place it as the eyes of FER-2013's faces lie. Where they are less
    than a fifth of the box apart, as in a profile, they turn it alone.
    """
    if len(points) < 2:
        return box_square(box)
    (right_x, right_y), (left_x, left_y) = points[:2]
    across, down = left_x - right_x, left_y - right_y
    apart, angle = math.hypot(across, down), math.atan2(down, across)
    if apart < max(box[2:]) / 5:
        return box_square(box, angle=angle if abs(angle) < math.pi / 2 else 0.0)
    side = apart / EYES[2]
    # From the middle between the eyes to the centre of the square, in the square's own axes.
    along, below = (0.5 - EYES[0]) * side, (0.5 - EYES[1]) * side
    x = (right_x + left_x) / 2 + along * math.cos(angle) - below * math.sin(angle)
    y = (right_y + left_y) / 2 + along * math.sin(angle) + below * math.cos(angle)
    return x, y, side, angle


def covered_share(frame: Square, height: int, width: int) -> float:
    """Return the share of a picture that the square of ``frame`` covers, its angle left aside."""
    x, y, side, _ = frame
    across = min(x + side / 2, width) - max(x - side / 2, 0)
    down = min(y + side / 2, height) - max(y - side / 2, 0)
    return max(across, 0) * max(down, 0) / (height * width)


def crop_face(picture: np.ndarray, face: Face, spec: InputSpec) -> np.ndarray:
    """Return the face as a model of ``spec`` takes it: uint8 (spec.height, spec.width, spec.channels), antialiased.

    Beyond the edges of ``picture``, uint8 (H, W, 3) or (H, W, 1), its outermost pixels are continued.
    """
    if face.frame is None:
        return resize(in_channels(picture, spec.channels), spec.height, spec.width, spec.fit, extent=face.extent)
    x, y, side, angle = face.frame
    reach = side / 2 * (abs(math.cos(angle)) + abs(math.sin(angle)))
    height, width = picture.shape[:2]
    if not (-reach < x < width + reach and -reach < y < height + reach):
        raise DataError(f"a face at {x:.0f}, {y:.0f} lies outside of its picture of ({width}, {height}) pixels.")
    # No finer than four times the input size.
    inner = max(round(min(side, DETAIL * max(spec.height, spec.width))), 1)
    square = in_channels(cut_square(picture, face.frame, inner), spec.channels)
    return resize(square, spec.height, spec.width, "crop")


def in_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """Return ``picture`` with 1 or 3 channels; gray is the luma of ITU-R 601-2, as where images are decoded."""
    if picture.shape[2] == channels:
        return picture
    if channels == 3:
        return np.repeat(picture, 3, axis=2)
    return cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)[:, :, None]


def at_most(picture: np.ndarray, longest: int) -> tuple[np.ndarray, float, float]:
    """Return ``picture`` (H, W, C) with no side above ``longest``.

    Returns:
        The picture, and how many of its pixels, across and down, one of the result stands for.
    """
    height, width = picture.shape[:2]
    scale = max(height, width) / longest
    if scale <= 1:
        return np.ascontiguousarray(picture), 1.0, 1.0
    size = (max(round(width / scale), 1), max(round(height / scale), 1))
    # By the sides as rounded: of a flat picture they are not quite what ``scale`` says.
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    return small, width / size[0], height / size[1]


def moved(face: Found, left: float, top: float, across: float, down: float) -> Found:
    """Return ``face`` of a reduced region in pixels of the picture.

    Args:
        left, top: corner of the region in the picture.
        across, down: pixels of the picture that one of the region stands for.
    """
    (x, y, width, height), score, points = face
    box = (left + x * across, top + y * down, width * across, height * down)
    return box, score, tuple((left + x * across, top + y * down) for x, y in points)


def drop_outside(found: Iterable[Found], shape: Sequence[int]) -> list[Found]:
    """Return the faces whose centre lies in a picture of ``shape`` (H, W, ...), with boxes that have an extent."""
    height, width = shape[:2]
    return [
        face
        for face in found
        if min(face[0][2:]) > 0
        and 0 <= face[0][0] + face[0][2] / 2 < width
        and 0 <= face[0][1] + face[0][3] / 2 < height
    ]


def drop_overlapping(found: Iterable[Found]) -> list[Found]:
    """Keep the surest alone of boxes that overlap by more than ``OVERLAP``, or of which one lies in the other."""
    kept: list[Found] = []
    for face in sorted(found, key=lambda face: (-face[1], -face[0][2] * face[0][3])):
        if all(overlap(face[0], other[0]) <= OVERLAP and not _within(face[0], other[0]) for other in kept):
            kept.append(face)
    return kept


def _within(one: Box, other: Box) -> bool:
    """Return whether most of the smaller of two boxes lies in the other."""
    return shared_area(one, other) > INNER * min(one[2] * one[3], other[2] * other[3])
