"""Corrupt the images that a model is evaluated on (``--corrupt``)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from affectkit.core.spec import InputSpec
from affectkit.corruptions import CORRUPTIONS, CorruptionChoice, corrupt
from affectkit.corruptions.base import check_strength
from affectkit.corruptions.vca_study import luma
from affectkit.errors import UsageError


def check_takes_images(spec: InputSpec, what: str) -> None:
    """Refuse to corrupt images where the model gets none.

    Raises:
        UsageError: it takes sounds alone, or features.
    """
    if spec.clip is not None and (spec.clip.needs == "audio" or spec.clip.features is not None):
        raise UsageError(
            f"{what}: corruptions are of images, and this model looks at none.",
            "Name a checkpoint that looks at images.",
        )


def corruption_transform(chosen: CorruptionChoice, spec: InputSpec) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the transform of ``--corrupt`` for colour images (B, 3, H, W) in [0, 1]; where ``spec`` is gray, their
    luma.
    """
    if chosen.strength is not None:  # now, not when the first batch comes
        check_strength(CORRUPTIONS.resolve(chosen.name), chosen.name, chosen.strength)

    def corrupted(images: torch.Tensor) -> torch.Tensor:
        made = corrupt(images, chosen.name, chosen.severity, strength=chosen.strength)
        return luma(made) if spec.channels == 1 else made

    return corrupted
