"""Videos of any length as a stream of frames: strictly decoded, upright, one at a time in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError
from av.stream import Disposition

from affectkit.core.process import count_processors
from affectkit.data.media.frame_pixels import FrameConverter
from affectkit.data.media.video_clip import (
    CUT,
    ClipError,
    check_clip_file,
    clip_duration,
    count_missing_bytes,
    open_video,
)

TICK = 1e-6
"""Seconds by which the time of a frame may be off, at least; half a tick of the video's clock where that is more."""
STATING = {"mov", "mp4", "matroska", "webm", "flv", "avi", "asf"}
"""Containers that state how long the video is; of others FFmpeg guesses it."""
MOST_THREADS = 4
LARGE = 640 * 480
"""Pixels of a picture up to which one thread decodes: handing small ones from thread to thread takes longer."""

Every = tuple[float, int]
"""How often frames are taken: seconds, or where these are 0, frames."""


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        number: of the frame, from 0.
        time: seconds since the first frame.
        pixels: uint8 (H, W, 3), RGB, upright.
    """

    number: int
    time: float
    pixels: np.ndarray


class Sampler:
    """Choice of the frames of a stream that are taken.

    By seconds S the first one at or after each k S, k = 0, 1, ...: a picture stands for several k where frames are
    further apart than S, and is taken once. By frames N the numbers 0, N, 2 N, ...; where some were lost, the first one
    after.

    >>> sampler = Sampler((0.5, 0))
    >>> [time for time in (0.0, 0.3, 0.6, 0.9, 1.0, 2.2, 2.3, 2.5) if sampler.takes(0, time)]
    [0.0, 0.6, 1.0, 2.2, 2.5]
    """

    def __init__(self, every: Every, tolerance: float = TICK) -> None:
        self.seconds, self.frames = every
        self.tolerance = tolerance
        self._next = 0

    def takes(self, number: int, time: float) -> bool:
        """Return whether the picture ``number`` at ``time`` seconds is one; ask once for each, in order."""
        place = math.floor((time + self.tolerance) / self.seconds) if self.seconds else number // self.frames
        if place < self._next:
            return False
        self._next = place + 1
        return True


class VideoStream:
    """The frames of a video file, from the first one whenever iterated over.

    Args:
        every: how often frames are taken, as ``parse_every`` gives it; (0, 1): all of them. See ``Sampler``.
        seconds: frames at this time or later are left out, and the rest of the video is not read.

    Attributes:
        count: frames decoded so far, taken or not.
        end: seconds from the first frame to the end of the last one.
        start: time of the first frame by the video's own clock.
        rate: frames per second, on average; 0 before the
            first.
        sounds: whether there is a sound track.

    Raises:
        ClipError: while iterating, after the frames that could be decoded: the file is missing, empty or no video, a
            frame or packet is damaged, or the video ends before the end that it states.
    """

    def __init__(self, path: Path, *, every: Every = (0.0, 1), seconds: float | None = None) -> None:
        self.path, self.every, self.seconds = Path(path), every, seconds
        self._clear()

    def _clear(self) -> None:
        self.count, self.end, self.start, self.rate, self.sounds = 0, 0.0, 0.0, 0.0, False
        self._zero: float | None = None
        self._last = 0.0

    def __iter__(self) -> Iterator[Frame]:
        self._clear()
        check_clip_file(self.path)
        try:
            with open_video(self.path) as container:
                video = self._chosen(container)
                yield from self._taken(container, video)
        except FFmpegError as error:
            why = (error.strerror or str(error)).lower()
            raise ClipError("undecodable", f"video {self.path}: cannot be decoded {self._so_far()} ({why}).") from error

    def _chosen(self, container: Any) -> Any:
        """Return the stream of frames; the cover of a song is none."""
        streams = [video for video in container.streams.video if not video.disposition & Disposition.attached_pic]
        if not streams:
            raise ClipError("no-video", f"video {self.path}: has no video stream.")
        large = streams[0].width * streams[0].height > LARGE
        threads = max(min(MOST_THREADS, count_processors() // 2), 1) if large else 1  # the rest are the network's
        streams[0].thread_type, streams[0].thread_count = "AUTO", threads
        self.rate = float(streams[0].average_rate or streams[0].guessed_rate or 0)
        self.sounds = bool(container.streams.audio)
        return streams[0]

    def _taken(self, container: Any, video: Any) -> Iterator[Frame]:
        tick = float(video.time_base) / 2 if video.time_base else 0.0
        sampler, converter = Sampler(self.every, max(tick, TICK)), FrameConverter(video)
        for frame in self._frames(container, video):
            number, time = self._placed(frame, video)
            if self.seconds is not None and time >= self.seconds - sampler.tolerance:
                self.count, self.end = number, min(time, self.seconds)
                return
            if sampler.takes(number, time):
                yield Frame(number, time, converter(frame))
        if not self.count:
            raise ClipError("undecodable", f"video {self.path}: no frame can be decoded.")

    def _placed(self, frame: Any, video: Any) -> tuple[int, float]:
        """Return number and time of the next frame, counted in."""
        number, length = self.count, clip_duration(frame, video)
        if frame.pts is None:
            time = self.end
        else:
            own = float(frame.pts * frame.time_base)
            if self._zero is None:
                self._zero = self.start = own
            time = own - self._zero
            if number and time <= self._last:  # clocks of videos put together start again
                self._zero, time = own - self.end, self.end
        self.count, self._last, self.end = number + 1, time, time + length
        return number, time

    def _frames(self, container: Any, video: Any) -> Iterator[Any]:
        """Yield all frames, in the order in which they are shown, to the end of the file."""
        packets, last = 0, 0.0
        for packet in container.demux():
            if packet.is_corrupt:
                yield from self._held(video, packet)
                raise ClipError("truncated", f"video {self.path}: damaged or cut short {self._so_far()}.")
            if packet.pts is not None and packet.time_base:
                last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index != video.index:
                continue
            packets += packet.size > 0
            try:
                frames = packet.decode()
            except FFmpegError:
                yield from self._held(video, packet)
                raise
            for frame in frames:
                self._refuse_damaged(frame)
                yield frame
        self._check_end(container, video, packets, last)

    def _held(self, video: Any, packet: Any) -> Iterator[Any]:
        """Yield the frames before a broken ``packet`` that the decoder has not given yet."""
        try:
            frames = video.codec_context.decode(None)
        except FFmpegError:
            return
        for frame in frames:
            if frame.is_corrupt or None in (frame.pts, packet.pts) or frame.pts >= packet.pts:
                return
            frame.time_base = video.time_base  # which the decoder, asked by itself, does not know
            yield frame

    def _refuse_damaged(self, frame: Any) -> None:
        if frame.is_corrupt:
            raise ClipError("undecodable", f"video {self.path}: a frame is damaged {self._so_far()}.")

    def _check_end(self, container: Any, video: Any, packets: int, last: float) -> None:
        """Refuse a video that ends before its end: by the time that it states, its frames, or its last piece."""
        if (lacking := count_missing_bytes(self.path)) is not None:
            raise ClipError(
                "truncated",
                f"video {self.path}: cut short {self._so_far()}; its last piece lacks {lacking:,} bytes.",
            )
        if not STATING & set(container.format.name.split(",")):
            return
        stated = container.duration / 1e6 if container.duration else 0.0
        ended = last - (container.start_time or 0) / 1e6
        if ended < stated - CUT:
            raise ClipError(
                "truncated", f"video {self.path}: cut short {self._so_far()} of the {stated:.1f} s that it states."
            )
        if self.rate and (video.frames - packets) / self.rate > CUT:
            raise ClipError(
                "truncated",
                f"video {self.path}: cut short {self._so_far()}; of {video.frames:,} frames it holds {packets:,}.",
            )

    def _so_far(self) -> str:
        return f"after {self.end:.1f} s"
