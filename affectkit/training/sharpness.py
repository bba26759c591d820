"""Sharpness-aware minimisation (SAM; Foret et al., ICLR 2021): steps by the gradient at the worst weights nearby.

A step passes its batches twice: at the weights w, whose gradient g says where the loss grows most, and at
w + rho g / |g|, whose gradient the optimizer is given; it steps from w. |g| is the norm over all weights that learn;
weight decay has no part in g. Both passes see the same images with the same dropout. A step takes twice the time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from affectkit.errors import UsageError
from affectkit.runtime.precision import Precision

SMALLEST = 1e-12
"""Added to the norm of the gradient, which may be 0."""


@contextlib.contextmanager
def ascended(model: nn.Module, parameters: Sequence[nn.Parameter], rho: float) -> Iterator[None]:
    """Move the weights by ``rho`` along their gradients while entered, and back to the last bit.

    The gradients are cleared at the beginning; those that are added while entered stay. Buffers come back too, so that
    batch norm's running statistics are those of the first pass.

    Args:
        model: whose buffers are kept.
        parameters: that learn; those without a gradient stay where they are.
        rho: length of the way, in the Euclidean norm over all of them.
    """
    moved = [parameter for parameter in parameters if parameter.grad is not None]
    kept = [(value, value.detach().clone()) for value in (*moved, *model.buffers())]
    try:
        with torch.no_grad():
            norms = torch.stack([torch.linalg.vector_norm(parameter.grad) for parameter in moved])
            scale = rho / (torch.linalg.vector_norm(norms) + SMALLEST)
            for parameter in moved:
                parameter.add_(parameter.grad * scale)
                parameter.grad = None
        yield
    finally:
        with torch.no_grad():
            for value, before in kept:
                value.copy_(before)


def refuse_sam(rho: float, precision: Precision) -> None:
    """Refuse sharpness-aware minimisation where gradients are scaled: the scale may leave the first pass no gradient.

    Raises:
        UsageError: ``rho`` is above 0, and ``precision`` is fp16.
    """
    if rho and precision.scaled:
        raise UsageError(
            f"--sam {rho:g} needs gradients as they are, and {precision.name} ({precision.reason}) scales them.",
            "Use --precision bf16 or fp32.",
        )
