"""Limit on the pixels of an image that is decoded: one limit for the process and for those that it starts.

A few hundred bytes can claim gigabytes of pixels. Pillow's own guard is a warning and a global of its module, for every
user of Pillow in the process; ours stands in an environment variable, so that workers have it however they are started,
and is read where a picture is decoded.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator

from affectkit.core.forms import shown
from affectkit.core.limits import MAX_INTEGER
from affectkit.errors import UsageError

MAX_PIXELS = 89_478_485
"""The limit where nobody names one: Pillow's ``Image.MAX_IMAGE_PIXELS``, a quarter of a gibibyte at 3 bytes a pixel."""
VARIABLE = "AFFECTKIT_MAX_PIXELS"
OPTION = "--max-pixels"


def parse_pixels(text: str | int) -> int:
    """Return ``"200M"`` as 200,000,000; ``K``, ``M`` and ``G`` are thousands, millions and billions.

    Raises:
        UsageError: something else, or less than 1.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg]?)", str(text).replace("_", "").replace(",", "").strip().lower())
    asked = float(match[1]) * {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[match[2]] if match else 0.0
    if not 0.5 < asked <= MAX_INTEGER:
        raise UsageError(f"must be a number of pixels, as 200M or 200000000; got {shown(text)}.")
    return round(asked)


def asked_pixels() -> int | None:
    """Return the limit that was asked for by option or environment; None: nobody named one.

    Raises:
        UsageError: the environment names no number of pixels.
    """
    text = os.environ.get(VARIABLE)
    return _asked(text) if text else None


@functools.lru_cache(maxsize=8)
def _asked(text: str) -> int:
    try:
        return parse_pixels(text)
    except UsageError as error:
        raise UsageError(f"{VARIABLE} {error.message}") from error


@contextlib.contextmanager
def pixels_up_to(limit: str | int | None) -> Iterator[None]:
    """Decode pictures of up to ``limit`` pixels within, in this process and those that it starts; None: as ever."""
    if limit is None:
        yield
        return
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(parse_pixels(limit))
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
