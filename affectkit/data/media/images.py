"""Image files to arrays: the header is judged before a pixel is decoded, and a bad file is one clear error."""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from affectkit.core.files import open_file
from affectkit.core.spec import FITS, InputSpec
from affectkit.data.media.image_formats import IMAGE_EXTENSIONS, describe_file_type, open_image, refuse_raw
from affectkit.data.media.pixel_limits import check_file, check_size, is_single_scan, pixel_limit, plain_text
from affectkit.data.media.reduced_decoding import Box, Extent, pixels_at, scale_for
from affectkit.errors import DataError, UsageError

DECODING = 2
"""Raised when ``load_for_spec`` gives other pixels for a file than before: computed values are cached under it."""

Part = Callable[[int, int], Box]
"""The box to take of an image of (height, width)."""
Wanted = Callable[[int, int], tuple[float, float]]
"""The least (height, width) to decode an upright JPEG of (height, width) at."""
IMAGENET = (256, 224)
"""The shorter side that ImageNet's images are resized to for evaluation, and the side of the square that is cut out."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: Path, *, channels: int = 3, max_pixels: int | None = None) -> np.ndarray:
    """Return the image in a file, upright, uint8 (H, W, channels) in [0, 255], C-contiguous and writable.

    The EXIF orientation is applied, transparency is laid on white, 16-bit gray is brought to 8 bits (value / 257,
    rounded), a float image in [0, 1] is scaled by 255, and of an animation the first frame is taken.

    Args:
        path: a file of one of ``image_formats.FORMATS``, recognised by its bytes and not by its name.
        channels: 3 (RGB) or 1 (gray, ITU-R 601-2 luma).
        max_pixels: largest width x height; None: what ``core.pixels`` says.

    Raises:
        DataError: the file is missing, not an image, damaged, too large, or of a kind that has no 8-bit meaning.
    """
    return read_reduced(path, None, channels=channels, max_pixels=max_pixels)[0]


def read_reduced(
    path: Path,
    wanted: Wanted | None,
    *,
    channels: int = 3,
    max_pixels: int | None = None,
    luma: bool = False,
    stream: IO[bytes] | None = None,
) -> tuple[np.ndarray, Extent]:
    """Return ``read_image``, of a JPEG at 1/2, 1/4 or 1/8 where that suffices; and where the picture lies in the array.

    Args:
        wanted: gives the least size to decode at; called for JPEGs alone, others are decoded whole. A JPEG of more
            than ``max_pixels`` may be decoded smaller than this.
        luma: whether gray suffices: one channel of what is gray, and of a JPEG that is larger than ``wanted`` the luma
            alone, in a quarter of the time. Where colours saturate it is off by a few levels from that of the colours.
        stream: the bytes of the file, where they have been read already.

    Raises:
        DataError: as ``read_image``.
    """
    if channels not in (1, 3):
        raise UsageError(f"channels must be 1 or 3, got {channels}.")
    path = Path(path)
    with decoding_errors(path):
        picture, extent = _open(path, channels=channels, max_pixels=max_pixels, wanted=wanted, luma=luma, stream=stream)
        return _to_array(picture, 1 if luma and picture.mode == "L" else channels), extent


def resize(image: np.ndarray, height: int, width: int, fit: str, *, extent: Extent | None = None) -> np.ndarray:
    """Return ``image`` at (height, width), antialiased bilinear; the same bytes where it has that size already.

    Args:
        image: uint8 (H, W, C) with C 1 or 3.
        height, width: new size in pixels.
        fit: one of ``core.spec.FITS``: "stretch", "crop" (shorter side fitted, centre cut out), "imagenet" (7/8 of
            that) or "pad" (longer side fitted, the rest black).
        extent: where the picture lies in ``image``, as ``read_reduced`` reported; None: it fills it.
    """
    _check_fit(fit)
    extent = extent or Extent(*image.shape[:2])
    if extent.scale == 1 and image.shape[:2] == (height, width) and fit != "imagenet":
        return image
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    return _to_array(_resized(picture, extent, height, width, fit), image.shape[2])


def load_for_spec(
    path: Path, spec: InputSpec, *, part: Part | None = None, max_pixels: int | None = None
) -> np.ndarray:
    """Return the image in ``path`` as a model takes it: uint8 (spec.height, spec.width, spec.channels), C-contiguous.

    Args:
        part: the box of the whole image that is resized to the input size, antialiased bilinear, in one pass; None:
            what ``spec.fit`` says.
        max_pixels: largest width x height, of a JPEG those of the size at which it is decoded; None: what
            ``core.pixels`` says.

    Raises:
        DataError: as ``read_image``.
    """
    _check_fit(spec.fit)
    path = Path(path)
    height, width = spec.height, spec.width
    if part is None and spec.fit == "imagenet":
        part = functools.partial(_imagenet, height, width)

    def wanted(old_height: int, old_width: int) -> tuple[float, float]:
        if part is None:
            # Twice the size that is needed: the last halving is left to the antialiased resize, which shows no
            # difference.
            return 2 * height, 2 * width
        left, top, right, bottom = part(old_height, old_width)
        # Four times the size that is needed, or more: published accuracies were measured on fully decoded images, and
        # at twice the size pixels would differ from those by 1.3 of 255 in the mean, at four times by 0.4.
        return old_height * 4 * height / (bottom - top), old_width * 4 * width / (right - left)

    with decoding_errors(path):
        picture, extent = _open(path, channels=spec.channels, max_pixels=max_pixels, wanted=wanted)
        # A gray picture is resized as one channel: the three would come out the same.
        if part is None:
            picture = _resized(picture, extent, height, width, spec.fit)
        else:
            picture = _cut(picture, height, width, extent.inner(part(extent.height, extent.width)))
        return _to_array(picture, spec.channels)


def to_rgb_array(image: Image.Image, name: str) -> np.ndarray:
    """Return the pixels of a Pillow image as ``read_image`` gives those of a file: uint8 (H, W, 3), gray (H, W, 1),
    upright.

    Raises:
        DataError: they have no 8-bit meaning, or the file that it was opened from is damaged.
    """
    path = Path(name)
    with decoding_errors(path):
        image.load()
        turn = _TURNS.get(orientation_of(image))
        picture = _to_eight_bits(path, image, "RGB")
        picture = picture if turn is None else picture.transpose(turn)
        return _to_array(picture, 1 if picture.mode == "L" else 3)


def _check_fit(fit: str) -> None:
    if fit not in FITS:
        raise UsageError(f"fit must be one of {', '.join(FITS)}, got {fit!r}.")


@contextlib.contextmanager
def decoding_errors(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises inside into a DataError that names ``path``."""
    try:
        yield
    except DataError:
        raise
    # A decoder fed with damaged bytes fails in any way there is: each is a fault of the file, not of the program.
    except Exception as error:
        raise DataError(_reason(path, error)) from error


