"""Small pictures of originals as data addresses: faces cut out, whole pictures, frames of films."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from affectkit.core.process import count_processors
from affectkit.data.media.animation_stream import open_stream
from affectkit.data.media.file_kinds import is_video_name
from affectkit.data.media.images import read_reduced
from affectkit.data.media.reduced_decoding import Extent
from affectkit.errors import DataError

FACE, WHOLE, FRAME = 112, 176, 320
"""Longest side in pixels of a face, a whole picture and a frame."""
AROUND = 0.18
"""Shown around a face's box, of its sides, on each side."""
BUDGET = 2_600_000
"""Bytes that the pictures of a part take at most: with those of films (``videos``) a page stays below 5 MB."""
QUALITY = 68
TOGETHER = 200
"""Pictures that are asked for at a time."""

Box = tuple[float, float, float, float]
"""Left, top, width and height in pixels of the upright picture."""


@dataclass(frozen=True)
class Wanted:
    """A picture that a page asks for.

    Attributes:
        key: what the page knows it by.
        path: the file.
        box: of a face; None: the whole picture.
    """

    key: Any
    path: Path
    box: Box | None = None


def data_address(pixels: np.ndarray, side: int, *, quality: int = QUALITY) -> str:
    """Return ``pixels``, uint8 (H, W, C) with C 1 or 3, as a WebP of at most ``side`` pixels in a data address."""
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS if max(picture.size) > side else Image.Resampling.NEAREST)
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=quality, method=2)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def draw_pictures(wanted: Iterable[Wanted], *, budget: int = BUDGET) -> Iterator[tuple[Any, str | None]]:
    """Yield the key of each wanted picture and its data address; None where the file cannot be read.

    They come ``TOGETHER`` at a time, in the order in which they are wanted, until ``budget`` bytes are reached; among
    these a file is decoded once, a JPEG no larger than needed.
    """
    used, threads = 0, min(count_processors(), 4)
    with ThreadPoolExecutor(threads) as pool:
        for group in _in_groups(wanted, TOGETHER):
            for found in pool.map(_of_file, _by_file(group)):
                for key, address in found:
                    used += len(address or "")
                    if used > budget:
                        return
                    yield key, address


def _by_file(wanted: Iterable[Wanted]) -> list[list[Wanted]]:
    found: dict[Path, list[Wanted]] = {}
    for one in wanted:
        found.setdefault(one.path, []).append(one)
    return list(found.values())


def _in_groups(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    held: list[Any] = []
    for item in items:
        held.append(item)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def _of_file(wanted: Sequence[Wanted]) -> list[tuple[Any, str | None]]:
    """Return the pictures of one file."""

    def least(height: int, width: int) -> tuple[float, float]:
        shares = [max(one.box[2], one.box[3]) / FACE if one.box else max(height, width) / WHOLE for one in wanted]
        scale = max(min(shares), 1.0)
        return height / scale, width / scale

    path = wanted[0].path
    try:
        if is_video_name(path.name):  # a clip that was predicted whole: its first picture stands for it
            pixels = next(iter(open_stream(path))).pixels
            extent = Extent(*pixels.shape[:2])
        else:
            pixels, extent = read_reduced(path, least)
    except (DataError, OSError, StopIteration):
        return [(one.key, None) for one in wanted]
    found: list[tuple[Any, str | None]] = []
    for one in wanted:
        if one.box is None:
            found.append((one.key, data_address(pixels, WHOLE)))
            continue
        left, top, width, height = one.box
        more = (AROUND * width, AROUND * height)
        edges = extent.inner((left - more[0], top - more[1], left + width + more[0], top + height + more[1]))
        part = crop(pixels, edges)
        found.append((one.key, None if part is None else data_address(part, FACE)))
    return found


def crop(pixels: np.ndarray, edges: Box) -> np.ndarray | None:
    """Return what lies within ``edges`` (left, top, right, bottom) of an array (H, W, C); None where nothing does."""
    left, top, right, bottom = edges
    height, width = pixels.shape[:2]
    columns = slice(max(int(left), 0), min(int(np.ceil(right)), width))
    rows = slice(max(int(top), 0), min(int(np.ceil(bottom)), height))
    part = pixels[rows, columns]
    return part if part.size else None
