"""Predict videos and cameras: rows stream out as they are made, in the same memory whatever the length.

Frames are sampled (``data.media.video_stream.Sampler`` says which), their faces detected and cropped in a thread ahead
of the network, predicted with those of other frames, and tracked from frame to frame (``data.faces.tracking``). The
summary of a video goes to ``videos.csv`` and a timeline, all its frames with boxes and bars to an annotated video.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from affectkit.core.progress import Reporter
from affectkit.core.text import count_text
from affectkit.data.faces.selection import sum_left_out
from affectkit.data.media.animation_stream import open_stream
from affectkit.data.media.camera import Camera
from affectkit.data.media.file_identity import file_mark
from affectkit.data.media.file_kinds import is_video_name
from affectkit.data.media.stated_sizes import stated_video
from affectkit.errors import DataError, DeviceError, UsageError
from affectkit.inference.inputs import Item
from affectkit.inference.predictor import Predictor
from affectkit.inference.result_files import OutputOptions
from affectkit.inference.table_writer import TableWriter
from affectkit.inference.video.annotated_video import AnnotationTargets, CameraRecorder, marks_of, write_annotated
from affectkit.inference.video.frame_log import FIRST_COLUMN, FrameLog
from affectkit.inference.video.options import VideoOptions, describe_sampling
from affectkit.inference.video.prediction_table import VideoTable
from affectkit.inference.video.sampled_frames import (
    FaceTrackPredictor,
    SampledFrame,
    TrackedFace,
    frame_rows,
    predict_frames,
    sample_faces,
)
from affectkit.inference.video.statistics import Columns, VideoStatistics, longest
from affectkit.runtime.shutdown import StopFlag


@dataclass
class VideoSession:
    """Hold what all videos of a command share."""

    predictor: Predictor
    options: VideoOptions
    table: VideoTable
    columns: Columns
    reporter: Reporter
    stopping: StopFlag
    targets: AnnotationTargets | None


@dataclass
class VideoProgress:
    """Hold what was seen of one video so far; ``with_limits`` some of its faces may be left out.

    Attributes:
        cuts: times of the sampled frames before which there was a cut; None: nothing knows of cuts.
    """

    name: str
    columns: Columns
    log: FrameLog
    reader: Any
    rows: int = 0
    with_limits: bool = False
    left_out: Counter[str] = field(default_factory=Counter)
    cuts: list[float] | None = None
    statistics: VideoStatistics = field(init=False)

    def __post_init__(self) -> None:
        self.statistics = VideoStatistics(self.columns)

    @property
    def timed(self) -> bool:
        """Return whether frames have times, which the pages of an image have not."""
        return getattr(self.reader, "timed", True)

    def add(self, frame: SampledFrame, faces: list[TrackedFace]) -> list[list[Any]]:
        """Add a frame; return its rows: one a face, or an empty one."""
        self.statistics.add(frame.time, faces)
        self.left_out.update(frame.left_out)
        self.log.add(frame.time, faces)
        if frame.cut is not None and self.timed:
            self.cuts = self.cuts if self.cuts is not None else []
            self.cuts.extend([float(frame.time)] if frame.cut else [])
        rows = frame_rows(self.name, frame, faces, len(self.columns.names), timed=self.timed)
        self.rows += len(rows)
        return rows

    def summary(self, fault: DataError | DeviceError | None) -> dict[str, Any]:
        """Return the summary of the video, with the reason where it broke."""
        found = {"video": self.name, **self.statistics.summary(self.reader.end, timed=self.timed)}
        found |= {name: getattr(self.reader, name, None) for name in ("picture_start", "sound_start")}
        if self.cuts is not None:
            found["cuts"] = self.cuts
        if self.with_limits:
            found["faces_left_out"] = sum_left_out([self.left_out])
        if notes := getattr(self.reader, "notes", []):
            found["notes"] = notes
        return found if fault is None else {**found, "reason": fault.message}


def infer_videos(
    predictor: Predictor,
    videos: Sequence[Item],
    *,
    options: VideoOptions,
    output: OutputOptions,
    summary: dict[str, Any],
    stdout: IO[str],
    reporter: Reporter,
    writer: TableWriter | None = None,
    targets: AnnotationTargets | None = None,
) -> dict[str, Any]:
    """Predict the faces of ``videos``; return a summary with counts and what was skipped.

    Rows go to ``stdout``, or to ``results/inference_results.<format>``, which carries ``.part`` until it is complete;
    there ``videos.csv`` has a row per video and one for each of its faces, and ``timelines`` a figure per video. Of one
    that breaks the rows so far stand; it is named in ``skipped.csv`` and counted as ``skipped``.

    Args:
        predictor: the model, and what finds faces; without, frames are taken whole.
        videos: no two of one name; with a ``writer`` there may be none, where those of an earlier run have gone.
        options: how they are sampled and predicted.
        output: where the results go.
        summary: what the record says from the start.
        stdout: where rows go without results.
        reporter: hears of the progress.
        writer: where rows go without results, after those of images.
        targets: where annotated videos go, if that has been settled before images were annotated.

    Raises:
        UsageError: what is asked for cannot be done with videos.
        DataError: there is no video, or with ``on_error="fail"`` one is broken.
        Stopped: a signal came; ``--resume`` resumes with the next video.
    """
    refuse_frames(predictor, output, "videos frame by frame")
    if not videos and writer is None:
        raise DataError("there was no video to predict.")
    if videos and output.annotate is not None and targets is None:
        targets = AnnotationTargets(output, videos)
    table = VideoTable(output, summary, Columns.of(predictor.task), stdout, videos=videos, writer=writer)
    with _session(predictor, options, table, targets, reporter) as session:
        for text in table.notes:
            reporter.note(text)
        if table.plan is None:
            reporter.note(f"{table.final} is complete; nothing to do.")
            return table.before
        reporter.note(f"sampling {describe_sampling(options.every, list(table.remaining()))}")
        for video in table.remaining():
            _infer_video(session, video)
        return table.conclude()


def infer_camera(
    predictor: Predictor,
    number: int,
    *,
    options: VideoOptions,
    output: OutputOptions,
    summary: dict[str, Any],
    stdout: IO[str],
    reporter: Reporter,
    open_camera: Callable[[int], Any] | None = None,
) -> dict[str, Any]:
    """Predict the faces that a camera sees, until ``options.seconds`` or a signal, which is the usual end.

    Args:
        number: of the camera.
        open_camera: as of ``data.media.camera.Camera``. Others: as of ``infer_videos``.

    Raises:
        UsageError: what is asked for cannot be done with a camera.
        DeviceError: it is not there.
    """
    refuse_frames(predictor, output, f"--camera {number}")
    name = f"camera {number}"
    video = Item(name, Path(name))
    targets = AnnotationTargets(output, [video]) if output.annotate is not None else None
    table = VideoTable(output, summary, Columns.of(predictor.task), stdout, videos=[video])
    with _session(predictor, options, table, targets, reporter) as session:
        reporter.note(f"sampling {describe_sampling(options.every)}")
        camera = Camera(
            number,
            every=options.every,
            seconds=options.seconds,
            stopped=lambda: session.stopping.requested,
            **({} if open_camera is None else {"open_camera": open_camera}),
        )
        _watch(session, video, camera)
        return table.conclude()


def refuse_frames(predictor: Predictor, output: OutputOptions, what: str) -> None:
    """Raise a UsageError where ``what`` is asked for cannot be predicted frame by frame, in one process."""
    if predictor.spec.clip is not None:
        raise UsageError(
            f"{what}: this model takes clips whole, picture and sound together.",
            "Leave --camera and its options out for a row a clip, or name a model of images with --checkpoint.",
        )
    if output.shard is not None:
        raise UsageError(
            "--shard takes images, not videos: faces are tracked from the beginning of a video to its end.",
            "Start a command for some of the videos each, with --results folders of their own.",
        )
    if predictor.context.group.is_distributed:
        raise UsageError(
            f"videos are predicted by one process; there are {predictor.context.group.world_size}.",
            "Start affectkit without torchrun.",
        )


@contextlib.contextmanager
def _session(
    predictor: Predictor,
    options: VideoOptions,
    table: VideoTable,
    targets: AnnotationTargets | None,
    reporter: Reporter,
) -> Iterator[VideoSession]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(predictor.engine.computing())
        stopping = stack.enter_context(StopFlag(reporter))
        stack.enter_context(table)
        if table.plan is not None:
            predictor = predictor.with_network(options.compiled, reporter)
        yield VideoSession(predictor, options, table, table.columns, reporter, stopping, targets)


def _infer_video(session: VideoSession, video: Item) -> None:
    """Make the rows, summary, timeline and annotated video of one video."""
    options, table, reporter = session.options, session.table, session.reporter
    reader, fault = open_stream(video.path, every=options.every, seconds=options.seconds), None
    mark = file_mark(video.path) if table.files is not None else None  # before the frames: a later change must show
    with FrameLog(session.columns) as log:
        progress = VideoProgress(video.name, session.columns, log, reader, with_limits=table.with_limits)
        reporter.start(*_stretch(video, len(table.videos), options))
        steps = {"smooth": options.smooth, "batch_size": options.batch_size, "search_side": options.search_side}
        steps |= {"track_gap": options.track_gap, "reporter": reporter}
        with contextlib.closing(predict_frames(session.predictor, reader, **steps)) as batches:
            try:
                for batch in batches:
                    table.add([row for frame, faces in batch for row in progress.add(frame, faces)])
                    reporter.advance(len(batch))
                    if session.stopping.requested:
                        raise _stopped(session, video.name)
            except DataError as error:
                fault = error
        reporter.finish()
        _refuse(options, fault)
        summary = progress.summary(fault)
        for text in summary.get("notes", ()):
            reporter.note(f"{video.name}: {text}")
        if progress.timed:
            _draw_timeline(session, progress, summary)
        if session.targets is not None and summary["sampled_frames"]:
            several = len(log.faces) > 1
            write_annotated(
                session.targets.of(video.name),
                video.path,
                ((time, marks_of(session.predictor.task, faces, several=several)) for time, faces in log.frames()),
                seconds=reader.end,
                stopping=session.stopping,
                reporter=reporter,
                whole=options.seconds is None,
            )
        table.end_video(video, summary, progress.rows, mark)


def _stretch(video: Item, videos: int, options: VideoOptions) -> tuple[str, int | None, str]:
    """Return label, total and unit of the frames of a video, for a Reporter; the total is what the file states."""
    label = video.name if videos == 1 else f"{video.name} ({video.position + 1:,} of {videos:,})"
    stated = stated_video(video.path) if is_video_name(video.path.name) else None
    return label, None if stated is None else stated.taken(options.every, options.seconds), "frames"


def _watch(session: VideoSession, video: Item, camera: Camera) -> None:
    """Make the rows, summary, timeline and annotated video of a camera: each frame is predicted before the next one."""
    predictor, table, fault = session.predictor, session.table, None
    given = {"smooth": session.options.smooth, "track_gap": session.options.track_gap, "reporter": session.reporter}
    track = FaceTrackPredictor(predictor, **given)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(FrameLog(session.columns))
        progress = VideoProgress(video.name, session.columns, log, camera, with_limits=table.with_limits)
        recorder = None
        if session.targets is not None:
            recorder = stack.enter_context(CameraRecorder(session.targets.of(video.name)))
        session.reporter.start(video.name, None, "frames")
        try:
            frames = stack.enter_context(contextlib.closing(iter(camera)))
            how = {"search_side": session.options.search_side, "live": True, "keep_pixels": recorder is not None}
            for sampled in sample_faces(frames, predictor.face_detector, predictor.spec, **how):
                ((frame, faces),) = track([sampled])
                table.add(progress.add(frame, faces))
                session.reporter.advance()
                if recorder is not None:
                    drawn = [(one.number, one.face.box, one.face.points, one.row) for one in faces]
                    recorder.add(frame.time, frame.pixels, marks_of(predictor.task, drawn, several=True))
        except DeviceError as error:
            if not progress.statistics.frames:
                raise
            fault = error
        session.reporter.finish()
        summary = progress.summary(fault)
        _draw_timeline(session, progress, summary)
        table.end_video(video, summary, progress.rows)


def _stopped(session: VideoSession, name: str) -> Exception:
    session.reporter.finish()
    done = session.table.totals["videos"]
    videos = f"{count_text(done, 'video is', 'videos are')} done, {name} in part."
    resumable = session.table.files is not None
    return session.stopping.error(videos, session.table.how_to_resume(), resumable=resumable)


def _refuse(options: VideoOptions, fault: DataError | None) -> None:
    """Raise what broke a video where the command shall fail then."""
    if fault is not None and options.on_error == "fail":
        raise DataError(fault.message, fault.hint or "Fix or remove it, or leave out --on-error fail.")


def _draw_timeline(session: VideoSession, progress: VideoProgress, summary: dict[str, Any]) -> None:
    """Draw the timeline of a video, where there are results and something was seen."""
    path = session.table.timeline(progress.name)
    if path is None or not summary["sampled_frames"]:
        return
    from affectkit.reports import timeline  # matplotlib: half a second

    records = progress.log.records()
    # By frame, not by time: two frames may have the same time.
    _, first, index = np.unique(records[:, 0], return_index=True, return_inverse=True)
    times = records[first, 1]
    columns = session.columns
    wanted = list(columns.shares) or [k for k, name in enumerate(columns.names) if name in summary["mean"]]
    lanes = []
    for one in longest(summary["by_face"], timeline.MOST_LANES):
        own = records[:, 2] == one["face"]
        values = records[own][:, [FIRST_COLUMN + column for column in wanted]]
        name = timeline.lane_name(one["face"], one.get("time"), columns.affect(one["mean"]))
        lanes.append(timeline.Lane(name, index[own], values))
    low, high = session.predictor.task.scale or (None, None)
    end = max(summary["seconds"], float(times[-1]))
    described = timeline.describe_video(
        frames=summary["sampled_frames"], faces=summary["faces"], seconds=summary["seconds"]
    )
    timeline.draw_timeline(
        path,
        title=f"{progress.name} · {described}",
        edges=[*times, end],
        lanes=lanes,
        names=[columns.names[column] for column in wanted] or columns.names,
        shares=bool(columns.shares),
        low=low,
        high=high,
    )
