"""The times of a video file's packets on one clock, by a first pass that decodes nothing.

Time stamps are what the file states, on the clock that picture and sound share. Where files were joined, or the clock
of a recorder was set, it jumps: each jump is taken out, so that times go on. Single stamps out of line are put in line.
Equal stamps stay equal.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError
from av.format import Flags

from affectkit.core.text import count_text
from affectkit.data.media.decoding_plan import entry_flags
from affectkit.data.media.media_file import (
    Tracks,
    choose_tracks,
    is_one_of,
    open_media,
    read_packets,
    reason_of,
    stated_seconds,
)

NONE = -(2**63)
"""In place of a time stamp that is not stated."""
LONGEST = 2**31 - 1
"""Ticks of a packet, at most."""
LEAD = 0.1
"""Seconds by which sound may begin before the picture and not count: encoders put up to 0.06 s of silence first."""
FAR = 10.0
"""Seconds of a gap from which a transport or program stream's clock has been set anew, as FFmpeg's own program takes it
(its option ``dts_delta_threshold``); other containers may leave gaps of any length."""
PAUSE = 100
"""Usual steps from which a gap that long is reported."""
TURN = 2**33
"""Ticks of 1/90000 s after which the clock of a transport or program stream begins anew (ISO/IEC 13818-1, 2.4.3.7)."""
RUN = 12
"""Packets in a row, at most, whose stamps are taken for wrong where those before and after agree."""
REGULAR = 0.8
"""Share of a track's steps that are usual ones, from which it counts as of constant rate."""
TOGETHER = 1.0
"""Seconds by which the jumps of two tracks may differ to be one jump of their clock."""
BEHIND = 10.0
"""Seconds of packets that are read after a limit, since they do not stand in the order in which they are shown."""
KEY, DISCARDED, CORRUPT, HEADED = 1, 2, 4, 8
WITHOUT_TIMES = {"avi"}
"""Containers that state no time of a picture, but slots in which packets follow each other."""
UNSTORED = {"matroska", "webm", "nut"}
"""Containers that state when a picture is shown alone; FFmpeg guesses when it is decoded, at first wrongly."""
JOINT = 16
"""Packets before a jump of the clock that FFmpeg may call damaged since the counters of a stream begin anew there."""


@dataclass
class TrackTimes:
    """Hold what is known of the packets of a track, in the order of the file; those without data left out.

    Attributes:
        tick: seconds of a unit of its stamps.
        dts, pts: of decoding and of showing, in ticks, ``NONE`` where not stated; int64 (n,) once frozen.
        lengths: how long each is shown, in ticks, 0 where not stated; int32 (n,).
        flags: ``KEY`` (decoding can begin there), ``DISCARDED`` (not to be shown), ``CORRUPT`` and ``HEADED`` (states
            anew how pictures are coded), uint8 (n,).
        places: in the file, counted in packets of all tracks, int64 (n,).
    """

    tick: Fraction
    dts: Any = field(default_factory=lambda: array("q"))
    pts: Any = field(default_factory=lambda: array("q"))
    lengths: Any = field(default_factory=lambda: array("i"))
    flags: Any = field(default_factory=bytearray)
    places: Any = field(default_factory=lambda: array("q"))

    def add(self, packet: Any, place: int, codec: str) -> None:
        """Add a packet of ``codec``."""
        self.dts.append(NONE if packet.dts is None else packet.dts)
        self.pts.append(NONE if packet.pts is None else packet.pts)
        self.lengths.append(min(packet.duration or 0, LONGEST))
        entry, headed = entry_flags(packet, codec)
        self.flags.append(KEY * entry | DISCARDED * packet.is_discard | CORRUPT * packet.is_corrupt | HEADED * headed)
        self.places.append(place)

    def freeze(self) -> None:
        """Make arrays of what was added, which share its memory."""
        self.dts, self.pts, self.places = (
            np.frombuffer(values, np.int64) for values in (self.dts, self.pts, self.places)
        )
        self.lengths, self.flags = np.frombuffer(self.lengths, np.int32), np.frombuffer(self.flags, np.uint8)

    def __len__(self) -> int:
        return len(self.dts)

    def shown(self) -> np.ndarray:
        """Return when each packet that is shown is, in ticks: stated, or else by its decoding; int64 (m,)."""
        stamps = np.where(self.pts == NONE, self.dts, self.pts)
        return stamps[(self.flags & DISCARDED == 0) & (stamps != NONE)]

    def decoding(self) -> np.ndarray:
        """Return when each packet is decoded, in ticks, those not stated as the one before; int64 (n,)."""
        stamps = self.dts if (self.dts != NONE).any() else self.pts
        stated = stamps != NONE
        if stated.all():
            return stamps
        known = np.flatnonzero(stated)
        if not len(known):
            return np.zeros(len(stamps), np.int64)
        return stamps[known[np.maximum(np.searchsorted(known, np.arange(len(stamps)), side="right") - 1, 0)]]

    def end(self) -> float:
        """Return the seconds at which the last packet ends by its stamps; minus infinity where there are none."""
        stamps = np.where(self.pts == NONE, self.dts, self.pts)
        known = stamps != NONE
        return float((stamps[known] + self.lengths[known]).max() * self.tick) if known.any() else -np.inf

    def shift(self, first: int, last: int, ticks: int) -> None:
        """Add ``ticks`` to the stamps of the packets ``first`` to ``last`` - 1."""
        for stamps in (self.dts, self.pts):
            part = stamps[first:last]
            part[part != NONE] += ticks


