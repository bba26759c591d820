"""Load the model of a command that tests a checkpoint, for the engine that the command asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from affectkit.checkpoints.checkpoint import load_model_and_task
from affectkit.checkpoints.description import Described, checkpoint_notes
from affectkit.checkpoints.onnx_file import is_onnx
from affectkit.core.files import read_json
from affectkit.core.progress import Reporter
from affectkit.engines.choice import choose_engine
from affectkit.engines.engine import Engine
from affectkit.engines.load import load_engine
from affectkit.errors import UsageError
from affectkit.runtime.context import RunContext
from affectkit.tasks import make_task
from affectkit.tasks.base import Task


@dataclass(frozen=True)
class TestedModel:
    """A model to be tested.

    Attributes:
        path: of its file.
        engine: ``onnx`` or ``torch``.
        model: with ``spec``, ``header`` and ``checkpoint_hash``.
        network: what is evaluated: ``model``, or its compiled forward pass.
        task: with what training recorded for it.
        context: where it computes.
    """

    path: Path
    engine: str
    model: Described
    network: nn.Module | Engine
    task: Task
    context: RunContext


def load_tested(settings: Any, *, reporter: Reporter, of_rows: str | None = None) -> TestedModel:
    """Load the checkpoint of ``settings``, those of ``test`` or ``eval-corruptions``; reports how it was read.

    Args:
        settings: those of the command.
        reporter: gets the notes.
        of_rows: the engine of rows that are continued, which goes on with them unless another is asked for.

    Raises:
        UsageError: an .onnx file takes clips, whose reconstructions are torch's to compute.
        CheckpointError, DeviceError: as of ``choose_engine`` and ``load_model``.
    """
    if text := _still_training(settings.checkpoint):
        reporter.warn(text)
    goes_on = settings.engine == "auto" and of_rows == "torch" and not is_onnx(settings.checkpoint)
    choice = choose_engine(settings.checkpoint, of_rows if goes_on else settings.engine, **settings.computing())
    if goes_on:
        choice = replace(choice, reason="auto: the rows are torch's")
    context = choice.context
    if choice.engine == "torch":
        model, task = load_model_and_task(
            choice.path, device=context.device, fit=settings.fit, reporter=reporter, **settings.of_file()
        )
        network = context.maybe_compile(model, enabled=settings.compile, reporter=reporter)
        return TestedModel(choice.path, "torch", model, network, task, context)
    engine = load_engine(choice, fit=settings.fit, **settings.of_file())
    if engine.spec.clip is not None:
        raise UsageError(
            f"{choice.path} takes clips, and is not tested by ONNX Runtime: an .onnx file holds no reconstructions.",
            "Name the checkpoint that it was exported from.",
        )
    reporter.note(f"engine onnx: {engine.described} ({choice.reason})")
    for text in checkpoint_notes(engine):
        reporter.note(text)
    task = make_task(engine.spec, engine.header.training.get("task_options"))
    return TestedModel(choice.path, "onnx", engine, engine, task, context)


def _still_training(checkpoint: Path | None) -> str:
    """Return that a run folder is not done; empty for one that is, and for files."""
    status = None if checkpoint is None else checkpoint / "status.json"
    if status is None or not status.is_file() or read_json(status, {"state?": str}).get("state") != "running":
        return ""
    return f"{checkpoint} is still training, or was killed: this is its best epoch so far, and another may come."
