"""Kinds of picture files: which are read, by what, and what a file is that is not.

A file is recognised by its bytes, not by its name: an ``.heic`` that holds AVIF is read as that. Signatures: RFC 2083
(PNG), ITU-T T.81 (JPEG), ISO/IEC 14496-12 (``ftyp`` boxes: HEIF, AVIF, CR3), TIFF 6.0 and its camera kin.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import struct
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from PIL import Image

from affectkit.core.files import open_file
from affectkit.data.media.pixel_limits import pixel_limit
from affectkit.errors import DataError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")
"""Pillow's names; MPO, what some cameras write, opens as JPEG."""
IMAGE_EXTENSIONS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm",
    ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif",
)  # fmt: skip
RAW_EXTENSIONS = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw",
    ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
"""Camera raw, of which none is read."""
RAW = "camera raw is not read: export it as JPEG or TIFF"
HEIF = 'HEIC is read with pillow-heif: pip install "affectkit[heif]"'
AVIF = "this Pillow was built without AVIF: pip install -U pillow (11.3 or later reads it)"

_PLUGINS = {
    "JPEG": "PIL.JpegImagePlugin", "PNG": "PIL.PngImagePlugin", "WEBP": "PIL.WebPImagePlugin",
    "BMP": "PIL.BmpImagePlugin", "GIF": "PIL.GifImagePlugin", "TIFF": "PIL.TiffImagePlugin",
    "PPM": "PIL.PpmImagePlugin", "JPEG2000": "PIL.Jpeg2KImagePlugin", "AVIF": "PIL.AvifImagePlugin",
    "HEIF": "pillow_heif.HeifImagePlugin",
}  # fmt: skip
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_RAW_STARTS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM", b"II\x1a\0\0\0HEAPCCDR")
_REDUCED, _SUB_PICTURES, _DNG_VERSION = 254, 330, 50706


def open_image(stream: IO[bytes]) -> ImageFile:
    """Return the picture in ``stream``, its header read and nothing decoded; ``stream`` stays open, and the caller's.

    As ``Image.open`` of ``FORMATS``, but without Pillow's warning and error about many pixels, which come before a
    caller can ask for fewer: ``pixel_limits.check_size`` judges them.

    Raises:
        Image.UnidentifiedImageError: it is none of ``FORMATS``. Others: what a decoder makes of damaged bytes.
    """
    prefix = stream.read(16)
    for name in FORMATS:
        if not _available(name):
            continue
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(prefix) is not True:  # False, or why not
            continue
        stream.seek(0)
        try:
            return factory(stream, getattr(stream, "name", ""))
        except (SyntaxError, IndexError, TypeError, struct.error):  # how Pillow's decoders say that it is not theirs
            continue
    raise Image.UnidentifiedImageError("of no known format")


@functools.cache
def _available(name: str) -> bool:
    """Return whether Pillow's decoder of a format is there; imported now, for none is needed before."""
    try:
        importlib.import_module(_PLUGINS[name])
    except ImportError:
        return False
    return name in Image.OPEN


def decoder_of() -> str:
    """Return the versions of what reads images here, and the limit of pixels: one may read what another cannot."""
    return f"{_decoders()}, up to {pixel_limit():,} pixels"


@functools.cache
def _decoders() -> str:
    """Return the versions, for which files of the installation are read."""
    found = [f"Pillow {importlib.metadata.version('pillow')}"]
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found.append(f"pillow-heif {importlib.metadata.version('pillow-heif')}")
    return ", ".join(found)


def refuse_raw(path: Path, image: Image.Image) -> None:
    """Raise a DataError where a file that opens as TIFF is camera raw, whose first picture is but a thumbnail.

    Pillow decodes the first picture of a TIFF. In DNG, NEF, ARW and most of their kin that is a preview of a few
    hundred pixels, which says so (TIFF 6.0, tag 254) and names the others (TIFF technical note 1, tag 330).
    """
    if image.format != "TIFF":
        return
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    with open_file(path) as stream:
        start = stream.read(12)
    thumbnail = tags.get(_REDUCED, 0) & 1 and (_SUB_PICTURES in tags or getattr(image, "n_frames", 1) > 1)
    raw = _DNG_VERSION in tags or start[8:10] == b"CR"
    if raw or thumbnail or is_raw_name(path.name):
        raise DataError(f"image {path}: {RAW}.")


def is_raw_name(name: str) -> bool:
    """Return whether a file name ends like camera raw."""
    return os.path.splitext(name)[1].lower() in RAW_EXTENSIONS


NO_PICTURES = {
    b"pk\x03\x04": "is an archive (zip) or an office document, not a picture: unpack it, or save its pictures",
    b"rar!": "is an archive (rar), not a picture: unpack it first",
    b"7z\xbc\xaf": "is an archive (7z), not a picture: unpack it first",
    b"\x1f\x8b": "is compressed (gzip), not a picture: unpack it first",
    b"%pdf": "is a PDF, not a picture: save its pages as pictures, as pdftoppm -r 150 -png does",
    b"<!doctype html": "is a web page, not a picture: the download gave a page in its place",
    b"<html": "is a web page, not a picture: the download gave a page in its place",
}
"""What is often named in place of a picture, by its first bytes in lower case."""


def describe_file_type(path: Path) -> str:
    """Return why a file cannot be opened as a picture, in words that go on from its name."""
    try:
        with open_file(path) as stream:
            start = stream.read(64)
    except OSError:
        start = b""
    if start.startswith(b"version https://git-lfs"):
        return "is a git-lfs pointer, not the image (fetch it with git lfs pull)"
    for mark, words in NO_PICTURES.items():
        if start.lstrip().lower().startswith(mark):
            return words
    brand = start[8:12] if start[4:8] == b"ftyp" else b""
    if is_raw_name(path.name) or start.startswith(_RAW_STARTS) or brand == b"crx ":
        return RAW
    if brand in (b"avif", b"avis") and not _available("AVIF"):
        return AVIF
    if brand in _HEIF_BRANDS and not _available("HEIF"):
        return HEIF
    readable = ", ".join(name for name in FORMATS if _available(name))
    return f"is not an image of a known format, or its header is damaged; known are {readable}"
