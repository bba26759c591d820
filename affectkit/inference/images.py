"""Images, or clips as a whole, to rows: loader, faces, forward pass, rows; alone or shared out over processes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from affectkit.core.progress import Reporter
from affectkit.data.faces.detection import Face
from affectkit.data.loading.face_crops import PathFaces, collate_faces
from affectkit.data.loading.image_or_clip import item_files
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.media.file_identity import Mark, Marked, collate_marked
from affectkit.data.media.images_in_memory import GivenImage
from affectkit.inference.face_columns import NO_FACE, face_values
from affectkit.inference.inputs import Item
from affectkit.inference.predictor import Predictor
from affectkit.runtime.context import gather_failures
from affectkit.runtime.distributed import ProcessGroup

NO_FILE = "."
"""In place of a file that is known to be unreadable."""


class Batch(NamedTuple):
    """Hold what a batch came to.

    Attributes:
        rows: position, image name, the columns of faces and of the task.
        failures: images that could not be read.
        marks: by position, what marks a file and how many frames it has.
        notes: what reading clips noted, once for each clip.
        left_out: by position, how many faces of an image were left out, by reason; images without any are not there.
    """

    rows: list[list[Any]]
    failures: list[ReadFailure]
    marks: dict[int, tuple[Mark | None, int]] = {}  # noqa: RUF012 - never written to
    notes: Sequence[str] = ()
    left_out: dict[int, dict[str, int]] = {}  # noqa: RUF012 - never written to


def predict_images(
    predictor: Predictor,
    items: Iterable[Item],
    *,
    batch_size: int,
    workers: int = 0,
    exact: bool = True,
    marks: bool | None = None,
    reporter: Reporter | None = None,
) -> Iterator[Batch]:
    """Yield the rows of ``items``, batch by batch, in order: one row per image, or one a face (see ``face_rows``).

    Args:
        predictor: the model, and what finds faces.
        items: no two at the same position, which a failure carries as its index.
        batch_size: images of a batch.
        workers: threads or processes that decode.
        exact: on the CPU, rows do not depend on the batches to the last bit, at the cost of filling up small ones.
        marks: whether files are marked; None: nor are their frames counted.
        reporter: hears of a batch that did not fit into memory.
    """
    task, engine, detector = predictor.task, predictor.engine, predictor.face_detector
    keys = LoaderKeys(items, batch_size)
    files, collate = item_files(task.spec) if detector is None else (PathFaces(task.spec, detector), collate_faces)
    if marks is not None:
        files, collate = Marked(files, marks=marks), collate_marked(collate)
    with engine.loader(files, keys, workers=workers, collate=collate) as batches:
        for raw in batches:
            if raw.get("error") is not None:
                raise raw["error"]
            failures = [keys.name_failure(one) for one in raw["failures"]]
            positions = [int(position) for position in raw["index"]]
            columns: list[list[Any]] = []
            if positions if detector is None else any(raw["faces"]):
                columns = task.rows(engine.outputs(raw, exact=exact, reporter=reporter))
            named = [(position, keys.names.pop(position)) for position in positions]
            if detector is None:
                rows = [[*name, *own] for name, own in zip(named, columns, strict=True)]
            else:
                rows = face_rows(named, raw["faces"], columns, len(task.columns()))
            left_out = {place: own for place, own in zip(positions, raw.get("left_out", ()), strict=False) if own}
            yield Batch(rows, failures, raw.get("marks", {}), raw.get("notes", ()), left_out)


def face_rows(
    named: Sequence[tuple[int, str]], faces: Sequence[Sequence[Face]], columns: Sequence[list[Any]], width: int
) -> list[list[Any]]:
    """Return rows (position, image name, ``FACE_COLUMNS``, the task's columns), one a face; empty ones without a face.

    Args:
        named: position and name of each image.
        faces: of each image.
        columns: the task's columns of all faces in turn.
        width: number of the task's columns.
    """
    rows, values = [], iter(columns)
    for name, own in zip(named, faces, strict=True):
        if not own:
            rows.append([*name, *NO_FACE, *[None] * width])
        for number, face in enumerate(own, 1):
            rows.append([*name, *face_values(number, face), *next(values)])
    return rows


class LoaderKeys:
    """Make batches of keys for the loader from items as they are needed, and remember the names in flight."""

    def __init__(self, items: Iterable[Item], batch_size: int) -> None:
        self.items = items
        self.batch_size = batch_size
        self.names: dict[int, str] = {}
        self.faults: dict[int, str] = {}

    def __iter__(self) -> Iterator[list[tuple[int, str | GivenImage]]]:
        batch = []
        for item in self.items:
            self.names[item.position] = item.name
            if item.fault:
                self.faults[item.position] = item.fault
            path = item.path if isinstance(item.path, GivenImage) else str(item.path)
            batch.append((item.position, NO_FILE if item.fault else path))
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def name_failure(self, found: ReadFailure) -> ReadFailure:
        """Return ``found`` under the name of its item, with the reason that was known before."""
        return ReadFailure(found.index, self.names.pop(found.index), self.faults.pop(found.index, found.reason))


# --- several processes -----------------------------------------------------------------------------------------------


def split_over_processes(items: Iterable[Item], group: ProcessGroup) -> tuple[Iterator[Item], int]:
    """Return this process's share of the ``items`` of the first process, and how many all have.

    The first process alone lists them; with one process the items are handed on as they come, and not counted (0).
    """
    if not group.is_distributed:
        return iter(items), 0
    listed = b""
    if group.is_main:
        listed = json.dumps([[item.name, str(item.path), item.position, item.fault] for item in items]).encode()
    found = json.loads(group.all_gather_bytes(listed)[0])
    mine = found[group.rank :: group.world_size]
    return (Item(name, Path(path), position, fault) for name, path, position, fault in mine), len(found)


def gather_batches(batches: Iterator[Batch], count: int, batch_size: int, group: ProcessGroup) -> Iterator[Batch]:
    """Yield the batches of all processes put together, in the order of the listing.

    Args:
        batches: of this process.
        count: images of all processes.
        batch_size: images of a batch in one process.
        group: the processes; one alone has nothing to put together.
    """
    if not group.is_distributed:
        yield from batches
        return
    rounds = -(-count // (batch_size * group.world_size))  # as many as the process with the most needs
    for batch in itertools.islice(itertools.chain(batches, itertools.repeat(Batch([], []))), rounds):
        together = sorted((row for part in group.all_gather_values(batch.rows) for row in part), key=itemgetter(0))
        own = [[position, *values] for position, values in batch.marks.items()]
        every = {position: (mark, frames) for part in group.all_gather_values(own) for position, mark, frames in part}
        notes = [text for part in group.all_gather_values(list(batch.notes)) for text in part]
        left_out = dict(pair for part in group.all_gather_values(list(batch.left_out.items())) for pair in part)
        yield Batch(together, gather_failures(batch.failures, group), every, notes, left_out)
