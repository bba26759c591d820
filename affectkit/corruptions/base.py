"""Interface of every corruption, and its application to a batch."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from affectkit.core.randomness import numpy_generator, torch_generator
from affectkit.corruptions.registry import CORRUPTIONS, SCALES, SEVERITIES
from affectkit.errors import UsageError

Drawn = dict[str, torch.Tensor]
Item, Made = TypeVar("Item"), TypeVar("Made")


SMALL = 20_000
"""Numbers of an item below which handing it to a thread costs more than it gains: about 80 x 80 pixels."""


def map_in_threads(make: Callable[[Item], Made], items: Iterable[Item], *, numbers: int = SMALL) -> list[Made]:
    """Return ``make`` of each item, in order, on as many threads as torch has: for work that releases the GIL.

    Args:
        numbers: about how many there are to an item; few are worked on here, without threads.
    """
    items = list(items)
    threads = min(torch.get_num_threads(), len(items))
    if threads < 2 or numbers < SMALL:
        return [make(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(make, items))


class Draws:
    """Random numbers for a batch, a stream for each image: no image's depend on the others.

    Every method continues the streams and returns a tensor (B, *shape) on ``device``. On the CPU the numbers are
    NumPy's; on other devices they are drawn there, from streams of the same addresses: equal in distribution.

    Args:
        addresses: what identifies each image's stream.
        device: where the numbers are wanted.
    """

    def __init__(self, addresses: Sequence[tuple[Any, ...]], device: torch.device) -> None:
        self.device = device
        self._numpy: list[np.random.Generator] = []
        self._torch: list[torch.Generator] = []
        if device.type == "cpu":
            self._numpy = [numpy_generator(*one) for one in addresses]
        else:
            self._torch = [torch_generator(*one, device=device) for one in addresses]

    def normal(self, *shape: int) -> torch.Tensor:
        """Draw standard normal numbers, float32."""
        return self._drawn(
            shape,
            lambda rng: rng.standard_normal(shape, dtype=np.float32),
            lambda rng: torch.randn(shape, generator=rng, device=self.device),
        )

    def uniform(self, *shape: int) -> torch.Tensor:
        """Draw uniform numbers in [0, 1), float32."""
        return self._drawn(
            shape,
            lambda rng: rng.random(shape, dtype=np.float32),
            lambda rng: torch.rand(shape, generator=rng, device=self.device),
        )

    def integers(self, low: int, high: int, *shape: int) -> torch.Tensor:
        """Draw uniform whole numbers in [low, high), int64."""
        return self._drawn(
            shape,
            lambda rng: rng.integers(low, high, shape),
            lambda rng: torch.randint(low, high, shape, generator=rng, device=self.device),
        )

    def poisson(self, rates: torch.Tensor) -> torch.Tensor:
        """Draw Poisson numbers of the ``rates`` (B, ...), float32."""
        if self._torch:
            pairs = zip(self._torch, rates, strict=True)
            return torch.stack([torch.poisson(rate.float(), generator=rng) for rng, rate in pairs])
        pairs = zip(self._numpy, rates.double().numpy(), strict=True)
        numbers = rates[0].numel()
        made = map_in_threads(lambda pair: pair[0].poisson(pair[1]).astype(np.float32), pairs, numbers=numbers)
        return torch.from_numpy(np.stack(made))

    def _drawn(
        self,
        shape: tuple[int, ...],
        of_numpy: Callable[[np.random.Generator], Any],
        of_torch: Callable[[torch.Generator], torch.Tensor],
    ) -> torch.Tensor:
        if self._torch:
            return torch.stack([of_torch(rng) for rng in self._torch])
        return torch.from_numpy(np.stack(map_in_threads(of_numpy, self._numpy, numbers=math.prod(shape))))


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
        """Return the parameters at a severity."""
        return self.parameters[scale if scale in self.parameters else "any"][severity - 1]

    def draw(self, images: torch.Tensor, level: Any, draws: Draws) -> Drawn:
        """Draw the random values for each of ``images`` (B, 3, H, W), by name: tensors (B, ...)."""
        return {}

    @abstractmethod
    def apply(self, images: torch.Tensor, level: Any, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the changed images (B, 3, H, W); ``drawn`` has what was drawn for each, (B, ...), on their device."""


def severity_scale(size: Sequence[int]) -> str:
    """Return the parameter column for images of ``size`` (height, width), by the shorter side."""
    side = min(size)
    return "cifar" if side <= 48 else "tiny" if side <= 128 else "imagenet"


def content_hash(image: torch.Tensor) -> str:
    """Hash an image (3, H, W) in [0, 1] as 8-bit pixels, so that number formats and devices do not matter."""
    pixels = image.detach().float().mul(255).round().to(torch.uint8).cpu().contiguous().numpy()
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(pixels)
    return digest.hexdigest()


def corrupt(
    images: torch.Tensor,
    name: str,
    *,
    severity: int,
    scale: str,
    seed: int,
    strength: float | None = None,
    contents: Sequence[str] | None = None,
    textures: Path | None = None,
) -> torch.Tensor:
    """Corrupt images as ``affectkit.corruptions.corrupt`` does; ``contents`` are the images' ``content_hash``, where
    they are known.
    """
    if not isinstance(name, str):
        raise UsageError(f"'name' must be the name of one corruption; got {name!r}.")
    CORRUPTIONS.check(name)
    corruption: Corruption = CORRUPTIONS.resolve(name)
    if textures is not None and name == "frost":
        corruption = corruption.with_textures(Path(textures))  # type: ignore[attr-defined]
    check_images(images)
    if severity not in SEVERITIES or isinstance(severity, bool | float):
        raise UsageError(f"'severity' must be a whole number in [1, 5]; got {severity!r}.")
    if scale not in SCALES:
        raise UsageError(f"'scale' must be one of {', '.join(SCALES)}; got {scale!r}.")
    if strength is not None:
        check_strength(corruption, name, strength)
    if not len(images):
        return images.clone()
    level = (
        corruption.level(severity, severity_scale(images.shape[2:]) if scale == "auto" else scale)
        if strength is None
        else strength
    )
    drawn: Drawn = {}
    if corruption.random:
        strength_or_severity = f"={strength!r}" if strength is not None else severity
        contents = map_in_threads(content_hash, images, numbers=images[0].numel()) if contents is None else contents
        addresses = [(seed, "corruption", content, name, strength_or_severity) for content in contents]
        drawn = corruption.draw(images, level, Draws(addresses, images.device))
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


def check_strength(corruption: Corruption, name: str, strength: float) -> None:
    """Raise a UsageError unless ``strength`` is a number that the corruption called ``name`` can have."""
    if corruption.strengths is None:
        raise UsageError(f"{name} has no single strength; choose a severity, as {name}:3.")
    low, high = corruption.strengths
    if not isinstance(strength, int | float) or isinstance(strength, bool):
        raise UsageError(f"the strength of {name} must be a number in [{low:g}, {high:g}]; got {strength!r}.")
    if not low <= strength <= high:
        raise UsageError(f"the strength of {name} must be in [{low:g}, {high:g}]; got {strength:g}.")
