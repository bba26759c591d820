"""Looks at a film: the faces of a sampled picture, found and cut out ahead of the network, followed and predicted."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.data.faces.detection import Face, Finder, cut
from affectkit.data.faces.tracking import Smoother, Tracker
from affectkit.data.media.video_stream import Picture
from affectkit.errors import AffectkitError
from affectkit.runtime.context import RunContext
from affectkit.runtime.forward import forward_in_blocks
from affectkit.tasks.base import Task

T = TypeVar("T")
POLL = 0.1
"""Seconds after which a thread that waits looks whether it is still wanted."""


@dataclass(frozen=True)
class Look:
    """What was seen in a picture of a film.

    Attributes:
        number, time: as in ``Picture``. faces: the largest first. crops: uint8 (F, C, H, W).
        pixels: the picture itself, where it is wanted later.
    """

    number: int
    time: float
    faces: tuple[Face, ...]
    crops: torch.Tensor
    pixels: np.ndarray | None = None


@dataclass(frozen=True)
class Seen:
    """A face in a look: its number in the film, where it is, and the task's columns."""

    number: int
    face: Face
    row: list[Any]


def looks(pictures: Iterable[Picture], finder: Finder, spec: InputSpec, *, keep: bool = False) -> Iterator[Look]:
    """A look at each of ``pictures``; with ``keep`` it holds the picture too."""
    for picture in pictures:
        faces = tuple(finder(picture.pixels))
        crops = [torch.from_numpy(cut(picture.pixels, face, spec)).permute(2, 0, 1) for face in faces]
        empty = torch.empty((0, spec.channels, spec.height, spec.width), dtype=torch.uint8)
        stacked = torch.stack(crops) if crops else empty
        yield Look(picture.number, picture.time, faces, stacked, picture.pixels if keep else None)


def ahead(items: Iterator[T], depth: int) -> Iterator[T]:
    """``items``, made in a thread that is at most ``depth`` of them ahead; what it raises is raised here in its place.

    Close it, and the thread has ended.
    """
    waiting: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    unwanted = threading.Event()

    def put(item: T | None, error: BaseException | None = None) -> bool:
        while not unwanted.is_set():
            try:
                waiting.put((item, error), timeout=POLL)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    break
            else:
                put(None, StopIteration())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the caller's
            put(None, error)
        finally:
            items.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        unwanted.set()
        thread.join()


def batched(stream: Iterable[Look], size: int) -> Iterator[list[Look]]:
    """Looks with ``size`` faces together, and at most as many looks; what is at hand comes before an error does."""
    batch: list[Look] = []
    count, fault = 0, None
    try:
        for look in stream:
            batch.append(look)
            count += len(look.faces)
            if count >= size or len(batch) >= size:
                yield batch
                batch, count = [], 0
    except AffectkitError as error:
        fault = error
    if batch:
        yield batch
    if fault is not None:
        raise fault


class Follower:
    """Predicts the faces of one film, look by look, and follows them.

    Args:
        network: what is called with batches. smooth: seconds of ``Smoother``.
    """

    def __init__(
        self,
        network: Callable[..., Any],
        task: Task,
        context: RunContext,
        *,
        smooth: float,
        reporter: Reporter | None = None,
    ) -> None:
        self.network, self.task, self.context, self.reporter = network, task, context, reporter
        self.tracker, self.smoother = Tracker(), Smoother(smooth)

    def __call__(self, batch: Sequence[Look]) -> list[list[Seen]]:
        """The faces of each look of ``batch``, in the order of their numbers."""
        numbers = []
        smoothed = []
        outputs = iter(self._outputs(batch))
        for look in batch:
            own = self.tracker.update(look.time, [face.box for face in look.faces])
            smoothed += [self.smoother(number, look.time, next(outputs)) for number in own]
            self.smoother.keep([track.number for track in self.tracker.tracks])
            numbers.append(own)
        rows = iter(self.task.rows(torch.from_numpy(np.stack(smoothed))) if smoothed else ())
        found = []
        for look, own in zip(batch, numbers, strict=True):
            seen = [Seen(number, face, next(rows)) for number, face in zip(own, look.faces, strict=True)]
            found.append(sorted(seen, key=lambda one: one.number))
        return found

    def _outputs(self, batch: Sequence[Look]) -> np.ndarray:
        """What the model gives for all faces of ``batch`` in turn, float32 (F, K)."""
        crops = torch.cat([look.crops for look in batch])
        if not len(crops):
            return np.zeros((0, 1), np.float32)
        raw = {"image": crops.contiguous(memory_format=torch.channels_last)}
        inputs = self.task.inputs(self.context.prepare_batch(raw, self.task.spec))

        def call(*some: torch.Tensor | None) -> Any:
            return self.task.predict_step(self.network, *some)

        return forward_in_blocks(call, inputs, self.context, self.reporter).float().cpu().numpy()
