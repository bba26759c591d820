"""Frost of the common-corruptions benchmark (Hendrycks and Dietterich, 2019, arXiv 1903.12261).

The benchmark lays crops of photographs of iced windows over the images. Those are somebody's, so the textures here are
computed, which is a deviation; ``textures`` takes a folder of photographs in their place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from affectkit.core.cached import cached_tensors
from affectkit.core.randomness import numpy_generator
from affectkit.corruptions.base import Corruption, Drawn, Draws
from affectkit.corruptions.weather import plasma_fractal
from affectkit.errors import DataError

PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".webp")
SIDE, COUNT = 512, 4
"""Of the textures that are computed."""


class Frost(Corruption):
    """``a x + b t``, t a random crop of a texture of ice, mirrored at random; ``level`` is (a, b)."""

    parameters: ClassVar = {
        "cifar": ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
        "tiny": ((1, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
        "imagenet": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
    }

    def __init__(self, textures: Path | None = None) -> None:
        self.textures = textures

    def with_textures(self, folder: Path) -> Frost:
        """Return the same with the photographs in ``folder``."""
        return Frost(folder)

    def draw(self, images: torch.Tensor, level: tuple[float, float], draws: Draws) -> Drawn:
        return {"unit": draws.uniform(4)}

    def apply(
        self, images: torch.Tensor, level: tuple[float, float], drawn: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        size = (images.shape[2], images.shape[3])
        known = _computed() if self.textures is None else _photographs(self.textures)
        crops = [_crop(known, size, unit) for unit in drawn["unit"].cpu().tolist()]
        return level[0] * images + level[1] * torch.stack(crops).to(images.device)


def _crop(known: tuple[torch.Tensor, ...], size: tuple[int, int], unit: list[float]) -> torch.Tensor:
    texture = known[int(unit[0] * len(known))]
    height, width = size
    # As large as an image of 224 pixels sees it, so that crystals keep their proportion to the image.
    scale = max(height / texture.shape[1], width / texture.shape[2], min(size) / 224 if min(size) > 224 else 0)
    if scale > 1:
        sides = [max(math.ceil(side * scale), whole) for side, whole in zip(texture.shape[1:], size, strict=True)]
        texture = F.interpolate(texture[None], sides, mode="bilinear", align_corners=False)[0]
    top = int(unit[1] * (texture.shape[1] - height + 1))
    left = int(unit[2] * (texture.shape[2] - width + 1))
    part = texture[:, top : top + height, left : left + width]
    return part.flip(2) if unit[3] < 0.5 else part


@cached_tensors(4)
def _photographs(folder: Path) -> tuple[torch.Tensor, ...]:
    if not folder.is_dir():
        raise DataError(f"frost textures: {folder} is not a folder.", "Name a folder with photographs of frost.")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTOGRAPHS)
    if not files:
        raise DataError(f"frost textures: {folder} holds no image.", "Name a folder with photographs of frost.")
    return tuple(_photograph(path) for path in files)


def _photograph(path: Path) -> torch.Tensor:
    try:
        with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as image:
            pixels = np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"frost textures: {path} cannot be read: {error}.", "Mend it, or take it out.") from error
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


@cached_tensors(1)
def _computed() -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(ice_texture(number)) for number in range(COUNT))


def ice_texture(number: int) -> np.ndarray:
    """Return a texture of ice (3, SIDE, SIDE), float32 in [0, 1]: feathery crystals on a bluish haze, thicker at one
    side.
    """
    rng = numpy_generator(0, "frost", number)
    haze = plasma_fractal(torch.from_numpy(rng.random((1, SIDE * SIDE - 1), dtype=np.float32)), 1.35)[0].numpy()
    fine = plasma_fractal(torch.from_numpy(rng.random((1, SIDE * SIDE - 1), dtype=np.float32)), 1.12)[0].numpy()
    ice = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(60):
        _feather(ice, rng, haze)
    soft = cv2.GaussianBlur(ice, (0, 0), 2.5)
    slope = np.linspace(-0.12, 0.12, SIDE, dtype=np.float32)[:: rng.choice([-1, 1])]
    bright = 0.12 + 0.5 * haze * (0.5 + fine) + 0.45 * ice + 0.5 * soft + slope
    bright = np.clip(bright, 0, 1)[None]
    tint = np.array([0.84, 0.93, 1.0], np.float32)[:, None, None]
    return (bright * (tint + (1 - tint) * bright)).astype(np.float32)


def _feather(ice: np.ndarray, rng: np.random.Generator, haze: np.ndarray) -> None:
    """Draw a crystal: a bent stem, and barbs on both sides with barbs of their own; ``haze`` says how bright it is."""
    canvas = np.zeros_like(ice)
    x, y = rng.uniform(0, SIDE, 2)
    bright = 0.35 + 0.65 * float(haze[int(y), int(x)])
    stems = [(x, y, rng.uniform(0, 2 * math.pi), rng.uniform(50, 200), 2)]
    spread = rng.uniform(0.45, 0.8)
    while stems:
        x, y, angle, length, depth = stems.pop()
        bend, steps = rng.normal(0, 0.03), max(int(length / 4), 2)
        for step in range(steps):
            ahead = x + 4 * math.cos(angle), y + 4 * math.sin(angle)
            strength = bright * float(rng.uniform(0.3, 1)) * (1 - 0.7 * step / steps) * (1, 0.8, 0.9)[depth]
            ends = [(round(8 * a), round(8 * b)) for a, b in ((x, y), ahead)]
            cv2.line(canvas, *ends, strength, 1, cv2.LINE_AA, 3)
            if depth and rng.random() < 0.8:
                rest = length * (1 - step / steps) ** 0.8
                for side in (-1, 1):
                    turn = angle + side * (spread + rng.normal(0, 0.2))
                    stems.append((*ahead, turn, rest * rng.uniform(0.12, 0.35), depth - 1))
            (x, y), angle = ahead, angle + bend + rng.normal(0, 0.04)
    np.maximum(ice, canvas, out=ice)


FROST = Frost()
