"""Training that diverges: the same error for every task, with where it happened and what to try next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from affectkit.errors import RunError

if TYPE_CHECKING:
    from affectkit.settings.training import TrainSettings
    from affectkit.tasks.base import Results


def diverged(what: str, *, where: str, rate: float, settings: TrainSettings, kept: str) -> RunError:
    """The error of a run whose numbers are no longer finite.

    Args:
        what: the quantity and its value, as "the loss became nan". where: epoch, batch and step.
        rate: the learning rate of the last step. kept: a sentence on the checkpoints and states that remain.
    """
    peak = "" if rate == settings.lr else f", --lr {settings.lr:g}"
    clip = "add --clip-norm 1" if settings.clip_norm is None else f"lower --clip-norm (now {settings.clip_norm:g})"
    steps = [f"Lower --lr (now {settings.lr:g}; a tenth is {settings.lr / 10:g})", clip]
    if not settings.warmup:
        steps.append("add --warmup 1")
    if settings.precision == "fp16":
        steps.append("compute with --precision fp32")
    return RunError(
        f"the training diverged: {what} in {where}, at a learning rate of {rate:g}{peak}.",
        f"{', '.join(steps[:-1])}, or {steps[-1]}. {kept}",
    )


def broken_outputs(results: Results) -> str:
    """How many items of ``results`` have outputs, or what else was collected of them (errors of reconstruction, say),
    that are NaN or infinite, in words; empty where none has."""
    for name, values in (("the outputs", results.outputs), *results.extras.items()):
        if values.dtype.kind != "f":
            continue
        broken = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if broken.any():
            kind = "NaN" if np.isnan(values).any() else "infinite"
            return f"{name} of {int(broken.sum()):,} of {len(broken):,} {results.split.name} items became {kind}"
    return ""
