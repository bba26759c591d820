"""Other framings of what is seen: mirrored, nearer and farther, tilted. None is of a study; a good model bears both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch.nn import functional

from affectkit.corruptions.base import Corruption


class Mirror(Corruption):
    """Left and right exchanged, at every severity."""

    parameters: ClassVar = {"any": (1.0,) * 5}
    random = False

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return images.flip(3)


class Framing(Corruption):
    """The picture ``level`` times as large about the centre, antialiased; the outermost pixels are continued."""

    parameters: ClassVar = {"any": (1.05, 1.1, 1.25, 1.5, 2.0)}
    strengths = (0.1, 10.0)
    random = False

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        height, width = images.shape[2:]
        if level >= 1:
            theta = images.new_tensor([[1 / level, 0, 0], [0, 1 / level, 0]]).expand(len(images), 2, 3)
            grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
            return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
        inner = (max(round(height * level), 1), max(round(width * level), 1))
        small = functional.interpolate(images, inner, mode="bilinear", antialias=True, align_corners=False)
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        edges = (left, width - inner[1] - left, top, height - inner[0] - top)
        return functional.pad(small, edges, mode="replicate")


class Tilt(Corruption):
    """The picture turned by ``level`` degrees about its centre, counter-clockwise; edges are continued."""

    parameters: ClassVar = {"any": (4.0, 8.0, 12.0, 16.0, 20.0)}
    strengths = (-180.0, 180.0)
    random = False

    def apply(self, images: torch.Tensor, level: float, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        height, width = images.shape[2:]
        cosine, sine = math.cos(math.radians(level)), math.sin(math.radians(level))
        # Where each pixel comes from, in coordinates that go from -1 to 1 along either side.
        theta = images.new_tensor([[cosine, -sine * height / width, 0], [sine * width / height, cosine, 0]])
        grid = functional.affine_grid(theta.expand(len(images), 2, 3), list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


MIRROR, FRAMING, TILT = Mirror(), Framing(), Tilt()
