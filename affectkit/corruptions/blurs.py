"""Blurs of the common-corruptions benchmark (Hendrycks and Dietterich, 2019, arXiv 1903.12261)."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from affectkit.corruptions.base import Corruption, Drawn, Draws
from affectkit.corruptions.filters import border_index, for_each_block, for_each_channel, gaussian_blur, motion_blur


class GaussianBlur(Corruption):
    """Gaussian of standard deviation ``level`` pixels, cut off at four of them, borders replicated."""

    parameters: ClassVar = {
        "cifar": (0.4, 0.6, 0.7, 0.8, 1),
        "tiny": (0.5, 0.75, 1, 1.25, 1.5),
        "imagenet": (1, 2, 3, 4, 6),
    }
    strengths = (0.0, 100.0)
    random = False

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return gaussian_blur(images, level)


class DefocusBlur(Corruption):
    """Mean over a disk of (radius, sigma) = ``level`` pixels, whose edge a Gaussian of ``sigma`` smooths.

    The smoothing kernel has 3 x 3 taps, 5 x 5 above a radius of 8; borders are mirrored about the last pixel.
    """

    parameters: ClassVar = {
        "cifar": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
        "tiny": ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
        "imagenet": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    }
    random = False

    def apply(
        self, images: torch.Tensor, level: tuple[float, float], drawn: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        kernel = disk_kernel(*level)
        if images.device.type != "cpu":
            return _correlated(images, kernel)
        return for_each_channel(
            lambda plane: cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REFLECT_101), images
        )


def _correlated(images: torch.Tensor, kernel: np.ndarray) -> torch.Tensor:
    """Return ``images`` (B, C, H, W) correlated with a square ``kernel``, borders mirrored about the last pixel."""
    radius = len(kernel) // 2
    rows, columns = (
        torch.from_numpy(border_index(np.arange(-radius, size + radius), size, "mirror")).to(images.device)
        for size in images.shape[2:]
    )
    padded = images[:, :, rows][:, :, :, columns]
    # Channels as images of one channel: a depthwise kernel takes several times as long.
    weights = torch.from_numpy(kernel).to(images)[None, None]
    return F.conv2d(padded.flatten(0, 1)[:, None], weights).view(images.shape)


@functools.lru_cache(maxsize=32)
def disk_kernel(radius: float, sigma: float) -> np.ndarray:
    """Return the kernel of ``DefocusBlur``, float32, its sides as short as its nonzero cells allow."""
    half = max(8, math.ceil(radius))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    inside = (x**2 + y**2 <= radius**2).astype(np.float64)
    inside /= inside.sum()
    taps = np.array(_smoothing(sigma, 5 if radius > 8 else 3))
    reach = len(taps) // 2
    smooth = inside
    for axis in (0, 1):
        index = border_index(np.arange(len(smooth))[:, None] + np.arange(-reach, reach + 1), len(smooth), "mirror")
        smooth = np.tensordot(np.take(smooth, index, axis), taps, ([axis + 1], [0]))
    kept = int(np.abs(np.argwhere(smooth > 0) - half).max())
    return smooth[half - kept : half + kept + 1, half - kept : half + kept + 1].astype(np.float32)


def _smoothing(sigma: float, count: int) -> tuple[float, ...]:
    """Return ``count`` normalised taps of a Gaussian."""
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-(count // 2), count // 2 + 1)]
    return tuple(weight / math.fsum(weights) for weight in weights)


class MotionBlur(Corruption):
    """Smeared along a line at an angle uniform in +-45 degrees; ``level``: (radius, sigma), see ``motion``."""

    parameters: ClassVar = {
        "cifar": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
        "tiny": ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
        "imagenet": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    }

    def draw(self, images: torch.Tensor, level: tuple[int, float], draws: Draws) -> Drawn:
        return {"angle": draws.uniform() * 90 - 45}

    def apply(self, images: torch.Tensor, level: tuple[int, float], drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return motion_blur(images, *level, drawn["angle"])


class ZoomBlur(Corruption):
    """Mean of the image and of its centre enlarged by factors from 1 to below ``level[0]`` in steps of ``level[1]``.

    A factor z takes the middle ceil(side / z) pixels, enlarges them linearly, corner onto corner, to round(side * z) of
    that, and cuts the middle out.
    """

    parameters: ClassVar = {
        "cifar": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
        "tiny": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
        "imagenet": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    }
    random = False

    def apply(
        self, images: torch.Tensor, level: tuple[float, float], drawn: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        factors = zoom_factors(*level)
        if images.device.type == "cpu":
            return for_each_block(lambda part: _mean_enlarged(part, factors), images)
        total = images.clone()
        for factor in factors:
            total += _enlarged(images, factor)
        return total / (len(factors) + 1)


def zoom_factors(end: float, step: float) -> list[float]:
    """Return 1, 1 + step, ... below ``end``, with NumPy's rounding: sizes in pixels follow from the last digit."""
    return np.arange(1, end - 1e-9, step).tolist()


