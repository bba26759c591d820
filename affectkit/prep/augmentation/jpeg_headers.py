"""Headers of plain JPEG files, read without Pillow: most images of a dataset are such, and Pillow takes 70 us for one.

Markers and segments as in ITU-T T.81 (1992), annex B.
"""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

_SOI, _EOI, _SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
_FRAMES = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive, with Huffman coding."""
_PASSED = frozenset({0xC4, 0xDD, 0xFE})
"""Huffman tables, restart interval, comment: nothing that a copy must keep."""
_SAMPLINGS = {(0x11, 0x11, 0x11): 0, (0x21, 0x11, 0x11): 1, (0x22, 0x11, 0x11): 2}
"""4:4:4, 4:2:2 and 4:2:0, as Pillow numbers them."""
# The natural order of the 64 coefficients in their zigzag (T.81, figure A.6), along the antidiagonals.
_ZIGZAG = sorted(range(64), key=lambda k: (k // 8 + k % 8, k // 8 if (k // 8 + k % 8) % 2 else k % 8))
_natural = itemgetter(*(_ZIGZAG.index(place) for place in range(64)))


class JpegHeader(NamedTuple):
    """Hold what a copy needs to know: ``sampling`` as Pillow numbers it, None for gray; tables in natural order."""

    width: int
    height: int
    channels: int
    sampling: int | None
    tables: tuple[tuple[int, ...], ...]


def read_plain_header(data: bytes) -> JpegHeader | None:
    """Read the header of a whole 8-bit gray or colour JPEG without metadata but JFIF's; None for any other file."""
    if not (data.startswith(_SOI) and data.endswith(_EOI)):
        return None
    place, end = 2, len(data)
    frame: tuple[int, int, tuple[int, ...]] | None = None
    tables: dict[int, tuple[int, ...]] = {}
    while place + 4 <= end and data[place] == 0xFF:
        marker, size = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        body = data[place + 4 : place + 2 + size]
        if marker == _SOS:
            return _header(frame, tables)
        if marker == 0xDB:
            if not _take_tables(body, tables):
                return None
        elif marker in _FRAMES and frame is None:
            frame = _frame(body)
            if frame is None:
                return None
        elif marker not in _PASSED and not (marker == 0xE0 and body.startswith(b"JFIF\0")):
            return None
        place += 2 + size
    return None


def _take_tables(body: bytes, tables: dict[int, tuple[int, ...]]) -> bool:
    """Add the quantisation tables of a segment; False where they are not of 8 bits or are cut."""
    while body:
        if body[0] > 3 or len(body) < 65:
            return False
        tables[body[0]] = _natural(body[1:65])
        body = body[65:]
    return True


def _frame(body: bytes) -> tuple[int, int, tuple[int, ...]] | None:
    """Read (height, width, sampling factors of the components) of a frame of 8 bits with 1 or 3 components."""
    if len(body) not in (9, 15) or body[0] != 8 or len(body) != 6 + 3 * body[5]:
        return None
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    factors = tuple(body[7::3])
    identities = tuple(body[6::3])
    if not (height and width) or (len(factors) == 3 and (factors not in _SAMPLINGS or identities != (1, 2, 3))):
        return None
    return height, width, factors


def _header(frame: tuple[int, int, tuple[int, ...]] | None, tables: dict[int, tuple[int, ...]]) -> JpegHeader | None:
    if frame is None or not tables:
        return None
    height, width, factors = frame
    sampling = _SAMPLINGS[factors] if len(factors) == 3 else None
    return JpegHeader(width, height, len(factors), sampling, tuple(tables[key] for key in sorted(tables)))
