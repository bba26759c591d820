"""Write annotated videos: every frame, with the boxes and bars of the latest sampled one, and the sound in step."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError

from affectkit.core.files import inner_path, whole_file
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text
from affectkit.data.media.animation_stream import open_stream
from affectkit.data.media.stored_colors import StoredFrames, ffmpeg_options
from affectkit.data.media.video_stream import TICK, Frame
from affectkit.errors import DataError, RunError, UsageError
from affectkit.inference.inputs import Item
from affectkit.inference.result_files import OutputOptions
from affectkit.inference.video.audio_file import write_sound
from affectkit.inference.video.frame_log import LoggedFace
from affectkit.reports.face_overlay import Mark, draw_face_marks
from affectkit.runtime.shutdown import StopFlag
from affectkit.tasks.base import Task

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Endings of annotated videos, and what FFmpeg calls them."""
RATES = (1.0, 120.0)
"""Frames per second of an annotated video, at least and at most: files state odd ones."""
USUAL_RATE = 25.0
CLOCK = 1000
"""Ticks per second of the clock of a camera's video."""

Drawn = tuple[float, list[Mark]]
"""Time of a sampled frame, and what is drawn until the next one."""


class AnnotationTargets:
    """Name the annotated videos: one is the file that ``--annotate`` names, several go into a folder.

    Args:
        options: ``annotate`` is the file or folder.
        videos: those that will be annotated.

    Raises:
        UsageError: it is a file and there are several videos, its ending is unknown, or something is there already.
    """

    def __init__(self, options: OutputOptions, videos: Sequence[Item]) -> None:
        self.path = options.annotate
        self.is_file = self.path.suffix != "" and not self.path.is_dir()
        if self.is_file and len(videos) > 1:
            raise UsageError(
                f"--annotate {self.path} is a file, and there are {count_text(len(videos), 'video')}.", "Name a folder."
            )
        if self.is_file and self.path.suffix.lower() not in FORMATS:
            raise UsageError(
                f"--annotate {self.path}: an annotated video ends in {', '.join(FORMATS)}.",
                "Rename it, or name a folder.",
            )
        options.refuse_annotated()
        for video in videos:
            target = self.of(video.name)
            if target.exists() and video.path.exists() and target.samefile(video.path):
                raise UsageError(f"--annotate {target} is the video itself.", "Name another file.")

    def of(self, name: str) -> Path:
        """Return the annotated video of the video ``name``."""
        return self.path if self.is_file else self.path / inner_path(name, (".mp4",), ".mp4")


def marks_of(task: Task, faces: Sequence[LoggedFace], *, several: bool) -> list[Mark]:
    """Return the marks to draw for faces; with ``several`` in the video each carries its number."""
    marks = []
    for number, box, points, row in faces:
        title, bars = task.describe_row(row)
        title = f"{number} · {title}" if several else title
        marks.append(Mark(box, title, bars, number - 1, points, task.describe_affect(row)))
    return marks


def write_annotated(
    target: Path,
    source: Path,
    sampled: Iterator[Drawn],
    *,
    seconds: float,
    stopping: StopFlag,
    reporter: Reporter,
    whole: bool = True,
) -> None:
    """Write the video ``source`` again to ``target``, annotated, whole or not at all; nothing where it has no frame.

    Frames come from the reader that sampled them, so that boxes lie on the frames in which faces were found; of a
    broken video those before the break. moviepy writes them, at the video's average rate: at each moment the frame that
    the video shows then. A box stays until the next sampled frame.

    Args:
        target: the annotated video.
        source: the video.
        sampled: what is drawn, in the order of the times.
        seconds: how long the annotated video becomes.
        stopping: asked at each frame.
        reporter: hears of the progress, and of what of the sound is left out.
        whole: whether ``seconds`` is all of it.

    Raises:
        RunError: it cannot be written.
        Stopped: a signal came.
    """
    from moviepy import VideoClip

    video = open_stream(source)
    with contextlib.closing(iter(video)) as pictures:
        frames = _AnnotatedFrames(pictures, sampled, stopping)
        if not frames.begin():
            return
        # Of the two decimals that moviepy hands on; others would set picture and sound apart in the course of an hour.
        rate = round(min(max(video.rate or USUAL_RATE, RATES[0]), RATES[1]), 2)
        frames.tolerance = 0.5 / rate
        count = max(round(seconds * rate), 1)
        reporter.start(f"drawing {target.name}", count, "frames")
        frames.reporter = reporter
        clip = VideoClip(frames, duration=(count + 0.01) / rate)
        with _sound_file(target) as sound, _reported_failures(target, stopping), whole_file(target) as part:
            heard = _write_sound(video, sound, count / rate, whole=whole, reporter=reporter)
            form = FORMATS[target.suffix.lower()]
            clip.write_videofile(
                str(part),
                fps=rate,
                codec="libx264",
                preset="veryfast",
                audio=str(sound) if heard else False,
                audio_codec="copy",
                ffmpeg_params=[
                    *("-f", form),
                    *(["-movflags", "+faststart"] if form != "matroska" else []),
                    *ffmpeg_options(*clip.size),
                ],
                logger=None,
            )
            _check(part, count / rate, target)
        reporter.finish()


def _write_sound(video: Any, target: Path, seconds: float, *, whole: bool, reporter: Reporter) -> bool:
    """Write the sound of ``video`` to ``target``, and report what is left out; return whether there is any."""
    if video.times is None:
        return False
    written = write_sound(video.path, target, start=video.start, seconds=seconds, whole=whole, times=video.times)
    if written.left_out:
        reporter.note(f"annotated {video.path.name}: {'; '.join(written.left_out)}.")
    return written.heard


