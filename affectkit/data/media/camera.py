"""Pictures of a camera as they come: the newest one whenever one is asked for, none that has waited."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from affectkit.data.media.video_stream import Every, Frame, Sampler
from affectkit.errors import DeviceError

PATIENCE = 10.0
"""Seconds without a picture after which a camera is taken to be gone."""


def _open_silently(number: int) -> Any:
    """Open a camera without OpenCV's own words on one that is not there."""
    logging = cv2.utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(number)
    finally:
        logging.setLogLevel(before)


class Camera:
    """The pictures of a camera; see ``VideoStream`` for ``every`` and ``seconds``, and ``Sampler`` for the rule.

    A thread reads the camera, and keeps the newest picture alone: whoever takes long over one gets, next, the one of
    that moment. Times are of the arrival of a picture, since that of the first one.

    Args:
        number: of the camera, from 0.
        open_camera: makes what reads it (``cv2.VideoCapture``'s ``isOpened``, ``read``
            and ``release``).
        clock: seconds.
        stopped: asked while waiting; true ends the stream.

    Raises:
        DeviceError: while iterating: there is no such camera, or it gives no more pictures.
    """

    def __init__(
        self,
        number: int,
        *,
        every: Every = (0.0, 1),
        seconds: float | None = None,
        open_camera: Callable[[int], Any] = _open_silently,
        clock: Callable[[], float] = time.monotonic,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.number, self.every, self.seconds = number, every, seconds
        self.open_camera, self.clock, self.stopped = open_camera, clock, stopped
        self.count, self.end = 0, 0.0
        self._newest: tuple[int, float, np.ndarray] | None = None
        self._fault: str | None = None
        self._ended = False
        self._changed = threading.Condition()

    def __iter__(self) -> Iterator[Frame]:
        capture = self.open_camera(self.number)
        if not capture.isOpened():
            raise DeviceError(f"there is no camera {self.number}.", _advice())
        with contextlib.suppress(AttributeError):
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        reading = threading.Thread(target=self._read, args=(capture,), daemon=True)
        reading.start()
        try:
            yield from self._pictures()
        finally:
            self._ended = True
            reading.join(PATIENCE)
            capture.release()

    def _pictures(self) -> Iterator[Frame]:
        sampler, first = Sampler(self.every), None
        while (newest := self._wait()) is not None:
            number, moment, picture = newest
            first = moment if first is None else first
            at = moment - first
            if self.seconds is not None and at >= self.seconds:
                self.end = self.seconds
                return
            self.count, self.end = number + 1, at
            if sampler.takes(number, at):
                yield Frame(number, at, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))

    def _wait(self) -> tuple[int, float, np.ndarray] | None:
        """Return the newest picture, once it is another than the last one; None to end."""
        since = time.monotonic()
        with self._changed:
            while self._newest is None:
                if self.stopped():
                    return None
                if self._fault is not None or time.monotonic() - since > PATIENCE:
                    why = self._fault or f"none for {PATIENCE:g} s"
                    raise DeviceError(
                        f"camera {self.number} gives no more pictures after {self.end:.1f} s ({why}).",
                        "Look at its plug, and whether another program uses it.",
                    )
                self._changed.wait(0.1)
            newest, self._newest = self._newest, None
        return None if self.stopped() else newest

    def _read(self, capture: Any) -> None:
        number = 0
        while not self._ended:
            try:
                good, picture = capture.read()
            except cv2.error as error:
                good, picture = False, None
                self._fault = str(error).strip()
            moment = self.clock()
            with self._changed:
                if not good:
                    self._fault = self._fault or "it ended"
                else:
                    self._newest = number, moment, picture
                self._changed.notify()
            if not good:
                return
            number += 1


def _advice() -> str:
    found = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
    return f"There is: {', '.join(found)}." if found else "None is connected, or this account may not use it."
