"""Inputs and parameters behind the golden numbers of V1 and CM-VQVAE, as their makers gave them, by name."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch.nn import functional as F

# What a number t, uniform in [-1, 1], becomes, by the last part of the parameter's name and its size.
VALUES = {
    "bias": lambda t: 0.1 * t,
    "sigma1": lambda t: 1.5 + 0.5 * t,
    "sigma2_scale": lambda t: 1.5 + 0.5 * t,
    "total_scale": lambda t: 2 * t,
    "sigmas": lambda t: t.size / 8 + 0.5 * (t + 1),
    "A": lambda t: 0.02 * np.abs(t),
    "rho": lambda t: 1.5 + 0.5 * t,
    "sigma": lambda t: 1.5 + 0.5 * t,
    "theta": lambda t: np.pi * (t + 1),
    "v": lambda t: 1 + t,
    "w": lambda t: 1 + t,
    "running_mean": lambda t: 0.1 * t,
    "running_var": lambda t: 1 + 0.5 * np.abs(t),
    "private_shared_mask": lambda t: 0.01 * t + 0.003,
}


def fill(name: str, shape) -> torch.Tensor:
    """The value of the parameter ``name``; other weights are about 1, or scaled by their fan-in."""
    shape = tuple(shape)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    unit = np.random.default_rng(zlib.crc32(name.encode())).uniform(-1, 1, int(np.prod(shape)))
    last = name.rpartition(".")[2]
    if last in VALUES:
        values = VALUES[last](unit)
    elif len(shape) == 1:
        values = 1 + 0.1 * unit
    else:
        fan_in = shape[2] * shape[5] if len(shape) == 6 else int(np.prod(shape[1:]))
        values = unit * np.sqrt(3 / fan_in)
    return torch.tensor(values.reshape(shape), dtype=torch.float32)


def images(count: int, channels: int, height: int, width: int, seed: int) -> torch.Tensor:
    """A smooth random input."""
    rng = np.random.default_rng(1000 + seed)
    coarse = rng.uniform(0, 1, (count, channels, height // 8, width // 8)).astype(np.float32)
    smooth = F.interpolate(torch.from_numpy(coarse), size=(height, width), mode="bilinear", align_corners=False)
    rough = rng.uniform(-1, 1, (count, channels, height, width)).astype(np.float32)
    return smooth + 0.05 * torch.from_numpy(rough)
