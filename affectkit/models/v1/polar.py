"""Cortical magnification: the visual field resampled in polar coordinates, finely at its centre."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from affectkit.core.cached import cached_tensors
from affectkit.errors import UsageError

SIDE = 32
"""The side for which the rings were published; wider fields have wider rings."""
EDGES = (*range(13), 13, 14, 16, 18, 20, 23)
"""Radii between the 18 rings, in pixels."""
ANGLES = 30


class CorticalMagnification(nn.Module):
    """(B, C, S, S) to (B, C, S/2, S/2): rings down, angles across.

    Means over the bins of 18 rings and 30 angles about the centre, the angle axis mirrored by one at both ends, then
    resized, bilinear with antialiasing. In rings within S/2 of the centre, bins without a pixel take the linear
    interpolation of the masks of those with one. All of it is one fixed linear map of the pixels, and is computed as
    one matrix product. Bin masks and their sums are rounded to half precision once, as in the published model. Source:
    the cortical magnification of the biologically constrained ResNet-50 (seed 002).

    Args:
        side: S, even and 32 or more: in a smaller field rings of the published proportions would hold no pixel.
    """

    def __init__(self, side: int = SIDE) -> None:
        super().__init__()
        if side < SIDE or side % 2:
            raise UsageError(
                f"cortical magnification needs maps with an even side of {SIDE} or more; got {side}.",
                "Use an --image-size that is a multiple of 4, 64 or more.",
            )
        self.side = side
        self.register_buffer("matrix", _matrix(side).clone(), persistent=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the resampled maps, in the number format of ``maps``."""
        if maps.shape[2:] != (self.side, self.side):
            raise UsageError(
                f"cortical magnification was made for {self.side}x{self.side}; got {maps.shape[2]}x{maps.shape[3]}.",
                "Build the model for the --image-size that it is used with.",
            )
        half = self.side // 2
        # Contiguous: maps that lie channels-last would be copied pixel by pixel inside the product.
        pixels = maps.contiguous().flatten(2)
        return F.linear(pixels, self.matrix.to(maps.dtype)).unflatten(2, (half, half))


def polar_bins(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (ring, angle) of each pixel (side, side); a ring of -1 is outside of all.

    A pixel (row, column) is at x = column - side/2, y = side/2 - row.
    """
    row, column = np.mgrid[:side, :side]
    x, y = column - side // 2, side // 2 - row
    ring = np.digitize(np.hypot(x, y), ring_edges(side)) - 1
    ring[ring >= len(EDGES) - 1] = -1
    angle = np.arctan2(y, x) % (2 * math.pi)
    return ring, np.minimum(np.floor(angle / (2 * math.pi / ANGLES)).astype(int), ANGLES - 1)


def ring_edges(side: int) -> np.ndarray:
    """Return the radii between rings for a field of that side."""
    return np.array(EDGES) * (side / SIDE)


@cached_tensors(8)
def polar_masks(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the masks (rings, angles, side**2) and their sums (rings, angles), 1 where 0; float32, rounded to half
    precision.
    """
    ring, angle = polar_bins(side)
    found = torch.zeros(len(EDGES) - 1, ANGLES, side**2)
    inner = ring_edges(side)
    for number in range(len(found)):
        own = torch.from_numpy(((ring == number) & (angle == np.arange(ANGLES)[:, None, None])).reshape(ANGLES, -1))
        rows = own.float()
        if inner[number] <= side / 2:
            rows = rows[own.any(1)]
            rows = F.interpolate(rows.T[None], ANGLES, mode="linear", align_corners=False)[0].T
        found[number] = rows
    total = found.sum(2)
    return found.half().float(), torch.where(total == 0, 1.0, total).half().float()


@cached_tensors(8)
def _matrix(side: int) -> torch.Tensor:
    """Return the map (side**2 / 4, side**2) of pixels to the resampled field."""
    weights, total = polar_masks(side)
    field = (weights.double() / total[:, :, None].double()).permute(2, 0, 1)[:, None]
    padded = F.pad(field, (1, 1, 0, 0), mode="reflect")
    half = side // 2
    small = F.interpolate(padded, (half, half), mode="bilinear", antialias=True, align_corners=False)
    return small.flatten(1).T.float().contiguous()
