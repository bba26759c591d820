"""Inference on films and cameras: a row a face and look, as they are made; then summary, timeline, annotated film."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from torch import nn

from affectkit.core.files import read_json
from affectkit.core.progress import Reporter
from affectkit.data.camera import Camera
from affectkit.data.faces import Finder
from affectkit.data.film import Film
from affectkit.errors import DataError, DeviceError, UsageError
from affectkit.reports.timeline import Lane, described, named, timeline
from affectkit.runners.film_drawing import FORMATS, CameraFilm, Targets, marks_of, write_annotated
from affectkit.runners.film_looks import Follower, Look, Seen, ahead, batched, looks
from affectkit.runners.film_rows import FACE_COLUMNS, FilmOutput, inner
from affectkit.runners.film_sums import PLACES, Columns, Log, Sums
from affectkit.runners.place import Place
from affectkit.runners.settings_tested import InferSettings, parse_every
from affectkit.runners.signals import StopFlag
from affectkit.tasks.base import Task

AHEAD = 4
"""Looks that are decoded, searched and cut out before the network wants them."""


@dataclass(frozen=True)
class Watching:
    """What films are looked at with.

    Attributes:
        network: what is called with batches of faces. finder: finds them; ``Finder("none")`` takes pictures whole.
        columns: the task's.
    """

    settings: InferSettings
    network: nn.Module
    task: Task
    place: Place
    finder: Finder
    columns: Columns
    output: FilmOutput
    stopping: StopFlag
    reporter: Reporter

    def follower(self) -> Follower:
        """What predicts and follows the faces of one film."""
        return Follower(self.network, self.task, self.place, smooth=self.settings.smooth, reporter=self.reporter)


def check_films(settings: InferSettings, task: Task, place: Place) -> None:
    """Refuse what cannot be done with films.

    Raises:
        UsageError: shards, several processes, or a model for clips.
    """
    what = "a camera" if settings.camera is not None else "films"
    if task.spec.clip is not None:
        raise UsageError(f"the model takes clips as a whole, and cannot look at {what}.", "Leave --camera out.")
    if settings.shard:
        raise UsageError(f"--shard and {what} exclude each other.", "Name other films in each run instead.")
    if place.group.several:
        raise UsageError(f"{what} are looked at in one process.", "Start infer without torchrun.")


def infer_films(
    settings: InferSettings,
    films: Sequence[Any],
    *,
    network: nn.Module,
    task: Task,
    place: Place,
    finder: Finder,
    summary: dict[str, Any],
    stdout: IO[str],
    reporter: Reporter,
) -> dict[str, Any]:
    """Look at ``films`` (``name`` and ``path`` each), or with none of them at the camera of ``settings``.

    Rows go to ``stdout``, or to ``results/inference_results.<format>``, beside ``films.csv`` and ``timelines/``;
    annotated films to ``--annotate``. A film that breaks keeps its rows so far, is named with the reason, and the next
    one goes on.

    Args:
        summary: what the record says from the start.

    Returns:
        the record: counts (``films``, ``looks``, ``faces``, ``rows``, ``skipped``), ``films_first`` (a summary each),
        ``skipped_first``, and where files are.

    Raises:
        Stopped: a signal came; ``--resume`` goes on after the last whole film. (A camera ends in peace.)
        DataError: with ``on_error="fail"`` a film broke. DeviceError: there is no such camera.
        UsageError: see ``check_films``, and ``film_drawing.Targets``.
    """
    check_films(settings, task, place)
    columns = Columns.of(task)
    summary = {**summary, "every": settings.every, "smooth": settings.smooth, "seconds": settings.seconds}
    targets = Targets(settings, films) if settings.annotate is not None and films else None
    output = FilmOutput(settings, summary, columns, stdout)
    with contextlib.ExitStack() as stack:
        stack.enter_context(output)
        if output.done is None:
            reporter.note(f"{output.final} is complete; nothing to do.")
            return read_json(output.record)
        stopping = stack.enter_context(StopFlag(reporter))
        watching = Watching(settings, network, task, place, finder, columns, output, stopping, reporter)
        if not films:
            _camera(watching)
        for film in films:
            if film.name not in output.done:
                _film(watching, film.name, film.path, targets.of(film.name) if targets is not None else None)
        return output.conclude()


def _film(watching: Watching, name: str, path: Path, target: Path | None) -> None:
    """All of one film: rows, then its summary, timeline and annotated film."""
    settings, output = watching.settings, watching.output
    film = Film(path, every=parse_every(settings.every), seconds=settings.seconds)
    sums, rows, fault = Sums(watching.columns), 0, None
    with Log(watching.columns) as log:
        watching.reporter.start(f"looking at {name}", None, "looks")
        try:
            for look, seen in _seen(watching, looks(film, watching.finder, watching.task.spec)):
                made = _rows(name, look, seen, len(watching.columns.names))
                output.add(made)
                rows += len(made)
                sums.add(look.time, seen)
                log.add(look.time, seen)
                watching.reporter.advance()
                if watching.stopping.requested:
                    kept = output.final is not None
                    told = f"{look.time:.1f} s of {name} are done."
                    raise watching.stopping.error(told, output.how_to_go_on(), resumable=kept)
        except DataError as error:
            if settings.on_error == "fail":
                raise
            fault = error
            watching.reporter.warn(f"{error.message} {error.hint}".strip())
        finally:
            watching.reporter.finish()
        told = {"film": name, **sums.told(film.end), **({"reason": fault.message} if fault else {})}
        if sums.looks:
            _draw_timeline(watching, name, told, log)
            if target is not None:
                several = len(log.faces) > 1
                drawn = ((time, marks_of(watching.task, found, several=several)) for time, found in log.looks())
                write_annotated(
                    target, path, drawn, seconds=film.end, stopping=watching.stopping, reporter=watching.reporter
                )
    output.end_film(told, rows)


def _camera(watching: Watching) -> None:
    """The camera until its time is over or a signal comes, each look predicted at once."""
    settings, output = watching.settings, watching.output
    name = f"camera-{settings.camera}"
    camera = Camera(
        settings.camera,
        every=parse_every(settings.every),
        seconds=settings.seconds,
        stopped=lambda: watching.stopping.requested,
    )
    sums, rows, fault = Sums(watching.columns), 0, None
    follow = watching.follower()
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(Log(watching.columns))
        drawn = None
        if settings.annotate is not None:
            drawn = stack.enter_context(CameraFilm(_camera_target(settings, name)))
        watching.reporter.start(f"looking at camera {settings.camera}; Ctrl-C ends", None, "looks")
        try:
            for look in looks(camera, watching.finder, watching.task.spec, keep=drawn is not None):
                (seen,) = follow([look])
                made = _rows(name, look, seen, len(watching.columns.names))
                output.add(made)
                rows += len(made)
                sums.add(look.time, seen)
                log.add(look.time, seen)
                watching.reporter.advance()
                if drawn is not None:
                    found = [(one.number, one.face.box, one.row) for one in seen]
                    several = len(log.faces) > 1
                    drawn.add(look.time, look.pixels, marks_of(watching.task, found, several=several))
        except DeviceError as error:
            if not sums.looks:
                raise
            fault = error
            watching.reporter.warn(f"{error.message} {error.hint}".strip())
        finally:
            watching.reporter.finish()
        told = {"film": name, **sums.told(camera.end), **({"reason": fault.message} if fault else {})}
        if sums.looks:
            _draw_timeline(watching, name, told, log)
    output.end_film(told, rows)


def _camera_target(settings: InferSettings, name: str) -> Path:
    """Where the annotated film of a camera goes."""
    target = settings.annotate
    if target.suffix.lower() not in FORMATS:
        target = target / inner(name, ".mp4")
    if target.exists() and not settings.force:
        raise UsageError(f"--annotate {target} exists.", "Name another file, or add --force.")
    return target


def _seen(watching: Watching, stream: Iterator[Look]) -> Iterator[tuple[Look, list[Seen]]]:
    """Each look with its faces predicted, several looks at a time; what there is comes before an error does."""
    follow = watching.follower()
    with contextlib.closing(ahead(stream, AHEAD)) as made:
        for batch in batched(made, watching.settings.batch_size):
            yield from zip(batch, follow(batch), strict=True)


def _rows(name: str, look: Look, seen: Sequence[Seen], width: int) -> list[list[Any]]:
    """The rows of a look: one a face, or one with nothing in it."""
    place = [name, look.number, look.time]
    if not seen:
        return [[*place, *[None] * (len(FACE_COLUMNS) + width)]]
    return [[*place, one.number, *(round(value) for value in one.face.box), one.face.score, *one.row] for one in seen]


def _draw_timeline(watching: Watching, name: str, told: dict[str, Any], log: Log) -> None:
    """The timeline of a film, where there is a folder for results; the faces that were seen the longest first."""
    target = watching.output.timeline(name)
    if target is None:
        return
    records = log.records()
    times, place = np.unique(records[:, 0], return_inverse=True)
    wanted = watching.columns.shares or range(len(watching.columns.names))
    lanes = []
    for one in sorted(told["by_face"], key=lambda one: -one["seconds_seen"]):
        own = records[:, 1] == one["face"]
        values = records[own][:, [PLACES + column for column in wanted]]
        lanes.append(Lane(named(one["face"], one.get("time")), place[own], values))
    low, high = watching.task.scale or (None, None)
    target.parent.mkdir(parents=True, exist_ok=True)
    size = described(looks=told["looks"], faces=told["faces"], seconds=told["seconds"])
    timeline(
        target,
        title=f"{name} · {size}",
        edges=[*times, max(told["seconds"], times[-1])],
        lanes=lanes,
        names=[watching.columns.names[column] for column in wanted],
        shares=bool(watching.columns.shares),
        low=low,
        high=high,
    )