@dataclass
class PacketTimes:
    """Hold what the first pass over a file found.

    Attributes:
        video, sound: times of the tracks that are read, on one clock; None where there is no such track.
        pictures: when the pictures are shown, in ticks of the video's clock, in order; int64 (n,).
        slotted: whether these are slots of packets, the container stating no times of pictures.
        zero: seconds of that clock that are Time 0: where the file begins.
        picture_start, sound_start: seconds from there to the first picture and sound; None without.
        stated: seconds that the container says the file has; 0 where it does not.
        length: seconds from the beginning to the end of the last packet, by the stamps as the file has them.
        seconds: likewise from Time 0, by the stamps put right.
        complete: whether the pass went to the end of the file, or to where it can be read.
        fault: why it cannot be read on.
        changed: whether stamps were put right.
        notes: what was inferred or put right.
    """

    video: TrackTimes | None
    sound: TrackTimes | None
    pictures: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    slotted: bool = False
    zero: Fraction = Fraction(0)
    picture_start: float | None = None
    sound_start: float | None = None
    stated: float = 0.0
    length: float = 0.0
    seconds: float = 0.0
    complete: bool = True
    fault: str | None = None
    changed: bool = False
    notes: list[str] = field(default_factory=list)


def scan_packets(path: Path, *, seconds: float | None = None) -> PacketTimes:
    """Return the times of the packets of the video file ``path``.

    Args:
        seconds: how much of the file is read, roughly; None: all.

    Raises:
        FFmpegError: the file cannot be opened.
    """
    with open_media(path) as container:
        tracks = choose_tracks(container)
        return scan_container(container, tracks, seconds=seconds)


