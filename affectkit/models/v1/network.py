"""ResNet-50 with a biologically constrained front end, in the variants of the study (seed 002) and any other mixture.

torchvision's network (v1.5: the stride is on the 3 x 3 convolution), with its names of parameters. Its stem gives maps
of 64 channels at half the input's size; the max pool, or cortical magnification in its place, halves that again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from affectkit.errors import UsageError
from affectkit.models.v1.center_surround import CenterSurround
from affectkit.models.v1.components import CENTER_SURROUND, DIV_NORM, LOCAL_RF, MAGNIFICATION, TUNED_NORM
from affectkit.models.v1.local_rf import LocalReceptiveField
from affectkit.models.v1.normalisation import DivisiveNormalisation, TunedNormalisation
from affectkit.models.v1.polar import CorticalMagnification

PLAIN = "resnet50_plain"
ANY = "resnet50_v1"
WIDTH, FILTERED, RADIUS = 64, 16, 2
"""Channels of the first stage's 3 x 3 convolutions, how many of them centre-surround filters see, and their radius."""


@dataclass(frozen=True)
class Variant:
    """The components in front, and their positions.

    Attributes:
        parts: of ``components.COMPONENTS``.
        alone: as the study has a component by itself: centre-surround in all three blocks, and in front of local
            receptive fields a dropout of half of the maps. Else, as in its composites, centre-surround in the first
            two blocks, and no dropout.
    """

    parts: frozenset[str]
    alone: bool = False


def _composite(*parts: str) -> Variant:
    return Variant(frozenset(parts))


VARIANTS: dict[str, Variant] = {
    PLAIN: Variant(frozenset()),
    "resnet50_center_surround": Variant(frozenset({CENTER_SURROUND}), alone=True),
    "resnet50_local_rf": Variant(frozenset({LOCAL_RF}), alone=True),
    "resnet50_cortical_magnification": Variant(frozenset({MAGNIFICATION}), alone=True),
    "resnet50_tuned_norm": Variant(frozenset({TUNED_NORM}), alone=True),
    "resnet50_div_norm": Variant(frozenset({DIV_NORM}), alone=True),
    "resnet50_composite_a": _composite(CENTER_SURROUND, LOCAL_RF, TUNED_NORM, MAGNIFICATION),
    "resnet50_composite_b": _composite(LOCAL_RF, TUNED_NORM, MAGNIFICATION),
    "resnet50_composite_c": _composite(CENTER_SURROUND, LOCAL_RF, MAGNIFICATION),
    "resnet50_composite_d": _composite(CENTER_SURROUND, LOCAL_RF, TUNED_NORM),
    "resnet50_composite_e": _composite(TUNED_NORM, MAGNIFICATION),
    "resnet50_composite_f": _composite(LOCAL_RF, MAGNIFICATION),
    "resnet50_composite_g": _composite(LOCAL_RF, TUNED_NORM),
}
"""The thirteen of the study; ``PLAIN`` is its ``resnet50``."""


def map_side(side: int) -> int:
    """Return the side of a map after a layer of stride 2 (7 x 7 with padding 3, or 3 x 3 with padding 1)."""
    return (side + 1) // 2


class Block(Bottleneck):
    """torchvision's bottleneck with a place for normalisation behind it."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.dn: nn.Module = nn.Identity()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the block's maps, normalised."""
        return self.dn(super().forward(maps))


class Surrounded(nn.Module):
    """A convolution, then centre-surround filters, under the names that the study's composites gave them."""

    def __init__(self, conv: nn.Module, dog: nn.Module) -> None:
        super().__init__()
        self.conv, self.dog = conv, dog

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the filtered maps."""
        return self.dog(self.conv(maps))


class V1ResNet(ResNet):
    """Input (B, channels, H, W), normalised; output (B, outputs).

    Args:
        variant: the front end; it changes this network alone.
        outputs: of the last layer.
        height, width: of the images, to which some components are bound.
        channels: of the images.
        dropout: probability in front of the last layer.
    """

    def __init__(
        self,
        variant: Variant,
        outputs: int,
        *,
        height: int = 64,
        width: int = 64,
        channels: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(Block, [3, 4, 6, 3], num_classes=outputs)
        if channels != 3:
            self.conv1 = nn.Conv2d(channels, WIDTH, 7, stride=2, padding=3, bias=False)
            nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.dropout = nn.Dropout(dropout)
        parts = variant.parts
        if MAGNIFICATION in parts:
            sides = map_side(height), map_side(width)
            if height != width or height % 4:
                raise UsageError(
                    f"cortical-magnification needs a square input whose side is a multiple of 4; got {height}x{width}.",
                    "Choose another --image-size.",
                )
            self.maxpool = CorticalMagnification(sides[0])
        if LOCAL_RF in parts:
            fields = LocalReceptiveField(WIDTH, WIDTH, map_side(map_side(height)), map_side(map_side(width)))
            self.layer1[2].conv2 = nn.Sequential(nn.Dropout2d(0.5), fields) if variant.alone else fields
        if CENTER_SURROUND in parts:
            for block in self.layer1[: 3 if variant.alone else 2]:
                pair = block.conv2, CenterSurround(FILTERED, RADIUS)
                block.conv2 = nn.Sequential(*pair) if variant.alone else Surrounded(*pair)
        norm = TunedNormalisation if TUNED_NORM in parts else DivisiveNormalisation if DIV_NORM in parts else None
        for block in self.layer1 if norm is not None else ():
            block.dn = norm(WIDTH * Block.expansion)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the outputs."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        return self.fc(self.dropout(self.avgpool(maps).flatten(1)))
