"""The end of FLV files: tags of stated lengths (Adobe, Flash Video File Format Specification 10.1, annex E)."""

from __future__ import annotations

import struct

from affectkit.data.media.file_ends.source import MOST_STEPS, FileEnd, Source, lacking

HEAD = 4096
SIZE = b"\x00\x08filesize\x00"
"""Name of a number in the script at the begin of a file."""
TAGS = (8, 9, 18)
"""Sound, picture, script."""
COMPLETE = FileEnd(None, reason="all tags are complete, and none says that it is the last")
ODD = FileEnd(None, reason="not a chain of tags")


def find_flv_end(source: Source) -> FileEnd:
    """Return the end of an FLV file by the lengths of its tags.

    FFmpeg passes over half a tag in silence. The length that follows the last tag is no part of it. A last tag of H.264
    or HEVC that is marked as the end of the sequence shows that the file is whole, and so does its size as stated.
    """
    head = source.read(0, 9)
    if len(head) < 9:
        return lacking("the header", 9 - len(head))
    if (known := _by_last_tag(source)) is not None:
        return known
    place = int.from_bytes(head[5:]) + 4
    for _ in range(MOST_STEPS):
        if place >= source.size:
            return COMPLETE
        tag = source.read(place, 11)
        if not tag or tag[0] not in TAGS or any(tag[8:]):  # no tag belongs to another stream than 0
            return ODD
        if len(tag) < 11:
            return lacking("the last tag", 11 - len(tag))
        after = place + 11 + int.from_bytes(tag[1:4])
        if after > source.size:
            return lacking("the last tag", after - source.size)
        size = source.read(after, 4)
        if len(size) == 4 and int.from_bytes(size) != after - place:
            return ODD
        place = after + 4
    return FileEnd(None, reason="too many tags to be walked over")


def _by_last_tag(source: Source) -> FileEnd | None:
    """Return the end by the lengths after and in the last tag, which agree by chance in no cut file; None where they
    do not agree."""
    size = int.from_bytes(source.read(source.size - 4, 4))
    place = source.size - 4 - size
    tag = source.read(place, 13)
    if size < 11 or place < 13 or len(tag) < 13 or tag[0] not in TAGS:
        return None
    if int.from_bytes(tag[1:4]) != size - 11 or any(tag[8:11]):
        return None
    if tag[0] == 9 and size == 16 and tag[11] & 0xF in (7, 12) and tag[12] == 2:
        return FileEnd(True, reason="the last tag ends the sequence")
    return FileEnd(True, reason="the size of the file is as it states") if _stated(source) == source.size else COMPLETE


def _stated(source: Source) -> float:
    """Return the bytes that the file says it has, or that one had from which it was made; 0: it does not say."""
    head = source.read(0, HEAD)
    place = head.find(SIZE)
    value = head[place + len(SIZE) :][:8]
    return struct.unpack(">d", value)[0] if place >= 0 and len(value) == 8 else 0.0
