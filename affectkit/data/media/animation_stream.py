"""Animations and pages as a stream of frames, as a video is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from affectkit.core.files import open_file
from affectkit.data.media.animations import frame_times
from affectkit.data.media.file_kinds import is_video_name
from affectkit.data.media.image_formats import open_image, refuse_raw
from affectkit.data.media.images import decoding_errors, frame_pixels
from affectkit.data.media.media_file import ClipError
from affectkit.data.media.pixel_limits import check_file
from affectkit.data.media.video_stream import Every, Frame, Sampler, VideoStream
from affectkit.errors import DataError

UNSTATED = 0.1
"""Seconds that a frame is shown whose file states none, as browsers do."""


def open_stream(path: Path, *, every: Every = (0.0, 1), seconds: float | None = None) -> VideoStream | AnimationStream:
    """Open the frames of a video, or of an animated image, as its name says."""
    return (VideoStream if is_video_name(path.name) else AnimationStream)(path, every=every, seconds=seconds)


class AnimationStream:
    """The frames of a picture file, from the first one whenever iterated over; in all else as ``VideoStream``.

    Frames of an animation are shown for as long as it says (``UNSTATED`` where it does not), and a picture that APNG
    shows where it cannot be played is passed over. Pages of a TIFF have no times: all are taken, or every N-th, and
    each counts as a second.

    Attributes:
        timed: whether the frames have times; known once iterated over.
    """

    def __init__(self, path: Path, *, every: Every = (0.0, 1), seconds: float | None = None) -> None:
        self.path, self.every, self.seconds = Path(path), every, seconds
        self.count, self.end, self.start, self.rate, self.sounds, self.timed = 0, 0.0, 0.0, 0.0, False, True
        self.times = None

    def __iter__(self) -> Iterator[Frame]:
        self.count, self.end = 0, 0.0
        try:
            check_file(self.path)
            with decoding_errors(self.path), open_file(self.path) as stream, open_image(stream) as image:
                refuse_raw(self.path, image)
                self.timed = image.format != "TIFF"
                yield from self._taken(image)
        except DataError as error:
            reason = error.message.removeprefix("image ").rstrip(".")
            raise ClipError("undecodable", f"video {reason} (after {self.count:,} frames).") from error

    def _taken(self, image: Any) -> Iterator[Frame]:
        sampler = Sampler(self.every if self.timed or self.every[1] else (0.0, 1))
        places = frame_times(image)
        for number, place in enumerate(places):
            image.seek(place)
            time = self.end
            if self.seconds is not None and time >= self.seconds:
                self.end = min(time, self.seconds)
                return
            pixels = frame_pixels(self.path, image)
            length = (image.info.get("duration") or 0) / 1000 if self.timed else 1.0
            self.count, self.end = number + 1, time + (length or UNSTATED)
            self.rate = self.count / self.end
            if sampler.takes(number, time):
                yield Frame(number, time, pixels)