def scan_container(container: Any, tracks: Tracks, *, seconds: float | None = None) -> PacketTimes:
    """Return the times of the packets of an opened file, which is at its end then."""
    read = [stream for stream in (tracks.video, tracks.sound) if stream]
    by_index = {stream.index: TrackTimes(Fraction(stream.time_base)) for stream in read}
    video, sound = (by_index.get(stream.index) if stream else None for stream in (tracks.video, tracks.sound))
    found = PacketTimes(video, sound, notes=list(tracks.notes))
    codecs = {stream.index: stream.codec_context.name for stream in read}
    start = (container.start_time or 0) / 1e6
    limit = None if seconds is None else start + seconds + BEHIND
    try:
        for place, packet in enumerate(read_packets(container)):
            track = by_index.get(packet.stream_index)
            if track is None or not packet.size:  # closing packets carry no data, and the index of another track
                continue
            track.add(packet, place, codecs[packet.stream_index])
            if limit is not None and packet.dts is not None and packet.dts * track.tick > limit:
                found.complete = False
                break
    except FFmpegError as error:
        found.fault = reason_of(error)
    for track in by_index.values():
        track.freeze()
    found.stated = stated_seconds(container, start)
    found.length = max([0.0, *(track.end() - start for track in by_index.values())])
    found.slotted = is_one_of(container, WITHOUT_TIMES)
    if found.slotted and video is not None:
        video.pts[:] = NONE  # what FFmpeg makes up
    if video is not None and is_one_of(container, UNSTORED) and not (video.pts == NONE).any():
        video.dts = _decoding_order(video.pts)
    _put_right(found, set_anew=bool(container.format.flags & Flags.ts_discont.value))
    if video is not None and is_one_of(container, {"ogg"}):
        found.changed |= _end_pages(video, tracks.video)
    delay = tracks.video.codec_context.reorder_depth if found.slotted and tracks.video else 0
    # Silence that an encoder put first and the file names is not heard; FFmpeg's start of the track is after it.
    heard = tracks.sound.start_time if tracks.sound is not None and tracks.sound.start_time is not None else NONE
    _begin(found, delay=delay, heard=heard)
    found.seconds = max([0.0, *(track.end() - float(found.zero) for track in by_index.values())])
    return found


def _begin(found: PacketTimes, *, delay: int, heard: int) -> None:
    """Set when pictures are shown, and where the file begins."""
    video, sound = found.video, found.sound
    if video is not None and len(video):
        if found.slotted:
            found.pictures = _slots(video.decoding(), delay)
            if delay:
                found.notes.append("the container states no times of pictures: the slots of its packets are used")
        else:
            found.pictures = np.sort(video.shown())
    first = int(found.pictures[0]) * video.tick if len(found.pictures) else None
    stamps = sound.shown() if sound is not None else ()
    begins = max(int(stamps.min()), heard) * sound.tick if len(stamps) else None
    found.zero = min((start for start in (first, begins) if start is not None), default=Fraction(0))
    if first is not None and begins is not None and 0 <= first - begins < LEAD:
        found.zero = first
    if (still := int((np.diff(found.pictures) == 0).sum())) > len(found.pictures) / 2:
        found.notes.append(f"{still:,} of {len(found.pictures):,} pictures have the time of the one before")
    gaps = np.diff(found.pictures)
    if len(gaps) and gaps.max() * video.tick > FAR and gaps.max() > PAUSE * _usual(gaps):
        pause, at = float(gaps.max() * video.tick), float(found.pictures[gaps.argmax()] * video.tick - found.zero)
        found.notes.append(f"its times leave out {pause:,.0f} s after {at:,.1f} s: taken as a pause")
    found.picture_start = None if first is None else float(first - found.zero)
    found.sound_start = None if begins is None else float(begins - found.zero)


def _end_pages(track: TrackTimes, stream: Any) -> bool:
    """Give pictures of an Ogg file the times that its pages mean; return whether that changed any.

    A page states when the last of its pictures ends. FFmpeg counts on from there, so that what comes after a gap is
    said to begin before it: a picture begins where the next one is said to, less its length.
    """
    usual = _usual(np.diff(track.decoding()))
    if not usual or len(track) < 2 or (track.pts == NONE).any():
        return False
    last = track.pts[-1]
    if stream.duration is not None and stream.start_time is not None:
        last = max(last, stream.start_time + stream.duration - usual)
    true = np.append(track.pts[1:] - usual, last)
    differs = bool((true != track.pts).any())
    track.pts, track.dts = true, true.copy()
    return differs


