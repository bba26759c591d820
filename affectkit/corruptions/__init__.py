"""Corrupt images by name: fifteen benchmark corruptions, four of validation, those of VCA. Import is light.

A corruption is an object with ``parameters`` (what its severities stand for), ``draw(images, level, draws)``, which
draws what is random of each image, and ``apply(images, level, drawn)``, which changes a batch: ``base.Corruption``.

>>> import affectkit.corruptions, torch
>>> affectkit.corruptions.corrupt(torch.rand(2, 3, 8, 8), "noise", severity=3).shape     # doctest: +SKIP
torch.Size([2, 3, 8, 8])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from affectkit.corruptions.registry import (
    CORRUPTIONS,
    GROUPS,
    PUBLISHED,
    SCALES,
    SEVERITIES,
    CorruptionChoice,
    parse_corruption,
    parse_corruptions,
)

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = [
    "CORRUPTIONS",
    "GROUPS",
    "PUBLISHED",
    "SCALES",
    "SEVERITIES",
    "CorruptionChoice",
    "corrupt",
    "parse_corruption",
    "parse_corruptions",
]


def corrupt(
    images: torch.Tensor,
    name: str,
    severity: int = PUBLISHED,
    scale: str = "auto",
    seed: int = 0,
    *,
    strength: float | None = None,
    textures: Path | None = None,
) -> torch.Tensor:
    """Return corrupted copies of ``images``.

    What is drawn for an image depends on (seed, its content, corruption, severity) alone: not on its place in the
    batch, nor on the others.

    Args:
        images: (B, 3, H, W), floating-point numbers in [0, 1], on any device.
        name: one of ``CORRUPTIONS``.
        severity: 1 to 5.
        scale: the column of severity-dependent parameters: ``cifar``, ``tiny``, ``imagenet``, or ``auto``: by the
            shorter side (at most 48, at most 128, more).
        seed: everything random follows from it.
        strength: in place of a severity, for corruptions of one parameter.
        textures: folder with photographs of frost, in place of textures that are computed.

    Returns:
        the same shape, number format and device, in [0, 1].

    Raises:
        UsageError: an argument is not of that kind.
    """
    from affectkit.corruptions import base

    return base.corrupt(images, name, severity=severity, scale=scale, seed=seed, strength=strength, textures=textures)
