"""The faces of all sampled frames of a video, on disk until it is done."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from affectkit.core.boxes import Box
from affectkit.data.faces import LANDMARKS
from affectkit.inference.video.sampled_frames import TrackedFace
from affectkit.inference.video.statistics import Columns

BOX_COLUMNS = 7
"""Numbers of a record up to the box: number of the sampled frame (from 0), time, face (0: none was seen), left, top,
width, height."""
FIRST_COLUMN = BOX_COLUMNS + 2 * len(LANDMARKS)
"""Numbers of a record before the task's columns: those up to the box, x and y of each landmark (NaN: not known)."""
CHUNK = 4096

LoggedFace = tuple[int, Box, tuple[tuple[float, float], ...], list[Any]]
"""Number, box, landmarks and row of a face."""
Logged = tuple[float, list[LoggedFace]]
"""Time of a frame, and the faces in it."""


class FrameLog:
    """Keep the faces of a video in a file that is gone when this is closed: memory does not grow with the video."""

    def __init__(self, columns: Columns) -> None:
        self.width = FIRST_COLUMN + len(columns.names)
        self._file = tempfile.TemporaryFile(prefix="affectkit-video-")  # noqa: SIM115 - closed with this
        self._words: dict[str, int] = {}
        self._texts: set[int] = set()
        self._frames = 0
        self.faces: set[int] = set()

    def __enter__(self) -> FrameLog:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, time: float, faces: Sequence[TrackedFace]) -> None:
        """Add the frame at ``time``, the next one; times of frames may be equal."""
        records = np.full((max(len(faces), 1), self.width), np.nan)
        records[:, :3] = self._frames, time, 0
        self._frames += 1
        for record, one in zip(records, faces, strict=False):
            record[2:BOX_COLUMNS] = one.number, *one.face.box
            places = [value for point in one.face.points for value in point]
            record[BOX_COLUMNS : BOX_COLUMNS + len(places)] = places
            record[FIRST_COLUMN:] = [self._coded(column, value) for column, value in enumerate(one.row)]
            self.faces.add(one.number)
        self._file.write(records.tobytes())

    def records(self) -> np.ndarray:
        """Return all records, float64 (n, FIRST_COLUMN + columns); text as numbers."""
        self._file.seek(0)
        return np.frombuffer(self._file.read(), np.float64).reshape(-1, self.width)

    def frames(self) -> Iterator[Logged]:
        """Yield the frames, a part of the file at a time."""
        words = list(self._words)
        self._file.seek(0)
        held: Logged | None = None
        number = -1.0
        while raw := self._file.read(CHUNK * self.width * 8):
            for record in np.frombuffer(raw, np.float64).reshape(-1, self.width).tolist():
                if held is None or record[0] != number:
                    if held is not None:
                        yield held
                    number, held = record[0], (record[1], [])
                if record[2]:
                    row = [
                        words[int(value)] if column in self._texts else value
                        for column, value in enumerate(record[FIRST_COLUMN:])
                    ]
                    places = [value for value in record[BOX_COLUMNS:FIRST_COLUMN] if not math.isnan(value)]
                    points = tuple(zip(places[::2], places[1::2], strict=True))
                    held[1].append((int(record[2]), tuple(record[3:BOX_COLUMNS]), points, row))
        if held is not None:
            yield held

    def _coded(self, column: int, value: Any) -> float:
        if not isinstance(value, str):
            return float(value)
        self._texts.add(column)
        return float(self._words.setdefault(value, len(self._words)))
