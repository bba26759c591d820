"""The mask over code channels: what is learned, what it is turned into, and gradients that pass straight through.

Mallya, Davis and Lazebnik, "Piggyback" (ECCV 2018), section 3: real values behind a binary mask.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from affectkit.core.randomness import torch_generator

BINARIZER, TERNARIZER, ATTENTION, RANDOMIZER = "binarizer", "ternarizer", "attention", "randomizer"


class _Turned(torch.autograd.Function):
    """The second argument, with the gradient going to the first as it is."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
        return turned.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


def binarized(values: torch.Tensor, threshold: float) -> torch.Tensor:
    """Return 1 above ``threshold``, else 0."""
    return _Turned.apply(values, (values > threshold).to(values.dtype))


def ternarized(values: torch.Tensor, threshold: float) -> torch.Tensor:
    """Return -1 below 0, 1 above ``threshold``, else 0."""
    return _Turned.apply(values, (values > threshold).to(values.dtype) - (values < 0).to(values.dtype))


def randomized(values: torch.Tensor, *, fixed: bool) -> torch.Tensor:
    """Draw 0 or 1 with equal chances, whatever ``values`` are.

    Args:
        fixed: always the same draw, so that an evaluation does not depend on its batches; else of torch's stream.
    """
    if fixed:
        generator = torch_generator(0, "randomizer")
        drawn = torch.randint(0, 2, values.shape, generator=generator).to(values)
    else:
        drawn = torch.randint(0, 2, values.shape, device=values.device).to(values.dtype)
    return _Turned.apply(values, drawn)


class Masked(nn.Module):
    """Values over the channels of both modalities, and what they are turned into.

    Args:
        channels: of both together, the image's first.
        kind: one of the four above.
        init: ``1s``: all at ``scale``; ``uniform``: in +-``scale``.
        threshold: see ``binarized``.
    """

    def __init__(self, channels: int, *, kind: str, init: str, scale: float, threshold: float) -> None:
        super().__init__()
        self.kind, self.init, self.scale, self.threshold = kind, init, scale, threshold
        self.private_shared_mask = nn.Parameter(torch.empty(channels, 1, 1))
        self.reset_mask()

    def reset_mask(self) -> None:
        """Reset the mask to its first values."""
        with torch.no_grad():
            if self.init == "1s":
                self.private_shared_mask.fill_(self.scale)
            else:
                self.private_shared_mask.uniform_(-self.scale, self.scale)

    def turned(self) -> torch.Tensor:
        """Return the mask (channels, 1, 1) that codes are multiplied by."""
        values = self.private_shared_mask
        if self.kind == TERNARIZER:
            return ternarized(values, self.threshold)
        if self.kind == ATTENTION:
            return values
        if self.kind == RANDOMIZER:
            return randomized(values, fixed=not self.training)
        return binarized(values, self.threshold)

    def effective_mask(self) -> torch.Tensor:
        """Return the mask that private and shared channels are counted by (channels,): of ``attention``, its binarized
        values.
        """
        turned = binarized(self.private_shared_mask, self.threshold) if self.kind == ATTENTION else self.turned()
        return turned.detach().flatten()
