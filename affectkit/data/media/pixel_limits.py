"""Checks before a pixel is decoded: of files that are no images, and of images with more pixels than are allowed."""

from __future__ import annotations

import stat
from pathlib import Path

from PIL import Image

from affectkit.core.pixels import MAX_PIXELS, OPTION, VARIABLE, asked_pixels
from affectkit.errors import DataError


def check_file(path: Path) -> None:
    """Refuse what is not a readable file, before Pillow opens it (a pipe would block)."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise DataError(f"image {path}: {plain_text(error)}.") from error
    if stat.S_ISDIR(status.st_mode):
        raise DataError(f"image {path}: is a folder.")
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"image {path}: is not a regular file.")
    if status.st_size == 0:
        raise DataError(f"image {path}: is empty (0 bytes).")


def pixel_limit(max_pixels: int | None = None) -> int:
    """Return the most pixels that a picture may be decoded to: ``max_pixels``, else what was asked for, else the
    default.

    Where nobody asked, a lower ``Image.MAX_IMAGE_PIXELS`` counts, which a program may have set for all that it reads.
    """
    asked = max_pixels if max_pixels is not None else asked_pixels()
    return asked if asked is not None else min(MAX_PIXELS, Image.MAX_IMAGE_PIXELS or MAX_PIXELS)


def check_size(path: Path, size: tuple[int, int], limit: int) -> None:
    """Raise a DataError where a picture of ``size`` (width, height) has more pixels than ``limit``."""
    width, height = size
    if width * height > limit:
        raise DataError(
            f"image {path}: {width} x {height} pixels are more than the limit of {limit:,} "
            f"({OPTION} or {VARIABLE} raises it)."
        )
    own = Image.MAX_IMAGE_PIXELS
    if own is not None and width * height > max(own, MAX_PIXELS):
        # Asked for: Pillow checks again where it decodes a TIFF or crops, and can be set by its global alone.
        Image.MAX_IMAGE_PIXELS = limit


def is_single_scan(path: Path) -> bool:
    """Return whether a JPEG's first scan holds all its components, in sequence (ITU-T T.81, annex B)."""
    with path.open("rb") as stream:
        stream.seek(2)
        components = -1
        while len(head := stream.read(4)) == 4 and head[0] == 0xFF:
            body = stream.read(max(int.from_bytes(head[2:], "big") - 2, 0))
            if head[1] == 0xDA:
                return body[:1] == bytes([components]) if components > 0 else False
            if head[1] in (0xC0, 0xC1, 0xC9) and len(body) > 5:
                components = body[5]
    return False


def plain_text(error: Exception) -> str:
    """Return an exception as one line without the path, which stands before it."""
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, PermissionError):
        return "may not be read (no permission)"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")
