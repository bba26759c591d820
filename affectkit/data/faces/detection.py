"""Faces in pictures: found by a detector, cut out as the faces of FER-2013 are framed.

How those are framed was measured on 400 of its validation images, enlarged three times with their edges continued:
OpenCV's cascade finds a face in 83% of them, whose box is 0.96 of the image's side in the median and lies on its centre
(to 0.01); eyes, found by OpenCV's cascade for these, lie at 38% of the height, 38% of the side apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from affectkit.core.boxes import Box, overlap, shared_area
from affectkit.core.spec import InputSpec
from affectkit.data.faces.checked_detector import load_detector
from affectkit.data.faces.selection import Selection
from affectkit.data.faces.weights import pulled_detector
from affectkit.data.media.images import resize
from affectkit.data.media.reduced_decoding import Extent
from affectkit.errors import CheckpointError, DataError

CropBox = tuple[float, float, float, float]
Found = tuple[Box, float, tuple[tuple[float, float], ...]]
"""Box, score and points of a face, as a detector gives them."""

DEFAULT = "haar"
"""The detector of ``auto``."""
MARGIN = 1.04
"""Side of the square that is cut out, in sides of the cascade's box."""
EYES = (0.49, 0.38, 0.38)
"""Where the middle between the eyes lies in that square, across and down, and how far they are apart; shares of it."""
LONGEST = 1600
"""Pixels of the longer side at which a picture is searched, at most."""
LEAST = 24
"""Side in those pixels of the smallest face that is detected."""
TINY = 100
"""Shorter side in pixels below which ``auto`` takes a picture for a face crop without a search."""
FILLED = 0.5
"""Share of a picture above which ``auto`` takes it for a face crop, if one face fills it."""
SCORE = 0.6
"""YuNet's least score, in [0, 1]."""
OVERLAP = 0.4
"""Intersection over union above which two boxes are of one face."""
INNER = 0.7
"""Share of the smaller of two boxes that must lie in the other for the two to be of one face."""
YUNET_SIDES = (1280, 320)
"""YuNet sees faces of 10 to 300 pixels: the picture is searched at these longer sides."""


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
    frame: CropBox | None = None
    extent: Extent | None = None
    outside: float = 0.0


class FaceDetector:
    """Finds the faces of pictures. Cheap to make and to send to a worker: its detector is loaded at first use.

    Args:
        how: ``none``: each picture whole. A name of ``DETECTORS``, as ``haar``: OpenCV's cascade of frontal faces
            (Viola and Jones 2001); ``yunet``: OpenCV's FaceDetectorYN (Wu et al. 2023) with ``file``. ``auto``: as
            ``haar``, but a picture that
            is itself a face crop is taken whole: its shorter side is below 100 pixels, or the one face in it, framed,
            covers half of it or more.
        file: YuNet's network, ``.onnx``.
        margin: side of the square that is cut out, in sides of the box; eyes, where they are known, set it otherwise.
        selection: which of the faces found callers are to take; its least score the detector hears of.

    Raises:
        CheckpointError: at first use: ``file`` is not there, or not a YuNet.
    """

    def __init__(
        self,
        how: str = "auto",
        file: Path | None = None,
        *,
        margin: float = MARGIN,
        selection: Selection = Selection(),  # noqa: B008 - frozen
    ) -> None:
        self.how, self.file, self.margin, self.selection = how, file, margin, selection
        self._detect: Any = None

    @property
    def described(self) -> str:
        """Return how it was asked for."""
        return f"{self.how}:{self.file}" if self.file is not None else self.how

    @property
    def name(self) -> str:
        """Return the name of the detector; of ``auto`` that of the one it stands for."""
        return DEFAULT if self.how == "auto" else self.how

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_detect": None}  # OpenCV's detectors cannot be sent

    def __call__(self, picture: np.ndarray, extent: Extent | None = None, *, longest: int | None = None) -> list[Face]:
        """Find the faces of ``picture``, uint8 (H, W, 3) RGB or (H, W, 1), the largest first.

        Args:
            extent: where the picture lies in these pixels, as ``images.read_reduced`` reported; None: it fills them.
            longest: pixels of the longer side at which it is searched, at most; None: what the detector takes.
        """
        return self.faces(self.search(picture, longest=longest), picture.shape, extent)

    def search(self, picture: np.ndarray, *, longest: int | None = None) -> list[Found] | None:
        """Search all of ``picture``; see ``__call__``.

        Returns:
            Boxes, scores and points as the detector gives them; None where the picture is taken whole without a search.
        """
        if self.how == "none" or (self.how == "auto" and min(picture.shape[:2]) < TINY):
            return None
        small, across, down = at_most(picture, longest or max(picture.shape[:2]))
        found = self.detect(small)
        return found if small.shape == picture.shape else [moved(face, 0, 0, across, down) for face in found]

    @property
    def detect(self) -> Any:
        """Return the detector as ``data.faces.DetectorEntry`` describes it, loaded at first use."""
        if self._detect is None:
            self._detect = load_detector(self.name, self.file, self.selection.min_score)
        return self._detect

    def faces(self, found: Iterable[Found] | None, shape: Sequence[int], extent: Extent | None = None) -> list[Face]:
        """Return what ``search`` found in a picture of ``shape`` (H, W, ...) as faces to cut out, the largest first."""
        height, width = shape[:2]
        left, top, right, bottom = (extent or Extent(height, width)).box
        whole = Face((left, top, right - left, bottom - top), extent=extent)
        if found is None:
            return [whole]
        ordered = sorted(found, key=lambda face: -face[0][2] * face[0][3])
        faces = [Face(box, score, points, crop_box(box, points, self.margin)) for box, score, points in ordered]
        if self.how == "auto" and len(faces) == 1 and covered_share(faces[0].frame, height, width) >= FILLED:
            return [whole]
        return faces


