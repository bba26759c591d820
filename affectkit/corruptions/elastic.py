"""Elastic deformation of the common-corruptions benchmark (Hendrycks and Dietterich, 2019, arXiv 1903.12261)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F

from affectkit.corruptions.base import Corruption, Drawn, Draws
from affectkit.corruptions.filters import gaussian_taps, one_by_one, separable

Level = tuple[float, float, float]
TRUNCATE = 3.0


class ElasticTransform(Corruption):
    """A random affine map, then displacements from smoothed noise; ``level`` is (shift, sigma, jitter) times the side.

    The affine map takes three points about the centre, a third of the shorter side away, to where each coordinate is
    moved by a number uniform in +-jitter. Displacements are uniform in +-1, smoothed by a Gaussian of sigma (cut off at
    three of them, borders mirrored), times shift. Linear interpolation; borders are mirrored. The side is the image's,
    and 244 at the largest scale, as published.
    """

    parameters: ClassVar = {
        "cifar": ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
        "tiny": ((0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02)),
        "imagenet": ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)),
    }
    sides: ClassVar = {"cifar": 32, "tiny": 64, "imagenet": 244}

    def level(self, severity: int, scale: str) -> Level:
        return tuple(value * self.sides[scale] for value in self.parameters[scale][severity - 1])

    def draw(self, images: torch.Tensor, level: Level, draws: Draws) -> Drawn:
        drawn = {"points": draws.uniform(3, 2) * 2 - 1}
        if level[0]:
            drawn["noise"] = draws.uniform(2, *images.shape[2:]) * 2 - 1
        return drawn

    def apply(self, images: torch.Tensor, level: Level, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        shift, sigma, jitter = level
        height, width = images.shape[2:]
        y, x = places(height, width, affine(drawn["points"].cpu() * jitter, height, width).to(images.device))
        if shift:
            taps = gaussian_taps(sigma, TRUNCATE)
            field = separable(drawn["noise"], taps, taps, mode="reflect") * shift
            down, across = field.unbind(1)
            # The deformed image is read from the one that was mapped: displacements come first, then the affine map.
            grid = torch.stack([down, across], 1)
            y, x = _composed(y, x, grid)
        return sampled(images, y, x)


def affine(moves: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The maps (B, 2, 3) from places in the result to places in the image, both as (down, across, 1).

    Args:
        moves: (B, 3, 2), by how much each of the three points (across, down) is moved.
    """
    centre = torch.tensor([width // 2, height // 2], dtype=torch.float64)
    reach = min(height, width) // 3 or 1
    start = torch.stack([centre + reach, torch.stack([centre[0] + reach, centre[1] - reach]), centre - reach])
    end = start + moves.double()
    ones = torch.ones(len(moves), 3, 1, dtype=torch.float64)
    # end @ M = start: where a pixel of the result comes from.
    back = torch.linalg.solve(torch.cat([end, ones], 2), start.expand(len(moves), -1, -1)).transpose(1, 2)
    return back.flip(1)[:, :, [1, 0, 2]].float()


def places(height: int, width: int, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where each pixel of the results comes from: down and across, (B, H, W) each."""
    down = torch.arange(height, device=maps.device, dtype=maps.dtype)[:, None]
    across = torch.arange(width, device=maps.device, dtype=maps.dtype)
    rows = [maps[:, axis, 0, None, None] * down + maps[:, axis, 1, None, None] * across for axis in (0, 1)]
    return rows[0] + maps[:, 0, 2, None, None], rows[1] + maps[:, 1, 2, None, None]


def _composed(y: torch.Tensor, x: torch.Tensor, shifts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The affine map at displaced places; being affine it moves by its own slopes times the displacement."""
    slopes = [(value[:, 1:2, :1] - value[:, :1, :1], value[:, :1, 1:2] - value[:, :1, :1]) for value in (y, x)]
    down, across = shifts.unbind(1)
    moved = [value + a * down + b * across for value, (a, b) in zip((y, x), slopes, strict=True)]
    return moved[0], moved[1]


def sampled(images: torch.Tensor, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """``images`` (B, C, H, W) read at (y, x), (B, H, W) in pixels, linearly; borders are mirrored about their edge."""
    height, width = images.shape[2:]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], 3)
    pairs = torch.arange(len(images))

    def read(number: torch.Tensor) -> torch.Tensor:
        return F.grid_sample(
            images[number], grid[number], mode="bilinear", padding_mode="reflection", align_corners=False
        )

    return one_by_one(read, pairs) if images.device.type == "cpu" else read(pairs)


ELASTIC_TRANSFORM = ElasticTransform()
