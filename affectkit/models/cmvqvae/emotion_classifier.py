"""Classifier of emotions from the masked codes of both modalities."""

from __future__ import annotations

import torch
from torch import nn

from affectkit.models.cmvqvae.autoencoder import ResidualStack
from affectkit.models.cmvqvae.mask import Masked

WIDTH, RESIDUAL, LAYERS, FEATURES = 32, 8, 2, 256
MODES = {"multimodal": (0, 2), "image-only": (0, 1), "audio-only": (1, 2)}
"""The halves of the channels that a mode uses: from the first to the last."""


class Solver(Masked):
    """Codes (B, 2 size, S, S), multiplied by the mask, to logits (B, outputs).

    conv 3x3 stride 2, BN, ReLU; conv 3x3 stride 2, dropout; residual stack; linear, BN, ReLU, dropout; linear. In the
    modes of one modality its half of the channels alone is used.

    Args:
        size: channels of each modality.
        side: S.
        masked: False: no mask.
    """

    def __init__(
        self,
        size: int,
        side: int,
        outputs: int,
        *,
        mode: str = "multimodal",
        masked: bool = True,
        dropout: float = 0.5,
        kind: str = "binarizer",
        init: str = "1s",
        scale: float = 0.01,
        threshold: float = 0.005,
    ) -> None:
        super().__init__(2 * size, kind=kind, init=init, scale=scale, threshold=threshold)
        if not masked:
            del self.private_shared_mask
        self.size, self.mode, self.masked = size, mode, masked
        first, last = MODES[mode]
        self._conv1 = nn.Conv2d(size * (last - first), WIDTH, 3, stride=2, padding=1)
        self._bn_1 = nn.BatchNorm2d(WIDTH)
        self._conv2 = nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self._dropout = nn.Dropout(dropout)
        self._residual_stack = ResidualStack(WIDTH, LAYERS, RESIDUAL)
        self._fc1 = nn.Linear(WIDTH * (-(-side // 4)) ** 2, FEATURES)
        self._bn_2 = nn.BatchNorm1d(FEATURES)
        self._fc2 = nn.Linear(FEATURES, outputs)

    def forward(self, image: torch.Tensor | None, audio: torch.Tensor | None) -> torch.Tensor:
        """Return logits for the codes of the modalities that the mode uses, (B, size, S, S) each."""
        first, last = MODES[self.mode]
        x = torch.cat((image, audio)[first:last], 1)
        if self.masked:
            x = x * self.turned()[first * self.size : last * self.size]
        x = torch.relu(self._bn_1(self._conv1(x)))
        x = self._residual_stack(self._dropout(self._conv2(x)))
        x = self._dropout(torch.relu(self._bn_2(self._fc1(x.flatten(1)))))
        return self._fc2(x)
