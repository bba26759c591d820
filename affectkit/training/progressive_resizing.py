"""Progressive resizing: training images begin small and grow to the input size; arithmetic goes by its square.

As in progressive learning (Tan and Le, "EfficientNetV2", ICML 2021, section 4): early epochs need no detail.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from affectkit.core.spec import InputSpec
from affectkit.errors import UsageError

STEP = 8
"""Pixels by which they grow at once; a fourteenth of large ones, for each size is a graph of its own."""


def image_side(progress: float, *, start: int, full: int, until: float = 0.75) -> int:
    """Compute the shorter side of images at ``progress`` in [0, 1) of a training from ``start`` to ``full`` pixels.

    Args:
        progress: share of the training that is done, in [0, 1).
        start, full: the side at first, and that of the input, in pixels.
        until: share of the training after which images have the size of the input.

    >>> [image_side(share, start=32, full=48) for share in (0.0, 0.37, 0.38, 0.74, 0.75)]
    [32, 32, 40, 40, 48]
    """
    if progress >= until:
        return full
    sizes = sides_below(start, full)  # as long at each
    return sizes[min(int(progress / until * len(sizes)), len(sizes) - 1)]


def sides_below(start: int, full: int) -> range:
    """Return the shorter sides that images have, one after the other, before they have ``full`` pixels.

    >>> [*sides_below(16, 40)]
    [16, 24, 32]
    """
    return range(start, full, max(STEP, full // 14 // STEP * STEP))


def resize_for(progress: float, images: torch.Tensor, *, start: int, until: float = 0.75) -> torch.Tensor:
    """Resize images (B, C, H, W) to ``image_side``, antialiased bilinear; themselves where that is their size.

    Args:
        progress: share of the training that is done, in [0, 1).
        images: at the input size.
        start: their shorter side at first, in pixels.
        until: share of the training after which they have the input size.
    """
    return _resized(images, image_side(progress, start=start, full=min(images.shape[2:]), until=until))


def _resized(images: torch.Tensor, side: int) -> torch.Tensor:
    """Return images (B, C, H, W) with ``side`` as their shorter side."""
    height, width = images.shape[2:]
    full = min(height, width)
    if side == full:
        return images
    size = (round(height * side / full), round(width * side / full))
    return functional.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)


def check_start_size(start: int, spec: InputSpec, model: nn.Module, *, name: str) -> None:
    """Refuse a size from which training images cannot grow to that of the input.

    Args:
        start: their shorter side at first, in pixels.
        spec: of the input.
        model: on its device; it is left in its mode.
        name: of the model, for the message.

    Raises:
        UsageError: that is no smaller than the input, or ``model`` does not take one of the sizes on the way.
    """
    full = min(spec.height, spec.width)
    if start >= full:
        raise UsageError(
            f"--start-size must be below the input size, {full}; got {start}.", "Leave it out to begin there."
        )
    device = next(model.parameters()).device
    images = torch.zeros(2, spec.channels, spec.height, spec.width, device=device)
    was, side = model.training, start
    model.eval()
    try:
        with torch.no_grad():
            for side in sides_below(start, full):
                model(_resized(images, side))
    except Exception as error:  # whatever a network raises that is made for one size
        which = "that size" if side == start else f"{side} pixels, through which they grow"
        raise UsageError(
            f"--start-size {start}: {name} does not take images of {which}: {' '.join(str(error).split())[:160]}",
            "Leave it out, or choose a convolutional network.",
        ) from error
    finally:
        model.train(was)
