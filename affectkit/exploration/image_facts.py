"""Facts of image files, each read once: a hash of its bytes, size, format, light, and a picture of 32 x 32 pixels."""

from __future__ import annotations

import functools
import hashlib
import io
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from affectkit.core.files import open_file
from affectkit.core.progress import Reporter
from affectkit.data.media.image_formats import open_image
from affectkit.data.media.images import decoding_errors, read_reduced, resize
from affectkit.data.media.pixel_limits import check_file
from affectkit.errors import DataError

SIDE = 32
"""Of the small pictures, in pixels."""
COLOUR = 8
"""Levels of 255 by which the channels of a gray picture may differ: noise of JPEG, not colour."""
MOST_HELD = 64 * 2**20
"""Bytes of a file that is held while it is decoded; a larger one is read twice."""
_CHUNK, _STEP = 64, 4096
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class Fact(NamedTuple):
    """What one file is; ``reason`` says why it cannot be read, and all but ``size`` and ``digest`` is then empty."""

    size: int = 0
    digest: bytes = b""
    reason: str = ""
    width: int = 0
    height: int = 0
    format: str = ""
    colour: bool = False
    small: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class ImageFacts:
    """Facts of N files.

    Attributes:
        size: int64 (N,), bytes; 0 where the file is not there.
        digests: a hash of the bytes of each; empty where they cannot be read.
        reasons: why a file cannot be decoded, by index.
        width, height: int64 (N,), pixels of the upright picture; 0 where there is none.
        formats: Pillow's name of each; empty where there is none.
        colour: bool (N,): whether any pixel of the small picture has channels more than ``COLOUR`` apart.
        small: uint8 (N, SIDE, SIDE), the luma (ITU-R BT.601) of the whole picture, antialiased and squeezed to a
            square; zeros where there is none.
    """

    size: np.ndarray
    digests: list[bytes] = field(repr=False)
    reasons: dict[int, str]
    width: np.ndarray = field(repr=False)
    height: np.ndarray = field(repr=False)
    formats: list[str] = field(repr=False)
    colour: np.ndarray = field(repr=False)
    small: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def readable(self) -> np.ndarray:
        """Return bool (N,): the files that were decoded."""
        found = np.ones(len(self), bool)
        found[list(self.reasons)] = False
        return found

    @property
    def brightness(self) -> np.ndarray:
        """Return float64 (N,): the mean luma of the small picture, in [0, 1]; NaN where there is none."""
        return self._light[0]

    @property
    def contrast(self) -> np.ndarray:
        """Return float64 (N,): the RMS contrast, in [0, 0.5]: the standard deviation of the luma on [0, 1] (Peli,
        "Contrast in complex images", 1990).

        It is that of the small picture, so that images of different sizes compare, and noise does not count.
        """
        return self._light[1]

    @functools.cached_property
    def _light(self) -> tuple[np.ndarray, ...]:
        return tuple(np.where(self.readable, values, np.nan) for values in light(self.small))


def light(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each picture on [0, 1], float64 (N,), of uint8 (N, H, W)."""
    mean, spread = np.zeros(len(pictures)), np.zeros(len(pictures))
    for begin in range(0, len(pictures), _STEP):  # as floats, all of them would take eight times the memory
        part = pictures[begin : begin + _STEP]
        mean[begin : begin + _STEP] = part.mean(axis=(1, 2), dtype=np.float64) / 255
        spread[begin : begin + _STEP] = part.std(axis=(1, 2), dtype=np.float64) / 255
    return mean, spread


def read_facts(paths: Sequence[Path | str], *, workers: int, reporter: Reporter) -> ImageFacts:
    """Read each file once, with threads (decoders of Pillow leave the interpreter to others).

    Args:
        paths: of the files; what cannot be read is a reason, no error.
        workers: threads; 0 and 1: this one.
        reporter: of the progress.
    """
    reporter.start("reading images", len(paths), "files")
    found: list[Fact] = []
    small = np.zeros((len(paths), SIDE, SIDE), np.uint8)
    for facts in _read_all(paths, workers):
        for place, fact in enumerate(facts, len(found)):
            if fact.small is not None:
                small[place] = fact.small
        found += [fact._replace(small=None) for fact in facts]
        reporter.advance(len(facts))
    reporter.finish()
    return ImageFacts(
        size=np.array([fact.size for fact in found], np.int64),
        digests=[fact.digest for fact in found],
        reasons={number: fact.reason for number, fact in enumerate(found) if fact.reason},
        width=np.array([fact.width for fact in found], np.int64),
        height=np.array([fact.height for fact in found], np.int64),
        formats=[fact.format for fact in found],
        colour=np.array([fact.colour for fact in found], bool),
        small=small,
    )


def _read_all(paths: Sequence[Path | str], workers: int) -> Iterator[list[Fact]]:
    chunks = (paths[begin : begin + _CHUNK] for begin in range(0, len(paths), _CHUNK))
    if workers < 2:
        yield from map(_read_chunk, chunks)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="reading")
    try:
        waiting: list[Future[list[Fact]]] = []
        while True:
            waiting += [pool.submit(_read_chunk, one) for one in itertools.islice(chunks, 2 * workers - len(waiting))]
            if not waiting:
                return
            yield waiting.pop(0).result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read_chunk(paths: Sequence[Path | str]) -> list[Fact]:
    return [read_fact(Path(path)) for path in paths]


def read_fact(path: Path) -> Fact:
    """Return what the file ``path`` is."""
    fact = Fact()
    try:
        check_file(path)
        with decoding_errors(path), open_file(path) as stream:
            size, digest, held = _digest(stream)
            fact = Fact(size, digest)
            return _decoded(path, fact, held)
    except DataError as error:
        return fact._replace(reason=error.message)


def _digest(stream: IO[bytes]) -> tuple[int, bytes, IO[bytes] | None]:
    """Return the number of bytes, their BLAKE2b hash of 128 bits, and the bytes where they are few."""
    data = stream.read(MOST_HELD)
    hashed, size = hashlib.blake2b(data, digest_size=16), len(data)
    if size < MOST_HELD:
        return size, hashed.digest(), io.BytesIO(data)
    while data := stream.read(1 << 20):
        hashed.update(data)
        size += len(data)
    return size, hashed.digest(), None


def _decoded(path: Path, fact: Fact, held: IO[bytes] | None) -> Fact:
    with open_file(path) if held is None else io.BytesIO(held.getbuffer()) as stream:  # type: ignore[attr-defined]
        header = open_image(stream)
        name, channels = header.format or "", 1 if header.mode in ("1", "L") else 3
    # Of a JPEG, four times the pixels of the small picture are decoded, or more.
    pixels, extent = read_reduced(path, lambda height, width: (2 * SIDE, 2 * SIDE), channels=channels, stream=held)
    luma, colour = small_picture(resize(pixels, SIDE, SIDE, "stretch", extent=extent))
    return fact._replace(width=extent.width, height=extent.height, format=name, colour=colour, small=luma)


def small_picture(small: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the luma of a picture, uint8 (H, W), and whether it has colour.

    Args:
        small: uint8 (H, W, C) with C 1 or 3.
    """
    if small.shape[2] == 1:
        return np.ascontiguousarray(small[:, :, 0]), False
    spread = small.max(axis=2) - small.min(axis=2)
    if not spread.any():
        return np.ascontiguousarray(small[:, :, 0]), False
    return np.rint(small.astype(np.float32) @ _LUMA).astype(np.uint8), bool((spread > COLOUR).any())
