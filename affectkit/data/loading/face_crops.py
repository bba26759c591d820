"""Pictures with any number of faces as batches of face crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.spec import InputSpec
from affectkit.data.faces.detection import LONGEST, Face, FaceDetector, crop_face
from affectkit.data.faces.geometry import share_outside
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.media.images import read_reduced
from affectkit.data.media.images_in_memory import GivenImage
from affectkit.data.media.reduced_decoding import Extent
from affectkit.errors import AffectkitError, DataError

DETAIL = 2
"""A JPEG is decoded at so many times the size at which it is searched, or more; at its own, if that is smaller."""


@dataclass(frozen=True)
class Found:
    """The faces of the picture at ``position``: where they are, and their crops uint8 (F, H, W, C).

    Attributes:
        left_out: how many were found and not taken, by reason, see ``data.faces.selection``.
    """

    position: int
    faces: tuple[Face, ...]
    crops: np.ndarray
    left_out: dict[str, int] = field(default_factory=dict)


class PathFaces:
    """The faces of pictures by path, or as they are given, for inference: the key is (position, path or picture).

    One picture is held at a time. Of a detector that fails the error itself is given, for torch would raise it with the
    traceback of its worker in the message.
    """

    def __init__(self, spec: InputSpec, finder: FaceDetector) -> None:
        self.spec, self.finder = spec, finder

    def __getitem__(self, key: tuple[int, str | GivenImage]) -> Found | ReadFailure | AffectkitError:
        position, source = key
        try:
            given, gray = isinstance(source, GivenImage), self.spec.channels == 1
            picture, extent = source.whole() if given else read_picture(Path(source), gray=gray)
            faces, left_out = self.finder.selection.apply(self.finder(picture, extent), scale=extent.scale)
            crops = stack_crops([crop_face(picture, face, self.spec) for face in faces], self.spec)
        except DataError as error:
            return ReadFailure(position, str(source), error.message)
        except AffectkitError as error:
            return error
        return Found(position, tuple(scale_to_file(face, extent) for face in faces), crops, left_out)


def stack_crops(crops: Sequence[np.ndarray], spec: InputSpec) -> np.ndarray:
    """Return ``crops`` (H, W, C) as one array uint8 (F, H, W, C), for none of the input size of ``spec``."""
    return np.stack(crops) if crops else np.empty((0, spec.height, spec.width, spec.channels), np.uint8)


def read_picture(path: Path, *, gray: bool = False) -> tuple[np.ndarray, Extent]:
    """Return the picture in a file, upright, uint8 (H, W, 3), or where ``gray`` suffices (H, W, 1); its place there.

    A large JPEG is decoded at 1/2, 1/4 or 1/8 of its size, and for ``gray`` its luma alone, as it is stored, which
    takes a fraction of the time. At no less than twice the size that is searched: at 1/2 in place of 1 the boxes
    moved by a hundredth or two of their sides, and changed two labels of 61.

    Raises:
        DataError: as ``images.read_image``.
    """

    def wanted(height: int, width: int) -> tuple[float, float]:
        share = min(1.0, DETAIL * LONGEST / max(height, width))
        return round(height * share), round(width * share)

    return read_reduced(path, wanted, luma=gray)


def scale_to_file(face: Face, extent: Extent) -> Face:
    """Return ``face``, found in a picture that was decoded to ``extent``, with its places in pixels of the file."""
    left, top, width, height = face.box
    box = (*extent.outer(left, top), width * extent.scale, height * extent.scale)
    points = tuple(extent.outer(x, y) for x, y in face.points)
    return replace(face, box=box, points=points, outside=share_outside(box, extent.height, extent.width))


def collate_faces(items: Sequence[Found | ReadFailure | AffectkitError]) -> dict[str, Any]:
    """Return ``{"index": B numbers, "faces": B tuples, "image": uint8 (sum of faces, H, W, C), "failures": [...]}``.

    Crops stand in the order of their pictures. ``"left_out"`` has what ``Found.left_out`` has of each;
    ``"error"`` is the first error of the detector, None where it has worked.
    """
    good = [item for item in items if isinstance(item, Found)]
    return {
        "index": [item.position for item in good],
        "faces": [item.faces for item in good],
        "left_out": [item.left_out for item in good],
        "image": np.concatenate([item.crops for item in good]) if good else np.empty(0, np.uint8),
        "failures": [item for item in items if isinstance(item, ReadFailure)],
        "error": next((item for item in items if isinstance(item, AffectkitError)), None),
    }
