"""Load a checkpoint into the engine that runs it."""

from __future__ import annotations

from typing import Any

from affectkit.engines.choice import Choice
from affectkit.engines.engine import Engine
from affectkit.errors import UsageError
from affectkit.runtime.context import RunContext


def load_engine(choice: Choice, *, fit: str | None = None, verify: bool = True, **options: Any) -> Engine:
    """Load what ``choose_engine`` chose.

    Args:
        choice: engine, file and where it computes.
        fit, verify: as of ``checkpoints.checkpoint.load_model``.
        options: what that takes beside them, for checkpoints of torch.

    Raises:
        UsageError: an option is given that is not for this file.
        CheckpointError: the file is damaged, or not one of affectkit's.
    """
    if choice.engine == "onnx":
        from affectkit.engines.onnx_model import OnnxModel

        for name, value in options.items():
            if value:
                raise UsageError(
                    f"--{name.replace('_', '-')} has no effect: {choice.path} holds all that its model needs.",
                    "Leave it out.",
                )
        return OnnxModel(choice.path, choice.context, built_in=choice.built_in, fit=fit, verify=verify)
    from affectkit.checkpoints.checkpoint import load_model
    from affectkit.engines.torch_engine import TorchEngine

    context = choice.context
    return TorchEngine.of(load_model(choice.path, device=context.device, fit=fit, verify=verify, **options), context)


def engine_of(model: Any) -> Engine:
    """Return what ``affectkit.load`` gave as an engine, where its parameters are now, in fp32."""
    if isinstance(model, Engine):
        return model
    from affectkit.engines.torch_engine import TorchEngine

    return TorchEngine.of(model, RunContext.resolve(str(next(model.parameters()).device), "fp32"))
