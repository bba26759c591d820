"""Four kinds of noise of the common-corruptions benchmark (Hendrycks and Dietterich, 2019, arXiv 1903.12261)."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch

from affectkit.corruptions.base import Corruption, Drawn, Draws, map_in_threads

MOST_LISTED = 1000
"""Up to this many photons of white, the distributions are kept as tables."""


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
        return drawn["noise"].mul(level).add_(images)


class SpeckleNoise(GaussianNoise):
    """``x + x level n``, n standard normal: noise that grows with the value."""

    parameters: ClassVar = {
        "cifar": (0.06, 0.1, 0.12, 0.16, 0.2),
        "tiny": (0.15, 0.2, 0.25, 0.3, 0.35),
        "imagenet": (0.15, 0.2, 0.35, 0.45, 0.6),
    }

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return drawn["noise"].mul(level).mul_(images).add_(images)


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
        if images.device.type != "cpu" or level > MOST_LISTED:
            return {"photons": draws.poisson(_rounded(images) * level)}
        values = images.float().mul(255).round_().to(torch.uint8).contiguous().numpy()
        unit = draws.uniform(*images.shape[1:]).numpy()
        pairs = zip(values, unit, strict=True)
        made = map_in_threads(lambda pair: poisson_from_uniform(*pair, level=level), pairs, numbers=unit[0].size)
        return {"photons": torch.from_numpy(np.stack(made))}

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return (images - _rounded(images)).add_(drawn["photons"] / level)


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
        return images.masked_fill(unit < level / 2, 0.0).masked_fill_(unit >= 1 - level / 2, 1.0)


def _rounded(images: torch.Tensor) -> torch.Tensor:
    return images.float().mul(255).round_().div_(255)


def poisson_from_uniform(values: np.ndarray, unit: np.ndarray, *, level: float) -> np.ndarray:
    """Return Poisson numbers, float32, of the rates ``values`` / 255 x ``level``, by inversion of the distribution
    function.

    Several times faster than drawing each, since there are but 256 rates.

    Args:
        values: 8-bit numbers.
        unit: uniform numbers in [0, 1), as many.
    """
    shares, starts = _distributions(level)
    most, bins = shares.shape[1], starts.shape[1]
    shape = values.shape
    # 0 stands for what is below 2^-24: taken as it is, it would put a black value into a bright picture.
    values, unit = values.astype(np.intp).ravel(), np.maximum(unit.ravel(), np.float32(2**-25))
    found = starts.ravel().take(values * bins + (unit * np.float32(bins)).astype(np.intp))
    first = values * most
    shares = shares.ravel()
    behind = np.flatnonzero(shares.take(first + found) <= unit)
    while behind.size:
        found[behind] += 1
        behind = behind[shares.take(first[behind] + found[behind]) <= unit[behind]]
    return found.astype(np.float32).reshape(shape)


@functools.lru_cache(maxsize=16)
def _distributions(level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each of 256 rates, the share of numbers up to 0, 1, ..., and where to start the search for a uniform
    number.

    Uniform numbers are multiples of 2^-24, so what is rarer than that is left out.
    """
    most = int(level + 7 * level**0.5 + 30)
    rates = np.arange(256)[:, None] / 255 * level
    counts = np.arange(most)
    factorials = np.array([math.lgamma(count + 1) for count in counts])
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = counts * np.log(rates) - rates - factorials
    logs[0] = np.where(counts == 0, 0.0, -np.inf)  # no light, no photon
    shares = np.exp(logs).cumsum(1).astype(np.float32)
    shares[:, -1] = 2.0
    edges = np.arange(1024, dtype=np.float32) / 1024
    return shares, np.stack([np.searchsorted(line, edges, side="right") for line in shares]).astype(np.int32)


GAUSSIAN_NOISE, SHOT_NOISE, IMPULSE_NOISE, SPECKLE_NOISE = GaussianNoise(), ShotNoise(), ImpulseNoise(), SpeckleNoise()
