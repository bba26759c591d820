"""Filters that several corruptions share, on batches of any size.

A picture must come out the same to the last digit whatever is beside it in the batch, on any number of threads. Matrix
products, convolutions and interpolation of torch do not promise this: they go by size, alignment and threads. So on
the CPU each image is filtered by OpenCV, one to a thread, or by sums and products that are rounded alike anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from affectkit.core.cached import cached_tensors
from affectkit.corruptions.base import map_in_threads

BORDERS = {"nearest": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT, "mirror": cv2.BORDER_REFLECT_101}
MODES = tuple(BORDERS)
"""What lies beyond the border, as SciPy names it: a|aa, ba|ab, b|a|b."""
BLOCK = 3 * 224 * 224
"""Numbers that are worked on at once where images are small: what a core's cache holds."""


def for_each_image(function: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """Return ``function`` of ``images`` (B, ...), on the CPU of each as a batch of one."""
    if images.device.type != "cpu" or len(images) < 2:
        return function(images)
    return torch.cat([function(image[None]) for image in images])


def for_each_block(change: Callable[[np.ndarray], np.ndarray], images: torch.Tensor) -> torch.Tensor:
    """Return ``change`` of arrays (n, C, H, W), which are parts of ``images`` on the CPU, each in a thread.

    How many images are one part depends on their size: ``change`` must not mix them.
    """
    arrays = images.detach().float().contiguous().numpy()
    size = max(1, BLOCK // max(arrays[:1].size, 1))
    parts = map_in_threads(change, [arrays[start : start + size] for start in range(0, len(arrays), size)])
    return torch.from_numpy(np.concatenate(parts)).to(images.dtype) if parts else images.clone()


def for_each_channel(change: Callable[[np.ndarray], np.ndarray], images: torch.Tensor) -> torch.Tensor:
    """Return ``change`` of each channel (H, W) of ``images`` (B, C, H, W) on the CPU."""

    def changed(part: np.ndarray) -> np.ndarray:
        found = np.empty_like(part)
        for place in np.ndindex(part.shape[:2]):
            found[place] = change(part[place])
        return found

    return for_each_block(changed, images)


def gaussian_blur(images: torch.Tensor, sigma: float, *, truncate: float = 4.0, mode: str = "nearest") -> torch.Tensor:
    """Return ``images`` (B, C, H, W) blurred by a Gaussian cut off at ``truncate`` standard deviations.

    As ``scipy.ndimage.gaussian_filter`` over the two image axes, with a radius of ``int(truncate * sigma + 0.5)``. On
    other devices than the CPU the border is folded into one matrix for rows and one for columns, so that a wide blur
    costs what a narrow one does.

    Args:
        sigma: in pixels; 0 leaves the images as they are.
        mode: one of ``MODES``.
    """
    taps = gaussian_taps(sigma, truncate)
    if len(taps) == 1:
        return images.clone()
    if images.device.type != "cpu":
        return correlate_separable(images, taps, taps, mode=mode)
    weights = np.array(taps, np.float32)
    return for_each_channel(
        lambda plane: cv2.sepFilter2D(plane, -1, weights, weights, borderType=BORDERS[mode]), images
    )


def gaussian_taps(sigma: float, truncate: float = 4.0) -> tuple[float, ...]:
    """Return the normalised weights of a Gaussian at whole distances, 2 radius + 1 of them."""
    radius = int(truncate * sigma + 0.5)
    weights = [math.exp(-0.5 * (k / sigma) ** 2) if sigma else 1.0 for k in range(-radius, radius + 1)]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


def correlate_separable(
    images: torch.Tensor, rows: tuple[float, ...], columns: tuple[float, ...], *, mode: str = "nearest"
) -> torch.Tensor:
    """Return ``images`` (B, C, H, W) correlated with ``rows`` along the height and ``columns`` along the width."""
    height, width = images.shape[2:]
    down = correlation_matrix(height, rows, mode).to(images)
    across = correlation_matrix(width, columns, mode).to(images).T
    return down @ (images @ across)


@cached_tensors(64)
def correlation_matrix(size: int, taps: tuple[float, ...], mode: str) -> torch.Tensor:
    """Return the matrix (size, size), float32, that correlates a line with ``taps``, the border folded in."""
    radius = len(taps) // 2
    matrix = np.zeros((size, size))
    lines = np.arange(size)
    for offset, weight in zip(range(-radius, radius + 1), taps, strict=True):
        np.add.at(matrix, (lines, border_index(lines + offset, size, mode)), weight)
    return torch.from_numpy(matrix.astype(np.float32))


def border_index(index: np.ndarray, size: int, mode: str) -> np.ndarray:
    """Return where positions on a line of ``size`` are read, those beyond its ends by ``mode``."""
    if mode == "nearest":
        return index.clip(0, size - 1)
    if mode == "reflect":
        index = index % (2 * size)
        return np.where(index < size, index, 2 * size - 1 - index)
    if size == 1:
        return np.zeros_like(index)
    index = index % (2 * size - 2)
    return np.where(index < size, index, 2 * size - 2 - index)


def motion_blur(images: torch.Tensor, radius: int, sigma: float, angles: torch.Tensor) -> torch.Tensor:
    """Return ``images`` (B, C, H, W) smeared along a line, each in its own direction; borders are replicated.

    The mean of the image shifted by 0 to ``2 radius`` pixels, shifts rounded to whole pixels, with weights that fall
    as one side of a Gaussian.

    Args:
        sigma: of the weights, in pixels.
        angles: (B,), degrees; 0 smears to the left, 90 upwards.
    """
    steps = range(2 * radius + 1)
    weights = [math.exp(-0.5 * (step / sigma) ** 2) for step in steps]
    total = math.fsum(weights)
    found = []
    for image, angle in zip(images, angles.tolist(), strict=True):
        down, across = math.sin(math.radians(angle)), math.cos(math.radians(angle))
        shifts: dict[tuple[int, int], float] = {}
        for step, weight in zip(steps, weights, strict=True):
            place = round(step * down), round(step * across)
            shifts[place] = shifts.get(place, 0.0) + weight / total
        found.append(weighted_shift_sum(image, shifts))
    return torch.stack(found)


def weighted_shift_sum(image: torch.Tensor, shifts: dict[tuple[int, int], float]) -> torch.Tensor:
    """Return the weighted sum of copies of ``image`` (C, H, W) read (down, across) pixels further on, borders
    replicated.
    """
    height, width = image.shape[1:]
    downs, acrosses = [down for down, _ in shifts], [across for _, across in shifts]
    top, left = max(0, -min(downs)), max(0, -min(acrosses))
    padding = left, max(0, *acrosses), top, max(0, *downs)
    padded = F.pad(image[None], padding, mode="replicate")[0] if any(padding) else image
    total = torch.zeros_like(image)
    for (down, across), weight in shifts.items():
        row, column = top + down, left + across
        total.add_(padded[:, row : row + height, column : column + width], alpha=weight)
    return total
