"""Encoders and decoders between pictures or spectrograms and maps of features."""

from __future__ import annotations

import torch
from torch import nn


class Residual(nn.Module):
    """x + conv1x1(ReLU(BN(conv3x3(ReLU(BN(x)))))), without biases: (B, channels, H, W) to the same."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self._block = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of ``x`` and the block's output."""
        return x + self._block(x)


class ResidualStack(nn.Module):
    """``layers`` residual blocks, then batch norm and ReLU."""

    def __init__(self, channels: int, layers: int, hidden: int) -> None:
        super().__init__()
        self._layers = nn.ModuleList(Residual(channels, hidden) for _ in range(layers))
        self._bn = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return maps (B, channels, H, W), at least 0."""
        for layer in self._layers:
            x = layer(x)
        return torch.relu(self._bn(x))


class Encoder(nn.Module):
    """(B, inputs, H, W) to (B, hidden, H / 2^steps, W / 2^steps).

    Args:
        steps: halvings, at least 2: two convolutions with stride 2, then max pooling for each more.
    """

    def __init__(self, inputs: int, hidden: int, layers: int, residual_hidden: int, *, steps: int = 2) -> None:
        super().__init__()
        self._conv_1 = nn.Conv2d(inputs, hidden // 2, 4, stride=2, padding=1)
        self._bn_1 = nn.BatchNorm2d(hidden // 2)
        self._conv_2 = nn.Conv2d(hidden // 2, hidden, 4, stride=2, padding=1)
        self._bn_2 = nn.BatchNorm2d(hidden)
        self._conv_3 = nn.Conv2d(hidden, hidden, 3, padding=1)
        self._pools = steps - 2
        self._residual_stack = ResidualStack(hidden, layers, residual_hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the map of ``x``."""
        x = torch.relu(self._bn_1(self._conv_1(x)))
        x = torch.relu(self._bn_2(self._conv_2(x)))
        x = self._conv_3(x)
        for _ in range(self._pools):
            x = nn.functional.max_pool2d(x, 3, stride=2, padding=1)
        return self._residual_stack(x)


class Decoder(nn.Module):
    """(B, inputs, H, W) to (B, outputs, H * 2^steps, W * 2^steps).

    Args:
        steps: doublings, at least 2; with each the channels halve, from ``hidden`` on.
    """

    def __init__(
        self, inputs: int, outputs: int, hidden: int, layers: int, residual_hidden: int, *, steps: int = 2
    ) -> None:
        super().__init__()
        self._conv_1 = nn.Conv2d(inputs, hidden, 3, padding=1)
        self._residual_stack = ResidualStack(hidden, layers, residual_hidden)
        widths = [max(hidden >> step, 1) for step in range(steps)] + [outputs]
        self._names = []
        for step in range(1, steps + 1):
            norm = "" if step == steps else "_bn" if steps == 2 else f"_bn_{step}"
            setattr(self, f"_conv_trans_{step}", nn.ConvTranspose2d(widths[step - 1], widths[step], 4, 2, 1))
            if norm:
                setattr(self, norm, nn.BatchNorm2d(widths[step]))
            self._names.append((f"_conv_trans_{step}", norm))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the image or spectrogram that the codes ``x`` stand for."""
        x = self._residual_stack(self._conv_1(x))
        for grow, norm in self._names:
            x = getattr(self, grow)(x)
            if norm:
                x = torch.relu(getattr(self, norm)(x))
        return x
