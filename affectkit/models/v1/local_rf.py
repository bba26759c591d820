"""Local receptive fields: a convolution whose weights differ from place to place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from affectkit.errors import UsageError

SIDE = 3


class LocalReceptiveField(nn.Module):
    """(B, inputs, H, W) to (B, outputs, H, W): 3 x 3 fields with weights of their own at each of H x W places.

    y[b, o, h, w] = sum over i, u, v of weight[0, o, i, h, w, 3 u + v] x[b, i, h + u - 1, w + v - 1], zero beyond the
    border, no bias. Initial weights are standard normal. Source: the local-receptive-field component of the
    biologically constrained ResNet-50 (seed 002).

    Args:
        inputs, outputs: channels.
        height, width: of the maps; others are refused.
    """

    def __init__(self, inputs: int, outputs: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = inputs, outputs, height, width
        # In memory place by place, as the products below want them; seen in the published order.
        weight = torch.randn(height, width, inputs, SIDE**2, outputs)
        self.weight = nn.Parameter(weight.permute(4, 2, 0, 1, 3)[None])

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the maps of the outputs."""
        inputs, outputs, height, width = self.shape
        if tuple(maps.shape[1:]) != (inputs, height, width):
            raise UsageError(
                f"local receptive fields were made for maps of {inputs}x{height}x{width}; got "
                f"{'x'.join(map(str, maps.shape[1:]))}.",
                "Build the model for the --image-size that it is used with.",
            )
        # (B, inputs * 9, places) to (places, B, inputs * 9): one matrix product for each place.
        fields = F.unfold(maps, SIDE, padding=1).permute(2, 0, 1)
        weight = self.weight[0].permute(2, 3, 1, 4, 0).reshape(height * width, inputs * SIDE**2, outputs)
        return torch.bmm(fields, weight.to(fields.dtype)).permute(1, 2, 0).reshape(len(maps), outputs, height, width)
