"""The columns of a face in a prediction table: made of a face, and read back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from affectkit.core.boxes import Box
from affectkit.data.faces.detection import Face
from affectkit.data.faces.geometry import head_roll
from affectkit.inference.table_layout import BOX_COLUMNS, FACE_COLUMNS, LANDMARK_COLUMNS

NO_FACE: list[Any] = [None] * len(FACE_COLUMNS)
"""The columns of a picture without a face."""
_FIRST_LANDMARK = FACE_COLUMNS.index(LANDMARK_COLUMNS[0])


def face_values(number: int, face: Face) -> list[Any]:
    """Return the ``FACE_COLUMNS`` of a face; None stands for what is not known of it.

    Args:
        number: of the face, or of its track.
        face: with box and landmarks in pixels of the picture: the box is rounded to whole ones, landmarks and roll to
            hundredths.
    """
    roll = head_roll(face.points)
    if roll is None and face.frame is not None:  # as it was levelled
        roll = math.degrees(face.frame[3])
    places = [round(float(value), 2) for point in face.points for value in point]
    return [
        number,
        *(round(value) for value in face.box),
        face.score,
        round(face.outside, 4),
        None if roll is None else round(roll, 2),
        *places,
        *[None] * (len(LANDMARK_COLUMNS) - len(places)),
    ]


def placed_face(values: Sequence[Any]) -> tuple[int, Box, tuple[tuple[float, float], ...]]:
    """Return number, box and landmarks of a face from the ``FACE_COLUMNS`` of its row."""
    number, *box = values[: len(BOX_COLUMNS) - 1]
    places = [value for value in values[_FIRST_LANDMARK : len(FACE_COLUMNS)] if value is not None]
    return number, tuple(box), tuple(zip(places[::2], places[1::2], strict=True))
