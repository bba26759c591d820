"""Inference: rows stream out as they are made, memory does not grow with the number of images."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from torch import nn

from affectkit import __version__
from affectkit.core.files import read_json
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Reporter
from affectkit.core.shards import Listing
from affectkit.core.spec import InputSpec
from affectkit.data.decode import is_video_name
from affectkit.data.face_loading import PathFaces, collate_faces
from affectkit.data.faces import Face, Finder
from affectkit.data.given import Given
from affectkit.data.loading import Failure, close_loader, make_loader, refuse_failures
from affectkit.data.media import files_of, names_of, noun_of
from affectkit.data.split import some
from affectkit.errors import DataError, UsageError
from affectkit.models.registry import takes_faces
from affectkit.runners.backends import set_up_backends
from affectkit.runners.checkpoint import find_checkpoint, load_model, make_task, notes_on, told_fit
from affectkit.runners.drawing import Drawer
from affectkit.runners.evaluate import gather_failures, share_of
from affectkit.runners.forwarding import forward, forward_in_blocks
from affectkit.runners.listing import Item, find_items, numbered, of_films
from affectkit.runners.place import Place
from affectkit.runners.processes import Group, joined
from affectkit.runners.rows import FACE_COLUMNS, NAME, Output
from affectkit.runners.settings_tested import InferSettings, parse_faces
from affectkit.runners.signals import StopFlag
from affectkit.tasks.base import Task


class Keys:
    """Batches of keys for the loader, made from items as they are needed; remembers the names in flight."""

    def __init__(self, items: Iterable[Item], batch_size: int) -> None:
        self.items = items
        self.batch_size = batch_size
        self.names: dict[int, str] = {}

    def __iter__(self) -> Iterator[list[tuple[int, str | Given]]]:
        batch = []
        for item in self.items:
            self.names[item.position] = item.name
            batch.append((item.position, item.path if isinstance(item.path, Given) else str(item.path)))
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch:
            yield batch


def predict(
    model: nn.Module,
    task: Task,
    items: Iterable[Item],
    *,
    batch_size: int,
    workers: int,
    place: Place,
    exact: bool = True,
    finder: Finder | None = None,
    reporter: Reporter | None = None,
) -> Iterator[tuple[list[list[Any]], list[Failure]]]:
    """For each batch, in order: rows (position, image name, the task's columns), and the images that failed.

    Args:
        items: no two at the same position, which a failure carries as its index.
        finder: finds faces, for a row each (see ``face_rows``); None: a row an image.
        exact: on the CPU, rows do not depend on the batches to the last bit, at the cost of filling up small ones.
    """
    run, call = forward_in_blocks if exact else forward, partial(task.predicted, model)
    keys = Keys(items, batch_size)
    if finder is None:
        files, collate = files_of(task.spec)
    else:
        files, collate = PathFaces(task.spec, finder), collate_faces
    loader = make_loader(files, keys, workers=workers, pin=place.pins, collate_fn=collate)
    try:
        for raw in loader:
            failures = [Failure(f.index, keys.names.pop(f.index), f.reason) for f in raw["failures"]]
            positions = [int(position) for position in raw["index"]]
            found: list[list[Any]] = []
            if positions if finder is None else any(raw["faces"]):
                outputs = run(call, task.inputs(place.images(raw, task.spec)), place, reporter)
                found = task.rows(outputs)
            named = [(position, keys.names.pop(position)) for position in positions]
            if finder is None:
                rows = [[*name, *columns] for name, columns in zip(named, found, strict=True)]
            else:
                rows = face_rows(named, raw["faces"], found, len(task.columns()))
            yield rows, failures
    finally:
        close_loader(loader)


def face_rows(
    named: Sequence[tuple[int, str]], faces: Sequence[Sequence[Face]], found: Sequence[list[Any]], width: int
) -> list[list[Any]]:
    """Rows (position, image name, ``FACE_COLUMNS``, the task's ``width`` columns), one a face; empty without one.

    Args:
        named: position and name of each image. faces: of each image. found: the task's columns of all faces in turn.
    """
    rows, values = [], iter(found)
    for name, own in zip(named, faces, strict=True):
        if not own:
            rows.append([*name, *[None] * (len(FACE_COLUMNS) + width)])
        for number, face in enumerate(own, 1):
            box = [round(value) for value in face.box]
            rows.append([*name, number, *box, face.score, *next(values)])
    return rows


def infer(settings: InferSettings, *, reporter: Reporter, listed: IO[str], stdout: IO[str]) -> dict[str, Any]:
    """Predict the images that ``settings`` name; returns a summary with counts and what was skipped.

    Rows go to ``stdout``, or to ``results/inference_results.<format>``, which carries ``.part`` until it is complete;
    those of a shard, with their positions, to a part of its own in ``results`` (see ``core.shards``).

    Args:
        listed: where ``-`` reads paths from.

    Raises:
        Stopped: a signal came; ``--resume`` goes on.
        DataError: nothing could be read, or with ``on_error="fail"`` one image could not.
    """
    with joined(settings.device), pixels_up_to(settings.max_pixels):
        return _infer(settings, reporter=reporter, listed=listed, stdout=stdout)


def _infer(settings: InferSettings, *, reporter: Reporter, listed: IO[str], stdout: IO[str]) -> dict[str, Any]:
    path = find_checkpoint(settings.checkpoint)
    place = Place.choose(settings.device, settings.precision)
    model = load_model(path, device=settings.device, fit=settings.fit, **settings.of_file())
    if (model.header.training.get("task_options") or {}).get("stage") == "autoencoder":
        raise UsageError(
            f"{path} is of autoencoders alone (--stage autoencoder): what tells emotions has learned nothing.",
            "Train it on them: affectkit train --stage solver --init, with this checkpoint.",
        )
    task = make_task(model.spec)
    reporter.note(
        f"{path}: {model.header.model}, task {task.name}, {task.described()}, "
        f"{task.spec.height}x{task.spec.width}x{task.spec.channels}"
    )
    for text in notes_on(model):
        reporter.note(text)
    summary = {
        "checkpoint": str(path),
        "checkpoint_sha256": model.checkpoint_hash,
        "affectkit": __version__,
        "task": task.name,
        "classes": list(task.spec.classes),
        **told_fit(model),
        "paths": list(settings.paths),
        "recursive": settings.recursive,
    }
    finder = finder_of(settings.faces, model.header.model, task.spec)
    if finder is not None:
        summary["faces_by"] = finder.described
        reporter.note(f"faces: {finder.described}")
    films = task.spec.clip is None and of_films(settings.paths, recursive=settings.recursive)
    if films or settings.camera is not None:
        from affectkit.runners.films import Means

        return _infer_films(settings, Means(model, task, place, finder, stdout, summary, reporter))
    if idle := settings.of_films_alone():
        reporter.warn(f"{', '.join(idle)} has no effect here: it is for films and cameras.")
    if settings.annotate is not None and task.spec.clip is not None:
        raise UsageError("--annotate draws on pictures, and this model takes clips whole.", "Leave it out.")
    drawer = None
    if settings.annotate is not None:
        drawer = Drawer(settings.annotate, task, settings, faced=finder is not None)
    header = [NAME, *(FACE_COLUMNS if finder is not None else ()), *task.columns()]
    output = Output(settings, summary, header, stdout, precision=place.precision.name)
    return _infer_images(
        settings, model, task, place, finder=finder, drawer=drawer, output=output, listed=listed, reporter=reporter
    )


def _infer_images(
    settings: InferSettings,
    model: nn.Module,
    task: Task,
    place: Place,
    *,
    finder: Finder | None,
    drawer: Drawer | None,
    output: Output,
    listed: IO[str],
    reporter: Reporter,
) -> dict[str, Any]:
    """``infer`` on images, or clips as a whole, into ``output``."""
    group = place.group
    workers, why = place.workers(settings.workers)
    reporter.note(place.describe(settings.batch_size, f"{workers} ({why})"))
    items = find_items(
        settings.paths,
        recursive=settings.recursive,
        listed=listed,
        wanted=names_of(task.spec),
        noun=noun_of(task.spec).removesuffix("s"),
    )
    listing = Listing()
    with contextlib.ExitStack() as stack:
        stack.enter_context(set_up_backends(place.device, place.precision))
        stopping = stack.enter_context(StopFlag(reporter))
        done = group.together(lambda: _open(output, stack))
        if done is None:
            reporter.note(f"{output.final} is complete; nothing to do.")
            return group.together(lambda: read_json(output.record))
        if done:
            reporter.note(f"going on after {done:,} images")
        own = numbered(items, listing, output.shard)
        remaining = (item for item in own if not output.has(item.position, item.name))
        if group.several:
            remaining, count = spread(remaining, group)
        if drawer is not None:
            remaining = drawer.watched(remaining)
        size = share_of(settings.batch_size, place)
        network = place.network(model, compiled=settings.compile, reporter=reporter)
        shared = {"batch_size": size, "workers": workers, "place": place, "finder": finder, "reporter": reporter}
        batches = predict(network, task, remaining, **shared)
        if drawer is not None:
            batches = drawer.drawn(batches)
        if group.several:
            batches = gathered(batches, -(-count // (size * group.world)), group)
        _write(batches, output, on_error=settings.on_error, stopping=stopping, group=group, reporter=reporter)
    return group.together(lambda: _conclude(output, listing))


def _infer_films(settings: InferSettings, means: Any) -> dict[str, Any]:
    """``infer`` on films, or on a camera, with the ``films.Means``."""
    from affectkit.runners.films import infer_camera, infer_films

    means.reporter.note(means.place.describe(settings.batch_size, "0 (films are decoded in a thread)"))
    if settings.camera is not None:
        means.summary["camera"] = settings.camera
        return infer_camera(settings, means)
    films = list(find_items(settings.paths, recursive=settings.recursive, wanted=is_video_name, noun="film"))
    if others := [film.name for film in films if not is_video_name(film.name)]:
        raise UsageError(f"images and films in one command: {some(others, 3)}.", "Name images or films, not both.")
    return infer_films(settings, films, means)


def finder_of(asked: str | None, model: str, spec: InputSpec) -> Finder | None:
    """What finds faces, as ``--faces`` says, by default as ``model`` wants; None where images are taken whole."""
    if spec.clip is not None:
        if asked not in (None, "none"):
            raise UsageError(f"--faces {asked}: this model takes clips, which are framed as its study did.")
        return None
    how, file = parse_faces(asked or ("auto" if takes_faces(model) else "none"))
    return None if how == "none" else Finder(how, file)


def _open(output: Output, stack: contextlib.ExitStack) -> int | None:
    """Open the output until ``stack`` is closed; how many images an earlier run has done, None where it did all."""
    stack.enter_context(output)
    return None if output.done is None else len(output.done)


def _conclude(output: Output, listing: Listing) -> dict[str, Any]:
    if not output.count and not listing.count:
        output.discard()
        raise DataError("there was no image to predict.")
    return output.conclude(listing)


def spread(items: Iterable[Item], group: Group) -> tuple[Iterator[Item], int]:
    """This process's share of the ``items`` of the first process, which alone lists them, and how many all have."""
    told = b""
    if group.first:
        told = json.dumps([[item.name, str(item.path), item.position] for item in items]).encode()
    found = json.loads(group.gather(told)[0])
    mine = found[group.rank :: group.world]
    return (Item(name, Path(path), position) for name, path, position in mine), len(found)


def gathered(
    batches: Iterator[tuple[list[list[Any]], list[Failure]]], rounds: int, group: Group
) -> Iterator[tuple[list[list[Any]], list[Failure]]]:
    """The batches of all processes put together in the order of the listing, for as many ``rounds`` as the longest."""
    for rows, failures in itertools.islice(itertools.chain(batches, itertools.repeat(([], []))), rounds):
        together = sorted((row for part in group.gather_values(rows) for row in part), key=itemgetter(0))
        yield together, gather_failures(failures, group)


def _write(
    batches: Iterable[tuple[list[list[Any]], list[Failure]]],
    output: Output,
    *,
    on_error: str,
    stopping: StopFlag,
    group: Group,
    reporter: Reporter,
) -> None:
    """Rows and failures into ``output``, batch by batch, until the last one or a signal."""
    reporter.start("predicting", None, "images")
    for rows, failures in batches:
        refuse_failures(failures, on_error)
        if group.first:
            output.add(rows, failures)
        reporter.advance(len({row[0] for row in rows}) + len(failures))
        if stopping.agreed(group):
            reporter.finish()
            kept = output.final is not None
            raise stopping.error(f"{output.count:,} images are done.", output.how_to_go_on(), resumable=kept)
    reporter.finish()
