"""Perceptual hashes of small pictures, and the pairs of them that differ in few bits.

The hash is the DCT hash that is known as pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions", 2010, section 3.2.1; Krawetz, "Looks Like It", 2011): of a picture of 32 x 32 gray pixels the 8 x 8 lowest
frequencies of the two-dimensional DCT, a bit each, set where the coefficient is above the median of all but the
constant one. Brightness and contrast change no bit, noise and compression few.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FREQUENCIES = 8
BITS = FREQUENCIES**2
_ROWS, _COLUMNS = 64, 8192  # of a tile of pairs: 4 MB of differences, which stay in the cache of a processor
_STEP = 4096


class Candidates(NamedTuple):
    """Pairs of hashes: places (P,) of the first and the second, first below second, and the bits that differ."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    distance: NDArray[np.uint8]


def dct_hashes(pictures: NDArray[np.uint8], *, mirrored: bool = False) -> NDArray[np.uint64]:
    """Return the hash of each picture, uint64 (N,), bit 0 being that of the constant.

    Args:
        pictures: (N, S, S), gray, S at least 8.
        mirrored: hash the pictures as a mirror shows them, left for right: that turns the sign of every coefficient of
            an odd horizontal frequency.
    """
    side = pictures.shape[1]
    waves = _cosines(side)
    found = np.empty(len(pictures), np.uint64)
    for begin in range(0, len(pictures), _STEP):
        part = pictures[begin : begin + _STEP].astype(np.float32)
        values = (waves @ part) @ waves.T
        if mirrored:
            values[:, :, 1::2] *= -1
        values = values.reshape(len(part), BITS)
        bits = values > np.median(values[:, 1:], axis=1, keepdims=True)
        found[begin : begin + _STEP] = np.packbits(bits, axis=1, bitorder="little").view("<u8")[:, 0]
    return found


def _cosines(side: int) -> NDArray[np.float32]:
    """Return the first ``FREQUENCIES`` rows of the DCT-II of ``side`` values, without scale."""
    rows, places = np.arange(FREQUENCIES)[:, None], np.arange(side)[None, :]
    return np.cos(np.pi * (2 * places + 1) * rows / (2 * side)).astype(np.float32)


def blocks(count: int) -> list[tuple[int, int]]:
    """Return the ranges of first hashes that ``pairs_of_block`` takes, the long ones first."""
    return [(begin, min(begin + _ROWS, count)) for begin in range(0, count, _ROWS)]


def pairs_of_block(
    hashes: NDArray[np.uint64],
    block: tuple[int, int],
    distance: int,
    *,
    others: NDArray[np.uint64] | None = None,
) -> Iterator[Candidates]:
    """Yield all pairs, of a first in ``block`` and a second behind it, whose hashes differ in ``distance`` bits or
    fewer.

    Every pair is compared: half a billion of them, those of 32,000 images, take a processor 1.5 s. An index by parts of
    the hash would have to look up nearly as many, for the bits of faces are far from even.

    Args:
        hashes: (N,).
        block: one of ``blocks(N)``.
        distance: most bits, 0 to 64.
        others: hashes (N,) that the second of a pair goes by, as those of mirrored pictures; None: ``hashes``.
    """
    begin, end = block
    own, others = hashes[begin:end, None], hashes if others is None else others
    for left in range(begin, len(hashes), _COLUMNS):
        bits = np.bitwise_count(own ^ others[None, left : left + _COLUMNS])
        rows, columns = np.nonzero(bits <= distance)
        later = rows + begin < columns + left
        rows, columns = rows[later], columns[later]
        if len(rows):
            yield Candidates(rows + begin, columns + left, bits[rows, columns])
