"""Video files as they are opened: the file and never an address, the tracks that are meant, or one reason why not."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError
from av.stream import Discard, Disposition

from affectkit.core.files import open_file
from affectkit.errors import DataError

POINTER = b"version https://git-lfs.github.com/spec"
CONTAINERS = (
    "3gp,aac,aiff,amr,asf,asf_o,au,av1,avi,avs,avs2,avs3,caf,dirac,dv,flac,flv,gxf,h261,h263,h264,hevc,ivf,kux,"
    "live_flv,m4v,matroska,mjpeg,mov,mp3,mp4,mpeg,mpegts,mpegvideo,mxf,nsv,nut,obu,ogg,rm,ty,vc1,vvc,w64,wav,webm,wtv,"
    "yuv4mpegpipe"
)
"""FFmpeg's names of what may be opened: files that hold their pictures and sound themselves, and no lists of others."""
STATING = {"flv", "matroska", "mov", "mp4", "webm"}
"""Those whose stated length is asked where their structure does not show whether they were cut: FLV between two tags,
files filled up with zeros."""
FROM_ZERO = {"matroska", "webm", "asf"}
"""Containers whose stated duration is the time of the end by their own clock, not the length."""
CUT = 0.5
"""Seconds that a stream may end before the duration that its container states."""
NOT_SHOWN = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails

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
    "memory": "too large for the memory",
}


