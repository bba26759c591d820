"""Clips, strictly decoded: the frames around the middle and the sound, or one clear reason why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter

from affectkit.core.clipspec import ClipSpec, SoundSpec
from affectkit.data.media.waveforms import average_channels, set_level
from affectkit.errors import DataError

POINTER = b"version https://git-lfs.github.com/spec"
SILENT = 1e-3
"""Peak, of full scale, below which a sound is none: -60 dB."""
CUT = 0.5
"""Seconds that a stream may end before the duration that its container states."""
SPARE = 4
"""Pictures kept on either side of those that are expected to be wanted."""
LOW = 240

REASONS = {
    "pointer": "a git-lfs pointer in place of the clip",
    "missing": "not there",
    "empty": "an empty file",
    "undecodable": "damaged, or no video",
    "no-video": "without a picture",
    "truncated": "cut short",
    "no-sound": "without a sound track",
    "silent": "with a silent sound track",
    "over-long": "longer than clips are",
}


class ClipError(DataError):
    """A clip that cannot be used; ``reason`` is a key of ``REASONS``."""

    def __init__(self, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason


@dataclass(frozen=True)
class Clip:
    """Data that were read from a clip.

    Attributes:
        frames: uint8 (F, size, size, 3), RGB; None where they were not asked for.
        sound: float32 (samples,), one channel at the level of the specification (``core.clipspec.LEVELS``), at
            ``rate`` samples per second; None likewise.
        seconds: from the first picture, or sample, to the end of the last.
    """

    frames: np.ndarray | None
    sound: np.ndarray | None
    rate: int
    seconds: float


def check_clip_file(path: Path) -> None:
    """Refuse what is recognised as no clip without decoding.

    Raises:
        ClipError: missing, empty, or a git-lfs pointer.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(len(POINTER))
    except OSError as error:
        raise ClipError("missing", f"clip {path}: {error.strerror or error}.") from error
    if size == 0:
        raise ClipError("empty", f"clip {path}: the file is empty.")
    if head == POINTER:
        raise ClipError(
            "pointer",
            f"clip {path}: a git-lfs pointer of {size} bytes, not the clip.",
            "Fetch the clips: git lfs install && git lfs pull, in the clone.",
        )


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
    if (lacking := count_missing_bytes(path)) is not None:
        raise ClipError("truncated", f"clip {path}: the file is cut short; its last piece lacks {lacking:,} bytes.")
    try:
        heard = _pass(path, wanted, _expected(path) if frames else 0)
        if frames and heard.count // 2 not in range(heard.middle - SPARE, heard.middle + SPARE + 1):
            heard = _pass(path, wanted, heard.count)  # packets are not always frames
        return _clip(path, heard, spec, wanted)
    except FFmpegError as error:
        why = (error.strerror or str(error)).lower()
        raise ClipError("undecodable", f"clip {path}: cannot be decoded ({why}).") from error


def count_missing_bytes(path: Path) -> int | None:
    """Count the bytes that an FLV file lacks of the last of its tags, by the lengths that these state; None where it is
    whole.

    FFmpeg passes over half a tag in silence. A file that is not made as tags should be is left to FFmpeg to judge.
    """
    end = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(9)
        if len(head) < 9 or head[:4] != b"FLV\x01":
            return None
        place = int.from_bytes(head[5:]) + 4
        while place < end:
            stream.seek(place)
            tag = stream.read(11)
            if tag[0] not in (8, 9, 18):  # sound, picture, script
                return None
            if len(tag) < 11:
                return 11 - len(tag)
            after = place + 11 + int.from_bytes(tag[1:4])
            if after > end:
                return after - end
            stream.seek(after)
            size = stream.read(4)
            if len(size) == 4 and int.from_bytes(size) != after - place:
                return None
            place = after + 4
    return None


