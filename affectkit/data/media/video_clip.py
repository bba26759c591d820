"""Clips, strictly decoded: the frames around the middle and the sound, or one clear reason why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.error import FFmpegError

from affectkit.core.clipspec import ClipSpec, SoundSpec
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
    require_sound,
    require_video,
    undecoded,
    unopened,
)
from affectkit.data.media.packet_times import LEAD, PacketTimes, scan_container
from affectkit.data.media.sound_channels import SILENT
from affectkit.data.media.sound_stream import SoundDecoder
from affectkit.data.media.waveforms import average_channels, set_level

SPARE = 4
"""Pictures kept on either side of those that are expected to be wanted."""
LOW = 240


@dataclass(frozen=True)
class Clip:
    """Data that were read from a clip.

    Attributes:
        frames: uint8 (F, size, size, 3), RGB; None where they were not asked for.
        sound: float32 (samples,), one channel at the level of the specification (``core.clipspec.LEVELS``), at
            ``rate`` samples per second; None likewise.
        seconds: from the first picture, or sample, to the end of the last.
        notes: what was inferred about the file rather than stated, put right, or done to its pictures.
    """

    frames: np.ndarray | None
    sound: np.ndarray | None
    rate: int
    seconds: float
    notes: tuple[str, ...] = ()


def read_clip(
    path: Path,
    spec: ClipSpec,
    *,
    size: int,
    reach: int | None = None,
    frames: bool = True,
    sound: bool = True,
    longest: float | None = None,
) -> Clip:
    """Return the frames around the middle one, and the sound, of the clip ``path``.

    Args:
        spec: which square of a frame is cut out, and at what rate and level the sound is wanted.
        size: height and width to which the square is brought (bilinear, antialiased).
        reach: frames either side of the middle; None: as ``spec`` says. Short clips repeat their first and last one, so
            there are always 2 reach + 1; the middle one of n is number n // 2.
        frames, sound: whether they are wanted; a clip need not have what is not.
        longest: seconds above which a clip is refused.

    Raises:
        ClipError: the clip cannot be read to its end, is cut short, or lacks what is wanted.
    """
    path = Path(path)
    check_clip_file(path)
    reach = spec.reach if reach is None else reach
    wanted = _Wanted(size, reach, frames, sound, longest)
    if (ending := find_file_end(path)).whole is False:
        raise ClipError("truncated", f"clip {path}: the file is cut short; {ending.reason}.")
    times = None
    try:
        with open_media(path) as container:
            times = scan_container(container, choose_tracks(container))
        heard = _pass(path, wanted, times, ending, middle=len(times.pictures) // 2)
        if frames and heard.count // 2 not in range(heard.middle - SPARE, heard.middle + SPARE + 1):
            heard = _pass(path, wanted, times, ending, middle=heard.count // 2)  # packets are not always frames
        return _clip(path, heard, spec, wanted)
    except FFmpegError as error:
        if times is None:
            raise unopened(path, error, "clip") from error
        raise undecoded(f"clip {path}: cannot be decoded", error) from error


@dataclass(frozen=True)
class _Wanted:
    """The parts of a clip that are read; see ``read_clip``."""

    size: int
    reach: int
    frames: bool
    sound: bool
    longest: float | None


@dataclass
class _Heard:
    """The result of one pass over a clip: frames around ``middle`` by number, and how many there were in all.

    ``converter``: makes pixels of the frames. ``zero``: time at which the file begins, in seconds by its clock.
    ``stated``: its duration in microseconds, as the container says.
    """

    middle: int
    count: int = 0
    end: float = 0.0
    zero: float = 0.0
    seconds: float = 0.0
    stated: int | None = None
    pictures: dict[int, Any] = field(default_factory=dict)
    converter: FrameConverter | None = None
    sounds: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _pass(path: Path, wanted: _Wanted, times: PacketTimes, ending: FileEnd, *, middle: int) -> _Heard:
    """Decode the clip once, to its end; of the pictures those around the ``middle`` one are kept, so that a long video
    takes no more memory than a short clip."""
    with open_media(path) as container:
        tracks = choose_tracks(container)
        video = require_video(path, tracks, "clip") if wanted.frames else None
        audio = require_sound(path, tracks) if wanted.sound else None
        if wanted.longest is not None and times.seconds > wanted.longest:
            raise ClipError(
                "over-long", f"clip {path}: {times.seconds:.1f} s long, at most {wanted.longest:g} s are expected."
            )
        said = _stated(container, times)
        heard = _Heard(middle, zero=float(times.zero), stated=said or None, notes=list(times.notes))
        heard.converter = FrameConverter(video) if video else None
        decoder = FrameDecoder(path, video, times, what="clip") if video else None
        sounds = SoundDecoder(audio, times) if audio else None
        _decode(container, path, decoder, sounds, wanted=wanted, heard=heard)
        if times.fault is not None:
            raise ClipError("undecodable", f"clip {path}: cannot be decoded ({times.fault}).")
        stating = ending.whole is None and is_one_of(container, STATING)
        if stating and times.length < times.stated - CUT:
            raise ClipError(
                "truncated",
                f"clip {path}: ends after {times.length:.1f} s of the {times.stated:.1f} s that it states.",
            )
    return heard


def _stated(container: Any, times: PacketTimes) -> int | None:
    """Return the duration that the container states, in microseconds; None where it states none.

    One that is not that of picture and sound (a track of text goes on, files were joined) gives way to theirs.
    """
    late = abs(container.start_time or 0) > LEAD * av.time_base
    stated = round(times.stated * av.time_base) if late else container.duration  # as it is, where moviepy takes it so
    if stated and times.seconds and abs(stated / av.time_base - times.seconds) > CUT:
        return round(times.seconds * av.time_base)
    return stated


def _decode(
    container: Any,
    path: Path,
    decoder: FrameDecoder | None,
    sounds: SoundDecoder | None,
    *,
    wanted: _Wanted,
    heard: _Heard,
) -> None:
    """Decode all pictures and sounds into ``heard``."""
    low, high = heard.middle - wanted.reach - SPARE, heard.middle + wanted.reach + SPARE
    if sounds:
        sounds.track.thread_count = 1  # clips are read side by side, each by one thread

    def keep(pictures: Iterator[Picture]) -> None:
        for number, _, frame in pictures:
            if low <= number <= high:
                heard.pictures[number] = frame
        heard.count, heard.end = decoder.count, max(heard.end, decoder.end)

    for packet in read_packets(container):
        if not packet.size:
            continue
        if decoder and packet.stream_index == decoder.video.index:
            keep(decoder.feed(packet))
        elif sounds and packet.stream_index == sounds.track.index:
            _hear(path, sounds, packet, heard)
        if wanted.longest is not None and heard.end > wanted.longest:
            raise ClipError(
                "over-long", f"clip {path}: goes on after {wanted.longest:g} s, the longest that is expected."
            )
    if decoder:
        keep(decoder.finish())
        heard.notes += decoder.notes
    if sounds:
        _hear(path, sounds, None, heard)


def _pixels(path: Path, converter: FrameConverter, frame: Any) -> np.ndarray:
    try:
        return converter(frame)
    except ClipError as error:
        raise ClipError(error.reason, f"clip {path}: {error.message}", error.hint) from error


def _hear(path: Path, sounds: SoundDecoder, packet: Any, heard: _Heard) -> None:
    """Decode a packet of sound into ``heard``; None: the end."""
    tick = sounds.tick
    if packet is not None and sounds.is_damaged(packet):
        raise ClipError("truncated", f"clip {path}: damaged or cut short after {heard.end:.1f} s.")
    for sound in sounds.finish() if packet is None else sounds.feed(packet):
        heard.sounds.append(sound)
        length = sound.samples / sound.sample_rate
        heard.seconds += length
        heard.end = max(heard.end, heard.seconds if sound.pts is None else sound.pts * tick - heard.zero + length)


def _clip(path: Path, heard: _Heard, spec: ClipSpec, wanted: _Wanted) -> Clip:
    rate = spec.sound.rate if spec.sound is not None else 0
    sound = _sound(path, heard, spec.sound) if wanted.sound else None
    frames = _around(path, heard, spec, wanted) if wanted.frames else None
    notes = (*heard.notes, *(heard.converter.notes if heard.converter else ()))
    return Clip(frames, sound, rate, heard.end, notes)


def _sound(path: Path, heard: _Heard, spec: SoundSpec) -> np.ndarray:
    """Return the whole sound as ``spec`` says.

    Raises:
        ClipError: there is none, or it is silent or damaged.
    """
    whole = average_channels(heard.sounds, zero=heard.zero)
    if not whole.size:
        raise ClipError("no-sound", f"clip {path}: its sound track holds no samples.")
    if not np.isfinite(whole).all():
        raise ClipError("undecodable", f"clip {path}: its sound holds values that are no numbers.")
    peak = float(np.abs(whole).max())
    if peak < SILENT:
        raise ClipError("silent", f"clip {path}: its sound is silent (peak {peak:.1e} of full scale).")
    return set_level(heard.sounds, whole, heard.sounds[0].sample_rate, spec, heard.stated, zero=heard.zero)


def _around(path: Path, heard: _Heard, spec: ClipSpec, wanted: _Wanted) -> np.ndarray:
    """Return uint8 (2 reach + 1, size, size, 3): the frames around the middle, each cut and resized once."""
    size, reach = wanted.size, wanted.reach
    middle, last = heard.count // 2, heard.count - 1
    numbers = [min(max(number, 0), last) for number in range(middle - reach, middle + reach + 1)]
    pictures = {number: _pixels(path, heard.converter, heard.pictures[number]) for number in dict.fromkeys(numbers)}
    squares = {number: _square(whole, spec) for number, whole in pictures.items()}
    made = {}
    for some in _alike(squares):
        values = torch.from_numpy(np.stack([squares[number] for number in some])).permute(0, 3, 1, 2)
        small = torch.nn.functional.interpolate(values, size=(size, size), mode="bilinear", antialias=True)
        made |= dict(zip(some, small.permute(0, 2, 3, 1).numpy(), strict=True))
    return np.stack([made[number] for number in numbers])


def _alike(squares: dict[int, np.ndarray]) -> Iterator[list[int]]:
    """Yield the numbers of squares of one size each: a stream may change its size."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for number, square in squares.items():
        by_shape.setdefault(square.shape, []).append(number)
    yield from by_shape.values()


def _square(whole: np.ndarray, spec: ClipSpec) -> np.ndarray:
    """Return the square of a frame, uint8 (side, side, 3); the shorter side of the frame where that is less than the
    crop, and the whole frame, whatever its shape, where there is no crop.
    """
    height, width = whole.shape[:2]
    crop = spec.crop_low if height == LOW and spec.crop_low is not None else spec.crop
    if crop is None:
        return whole
    side = min(crop, height, width)
    top = 0 if spec.anchor == "top" else (height - side) // 2
    left = (width - side) // 2
    return whole[top : top + side, left : left + side]
