"""Images that keep what they are: format, depth, channels and size survive being read, augmented and written.

``LosslessImage.notes`` says what cannot survive: colours of a palette become RGB (a GIF is quantised again), CMYK
becomes RGB, of an animation the first frame is kept. The EXIF orientation is applied, and EXIF data are dropped, so
that a copy is upright by itself; an ICC profile is kept.
"""

from __future__ import annotations

import errno
import io
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, JpegImagePlugin

from affectkit.core.files import digest_bytes
from affectkit.data.media.image_formats import open_image, refuse_raw
from affectkit.data.media.images import decoding_errors, orientation_of
from affectkit.data.media.pixel_limits import check_file, check_size, pixel_limit
from affectkit.errors import DataError, UsageError
from affectkit.prep.augmentation.jpeg_headers import read_plain_header
from affectkit.prep.augmentation.specification import FULL

if TYPE_CHECKING:
    from affectkit.prep.augmentation.pipeline import Pipeline

QUALITY = 95
PNG_LEVEL = 3  # half the time of zlib's 6, a sixth more bytes (faces of 96 pixels)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
_EIGHT_BITS = {
    "1": "L", "L": "L", "LA": "LA", "La": "LA", "P": "RGB", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA", "RGBa": "RGBA",
    "RGBX": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB",
}  # fmt: skip
_FACTORS = {0: 0x111111, 1: 0x211111, 2: 0x221111}
"""OpenCV's names of Pillow's chroma subsamplings."""
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_ALPHA_FORMATS = ("PNG", "WEBP", "TIFF", "GIF", "JPEG2000", "AVIF", "HEIF")
# EXIF orientation as (transpose, flip up-down, flip left-right) of the stored rows and columns.
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


