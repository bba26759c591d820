"""torch as an engine: every checkpoint, on every device that torch knows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from affectkit.checkpoints.checkpoint import Header
from affectkit.core.progress import Reporter
from affectkit.core.spec import InputSpec
from affectkit.data.loading.loaders import close_loader, make_loader
from affectkit.models.registry import takes_faces
from affectkit.runtime.context import RunContext
from affectkit.runtime.forward import forward, forward_in_blocks
from affectkit.runtime.torch_backends import set_up_backends
from affectkit.tasks import make_task
from affectkit.tasks.base import Task


@dataclass(frozen=True)
class TorchEngine:
    """A module of torch as an ``Engine``.

    Attributes:
        model: as ``checkpoints.checkpoint.load_model`` gives it, in evaluation mode for the time of a prediction.
        context: where it runs.
        task: what its outputs are.
        network: what is called with batches in place of ``model``: its compiled forward pass; None: ``model``.
    """

    model: nn.Module
    context: RunContext
    task: Task
    network: Callable[..., Any] | None = None

    name = "torch"

    @classmethod
    def of(cls, model: nn.Module, context: RunContext) -> TorchEngine:
        """Return the engine of a loaded ``model``."""
        return cls(model, context, make_task(model.spec))

    @property
    def spec(self) -> InputSpec:
        """Return the specification of the model's input."""
        return self.task.spec

    @property
    def header(self) -> Header:
        """Return the header of the checkpoint."""
        return self.model.header

    @property
    def checkpoint_hash(self) -> str:
        """Return the SHA-256 of the checkpoint."""
        return self.model.checkpoint_hash

    @property
    def takes_faces(self) -> bool:
        """Return whether it takes face crops."""
        return takes_faces(self.header.model)

    @property
    def described(self) -> str:
        """Return name and version."""
        return f"torch {torch.__version__}"

    def outputs(self, batch: Mapping[str, Any], *, exact: bool = True, reporter: Reporter | None = None) -> np.ndarray:
        """Implement ``Engine.outputs``."""
        run = forward_in_blocks if exact else forward
        call = partial(self.task.predict_step, self.model if self.network is None else self.network)
        inputs = self.task.inputs(self.context.prepare_batch(as_tensors(batch), self.spec))
        return run(call, inputs, self.context, reporter).float().cpu().numpy()

    def with_network(self, compiled: bool, reporter: Reporter) -> TorchEngine:
        """Implement ``Engine.with_network``."""
        return replace(self, network=self.context.maybe_compile(self.model, enabled=compiled, reporter=reporter))

    def choose_workers(self, asked: int | None) -> tuple[int, str]:
        """Implement ``Engine.choose_workers``: processes."""
        return self.context.choose_workers(asked)

    @contextlib.contextmanager
    def loader(
        self, files: Any, keys: Iterable[Sequence[Any]], *, workers: int, collate: Callable[[Any], dict[str, Any]]
    ) -> Iterator[Iterator[dict[str, Any]]]:
        """Implement ``Engine.loader``: torch's, whose workers are processes."""
        made = make_loader(files, keys, workers=workers, pin=self.context.pin_memory, collate_fn=TensorCollate(collate))
        try:
            yield iter(made)
        finally:
            close_loader(made)

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Implement ``Engine.computing``."""
        with set_up_backends(self.context.device, self.context.precision):
            yield

    @contextlib.contextmanager
    def isolated(self) -> Iterator[None]:
        """Implement ``Engine.isolated``."""
        kind = self.context.device.kind
        with contextlib.ExitStack() as stack:
            stack.enter_context(evaluation_mode(self.model))
            stack.enter_context(torch.autocast(kind, enabled=False))
            if kind == "cuda":
                stack.enter_context(self.computing())
            yield


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put ``model`` into evaluation mode; afterwards each of its parts is in the mode that it was in."""
    training = [part for part in model.modules() if part.training]
    if not training:
        yield
        return
    model.eval()
    try:
        yield
    finally:
        for part in training:  # not train(), which would also set what was frozen below it
            part.training = True


class TensorCollate:
    """Makes batches whose images are tensors, which travel from a worker in shared memory and can be pinned."""

    def __init__(self, collate: Callable[[Any], dict[str, Any]]) -> None:
        self.collate = collate

    def __call__(self, items: Sequence[Any]) -> dict[str, Any]:
        """Make a batch."""
        return as_tensors(self.collate(items))


def as_tensors(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``batch`` with images of NumPy (B, H, W, C) as a tensor (B, C, H, W), channels last in memory."""
    image = batch.get("image")  # a model of sounds alone has none
    if not isinstance(image, np.ndarray):
        return dict(batch)
    tensor = torch.from_numpy(image)
    if tensor.dim() == 4:
        tensor = tensor.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return {**batch, "image": tensor}