def crop_box(box: Box, points: Sequence[tuple[float, float]] = (), margin: float = MARGIN) -> CropBox:
    """Return the centre (x, y), side and angle of the square around a face, from its eyes where they are known.

    Eyes turn the square, so that they lie level, and place it as the eyes of FER-2013's faces lie. Where they are less
    than a fifth of the box apart, as in a profile, the box counts.
    """
    left, top, width, height = box
    side = max(width, height) * margin
    if len(points) >= 2:
        (right_x, right_y), (left_x, left_y) = points[:2]
        across, down = left_x - right_x, left_y - right_y
        apart = math.hypot(across, down)
        if apart >= width / 5 and across > 0:
            angle, side = math.atan2(down, across), apart / EYES[2]
            # From the middle between the eyes to the centre of the square, in the square's own axes.
            along, below = (0.5 - EYES[0]) * side, (0.5 - EYES[1]) * side
            x = (right_x + left_x) / 2 + along * math.cos(angle) - below * math.sin(angle)
            y = (right_y + left_y) / 2 + along * math.sin(angle) + below * math.cos(angle)
            return x, y, side, angle
    return left + width / 2, top + height / 2, side, 0.0


def covered_share(frame: CropBox, height: int, width: int) -> float:
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
    # No more of the picture than the turned square needs, and that no finer than four times the input size.
    reach = side / 2 * (abs(math.cos(angle)) + abs(math.sin(angle))) + 2
    left, top = max(math.floor(x - reach), 0), max(math.floor(y - reach), 0)
    near = picture[top : max(math.ceil(y + reach), top + 1), left : max(math.ceil(x + reach), left + 1)]
    if not near.size:  # a box beyond the picture
        raise DataError(f"a face at {x:.0f}, {y:.0f} lies outside of its picture of {picture.shape[1::-1]} pixels.")
    near = in_channels(near, spec.channels)
    wanted = max(spec.height, spec.width)
    factor = max(side / (4 * wanted), 1.0)
    if factor > 1:
        smaller = (max(round(near.shape[1] / factor), 1), max(round(near.shape[0] / factor), 1))
        across, down = smaller[0] / near.shape[1], smaller[1] / near.shape[0]
        near = cv2.resize(near, smaller, interpolation=cv2.INTER_AREA)
    else:
        across = down = 1.0
    inner = max(round(side / factor), 1)
    turned = _warp(near, ((x - left) * across, (y - top) * down), side * across / inner, angle, inner)
    return resize(turned.reshape(inner, inner, spec.channels), spec.height, spec.width, "crop")


def _warp(image: np.ndarray, centre: tuple[float, float], scale: float, angle: float, side: int) -> np.ndarray:
    """Return the square of ``side`` output pixels, each ``scale`` of ``image`` wide, about ``centre``, turned by
    ``angle``.
    """
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    # OpenCV's coordinates are of pixel centres, ours of edges: half a pixel between them.
    middle = (side - 1) / 2
    matrix = np.array(
        [
            [cosine, -sine, centre[0] - 0.5 - cosine * middle + sine * middle],
            [sine, cosine, centre[1] - 0.5 - sine * middle - cosine * middle],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def in_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """Return ``picture`` with 1 or 3 channels; gray is the luma of ITU-R 601-2, as where images are decoded."""
    if picture.shape[2] == channels:
        return picture
    if channels == 3:
        return np.repeat(picture, 3, axis=2)
    return cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)[:, :, None]


class YuNetDetector:
    """OpenCV's FaceDetectorYN with a user's network."""

    def __init__(self, file: Path | None) -> None:
        file = pulled_detector() if file is None else file
        if file is None or not file.is_file():
            raise CheckpointError(
                f"the file of the face detector {file or 'yunet'} does not exist.",
                "affectkit pull face-detector downloads face_detection_yunet_2023mar.onnx of OpenCV's model zoo "
                "(github.com/opencv/opencv_zoo, 233 kB); --faces haar needs no file.",
            )
        try:
            self.network = cv2.FaceDetectorYN.create(str(file), "", (320, 320), SCORE, 0.3, 5000)
            self._search(np.zeros((320, 320, 3), np.uint8), 320)
        except (cv2.error, SystemError) as error:
            why = " ".join(str(error).split())[:200]
            raise CheckpointError(
                f"{file} is not a YuNet that OpenCV {cv2.__version__} can run: {why}",
                "Take face_detection_yunet_2023mar.onnx of OpenCV's model zoo.",
            ) from error

    def __call__(self, picture: np.ndarray) -> list[Found]:
        """Detect the faces of a picture, see ``data.faces.DetectorEntry``."""
        sides = dict.fromkeys(min(longest, max(picture.shape[:2])) for longest in YUNET_SIDES)  # once, a small one
        found = [face for longest in sides for face in self._search(in_channels(picture, 3), longest)]
        return drop_overlapping(drop_outside(found, picture.shape))

    def _search(self, picture: np.ndarray, longest: int) -> list[Found]:
        small, across, down = at_most(picture, longest)
        self.network.setInputSize((small.shape[1], small.shape[0]))
        _, rows = self.network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        found: list[Found] = []
        for row in rows if rows is not None else ():
            # x, y, width and height, then x and y of each point.
            values = [float(value) * (down if place % 2 else across) for place, value in enumerate(row[:14])]
            points = tuple(zip(values[4::2], values[5::2], strict=True))
            found.append((tuple(values[:4]), float(row[14]), points))
        return found


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