def open_video(path: Path) -> Any:
    """Return the container; titles and the like in other encodings than UTF-8 are no fault of a clip."""
    return av.open(str(path), metadata_errors="replace")


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

    ``stated``: the duration of the file in microseconds, as its container says.
    """

    middle: int
    count: int = 0
    end: float = 0.0
    rate: int = 0
    stated: int | None = None
    pictures: dict[int, Any] = field(default_factory=dict)
    sounds: list[Any] = field(default_factory=list)


def _expected(path: Path) -> int:
    """Estimate how many frames there are, without decoding: by the container, or by counting its packets."""
    with open_video(path) as container:
        if not container.streams.video:
            return 0
        video = container.streams.video[0]
        return video.frames or sum(packet.size > 0 for packet in container.demux(video))


def _pass(path: Path, wanted: _Wanted, expected: int) -> _Heard:
    """Decode the clip once, to its end; of the pictures those around the middle of ``expected`` are kept, so that a
    long video takes no more memory than a short clip."""
    with open_video(path) as container:
        video = container.streams.video[0] if container.streams.video else None
        audio = container.streams.audio[0] if container.streams.audio else None
        if wanted.frames and video is None:
            raise ClipError("no-video", f"clip {path}: has no video stream.")
        if wanted.sound and audio is None:
            raise ClipError("no-sound", f"clip {path}: has no sound track.")
        stated = container.duration / av.time_base if container.duration else None
        if wanted.longest is not None and stated is not None and stated > wanted.longest:
            raise ClipError(
                "over-long", f"clip {path}: {stated:.1f} s long, at most {wanted.longest:g} s are expected."
            )
        streams = [stream for stream, use in ((video, wanted.frames), (audio, wanted.sound)) if use]
        heard = _Heard(expected // 2, rate=audio.rate if wanted.sound else 0, stated=container.duration or None)
        _decode(container, path, streams, wanted, heard)
        if wanted.frames and not heard.count:
            raise ClipError("undecodable", f"clip {path}: no frame can be decoded.")
        # Of the one that is not read the stated duration may be.
        if stated is not None and len(streams) == len(container.streams) and heard.end < stated - CUT:
            raise ClipError(
                "truncated", f"clip {path}: ends after {heard.end:.1f} s of the {stated:.1f} s that it states."
            )
    return heard


def _decode(container: Any, path: Path, streams: Sequence[Any], wanted: _Wanted, heard: _Heard) -> None:
    """Decode all frames and sounds of ``streams`` into ``heard``."""
    low, high = heard.middle - wanted.reach - SPARE, heard.middle + wanted.reach + SPARE
    for stream in streams:
        stream.thread_count = 1  # clips are read side by side, each by one
    for packet in container.demux(streams):
        if packet.is_corrupt:
            raise ClipError("truncated", f"clip {path}: damaged or cut short after {heard.end:.1f} s.")
        for frame in packet.decode():
            if getattr(frame, "is_corrupt", False):
                raise ClipError("undecodable", f"clip {path}: a picture at {frame.time or 0:.1f} s is damaged.")
            if packet.stream.type == "video":
                if low <= heard.count <= high:
                    heard.pictures[heard.count] = frame
                heard.count += 1
                heard.end = max(heard.end, (frame.time or 0.0) + clip_duration(frame, packet.stream))
            else:
                heard.sounds.append(frame)
                heard.end = max(heard.end, (frame.time or 0.0) + frame.samples / frame.sample_rate)
        if wanted.longest is not None and heard.end > wanted.longest:
            raise ClipError(
                "over-long", f"clip {path}: goes on after {wanted.longest:g} s, the longest that is expected."
            )


def _clip(path: Path, heard: _Heard, spec: ClipSpec, wanted: _Wanted) -> Clip:
    rate = spec.sound.rate if spec.sound is not None else 0
    sound = _sound(path, heard, spec.sound) if wanted.sound else None
    frames = _around(heard, spec, wanted) if wanted.frames else None
    return Clip(frames, sound, rate, heard.end)


def clip_duration(frame: Any, stream: Any) -> float:
    """Return how long a picture is shown; 0 where neither it nor its stream states it."""
    if frame.duration and frame.time_base:
        return float(frame.duration * frame.time_base)
    return float(1 / stream.average_rate) if stream.average_rate else 0.0


def _sound(path: Path, heard: _Heard, spec: SoundSpec) -> np.ndarray:
    """Return the whole sound as ``spec`` says.

    Raises:
        ClipError: there is none, or it is silent or damaged.
    """
    whole = average_channels(heard.sounds)
    if not whole.size:
        raise ClipError("no-sound", f"clip {path}: its sound track holds no samples.")
    if not np.isfinite(whole).all():
        raise ClipError("undecodable", f"clip {path}: its sound holds values that are no numbers.")
    peak = float(np.abs(whole).max())
    if peak < SILENT:
        raise ClipError("silent", f"clip {path}: its sound is silent (peak {peak:.1e} of full scale).")
    return set_level(heard.sounds, whole, heard.rate, spec, heard.stated)


def _around(heard: _Heard, spec: ClipSpec, wanted: _Wanted) -> np.ndarray:
    """Return uint8 (2 reach + 1, size, size, 3): the frames around the middle, each cut and resized once."""
    size, reach = wanted.size, wanted.reach
    middle, last = heard.count // 2, heard.count - 1
    numbers = [min(max(number, 0), last) for number in range(middle - reach, middle + reach + 1)]
    # One for all: a frame by itself would make a context, and threads for it, of its own.
    converter = VideoReformatter()
    squares = {number: _square(heard.pictures[number], spec, converter) for number in dict.fromkeys(numbers)}
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


def _square(picture: Any, spec: ClipSpec, converter: VideoReformatter) -> np.ndarray:
    """Return the square of a frame, uint8 (side, side, 3); the shorter side of the frame where that is less than the
    crop, and the whole frame, whatever its shape, where there is no crop.
    """
    whole = converter.reformat(picture, format="rgb24", threads=1).to_ndarray()
    height, width = whole.shape[:2]
    crop = spec.crop_low if height == LOW and spec.crop_low is not None else spec.crop
    if crop is None:
        return whole
    side = min(crop, height, width)
    top = 0 if spec.anchor == "top" else (height - side) // 2
    left = (width - side) // 2
    return whole[top : top + side, left : left + side]
