"""Annotated films: every frame again, with the boxes and bars of the latest look, and the sound in step."""

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

from affectkit.core.boxes import Box
from affectkit.core.files import inner_path, whole_file
from affectkit.core.progress import Reporter
from affectkit.data.media.animation_stream import reader_of
from affectkit.data.media.video_stream import TICK, Picture
from affectkit.errors import DataError, RunError, UsageError
from affectkit.inference.video.audio_track import write_sound
from affectkit.reports.face_overlay import Mark, annotated
from affectkit.runtime.shutdown import StopFlag
from affectkit.settings.inference import InferSettings
from affectkit.tasks.base import Task

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Endings of annotated films, and what FFmpeg calls them."""
RATES = (1.0, 120.0)
"""Frames a second of an annotated film, at least and at most: files state odd ones."""
USUAL_RATE = 25.0
CLOCK = 1000
"""Ticks a second of the clock of a camera's film."""

Drawn = tuple[float, list[Mark]]
"""Time of a look, and what is drawn until the next one."""


class Targets:
    """Where annotated films go: one film into the file that ``--annotate`` names, several into a folder.

    Raises:
        UsageError: it is a file and there are several films, its ending is unknown, or something is there already.
    """

    def __init__(self, settings: InferSettings, films: Sequence[Any]) -> None:
        self.path = settings.annotate
        self.is_file = self.path.suffix != "" and not self.path.is_dir()
        may_replace = settings.force or settings.resume
        if not self.is_file:
            if self.path.is_dir() and any(self.path.iterdir()) and not may_replace:
                raise UsageError(f"--annotate {self.path} is not empty.", "Name another folder, or add --force.")
        elif len(films) > 1:
            raise UsageError(f"--annotate {self.path} is a file, and there are {len(films):,} films.", "Name a folder.")
        elif self.path.suffix.lower() not in FORMATS:
            raise UsageError(
                f"--annotate {self.path}: an annotated film ends in {', '.join(FORMATS)}.",
                "Rename it, or name a folder.",
            )
        elif self.path.exists() and not may_replace:
            raise UsageError(f"--annotate {self.path} exists.", "Name another file, or add --force.")
        for film in films:
            target = self.of(film.name)
            if target.exists() and film.path.exists() and target.samefile(film.path):
                raise UsageError(f"--annotate {target} is the film itself.", "Name another place.")

    def of(self, name: str) -> Path:
        """The annotated film of the film ``name``."""
        return self.path if self.is_file else self.path / inner_path(name, (".mp4",), ".mp4")


def marks_of(task: Task, seen: Sequence[tuple[int, Box, list[Any]]], *, several: bool) -> list[Mark]:
    """What is drawn of faces (number, box, row); with ``several`` in the film each carries its number."""
    marks = []
    for number, box, row in seen:
        title, bars = task.describe_row(row)
        marks.append(Mark(box, f"{number} · {title}" if several else title, bars, number - 1))
    return marks


def write_annotated(
    target: Path,
    source: Path,
    looks: Iterator[Drawn],
    *,
    seconds: float,
    stopping: StopFlag,
    reporter: Reporter,
) -> None:
    """Write the film ``source`` again to ``target``, annotated, whole or not at all; nothing where it has no picture.

    Frames come from the reader that looked at them, so that boxes lie on the pictures in which faces were found; of a
    broken film those before the break. moviepy writes them, at the film's average rate: at each moment the frame that
    the film shows then. A box stays until the next look.

    Args:
        looks: in the order of their times. seconds: how long the annotated film becomes.

    Raises:
        RunError: it cannot be written. Stopped: a signal came.
    """
    from moviepy import VideoClip

    film = reader_of(source)
    with contextlib.closing(iter(film)) as pictures:
        frames = _Frames(pictures, looks, stopping)
        if not frames.begin():
            return
        # Of the two decimals that moviepy hands on; others would set picture and sound apart in the course of an hour.
        rate = round(min(max(film.rate or USUAL_RATE, RATES[0]), RATES[1]), 2)
        frames.tolerance = 0.5 / rate
        count = max(round(seconds * rate), 1)
        reporter.start(f"drawing {target.name}", count, "frames")
        frames.reporter = reporter
        clip = VideoClip(frames, duration=(count + 0.01) / rate)
        with _sound_file(target) as sound, _told_failures(target, stopping), whole_file(target) as part:
            heard = film.sounds and write_sound(source, sound, start=film.start, seconds=count / rate)
            form = FORMATS[target.suffix.lower()]
            clip.write_videofile(
                str(part),
                fps=rate,
                codec="libx264",
                preset="veryfast",
                audio=str(sound) if heard else False,
                audio_codec="copy",
                ffmpeg_params=["-f", form, *(["-movflags", "+faststart"] if form != "matroska" else [])],
                logger=None,
            )
            _check(part, count / rate, target)
        reporter.finish()


