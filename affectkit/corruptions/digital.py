"""Corruptions by storing and enlarging a picture (Hendrycks and Dietterich 2019, section 4): nothing in them is
drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import cv2
import numpy as np
import torch

from affectkit.core.cached import cached_tensors
from affectkit.corruptions.base import Corruption, map_in_threads
from affectkit.corruptions.colours import eight_bit


class Pixelate(Corruption):
    """Both sides made ``level`` times as long (rounded down, at least a pixel) by a box filter, and as long as before.

    The box filter is that of PIL's ``Image.resize(..., BOX)``: a pixel of the smaller picture is the mean of those
    whose centres it covers, and enlarging repeats the nearest.
    """

    parameters: ClassVar = {
        "cifar": (0.95, 0.9, 0.85, 0.75, 0.65),
        "tiny": (0.9, 0.8, 0.7, 0.6, 0.5),
        "imagenet": (0.6, 0.5, 0.4, 0.3, 0.25),
    }
    strengths = (0.01, 1.0)
    random = False

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        pixels = eight_bit(images)
        height, width = pixels.shape[2:]
        down, rows = _boxes(height, max(1, int(height * level)), pixels.device)
        across, columns = _boxes(width, max(1, int(width * level)), pixels.device)
        # Sums of whole numbers: no order of adding changes them.
        small = torch.matmul(down, torch.matmul(pixels, across.T))
        small.div_(255 * down.sum(1)[:, None] * across.sum(1))
        return small.index_select(2, rows).index_select(3, columns)


@cached_tensors(64)
def _boxes(size: int, smaller: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return, for a side of ``size`` pixels made ``smaller``: which pixels each new one sums up (smaller, size), ones
    and zeros, and which of the smaller picture stands at each pixel after enlarging (size,).
    """
    # Sums are written in PIL's order, so that a pixel on the edge of a box falls to the same side.
    scale = size / smaller
    centres = ((np.arange(smaller) + 0.5) * scale)[:, None]
    first = (centres - 0.5 * scale + 0.5).astype(np.int64)
    end = (centres + 0.5 * scale + 0.5).astype(np.int64)
    pixels = np.arange(size)
    gaps = (pixels - centres + 0.5) * (1 / scale)
    sums = ((gaps > -0.5) & (gaps <= 0.5) & (pixels >= first) & (pixels < end)).astype(np.float32)
    back = np.minimum(((np.arange(size) + 0.5) * (smaller / size)).astype(np.int64), smaller - 1)
    return torch.from_numpy(sums).to(device), torch.from_numpy(back).to(device)


class JpegCompression(Corruption):
    """Written as JPEG of quality ``level``, colours at half of the resolution (4:2:0), and read again.

    libjpeg's encoder and decoder, on the CPU for images on any device.
    """

    parameters: ClassVar = {
        "cifar": (80, 65, 58, 50, 40),
        "tiny": (65, 58, 50, 40, 25),
        "imagenet": (25, 18, 15, 10, 7),
    }
    strengths = (1, 100)
    random = False

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        pixels = eight_bit(images).to(torch.uint8).cpu()
        asked = [cv2.IMWRITE_JPEG_QUALITY, math.floor(level)]

        def through(image: torch.Tensor) -> torch.Tensor:
            # OpenCV's order of channels is blue, green, red.
            planes = np.ascontiguousarray(image.numpy()[::-1].transpose(1, 2, 0))
            data = cv2.imencode(".jpg", planes, asked)[1]
            return torch.from_numpy(cv2.imdecode(data, cv2.IMREAD_COLOR)).permute(2, 0, 1).flip(0)

        return torch.stack(map_in_threads(through, pixels)).to(images.device).float().div_(255)


PIXELATE, JPEG_COMPRESSION = Pixelate(), JpegCompression()
