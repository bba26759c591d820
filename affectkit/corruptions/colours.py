"""Contrast, brightness and saturation (Hendrycks and Dietterich 2019, section 4): nothing in them is drawn.

Brightness and saturation are steps in HSV (Smith 1978), taken without going there: with V the greatest channel of a
pixel and C the span from its least, S = C / V, and at the same hue every channel lies ``V - (V - channel) S' / S`` for
another saturation S', and ``channel V' / V`` for another value V'. Both start from 8-bit pixels, as the published ones
do: they enlarge what is left of colour in a nearly black or gray pixel up to a hundredfold, and less than a step of
the picture must not become a colour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch

from affectkit.corruptions.base import Corruption

_STEPS = 2.0**30


class Contrast(Corruption):
    """Each channel drawn towards its mean over the picture: ``mean + level (x - mean)``."""

    parameters: ClassVar = {
        "cifar": (0.75, 0.5, 0.4, 0.3, 0.15),
        "tiny": (0.4, 0.3, 0.2, 0.1, 0.05),
        "imagenet": (0.4, 0.3, 0.2, 0.1, 0.05),
    }
    strengths = (0.0, 1.0)
    random = False

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        images = images.contiguous()
        # Whole numbers below 2**53 add up without rounding, so the order in which threads add does not matter.
        sums = images.double().mul_(_STEPS).round_().sum((2, 3), keepdim=True)
        means = (sums / (_STEPS * images[0, 0].numel())).float()
        return (images - means).mul_(level).add_(means)


class Brightness(Corruption):
    """``level`` added to the value of HSV, at most 1; hue and saturation stay."""

    parameters: ClassVar = {
        "cifar": (0.05, 0.1, 0.15, 0.2, 0.3),
        "tiny": (0.1, 0.2, 0.3, 0.4, 0.5),
        "imagenet": (0.1, 0.2, 0.3, 0.4, 0.5),
    }
    strengths = (0.0, 1.0)
    random = False

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        pixels = eight_bit(images)
        value = pixels.amax(1, keepdim=True)
        raised = (value + 255 * level).clamp_(max=255)
        # A black pixel becomes gray: all three channels are at its value.
        black = value == 0
        pixels += black
        return pixels.mul_(raised.div_((value + black).mul_(255)))


class Saturate(Corruption):
    """Saturation S of HSV becomes ``a S + b``, in [0, 1]; ``level`` is (a, b).

    What is gray has no hue and, where b > 0, takes that of the angle 0, red, as by convention.
    """

    parameters: ClassVar = {
        "cifar": ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
        "tiny": ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (30.0, 0.2)),
        "imagenet": ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)),
    }
    random = False

    def apply(
        self, images: torch.Tensor, level: tuple[float, float], drawn: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        times, plus = level
        pixels = eight_bit(images)
        value, least = pixels.amax(1, keepdim=True), pixels.amin(1, keepdim=True)
        chroma = value - least
        gray = chroma == 0
        if plus:
            # For a gray pixel the distances from the top are those of red: 0, all, all.
            pixels[:, 1:].sub_(gray * value)
            chroma = torch.where(gray, value, chroma)
            saturation = torch.where(gray, 0.0, chroma / value.clamp(min=1))
        else:
            saturation = chroma / value.clamp(min=1)
        wanted = saturation.mul_(times).add_(plus).clamp_(0, 1)
        # V - (V - channel) S' V / C
        factor = wanted.mul_(value).div_(chroma.clamp_(min=1))
        return torch.sub(value, pixels, out=pixels).mul_(factor).neg_().add_(value).div_(255)


def eight_bit(images: torch.Tensor) -> torch.Tensor:
    """Convert images in [0, 1] as whole numbers 0 to 255, float32, in a new tensor in the usual order of memory."""
    return images.to(torch.float32, memory_format=torch.contiguous_format, copy=True).mul_(255).round_()


CONTRAST, BRIGHTNESS, SATURATE = Contrast(), Brightness(), Saturate()
