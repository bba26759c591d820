"""Pictures that a program holds: arrays, tensors and Pillow's images, as a file of the same pixels would be read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from affectkit.core.spec import InputSpec
from affectkit.data.media.images import resize, to_rgb_array
from affectkit.data.media.reduced_decoding import Extent
from affectkit.errors import DataError

SHAPES = "(H, W, 3), (N, H, W, 3), (H, W, 1), (N, H, W, 1) or (H, W)"
SLIP = 0.25
"""How far beyond [0, 1] floats may go that were in it before they were resized."""
TENSOR_SHAPES = "(3, H, W), (N, 3, H, W), (1, H, W), (N, 1, H, W) or (H, W)"


@dataclass(frozen=True, eq=False)
class GivenImage:
    """A picture in memory.

    Attributes:
        name: for messages: the argument, and the place in it.
        pixels: uint8 (H, W, 3) or (H, W, 1), upright.
    """

    name: str
    pixels: np.ndarray

    def fitted(self, spec: InputSpec) -> np.ndarray:
        """Return the image as ``images.load_for_spec`` does: uint8 (spec.height, spec.width, spec.channels)."""
        return resize(_in_channels(self.pixels, spec.channels), spec.height, spec.width, spec.fit)

    def whole(self) -> tuple[np.ndarray, Extent]:
        """Return the image as ``face_crops.read_picture`` does: uint8 (H, W, 3), and that the picture fills it."""
        return _in_channels(self.pixels, 3), Extent(*self.pixels.shape[:2])


def is_image(value: Any) -> bool:
    """Return whether ``value`` is an array of numbers, a tensor or a Pillow image."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "UO"  # of paths
    return _is_tensor(value) or isinstance(value, Image.Image)


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _in_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Repeat gray three times, or reduce colours to the luma, as where files are decoded."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    return np.array(Image.fromarray(pixels).convert("L"))[:, :, None]


def given_images(value: Any, name: str) -> Iterator[GivenImage]:
    """Yield the pictures in ``value``: one of a Pillow image, one or N of an array or a tensor.

    Arrays have channels last, tensors channels first, as NumPy and torch have them. Values are uint8, or floats in
    [0, 1], which are rounded to 255ths, as a file would hold them. Of a Pillow image the EXIF orientation is applied,
    and transparency is laid on white.

    Raises:
        DataError: another shape or type, an empty array, values that are no picture's.
    """
    if isinstance(value, Image.Image):
        yield GivenImage(name, to_rgb_array(value, name))
        return
    if _is_tensor(value):
        array = _last(value.detach().cpu().resolve_conj().resolve_neg(), name)
    else:
        array = value if value.ndim != 2 else value[:, :, None]
        if array.ndim not in (3, 4) or array.shape[-1] not in (1, 3):
            turned = array.ndim in (3, 4) and array.shape[-3] in (1, 3)
            raise DataError(
                f"{name}: an array of shape {value.shape}; it must be {SHAPES}.",
                f"Move the channels last: np.moveaxis({name}, -3, -1)." if turned else _next(value.shape),
            )
    if 0 in array.shape:
        raise DataError(f"{name}: an array of shape {value.shape} holds no pixel.", "Leave it out.")
    several = array.ndim == 4
    for place, picture in enumerate(array if several else array[None]):
        own = f"{name}[{place}]" if several else name
        yield GivenImage(own, _in_255ths(picture, own))


def _last(tensor: Any, name: str) -> np.ndarray:
    """Return a tensor's pictures with channels last."""
    shape = tuple(tensor.shape)
    if tensor.dim() == 2:
        tensor = tensor[None]
    if tensor.dim() not in (3, 4) or tensor.shape[-3] not in (1, 3):
        turned = tensor.dim() in (3, 4) and tensor.shape[-1] in (1, 3)
        raise DataError(
            f"{name}: a tensor of shape {shape}; it must be {TENSOR_SHAPES}.",
            f"Move the channels first: {name}.movedim(-1, -3)." if turned else _next(shape),
        )
    if str(tensor.dtype) in ("torch.bfloat16", "torch.float16"):
        tensor = tensor.float()
    return tensor.movedim(-3, -1).numpy()


def _next(shape: tuple[int, ...]) -> str:
    if len(shape) in (3, 4) and 4 in (shape[-1], shape[-3]):
        return "Lay transparency on a colour first, or give a Pillow image, of which it is laid on white."
    return "Give pictures one by one, or with a channel axis of 1 (gray) or 3 (RGB)."


def _in_255ths(picture: np.ndarray, name: str) -> np.ndarray:
    """Return uint8 of uint8 or of floats in [0, 1], C-contiguous and writable."""
    if picture.dtype == np.uint8:
        return np.require(picture, requirements=("C", "W"))  # a copy where it may not be written: torch warns of such
    if picture.dtype.kind != "f":
        raise DataError(
            f"{name}: values of type {picture.dtype}; they must be uint8, or floats in [0, 1].",
            "Black and white is pixels * numpy.uint8(255)."
            if picture.dtype.kind == "b"
            else "Convert them: pixels.astype(numpy.uint8), where they lie in [0, 255].",
        )
    low, high = float(picture.min()), float(picture.max())
    if not low >= 0 or not high <= 1:  # NaN is neither
        told = "NaN or infinity" if not np.isfinite(picture).all() else f"values from {low:.9g} to {high:.9g}"
        hint = "Divide by 255." if low >= 0 and 2 < high <= 255 else "Give the picture before it is normalised."
        if low >= -SLIP and high <= 1 + SLIP:  # divided by 255, all would be black
            hint = "Where a resize or rounding went beyond, clip it: pixels.clip(0, 1)."
        raise DataError(f"{name}: holds {told}; floats must lie in [0, 1].", hint)
    return np.rint(picture.astype(np.float64) * 255).astype(np.uint8)
