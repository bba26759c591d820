"""Detectors by name, ready to search; what one from elsewhere returns is checked before anything relies on it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.boxes import Box
from affectkit.data.faces import DETECTORS, LANDMARKS, DetectorEntry
from affectkit.errors import AffectkitError, RunError

Found = tuple[Box, float, tuple[tuple[float, float], ...]]
RULE = "a list of faces, each (box, score, landmarks), is due; see affectkit/data/faces/__init__.py"


def load_detector(name: str, file: Path | None, min_score: float | None = None) -> Any:
    """Return the detector ``name``, ready to search pictures, as ``data.faces.DetectorEntry`` describes it.

    Args:
        name: of ``DETECTORS``.
        file: its file; None without one.
        min_score: the least score that is wanted, which a detector with an attribute of that name hears of where it is
            below its own; above it, ``Selection`` leaves out, and counts, what the detector finds.

    Raises:
        UsageError: there is no such detector.
        CheckpointError: ``file`` is not one that it takes.
        RunError: a detector from elsewhere cannot be imported or made.
    """
    entry = DETECTORS[DETECTORS.check(name)]
    made = entry.load()(file) if entry.is_own else CheckedDetector(name, entry, file)
    if min_score is not None and hasattr(made, "min_score"):
        own = made.min_score
        if not isinstance(own, int | float) or min_score < own:
            made.min_score = min_score
    return made


class CheckedDetector:
    """A detector that affectkit does not bring, with each of its answers checked.

    Args:
        name: of ``DETECTORS``.
        entry: its entry there.
        file: what it is made with; None without one.

    Raises:
        RunError: its module cannot be imported, or the factory raises or gives nothing that can be called.
    """

    def __init__(self, name: str, entry: DetectorEntry, file: Path | None) -> None:
        origin = f"{entry.package}, {entry.target}" if entry.package else entry.target
        self.described = f"the face detector {name!r} ({origin})"
        try:
            self.detector = entry.load()(file)
        except AffectkitError:
            raise
        except (Exception, SystemExit) as error:  # no detector ends the run with an exit code of its own
            given = f"with {file}" if file is not None else "without a file"
            raise self._failure(f"cannot be made {given}", error) from error
        if not callable(self.detector):
            kind = type(self.detector).__name__
            raise RunError(f"{self.described} is made as {kind}, which cannot be called with a picture.", _hint())
        self.takes_sides = bool(getattr(self.detector, "takes_sides", False))
        self.takes_turns = bool(getattr(self.detector, "takes_turns", False))

    def __getattr__(self, name: str) -> Any:
        if name == "min_score" and "detector" in self.__dict__:
            return self.detector.min_score
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "min_score":
            self.detector.min_score = value
        else:
            super().__setattr__(name, value)

    def __call__(self, picture: np.ndarray, **options: Any) -> list[Found]:
        """Detect the faces of a picture, uint8 (H, W, 3) or (H, W, 1); the detector gets a copy with three channels.

        Raises:
            RunError: it raises, or returns something else than is due.
        """
        height, width, channels = picture.shape
        given = np.repeat(picture, 3, axis=2) if channels == 1 else np.array(picture)
        try:
            returned = self.detector(given, **options)
            # A generator runs its code here.
            faces = None if isinstance(returned, str | bytes) else list(returned)
        except AffectkitError:
            raise
        except (Exception, SystemExit) as error:
            if "returned" in locals() and not isinstance(returned, Iterable):
                raise self._refusal(f"{type(returned).__name__}, where {RULE}") from error
            raise self._failure(f"failed on a picture of {width}x{height} pixels", error) from error
        if faces is None:
            raise self._refusal(f"text, where {RULE}")
        found = [self._face(place, face) for place, face in enumerate(faces)]
        return [face for face in found if _is_inside(face[0], height, width)]

    def _face(self, place: int, face: Any) -> Found:
        """Return one face that the detector gave, as plain numbers."""
        try:
            box, score, landmarks = face
        except (TypeError, ValueError):
            raise self._refusal(f"{_short(face)} as face {place}, where (box, score, landmarks) is due") from None
        values = _numbers(box)
        if values is None or len(values) != 4:
            raise self._refusal(f"the box {_short(box)}, which must be four finite numbers: left, top, width, height")
        if min(values[2:]) <= 0:
            raise self._refusal(f"the box {_short(values)}: width and height must be above 0")
        surety = _numbers([score])
        if surety is None:
            raise self._refusal(f"the score {_short(score)}, which must be a finite number")
        points = _points(landmarks)
        if points is None or len(points) not in (0, 2, len(LANDMARKS)):
            raise self._refusal(
                f"the landmarks {_short(landmarks)}, which must be finite points (x, y): {', '.join(LANDMARKS)}; the "
                "first two alone, or none"
            )
        return tuple(values), surety[0], points

    def _refusal(self, what: str) -> RunError:
        return RunError(f"{self.described} returned {what}.", _hint())

    def _failure(self, what: str, error: BaseException) -> RunError:
        text = " ".join(str(error).split())[:300]
        return RunError(f"{self.described} {what}: {type(error).__name__}{f': {text}' if text else ''}.", _hint())


def _hint() -> str:
    return "Mend or update it; --debug shows where it broke. --faces auto takes affectkit's own detector."


def _is_inside(box: Box, height: int, width: int) -> bool:
    return 0 <= box[0] + box[2] / 2 < width and 0 <= box[1] + box[3] / 2 < height


def _numbers(values: Any) -> list[float] | None:
    """Return ``values`` as finite floats; None where they are not."""
    if isinstance(values, str | bytes):
        return None  # a text of digits is no box
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return None
    return found if all(map(math.isfinite, found)) else None


def _points(landmarks: Any) -> tuple[tuple[float, float], ...] | None:
    """Return landmarks as pairs of floats, none for None; None where they are no finite points."""
    if landmarks is None:
        return ()
    try:
        pairs: Sequence[list[float] | None] = [_numbers(point) for point in landmarks]
    except TypeError:
        return None
    return tuple((p[0], p[1]) for p in pairs) if all(p is not None and len(p) == 2 for p in pairs) else None


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