class _Frames:
    """The frame to show at a time, annotated; moviepy asks for times that rise.

    Attributes:
        tolerance: seconds by which a frame may come early: half of what one is shown.
    """

    def __init__(self, pictures: Iterator[Picture], looks: Iterator[Drawn], stopping: StopFlag) -> None:
        self.pictures, self.looks, self.stopping = pictures, looks, stopping
        self.reporter: Reporter | None = None
        self.tolerance = 0.0
        self._marks: list[Mark] = []
        self._next_look = next(looks, None)
        self._now: Picture | None = None
        self._next: Picture | None = None
        self._shown: np.ndarray | None = None
        self._shape: tuple[int, int] | None = None

    def begin(self) -> bool:
        """Read the first picture; false where there is none."""
        self._next = self._read()
        return self._next is not None

    def __call__(self, time: float) -> np.ndarray:
        if self.stopping.requested:
            raise self.stopping.error("the film was not drawn to its end.", "The same command draws it anew.")
        while self._next is not None and (self._now is None or self._next.time <= time + self.tolerance):
            self._now, self._next, self._shown = self._next, self._read(), None
        if self._shown is None:
            while self._next_look is not None and self._next_look[0] <= self._now.time + TICK:
                self._marks, self._next_look = self._next_look[1], next(self.looks, None)
            self._shown = self._even(annotated(self._now.pixels, self._marks))
        if self.reporter is not None:
            self.reporter.advance()
        return self._shown

    def _read(self) -> Picture | None:
        try:
            return next(self.pictures, None)
        except DataError:  # told when it was looked at
            return None

    def _even(self, pixels: np.ndarray) -> np.ndarray:
        """``pixels`` at the size of the first frame, its sides even, which H.264 needs."""
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
    """A place beside ``target`` for its sound, empty again afterwards."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".m4a", dir=target.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _told_failures(target: Path, stopping: StopFlag) -> Iterator[None]:
    """What goes wrong in writing ``target``, as errors of ours."""
    try:
        yield
    except (OSError, FFmpegError) as error:
        if stopping.requested:  # Ctrl-C ends FFmpeg's process as well
            raise stopping.error("the film was not drawn to its end.", "The same command draws it anew.") from error
        told = " ".join(str(error).split())[-300:]
        raise RunError(f"cannot write {target}: {told}", "Check the disk and --annotate.") from error


def _check(part: Path, seconds: float, target: Path) -> None:
    """moviepy does not tell when FFmpeg failed: the file is opened and measured."""
    with av.open(str(part)) as container:
        lasts = container.duration / av.time_base if container.duration else 0.0
    if lasts < seconds - max(0.2, 0.01 * seconds):
        raise RunError(
            f"{target} became {lasts:.1f} s of {seconds:.1f} s long: FFmpeg stopped.", "Check the disk and --annotate."
        )


class CameraFilm:
    """The annotated film of a camera: each picture that was looked at, shown until the next one; no sound.

    Use it as a context; the file appears when that ends, if there was a picture, also after an error.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self._stack = contextlib.ExitStack()
        self._last = -1
        self._container: Any = None
        self._shape = (0, 0)

    def __enter__(self) -> CameraFilm:
        self.target.parent.mkdir(parents=True, exist_ok=True)
        return self

    def add(self, time: float, pixels: np.ndarray, marks: Sequence[Mark]) -> None:
        """A picture at ``time`` seconds."""
        drawn = annotated(pixels, marks)
        if self._container is None:
            self._part = self._stack.enter_context(whole_file(self.target))
            form = FORMATS[self.target.suffix.lower()]
            self._container = av.open(str(self._part), "w", format=form)
            self._stream = self._container.add_stream("libx264", rate=30, options={"preset": "veryfast"})
            self._shape = (drawn.shape[0] // 2 * 2, drawn.shape[1] // 2 * 2)
            self._stream.height, self._stream.width = self._shape
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = Fraction(1, CLOCK)
        if drawn.shape[:2] != self._shape:
            drawn = np.ascontiguousarray(drawn[: self._shape[0], : self._shape[1]])
        frame = av.VideoFrame.from_ndarray(drawn, format="rgb24")
        self._last = max(round(time * CLOCK), self._last + 1)
        frame.pts, frame.time_base = self._last, Fraction(1, CLOCK)
        self._container.mux(self._stream.encode(frame))

    def __exit__(self, *error: object) -> None:
        if self._container is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        self._stack.close()  # without the error: what there is, is kept
