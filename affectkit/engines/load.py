"""Load a checkpoint into the engine that runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectkit.engines.engine import Engine
from affectkit.runtime.context import RunContext


def load_engine(checkpoint: Path, *, device: str, precision: str, **options: Any) -> Engine:
    """Load a checkpoint.

    Args:
        checkpoint: the file.
        device, precision: where and in what number format the model runs, as the options of these names.
        options: as of ``checkpoints.checkpoint.load_model``.
    """
    from affectkit.checkpoints.checkpoint import load_model
    from affectkit.engines.torch_engine import TorchEngine

    context = RunContext.resolve(device, precision)
    return TorchEngine.of(load_model(checkpoint, device=context.device, **options), context)


def engine_of(model: Any) -> Engine:
    """Return what ``affectkit.load`` gave as an engine, where its parameters are now, in fp32."""
    if isinstance(model, Engine):
        return model
    from affectkit.engines.torch_engine import TorchEngine

    return TorchEngine.of(model, RunContext.resolve(str(next(model.parameters()).device), "fp32"))
