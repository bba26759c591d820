"""The end of MPEG program streams: packs and packets of stated lengths (ISO/IEC 11172-1, 13818-1)."""

from __future__ import annotations

from affectkit.data.media.file_ends.source import FileEnd, Source, lacking

START = b"\x00\x00\x01"
END_CODE, PACK, SYSTEM = 0xB9, 0xBA, 0xBB
PACK_START = START + bytes([PACK])
COMPLETE = FileEnd(None, reason="the last packet is complete, and no code ends the program")
TAIL = 1 << 18
AGREEING = 4
"""Pieces in a row that follow each other by their lengths before a start code is believed to be one."""


def find_program_end(source: Source) -> FileEnd:
    """Return the end of a program stream by the length of its last packet, and by the code that ends programs.

    Most writers, FFmpeg among them, leave this code out.
    """
    begin, tail = source.read_tail(TAIL)
    place = tail.find(PACK_START)
    while place >= 0:
        after, agreed = _walk(tail, place)
        rest = tail[after:]
        if agreed >= AGREEING or begin + place == 0:
            if after > len(tail):
                return lacking("the last packet", after - len(tail))
            if not rest:
                return COMPLETE
            if rest.startswith(START) and _length(rest[:14]) is None:
                return lacking("the header of the last packet", 1)
            if rest.startswith(START + bytes([END_CODE])) and not rest[4:].strip(b"\0"):
                return FileEnd(True, reason="the code that ends the program is there")
        place = tail.find(PACK_START, max(after, place + 1))
    return FileEnd(None, reason="no packet ends near the end of the file")


def _walk(tail: bytes, place: int) -> tuple[int, int]:
    """Return where the packets that follow each other from ``place`` on end, and how many they are.

    The end is after that of ``tail`` where the last one is not all there.
    """
    agreed = 0
    while place < len(tail) and tail.startswith(START, place):
        if tail[place + 3 : place + 4] == bytes([END_CODE]) and tail.startswith(PACK_START, place + 4):
            place += 4  # two programs, put together
            continue
        length = _length(tail[place : place + 14])
        if not length:
            break
        agreed += place + length <= len(tail)
        place += length
    return place, agreed


def _length(head: bytes) -> int | None:
    """Return the length of the piece that begins with ``head``; None: its header is not all there; 0: it is none."""
    if len(head) < 4:
        return None
    if head[3] < PACK:
        return 0
    if head[3] != PACK:
        return 6 + int.from_bytes(head[4:6]) if len(head) >= 6 else None
    if len(head) < 14:
        return None
    if head[4] >> 6 == 1:
        return 14 + (head[13] & 7)
    return 12 if head[4] >> 4 == 2 else 0
