"""Centre-surround filters: differences of two Gaussians, whose widths are learned."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

LEAST_SIGMA, LEAST_RATIO = 0.1, 1.0001


class DifferenceOfGaussians(nn.Module):
    """The kernels: channels x channels of (2 radius + 1) squared.

    With d2 the squared distance of a cell from the centre, s1 = max(sigma1, 0.1) and s2 = s1 max(sigma2_scale, 1.0001),
    a kernel is (s1/pi exp(-d2/s1) - s2/pi exp(-d2/s2)) total_scale; then all kernels are divided, cell by cell, by the
    Euclidean norm over the channels**2 of them.

    Args:
        channels: d, filtered densely.
        radius: k.
    """

    def __init__(self, channels: int, radius: int) -> None:
        super().__init__()
        self.channels, self.radius = channels, radius
        count = channels**2
        self.sigma1 = nn.Parameter(radius / 2 + torch.rand(count, 1, 1))
        self.sigma2_scale = nn.Parameter(radius / 2 + torch.rand(count, 1, 1))
        self.total_scale = nn.Parameter(2 * torch.randn(count, 1, 1))
        line = torch.arange(-radius, radius + 1.0) ** 2
        self.register_buffer("kernel_dists", line[:, None] + line, persistent=False)

    def forward(self) -> torch.Tensor:
        """Return the kernels (channels, channels, 2 radius + 1, 2 radius + 1), in float32 whatever autocast says."""
        with torch.autocast(self.sigma1.device.type, enabled=False):
            first = self.sigma1.clamp(min=LEAST_SIGMA)
            second = first * self.sigma2_scale.clamp(min=LEAST_RATIO)
            center = first / torch.pi * torch.exp(-self.kernel_dists / first)
            surround = second / torch.pi * torch.exp(-self.kernel_dists / second)
            kernels = F.normalize((center - surround) * self.total_scale, dim=0)
            return kernels.view(self.channels, self.channels, *self.kernel_dists.shape)


class CenterSurround(nn.Module):
    """(B, C, H, W) to the same shape: the first ``channels`` filtered by differences of Gaussians, the rest as it is.

    Zero padding, no bias. Source: the centre-surround component of the biologically constrained ResNet-50 (seed 002;
    after Hasani, Soleymani and Aghajan, "Surround modulation", NeurIPS 2019).

    Args:
        channels: how many are filtered, each from all of them.
        radius: of the kernels, in pixels.
    """

    def __init__(self, channels: int = 16, radius: int = 2) -> None:
        super().__init__()
        self.dog_conv = DifferenceOfGaussians(channels, radius)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the filtered maps."""
        count, radius = self.dog_conv.channels, self.dog_conv.radius
        kernels = self.dog_conv().to(maps.dtype)
        filtered = F.conv2d(maps[:, :count], kernels, padding=radius)
        return torch.cat([filtered.to(maps.dtype), maps[:, count:]], 1)