@dataclass(frozen=True, eq=False)
class LosslessImage:
    """Hold an image as it was read, upright, with what is needed to write another like it.

    Args:
        pixels: uint8 or uint16, C-contiguous: (H, W) gray, (H, W, 2) gray and alpha, (H, W, 3) RGB, (H, W, 4) RGBA.
        format: Pillow's name of the file format, one of ``data.media.image_formats.FORMATS``.
        notes: what the pixels are that the file was not ("8-bit palette read as RGB"); empty where nothing was lost.
        options: for Pillow's encoder: an ICC profile, chroma subsampling, losslessness.
        tables: a JPEG's quantisation tables; empty elsewhere.
    """

    pixels: np.ndarray
    format: str
    notes: tuple[str, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    tables: tuple[tuple[int, ...], ...] = ()


def read_lossless(path: Path, *, max_pixels: int | None = None) -> LosslessImage:
    """Read an image with its own depth and channels; its format shows in its bytes, not in its name.

    Args:
        max_pixels: largest width x height, judged by the header before a pixel is decoded; None: what ``core.pixels``
            says.

    Raises:
        DataError: the file is missing, not an image, damaged, cut short, too large, or of a kind that has no 8-bit or
            16-bit meaning (float, 32-bit, CIE Lab).
    """
    path = Path(path)
    with decoding_errors(path):
        check_file(path)
        data, limit = path.read_bytes(), pixel_limit(max_pixels)
        if (plain := _plain_jpeg(data, limit)) is not None:
            return plain
        with open_image(io.BytesIO(data)) as image:
            refuse_raw(path, image)
            check_size(path, image.size, limit)
            turn = image.format != "TIFF"  # Pillow turns a TIFF itself
            deep = _deep(path, image)
            image.load()
            pixels, notes = _from_file(path, deep) if deep else _from_pillow(path, image)
            # After load: a PNG may carry its EXIF behind the pixels.
            pixels = _upright(pixels, orientation_of(image) if turn else 1)
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                notes = (*notes, f"the first of {image.n_frames} frames was taken")
            kind = "JPEG" if image.format == "MPO" else str(image.format)
            options, tables = _encoding(path, image, kind)
    return LosslessImage(pixels, kind, notes, options, tables)


def write_lossless(path: Path, pixels: np.ndarray, original: LosslessImage, *, quality: int | None = QUALITY) -> bytes:
    """Write ``pixels`` in the format of ``original``; the same pixels give the same bytes.

    PNG, BMP, TIFF, PPM and JPEG 2000 are lossless, and a lossless WebP stays so. Nothing is flushed, and a kill can
    leave a part under the name: flushing each of many small files costs three times their making (5 ms of 7 here), so a
    caller keeps a record of what was made, makes again what it lacks, and flushes the file system once, before its
    manifest.

    Args:
        path: the file; its name is not used.
        pixels: as ``LosslessImage.pixels``.
        original: what the copy is to be like.
        quality: of a JPEG, a lossy WebP, AVIF or HEIC, 1 to 100; None takes a JPEG's own quantisation tables, and 95
            for the others.

    Returns:
        What was written.

    Raises:
        UsageError: ``quality`` is out of range.
        DataError: the format cannot hold these pixels.
    """
    data = encode_lossless(pixels, original, quality=quality)
    path = Path(path)
    try:
        stream = os.open(path, _NEW, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = os.open(path, _NEW, 0o666)
    try:
        try:
            if os.write(stream, data) != len(data):  # the disk took a part alone
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        finally:
            os.close(stream)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return data


def augment_many(
    source: Path,
    targets: Sequence[tuple[Path, int]],
    pipeline: Pipeline,
    *,
    seed: int,
    name: str,
    quality: int | None = QUALITY,
) -> tuple[list[str], tuple[str, ...]]:
    """Write augmented copies of one image, which is decoded once.

    Args:
        targets: (file to write, draw number) of each copy; a file that is there is replaced.
        seed: of the run.
        name: the image's identity, such as ``class/file``: with seed and draw it fixes the bytes.
        quality: as ``write_lossless``.

    Returns:
        The content hash of each copy (``files.digest_of``), and what the copies do not keep of the original, in
        phrases: none for all but palettes, CMYK, 1-bit images and animations.

    Raises:
        DataError: the source cannot be read, or the pipeline cannot take it.
        UsageError: ``quality`` is out of range.
    """
    _check_quality(quality)
    original, digests = read_lossless(source), []
    for target, draw in targets:
        pixels = pipeline.apply(original.pixels, seed=seed, name=name, draw=draw)
        digests.append(digest_bytes(write_lossless(target, pixels, original, quality=quality)))
    return digests, original.notes


# --- reading ---------------------------------------------------------------------------------------------------------


def _plain_jpeg(data: bytes, max_pixels: int) -> LosslessImage | None:
    """Decode a whole JPEG without metadata by OpenCV: what Pillow gives, in half of the time; else None.

    OpenCV fills what a cut file lacks with gray, without a word, so a file must end as a JPEG does.
    """
    header = read_plain_header(data)
    if header is None or header.width * header.height > max_pixels:
        return None
    import cv2

    way = cv2.IMREAD_COLOR if header.channels == 3 else cv2.IMREAD_GRAYSCALE
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), way | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        return None
    if header.channels == 3:
        cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    options = (("subsampling", header.sampling),) if header.sampling is not None else ()
    return LosslessImage(pixels, "JPEG", (), options, header.tables)


def _deep(path: Path, image: Image.Image) -> str:
    """Return the mode of a file with 16 bits in each of several channels, which Pillow would cut to 8; else ""."""
    if image.format == "PNG":
        with path.open("rb") as stream:
            header = stream.read(26)
        return {2: "RGB", 4: "LA", 6: "RGBA"}.get(header[25], "") if header[24] == 16 else ""
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
        return image.mode if len(bits) > 1 and max(bits) > 8 else ""
    if image.format == "PPM" and image.mode == "RGB":
        with path.open("rb") as stream:
            return "RGB" if any(int(word) > 255 for word in _ppm_words(stream.read(1024))[3:4]) else ""
    return ""


def _ppm_words(data: bytes) -> list[bytes]:
    """Split the first words of a PNM header, comments left out: magic, width, height, largest value."""
    return b" ".join(line.split(b"#")[0] for line in data.split(b"\n")).split()[:4]


def _from_file(path: Path, mode: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Decode 16 bits per channel by OpenCV; Pillow has decoded the file before, and so vouches that it is whole."""
    import cv2

    data = np.frombuffer(path.read_bytes(), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise DataError(f"image {path}: this kind of 16-bit {mode} image cannot be read; RGB and RGBA can.")
    pixels = pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]
    if mode == "LA":
        pixels = pixels[:, :, [0, 3]]
    return np.ascontiguousarray(pixels), ()


def _from_pillow(path: Path, image: Image.Image) -> tuple[np.ndarray, tuple[str, ...]]:
    mode, notes = image.mode, ()
    clear = "transparency" in image.info
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):  # Pillow's ways with 16-bit gray
        lost = ("the one value that stood for transparent is opaque now",) if clear else ()
        return np.array(image).astype(np.uint16), lost
    wanted = _EIGHT_BITS.get(mode)
    if clear and wanted in ("L", "RGB"):
        wanted += "A"
    if mode in ("P", "PA"):
        notes = (f"a palette was read as {wanted}",)
    elif mode in ("CMYK", "YCbCr", "HSV"):
        notes = (f"{mode} was read as RGB",)
    elif mode == "1":
        notes = ("1 bit a pixel was read as 8-bit gray",)
    if wanted is None:
        raise DataError(
            f"image {path}: pixels of mode {mode} cannot be augmented.",
            "Convert it to 8 or 16 bits, gray or RGB, or leave it out.",
        )
    return np.array(image if mode == wanted else image.convert(wanted), dtype=np.uint8, order="C"), notes


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    swap, upside, mirror = _TURNS[orientation]
    if swap:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if upside else 1, :: -1 if mirror else 1])


def _encoding(
    path: Path, image: Image.Image, kind: str
) -> tuple[tuple[tuple[str, Any], ...], tuple[tuple[int, ...], ...]]:
    """Find (encoder options, quantisation tables) with which the file seems to have been written."""
    options: dict[str, Any] = {}
    tables: tuple[tuple[int, ...], ...] = ()
    profile = image.info.get("icc_profile")
    if profile and kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF") and image.mode != "CMYK":
        options["icc_profile"] = profile
    if kind == "JPEG":
        sampling = JpegImagePlugin.get_sampling(image) if image.mode in ("RGB", "YCbCr") else -1  # type: ignore[arg-type]
        if sampling >= 0:
            options["subsampling"] = sampling
        found = image.quantization  # type: ignore[attr-defined]
        tables = tuple(tuple(found[key]) for key in sorted(found))
    if kind == "WEBP":
        options["lossless"] = _lossless_webp(path)
    if kind == "JPEG2000":
        options["no_jp2"] = getattr(image, "codec", "jp2") == "j2k"  # a bare codestream stays one
    if kind == "TIFF" and image.info.get("compression") in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        options["compression"] = image.info["compression"]
    return tuple(options.items()), tables


def _lossless_webp(path: Path) -> bool:
    """Return whether the first chunk with pixels is VP8L."""
    data = path.read_bytes()
    place = 12
    while place + 8 <= len(data):
        chunk, size = data[place : place + 4], struct.unpack("<I", data[place + 4 : place + 8])[0]
        if chunk in (b"VP8L", b"VP8 "):
            return chunk == b"VP8L"
        place += 24 if chunk == b"ANMF" else 8 + size + size % 2  # a frame holds chunks of its own
    return False


# --- writing ---------------------------------------------------------------------------------------------------------


def _check_quality(quality: int | None) -> None:
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality must be from 1 to 100, got {quality}.", "95 is the default.")


def encode_lossless(pixels: np.ndarray, original: LosslessImage, *, quality: int | None = QUALITY) -> bytes:
    """Encode ``pixels`` as ``write_lossless`` writes them."""
    _check_quality(quality)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    kind = original.format
    if pixels.dtype.name not in FULL or channels not in _MODES:
        raise DataError(f"pixels of type {pixels.dtype} and shape {pixels.shape} cannot be written as {kind}.")
    if channels in (2, 4) and kind not in _ALPHA_FORMATS + (("BMP",) if channels == 4 else ()):
        raise DataError(f"a {kind} file holds no alpha channel.")
    if pixels.dtype == np.uint16 and channels > 1:
        return _encode_deep(pixels, kind)
    if pixels.dtype == np.uint16 and kind not in ("PNG", "TIFF", "PPM", "JPEG2000"):
        raise DataError(f"a {kind} file holds 8 bits a channel, not 16.")
    options = dict(original.options)
    if kind == "JPEG":
        own = quality is None and original.tables
        options |= {"qtables": original.tables} if own else {"quality": quality or QUALITY}
    elif kind == "WEBP":
        # `quality` is the effort of a lossless file; `exact` keeps the colours below full transparency.
        options |= {"quality": 80, "exact": True} if options.get("lossless") else {"quality": quality or QUALITY}
    elif kind == "PNG":
        options["compress_level"] = PNG_LEVEL
    elif kind in ("AVIF", "HEIF"):
        options["quality"] = quality or QUALITY
    if kind == "JPEG" and (data := _encode_plain(pixels, options)) is not None:
        return data
    image = Image.fromarray(pixels)
    if kind == "GIF":
        image = image if channels == 1 else image.convert("RGBA" if channels in (2, 4) else "RGB")
    stream = io.BytesIO()
    if kind not in Image.SAVE:
        raise DataError(f"a {kind} file cannot be written: the codec here reads alone.", "Convert them to PNG first.")
    image.save(stream, kind, **options)
    return stream.getvalue()


def _encode_plain(pixels: np.ndarray, options: dict[str, Any]) -> bytes | None:
    """Encode a JPEG by OpenCV: Pillow's bytes in half of the time; None where more than this is asked."""
    import cv2

    gray = pixels.ndim == 2
    if options.keys() - {"quality", "subsampling"} or "quality" not in options or gray == ("subsampling" in options):
        return None
    asked = [cv2.IMWRITE_JPEG_QUALITY, options["quality"]]
    if not gray:
        asked += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _FACTORS[options["subsampling"]]]
    done, data = cv2.imencode(".jpg", pixels if gray else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), asked)
    return data.tobytes() if done else None


def _encode_deep(pixels: np.ndarray, kind: str) -> bytes:
    """Encode 16 bits in each of several channels, which Pillow cannot write."""
    import cv2

    if kind == "PNG":
        return _png(pixels)
    suffix = {"TIFF": ".tiff", "PPM": ".ppm"}.get(kind)
    if suffix is None or pixels.shape[2] == 2:
        raise DataError(f"{pixels.shape[2]} channels of 16 bits cannot be written as {kind}.")
    done, data = cv2.imencode(suffix, pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]])
    if not done:
        raise DataError(f"OpenCV cannot write 16-bit pixels of shape {pixels.shape} as {kind}.")
    return data.tobytes()


def _png(pixels: np.ndarray) -> bytes:
    """Encode a PNG of 16 bits per channel: OpenCV writes no gray with alpha, and its compression differs by version."""
    import zlib

    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    ahead = np.zeros_like(rows)
    ahead[:, 2 * channels :] = rows[:, : -2 * channels]
    filtered = np.column_stack([np.ones(height, np.uint8), rows - ahead])  # filter 1: difference to the pixel before
    colour = {2: 4, 3: 2, 4: 6}[channels]
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(filtered.tobytes(), PNG_LEVEL)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data
