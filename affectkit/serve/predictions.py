"""Files of requests to rows, by the functions of ``inference`` that ``infer`` and ``affectkit.predict`` use."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from av.error import FFmpegError

from affectkit.config import Parsed
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.media.animation_stream import open_stream
from affectkit.data.media.file_identity import Mark
from affectkit.data.media.file_kinds import is_video_name
from affectkit.data.media.images_in_memory import GivenImage
from affectkit.data.media.media_file import check_clip_file, choose_tracks, open_media, require_video, unopened
from affectkit.data.media.packet_times import scan_container
from affectkit.data.media.pixel_limits import check_size, pixel_limit
from affectkit.data.media.video_stream import Frame
from affectkit.errors import DataError, UsageError
from affectkit.inference.annotated_images import ImageAnnotator
from affectkit.inference.images import predict_images
from affectkit.inference.infer import describe_faces, describe_model
from affectkit.inference.inputs import Item
from affectkit.inference.prediction_table import PredictionTable
from affectkit.inference.predictor import Predictor
from affectkit.inference.result_files import OutputOptions
from affectkit.inference.table_layout import BOX_COLUMNS, FRAME_COLUMNS, NAME, VIDEO_NAME, has_limits
from affectkit.inference.video.frame_log import FrameLog
from affectkit.inference.video.infer import VideoProgress
from affectkit.inference.video.sampled_frames import predict_frames
from affectkit.inference.video.statistics import Columns
from affectkit.metrics.emotion_norms import DIMENSIONS, mean_column
from affectkit.serve.uploads import Upload
from affectkit.settings.values import Every
from affectkit.tasks.decision import MARGIN

WARMED = 64
"""Side of the gray picture that is predicted before the first request."""


@dataclass(frozen=True, kw_only=True)
class FilmOptions:
    """Say how films are sampled and predicted, as the options of ``infer``."""

    every: Parsed[Every]
    smooth: float
    search_side: int
    track_gap: float
    max_seconds: float


@dataclass
class Found:
    """Hold what files came to, as it grows.

    Attributes:
        rows: of pictures the position first, as ``inference.images.Batch`` has them; of films as their table.
        failures: files without a row, or in part, with the reason.
        marks: of pictures by position, what marks a file and how many frames it has.
        left_out: of pictures by position, how many faces were left out, by reason.
        videos: the summary of each film that has ended.
    """

    rows: list[list[Any]] = field(default_factory=list)
    failures: list[ReadFailure] = field(default_factory=list)
    marks: dict[int, tuple[Mark | None, int]] = field(default_factory=dict)
    left_out: dict[int, dict[str, int]] = field(default_factory=dict)
    videos: list[dict[str, Any]] = field(default_factory=list)


class Predictions:
    """Predict files with a loaded model; but for ``check_film`` by the one thread that may use it.

    Args:
        predictor: the model, and what finds faces.
        checkpoint: its name for answers.
        batch_size: images, or faces of a film, in a forward pass.
        workers: threads or processes that decode pictures.
        films: how films are sampled.
        decided: what answers say of how rows are made of outputs, see ``inference.decisions.decide``.

    Attributes:
        texts: the task's columns that hold text, once ``warm_up`` has seen a row; None where that is not known.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        checkpoint: str,
        batch_size: int,
        workers: int,
        films: FilmOptions,
        decided: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.predictor, self.checkpoint, self.decided = predictor, checkpoint, decided
        self.batch_size, self.workers, self.films = batch_size, workers, films
        self.texts: set[str] | None = None

    def described(self) -> dict[str, Any]:
        """Return what answers say of the model, in the words of ``infer --json``."""
        detector = self.predictor.face_detector
        faces = describe_faces(detector) if detector is not None else {}
        return {"checkpoint": self.checkpoint, **describe_model(self.predictor), **faces, **self.decided}

    @property
    def takes_clips(self) -> bool:
        """Return whether the model takes clips, a row each, and no pictures."""
        return self.predictor.spec.clip is not None

    def is_film(self, upload: Upload) -> bool:
        """Return whether a file is predicted frame by frame."""
        return not self.takes_clips and is_video_name(upload.path.name)

    def columns(self, *, films: bool) -> list[str]:
        """Return the columns of rows of films, or of pictures."""
        return self.predictor.video_columns if films else self.predictor.image_columns

    def roles(self) -> dict[str, Any]:
        """Return what the columns of rows are for, by name: for those who draw what stands in them."""
        task = self.predictor.task
        return {
            "name": NAME,
            "video": VIDEO_NAME,
            "frame": FRAME_COLUMNS[0],
            "time": FRAME_COLUMNS[1],
            "face": BOX_COLUMNS[0],
            "box": BOX_COLUMNS[1:5],
            "task": task.columns(),
            "texts": sorted(self.texts or ()),
            "margin": MARGIN if MARGIN in task.columns() else None,
            "question_margin": task.decision.question_margin,
            "scale": task.scale,
            "affect": {} if task.decision.norms is None else {name.lower(): mean_column(name) for name in DIMENSIONS},
        }

    def warm_up(self) -> None:
        """Predict a gray picture, so that the first request takes no longer than others."""
        if self.takes_clips:
            return
        gray = GivenImage("gray", np.full((WARMED, WARMED, 3), 127, np.uint8))
        list(predict_images(self.predictor, [Item("gray", gray)], batch_size=1))
        spec, task = self.predictor.spec, self.predictor.task
        crop = np.full((1, spec.height, spec.width, spec.channels), 127, np.uint8)
        (row,) = task.rows(self.predictor.engine.outputs({"image": crop}))
        self.texts = {name for name, value in zip(task.columns(), row, strict=True) if isinstance(value, str)}

    # --- pictures ---

    def pictures(self, uploads: Sequence[Upload]) -> Found:
        """Predict pictures, or clips."""
        found = Found()
        for _ in self.picture_steps(uploads, found, lambda done: None):
            pass
        return found

    def picture_steps(
        self, uploads: Sequence[Upload], found: Found, report: Callable[[float], None], *, marks: bool = False
    ) -> Iterator[None]:
        """Add what pictures come to to ``found``, a batch at a step.

        Args:
            uploads: the pictures.
            found: grows.
            report: gets the share that is done.
            marks: whether files are marked, as a table in a folder has them.
        """
        how = {"batch_size": self.batch_size, "workers": self.workers, "marks": marks}
        done = 0
        with contextlib.closing(predict_images(self.predictor, _items(uploads), **how)) as batches:
            for batch in batches:
                found.rows += batch.rows
                found.marks |= batch.marks
                found.left_out |= batch.left_out
                for one in batch.failures:
                    found.failures.append(ReadFailure(one.index, one.name, uploads[one.index].told(one.reason)))
                done += len({row[0] for row in batch.rows}) + len(batch.failures)
                report(done / len(uploads))
                yield

    def record(self, found: Found) -> tuple[dict[str, Any], str]:
        """Return the JSON of ``infer --json`` for pictures, and the table that it writes to standard output."""
        out = io.StringIO()
        with PredictionTable(OutputOptions(), self.described(), self.columns(films=False), out) as table:
            table.add(found.rows, found.failures, found.marks, found.left_out)
            return table.conclude(), out.getvalue()

    def annotate(self, upload: Upload, folder: Path) -> Path:
        """Draw faces and predictions on a picture; return the file of it in ``folder``.

        Raises:
            DataError: it cannot be read.
            UsageError: the model takes clips.
        """
        if self.takes_clips:
            raise UsageError("the model takes clips whole; there is no picture to draw on.")
        options, task = OutputOptions(annotate=folder), self.predictor.task
        with_faces = self.predictor.face_detector is not None
        annotator = ImageAnnotator(options, task, with_faces=with_faces, paths=(), recursive=False)
        items = annotator.remember([Item(upload.path.name, upload.path)])
        for batch in annotator.annotate(predict_images(self.predictor, items, batch_size=1)):
            for failure in batch.failures:
                raise DataError(upload.told(failure.reason))
        (drawn,) = folder.iterdir()
        return drawn

    # --- films ---

    def check_film(self, upload: Upload) -> float:
        """Return the length of a film in seconds; any thread may ask.

        Raises:
            DataError: it is none, or too long, or has more pixels than are allowed.
        """
        try:
            check_clip_file(upload.path, "video")
            with open_media(upload.path) as container:
                tracks = choose_tracks(container)
                require_video(upload.path, tracks)
                size = tracks.video.width, tracks.video.height
                seconds = scan_container(container, tracks).seconds
            check_size(upload.path, size, pixel_limit())
        except FFmpegError as error:
            raise DataError(upload.told(unopened(upload.path, error).message)) from error
        except DataError as error:
            raise DataError(upload.told(error.message), error.hint) from error
        _check_length(upload, seconds, self.films)
        return seconds

    def film_steps(
        self,
        uploads: Sequence[Upload],
        found: Found,
        report: Callable[[float], None],
        options: FilmOptions,
        *,
        lengths: Sequence[float],
    ) -> Iterator[None]:
        """Add what films come to to ``found``, a batch of frames at a step.

        Args:
            uploads: the films.
            found: grows.
            report: gets the share that is done, at each sampled frame, in a thread of its own; what it raises ends all.
            options: how they are sampled.
            lengths: of the films in seconds.
        """
        total, before = max(sum(lengths), 1e-9), 0.0
        for number, (upload, length) in enumerate(zip(uploads, lengths, strict=True)):

            def passed(seconds: float, begun: float = before, upload: Upload = upload) -> None:
                _check_length(upload, seconds, options)
                report(min((begun + seconds) / total, 1.0))

            yield from self._one_film(number, upload, found, passed, options)
            before += length

    def _one_film(
        self, number: int, upload: Upload, found: Found, passed: Callable[[float], None], options: FilmOptions
    ) -> Iterator[None]:
        reader = open_stream(upload.path, every=options.every.value)
        columns = Columns.of(self.predictor.task)
        fault = None
        how = {"smooth": options.smooth, "batch_size": self.batch_size, "search_side": options.search_side}
        how |= {"track_gap": options.track_gap}
        frames = _watched(reader, passed)
        with FrameLog(columns) as log, contextlib.closing(predict_frames(self.predictor, frames, **how)) as batches:
            progress = VideoProgress(upload.name, columns, log, reader, with_limits=has_limits(self.described()))
            try:
                for batch in batches:
                    for frame, faces in batch:
                        found.rows += progress.add(frame, faces)
                    yield
            except DataError as error:
                fault = DataError(upload.told(error.message))
                found.failures.append(ReadFailure(number, upload.name, fault.message))
            found.videos.append(progress.summary(fault))


def _check_length(upload: Upload, seconds: float, options: FilmOptions) -> None:
    if seconds > options.max_seconds:
        raise DataError(
            f"video {upload.name}: lasts {seconds:,.1f} s; at most {options.max_seconds:,.1f} are taken "
            "(--max-seconds).",
            "Send a part of it.",
        )


def _watched(frames: Iterable[Frame], passed: Callable[[float], None]) -> Iterator[Frame]:
    """Yield ``frames``, the time of each told to ``passed`` before."""
    for frame in frames:
        passed(frame.time)
        yield frame


def _items(uploads: Iterable[Upload]) -> Iterator[Item]:
    return (Item(one.name, one.path, position) for position, one in enumerate(uploads))
