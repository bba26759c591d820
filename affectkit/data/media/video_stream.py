"""Videos of any length as a stream of frames: strictly decoded, upright, at their times, one at a time in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError

from affectkit.core.process import count_processors
from affectkit.data.media.file_end import find_file_end
from affectkit.data.media.file_ends.source import FileEnd
from affectkit.data.media.frame_decoder import FrameDecoder, Picture
from affectkit.data.media.frame_pixels import FrameConverter
from affectkit.data.media.media_file import (
    CUT,
    STATING,
    ClipError,
    check_clip_file,
    choose_tracks,
    is_one_of,
    open_media,
    read_packets,
    require_video,
    undecoded,
    unopened,
)
from affectkit.data.media.packet_times import PacketTimes, scan_container

TICK = 1e-6
"""Seconds by which the time of a frame may be off, at least; half a tick of the video's clock where that is more."""
MOST_THREADS = 4
LARGE = 640 * 480
"""Pixels of a picture up to which one thread decodes all: handing small ones from thread to thread takes longer."""

Every = tuple[float, int]
"""How often frames are taken: seconds, or where these are 0, frames."""


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        number: of the frame, from 0.
        time: seconds since the video begins, with its picture or its sound.
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

    Times are those of a player: 0 is where the file begins, with its picture or with its sound, so a picture that
    begins after the sound has a first time above 0 (sound that leads by less than ``packet_times.LEAD`` does not
    count). Large frames between those that are taken are decoded only as far as these need them.

    Args:
        every: how often frames are taken, as ``parse_every`` gives it; (0, 1): all of them. See ``Sampler``.
        seconds: frames at this time or later are left out, and the rest of the video is not read.
        whole: whether all frames are decoded, taken or not.

    Attributes:
        count: frames so far, taken or not.
        end: seconds at which the last one of them ends.
        start: time that is 0 here, by the video's own clock.
        picture_start, sound_start: seconds at which picture and sound begin; None without.
        rate: frames per second, on average; 0 before the first.
        sounds: whether there is a sound track.
        times: of the packets of the file; None before the first frame.

    Raises:
        ClipError: while iterating, after the frames that could be decoded: the file is missing, empty or no video, a
            frame or packet is damaged, or the video ends before the end that it states.
    """

    def __init__(
        self, path: Path, *, every: Every = (0.0, 1), seconds: float | None = None, whole: bool = False
    ) -> None:
        self.path, self.every, self.seconds, self.whole = Path(path), every, seconds, whole
        self._clear()

    def _clear(self) -> None:
        self.count, self.end, self.start, self.rate, self.sounds = 0, 0.0, 0.0, 0.0, False
        self.picture_start: float | None = None
        self.sound_start: float | None = None
        self._converter: FrameConverter | None = None
        self._decoder: FrameDecoder | None = None
        self.times: PacketTimes | None = None

    def __iter__(self) -> Iterator[Frame]:
        self._clear()
        check_clip_file(self.path, "video")
        ending = find_file_end(self.path)
        try:
            with open_media(self.path) as container:
                tracks = choose_tracks(container)
                require_video(self.path, tracks)
                times = scan_container(container, tracks, seconds=self.seconds)
            self.start, self.picture_start, self.sound_start = float(times.zero), times.picture_start, times.sound_start
            self.times = times
            with open_media(self.path) as container:
                tracks = choose_tracks(container)
                video = tracks.video
                self.rate = float(video.average_rate or video.guessed_rate or 0)
                self.sounds = tracks.sound is not None
                self._decoder = FrameDecoder(self.path, video, times, threads=_threads(video))
                self._converter = FrameConverter(video)
                yield from self._taken(container, self._decoder, ending)
        except FFmpegError as error:
            refuse_cut(ending, f"video {self.path}", self._so_far)
            if self.times is None:
                raise unopened(self.path, error) from error
            so_far = self._decoder.so_far if self._decoder is not None else self._so_far
            raise undecoded(f"video {self.path}: cannot be decoded {so_far}", error) from error

    @property
    def notes(self) -> list[str]:
        """Return what was inferred about the file rather than stated, put right, or done to its pictures."""
        found = list(self.times.notes) if self.times is not None else []
        found += self._converter.notes if self._converter is not None else []
        if self.seconds is not None and self.picture_start is not None and self.picture_start >= self.seconds:
            found.append(f"its picture begins at {self.picture_start:.1f} s, after the {self.seconds:g} s asked for")
        return found + (self._decoder.notes if self._decoder is not None else [])

    def _pixels(self, frame: Any) -> np.ndarray:
        try:
            return self._converter(frame)
        except ClipError as error:
            raise ClipError(error.reason, f"video {self.path}: {error.message}", error.hint) from error

    def _taken(self, container: Any, decoder: FrameDecoder, ending: FileEnd) -> Iterator[Frame]:
        video, times = decoder.video, decoder.times
        sampler = Sampler(self.every, max(float(video.time_base) / 2, TICK))
        planned = video.width * video.height > LARGE and self.every != (0.0, 1) and not self.whole
        tail = ending.whole is not True
        if planned and not decoder.begins_amid:
            self._plan(decoder, sampler.tolerance, tail=tail)
            planned = False
        for number, time, frame in _decoded(container, decoder):
            if planned:  # which pictures there are shows by the first
                self._plan(decoder, sampler.tolerance, tail=tail)
                planned = False
            if decoder.lost and not number:
                self.picture_start = time
            if self.seconds is not None and time >= self.seconds - sampler.tolerance:
                self.count, self.end = number, min(time, self.seconds)
                return
            self.count, self.end = decoder.count, decoder.end
            if sampler.takes(number, time):
                yield Frame(number, time, self._pixels(frame))
        self.count, self.end = decoder.count, decoder.end
        check_end(container, times, ending, f"video {self.path}", self._so_far)

    def _plan(self, decoder: FrameDecoder, tolerance: float, *, tail: bool) -> None:
        """Have the decoder leave out what the frames that will be taken do not need."""
        sampler, seconds = Sampler(self.every, tolerance), decoder.seconds().tolist()
        wanted = np.fromiter((sampler.takes(number, time) for number, time in enumerate(seconds)), bool, len(seconds))
        if self.seconds is not None:  # the first that is beyond ends it
            wanted |= np.arange(len(wanted)) == np.searchsorted(seconds, self.seconds - tolerance)
        decoder.leave_out(wanted, tail=tail)

    @property
    def _so_far(self) -> str:
        return f"after {self.end:.1f} s"


def check_end(container: Any, times: PacketTimes, ending: FileEnd, name: str, so_far: str) -> None:
    """Refuse a video that ends before its end: by its structure, or where this does not show it, by its length.

    Args:
        name: of the video, as messages begin.
        so_far: how far it goes, in words.

    Raises:
        ClipError: it is cut short, or cannot be read on.
    """
    refuse_cut(ending, name, so_far)
    if times.fault is not None:
        raise ClipError("undecodable", f"{name}: cannot be decoded {so_far} ({times.fault}).")
    if ending.whole is None and is_one_of(container, STATING) and times.length < times.stated - CUT:
        raise ClipError("truncated", f"{name}: cut short {so_far} of the {times.stated:.1f} s that it states.")


def refuse_cut(ending: FileEnd, name: str, so_far: str) -> None:
    """Raise a ClipError where the structure of a file shows that it was cut; see ``check_end``."""
    if ending.whole is False:
        raise ClipError("truncated", f"{name}: cut short {so_far}; {ending.reason}.")


def _decoded(container: Any, decoder: FrameDecoder) -> Iterator[Picture]:
    """Yield the pictures of a track, to the end of the file."""
    for packet in read_packets(container):
        if packet.stream_index == decoder.video.index and packet.size:
            yield from decoder.feed(packet)
    yield from decoder.finish()


def _threads(video: Any) -> int:
    """Return how many threads decode; the rest of the processors are the network's."""
    large = video.width * video.height > LARGE
    return max(min(MOST_THREADS, count_processors() // 2), 1) if large else 1
