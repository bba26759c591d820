"""Sound decoded and put in its place by its stamps: holes stay holes, jitter and drift of clocks are no holes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from av.error import FFmpegError

from affectkit.data.media.packet_times import CORRUPT, NONE, PacketTimes

STEP = 0.01
"""Seconds that a stamp may be off before it counts as a step. Matroska and FLV round to 1 ms, recorders jitter by more;
the shortest frame that is commonly lost lasts 20 ms."""
HOLD = 0.25
"""Seconds for which a step must last: until then it may be one wrong stamp."""
SLOW, SETTLED = 0.005, 0.0005
"""Seconds of mean difference at which sound begins to be stretched, and at which that ends."""
SMOOTH = 2.0
"""Seconds over which the difference is averaged."""
BEND = 0.005
"""How much of a frame sound is stretched by at most: 0.09 of a semitone."""


class SoundDecoder:
    """Decoder of a sound track that gives frames the times of the first pass.

    Args:
        track: PyAV's stream.
        times: of the file.

    Attributes:
        tick: seconds of a unit of its stamps.
        count: frames so far.
        lost: packets and frames that cannot be decoded, so far.
        layouts: of channels, that were met, by name.
    """

    def __init__(self, track: Any, times: PacketTimes) -> None:
        self.track = track
        self.tick = float(track.time_base)
        self.count = self.lost = 0
        self.layouts: dict[str, Any] = {}
        self._times = times.sound
        self._changed = times.changed
        self._next = 0

    def is_damaged(self, packet: Any) -> bool:
        """Return whether the next ``packet`` of the track is: not where files were joined there and it is whole."""
        return packet.is_corrupt and not (self._known() and not self._times.flags[self._next] & CORRUPT)

    def _known(self) -> bool:
        return self._times is not None and self._next < len(self._times)

    def feed(self, packet: Any, *, lenient: bool = False) -> Iterator[Any]:
        """Yield the frames that the next ``packet`` of the track brings out.

        Args:
            lenient: whether what cannot be decoded is counted and passed over.

        Raises:
            FFmpegError: the packet cannot be decoded.
        """
        damaged = self.is_damaged(packet)
        if self._changed and self._known():
            for name in ("pts", "dts"):
                stamp = int(getattr(self._times, name)[self._next])
                if stamp != NONE:
                    setattr(packet, name, stamp)
        self._next += 1
        if damaged and lenient:
            self.lost += 1
            return
        yield from self._frames(packet, lenient)

    def finish(self, *, lenient: bool = False) -> Iterator[Any]:
        """Yield the frames that are left at the end of the track."""
        yield from self._frames(None, lenient)

    def _frames(self, packet: Any, lenient: bool) -> Iterator[Any]:
        try:
            frames = self.track.codec_context.decode(packet)
        except FFmpegError:
            if not lenient:
                raise
            self.lost += 1
            return
        for frame in frames:
            if frame.is_corrupt and lenient:
                self.lost += 1
                continue
            frame.time_base = self.track.time_base  # which the decoder does not know at the end
            self.count += 1
            self.layouts.setdefault(frame.layout.name, frame.layout)
            yield frame


@dataclass(frozen=True)
class PlacedSound:
    """A decoded frame of sound and its place.

    Attributes:
        begin: time of the first sample, in seconds by the clock of the file.
        frame: PyAV's.
        extra: samples to add (below 0: to take away) by stretching the frame, as the clock of its samples and that of
            the file drift apart.
        joins: whether it begins where the one before ends.
    """

    begin: float
    frame: Any
    extra: int
    joins: bool


def place_sound(frames: Iterable[Any], *, step: float = STEP, stretch: bool = True) -> Iterator[PlacedSound]:
    """Yield decoded frames of sound with the place of each, in constant memory.

    Samples are counted, not stamps. A stamp that is off by more than ``step`` for at least ``HOLD`` seconds is a step:
    ahead, a hole as long; back, sound that was heard already (it is given its place all the same). A difference that
    grows slowly, as two clocks drift, is made up for by stretching sound a little.

    Args:
        frames: PyAV's, with their times in seconds, or None where they have none.
        step: at least a tick and a half of the frames' clock.
        stretch: whether drift is made up for; without, it becomes a step once it reaches one.
    """
    placer = _Placer(step, stretch)
    for frame in frames:
        if frame.samples:
            placer.add(frame.time, frame)
            yield from placer.ready()
    yield from placer.ready(last=True)


class _Placer:
    """State of ``place_sound``: where the last frame ended, and frames whose stamps are off, until it shows why."""

    def __init__(self, step: float, stretch: bool) -> None:
        self.step, self.stretch = step, stretch
        self._end: float | None = None
        self._stamp: float | None = None
        self._held: list[tuple[float, Any]] = []
        self._drift = self._owed = 0.0
        self._bending = False

    def add(self, time: float | None, frame: Any) -> None:
        if time is None:
            time = self._stamp if self._stamp is not None else 0.0
        self._stamp = time + frame.samples / frame.sample_rate
        self._held.append((time, frame))

    def ready(self, *, last: bool = False) -> Iterator[PlacedSound]:
        while self._held:
            time, frame = self._held[0]
            if self._end is None:
                yield self._placed(time, frame, joins=False)
                continue
            off = time - self._end
            if abs(off) <= self._allowed(frame):
                self._drift += (off - self._drift) * min(frame.samples / frame.sample_rate / SMOOTH, 1.0)
                yield self._placed(self._end, frame, joins=True)
                continue
            offs, lasting = self._differences()
            if abs(offs[-1]) > self._allowed(frame) and lasting < HOLD and not last:
                return
            lasts = abs(offs[-1]) > self._allowed(frame) and min(offs) * max(offs) > 0
            # The least of them: more may be missing behind this frame.
            yield self._placed(self._end + (min(offs, key=abs) if lasts else 0.0), frame, joins=not lasts)

    def _allowed(self, frame: Any) -> float:
        return max(self.step, 1.5 * float(frame.time_base or 0))

    def _differences(self) -> tuple[list[float], float]:
        """Return how far the stamps of the frames that are held are off, and how long these last."""
        offs, end = [], self._end
        for time, frame in self._held:
            offs.append(time - end)
            end += frame.samples / frame.sample_rate
        return offs, end - self._end

    def _placed(self, begin: float, frame: Any, *, joins: bool) -> PlacedSound:
        self._held.pop(0)
        if not joins:
            self._drift, self._bending = 0.0, False
        extra = self._bend(frame.samples) if self.stretch else 0
        self._end = begin + (frame.samples + extra) / frame.sample_rate
        self._drift -= extra / frame.sample_rate
        return PlacedSound(begin, frame, extra, joins)

    def _bend(self, samples: int) -> int:
        """Return by how many samples a frame is stretched."""
        self._bending = abs(self._drift) > (SETTLED if self._bending else SLOW)
        if not self._bending:
            self._owed = 0.0
            return 0
        self._owed += math.copysign(BEND * samples, self._drift)
        extra = int(self._owed)
        self._owed -= extra
        return extra
