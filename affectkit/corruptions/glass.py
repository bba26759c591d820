"""Frosted glass of the common-corruptions benchmark (Hendrycks and Dietterich, 2019, arXiv 1903.12261)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch

from affectkit.corruptions.base import Corruption, Drawn, Draws
from affectkit.corruptions.filters import gaussian_blur

Level = tuple[float, int, int]


class GlassBlur(Corruption):
    """Blurred, pixels exchanged with near ones, blurred again; ``level`` is (sigma, largest shift, rounds).

    In each round pixels are visited from the lower right one inwards, line by line, and each is exchanged with the one
    at a shift that is uniform in [-largest, largest) on both axes. Visits are one after another by definition; those
    that touch no common pixel are done at once here, with the same result.
    """

    parameters: ClassVar = {
        "cifar": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
        "tiny": ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
        "imagenet": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    }

    def draw(self, images: torch.Tensor, level: Level, draws: Draws) -> Drawn:
        _, largest, rounds = level
        height, width = images.shape[2:]
        return {"shift": draws.integers(0, (2 * largest) ** 2, rounds, height, width)}

    def apply(self, images: torch.Tensor, level: Level, drawn: Mapping[str, torch.Tensor]) -> torch.Tensor:
        sigma, largest, _ = level
        blurred = gaussian_blur(images, sigma)
        order = exchange_order(drawn["shift"].cpu().numpy(), largest)
        places = torch.from_numpy(order).to(images.device)[:, None].expand(-1, images.shape[1], -1)
        return gaussian_blur(blurred.flatten(2).gather(2, places).view(images.shape), sigma)


def exchange_order(shifts: np.ndarray, largest: int) -> np.ndarray:
    """Return which pixel stands where after all rounds: (B, H W), int64, positions counted line by line.

    Args:
        shifts: whole numbers (B, rounds, H, W) in [0, 4 largest^2), for each pixel that is visited:
            2 largest x (down + largest) + (across + largest).
    """
    count, rounds, height, width = shifts.shape
    places, steps = visit_order(height, width, largest)
    side = np.arange(-largest, largest)
    offsets = (side[:, None] * width + side).ravel()
    # Pixels first, so that those of one step lie together for all images; places in it as one number.
    order = np.repeat(np.arange(height * width, dtype=np.int32), count)
    images = np.arange(count)
    here = (places[:, None] * count + images).ravel()
    for turn in range(rounds):
        chosen = shifts[:, turn].reshape(count, -1).T.take(places, 0)
        there = here + (offsets * count).take(chosen).ravel()
        for start, end in steps:
            visited, other = here[start * count : end * count], there[start * count : end * count]
            kept = order.take(visited)
            order[visited] = order.take(other)
            order[other] = kept
    return np.ascontiguousarray(order.reshape(-1, count).T, np.int64)


@functools.lru_cache(maxsize=16)
def visit_order(height: int, width: int, largest: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return the pixels visited, by steps, and the bounds of each: those of one step are too far apart to touch a
    common one.

    An exchange touches pixels up to ``largest`` away, so two that are more than twice this apart on one axis can
    change places in time. Step = lines visited x (2 largest + 1) + pixels visited in the line: a later line's pixel
    comes after all those of earlier lines that are near it, and pixels of one step are at least 2 largest + 1 apart.
    """
    rows, columns = np.arange(height - largest, largest, -1), np.arange(width - largest, largest, -1)
    if not len(rows) or not len(columns):
        return np.empty(0, np.int64), []
    step = np.arange(len(rows))[:, None] * (2 * largest + 1) + np.arange(len(columns))
    places = rows[:, None] * width + columns
    order = np.argsort(step, axis=None, kind="stable")
    bounds = [0, *(np.flatnonzero(np.diff(step.ravel()[order])) + 1).tolist(), order.size]
    return places.ravel()[order], list(pairwise(bounds))


GLASS_BLUR = GlassBlur()
