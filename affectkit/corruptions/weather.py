"""Fog, snow, and drops on the lens (Hendrycks and Dietterich 2019, section 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import cv2
import numpy as np
import torch

from affectkit.corruptions.base import Corruption, Drawn, Draws, map_in_threads
from affectkit.corruptions.filters import gaussian_taps, motion_blur
from affectkit.corruptions.vca_study import LUMA

WIBBLE = 100.0
WATER, MUD = (175 / 255, 238 / 255, 238 / 255), (63 / 255, 42 / 255, 20 / 255)
"""Pale turquoise and brown, as red, green, blue."""


class Fog(Corruption):
    """A plasma fractal times ``amount`` added, and all scaled back to the picture's greatest value.

    ``level`` is (amount, decay of the plasma's roughness).
    """

    parameters: ClassVar = {
        "cifar": ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)),
        "tiny": ((0.4, 3.0), (0.7, 3.0), (1.0, 2.5), (1.5, 2.0), (2.0, 1.75)),
        "imagenet": ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),
    }

    def draw(self, images: torch.Tensor, level: tuple[float, float], draws: Draws) -> Drawn:
        height, width = images.shape[2:]
        size = 2 ** max(1, math.ceil(math.log2(max(height, width))))
        # A few at a time: more of them do not stay in the processor's cache.
        parts = [plasma_fractal(part, level[1]) for part in draws.uniform(size * size - 1).split(8)]
        field = torch.cat(parts)
        return {"plasma": field[:, None, :height, :width]}

    def apply(
        self, images: torch.Tensor, level: tuple[float, float], drawn: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        amount = level[0]
        top = images.amax((1, 2, 3), keepdim=True)
        return (images + drawn["plasma"] * amount).mul_(top / (top + amount))


def plasma_fractal(uniform: torch.Tensor, decay: float) -> torch.Tensor:
    """Draw plasma fractals by diamonds and squares on a torus (Fournier, Fussell and Carpenter 1982), from 0 to 1.

    Each halving of the step puts a point into the middle of every square and then of every diamond: the mean of its
    four corners and a number drawn from +- w^2, where w is 100 at first and divided by ``decay`` with each halving.
    (That w enters squared is how the benchmark's images were made: with decay 2 a step has a quarter of the
    variation of the one before, not half.)

    Args:
        uniform: (B, S * S - 1) numbers in [0, 1), S a power of two from 2.
        decay: above 0.

    Returns:
        (B, S, S), each stretched to [0, 1].
    """
    count, given = uniform.shape
    size = math.isqrt(given + 1)
    noise = uniform * 2 - 1
    corners = uniform.new_zeros(count, 1, 1)
    wibble, used = WIBBLE, 0
    while corners.shape[1] < size:
        here = corners.shape[1]
        parts = noise[:, used : used + 3 * here * here].view(count, 3, here, here)
        used += 3 * here * here
        swing = wibble * wibble
        finer = uniform.new_empty(count, 2 * here, 2 * here)
        pairs = corners + corners.roll(-1, 1)
        centres = (pairs + pairs.roll(-1, 2)).div_(4).add_(parts[:, 0] * swing)
        # The middle of an edge between two corners of a row has a centre above and one below, and so for columns.
        across = (corners + corners.roll(-1, 2)).add_(centres).add_(centres.roll(1, 1))
        down = (corners + corners.roll(-1, 1)).add_(centres).add_(centres.roll(1, 2))
        finer[:, ::2, ::2] = corners
        finer[:, 1::2, 1::2] = centres
        finer[:, ::2, 1::2] = across.div_(4).add_(parts[:, 1] * swing)
        finer[:, 1::2, ::2] = down.div_(4).add_(parts[:, 2] * swing)
        corners, wibble = finer, wibble / decay
    low, high = corners.amin((1, 2), keepdim=True), corners.amax((1, 2), keepdim=True)
    return (corners - low).div_((high - low).clamp_(min=1e-12))


class Snow(Corruption):
    """Flakes: what is above a threshold in a layer of normal noise, enlarged, and smeared as by falling.

    The layer is added as it is and turned by 180 degrees, over a picture drawn towards white. ``level`` is (mean and
    standard deviation of the noise, enlargement, threshold, radius and sigma of the smear, weight of the picture).
    """

    parameters: ClassVar = {
        "cifar": (
            (0.1, 0.2, 1.0, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1.0, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
        "tiny": (
            (0.1, 0.2, 1.0, 0.6, 8, 3, 0.8),
            (0.1, 0.2, 1.0, 0.5, 10, 4, 0.8),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
        ),
        "imagenet": (
            (0.1, 0.3, 3.0, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2.0, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4.0, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
    }

    def draw(self, images: torch.Tensor, level: tuple[float, ...], draws: Draws) -> Drawn:
        sides = [math.ceil(side / level[2]) for side in images.shape[2:]]
        return {"noise": draws.normal(*sides), "angle": draws.uniform() * 90 - 135}

    def apply(self, images: torch.Tensor, level: tuple[float, ...], drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        threshold, radius, sigma, weight = level[3], int(level[4]), level[5], level[6]
        layer = self.flakes(images.shape[2:], level, drawn["noise"])
        layer = torch.where(layer < threshold, 0.0, layer.clamp(max=1)).mul_(255).floor_().div_(255)
        fallen = motion_blur(layer[:, None], radius, sigma, drawn["angle"])
        red, green, blue = images.unbind(1)
        gray = (red * LUMA[0] + green * LUMA[1] + blue * LUMA[2])[:, None]
        white = torch.maximum(images, gray.mul_(1.5).add_(0.5)).mul_(1 - weight)
        return white.add_(images * weight).add_(fallen).add_(fallen.flip(2, 3))

    @staticmethod
    def flakes(size: torch.Size, level: tuple[float, ...], noise: torch.Tensor) -> torch.Tensor:
        """Return the layer before its threshold (B, H, W): noise (B, h, w) of the level's mean, enlarged about its
        centre.
        """
        layer = noise * level[1] + level[0]
        for axis, wanted in enumerate(size, start=1):
            below, above, share = (value.to(noise.device) for value in _stretch(layer.shape[axis], level[2], wanted))
            share = share.view([-1 if k == axis else 1 for k in range(3)])
            # Weighted apart: a product and sum in one step would round otherwise in some places than in others.
            low = layer.index_select(axis, below) * (1 - share)
            layer = low.add_(layer.index_select(axis, above).mul_(share))
        return layer


def _stretch(count: int, zoom: float, wanted: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return how ``count`` points are enlarged, ends onto ends, and the middle ``wanted`` kept: left and right
    neighbour of each place (``wanted``,), and the share of the right one; as ``scipy.ndimage.zoom`` of order 1.
    """
    longer = round(count * zoom)
    places = (np.arange(wanted) + (longer - wanted) // 2) * ((count - 1) / max(longer - 1, 1))
    below = np.minimum(places.astype(np.int64), max(count - 2, 0))
    above = np.minimum(below + 1, count - 1)
    return torch.from_numpy(below), torch.from_numpy(above), torch.from_numpy((places - below).astype(np.float32))


class Spatter(Corruption):
    """Drops on the lens, where blurred normal noise is above a threshold: bright water, or brown mud.

    ``level`` is (mean and standard deviation of the noise, sigma of its blur, threshold, strength, 1 for mud). The
    strength is the greatest weight of water, and the sigma by which the edge of mud is smoothed.
    """

    parameters: ClassVar = {
        "cifar": (
            (0.62, 0.1, 0.7, 0.7, 0.5, 0),
            (0.65, 0.1, 0.8, 0.7, 0.5, 0),
            (0.65, 0.3, 1.0, 0.69, 0.5, 0),
            (0.65, 0.1, 0.7, 0.69, 0.6, 1),
            (0.65, 0.1, 0.5, 0.68, 0.6, 1),
        ),
        "tiny": (
            (0.62, 0.1, 0.7, 0.7, 0.6, 0),
            (0.65, 0.1, 0.8, 0.7, 0.6, 0),
            (0.65, 0.3, 1.0, 0.69, 0.6, 0),
            (0.65, 0.1, 0.7, 0.68, 0.6, 1),
            (0.65, 0.1, 0.5, 0.67, 0.6, 1),
        ),
        "imagenet": (
            (0.65, 0.3, 4.0, 0.69, 0.6, 0),
            (0.65, 0.3, 3.0, 0.68, 0.6, 0),
            (0.65, 0.3, 2.0, 0.68, 0.5, 0),
            (0.65, 0.3, 1.0, 0.65, 1.5, 1),
            (0.67, 0.4, 1.0, 0.65, 1.5, 1),
        ),
    }

    def draw(self, images: torch.Tensor, level: tuple[float, ...], draws: Draws) -> Drawn:
        return {"noise": draws.normal(*images.shape[2:])}

    def apply(self, images: torch.Tensor, level: tuple[float, ...], drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        noise = drawn["noise"].cpu().numpy()
        made = map_in_threads(lambda field: _mud(field, level) if level[5] else _water(field, level), noise)
        share = torch.from_numpy(np.stack(made))[:, None].to(images.device)
        colour = images.new_tensor(MUD if level[5] else WATER).view(1, 3, 1, 1) * share
        # Mud hides what is behind it; water adds its gleam.
        return colour.add_(images * (1 - share) if level[5] else images)


def _blurred(field: np.ndarray, sigma: float) -> np.ndarray:
    """Return ``field`` (H, W) blurred by a Gaussian cut off at 4 sigma, the border repeated."""
    taps = np.array(gaussian_taps(sigma), np.float32)
    return cv2.sepFilter2D(field, -1, taps, taps, borderType=cv2.BORDER_REPLICATE)


def _liquid(noise: np.ndarray, level: tuple[float, ...]) -> np.ndarray:
    """Return where there is liquid, and how much: the blurred noise of the level where it reaches the threshold, else
    0.
    """
    field = _blurred(noise * np.float32(level[1]) + np.float32(level[0]), level[2])
    return np.where(field < level[3], np.float32(0), field)


def _mud(noise: np.ndarray, level: tuple[float, ...]) -> np.ndarray:
    """Return how much mud lies on each pixel (H, W): 0, or at least 0.8 within drops whose edges are smoothed."""
    share = _blurred((_liquid(noise, level) > level[3]).astype(np.float32), level[4])
    return np.where(share < 0.8, np.float32(0), share)


def _water(noise: np.ndarray, level: tuple[float, ...]) -> np.ndarray:
    """Return how much water gleams on each pixel (H, W), at most the level's strength.

    Distances from the drops' edges, up to 20 pixels, are equalised and lit from one side by a small relief filter;
    drops are where there is liquid, as bright as that relief.
    """
    liquid = (_liquid(noise, level).clip(0, 1) * 255).astype(np.uint8)
    edges = cv2.Canny(liquid, 50, 150)
    # With no edge anywhere every pixel is far from one.
    far = np.full(edges.shape, 20, np.float32)
    distance = cv2.distanceTransform(255 - edges, cv2.DIST_L2, 5).clip(max=20) if edges.any() else far
    levelled = cv2.equalizeHist(cv2.blur(distance, (3, 3)).astype(np.uint8))
    relief = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)
    lit = cv2.blur(cv2.filter2D(levelled, cv2.CV_8U, relief), (3, 3)).astype(np.float32)
    gleam = liquid * lit
    return gleam * np.float32(level[4] / max(float(gleam.max()), 1.0))


FOG, SNOW, SPATTER = Fog(), Snow(), Spatter()
