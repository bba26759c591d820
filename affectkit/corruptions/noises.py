"""Four kinds of noise of the common-corruptions benchmark (Hendrycks and Dietterich, 2019, arXiv 1903.12261)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch

from affectkit.corruptions.base import Corruption, Drawn, Draws


class GaussianNoise(Corruption):
    """``x + level n``, n standard normal, independent in each value."""

    parameters: ClassVar = {
        "cifar": (0.04, 0.06, 0.08, 0.09, 0.10),
        "tiny": (0.04, 0.08, 0.12, 0.15, 0.18),
        "imagenet": (0.08, 0.12, 0.18, 0.26, 0.38),
    }
    strengths = (0.0, 1.0)

    def draw(self, images: torch.Tensor, level: float, draws: Draws) -> Drawn:
        return {"noise": draws.normal(*images.shape[1:])}

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return images + level * drawn["noise"]


class SpeckleNoise(GaussianNoise):
    """``x + x level n``, n standard normal: noise that grows with the value."""

    parameters: ClassVar = {
        "cifar": (0.06, 0.1, 0.12, 0.16, 0.2),
        "tiny": (0.15, 0.2, 0.25, 0.3, 0.35),
        "imagenet": (0.15, 0.2, 0.35, 0.45, 0.6),
    }

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return images + images * (level * drawn["noise"])


class ShotNoise(Corruption):
    """``P(level x) / level``, P a Poisson number: x as a rate of photons, of which ``level`` make white.

    The rate is that of the nearest of 256 values, as in an image file, and what was rounded away is added again, so
    that a number format of fewer digits counts the same photons.
    """

    parameters: ClassVar = {
        "cifar": (500, 250, 100, 75, 50),
        "tiny": (250, 100, 50, 30, 15),
        "imagenet": (60, 25, 12, 5, 3),
    }
    strengths = (1.0, 1e6)

    def draw(self, images: torch.Tensor, level: float, draws: Draws) -> Drawn:
        return {"photons": draws.poisson(_rounded(images) * level)}

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return drawn["photons"] / level + (images - _rounded(images))


class ImpulseNoise(Corruption):
    """Salt and pepper: a share ``level`` of the values becomes 0 or 1, each half of the time."""

    parameters: ClassVar = {
        "cifar": (0.01, 0.02, 0.03, 0.05, 0.07),
        "tiny": (0.01, 0.02, 0.05, 0.08, 0.14),
        "imagenet": (0.03, 0.06, 0.09, 0.17, 0.27),
    }
    strengths = (0.0, 1.0)

    def draw(self, images: torch.Tensor, level: float, draws: Draws) -> Drawn:
        return {"unit": draws.uniform(*images.shape[1:])}

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        unit = drawn["unit"]
        return torch.where(unit < level / 2, 0.0, torch.where(unit >= 1 - level / 2, 1.0, images))


def _rounded(images: torch.Tensor) -> torch.Tensor:
    return images.float().mul(255).round_().div_(255)


GAUSSIAN_NOISE, SHOT_NOISE, IMPULSE_NOISE, SPECKLE_NOISE = GaussianNoise(), ShotNoise(), ImpulseNoise(), SpeckleNoise()
