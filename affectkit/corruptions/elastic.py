"""Stretched and squeezed in small regions (Hendrycks and Dietterich 2019, section 4; Simard et al. 2003)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F

from affectkit.corruptions.base import Corruption, Drawn, Draws
from affectkit.corruptions.filters import correlation_matrix, for_each_image, gaussian_taps

IMAGENET_SIDE = 244
"""What the benchmark multiplies by at ImageNet's scale, whatever the size of the picture."""
_FINE = 2.0**22


class ElasticTransform(Corruption):
    """An affine map that moves three points at random, then a field of smooth random shifts.

    ``level`` is (greatest shift before smoothing, sigma of the smoothing, greatest jitter of the points), times the
    shorter side of the picture, or, at ImageNet's scale, times 244 pixels: (shift, sigma, jitter, pixels or 0). Both
    steps interpolate linearly; the affine one mirrors at the border's pixels (b|a|b), the other beside them (ba|ab).
    """

    parameters: ClassVar = {
        "cifar": (
            (0, 0, 0.08, 0), (0.05, 0.2, 0.07, 0), (0.08, 0.06, 0.06, 0), (0.1, 0.04, 0.05, 0), (0.1, 0.03, 0.03, 0),
        ),
        "tiny": (
            (0, 0, 0.08, 0), (0.05, 0.3, 0.06, 0), (0.1, 0.08, 0.06, 0), (0.1, 0.03, 0.03, 0), (0.16, 0.03, 0.02, 0),
        ),
        "imagenet": tuple(
            (*shares, IMAGENET_SIDE)
            for shares in ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
        ),
    }  # fmt: skip

    def draw(self, images: torch.Tensor, level: tuple[float, ...], draws: Draws) -> Drawn:
        drawn = {"jitter": draws.uniform(3, 2) * 2 - 1}
        return drawn | ({"field": draws.uniform(2, *images.shape[2:]) * 2 - 1} if level[0] else {})

    def apply(self, images: torch.Tensor, level: tuple[float, ...], drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        height, width = images.shape[2:]
        side = level[3] or min(height, width)
        moved = jitter_affine(images.contiguous(), drawn["jitter"].double() * (side * level[2]))
        if "field" not in drawn:
            return moved
        across, down = smooth_displacement(drawn["field"], sigma=side * level[1], most=side * level[0]).unbind(1)
        columns = torch.arange(width, device=images.device) + across
        rows = torch.arange(height, device=images.device)[:, None] + down
        return sample_bilinear(moved, columns, rows, beside=True)


def jitter_affine(images: torch.Tensor, jitter: torch.Tensor) -> torch.Tensor:
    """Return ``images`` (B, 3, H, W) by the affine maps that move three corners of a centred square by ``jitter``.

    The square reaches a third of the shorter side from the centre; its corners are lower right, upper right and upper
    left.

    Args:
        jitter: (B, 3, 2), pixels, (across, down) of each corner, float64.
    """
    height, width = images.shape[2:]
    reach = max(1, min(height, width) // 3)
    middle = jitter.new_tensor([width // 2, height // 2])
    corner = middle + jitter.new_tensor([reach, -reach])
    to = jitter[:, 1] + corner
    # Where a step to the right and a step down of the original lie in the result.
    right = (jitter[:, 1] - jitter[:, 2]) / (2 * reach) + jitter.new_tensor([1.0, 0.0])
    below = (jitter[:, 0] - jitter[:, 1]) / (2 * reach) + jitter.new_tensor([0.0, 1.0])
    area = right[:, 0] * below[:, 1] - right[:, 1] * below[:, 0]
    # Points that fall onto one line leave nothing to look through: a sliver of a thousandth stays open.
    area = torch.where(area.abs() < 1e-3, torch.where(area < 0, -1e-3, 1e-3), area)[:, None, None]
    x = (torch.arange(width, device=images.device) - to[:, 0, None])[:, None, :]
    y = (torch.arange(height, device=images.device) - to[:, 1, None])[:, :, None]
    columns = (x * below[:, 1, None, None] - y * below[:, 0, None, None]) / area + corner[0]
    rows = (y * right[:, 0, None, None] - x * right[:, 1, None, None]) / area + corner[1]
    return sample_bilinear(images, columns, rows, beside=False)


def smooth_displacement(field: torch.Tensor, *, sigma: float, most: float) -> torch.Tensor:
    """Return ``field`` (B, 2, H, W) in [-1, 1), smoothed by a Gaussian cut off at 3 sigma, times ``most``: pixels,
    float64.

    The field and the weights are rounded to multiples of 2^-22, and so is what is between the two axes: their products
    then add up in float64 without rounding, and any order of adding, on any device, gives the same picture.
    """
    taps = gaussian_taps(sigma, 3.0)
    down, across = (
        (correlation_matrix(size, taps, "reflect").double() * _FINE).round_().to(field.device)
        for size in field.shape[2:]
    )

    def smooth(one: torch.Tensor) -> torch.Tensor:
        wide = (one.double() * _FINE).round_() @ across.T
        return down @ wide.div_(_FINE).round_()

    return for_each_image(smooth, field).mul_(most / _FINE**2)


def sample_bilinear(images: torch.Tensor, columns: torch.Tensor, rows: torch.Tensor, *, beside: bool) -> torch.Tensor:
    """Return ``images`` (B, 3, H, W) read at fractional ``columns`` and ``rows`` (B, H, W), linearly.

    Args:
        beside: beyond the border the picture continues mirrored beside its last pixels (ba|ab), else at them (b|a|b).
    """
    height, width = images.shape[2:]
    if beside:
        grid = torch.stack(((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1), -1)
    else:
        grid = torch.stack((2 * columns / max(width - 1, 1) - 1, 2 * rows / max(height - 1, 1) - 1), -1)
    return F.grid_sample(
        images, grid.to(images.dtype), mode="bilinear", padding_mode="reflection", align_corners=not beside
    )


ELASTIC_TRANSFORM = ElasticTransform()
