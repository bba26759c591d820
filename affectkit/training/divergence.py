"""Training that diverges: the same error for every task, with where it happened and what to try next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from affectkit.errors import RunError

if TYPE_CHECKING:
    from affectkit.tasks.base import Results


def diverged(
    what: str,
    *,
    where: str,
    rate: float,
    lr: float,
    clip_norm: float | None,
    warmup: float,
    precision: str,
    kept: str,
) -> RunError:
    """Make the error of a run whose numbers are no longer finite.

    Args:
        what: the quantity and its value, as "the loss became nan".
        where: epoch, batch and step.
        rate: the learning rate of the last step.
        lr: the learning rate asked for.
        clip_norm: the largest norm of the gradient; None: any.
        warmup: epochs of linear growth.
        precision: number format of the forward pass.
        kept: a sentence on the checkpoints and states that remain.
    """
    peak = "" if rate == lr else f", --lr {lr:g}"
    clip = "add --clip-norm 1" if clip_norm is None else f"lower --clip-norm (now {clip_norm:g})"
    steps = [f"Lower --lr (now {lr:g}; a tenth is {lr / 10:g})", clip]
    if not warmup:
        steps.append("add --warmup 1")
    if precision == "fp16":
        steps.append("compute with --precision fp32")
    return RunError(
        f"the training diverged: {what} in {where}, at a learning rate of {rate:g}{peak}.",
        f"{', '.join(steps[:-1])}, or {steps[-1]}. {kept}",
    )


def broken_outputs(results: Results) -> str:
    """Describe how many items of ``results`` have outputs that are NaN or infinite; empty where none has.

    What else was collected of them (errors of reconstruction, say) counts too.
    """
    for name, values in (("the outputs", results.outputs), *results.extras.items()):
        if values.dtype.kind != "f":
            continue
        broken = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if broken.any():
            kind = "NaN" if np.isnan(values).any() else "infinite"
            return f"{name} of {int(broken.sum()):,} of {len(broken):,} {results.split.name} items became {kind}"
    return ""
