"""Report of a media file: what it is, what of it is read, and what is wrong with it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError

from affectkit.core.text import count_text
from affectkit.data.media.animation_stream import AnimationStream
from affectkit.data.media.file_end import find_file_end
from affectkit.data.media.file_ends.source import FileEnd
from affectkit.data.media.file_kinds import is_video_name
from affectkit.data.media.frame_decoder import FrameDecoder
from affectkit.data.media.frame_pixels import FrameConverter
from affectkit.data.media.image_formats import open_image
from affectkit.data.media.media_file import (
    ClipError,
    Tracks,
    check_clip_file,
    choose_tracks,
    open_media,
    read_packets,
    require_video,
    undecoded,
    unopened,
)
from affectkit.data.media.packet_times import PacketTimes, scan_container
from affectkit.data.media.report.sound_levels import measure_sound
from affectkit.data.media.report.timing import describe_length, describe_pictures, end_of_pictures
from affectkit.data.media.report.tracks import describe_tracks
from affectkit.data.media.video_stream import VideoStream, check_end, refuse_cut

VIDEO, SOUND, ANIMATION = "video", "sound", "animation"
FIRST_FRAME, ALL_FRAMES = "first frame", "all frames"
"""What is decoded, beside ``SOUND``."""
SAMPLED = (0.5, 0)
"""How often decoded frames are made pixels of: half a second, as ``infer`` does unless it is asked for more."""


def report_media(path: Path, *, decode: bool = False, levels: bool = True) -> dict[str, Any]:
    """Return what a video file, or one with sound alone, is and what of it is read, as values for JSON.

    Unless it is wholly decoded, its first frame and its sound are: damage in the middle of the pictures may be missed
    then, a file that was cut is not.

    Args:
        decode: whether every frame is, strictly, as for predictions of every frame.
        levels: whether the sound is decoded.

    Returns:
        ``kind`` (None where it cannot be opened), ``bytes``, ``container``, ``end``, ``tracks``, ``length``,
        ``pictures``, ``picture``, ``sound``, ``decoded`` (what was); ``faults``: a list of ``reason`` (see ``REASONS``
        of ``media_file``), ``message`` and ``hint``; ``notes``: what was inferred, put right or is not read.
    """
    return _Report(path, decode, levels).made()


def report_animation(path: Path) -> dict[str, Any]:
    """Return what an animation, or a file of pages, is; all of its frames are decoded."""
    stream = AnimationStream(path)
    report = _empty(path) | {"kind": ANIMATION, "decoded": [ALL_FRAMES]}
    times, size = [], None
    try:
        for frame in stream:
            times.append(frame.time)
            size = size or {"width": frame.pixels.shape[1], "height": frame.pixels.shape[0]}
    except ClipError as error:
        report["faults"].append(_fault(error))
    with suppress(Exception), path.open("rb") as file, open_image(file) as image:  # what is wrong is a fault already
        report["container"] = {"name": image.format.lower(), "long_name": image.format_description}
    if times:
        gaps = np.diff([*times, stream.end])
        timed = stream.timed
        report["length"] = {"by_stamps": round(stream.end, 6) if timed else None, "stated": None}
        report["pictures"] = {
            "count": len(times),
            "times": "stated" if timed else "none: pages",
            "rate": round(stream.rate, 6) if timed else None,
            "constant": bool(np.ptp(gaps) < 1e-6) if timed else None,
            "gap_smallest": round(float(gaps.min()), 6) if timed else None,
            "gap_usual": round(float(np.median(gaps)), 6) if timed else None,
            "gap_largest": round(float(gaps.max()), 6) if timed else None,
        }
        report["picture"] = {"displayed_width": size["width"], "displayed_height": size["height"]}
    return report


def report_unread(path: Path, reason: str) -> dict[str, Any]:
    """Return the report of a file that cannot be reached, for a ``reason`` in words."""
    return _empty(path) | {"faults": [{"reason": "missing", "message": reason, "hint": ""}]}


def _empty(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
    except OSError:
        size = None
    return {
        "kind": None, "bytes": size, "container": None, "end": None, "tracks": [], "length": None, "pictures": None,
        "picture": None, "sound": None, "decoded": [], "faults": [], "notes": [],
    }  # fmt: skip


def _fault(error: ClipError) -> dict[str, str]:
    return {"reason": error.reason, "message": error.message, "hint": error.hint}


class _Report:
    """The steps of ``report_media``; what is found is put into ``values``."""

    def __init__(self, path: Path, decode: bool, levels: bool) -> None:
        self.path, self.decode, self.levels = path, decode, levels
        self.values = _empty(path)
        self.name = f"video {path}"

    def made(self) -> dict[str, Any]:
        try:
            check_clip_file(self.path, "video")
            ending = find_file_end(self.path)
            self.values["end"] = {"whole": ending.whole, "missing_bytes": ending.missing, "reason": ending.reason}
            self._read(ending)
        except OSError as error:
            self._add(ClipError("missing", f"{self.name}: {error.strerror or error}."))
        except ClipError as error:
            self._add(error)
        return self.values

    def _add(self, error: ClipError) -> None:
        if _fault(error) not in self.values["faults"]:
            self.values["faults"].append(_fault(error))

    def _note(self, *notes: str) -> None:
        self.values["notes"] += [note for note in notes if note not in self.values["notes"]]

    def _read(self, ending: FileEnd) -> None:
        """Read the file's packets, then its first frame or all, then its sound."""
        try:
            with open_media(self.path) as container:
                tracks = choose_tracks(container)
                times = scan_container(container, tracks)
                self._describe(container, tracks, times)
                pictures = self._has_pictures(tracks)
                fault = self._end_fault(container, times, ending)
        except FFmpegError as error:
            refuse_cut(ending, self.name, "after 0.0 s")
            raise unopened(self.path, error) from error
        first = self._first_frame(times, ending) if pictures else None
        if pictures and self.decode:
            fault = self._all_frames()
        for error in filter(None, (fault or first,)):
            self._add(error)
        self._sound(tracks, times)

    def _describe(self, container: Any, tracks: Tracks, times: PacketTimes) -> None:
        rate = container.bit_rate or None
        named = {"name": container.format.name, "long_name": container.format.long_name, "bit_rate": rate}
        pictured = tracks.video is not None or any(kind == "video" for kind, _ in tracks.undecodable)
        self.values |= {
            "kind": VIDEO if pictured else SOUND,
            "container": named,
            "tracks": describe_tracks(container, tracks),
            "length": describe_length(times),
            "pictures": describe_pictures(times),
        }
        self._note(*times.notes)

    def _has_pictures(self, tracks: Tracks) -> bool:
        """Return whether there are pictures to decode; a sound file has none, and that is no fault of it."""
        try:
            require_video(self.path, tracks)
        except ClipError as error:
            if error.reason != "no-video" or tracks.sound is None or is_video_name(self.path.name):
                self._add(error)
            else:
                self._note("sound alone: infer predicts nothing of it")
            return False
        return True

    def _end_fault(self, container: Any, times: PacketTimes, ending: FileEnd) -> ClipError | None:
        """Return how the file ends before its end, by its structure and its packets."""
        end = end_of_pictures(times)
        reached = self.values["length"]["by_stamps"] if end is None else end
        try:
            check_end(container, times, ending, self.name, f"after {reached or 0.0:.1f} s")
        except ClipError as error:
            return error
        return None

    def _first_frame(self, times: PacketTimes, ending: FileEnd) -> ClipError | None:
        """Decode the first frame; return why it cannot be."""
        try:
            with open_media(self.path) as container:
                video = choose_tracks(container).video
                decoder, converter = FrameDecoder(self.path, video, times), FrameConverter(video)
                picture = next(_pictures(container, decoder))
                pixels = converter(picture.frame)
        except FFmpegError as error:
            return undecoded(f"{self.name}: cannot be decoded after 0.0 s", error)
        except ClipError as error:
            inner = error.message if str(self.path) in error.message else f"{self.name}: {error.message}"
            return ClipError(error.reason, inner, error.hint)
        shown = {"displayed_width": pixels.shape[1], "displayed_height": pixels.shape[0]}
        self.values["picture"] = converter.described | shown
        self.values["decoded"] = [FIRST_FRAME]
        self._note(*converter.notes)
        return None

    def _all_frames(self) -> ClipError | None:
        """Decode every frame strictly, as for predictions of every one; return what ends that before the end."""
        stream = VideoStream(self.path, every=SAMPLED, whole=True)
        try:
            for _ in stream:
                pass
        except ClipError as error:
            return error
        finally:
            self.values["pictures"] = (self.values["pictures"] or {}) | {"decoded": stream.count}
            self._note(*stream.notes)
        self.values["decoded"] = [ALL_FRAMES]
        return None

    def _sound(self, tracks: Tracks, times: PacketTimes) -> None:
        """Measure the sound that is read, and name that which cannot be."""
        if tracks.sound is None:
            codecs = [codec for kind, codec in tracks.undecodable if kind == "audio"]
            if codecs:
                message = f"{self.name}: its sound cannot be decoded (codec {', '.join(codecs)})."
                self._add(ClipError("undecodable", message))
            elif tracks.video is not None:
                self._note("no sound track")
            return
        if not self.levels:
            return
        try:
            found = self.values["sound"] = measure_sound(self.path, times)
        except FFmpegError as error:
            self._add(undecoded(f"{self.name}: its sound cannot be decoded", error))
            return
        self.values["decoded"].append(SOUND)
        if found["lost"]:
            lost = count_text(found["lost"], "packet")
            self._add(ClipError("undecodable", f"{self.name}: {lost} of its sound cannot be decoded."))
        if not found["samples"]:
            self._add(ClipError("no-sound", f"{self.name}: its sound track holds no samples."))
        elif found["silent"]:
            self._note("its sound is silent: the clip reader refuses it")
        if found["not_numbers"]:
            self._add(ClipError("undecodable", f"{self.name}: its sound holds values that are no numbers."))


def _pictures(container: Any, decoder: FrameDecoder) -> Any:
    for packet in read_packets(container):
        if packet.stream_index == decoder.video.index and packet.size:
            yield from decoder.feed(packet)
    yield from decoder.finish()