class _AnnotatedFrames:
    """Return the frame to show at a time, annotated; moviepy asks for times that rise.

    Attributes:
        tolerance: seconds by which a frame may come early: half of what one is shown.
    """

    def __init__(self, pictures: Iterator[Frame], sampled: Iterator[Drawn], stopping: StopFlag) -> None:
        self.pictures, self.sampled, self.stopping = pictures, sampled, stopping
        self.reporter: Reporter | None = None
        self.tolerance = 0.0
        self._marks: list[Mark] = []
        self._next_sampled = next(sampled, None)
        self._now: Frame | None = None
        self._next: Frame | None = None
        self._shown: np.ndarray | None = None
        self._shape: tuple[int, int] | None = None

    def begin(self) -> bool:
        """Read the first frame; return False where there is none."""
        self._next = self._read()
        return self._next is not None

    def _before(self, time: float) -> bool:
        """Return whether the first frame comes later, as where sound begins first."""
        return self._now is None and self._next is not None and self._next.time > time + self.tolerance

    def __call__(self, time: float) -> np.ndarray:
        if self.stopping.requested:
            raise self.stopping.error("the video was not annotated to its end.", "The same command annotates it anew.")
        if self._before(time):
            return self._even(np.zeros_like(self._next.pixels))
        while self._next is not None and (self._now is None or self._next.time <= time + self.tolerance):
            self._now, self._next, self._shown = self._next, self._read(), None
        if self._shown is None:
            while self._next_sampled is not None and self._next_sampled[0] <= self._now.time + TICK:
                self._marks, self._next_sampled = self._next_sampled[1], next(self.sampled, None)
            self._shown = self._even(draw_face_marks(self._now.pixels, self._marks))
        if self.reporter is not None:
            self.reporter.advance()
        return self._shown

    def _read(self) -> Frame | None:
        try:
            return next(self.pictures, None)
        except DataError:  # reported when it was sampled
            return None

    def _even(self, pixels: np.ndarray) -> np.ndarray:
        """Return ``pixels`` at the size of the first frame, its sides even, which H.264 needs."""
        if self._shape is None:
            self._shape = tuple(side + side % 2 for side in pixels.shape[:2])
        spare = [side - have for side, have in zip(self._shape, pixels.shape[:2], strict=True)]
        if spare == [0, 0]:
            return pixels
        if all(0 <= side <= 1 for side in spare):
            return np.pad(pixels, ((0, spare[0]), (0, spare[1]), (0, 0)), mode="edge")
        return cv2.resize(pixels, self._shape[::-1], interpolation=cv2.INTER_AREA)


@contextlib.contextmanager
def _sound_file(target: Path) -> Iterator[Path]:
    """Make a file beside ``target`` for its sound, which is removed afterwards."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".m4a", dir=target.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _reported_failures(target: Path, stopping: StopFlag) -> Iterator[None]:
    """Raise what goes wrong in writing ``target`` as an error of ours."""
    try:
        yield
    except (OSError, FFmpegError) as error:
        if stopping.requested:  # Ctrl-C ends FFmpeg's process as well
            raise stopping.error(
                "the video was not annotated to its end.", "The same command annotates it anew."
            ) from error
        reason = " ".join(str(error).split())[-300:]
        raise RunError(f"cannot write {target}: {reason}", "Check the disk and --annotate.") from error


def _check(part: Path, seconds: float, target: Path) -> None:
    """Open and measure the file, since moviepy does not say when FFmpeg failed."""
    with av.open(str(part)) as container:
        lasts = container.duration / av.time_base if container.duration else 0.0
    if lasts < seconds - max(0.2, 0.01 * seconds):
        raise RunError(
            f"{target} became {lasts:.1f} s of {seconds:.1f} s long: FFmpeg stopped.", "Check the disk and --annotate."
        )


class CameraRecorder:
    """Write the annotated video of a camera: each sampled frame, shown until the next one; no sound.

    Use it as a context; the file appears when that ends, if there was a frame, also after an error.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self._stack = contextlib.ExitStack()
        self._last = -1
        self._container: Any = None
        self._shape = (0, 0)

    def __enter__(self) -> CameraRecorder:
        self.target.parent.mkdir(parents=True, exist_ok=True)
        return self

    def add(self, time: float, pixels: np.ndarray, marks: Sequence[Mark]) -> None:
        """Add the frame at ``time`` seconds."""
        drawn = draw_face_marks(pixels, marks)
        if self._container is None:
            self._part = self._stack.enter_context(whole_file(self.target))
            form = FORMATS[self.target.suffix.lower()]
            self._container = av.open(str(self._part), "w", format=form)
            self._stream = self._container.add_stream("libx264", rate=30, options={"preset": "veryfast"})
            self._shape = (drawn.shape[0] // 2 * 2, drawn.shape[1] // 2 * 2)
            self._stream.height, self._stream.width = self._shape
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = Fraction(1, CLOCK)
            self._frames = StoredFrames(self._stream)
        if drawn.shape[:2] != self._shape:
            drawn = np.ascontiguousarray(drawn[: self._shape[0], : self._shape[1]])
        frame = self._frames(drawn)
        self._last = max(round(time * CLOCK), self._last + 1)
        frame.pts, frame.time_base = self._last, Fraction(1, CLOCK)
        self._container.mux(self._stream.encode(frame))

    def __exit__(self, *error: object) -> None:
        if self._container is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        self._stack.close()  # without the error: what there is, is kept