def _decoding_order(shown: np.ndarray) -> np.ndarray:
    """Return stamps of decoding for packets that state when they are shown alone; int64 (n,).

    Pictures that are decoded after one that is shown later are still shown after all before that one. So one that is
    not begins a new part, and within a part stamps of decoding are those of showing in order.
    """
    starts, highest, before = [0], NONE, NONE
    for place, stamp in enumerate(shown.tolist()):
        if stamp < before:
            starts.append(place)
            highest = before = stamp
        elif stamp >= highest:
            highest, before = stamp, highest
    return np.concatenate([np.sort(part) for part in np.split(shown, starts[1:])])


def _slots(decoding: np.ndarray, delay: int) -> np.ndarray:
    """Return when pictures are shown whose packets state slots alone, int64 (n,).

    An encoder that reorders pictures hands the k-th of them on, in the order of decoding, when the one ``delay`` later
    comes in; the slot is of that moment. So picture k is shown at slot k + delay, less what the first one waited.
    """
    if not delay or len(decoding) <= delay:
        return decoding
    usual = _usual(np.diff(decoding))
    after = decoding[-1] + usual * np.arange(1, delay + 1)
    return np.concatenate([decoding[delay:], after]) - decoding[delay] + decoding[0]


def _usual(gaps: np.ndarray) -> int:
    """Return the median of the steps forward in ``gaps``, ticks; 0 where there is none."""
    forward = gaps[gaps > 0]
    return int(np.median(forward)) if len(forward) else 0


Jump = tuple[int, int, float]
"""Where a track's clock was set anew: number of the packet, place in the file, and the seconds that it lacks."""


def _put_right(found: PacketTimes, *, set_anew: bool) -> None:
    """Put single stamps in line, and take jumps of the clock out.

    Args:
        set_anew: whether the container allows its clock to be set anew.
    """
    turned = set_anew and _unwrap([track for track in (found.video, found.sound) if track is not None and len(track)])
    jumps: dict[str, list[Jump]] = {"video": [], "sound": []}
    lone = 0
    for name in jumps:
        track = getattr(found, name)
        if track is None or len(track) < 3:
            continue
        runs, jumps[name] = _find_jumps(track, set_anew=set_anew)
        for first, last, ticks in runs:
            track.shift(first, last, ticks)
            lone += last - first
    set_times = 0
    for index, place, own in jumps["video"]:
        partner, seconds = _partner(jumps["sound"], place, own), own
        if partner is not None:
            jumps["sound"].remove(partner)
            # What comes after begins where both tracks have ended.
            seconds = partner[2] if partner[2] - own > LEAD else own
            found.sound.shift(partner[0], len(found.sound), round(seconds / found.sound.tick))
        elif own < TOGETHER and (not set_anew or (found.sound is not None and _goes_on(found.sound, place))):
            continue  # the sound goes on: pictures stay where they are stated, so that they stand beside it
        elif found.sound is not None and not _goes_on(found.sound, place):
            first = int(np.searchsorted(found.sound.places, place))
            found.sound.shift(first, len(found.sound), round(seconds / found.sound.tick))
        found.video.shift(index, len(found.video), round(seconds / found.video.tick))
        _excuse(found, place)
        set_times += 1
    for index, _, seconds in jumps["sound"]:
        found.sound.shift(index, len(found.sound), round(seconds / found.sound.tick))
    if set_times:
        found.notes.append(f"its clock was set anew {_times(set_times)}: the times go on")
    if jumps["sound"]:
        found.notes.append(f"the clock of its sound was set anew {_times(len(jumps['sound']))}: the times go on")
    if lone:
        found.notes.append(f"{count_text(lone, 'time stamp')} out of line put in line")
    found.changed = bool(turned or lone or set_times or jumps["sound"])


def _unwrap(tracks: Sequence[TrackTimes]) -> bool:
    """Have the clocks of ``tracks`` go on, in step, where they turn over (``TURN``); return whether any did."""
    if any(track.tick != Fraction(1, 90_000) for track in tracks):
        return False
    changed, first = False, None
    for track in tracks:
        stamps = track.decoding()
        first = stamps[0] if first is None else first
        turns = np.cumsum(np.rint(np.diff(stamps, prepend=first) / TURN)).astype(np.int64)
        for kind in (track.dts, track.pts):
            known = kind != NONE
            kind[known] -= turns[known] * TURN
        beside = (track.pts != NONE) & (track.dts != NONE)
        apart = np.rint((track.pts - track.dts) / TURN).astype(np.int64)
        track.pts[beside] -= apart[beside] * TURN
        changed = changed or bool(turns.any()) or bool(apart[beside].any())
    return changed


