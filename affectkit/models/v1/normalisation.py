"""Divisive normalisation: responses divided by the pooled responses of their neighbours."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

ROOT_TWO_PI = 2.5066
"""As published; the exact value is 2.50663."""
LEAST_SIGMA = 0.5
LEAST = 0.1


class TunedNormalisation(nn.Module):
    """x / (1 + W x) with W a mixing of channels, Gaussian in their distance: (B, C, H, W) to the same shape.

    Channel 0 is at distance |j - C//2| from channel j, and channel i at those rolled by i. With s_j =
    max(sigmas_j, 0.5), W[i, j] = exp(-distance(i, j)**2 / (2 s_j**2)) / (2.5066 s_j), each column divided by its sum.
    Source: the tuned-normalisation component of the biologically constrained ResNet-50 (seed 002; after Burg et al.,
    PLOS Computational Biology 2021).

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sigmas = nn.Parameter(channels / 8 + torch.rand(channels))
        first = (torch.arange(channels) - channels // 2).abs().float()
        distances = torch.stack([first.roll(row) for row in range(channels)])
        self.register_buffer("channel_distances", distances, persistent=False)

    def weights(self) -> torch.Tensor:
        """Return W (C, C), in float32 whatever autocast says."""
        with torch.autocast(self.sigmas.device.type, enabled=False):
            sigma = self.sigmas.clamp(min=LEAST_SIGMA)
            table = torch.exp(-(self.channel_distances**2) / (2 * sigma**2)) / (ROOT_TWO_PI * sigma)
            return table / table.sum(0, keepdim=True)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the normalised maps."""
        pooled = F.conv2d(maps, self.weights()[:, :, None, None].to(maps.dtype))
        return maps / (1 + pooled)


class DivisiveNormalisation(nn.Module):
    """x / (K * x + |bias|) with K a dense 3 x 3 convolution of rotated Gaussians: (B, C, H, W) to the same shape.

    For each pair of channels, over cell coordinates x, y in 1, 2, 3 (x across, y down) and with
    x' = x cos(theta) + y sin(theta), y' = -x sin(theta) + y cos(theta), the kernel is
    |A / max(2 pi rho sigma, 0.1)| exp(-((x' - v)**2 / max(rho**2, 0.1) + (y' - w)**2 / max(sigma**2, 0.1)) / 2). Zero
    padding. Source: the standard divisive normalisation of the biologically constrained ResNet-50 (seed 002; after
    Heeger, Visual Neuroscience 1992).

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        shape = channels, channels, 1, 1
        self.A = nn.Parameter(torch.rand(shape))
        self.rho = nn.Parameter(torch.rand(shape))
        self.sigma = nn.Parameter(torch.rand(shape))
        self.theta = nn.Parameter(torch.rand(shape) * torch.pi)
        self.v = nn.Parameter(torch.rand(shape))
        self.w = nn.Parameter(torch.rand(shape))
        self.bias = nn.Parameter(torch.rand(1))
        line = torch.arange(1.0, 4.0)
        self.register_buffer("x_coords", line.expand(3, 3).clone(), persistent=False)
        self.register_buffer("y_coords", line[:, None].expand(3, 3).clone(), persistent=False)

    def kernels(self) -> torch.Tensor:
        """Return K (C, C, 3, 3), output channels first, in float32 whatever autocast says."""
        with torch.autocast(self.A.device.type, enabled=False):
            cos, sin = self.theta.cos(), self.theta.sin()
            x = self.x_coords * cos + self.y_coords * sin
            y = self.y_coords * cos - self.x_coords * sin
            height = (self.A / (2 * torch.pi * self.rho * self.sigma).clamp(min=LEAST)).abs()
            across = (x - self.v) ** 2 / (self.rho**2).clamp(min=LEAST)
            along = (y - self.w) ** 2 / (self.sigma**2).clamp(min=LEAST)
            return height * torch.exp(-(across + along) / 2)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the normalised maps."""
        pooled = F.conv2d(maps, self.kernels().to(maps.dtype), padding=1)
        return maps / (pooled + self.bias.abs().to(maps.dtype))