def _open(
    path: Path,
    *,
    channels: int,
    max_pixels: int | None,
    wanted: Wanted | None,
    luma: bool = False,
    stream: IO[bytes] | None = None,
) -> tuple[Image.Image, Extent]:
    """Return the picture in a file, upright: mode "L", or "RGB" where it has colour and ``channels`` is 3; where it
    lies.
    """
    check_file(path)
    limit = pixel_limit(max_pixels)
    with open_file(path) if stream is None else contextlib.nullcontext(stream) as opened, open_image(opened) as image:
        refuse_raw(path, image)
        size, scale = image.size, 1
        if wanted is not None and image.format in ("JPEG", "MPO"):
            scale = _reduce(image, wanted, limit, luma)
        if scale == 1 or pixels_at(size, 1) <= limit or not is_single_scan(path):
            # What comes in several scans, as progressive files do, is held whole, whatever the size it ends at.
            check_size(path, size, limit)
        else:
            check_size(path, image.size, limit)
        picture, orientation = _loaded(path, image, channels)
        return picture, Extent.of(size if scale > 1 else image.size, scale, orientation)


def _loaded(path: Path, image: Image.Image, channels: int) -> tuple[Image.Image, int]:
    """Return the picture that ``image`` stands at, decoded and upright, and the orientation that it had."""
    image.load()
    # After load: TIFF has been turned by Pillow by now, and a PNG may carry its EXIF behind the pixels.
    orientation = orientation_of(image)
    turn = _TURNS.get(orientation)
    picture = _to_eight_bits(path, image, "RGB" if channels == 3 else "L")
    return (picture if turn is None else picture.transpose(turn)), orientation


def frame_pixels(path: Path, image: Image.Image) -> np.ndarray:
    """Return the frame that ``image``, of the file ``path``, stands at: uint8 (H, W, 3), as ``read_image`` gives the
    first.

    Raises:
        DataError: it has more pixels than are allowed. Others: what a decoder makes of damaged bytes.
    """
    check_size(path, image.size, pixel_limit())
    return _to_array(_loaded(path, image, 3)[0], 3)


