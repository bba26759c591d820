"""Inference: rows stream out as they are made, memory does not grow with the number of images."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, NamedTuple

from torch import nn

from affectkit.checkpoints.checkpoint import checkpoint_notes, find_checkpoint, fit_record, load_model, make_task
from affectkit.config import value_of
from affectkit.core.files import read_json
from affectkit.core.names import readable
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.core.text import counted
from affectkit.core.version import VERSION
from affectkit.data.faces.detection import Face, Finder
from affectkit.data.loading.face_crops import PathFaces, collate_faces
from affectkit.data.loading.loaders import ReadFailure, close_loader, make_loader, refuse_failures
from affectkit.data.loading.modality import files_of
from affectkit.data.media.animations import may_move
from affectkit.data.media.file_identity import Mark, Marked, collate_marked
from affectkit.data.media.file_kinds import FILM, PICTURE
from affectkit.data.media.in_memory import Given
from affectkit.errors import DataError, UsageError
from affectkit.inference.annotated_images import Drawer
from affectkit.inference.inputs import Inputs, Item, find_inputs
from affectkit.inference.prediction_table import FACE_COLUMNS, NAME, RESULTS_RECORD, Output
from affectkit.inference.predictor import Means
from affectkit.inference.table_files import FILMS_FOLDER
from affectkit.models.registry import takes_faces
from affectkit.runtime.context import RunContext, gather_failures
from affectkit.runtime.distributed import ProcessGroup, init_process_group
from affectkit.runtime.forward import forward, forward_in_blocks
from affectkit.runtime.shutdown import StopFlag
from affectkit.runtime.torch_backends import set_up_backends
from affectkit.settings.inference import InferSettings
from affectkit.settings.values import Faces
from affectkit.tasks.base import Task

NO_FILE = "."
"""In place of a file that is known to be unreadable."""


class Keys:
    """Batches of keys for the loader, made from items as they are needed; remembers the names in flight."""

    def __init__(self, items: Iterable[Item], batch_size: int) -> None:
        self.items = items
        self.batch_size = batch_size
        self.names: dict[int, str] = {}
        self.faults: dict[int, str] = {}

    def __iter__(self) -> Iterator[list[tuple[int, str | Given]]]:
        batch = []
        for item in self.items:
            self.names[item.position] = item.name
            if item.fault:
                self.faults[item.position] = item.fault
            path = item.path if isinstance(item.path, Given) else str(item.path)
            batch.append((item.position, NO_FILE if item.fault else path))
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def failure(self, found: ReadFailure) -> ReadFailure:
        """``found`` under the name of its item, with the reason that was known before."""
        return ReadFailure(found.index, self.names.pop(found.index), self.faults.pop(found.index, found.reason))


class Batch(NamedTuple):
    """What a batch came to: rows (position, image name, the task's columns), the images that failed, and by position
    what marks a file and how many frames it has."""

    rows: list[list[Any]]
    failures: list[ReadFailure]
    marks: dict[int, tuple[Mark | None, int]] = {}  # noqa: RUF012 - never written to


def predict(
    model: nn.Module,
    task: Task,
    items: Iterable[Item],
    *,
    batch_size: int,
    workers: int,
    context: RunContext,
    exact: bool = True,
    finder: Finder | None = None,
    reporter: Reporter | None = None,
    marks: bool | None = None,
) -> Iterator[Batch]:
    """The ``Batch`` of each batch, in order.

    Args:
        items: no two at the same position, which a failure carries as its index.
        finder: finds faces, for a row each (see ``face_rows``); None: a row an image.
        exact: on the CPU, rows do not depend on the batches to the last bit, at the cost of filling up small ones.
        marks: whether files are marked; None: nor are their frames counted.
    """
    run, call = forward_in_blocks if exact else forward, partial(task.predict_step, model)
    keys = Keys(items, batch_size)
    if finder is None:
        files, collate = files_of(task.spec)
    else:
        files, collate = PathFaces(task.spec, finder), collate_faces
    if marks is not None:
        files, collate = Marked(files, marks=marks), collate_marked(collate)
    loader = make_loader(files, keys, workers=workers, pin=context.pin_memory, collate_fn=collate)
    try:
        for raw in loader:
            failures = [keys.failure(one) for one in raw["failures"]]
            positions = [int(position) for position in raw["index"]]
            found: list[list[Any]] = []
            if positions if finder is None else any(raw["faces"]):
                outputs = run(call, task.inputs(context.prepare_batch(raw, task.spec)), context, reporter)
                found = task.rows(outputs)
            named = [(position, keys.names.pop(position)) for position in positions]
            if finder is None:
                rows = [[*name, *columns] for name, columns in zip(named, found, strict=True)]
            else:
                rows = face_rows(named, raw["faces"], found, len(task.columns()))
            yield Batch(rows, failures, raw.get("marks", {}))
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
    with init_process_group(settings.device), pixels_up_to(value_of(settings.max_pixels)):
        return _infer(settings, reporter=reporter, listed=listed, stdout=stdout)


def _infer(settings: InferSettings, *, reporter: Reporter, listed: IO[str], stdout: IO[str]) -> dict[str, Any]:
    path = find_checkpoint(settings.checkpoint)
    context = RunContext.resolve(settings.device, settings.precision)
    named = Named(settings, listed, context.group)
    model = load_model(path, device=settings.device, fit=settings.fit, **settings.of_file())
    task = make_task(model.spec)
    task.check_can_predict(model.header.training.get("task_options") or {}, path=path)
    reporter.note(
        f"{path}: {model.header.model}, task {task.name}, {task.description()}, "
        f"{task.spec.height}x{task.spec.width}x{task.spec.channels}"
    )
    for text in checkpoint_notes(model):
        reporter.note(text)
    summary = {
        "checkpoint": str(path),
        "checkpoint_sha256": model.checkpoint_hash,
        "affectkit": VERSION,
        "task": task.name,
        "classes": list(task.spec.classes),
        **fit_record(model),
        "paths": [readable(text) for text in settings.paths],
        "recursive": settings.recursive,
    }
    finder = finder_of(value_of(settings.faces), model.header.model, task.spec)
    if finder is not None:
        summary["faces_by"] = finder.described
        reporter.note(f"faces: {finder.described}")
    named.sort(clips=task.spec.clip is not None)
    if said := named.inputs.passed.told:
        reporter.note(f"passed over, neither pictures nor films: {said}")
    means = Means(model, task, context, finder, stdout, summary, reporter)
    if (named.films and not named.images) or settings.camera is not None:
        return _infer_films(settings, means, named)
    if not named.films and (idle := settings.of_films_alone()):
        reporter.warn(f"{', '.join(idle)} has no effect here: it is for films and cameras.")
    if settings.annotate is not None and task.spec.clip is not None:
        raise UsageError("--annotate draws on pictures, and this model takes clips whole.", "Leave it out.")
    drawer = None
    if settings.annotate is not None:
        drawer = Drawer(settings.annotate, task, settings, faced=finder is not None)
    header = [NAME, *(FACE_COLUMNS if finder is not None else ()), *task.columns()]
    output = Output(
        settings,
        summary,
        header,
        stdout,
        items=lambda: named.own(settings),
        listing=lambda: named.inputs.listing(named.kind),
        precision=context.precision.name,
        passed=named.inputs.passed,
        wide=named.films and settings.results is None,
    )
    # Films that have all gone since lose their rows, too.
    had_films = settings.results is not None and (settings.results / FILMS_FOLDER / RESULTS_RECORD).exists()
    if not named.films and (named.alone or not had_films):
        return _infer_images(means, settings, drawer=drawer, output=output)
    from affectkit.inference.mixed_inputs import infer_mixed

    return infer_mixed(
        settings, named.inputs, means, output, lambda: _infer_images(means, settings, drawer=drawer, output=output)
    )


class Named:
    """What the paths name, listed by the first process alone.

    Attributes:
        inputs: empty in the other processes. images, films: whether there are any; known to all.
        kind: of what is predicted as pictures are, which for a model of clips are films.
    """

    def __init__(self, settings: InferSettings, listed: IO[str], group: ProcessGroup) -> None:
        self.inputs, self.kind = Inputs(), PICTURE
        self.alone = ""
        if settings.shard is not None:
            self.alone = "is a film, which --shard does not share out: predict films in a command of their own"
        elif group.is_distributed:
            self.alone = (
                f"is a film, which one process looks at, and there are {group.world_size}: start without torchrun"
            )

        def find() -> list[int]:
            self.inputs = find_inputs(
                settings.paths,
                recursive=settings.recursive,
                listed=listed,
                moving=may_move if settings.every is not None else None,
            )
            return [self.inputs.count(PICTURE), self.inputs.count(FILM)]

        pictures, films = group.run_on_main(find) if settings.camera is None else (0, 0)
        self.images, self.films = pictures > 0, films > 0

    def sort(self, *, clips: bool) -> None:
        """Settle what is predicted how, once it is known whether the model takes ``clips``."""
        if clips:
            self.kind = FILM
            self.inputs.refuse(PICTURE, "is a picture, and this model takes clips, picture and sound together")
            self.images, self.films = True, False
        elif self.images and self.films and self.alone:
            self.inputs.refuse(FILM, self.alone)
            self.films = False

    def own(self, settings: InferSettings) -> Iterator[Item]:
        """What this run predicts as pictures."""
        return self.inputs.own(self.kind, value_of(settings.shard))


def _infer_images(means: Means, settings: InferSettings, *, drawer: Drawer | None, output: Output) -> dict[str, Any]:
    """``infer`` on images, or clips as a whole, into ``output``."""
    context, reporter, group = means.context, means.reporter, means.context.group
    workers, why = context.choose_workers(settings.workers)
    reporter.note(context.describe(settings.batch_size, f"{workers} ({why})"))
    with contextlib.ExitStack() as stack:
        stack.enter_context(set_up_backends(context.device, context.precision))
        stopping = stack.enter_context(StopFlag(reporter))
        idle, notes = group.run_on_main(lambda: _open(output, stack))
        for text in notes:
            reporter.note(text)
        if idle:
            reporter.note(f"{output.final} is complete; nothing to do.")
            return group.run_on_main(lambda: read_json(output.record))
        remaining = (item for item in output.items() if not output.has(item))
        if group.is_distributed:
            remaining, count = spread(remaining, group)
        if drawer is not None:
            remaining = drawer.watched(remaining)
        size = context.batch_per_process(settings.batch_size)
        network = context.maybe_compile(means.model, enabled=settings.compile, reporter=reporter)
        shared = {
            "batch_size": size,
            "workers": workers,
            "context": context,
            "finder": means.finder,
            "reporter": reporter,
        }
        batches = predict(network, means.task, remaining, marks=output.final is not None, **shared)
        if drawer is not None:
            batches = drawer.drawn(batches)
        if group.is_distributed:
            batches = gathered(batches, -(-count // (size * group.world_size)), group)
        _write(batches, output, on_error=settings.on_error, stopping=stopping, group=group, reporter=reporter)
    found = group.run_on_main(lambda: _conclude(output))
    if output.plan is not None and output.plan.is_as_it_was and output.counts.skipped == output.plan.unread:
        reporter.note(f"{output.final} is complete; nothing to do.")
    return found


def _infer_films(settings: InferSettings, means: Means, named: Named) -> dict[str, Any]:
    """``infer`` on films alone, or on a camera."""
    from affectkit.inference.video.infer import infer_camera, infer_films

    means.reporter.note(means.context.describe(settings.batch_size, "0 (films are decoded in a thread)"))
    if settings.camera is not None:
        means.summary["camera"] = settings.camera
        return infer_camera(settings, means)
    if named.inputs.passed.count:
        means.summary["passed_over"] = dict(named.inputs.passed.endings)
    return infer_films(settings, list(named.inputs.items(FILM)), means)


def finder_of(asked: Faces | None, model: str, spec: InputSpec) -> Finder | None:
    """What finds faces, as ``--faces`` says, by default as ``model`` wants; None where images are taken whole."""
    if spec.clip is not None:
        if asked is not None and asked.detector != "none":
            raise UsageError(f"--faces {asked.detector}: this model takes clips, which are framed as its study did.")
        return None
    how, file = asked or Faces("auto" if takes_faces(model) else "none", None)
    return None if how == "none" else Finder(how, file)


def _open(output: Output, stack: contextlib.ExitStack) -> tuple[bool, list[str]]:
    """Open the output until ``stack`` is closed: whether an earlier run did all, and what a user should know."""
    stack.enter_context(output)
    return output.plan is None, output.notes


def _conclude(output: Output) -> dict[str, Any]:
    if not output.count and not any(True for _ in output.items()) and not output.listing().count:
        output.discard()
        raise DataError("there was no image to predict.")
    return output.conclude()


def spread(items: Iterable[Item], group: ProcessGroup) -> tuple[Iterator[Item], int]:
    """This process's share of the ``items`` of the first process, which alone lists them, and how many all have."""
    told = b""
    if group.is_main:
        told = json.dumps([[item.name, str(item.path), item.position, item.fault] for item in items]).encode()
    found = json.loads(group.all_gather_bytes(told)[0])
    mine = found[group.rank :: group.world_size]
    return (Item(name, Path(path), position, fault) for name, path, position, fault in mine), len(found)


def gathered(batches: Iterator[Batch], rounds: int, group: ProcessGroup) -> Iterator[Batch]:
    """The batches of all processes put together in the order of the listing, for as many ``rounds`` as the longest."""
    for rows, failures, marks in itertools.islice(itertools.chain(batches, itertools.repeat(Batch([], []))), rounds):
        together = sorted((row for part in group.all_gather_values(rows) for row in part), key=itemgetter(0))
        told = [[position, *told] for position, told in marks.items()]
        every = {place: (mark, count) for part in group.all_gather_values(told) for place, mark, count in part}
        yield Batch(together, gather_failures(failures, group), every)


def _write(
    batches: Iterable[Batch],
    output: Output,
    *,
    on_error: str,
    stopping: StopFlag,
    group: ProcessGroup,
    reporter: Reporter,
) -> None:
    """Rows and failures into ``output``, batch by batch, until the last one or a signal."""
    reporter.start("predicting", None, "images")
    for rows, failures, marks in batches:
        refuse_failures(failures, on_error)
        if group.is_main:
            output.add(rows, failures, marks)
        reporter.advance(len({row[0] for row in rows}) + len(failures))
        if stopping.requested_anywhere(group):
            reporter.finish()
            kept = output.final is not None
            done = counted(output.count, "image is", "images are")
            raise stopping.error(f"{done} done.", output.how_to_go_on(), resumable=kept)
    reporter.finish()
