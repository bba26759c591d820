"""Losses between predicted and actual ratings (B, D), one value per sample (B,) except for the concordance loss."""

from __future__ import annotations

import torch
from torch.nn import functional as F

EARLY, LATE = 0.3, 0.7
"""Shares of the epochs at which the published weight of arousal changes."""
WEIGHTS = (0.7, 0.6, 0.5)


def mse(predicted: torch.Tensor, actual: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error over the dimensions, (B,)."""
    return F.mse_loss(predicted, actual, reduction="none").mean(1)


def l1(predicted: torch.Tensor, actual: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute error over the dimensions, (B,)."""
    return F.l1_loss(predicted, actual, reduction="none").mean(1)


def concordance(predicted: torch.Tensor, actual: torch.Tensor) -> torch.Tensor:
    """Return 1 - Lin's concordance correlation coefficient over the batch, the mean of the dimensions, 0-d.

    It belongs to a whole batch and is not a mean over samples. Variances are divided by n (Lin 1989).
    """
    first, second = predicted.mean(0), actual.mean(0)
    shared = ((predicted - first) * (actual - second)).mean(0)
    spread = predicted.var(0, unbiased=False) + actual.var(0, unbiased=False) + (first - second).square()
    return (1 - 2 * shared / spread.clamp_min(1e-12)).mean()


def arousal_weight(epoch: int, epochs: int) -> float:
    """Return the weight of arousal in the published loss: 0.7, then 0.6 from 30% of the epochs on, then 0.5 from 70%
    on.
    """
    # In whole numbers: 0.3 * 50 must be 15.
    tenths = 10 * epoch
    return WEIGHTS[0] if tenths < 3 * epochs else WEIGHTS[1] if tenths < 7 * epochs else WEIGHTS[2]


def vca_published_loss(predicted: torch.Tensor, actual: torch.Tensor, weight: float) -> torch.Tensor:
    """Return the loss of VCA (bioRxiv 2025.10.20.683439), (B,): for arousal and valence, in that order,

    ``weight * SmoothL1(beta=0.5) on arousal + (1 - weight) * MSE on valence``; for a single dimension, MSE.
    """
    if predicted.shape[1] == 1:
        return mse(predicted, actual)
    arousal = F.smooth_l1_loss(predicted[:, 0], actual[:, 0], reduction="none", beta=0.5)
    valence = F.mse_loss(predicted[:, 1], actual[:, 1], reduction="none")
    return weight * arousal + (1 - weight) * valence