def _find_jumps(track: TrackTimes, *, set_anew: bool) -> tuple[list[tuple[int, int, int]], list[Jump]]:
    """Return runs of stamps out of line (first, last + 1, ticks to add), and jumps of the clock."""
    stamps = track.decoding()
    gaps = np.diff(stamps)
    usual = _usual(gaps)
    ahead = gaps > FAR / track.tick if set_anew else np.zeros(len(gaps), bool)
    suspect = np.flatnonzero((gaps < 0) | ahead)
    if not usual or not len(suspect):
        return [], []
    regular = float((np.abs(gaps - usual) <= usual * 0.1 + 1).mean()) >= REGULAR
    runs: list[tuple[int, int, int]] = []
    jumps: list[Jump] = []
    done = -1
    for at in suspect.tolist():
        if at <= done:
            continue
        run = _run_out_of_line(stamps, at, usual, regular=regular)
        if run is None:
            jumps.append((at + 1, int(track.places[at + 1]), float((usual - int(gaps[at])) * track.tick)))
        else:
            runs.append(run)
            done = run[1] - 1
    return runs, jumps


def _run_out_of_line(stamps: np.ndarray, at: int, usual: int, *, regular: bool) -> tuple[int, int, int] | None:
    """Return the packets out of line at a step from ``at`` to the next, if those around them agree; see ``RUN``."""
    beside = np.diff(stamps[max(at - RUN, 0) : at + RUN + 2]) - usual
    here = min(at, RUN)
    slack = usual // 2 + 2
    after, before = np.cumsum(beside[here:]), np.cumsum(beside[here::-1])
    lasting = np.flatnonzero(np.abs(after[1:]) <= slack)
    if len(lasting):
        return at + 1, at + 2 + int(lasting[0]), -int(beside[here])
    earlier = np.flatnonzero(np.abs(before[1:]) <= slack)
    if len(earlier) and beside[here] < 0:
        length = int(earlier[0]) + 1
        return at + 1 - length, at + 1, -int(beside[here - length])
    if regular or beside[here] > 0:
        return None
    if at + 2 < len(stamps) and stamps[at + 2] > stamps[at]:
        return at + 1, at + 2, int((stamps[at] + stamps[at + 2]) // 2 - stamps[at + 1])
    if at and stamps[at + 1] > stamps[at - 1]:
        return at, at + 1, int((stamps[at - 1] + stamps[at + 1]) // 2 - stamps[at])
    return None


def _partner(jumps: list[Jump], place: int, seconds: float) -> Jump | None:
    """Return which of ``jumps`` is of the same moment; None: none is."""
    near = [jump for jump in jumps if abs(jump[2] - seconds) <= TOGETHER]
    return min(near, key=lambda jump: abs(jump[1] - place), default=None)


def _goes_on(track: TrackTimes, place: int) -> bool:
    """Return whether the stamps of ``track`` go on as usual at a place in the file."""
    stamps = track.decoding()
    first = int(np.searchsorted(track.places, place))
    gaps = np.diff(stamps[max(first - 2, 0) : first + 2])
    return bool(len(gaps)) and bool((np.abs(gaps - _usual(np.diff(stamps))) * track.tick <= LEAD / 2).all())


def _excuse(found: PacketTimes, place: int) -> None:
    """Take packets for whole that FFmpeg calls damaged because files were joined there."""
    for track in (found.video, found.sound):
        if track is not None:
            near = (track.places >= place - JOINT) & (track.places <= place + 1)
            track.flags[near] &= ~np.uint8(CORRUPT)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
