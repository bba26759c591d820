"""The test-time alterations of the VCA study (bioRxiv 2025.10.20.683439) at five severities.

| severity                       | 1     | 2     | 3    | 4    | 5    |
| ------------------------------ | ----- | ----- | ---- | ---- | ---- |
| noise: variance, on [0, 1]     | 0.002 | 0.005 | 0.01 | 0.02 | 0.05 |
| color: hue, share of a circle  | 0.05  | 0.1   | 0.2  | 0.35 | 0.5  |
| lighting: gain                 | 1.1   | 1.2   | 1.3  | 1.5  | 2    |
| grayscale: share of the colour taken out | 0.2 | 0.5 | 1 | 1  | 1    |

Severity 3 is the study's where it names a number (lighting 1.3, gray altogether); the others are ours. The study's
noise was cast to whole numbers without a sign, which made its negative half bright specks: here it has both signs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch

from affectkit.corruptions.base import Corruption, Drawn, Draws

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""


def luma(images: torch.Tensor) -> torch.Tensor:
    """Return (B, 1, H, W) of colour images (B, 3, H, W)."""
    return (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


class Noise(Corruption):
    """Gaussian noise of variance ``level``, independent in each value."""

    parameters: ClassVar = {"any": (0.002, 0.005, 0.01, 0.02, 0.05)}
    strengths = (0.0, 1.0)

    def draw(self, images: torch.Tensor, level: float, draws: Draws) -> Drawn:
        return {"noise": draws.normal(*images.shape[1:])}

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return images + level**0.5 * drawn["noise"]


class Color(Corruption):
    """Hue turned by ``level`` of the circle in HSV, saturation and value kept; gray stays gray."""

    parameters: ClassVar = {"any": (0.05, 0.1, 0.2, 0.35, 0.5)}
    strengths = (-1.0, 1.0)
    random = False

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        red, green, blue = images.unbind(1)
        value, low = images.amax(1), images.amin(1)
        chroma = value - low
        safe = torch.where(chroma > 0, chroma, 1.0)
        # The sector of the hexagon that the greatest channel opens, in sixths of the circle.
        hue = torch.where(
            value == red,
            (green - blue) / safe,
            torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
        )
        turned = hue + 6 * level
        # Each channel is a trapezoid over the hue: at its top within a sixth of its own colour, at its foot beyond two.
        found = [value - chroma * (_apart(turned, place) - 1).clamp(0, 1) for place in (0.0, 2.0, 4.0)]
        return torch.stack(found, 1)


def _apart(hue: torch.Tensor, place: float) -> torch.Tensor:
    """Return how far ``hue`` is from ``place`` on the circle of 6, in [0, 3]."""
    return 3 - ((hue - place).remainder(6) - 3).abs()


class Lighting(Corruption):
    """Values times ``level``, saturating."""

    parameters: ClassVar = {"any": (1.1, 1.2, 1.3, 1.5, 2.0)}
    strengths = (0.0, 100.0)
    random = False

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return images * level


class Grayscale(Corruption):
    """A share ``level`` of the way from the colours to their luma, which stands in all three channels."""

    parameters: ClassVar = {"any": (0.2, 0.5, 1.0, 1.0, 1.0)}
    strengths = (0.0, 1.0)
    random = False

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return images.lerp(luma(images).expand_as(images), level)


NOISE, COLOR, LIGHTING, GRAYSCALE = Noise(), Color(), Lighting(), Grayscale()
