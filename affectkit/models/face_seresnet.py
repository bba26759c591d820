"""A compact residual network for face crops: the architecture of the built-in model.

Squeeze-and-excitation basic blocks (He et al. 2016; Hu et al. 2018) behind a 5x5 stem of stride 2, at 48 pixels by
default, the size of FER-2013's faces. Each image is brought to mean 0 and deviation 1 first, so that light and contrast
of a photograph as a whole do not matter. In evaluation the logits are the mean over the image and its mirror image.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from affectkit.core.spec import InputSpec
from affectkit.models.external.weights import copy_own, read_weights, tensor_shapes
from affectkit.models.family import Family

WIDTHS = (32, 96, 192, 256)
BLOCKS = 2
"""Residual blocks in each of the four stages."""
SIDE = 48
FAINTEST = 1e-2
"""What is added to the deviation of an image's values in [0, 1], so that a uniform one becomes zeros, not noise."""


class Excitation(nn.Module):
    """Scales each channel by a gate in (0, 1) that follows from all channels' means (Hu et al. 2018, section 3)."""

    def __init__(self, width: int, *, reduction: int = 8) -> None:
        super().__init__()
        self.reduce = nn.Linear(width, width // reduction)
        self.expand = nn.Linear(width // reduction, width)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Scale maps (B, C, H, W); the shape stays."""
        gate = torch.sigmoid(self.expand(functional.relu(self.reduce(maps.mean((2, 3))))))
        return maps * gate[:, :, None, None]


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, excitation, and a shortcut that averages where it must shrink."""

    def __init__(self, inner: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.excitation = Excitation(width)
        self.shortcut: nn.Module = nn.Identity()
        if inner != width or stride != 1:
            pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width))
        nn.init.zeros_(self.norm2.weight)  # a block begins as its shortcut

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (B, inner, H, W) to (B, width, ceil(H / stride), ceil(W / stride))."""
        found = functional.relu(self.norm1(self.conv1(maps)), inplace=True)
        found = self.excitation(self.norm2(self.conv2(found)))
        return functional.relu(found + self.shortcut(maps), inplace=True)


class FaceNet(nn.Module):
    """The network of this module.

    Input (B, channels, H, W) with values in [0, 1], any size from 16 pixels up; output logits (B, classes).

    Args:
        classes: number of outputs.
        channels: 1 or 3.
        dropout: probability in front of the last layer.
        mirror: in evaluation, the mean of the logits of the image and its mirror image: twice the arithmetic, and a
            face and its mirror image get the same answer.
    """

    def __init__(self, classes: int, *, channels: int = 1, dropout: float = 0.3, mirror: bool = True) -> None:
        super().__init__()
        self.mirror = mirror
        self.stem = nn.Sequential(
            nn.Conv2d(channels, WIDTHS[0], 5, 2, 2, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(inplace=True)
        )
        blocks, inner = [], WIDTHS[0]
        for stage, width in enumerate(WIDTHS):
            for place in range(BLOCKS):
                blocks.append(Block(inner, width, 2 if stage and not place else 1))
                inner = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(inner, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes) of images (B, channels, H, W)."""
        images = standardise(images)
        if self.training or not self.mirror:
            return self.head(self._inner(images))
        both = self.head(self._inner(torch.cat([images, images.flip(3)])))
        return (both[: len(images)] + both[len(images) :]) / 2

    def _inner(self, images: torch.Tensor) -> torch.Tensor:
        """Return the averaged maps (B, 256)."""
        return self.blocks(self.stem(images)).mean((2, 3))


def standardise(images: torch.Tensor) -> torch.Tensor:
    """Subtract from each image (C, H, W) of a batch its mean and divide by its deviation, over all channels at once."""
    axes = (1, 2, 3)
    centred = images - images.mean(axes, keepdim=True)
    deviation = centred.square().mean(axes, keepdim=True).sqrt()
    return centred / (deviation + FAINTEST)


class FaceSEResNetFamily(Family):
    """The compact residual network for face crops."""

    takes_faces = True

    def build(self, name: str, spec: InputSpec, *, dropout: float = 0.3, mirror: bool = True) -> FaceNet:
        """Build a ``FaceNet`` for ``spec``, with random weights."""
        return FaceNet(len(spec.classes), channels=spec.channels, dropout=dropout, mirror=mirror)

    def default_input(self, name: str, options: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.default_input``: 48 pixels, values in [0, 1]; the network standardises by itself."""
        return {"height": SIDE, "width": SIDE, "mean": (0.0,) * 3, "std": (1.0,) * 3}

    def load_weights(
        self,
        model: FaceNet,
        path: Path,
        *,
        classes: tuple[str, ...] = (),
        key: str | None = None,
        verify: bool = True,
    ) -> str:
        """Implement ``Family.load_weights``, and ``external.weights.copy_own`` on when the last layer is taken."""
        hint = "Name the --model that the file was made with."
        found = read_weights(path, forms=(tensor_shapes(model),), key=key, verify=verify)
        return copy_own(model, found.state, found, classes=classes, top="head.", hint=hint)

    def last_layer(self, model: FaceNet) -> nn.Module:
        """Return dropout and the linear layer from the averaged maps to the outputs."""
        return model.head

    def build_options(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.build_options``."""
        return {"dropout": settings["dropout"]}
