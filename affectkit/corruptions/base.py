"""What every corruption offers, and how one is applied to a batch."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from affectkit.core.randomness import numpy_generator
from affectkit.corruptions import CORRUPTIONS, SCALES, SEVERITIES
from affectkit.errors import UsageError

Drawn = dict[str, Any]


class Corruption(ABC):
    """A change of images at five severities.

    Attributes:
        parameters: what each severity stands for, by scale; one entry ``"any"`` where image size does not matter.
        strengths: the least and the greatest ``strength`` that may be named; None where no single number does it.
    """

    parameters: ClassVar[Mapping[str, Sequence[Any]]]
    strengths: ClassVar[tuple[float, float] | None] = None
    random: ClassVar[bool] = True
    """Whether anything is drawn."""

    def level(self, severity: int, scale: str) -> Any:
        """The parameters at a severity."""
        return self.parameters[scale if scale in self.parameters else "any"][severity - 1]

    def draw(self, size: tuple[int, int], level: Any, rng: np.random.Generator) -> Drawn:
        """What is random of one image of ``size`` (height, width): numbers, or float32 arrays, by name."""
        return {}

    @abstractmethod
    def apply(self, images: torch.Tensor, level: Any, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The changed images (B, 3, H, W); ``drawn`` has what was drawn for each, (B, ...), on their device."""


def scale_of(size: Sequence[int]) -> str:
    """The parameter column for images of ``size`` (height, width), by the shorter side."""
    side = min(size)
    return "cifar" if side <= 48 else "tiny" if side <= 128 else "imagenet"


def content_of(image: torch.Tensor) -> str:
    """A hash of an image (3, H, W) in [0, 1] as 8-bit pixels, so that number formats and devices do not matter."""
    pixels = image.detach().float().mul(255).round().to(torch.uint8).cpu().contiguous().numpy()
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(pixels)
    return digest.hexdigest()


def corrupt(
    images: torch.Tensor, name: str, *, severity: int, scale: str, seed: int, strength: float | None
) -> torch.Tensor:
    """See ``affectkit.corruptions.corrupt``."""
    if not isinstance(name, str):
        raise UsageError(f"'name' must be the name of one corruption; got {name!r}.")
    CORRUPTIONS.check(name)
    corruption: Corruption = CORRUPTIONS.resolve(name)
    check_images(images)
    if severity not in SEVERITIES or isinstance(severity, bool | float):
        raise UsageError(f"'severity' must be a whole number in [1, 5]; got {severity!r}.")
    if scale not in SCALES:
        raise UsageError(f"'scale' must be one of {', '.join(SCALES)}; got {scale!r}.")
    if strength is not None:
        _check_strength(corruption, name, strength)
    if not len(images):
        return images.clone()
    size = (images.shape[2], images.shape[3])
    level = corruption.level(severity, scale_of(size) if scale == "auto" else scale) if strength is None else strength
    drawn: dict[str, torch.Tensor] = {}
    if corruption.random:
        told = f"={strength!r}" if strength is not None else severity
        each = [
            corruption.draw(size, level, numpy_generator(seed, "corruption", content_of(image), name, told))
            for image in images
        ]
        drawn = {
            key: torch.from_numpy(np.stack([np.asarray(one[key]) for one in each])).to(images.device) for key in each[0]
        }
    return corruption.apply(images.float(), level, drawn).clamp(0, 1).to(images.dtype)


def check_images(images: torch.Tensor) -> None:
    """Raise a UsageError unless ``images`` are (B, 3, H, W) floating-point numbers in [0, 1]."""
    if not isinstance(images, torch.Tensor) or images.dim() != 4 or images.shape[1] != 3:
        shape = tuple(images.shape) if isinstance(images, torch.Tensor) else type(images).__name__
        raise UsageError(f"'images' must be a tensor (B, 3, H, W); got {shape}.")
    if not images.is_floating_point():
        raise UsageError(f"'images' must be floating-point numbers in [0, 1]; got {images.dtype}.", "Divide by 255.")
    if not (images.shape[2] and images.shape[3]):
        raise UsageError(f"'images' must have pixels; got {tuple(images.shape)}.")
    if len(images):
        low, high = (float(value) for value in torch.aminmax(images.detach()))
        if not (low >= 0 and high <= 1):
            raise UsageError(f"'images' must be in [0, 1]; got values from {low:g} to {high:g}.")


def _check_strength(corruption: Corruption, name: str, strength: float) -> None:
    if corruption.strengths is None:
        raise UsageError(f"{name} has no single strength; choose a severity, as {name}:3.")
    low, high = corruption.strengths
    if not isinstance(strength, int | float) or isinstance(strength, bool):
        raise UsageError(f"the strength of {name} must be a number in [{low:g}, {high:g}]; got {strength!r}.")
    if not low <= strength <= high:
        raise UsageError(f"the strength of {name} must be in [{low:g}, {high:g}]; got {strength:g}.")
