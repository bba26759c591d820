"""Which of the faces that a detector found are taken: limits of score, size and number, and a count of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from affectkit.core.boxes import Box
from affectkit.data.faces import DETECTORS
from affectkit.errors import UsageError

LIMITS = ("min_score", "min_face", "max_faces")
"""Names of the limits, in settings, records and arguments."""
REASONS = ("below_min_score", "below_min_face", "beyond_max_faces")
"""Why a face is left out, in the order in which that is asked."""


class DetectedFace(Protocol):
    """Faces as ``data.faces.detection.Face`` has them; a score of None stands for a picture taken whole."""

    box: Box
    score: float | None


F = TypeVar("F", bound=DetectedFace)


@dataclass(frozen=True)
class Selection:
    """Limits of the faces that are taken.

    Attributes:
        min_score: least score of the detector; None: the detector's own.
        min_face: least side in pixels of the upright picture, of the longer side of the box; None: any.
        max_faces: how many faces of a picture or frame are taken, the largest; None: all.
    """

    min_score: float | None = None
    min_face: int | None = None
    max_faces: int | None = None

    @property
    def is_set(self) -> bool:
        """Return whether there is a limit."""
        return self != Selection()

    def summary(self) -> dict[str, Any]:
        """Return the limits as records have them; None where there is none."""
        return {name: getattr(self, name) for name in LIMITS}

    def check(self, detector: str, *, name: str = "--min-score {}") -> None:
        """Refuse a least score that is no score of the detector called ``detector``.

        Args:
            detector: of ``DETECTORS``.
            name: how the score was given, for the message.

        Raises:
            UsageError: it lies outside of the detector's scores.
        """
        entry = DETECTORS[DETECTORS.check(detector)]
        if self.min_score is None or entry.bounds is None:
            return
        low, high = entry.bounds
        if not low <= self.min_score <= high:
            raise UsageError(
                f"{name.format(f'{self.min_score:g}')}: the score of the face detector {detector} is {entry.score}.",
                f"Give a number in [{low:g}, {high:g}].",
            )

    def apply(self, faces: Sequence[F], *, scale: float = 1.0) -> tuple[list[F], dict[str, int]]:
        """Return the faces that are taken, in their order, and how many were left out by reason.

        A picture that was taken whole stays.

        Args:
            faces: of a picture, the largest first.
            scale: pixels of the picture to one of their boxes.
        """
        left: Counter[str] = Counter()
        kept: list[F] = []
        for face in faces:
            if face.score is None:
                kept.append(face)
            elif self.min_score is not None and face.score < self.min_score:
                left[REASONS[0]] += 1
            elif self.min_face is not None and max(face.box[2:]) * scale < self.min_face:
                left[REASONS[1]] += 1
            elif self.max_faces is not None and len(kept) >= self.max_faces:
                left[REASONS[2]] += 1
            else:
                kept.append(face)
        return kept, dict(left)


def sum_left_out(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sum of what ``Selection.apply`` counted, with all ``REASONS``.

    >>> sum_left_out([{"below_min_face": 2}, {}, {"below_min_face": 1}])
    {'below_min_score': 0, 'below_min_face': 3, 'beyond_max_faces': 0}
    """
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return {reason: total[reason] for reason in REASONS}
