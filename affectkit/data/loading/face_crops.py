"""Pictures with any number of faces as batches of face crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.spec import InputSpec
from affectkit.data.faces.detection import LONGEST, Face, FaceDetector, crop_face
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.media.images import read_reduced
from affectkit.data.media.images_in_memory import GivenImage
from affectkit.data.media.reduced_decoding import Extent
from affectkit.errors import DataError

DETAIL = 2
"""A JPEG to be drawn on is decoded at so many times the size at which it is searched, or more; at its own, if that is
smaller."""
FINENESS = 1.5
"""Side of a face that is cut out, in sides of the input: below, a JPEG that was decoded smaller is decoded again."""


@dataclass(frozen=True)
class Found:
    """The faces of the picture at ``position``: where they are, and their crops uint8 (F, H, W, C)."""

    position: int
    faces: tuple[Face, ...]
    crops: np.ndarray


class PathFaces:
    """The faces of pictures by path, or as they are given, for inference: the key is (position, path or picture).

    One picture is held at a time.
    """

    def __init__(self, spec: InputSpec, finder: FaceDetector) -> None:
        self.spec, self.finder = spec, finder

    def __getitem__(self, key: tuple[int, str | GivenImage]) -> Found | ReadFailure:
        position, source = key
        try:
            if isinstance(source, GivenImage):
                picture, extent = source.whole()
                faces = self.finder(picture, extent)
            else:
                picture, extent, faces = self._find_in(Path(source))
            crops = stack_crops([crop_face(picture, face, self.spec) for face in faces], self.spec)
        except DataError as error:
            return ReadFailure(position, str(source), error.message)
        return Found(position, tuple(scale_to_file(face, extent) for face in faces), crops)

    def _find_in(self, path: Path) -> tuple[np.ndarray, Extent, list[Face]]:
        """Return the picture in a file, decoded as large as the smallest of its faces needs; its place there; these."""
        picture, extent = read_picture(path, longest=LONGEST)
        faces = self.finder(picture, extent)
        needed = FINENESS * max(self.spec.height, self.spec.width)
        least = min((face.frame[2] for face in faces if face.frame is not None), default=needed)
        if extent.scale == 1 or least >= needed:
            return picture, extent, faces
        del picture  # before the next is decoded
        longest = max(extent.height, extent.width) / extent.scale * needed / least
        picture, finer = read_picture(path, longest=longest)
        return picture, finer, [move_face(face, extent, finer) for face in faces]


def stack_crops(crops: Sequence[np.ndarray], spec: InputSpec) -> np.ndarray:
    """Return ``crops`` (H, W, C) as one array uint8 (F, H, W, C), for none of the input size of ``spec``."""
    return np.stack(crops) if crops else np.empty((0, spec.height, spec.width, spec.channels), np.uint8)


def read_picture(path: Path, *, longest: float | None = None) -> tuple[np.ndarray, Extent]:
    """Return the picture in a file, upright, uint8 (H, W, 3); and where it lies in that.

    A JPEG whose longer side is twice ``longest`` pixels or more is decoded at 1/2, 1/4 or 1/8 of its size, at no fewer
    than these, which takes a fraction of the time. None: as fine as is drawn on.

    Raises:
        DataError: as ``images.read_image``.
    """

    def wanted(height: int, width: int) -> tuple[float, float]:
        share = min(1.0, (longest or DETAIL * LONGEST) / max(height, width))
        return round(height * share), round(width * share)

    return read_reduced(path, wanted)


def move_face(face: Face, extent: Extent, other: Extent) -> Face:
    """Return ``face``, found in a picture decoded to ``extent``, in the pixels of the same one decoded to ``other``."""
    times = extent.scale / other.scale

    def moved(x: float, y: float) -> tuple[float, float]:
        left, top = extent.outer(x, y)
        return other.inner((left, top, left, top))[:2]

    (left, top, width, height), frame = face.box, face.frame
    return replace(
        face,
        box=(*moved(left, top), width * times, height * times),
        points=tuple(moved(*point) for point in face.points),
        frame=None if frame is None else (*moved(*frame[:2]), frame[2] * times, frame[3]),
    )


def scale_to_file(face: Face, extent: Extent) -> Face:
    """Return ``face``, found in a picture that was decoded to ``extent``, with its box in pixels of the file."""
    left, top, width, height = face.box
    return replace(face, box=(*extent.outer(left, top), width * extent.scale, height * extent.scale))


def collate_faces(items: Sequence[Found | ReadFailure]) -> dict[str, Any]:
    """Return ``{"index": B numbers, "faces": B tuples, "image": uint8 (sum of faces, H, W, C), "failures": [...]}``.

    Crops stand in the order of their pictures.
    """
    good = [item for item in items if isinstance(item, Found)]
    return {
        "index": [item.position for item in good],
        "faces": [item.faces for item in good],
        "image": np.concatenate([item.crops for item in good]) if good else np.empty(0, np.uint8),
        "failures": [item for item in items if isinstance(item, ReadFailure)],
    }
