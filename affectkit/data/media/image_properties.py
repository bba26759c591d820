"""Properties of images that need no label: brightness, contrast, sharpness and size, by which results are grouped.

All but the size are of the luma on [0, 1] (ITU-R BT.601-7, as Pillow converts to gray). They describe the picture as a
whole, its background too, and a picture that was made larger is less sharp than it was.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from affectkit.errors import DataError


def brightness(luma: np.ndarray) -> float:
    """Return the mean of ``luma`` (H, W) on [0, 1]: 0 is black, 1 white."""
    return float(luma.mean())


def contrast(luma: np.ndarray) -> float:
    """Return the RMS contrast of ``luma`` (H, W) on [0, 1]: its standard deviation, at most 0.5.

    Source: Peli (1990), "Contrast in complex images", J. Opt. Soc. Am. A 7(10).
    """
    return float(luma.std())


def sharpness(luma: np.ndarray) -> float:
    """Return the variance of the Laplacian of ``luma`` (H, W) on [0, 1], over the pixels with four neighbours.

    The Laplacian is the sum of the four neighbours less four times the pixel. 0 for a picture of fewer than 3 pixels
    across. Source: Pech-Pacheco et al. (2000), "Diatom autofocusing in brightfield microscopy", ICPR, LAPV.
    """
    if min(luma.shape) < 3:
        return 0.0
    inner = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * inner
    return float(laplacian.var())


def size(luma: np.ndarray) -> float:
    """Return the shorter side of ``luma`` (H, W) in pixels."""
    return float(min(luma.shape))


PROPERTIES: dict[str, Callable[[np.ndarray], float]] = {
    "brightness": brightness,
    "contrast": contrast,
    "sharpness": sharpness,
    "size": size,
}
"""Each is a function of the luma (H, W), float64 on [0, 1]."""


def image_properties(image: np.ndarray, names: list[str]) -> list[float]:
    """Return the properties ``names`` of ``image``, uint8 (H, W, 1) or (H, W, 3).

    Raises:
        DataError: it has another shape.
    """
    if image.ndim != 3 or image.shape[2] not in (1, 3) or not image.size:
        raise DataError(f"an image must be (H, W, 1) or (H, W, 3); got {image.shape}.")
    values = image.astype(np.float64) / 255
    luma = values[:, :, 0] if image.shape[2] == 1 else values @ np.array([0.299, 0.587, 0.114])
    return [PROPERTIES[name](luma) for name in names]
