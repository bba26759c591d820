"""The interface of an engine: a loaded model that turns batches of inputs into outputs, whatever it computes with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

import numpy as np

from affectkit.checkpoints.description import HeaderFacts
from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.runtime.context import RunContext

ENGINES = {
    "auto": "ONNX Runtime for the built-in model and for .onnx files, else torch",
    "onnx": "ONNX Runtime: starts in a fraction of a second, and loads no torch",
    "torch": "torch: every checkpoint, on every device",
}


@runtime_checkable
class Engine(Protocol):
    """A loaded model, and what computes its outputs.

    Attributes:
        name: ``onnx`` or ``torch``; records hold it, and rows of two engines are not mixed.
        spec: of the model's input.
        header: what its file says of it.
        checkpoint_hash: SHA-256 of the file.
        takes_faces: whether it takes face crops, so that faces are found first in pictures.
        context: device, number format and processes.
        described: name and version, for the header line of a run.
    """

    name: str
    spec: InputSpec
    header: HeaderFacts
    checkpoint_hash: str
    takes_faces: bool
    context: RunContext
    described: str

    def outputs(self, batch: Mapping[str, Any], *, exact: bool = True, reporter: Reporter | None = None) -> np.ndarray:
        """Return the outputs of a batch, (B, K) float32, as ``Task.rows`` reads them.

        Args:
            batch: ``image``, uint8 (B, H, W, C), and what else models of clips take; as a tensor (B, C, H, W).
            exact: outputs do not depend, to the last bit, on the batch that a sample comes in (on the CPU).
            reporter: hears of a batch that did not fit into memory.
        """

    def with_network(self, compiled: bool, reporter: Reporter) -> Engine:
        """Return this engine, its forward pass ``compiled`` where that is asked for."""

    def choose_workers(self, asked: int | None) -> tuple[int, str]:
        """Return how many workers decode, and why."""

    def loader(
        self, files: Any, keys: Iterable[Sequence[Any]], *, workers: int, collate: Callable[[Any], dict[str, Any]]
    ) -> AbstractContextManager[Iterator[dict[str, Any]]]:
        """Open a loader: batches of ``files`` in the order of ``keys``, read by ``workers``; 0: as they are asked for.

        Args:
            files: gives an item, or its failure, by key.
            keys: of the items of each batch.
            workers: threads or processes.
            collate: makes a batch of items.
        """

    def computing(self) -> AbstractContextManager[None]:
        """Open a block in which the switches of the library are set for this run."""

    def isolated(self) -> AbstractContextManager[None]:
        """Open a block for one step within a program: its own modes do not reach the model, and are as they were
        afterwards.
        """
