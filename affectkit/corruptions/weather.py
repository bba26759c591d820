"""Fog, snow and spatter of the common-corruptions benchmark (Hendrycks and Dietterich, 2019, arXiv 1903.12261)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from affectkit.corruptions.base import Corruption, Drawn, Draws, in_threads
from affectkit.corruptions.filters import gaussian, motion, one_by_one
from affectkit.corruptions.plasma import count_for, plasma, size_for

LUMA = (0.299, 0.587, 0.114)
WATER, MUD = (175 / 255, 238 / 255, 238 / 255), (63 / 255, 42 / 255, 20 / 255)


class Fog(Corruption):
    """``(x + a p) m / (m + a)`` with p a plasma fractal, m the image's maximum and ``level`` (a, roughness decay)."""

    parameters: ClassVar = {
        "cifar": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
        "tiny": ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
        "imagenet": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    }

    def draw(self, images: torch.Tensor, level: tuple[float, float], draws: Draws) -> Drawn:
        return {"unit": draws.uniform(count_for(size_for(max(images.shape[2:]))))}

    def apply(
        self, images: torch.Tensor, level: tuple[float, float], drawn: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        amount, decay = level
        height, width = images.shape[2:]
        clouds = plasma(drawn["unit"], size_for(max(height, width)), decay)[:, None, :height, :width]
        most = images.amax((1, 2, 3), keepdim=True)
        return (images + amount * clouds) * most / (most + amount)


class Snow(Corruption):
    """A layer of flakes, drawn out by the wind, and its half turn, on a whitened image.

    ``level`` is (mean, deviation, zoom, threshold, blur radius, blur sigma, mix). Flakes are what is above the
    threshold of normal noise of that mean and deviation, enlarged by zoom about the centre; they are smeared at an angle uniform
    in [-135, -45] degrees. The image becomes mix x + (1 - mix) max(x, 1.5 gray + 0.5).
    """

    parameters: ClassVar = {
        "cifar": (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
        "tiny": (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.8), (0.1, 0.2, 1, 0.5, 10, 4, 0.8), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
        ),
        "imagenet": (
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7), (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65), (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
    }  # fmt: skip

    def draw(self, images: torch.Tensor, level: tuple[float, ...], draws: Draws) -> Drawn:
        # What the enlarged middle needs alone, of the layer that is as large as the image.
        sides = [math.ceil(side / level[2]) for side in images.shape[2:]]
        return {"layer": draws.normal(1, *sides), "angle": draws.uniform() * 90 - 135}

    def apply(self, images: torch.Tensor, level: tuple[float, ...], drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        mean, deviation, zoom, threshold, radius, sigma, mix = level
        layer = drawn["layer"] * deviation + mean
        if zoom != 1:
            layer = one_by_one(lambda one: _enlarged(one, zoom, images.shape[2:]), layer)
        layer = torch.where(layer < threshold, 0.0, layer).clamp(0, 1)
        layer = motion(layer, int(radius), sigma, drawn["angle"])
        gray = (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
        white = mix * images + (1 - mix) * torch.maximum(images, gray * 1.5 + 0.5)
        return white + layer + layer.flip(2, 3)


def _enlarged(layer: torch.Tensor, zoom: float, size: torch.Size) -> torch.Tensor:
    height, width = size
    sides = [max(round(side * zoom), whole) for side, whole in zip(layer.shape[2:], size, strict=True)]
    large = F.interpolate(layer, sides, mode="bilinear", align_corners=True)
    top, left = (sides[0] - height) // 2, (sides[1] - width) // 2
    return large[:, :, top : top + height, left : left + width]


class Spatter(Corruption):
    """Drops of water, or splashes of mud, where blurred normal noise is above a threshold.

    ``level`` is (mean, deviation, sigma, threshold, strength, mud). Water is pale turquoise, shaded by the distance
    from the edges of the drops; mud covers what is above the threshold.
    """

    parameters: ClassVar = {
        "cifar": (
            (0.62, 0.1, 0.7, 0.7, 0.5, 0), (0.65, 0.1, 0.8, 0.7, 0.5, 0), (0.65, 0.3, 1, 0.69, 0.5, 0),
            (0.65, 0.1, 0.7, 0.69, 0.6, 1), (0.65, 0.1, 0.5, 0.68, 0.6, 1),
        ),
        "tiny": (
            (0.62, 0.1, 0.7, 0.7, 0.6, 0), (0.65, 0.1, 0.8, 0.7, 0.6, 0), (0.65, 0.3, 1, 0.69, 0.6, 0),
            (0.65, 0.1, 0.7, 0.68, 0.6, 1), (0.65, 0.1, 0.5, 0.67, 0.6, 1),
        ),
        "imagenet": (
            (0.65, 0.3, 4, 0.69, 0.6, 0), (0.65, 0.3, 3, 0.68, 0.6, 0), (0.65, 0.3, 2, 0.68, 0.5, 0),
            (0.65, 0.3, 1, 0.65, 1.5, 1), (0.67, 0.4, 1, 0.65, 1.5, 1),
        ),
    }  # fmt: skip

    def draw(self, images: torch.Tensor, level: tuple[float, ...], draws: Draws) -> Drawn:
        return {"layer": draws.normal(1, *images.shape[2:])}

    def apply(self, images: torch.Tensor, level: tuple[float, ...], drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        mean, deviation, sigma, threshold, strength, mud = level
        liquid = gaussian(drawn["layer"] * deviation + mean, sigma)
        liquid = torch.where(liquid < threshold, 0.0, liquid)
        if mud:
            cover = gaussian((liquid > threshold).float(), strength)
            cover = torch.where(cover < 0.8, 0.0, cover)
            colour = images.new_tensor(MUD).view(1, 3, 1, 1)
            return images * (1 - cover) + colour * cover
        shade = _drops(liquid)
        return images + strength * shade * images.new_tensor(WATER).view(1, 3, 1, 1)


def _drops(liquid: torch.Tensor) -> torch.Tensor:
    """How bright water is: by the distance from the drops' edges up to 20 pixels, sharpened, times its amount."""
    pixels = liquid.cpu()[:, 0].numpy()
    shades = in_threads(_shade, pixels)
    shade = torch.from_numpy(np.stack(shades))[:, None].to(liquid.device) * liquid
    most = shade.amax((1, 2, 3), keepdim=True)
    return shade / torch.where(most > 0, most, 1.0)


def _shade(liquid: np.ndarray) -> np.ndarray:
    whole = np.clip(liquid * 255, 0, 255).astype(np.uint8)
    edges = 255 - cv2.Canny(whole, 50, 150)
    distance = cv2.distanceTransform(edges, cv2.DIST_L2, 5)
    distance = cv2.threshold(distance, 20, 20, cv2.THRESH_TRUNC)[1]
    near = cv2.blur(distance, (3, 3)).astype(np.uint8)
    near = cv2.equalizeHist(near)
    sharp = cv2.filter2D(near, cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32))
    return cv2.blur(sharp, (3, 3)).astype(np.float32)


FOG, SNOW, SPATTER = Fog(), Snow(), Spatter()
