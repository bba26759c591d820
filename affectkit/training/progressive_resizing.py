"""Training images that begin small and grow to the input size: arithmetic goes by the square of the side.

As in progressive learning (Tan and Le, "EfficientNetV2", ICML 2021, section 4): early epochs need no detail.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from affectkit.core.spec import InputSpec
from affectkit.errors import UsageError
from affectkit.models.registry import own_settings
from affectkit.settings.training import TrainSettings

GROWN = 0.75
"""Share of a training after which images have the input size."""
STEP = 8
"""Pixels by which they grow at once; a fourteenth of large ones, for each size is a graph of its own."""


def side_at(progress: float, *, start: int, full: int) -> int:
    """The shorter side of images at ``progress`` in [0, 1) of a training from ``start`` to ``full`` pixels.

    >>> [side_at(share, start=32, full=48) for share in (0.0, 0.37, 0.38, 0.74, 0.75)]
    [32, 32, 40, 40, 48]
    """
    if progress >= GROWN:
        return full
    step = max(STEP, full // 14 // STEP * STEP)
    # As long at each size below the full one.
    sizes = range(start, full, step)
    return sizes[min(int(progress / GROWN * len(sizes)), len(sizes) - 1)]


def growing(images: torch.Tensor, *, start: int, progress: float) -> torch.Tensor:
    """Images (B, C, H, W) at the size that ``side_at`` says, antialiased bilinear; themselves where it is theirs."""
    height, width = images.shape[2:]
    full = min(height, width)
    side = side_at(progress, start=start, full=full)
    if side == full:
        return images
    size = (round(height * side / full), round(width * side / full))
    return functional.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)


def first_size(settings: TrainSettings, spec: InputSpec, model: nn.Module) -> int | None:
    """The side at which images begin; None where they have the input size from the start.

    Raises:
        UsageError: that is no smaller than the input, or ``model`` takes no other size than it.
    """
    start, full = settings.start_size, min(spec.height, spec.width)
    if start is None or "start_size" not in own_settings(settings.model) or spec.clip is not None:
        return None
    if start >= full:
        raise UsageError(
            f"--start-size must be below the input size, {full}; got {start}.", "Leave it out to begin there."
        )
    device = next(model.parameters()).device
    images = torch.zeros(2, spec.channels, spec.height, spec.width, device=device)
    was = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(growing(images, start=start, progress=0.0))
    except Exception as error:  # whatever a network raises that is made for one size
        raise UsageError(
            f"--start-size {start}: {settings.model} does not take images of that size: "
            f"{' '.join(str(error).split())[:160]}",
            "Leave it out, or choose a convolutional network.",
        ) from error
    finally:
        model.train(was)
    return start
