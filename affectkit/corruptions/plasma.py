"""Plasma fractals by the diamond-square algorithm (Fournier, Fussell and Carpenter, 1982)."""

from __future__ import annotations

import torch

WIBBLE = 100.0
"""By how much values vary at the first step; the decay divides it after each."""


def size_for(side: int) -> int:
    """The next power of two."""
    return 1 << max(side - 1, 1).bit_length()


def count_for(size: int) -> int:
    """How many random numbers a map of ``size`` takes."""
    return size * size - 1


def plasma(unit: torch.Tensor, size: int, decay: float) -> torch.Tensor:
    """Height maps (B, size, size) in [0, 1], which join at opposite edges.

    Squares of side ``step``, from the whole map on, get a value at their centre and then at the middle of their sides:
    the mean of the four values around and a number uniform in +-wibble, which is divided by ``decay`` after each step.

    Args:
        unit: (B, size**2 - 1), uniform in [0, 1). size: a power of two.
    """
    grid = unit.new_zeros(len(unit), size, size)
    step, wibble, used = size, WIBBLE, 0

    def jitter(rows: int) -> torch.Tensor:
        nonlocal used
        used += rows * rows
        return (unit[:, used - rows * rows : used].view(-1, rows, rows) * 2 - 1) * wibble

    while step >= 2:
        half, count = step // 2, size // step
        corners = grid[:, ::step, ::step]
        rows = corners + corners.roll(-1, 1)
        centres = (rows + rows.roll(-1, 2)) / 4 + jitter(count)
        grid[:, half::step, half::step] = centres
        across = (corners + corners.roll(-1, 2) + centres + centres.roll(1, 1)) / 4
        down = (corners + corners.roll(-1, 1) + centres + centres.roll(1, 2)) / 4
        grid[:, ::step, half::step] = across + jitter(count)
        grid[:, half::step, ::step] = down + jitter(count)
        step, wibble = half, wibble / decay
    low, high = grid.flatten(1).min(1).values, grid.flatten(1).max(1).values
    return (grid - low[:, None, None]) / (high - low).clamp(min=1e-12)[:, None, None]
