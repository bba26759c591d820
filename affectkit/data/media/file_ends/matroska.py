"""The end of Matroska and WebM files: EBML elements of stated sizes (RFC 8794, RFC 9559)."""

from __future__ import annotations

from typing import NamedTuple

from affectkit.data.media.file_ends.source import MOST_STEPS, FileEnd, Source, lacking

HEADER, SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
VOID, CHECKSUM = 0xEC, 0xBF
TOP = {0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, HEADER, SEGMENT, CLUSTER}
"""Seek head, info, tracks, cues, attachments, chapters, tags, and those above."""
IN_CLUSTER = {0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0x5854, 0xAF}
"""Timestamp, simple block, block group, size of the last cluster, position, silent tracks, encrypted block."""
FILLING = {VOID, CHECKSUM}
"""Elements that stand anywhere, and whose end says nothing of the video."""


class _Element(NamedTuple):
    """Name and header length of an element, and the length of its data; None: not stated."""

    name: int
    header: int
    size: int | None


def find_matroska_end(source: Source) -> FileEnd:
    """Return the end of a Matroska file by the size of its segment.

    Files that were streamed state none: there the elements are walked over, and a last one that is complete does not
    show that none is missing.
    """
    place, stated, known = 0, False, TOP
    for _ in range(MOST_STEPS):
        head = source.read(place, 12)
        element = _parse(head)
        if element is None:
            if head and len(head) < 12 and _begins(head, known):
                return lacking("the header of the last element", 1)
            break
        if element.name not in known | FILLING:
            break
        if element.name in (SEGMENT, CLUSTER):
            known = TOP | IN_CLUSTER if element.name == CLUSTER and not element.size else TOP
            if not element.size:
                stated, place = stated and element.name == CLUSTER, place + element.header
                continue
        if element.size is None:
            break
        place += element.header + element.size
        if place > source.size:
            if element.name in FILLING:
                break
            return lacking("the last element", place - source.size)
        stated = stated or element.name == SEGMENT
    if stated:
        return FileEnd(True, reason="the segment is complete")
    if place == source.size:
        return FileEnd(None, reason="the file states no size; its elements are complete")
    return FileEnd(None, reason="the file states no size, and not all of its elements are known")


def _parse(head: bytes) -> _Element | None:
    """Return the element whose header ``head`` begins with; None where it is none, or not all there."""
    length = 9 - head[0].bit_length() if head else 9
    if length > 4 or len(head) <= length:
        return None
    width = 9 - head[length].bit_length()
    if width > 8 or len(head) < length + width:
        return None
    size = int.from_bytes(head[length : length + width]) - (1 << 7 * width)
    return _Element(int.from_bytes(head[:length]), length + width, None if size == (1 << 7 * width) - 1 else size)


def _begins(head: bytes, known: set[int]) -> bool:
    """Return whether ``head`` is the begin of the header of a ``known`` element."""
    names = [name.to_bytes((name.bit_length() + 7) // 8) for name in known]
    return any(head.startswith(name) or name.startswith(head) for name in names)
