"""Decode the pictures of a track strictly, in the order in which they are shown, each with its number and time."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from av.error import FFmpegError

from affectkit.core.text import count_text
from affectkit.data.media.decoding_plan import (
    DECODED,
    LEFT_OUT,
    PLANNED,
    REFERENCES,
    WITHIN,
    has_layers,
    is_disposable,
    plan_decoding,
)
from affectkit.data.media.media_file import ClipError
from affectkit.data.media.packet_times import CORRUPT, DISCARDED, HEADED, KEY, NONE, PacketTimes


class Picture(NamedTuple):
    """A decoded picture: its number from 0, seconds on the file's clock from its beginning, PyAV's frame."""

    number: int
    time: float
    frame: Any


class FrameDecoder:
    """Decode a track packet by packet.

    Args:
        path: of the file, for messages.
        video: PyAV's stream.
        times: what the first pass found.
        what: kind of file, for messages.
        threads: that decode.

    Attributes:
        count: pictures that came out, or were passed over before these.
        end: seconds at which the last one ends.
        unstamped: pictures without a time stamp, which follow the one before.
        lost: pictures at the beginning that cannot be decoded, since what they refer to is not in the file.
    """

    def __init__(self, path: Path, video: Any, times: PacketTimes, *, what: str = "video", threads: int = 1) -> None:
        self.path, self.video, self.times, self.what = path, video, times, what
        self.count, self.end, self.unstamped, self.lost = 0, 0.0, 0, 0
        self.context = video.codec_context
        video.thread_type, video.thread_count = "AUTO", threads
        self._track = times.video
        self._tick = Fraction(video.time_base)
        zero = times.zero / self._tick
        self._zero = int(zero) if zero.denominator == 1 else float(zero)
        self._reordered_slots = times.slotted and self.context.reorder_depth > 0
        self._time = -math.inf
        self._next = 0
        self._plan: np.ndarray | None = None
        self._at = np.zeros(0, np.int64)
        self._due: list[int] = []  # numbers of the wanted pictures that are still to come, the next one last
        self._fed = False
        self._excused: set[int | None] = set()

    @property
    def so_far(self) -> str:
        """Return how far the pictures go, in words."""
        return f"after {self.end:.1f} s"

    @property
    def notes(self) -> list[str]:
        """Return what a user should know of the pictures that came out, and of those that did not."""
        found = []
        if self.lost:
            lost = count_text(self.lost, "picture")
            found.append(f"{lost} at the beginning left out: the key frame before was cut off")
        if self.unstamped:
            found.append(f"{count_text(self.unstamped, 'picture')} without a time follow the one before")
        return found

    @property
    def begins_amid(self) -> bool:
        """Return whether the track does not begin with a picture that stands by itself, so that some may be lost."""
        track, pictures = self._track, self.times.pictures
        if not len(track) or not len(pictures) or self.times.slotted:
            return False
        return not track.flags[0] & KEY or self._stamps()[0] > pictures[0]

    def seconds(self) -> np.ndarray:
        """Return the times of all pictures as the packets state them, less those that were lost, float64 (n,)."""
        return (self.times.pictures - self._zero) * self._tick.numerator / self._tick.denominator

    def leave_out(self, wanted: np.ndarray, *, tail: bool) -> None:
        """Decode no more than what the ``wanted`` pictures need, bool (n,); does nothing where that is not known.

        Args:
            tail: whether the end is decoded in any case.
        """
        track, pictures = self._track, self.times.pictures
        progressive = self.context.name not in WITHIN or self.context.field_order <= 1
        if self.context.name not in PLANNED or self._reordered_slots or not progressive or len(wanted) != len(pictures):
            return
        if not len(pictures) or not self._stands_by_itself(track):
            return
        stamps = self._stamps()
        shown = np.flatnonzero((track.flags & DISCARDED == 0) & (stamps != NONE) & (stamps >= pictures[0]))
        if len(shown) != len(pictures) or len(np.unique(pictures)) != len(pictures):
            return
        flags = np.zeros(len(track), bool)
        flags[shown[np.argsort(stamps[shown], kind="stable")[wanted]]] = True
        plan = plan_decoding(self._entries(), stamps, flags, tail=tail)
        if self.context.name not in WITHIN or has_layers(self.context.name, self.context.extradata):
            plan[plan == REFERENCES] = DECODED
        if (plan != plan.max()).any():
            self._plan, self._at = plan, stamps
            numbers = np.flatnonzero(wanted)
            self._due = numbers[numbers >= self.count].tolist()[::-1]

    def _entries(self) -> np.ndarray:
        """Return at which packets decoding can begin, bool (n,)."""
        return (self._track.flags & KEY) > 0

    def _stands_by_itself(self, track: Any) -> bool:
        """Return whether each entry states how its pictures are coded, or none but the first does so that it holds for
        all."""
        headed, entries = (track.flags[1:] & HEADED) > 0, (track.flags[1:] & KEY) > 0
        return not headed.any() or bool(headed[entries].all())

    def feed(self, packet: Any) -> Iterator[Picture]:
        """Yield the pictures that the next ``packet`` of the track brings out.

        Raises:
            ClipError: the packet or a picture is damaged; what came before has been yielded.
            FFmpegError: it cannot be decoded, likewise.
        """
        number = self._next
        self._next += 1
        action = self._plan[number] if self._plan is not None and number < len(self._plan) else DECODED
        if self._plan is not None and not self._fed and number < len(self._at):  # what was left out is behind
            self.end = max(self.end, (int(self._at[number]) - self._zero) * float(self._tick))
        self._set_times(packet, number)
        if packet.is_corrupt and packet.pts not in self._excused:  # left out or not: pictures may lack
            yield from self._held(packet)
            raise ClipError("truncated", f"{self.what} {self.path}: damaged or cut short {self.so_far}.")
        if action == LEFT_OUT:
            yield from self._end_group()
            return
        if action == REFERENCES and is_disposable(packet, self.context.name):
            return
        self._fed = True
        try:
            frames = packet.decode()
        except FFmpegError:
            yield from self._held(packet)
            raise
        yield from self._pictures(frames)

    def finish(self) -> Iterator[Picture]:
        """Yield the pictures that are left at the end of the track."""
        if self._fed:
            yield from self._pictures(self.context.decode(None))
        if self._plan is not None and len(self.times.pictures):
            self._require(len(self.times.pictures))
            self.count = len(self.times.pictures)
            last = int(np.argmax(self._stamps()))
            self.end = float(self.seconds()[-1]) + (int(self._track.lengths[last]) * float(self._tick) or self._usual)
        if not self.count:
            raise ClipError("undecodable", f"{self.what} {self.path}: no frame can be decoded.")

    def _stamps(self) -> np.ndarray:
        """Return when each packet is shown, in ticks, or decoded where that is not stated; int64 (n,)."""
        return np.where(self._track.pts == NONE, self._track.dts, self._track.pts)

    def _set_times(self, packet: Any, number: int) -> None:
        """Give a packet the stamps that were put right; keep in mind which is whole though FFmpeg calls it damaged."""
        if number >= len(self._track):
            return
        if self.times.changed:
            for name in ("pts", "dts"):
                stamp = int(getattr(self._track, name)[number])
                if stamp != NONE:
                    setattr(packet, name, stamp)
        if packet.is_corrupt and not self._track.flags[number] & CORRUPT:
            self._excused.add(packet.pts)

    def _end_group(self) -> Iterator[Picture]:
        """Yield what the decoder holds before packets are left out, and have it begin anew after."""
        if self._fed:
            yield from self._pictures(self.context.decode(None))
            self.context.flush_buffers()
            self._fed = False

    def _held(self, packet: Any) -> Iterator[Picture]:
        """Yield the pictures before a broken ``packet`` that the decoder has not given yet."""
        try:
            frames = self.context.decode(None)
        except FFmpegError:
            return
        for frame in frames:
            if frame.is_corrupt or None in (frame.pts, packet.pts) or frame.pts >= packet.pts:
                return
            yield self._placed(frame)

    def _pictures(self, frames: Any) -> Iterator[Picture]:
        for frame in frames:
            if frame.is_corrupt and frame.pts not in self._excused:
                raise ClipError("undecodable", f"{self.what} {self.path}: a frame is damaged {self.so_far}.")
            yield self._placed(frame)

    def _require(self, number: int) -> None:
        """Refuse to go on to picture ``number`` if a wanted one before it did not come out.

        A decoder that begins anew at a damaged entry gives nothing up to the next one, and says nothing.
        """
        if self._due and self._due[-1] < number:
            self.count, self.end = self._due[-1], float(self.seconds()[self._due[-1]])
            raise ClipError("undecodable", f"{self.what} {self.path}: a frame is damaged {self.so_far}.")
        if self._due and self._due[-1] == number:
            self._due.pop()

    def _placed(self, frame: Any) -> Picture:
        """Return the next picture, counted in."""
        frame.time_base = self.video.time_base  # which a decoder that is asked by itself does not know
        stamp = frame.dts if self.times.slotted else frame.pts
        if not self.count and self._plan is None and stamp is not None and self.begins_amid:
            self.lost = int(np.searchsorted(self.times.pictures, stamp))
            self.times.pictures = self.times.pictures[self.lost :]
        number, pictures = self.count, self.times.pictures
        if self._plan is not None and stamp is not None:
            number = max(int(np.searchsorted(pictures, stamp)), number)
            self._require(number)
        if self._reordered_slots or (stamp is None and self.times.slotted):
            stamp = int(pictures[number]) if number < len(pictures) else None
        if stamp is None:
            self.unstamped += 1
            time = self.end
        else:
            time = max((stamp - self._zero) * self._tick.numerator / self._tick.denominator, self._time)
        self.count, self._time = number + 1, time
        self.end = time + (frame.duration * self._tick.numerator / self._tick.denominator or self._usual)
        return Picture(number, time, frame)

    @functools.cached_property
    def _usual(self) -> float:
        """Return how long a picture is shown where nothing states it, in seconds."""
        if self.video.average_rate:
            return float(1 / self.video.average_rate)
        gaps = np.diff(self.times.pictures)
        return float(np.median(gaps[gaps > 0])) * float(self._tick) if (gaps > 0).any() else 0.0
