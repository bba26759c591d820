"""Mixup and CutMix: images and targets of a batch mixed with those of a shuffled copy.

Mixup (Zhang et al., ICLR 2018) takes the weighted mean of both images; CutMix (Yun et al., ICCV 2019) pastes a box of
the one into the other. Both mix the targets as the images are mixed.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from affectkit.core.randomness import numpy_generator
from affectkit.core.spec import InputSpec
from affectkit.errors import UsageError
from affectkit.settings.training import TrainSettings


def mix(
    batch: dict[str, Any], *, mixup_alpha: float, cutmix_alpha: float, seed: int, epoch: int, number: int
) -> dict[str, Any]:
    """Mix a batch by mixup or by CutMix; by either with probability 1/2 where both have an alpha above 0.

    Which one is taken follows from (seed, epoch, number), as does what it draws: mixup draws the same with CutMix
    beside it as alone. See ``mixup`` and ``cutmix`` for the arguments; an alpha of 0 leaves that one out.
    """
    position = {"seed": seed, "epoch": epoch, "number": number}
    cut = cutmix_alpha > 0
    if cut and mixup_alpha > 0:
        cut = bool(numpy_generator(seed, "mixup or cutmix", epoch, number).integers(2))
    if cut:
        return cutmix(batch, cutmix_alpha, **position)
    return mixup(batch, mixup_alpha, **position) if mixup_alpha > 0 else batch


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


def cutmix(batch: dict[str, Any], alpha: float, *, seed: int, epoch: int, number: int) -> dict[str, Any]:
    """Paste one box of a shuffled copy of a batch into its images, and mix the targets by the area of the box.

    The box has the same place in all images of the batch. Its centre is uniform over the image; its area before it is
    cut at the image's edges is the share 1 - w, w from Beta(alpha, alpha). The targets go by the pixels that were
    pasted. With several processes the copy is of the own share.

    Args:
        batch: ``index`` (B,), ``target`` (B, ...) and ``image`` (B, C, H, W); no ``audio``, of which nothing is pasted.
        alpha: of the Beta distribution; above 0.
        seed: of the run.
        epoch: of the batch, from 0.
        number: of the batch in the epoch, from 0; box and order follow from these three.
    """
    images, targets = batch["image"], batch["target"]
    height, width = images.shape[-2:]
    rng = numpy_generator(seed, "cutmix", epoch, number)
    side = math.sqrt(1 - float(rng.beta(alpha, alpha)))
    (top, bottom), (left, right) = (_stretch(size, side, int(rng.integers(size))) for size in (height, width))
    order = torch.from_numpy(rng.permutation(len(batch["index"]))).to(targets.device)
    pasted = images.clone()
    pasted[..., top:bottom, left:right] = images[order][..., top:bottom, left:right]
    share = (bottom - top) * (right - left) / (height * width)
    return {**batch, "image": pasted, "target": (1 - share) * targets + share * targets[order]}


def mixes(settings: TrainSettings, epoch: int) -> bool:
    """Return whether batches of ``epoch``, from 0, are mixed: those of the last ``finish_epochs`` are not.

    As YOLOX leaves its mixing of images out at the end (Ge et al. 2021, arXiv 2107.08430).
    """
    return bool(settings.mixup or settings.cutmix) and epoch < settings.epochs - settings.finish_epochs


def refuse_cutmix(alpha: float, spec: InputSpec, *, on_features: bool) -> None:
    """Refuse CutMix where training sees something else than images, of which no box can be pasted.

    Args:
        alpha: of ``--cutmix``; 0 is never refused.
        spec: of the model's input.
        on_features: whether a frozen encoder has turned the training images into features.

    Raises:
        UsageError: the model takes clips, or learns from features.
    """
    if alpha and (spec.clip is not None or on_features):
        what = "clips" if spec.clip is not None else "features that its frozen encoder has computed once (--views)"
        raise UsageError(
            f"--cutmix {alpha:g} pastes boxes of images, and the model is trained on {what}.",
            "Use --mixup, which mixes them too.",
        )


def _stretch(size: int, share: float, centre: int) -> tuple[int, int]:
    """Return the first and the end of the pixels of ``share`` of ``size`` around ``centre``, as far as they exist."""
    length = round(size * share)
    first = centre - length // 2
    return max(first, 0), min(first + length, size)
