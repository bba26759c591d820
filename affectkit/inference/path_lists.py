"""Read a list of paths on standard input, as programs and editors of several systems write it."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from typing import IO

from affectkit.core.limits import MAX_LIST_BYTES, MAX_PATH, over
from affectkit.errors import DataError

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_SAMPLE = 512


def read_list(stream: IO[str]) -> Iterator[str]:
    """Yield the paths of a list: one a line, or, as of ``find -print0``, each before a NUL.

    Lines end in LF or CR LF, and empty ones are passed over. A byte-order mark is taken off; UTF-16, which PowerShell
    and Windows editors write, is recognised by its mark, or by every second byte being NUL. Else names are bytes, as
    ``os.fsdecode`` shows them. The whole list is read first.

    Raises:
        DataError: it begins as UTF-16 and is none, or it or a path is longer than ``core.limits`` allows.
    """
    raw = getattr(stream, "buffer", None)
    text = _decoded(_read(raw)) if raw is not None else stream.read().removeprefix("\ufeff")
    nul = chr(0)
    lines = text.split(nul) if nul in text else [line.removesuffix("\r") for line in text.split("\n")]
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_PATH:
            raise DataError(
                over(f"path {number:,} of the list on standard input", len(line), MAX_PATH, "characters"),
                "The list holds one path a line, or each before a NUL.",
            )
    return (line for line in lines if line)


def _read(stream: IO[bytes]) -> bytes:
    data = stream.read(MAX_LIST_BYTES + 1)
    if len(data) > MAX_LIST_BYTES:
        raise DataError(
            f"the list on standard input has more than the {MAX_LIST_BYTES:,} bytes that are read.", "Divide it."
        )
    return data


def _decoded(data: bytes) -> str:
    if data.startswith(codecs.BOM_UTF8):
        return os.fsdecode(data.removeprefix(codecs.BOM_UTF8))
    coding = _UTF16.get(data[:2]) or _without_mark(data[:_SAMPLE])
    if not coding:
        return os.fsdecode(data)
    try:
        return data.decode(coding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(
            f"the list on standard input is UTF-16, and its byte {error.start:,} fits none ({error.reason}).",
            "Write it anew, as UTF-8 if you can.",
        ) from error


def _without_mark(start: bytes) -> str:
    """Return the UTF-16 that a list without a mark begins in: names of letters have a NUL at every second byte."""
    if len(start) < 4 or (len(start) % 2 and len(start) < _SAMPLE):
        return ""
    even, odd = start[0::2], start[1::2]
    # Paths that NULs separate have letters, too, at the places of either.
    if odd.count(0) > 0.9 * len(odd) and not even.count(0):
        return "utf-16-le"
    if even.count(0) > 0.9 * len(even) and not odd.count(0):
        return "utf-16-be"
    return ""
