"""Mixup: images and targets of a batch mixed with those of a shuffled copy (Zhang et al., ICLR 2018)."""

from __future__ import annotations

from typing import Any

import torch

from affectkit.core.randomness import numpy_generator


def mixup(batch: dict[str, Any], alpha: float, *, seed: int, epoch: int, number: int) -> dict[str, Any]:
    """Mix a batch with a shuffled copy of itself by one weight from Beta(alpha, alpha).

    Sounds are mixed as the images are. With several processes the copy is of the own share.

    Args:
        batch: ``index`` (B,), ``target`` (B, ...) and ``image`` (B, C, H, W), ``audio`` or both.
        alpha: of the Beta distribution; above 0.
        seed: of the run.
        epoch: of the batch, from 0.
        number: of the batch in the epoch, from 0; weight and order follow from these three.
    """
    rng = numpy_generator(seed, "mixup", epoch, number)
    weight = float(rng.beta(alpha, alpha))
    order = torch.from_numpy(rng.permutation(len(batch["index"]))).to(batch["target"].device)
    names = [name for name in ("image", "audio", "target") if name in batch]
    mixed = {name: weight * batch[name] + (1 - weight) * batch[name][order] for name in names}
    return {**batch, **mixed}