def _reduce(image: Image.Image, wanted: Wanted, limit: int, luma: bool) -> int:
    """Set a JPEG to be decoded as small as ``wanted`` allows, of its upright size; returns the scale.

    Args:
        luma: whether its luma alone is decoded where it is larger than ``wanted``.
    """
    width, height = image.size
    lying = orientation_of(image) >= 5
    least = wanted(width, height) if lying else wanted(height, width)[::-1]
    scale = scale_for((width, height), (math.ceil(least[0]), math.ceil(least[1])), limit)
    # Pillow takes a size, and of 1, 2, 4 and 8 the largest scale at which both sides are as long: this one, as
    # width // (width // scale) is below twice the scale.
    luma = luma and max(least) < max(width, height)
    if scale == 1 and not luma:
        return 1
    if image.draft("L" if luma else None, (max(width // scale, 1), max(height // scale, 1))) is None:
        return 1
    return scale


def _resized(picture: Image.Image, extent: Extent, height: int, width: int, fit: str) -> Image.Image:
    """Return what ``extent`` says of ``picture``, of mode "L" or "RGB", at (height, width); itself where that is its
    size.
    """
    old_height, old_width = extent.height, extent.width
    if extent.scale == 1 and (old_height, old_width) == (height, width) and fit != "imagenet":
        return picture
    bilinear = Image.Resampling.BILINEAR
    if fit == "imagenet":
        return _cut(picture, height, width, extent.inner(_imagenet(height, width, old_height, old_width)))
    if fit == "crop":
        box = extent.inner(_centre(height, width, 1, old_height, old_width))
        return picture.resize((width, height), bilinear, box=box)
    if fit == "stretch":
        return picture.resize((width, height), bilinear, box=extent.box)
    scale = min(height / old_height, width / old_width)
    inner = min(max(round(old_width * scale), 1), width), min(max(round(old_height * scale), 1), height)
    canvas = Image.new(picture.mode, (width, height))
    made = picture.resize(inner, bilinear, box=extent.box)
    canvas.paste(made, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return canvas


def _centre(height: int, width: int, share: float, old_height: int, old_width: int) -> Box:
    """Return ``share`` of the sides of the largest centred box in the old image that has the aspect ratio of the new
    size.

    Cut and scaled in one pass, nothing is rounded to whole pixels.
    """
    scale = max(height / old_height, width / old_width) / share
    left, top = (old_width - width / scale) / 2, (old_height - height / scale) / 2
    return max(left, 0), max(top, 0), min(old_width - left, old_width), min(old_height - top, old_height)


def _imagenet(height: int, width: int, old_height: int, old_width: int) -> Box:
    """Return the box that becomes the input when ImageNet is evaluated, of an image that is to be (height, width).

    For a square input it is the very square of the usual way, resize to 256 and crop 224, with its rounding to whole
    pixels of the resized image; for others the middle 7/8 of what "crop" takes.
    """
    shorter, side = IMAGENET
    if height != width:
        return _centre(height, width, side / shorter, old_height, old_width)
    least = min(old_height, old_width)
    edges = []
    for old in (old_width, old_height):
        resized = shorter * old // least
        begin = round((resized - side) / 2)
        edges.append((begin * old / resized, (begin + side) * old / resized))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def _cut(picture: Image.Image, height: int, width: int, box: Box) -> Image.Image:
    """Return ``box`` of ``picture`` at (height, width); pixels beyond it take no part, as if it had been cut out
    before.
    """
    left, top, right, bottom = box
    across, down = math.floor(left), math.floor(top)
    inner = picture.crop((across, down, min(math.ceil(right), picture.width), min(math.ceil(bottom), picture.height)))
    box = (left - across, top - down, min(right - across, inner.width), min(bottom - down, inner.height))
    return inner.resize((width, height), Image.Resampling.BILINEAR, box=box)


def _to_array(picture: Image.Image, channels: int) -> np.ndarray:
    """Return uint8 (H, W, channels) of a picture of mode "L" or "RGB", C-contiguous and writable."""
    array = np.array(picture, dtype=np.uint8, order="C")
    if array.ndim == 3:
        return array
    array = array[:, :, None]
    return array if channels == 1 else np.repeat(array, 3, axis=2)


def is_image_name(name: str) -> bool:
    """Return whether a file name ends like an image's."""
    return os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none or where the EXIF block is damaged."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged metadata are no reason to lose a whole image
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _to_eight_bits(path: Path, image: Image.Image, mode: str) -> Image.Image:
    """Return ``image`` in mode "RGB" or "L"; a gray one stays "L" whatever ``mode`` says."""
    if image.mode == "F":
        return _from_float(path, np.asarray(image))
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_integers(path, np.asarray(image))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _on_white(image).convert(mode)
    wanted = "L" if image.mode in ("1", "L") else mode
    return image if image.mode == wanted else image.convert(wanted)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    layered = image if image.mode == "RGBA" else image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)


def _from_integers(path: Path, values: np.ndarray) -> Image.Image:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise DataError(f"image {path}: gray values from {low} to {high}; integer images must hold 0 to 65535.")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _from_float(path: Path, values: np.ndarray) -> Image.Image:
    if not np.isfinite(values).all():
        raise DataError(f"image {path}: holds NaN or infinity; float images must hold 0 to 1.")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise DataError(f"image {path}: values from {low:g} to {high:g}; float images must hold 0 to 1.")
    return Image.fromarray(np.rint(values * 255).astype(np.uint8))


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return f"image {path}: {describe_file_type(path)}."
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"image {path}: has more pixels than the limit ({plain_text(error)})."
    if isinstance(error, MemoryError):
        return f"image {path}: too large for this machine's memory."
    if isinstance(error, PermissionError):
        return f"image {path}: {plain_text(error)}."
    return f"image {path}: is damaged or cut short ({plain_text(error)})."