class ClipError(DataError):
    """A clip that cannot be used; ``reason`` is a key of ``REASONS``."""

    def __init__(self, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason


@dataclass(frozen=True)
class Tracks:
    """Hold the tracks of a file that are read.

    Attributes:
        video: PyAV's stream of pictures; None where there is none that can be decoded.
        sound: of the sound, likewise.
        notes: why these, where a user might expect others.
        undecodable: what cannot be decoded, by the kind of track: ``video`` or ``audio``.
    """

    video: Any
    sound: Any
    notes: tuple[str, ...] = ()
    undecodable: tuple[tuple[str, str], ...] = ()


def check_clip_file(path: Path, what: str = "clip") -> None:
    """Refuse what is recognised as no clip without decoding; ``what`` it is called in messages.

    Raises:
        ClipError: missing, empty, or a git-lfs pointer.
    """
    try:
        size = path.stat().st_size
        with open_file(path) as stream:
            head = stream.read(len(POINTER))
    except OSError as error:
        raise ClipError("missing", f"{what} {path}: {error.strerror or error}.") from error
    if size == 0:
        raise ClipError("empty", f"{what} {path}: the file is empty.")
    if head == POINTER:
        raise ClipError(
            "pointer",
            f"{what} {path}: a git-lfs pointer of {size} bytes, not the {what}.",
            f"Fetch the {what}s: git lfs install && git lfs pull, in the clone.",
        )


def open_media(path: Path) -> Any:
    """Return the opened container of a video file.

    The name is a file's whatever it looks like (``10:30.mp4`` is no address), nothing but it is opened, and titles in
    other encodings than UTF-8 are no fault.
    """
    options = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
    return av.open(f"file:{path}", metadata_errors="replace", options=options)


def read_packets(container: Any) -> Iterator[Any]:
    """Yield the packets of an opened file, in its order.

    PyAV fails at those of a track that shows up late, as FLV's may: they are none of the tracks that were chosen.
    """
    while True:
        try:
            yield from container.demux()
        except IndexError:
            continue
        return


def choose_tracks(container: Any) -> Tracks:
    """Return the tracks that are meant, and have FFmpeg pass over all others.

    Of the pictures, and of the sounds, the first that the file marks as its default; where it marks none, the first. A
    track that cannot be decoded gives way to the next, the cover of a song is none.
    """
    notes: list[str] = []
    failing: list[tuple[str, str]] = []
    chosen = {}
    for kind, word in (("video", "video"), ("audio", "sound")):
        tracks = [stream for stream in container.streams if stream.type == kind and not stream.disposition & NOT_SHOWN]
        ranked = sorted(tracks, key=lambda stream: not stream.disposition & Disposition.default)
        usable = [stream for stream in ranked if _can_decode(stream)]
        failing += [(kind, describe_codec(stream)) for stream in ranked if stream not in usable]
        chosen[kind] = usable[0] if usable else None
        if usable and usable[0] is not tracks[0]:
            why = "it is the default" if usable[0] is ranked[0] else "the one before cannot be decoded"
            notes.append(f"{word} track {tracks.index(usable[0]) + 1} of {len(tracks)} is read ({why})")
    for stream in container.streams:
        if stream not in chosen.values():
            stream.discard = Discard.all
    return Tracks(chosen["video"], chosen["audio"], tuple(notes), tuple(failing))


def require_video(path: Path, tracks: Tracks, what: str = "video") -> Any:
    """Return the stream of pictures.

    Raises:
        ClipError: there is none, or none that can be decoded.
    """
    if tracks.video is None:
        _refuse_undecodable(path, tracks, what, "video")
        raise ClipError("no-video", f"{what} {path}: has no video stream.")
    return tracks.video


def require_sound(path: Path, tracks: Tracks, what: str = "clip") -> Any:
    """Return the stream of sound.

    Raises:
        ClipError: there is none, or none that can be decoded.
    """
    if tracks.sound is None:
        _refuse_undecodable(path, tracks, what, "audio")
        raise ClipError("no-sound", f"{what} {path}: has no sound track.")
    return tracks.sound


def describe_codec(stream: Any) -> str:
    """Return the name of a track's codec, or the code by which the file names one that is not known."""
    context = stream.codec_context
    if context is not None:
        return context.name
    return "unknown"


def reason_of(error: FFmpegError) -> str:
    """Return what FFmpeg says, without the name of the file."""
    return (error.strerror or str(error)).lower()


def unopened(path: Path, error: FFmpegError, what: str = "video") -> ClipError:
    """Return the fault of a file that FFmpeg does not open."""
    if isinstance(error, MemoryError):
        return undecoded(f"{what} {path}: cannot be opened", error)
    reason = reason_of(error)
    if error.errno == errno.EINVAL:  # the kind is none of CONTAINERS
        reason = "it is a list of other files, a picture, or of another kind that is not read as a video"
    elif isinstance(error, av.error.InvalidDataError):
        reason = "its contents are those of no known kind of video, or damaged"
    return ClipError("undecodable", f"{what} {path}: cannot be opened; {reason}.")


def undecoded(fault: str, error: FFmpegError) -> ClipError:
    """Return the fault of a file that FFmpeg does not decode.

    Args:
        fault: the file and what cannot be done, without a full stop.
    """
    if not isinstance(error, MemoryError):
        return ClipError("undecodable", f"{fault} ({reason_of(error)}).")
    return ClipError(
        "memory",
        f"{fault}: FFmpeg got less memory than it asked for ({reason_of(error)}).",
        "Run where more memory is free; where there is plenty, the file is damaged and states sizes that it has not.",
    )


def stated_seconds(container: Any, start: float) -> float:
    """Return how long the container says that the file is, in seconds; 0 where it does not.

    Args:
        start: seconds at which its clock begins.
    """
    stated = container.duration / av.time_base if container.duration else 0.0
    return max(stated - start, 0.0) if is_one_of(container, FROM_ZERO) else stated


def is_one_of(container: Any, names: Sequence[str] | set[str]) -> bool:
    """Return whether the format of ``container`` has one of ``names``."""
    return not set(names).isdisjoint(container.format.name.split(","))


def _can_decode(stream: Any) -> bool:
    return stream.codec_context is not None


def _refuse_undecodable(path: Path, tracks: Tracks, what: str, kind: str) -> None:
    """Raise a ClipError where there are tracks of ``kind`` and none can be decoded."""
    if codecs := [codec for of, codec in tracks.undecodable if of == kind]:
        word = "pictures" if kind == "video" else "sound"
        raise ClipError(
            "undecodable",
            f"{what} {path}: its {word} cannot be decoded (codec {', '.join(codecs)}).",
            "Convert it to H.264 and AAC with a program that knows it.",
        )
