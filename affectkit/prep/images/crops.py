"""Cut boxes out of pictures, as datasets state them: in the pixels of the file, whatever its EXIF block says."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from affectkit.core.files import open_file
from affectkit.core.progress import Reporter
from affectkit.data.layouts.duplicates import file_content_hashes
from affectkit.data.media.image_formats import open_image
from affectkit.data.media.images import decoding_errors, to_rgb_array
from affectkit.data.media.pixel_limits import check_size, pixel_limit
from affectkit.errors import DataError

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, the last two just outside."""
QUALITY = 95
"""Of the JPEG files that hold the boxes; colours are not halved."""
_STEP = 2000


def picture_sizes(paths: Sequence[Path], *, reporter: Reporter) -> list[tuple[int, int] | None]:
    """Return width and height of each picture, which is decoded once to see whether it is whole; None where it is not.

    What is left out must be known before anything is written: splits and the shares of shards follow from it.
    """
    found: list[tuple[int, int] | None] = []
    reporter.start("looking at pictures", len(paths), "pictures")
    with ThreadPoolExecutor(8) as pool:
        for begin in range(0, len(paths), _STEP):
            part = paths[begin : begin + _STEP]
            found += pool.map(_size, part)
            reporter.advance(len(part))
    reporter.finish()
    return found


def clip_box(box: Sequence[float], size: tuple[int, int]) -> Box | None:
    """Return the part of ``box`` (left, top, right, bottom) in a picture of ``size`` (width, height), in whole pixels;
    None where there is none.

    >>> clip_box((-3, 2, 5.5, 40), (10, 20)), clip_box((12, 0, 14, 3), (10, 20))
    ((0, 2, 5, 20), None)
    """
    width, height = size
    left, top, right, bottom = (int(value) for value in box)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    return (left, top, right, bottom) if left < right and top < bottom else None


def cut(path: Path, box: Box) -> bytes:
    """Return the part ``box`` of a picture as a JPEG file in colours, turned upright.

    Raises:
        DataError: the picture cannot be decoded, or has more pixels than are allowed.
    """
    with decoding_errors(path), open_file(path) as stream, open_image(stream) as image:
        check_size(path, image.size, pixel_limit())
        part = to_rgb_array(image.crop(box), str(path))
    if part.shape[2] == 1:
        part = part.repeat(3, axis=2)
    written = io.BytesIO()
    Image.fromarray(part).save(written, "JPEG", quality=QUALITY, subsampling=0)
    return written.getvalue()


def cut_hashes(cuts: Mapping[str, Sequence[tuple[Path, Box | None]]], *, reporter: Reporter) -> dict[str, list[bytes]]:
    """Return what stands for the content of each cut by split, as ``duplicates.find_copies`` asks: of the picture and
    the box, so that two faces of one picture are no copies.
    """
    found = file_content_hashes({split: [path for path, _ in own] for split, own in cuts.items()}, reporter=reporter)
    return {
        split: [key and key + repr(box).encode() for key, (_, box) in zip(found[split], own, strict=True)]
        for split, own in cuts.items()
    }


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with decoding_errors(path), open_file(path) as stream, open_image(stream) as image:
            if image.width * image.height <= pixel_limit():  # more are no damage: ``cut`` says what they are
                image.load()
            return image.size
    except DataError:
        return None
