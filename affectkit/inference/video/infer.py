"""``infer`` on films and cameras: rows stream out as they are made, in the same memory whatever the length.

Frames are sampled (``data.media.video_stream.Sampler`` says which), their faces detected and cropped in a thread ahead
of the network, predicted with those of other frames, and followed from frame to frame (``data.faces.tracking``). The
summary of a video goes to ``films.csv`` and a timeline, all its frames with boxes and bars to an annotated video.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.config import Parsed, value_of
from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.core.text import counted
from affectkit.data.faces.detection import Finder
from affectkit.data.media.animation_stream import reader_of
from affectkit.data.media.camera import Camera
from affectkit.data.media.file_identity import mark_of
from affectkit.errors import DataError, DeviceError, UsageError
from affectkit.inference.inputs import Item
from affectkit.inference.predictor import Means
from affectkit.inference.table_files import Rows
from affectkit.inference.video.annotated_video import CameraFilm, Targets, marks_of, write_annotated
from affectkit.inference.video.prediction_table import FilmOutput, longest
from affectkit.inference.video.sampled_frames import Follower, Look, Seen, ahead, batched, looks
from affectkit.inference.video.summary import PLACES, Columns, Log, Sums, without_times
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import ProcessGroup
from affectkit.runtime.shutdown import StopFlag
from affectkit.runtime.torch_backends import set_up_backends
from affectkit.settings.inference import InferSettings
from affectkit.settings.values import Every
from affectkit.tasks.base import Task

DEPTH = 64
"""Looks, without their pictures, that the thread may be ahead of the network."""
EVERY = Parsed("0.5s", Every(0.5, 0))


@dataclass
class Run:
    """What all films of a command share."""

    settings: InferSettings
    network: Callable[..., Any]
    task: Task
    context: RunContext
    finder: Finder
    reporter: Reporter
    output: FilmOutput
    stopping: StopFlag
    columns: Columns
    targets: Targets | None = None

    def follower(self) -> Follower:
        """Predicts the faces of a film."""
        return Follower(self.network, self.task, self.context, smooth=self.settings.smooth, reporter=self.reporter)


@dataclass
class Course:
    """One film on its way: what was seen of it so far."""

    name: str
    columns: Columns
    log: Log
    reader: Any
    rows: int = 0
    sums: Sums = field(init=False)

    def __post_init__(self) -> None:
        self.sums = Sums(self.columns)

    @property
    def timed(self) -> bool:
        """Whether frames have times, which the pages of a picture have not."""
        return getattr(self.reader, "timed", True)

    def take(self, look: Look, found: list[Seen]) -> list[list[Any]]:
        """The rows of a look: one a face, or an empty one."""
        self.sums.add(look.time, found)
        self.log.add(look.time, found)
        rows = rows_of(self.name, look, found, len(self.columns.names), timed=self.timed)
        self.rows += len(rows)
        return rows


def rows_of(name: str, look: Look, found: list[Seen], width: int, *, timed: bool = True) -> list[list[Any]]:
    """The rows of a look at the film ``name`` (``FILM_COLUMNS``, the task's ``width`` columns): one a face, or an empty
    one; without a time where it is not ``timed``."""
    begin = [name, look.number, float(look.time) if timed else None]
    rows = [[*begin, one.number, *(round(value) for value in one.face.box), one.face.score, *one.row] for one in found]
    return rows or [[*begin, *[None] * (6 + width)]]


def refuse(settings: InferSettings, spec: InputSpec, group: ProcessGroup) -> None:
    """Raise a UsageError where films, or a camera, cannot be looked at as asked."""
    if spec.clip is not None:
        given = [f"--{name}" for name in ("camera", "seconds", "annotate") if getattr(settings, name) is not None]
        given += [f"--every {settings.every}"] if settings.every is not None else []
        given += ["--smooth"] if settings.smooth else []
        raise UsageError(
            f"{', '.join(given) or 'looking at films picture by picture'}: this model takes clips whole, picture and "
            "sound together.",
            "Leave these options out for a row a clip, or name a model of images with --checkpoint.",
        )
    if settings.shard is not None:
        raise UsageError(
            "--shard takes images, not films: a film is followed from its beginning to its end.",
            "Start a command for some of the films each, with --results folders of their own.",
        )
    if group.is_distributed:
        raise UsageError(
            f"films are looked at by one process; there are {group.world_size}.", "Start affectkit without torchrun."
        )


def infer_films(
    settings: InferSettings,
    films: Iterable[Item],
    means: Means,
    *,
    table: Rows | None = None,
    targets: Targets | None = None,
) -> dict[str, Any]:
    """Predict the faces of ``films``; returns a summary with counts and what was skipped.

    Rows go to ``stdout``, or to ``results/inference_results.<format>``, which carries ``.part`` until it is complete;
    there ``films.csv`` has a row a film and one for each of its faces, and ``timelines`` a picture a film. Of a film
    that breaks the rows so far stand; it is named in ``skipped.csv`` and counted as ``skipped``.

    Args:
        films: no two of one name; with a ``table`` none will do, where those of an earlier run have gone.
        table: where rows go without results, after those of images.
        targets: where annotated films go, if that is known already.

    Raises:
        UsageError: what is asked for cannot be done with films. DataError: there is no film, or with
            ``on_error="fail"`` one is broken. Stopped: a signal came; ``--resume`` goes on with the next film.
    """
    refuse(settings, means.task.spec, means.context.group)
    films = list(films)
    if not films and table is None:
        raise DataError("there was no film to predict.")
    if films and settings.annotate is not None and targets is None:
        targets = Targets(settings, films)
    with _running(settings, means, films, table) as run:
        for text in run.output.notes:
            means.reporter.note(text)
        if run.output.plan is None:
            means.reporter.note(f"{run.output.final} is complete; nothing to do.")
            return run.output.before
        run.targets = targets
        for film in films:
            if not run.output.has(film):
                _infer_film(run, film)
        return run.output.conclude()


def infer_camera(
    settings: InferSettings,
    means: Means,
    *,
    open_camera: Callable[[int], Any] | None = None,
) -> dict[str, Any]:
    """Predict the faces that the camera ``settings.camera`` sees, until ``settings.seconds`` or a signal, which is the
    usual end; as ``infer_films`` otherwise.

    Raises:
        UsageError: what is asked for cannot be done with a camera. DeviceError: it is not there.
    """
    refuse(settings, means.task.spec, means.context.group)
    name = f"camera {settings.camera}"
    targets = None
    if settings.annotate is not None:
        targets = Targets(settings, [Item(name, Path(name))])
    film = Item(name, Path(name))
    with _running(settings, means, [film]) as run:
        run.targets = targets
        made = {} if open_camera is None else {"open_camera": open_camera}
        camera = Camera(
            settings.camera,
            every=value_of(settings.every, EVERY.value),
            seconds=settings.seconds,
            stopped=lambda: run.stopping.requested,
            **made,
        )
        _watch(run, film, camera)
        return run.output.conclude()


@contextlib.contextmanager
def _running(settings: InferSettings, means: Means, films: Sequence[Item], table: Rows | None = None) -> Iterator[Run]:
    options = {"every": str(settings.every or EVERY), "smooth": settings.smooth, "seconds": settings.seconds}
    columns = Columns.of(means.task)
    output = FilmOutput(settings, {**means.summary, **options}, columns, means.stdout, films=films, table=table)
    with contextlib.ExitStack() as stack:
        stack.enter_context(set_up_backends(means.context.device, means.context.precision))
        stopping = stack.enter_context(StopFlag(means.reporter))
        stack.enter_context(output)
        network = means.model
        if output.plan is not None:
            network = means.context.maybe_compile(network, enabled=settings.compile, reporter=means.reporter)
        finder = means.finder or Finder("none")
        yield Run(settings, network, means.task, means.context, finder, means.reporter, output, stopping, columns)


def _infer_film(run: Run, film: Item) -> None:
    """Rows, summary, timeline and annotated film of one film."""
    settings, spec = run.settings, run.task.spec
    reader = reader_of(film.path, every=value_of(settings.every, EVERY.value), seconds=settings.seconds)
    follower, fault = run.follower(), None
    mark = mark_of(film.path) if run.output.final is not None else None  # before the pictures: a later change must show
    with Log(run.columns) as log:
        course = Course(film.name, run.columns, log, reader)
        run.reporter.start(film.name, None, "looks")
        with contextlib.closing(ahead(looks(iter(reader), run.finder, spec), DEPTH)) as stream:
            try:
                for batch in batched(stream, settings.batch_size):
                    found = follower(batch)
                    run.output.add(
                        [row for look, own in zip(batch, found, strict=True) for row in course.take(look, own)]
                    )
                    run.reporter.advance(len(batch))
                    if run.stopping.requested:
                        raise _stopped(run, film.name)
            except DataError as error:
                fault = error
        run.reporter.finish()
        _refuse(run, fault)
        told = _told(course, reader.end, fault)
        if course.timed:
            _draw_timeline(run, course, told)
        if run.targets is not None and told["looks"]:
            several = len(log.faces) > 1
            write_annotated(
                run.targets.of(film.name),
                film.path,
                ((time, marks_of(run.task, seen, several=several)) for time, seen in log.looks()),
                seconds=reader.end,
                stopping=run.stopping,
                reporter=run.reporter,
            )
        run.output.end_film(film, told, course.rows, mark)


def _watch(run: Run, film: Item, camera: Camera) -> None:
    """Rows, summary, timeline and annotated film of a camera: each look is predicted before the next one."""
    follower, fault, name = run.follower(), None, film.name
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(Log(run.columns))
        course = Course(name, run.columns, log, camera)
        drawn = stack.enter_context(CameraFilm(run.targets.of(name))) if run.targets is not None else None
        run.reporter.start(name, None, "looks")
        try:
            pictures = stack.enter_context(contextlib.closing(iter(camera)))
            for look in looks(pictures, run.finder, run.task.spec, keep=drawn is not None):
                (found,) = follower([look])
                run.output.add(course.take(look, found))
                run.reporter.advance()
                if drawn is not None:
                    seen = [(one.number, one.face.box, one.row) for one in found]
                    drawn.add(look.time, look.pixels, marks_of(run.task, seen, several=True))
        except DeviceError as error:
            if not course.sums.looks:
                raise
            fault = error
        run.reporter.finish()
        told = _told(course, camera.end, fault)
        _draw_timeline(run, course, told)
        run.output.end_film(film, told, course.rows)


def _stopped(run: Run, name: str) -> Exception:
    run.reporter.finish()
    done = run.output.totals["films"]
    films = f"{counted(done, 'film is', 'films are')} done, {name} in part."
    return run.stopping.error(films, run.output.how_to_go_on(), resumable=run.output.final is not None)


def _refuse(run: Run, fault: DataError | None) -> None:
    """Raise what broke a film where the command shall fail then."""
    if fault is not None and run.settings.on_error == "fail":
        raise DataError(fault.message, fault.hint or "Mend or remove it, or leave out --on-error fail.")


def _told(course: Course, end: float, fault: DataError | DeviceError | None) -> dict[str, Any]:
    told = {"film": course.name, **(course.sums.told(end) if course.timed else without_times(course.sums.told(end)))}
    return told if fault is None else {**told, "reason": fault.message}


def _draw_timeline(run: Run, course: Course, told: dict[str, Any]) -> None:
    """The picture of a film, where there are results and something was seen."""
    from affectkit.reports import timeline

    path = run.output.timeline(course.name)
    if path is None or not told["looks"]:
        return
    records = course.log.records()
    times, place = np.unique(records[:, 0], return_inverse=True)
    columns = run.columns
    wanted = list(columns.shares) or [k for k, name in enumerate(columns.names) if name in told["mean"]]
    lanes = []
    for one in longest(told["by_face"], timeline.MOST_LANES):
        own = records[:, 1] == one["face"]
        values = records[own][:, [PLACES + column for column in wanted]]
        lanes.append(timeline.Lane(timeline.named(one["face"], one.get("time")), place[own], values))
    low, high = run.task.scale or (None, None)
    end = max(told["seconds"], float(times[-1]))
    described = timeline.described(looks=told["looks"], faces=told["faces"], seconds=told["seconds"])
    timeline.timeline(
        path,
        title=f"{course.name} · {described}",
        edges=[*times, end],
        lanes=lanes,
        names=[columns.names[column] for column in wanted] or columns.names,
        shares=bool(columns.shares),
        low=low,
        high=high,
    )
