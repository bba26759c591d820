"""The faces of all sampled frames of a video, on disk until it is done."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from affectkit.core.boxes import Box
from affectkit.inference.video.sampled_frames import TrackedFace
from affectkit.inference.video.statistics import Columns

BOX_COLUMNS = 6
"""Numbers of a record before the task's columns: time, face (0: none was seen), left, top, width, height."""
CHUNK = 4096

Logged = tuple[float, list[tuple[int, Box, list[Any]]]]
"""Time of a frame, and number, box and row of each face in it."""


class FrameLog:
    """Keep the faces of a video in a file that is gone when this is closed: memory does not grow with the video."""

    def __init__(self, columns: Columns) -> None:
        self.width = BOX_COLUMNS + len(columns.names)
        self._file = tempfile.TemporaryFile(prefix="affectkit-video-")  # noqa: SIM115 - closed with this
        self._words: dict[str, int] = {}
        self._texts: set[int] = set()
        self.faces: set[int] = set()

    def __enter__(self) -> FrameLog:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, time: float, faces: Sequence[TrackedFace]) -> None:
        """Add the frame at ``time``."""
        records = np.full((max(len(faces), 1), self.width), np.nan)
        records[:, :2] = time, 0
        for record, one in zip(records, faces, strict=False):
            record[1:BOX_COLUMNS] = one.number, *one.face.box
            record[BOX_COLUMNS:] = [self._coded(column, value) for column, value in enumerate(one.row)]
            self.faces.add(one.number)
        self._file.write(records.tobytes())

    def records(self) -> np.ndarray:
        """Return all records, float64 (n, BOX_COLUMNS + columns); text as numbers."""
        self._file.seek(0)
        return np.frombuffer(self._file.read(), np.float64).reshape(-1, self.width)

    def frames(self) -> Iterator[Logged]:
        """Yield the frames, a part of the file at a time."""
        words = list(self._words)
        self._file.seek(0)
        held: Logged | None = None
        while raw := self._file.read(CHUNK * self.width * 8):
            for record in np.frombuffer(raw, np.float64).reshape(-1, self.width).tolist():
                if held is None or record[0] != held[0]:
                    if held is not None:
                        yield held
                    held = (record[0], [])
                if record[1]:
                    row = [
                        words[int(value)] if column in self._texts else value
                        for column, value in enumerate(record[BOX_COLUMNS:])
                    ]
                    held[1].append((int(record[1]), tuple(record[2:BOX_COLUMNS]), row))
        if held is not None:
            yield held

    def _coded(self, column: int, value: Any) -> float:
        if not isinstance(value, str):
            return float(value)
        self._texts.add(column)
        return float(self._words.setdefault(value, len(self._words)))