def _enlarged(images: torch.Tensor, factor: float) -> torch.Tensor:
    """Return the centre of ``images`` (B, C, H, W) enlarged by ``factor``, the same shape."""
    for axis in (2, 3):
        here, there, share = enlarging_weights(images.shape[axis], factor)
        near, far = (images.index_select(axis, torch.from_numpy(index).to(images.device)) for index in (here, there))
        weight = torch.from_numpy(share).to(images)
        images = near + (far - near) * (weight[:, None] if axis == 2 else weight)
    return images


def _mean_enlarged(images: np.ndarray, factors: Sequence[float]) -> np.ndarray:
    """Return the mean of ``images`` (n, C, H, W) and of ``_enlarged`` for each of ``factors``, the first of which is 1.

    Sums and products of two numbers are rounded alike wherever they stand in an array, so the images may share one.
    Lines are copied whole, and columns as lines of the transpose: far cheaper than picking single pixels.
    """
    height, width = images.shape[2:]
    turned = cv2.transpose(images.reshape(-1, width)).reshape(width, -1)
    total = images.reshape(-1, height, width) * np.float32(2)
    for factor in factors[1:]:
        wide = _between(turned, *enlarging_weights(width, factor), axis=0)
        wide = cv2.transpose(wide).reshape(-1, height, width)
        total += _between(wide, *enlarging_weights(height, factor), axis=1)
    return (total / np.float32(len(factors) + 1)).reshape(images.shape)


def _between(lines: np.ndarray, here: np.ndarray, there: np.ndarray, share: np.ndarray, *, axis: int) -> np.ndarray:
    """Return ``lines`` at ``here`` and a ``share`` of the way to those at ``there``, along ``axis``."""
    near = lines.take(here, axis)
    way = lines.take(there, axis)
    way -= near
    way *= share[:, None]
    way += near
    return way


@functools.lru_cache(maxsize=256)
def enlarging_weights(size: int, factor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where a line of ``size`` is read to enlarge its centre: places before and after each, and the share of the
    way.

    The middle ceil(size / factor) pixels are enlarged, corner onto corner, to round(that x factor), never less than
    ``size``, of which the middle is kept.
    """
    side = math.ceil(size / factor)
    large = max(round(side * factor), size)
    place = (np.arange(size) + (large - size) // 2) * ((side - 1) / max(large - 1, 1))
    here = np.floor(place).astype(np.int64).clip(0, max(side - 2, 0))
    start = (size - side) // 2
    return start + here, start + np.minimum(here + 1, side - 1), (place - here).astype(np.float32)


GAUSSIAN_BLUR, DEFOCUS_BLUR, MOTION_BLUR, ZOOM_BLUR = GaussianBlur(), DefocusBlur(), MotionBlur(), ZoomBlur()
