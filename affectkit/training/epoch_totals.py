"""What training gathers over an epoch: the sums of losses, and the outputs that measures are taken of."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


class LossSum:
    """The sum of losses of an epoch, kept on a CUDA device until it is read, so that steps need not wait for it."""

    def __init__(self, device: str) -> None:
        self.lazy = device.startswith("cuda")
        self._sum = torch.zeros((), dtype=torch.float64, device=device if self.lazy else "cpu")

    def add(self, loss: torch.Tensor, images: int) -> None:
        """Add a batch's mean loss, as often as it has images."""
        self._sum += loss.to(self._sum) * images

    def read(self) -> float:
        """Return the sum so far; on CUDA this waits for the device."""
        return float(self._sum)

    def set(self, value: float) -> None:
        """Continue from ``value``."""
        self._sum.fill_(value)


class EpochOutputs:
    """The outputs of the training steps of an epoch, for the measures of the training phase.

    They are of a model in training mode (with dropout), of augmented and, with mixup, mixed images, each batch by the
    weights before its step: measures of them are not those of the model at the epoch's end. They stay on the device
    until they are read, so that steps need not wait for it.
    """

    def __init__(self) -> None:
        self._outputs: list[torch.Tensor] = []
        self._targets: list[torch.Tensor] = []

    def add(self, outputs: torch.Tensor, target: torch.Tensor) -> None:
        """Add outputs (B, ...) of a batch and its targets (B, ...)."""
        self._outputs.append(outputs.detach())
        self._targets.append(target.detach())

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return outputs (N, ...) and targets (N, ...) of all batches, float64, in their order; of none (0,) each."""
        outputs, targets = (
            torch.cat(taken).cpu().numpy().astype(np.float64) if taken else np.empty(0)
            for taken in (self._outputs, self._targets)
        )
        return outputs, targets

    def clear(self) -> None:
        """Begin a new epoch."""
        self._outputs, self._targets = [], []

    def state(self) -> list[list[Any]]:
        """Return what ``restore`` takes, in the form of a saved state."""
        return [[torch.cat(taken)] if taken else [] for taken in (self._outputs, self._targets)]

    def restore(self, state: list[list[Any]]) -> None:
        """Continue from a ``state``."""
        outputs, targets = state
        self._outputs, self._targets = list(outputs), list(targets)
