"""The pixels of FER-2013 in a table: a row per face, which belongs to the row of FER+'s label file at the same
place.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from affectkit.core.csv_tables import csv_reader
from affectkit.core.text import count_text, list_some
from affectkit.errors import DataError

USAGES = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
SIDE = 48
PIXEL_COLUMNS = ("emotion", "pixels", "Usage")
_LEVELS = {str(level): level for level in range(256)}  # int() takes "1_0" and digits of other scripts, and is slower


def pixel_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Read (line, usage, pixels) of a table of pixels, whatever the order of its columns."""
    with csv_reader(path) as reader:
        header = reader.header(*PIXEL_COLUMNS)
        pixels, usage = header.index("pixels"), header.index("Usage")
        for row in reader:
            if len(row) != len(header):
                raise DataError(f"{path}: line {reader.line} has {len(row)} columns, not {len(header)}.")
            yield reader.line, row[usage].strip(), row[pixels]


def check_row_order(path: Path, splits: Sequence[str]) -> list[bytes]:
    """Refuse another order or length than the label file's: rows of both belong together by position alone.

    Args:
        splits: the split of each row of the label file.

    Returns:
        what stands for the pixels of each row.
    """
    count, differ, contents = 0, [], []
    for line, usage, text in pixel_rows(path):
        contents.append(hashlib.blake2b(text.strip().encode(), digest_size=16).digest())
        if count < len(splits) and USAGES.get(usage) != splits[count]:
            differ.append(line)
        count += 1
    if differ:
        raise DataError(
            f"{path}: the usage differs from the label file's at lines {list_some(differ)}.",
            "Both files must be the originals: rows belong together by their position.",
        )
    if count < len(splits):
        raise DataError(f"{path} has {count:,} rows, the label file {len(splits):,}.", "Was it downloaded completely?")
    return contents


def order_difference(path: Path, splits: Sequence[str]) -> str:
    """Describe how the rows of a table of pixels that is not read differ from the label file's; empty where not."""
    try:
        found = [USAGES.get(usage) for _, usage, _ in pixel_rows(path)]
    except DataError as error:
        return f"it cannot be read: {error.message}"
    if len(found) != len(splits):
        return f"it has {len(found):,} rows, the label file {len(splits):,}"
    wrong = sum(own != split for own, split in zip(found, splits, strict=True))
    return f"its usage differs from the label file's in {count_text(wrong, 'row')}" if wrong else ""


def parse_pixels(text: str) -> bytes | None:
    """Return the gray levels of a face, a byte each, row by row; None for anything but ``SIDE`` x ``SIDE`` whole
    numbers from 0 to 255 between blanks, in plain digits.

    >>> len(parse_pixels("0 255 " * 1152)), parse_pixels("0 256 " * 1152), parse_pixels("0 1_0 " * 1152)
    (2304, None, None)
    """
    try:
        pixels = bytes(map(_LEVELS.__getitem__, text.split()))
    except KeyError:
        return None
    return pixels if len(pixels) == SIDE * SIDE else None


def draw(pixels: bytes) -> bytes:
    """Return the PNG file of a face."""
    stream = io.BytesIO()
    Image.frombytes("L", (SIDE, SIDE), pixels).save(stream, "PNG")
    return stream.getvalue()


def draw_pixels(path: Path, rows: set[int]) -> Iterator[tuple[int, bytes]]:
    """Yield (row, PNG bytes) of the given rows of a table of pixels."""
    for row, (line, _, text) in enumerate(pixel_rows(path)):
        if row not in rows:
            continue
        if (pixels := parse_pixels(text)) is None:
            raise DataError(f"{path}: line {line} does not hold {SIDE * SIDE} values from 0 to 255.")
        yield row, draw(pixels)
