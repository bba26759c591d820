"""The end of AVI files: RIFF chunks of stated sizes (Microsoft, AVI RIFF File Reference; OpenDML AVI 1.02)."""

from __future__ import annotations

from collections.abc import Iterator

from affectkit.data.media.file_ends.source import MOST_STEPS, FileEnd, Source, lacking

PLACEHOLDERS = (0, 0xFFFFFFFF)
"""Sizes that a writer which never came back leaves."""
MOST_RIFFS = 1 << 14
MOST_CHUNKS = 1 << 7
MOST_ENTRIES = 1 << 14
SPARE = 8
"""Bytes by which some writers state more than there are: they count the header of the chunk."""
DATA = {b"db", b"dc", b"wb", b"tx", b"pc"}
"""Ends of the names of chunks of pictures, sound, titles and palettes; the number of the stream stands before."""
INSIDE = {b"LIST", b"JUNK", b"idx1", b"IDIT", b"ISBJ", b"PAD "}


def find_avi_end(source: Source) -> FileEnd:
    """Return the end of an AVI file by the sizes of its RIFF chunks, one for each GB where there are several, and by
    the index of these. What follows the last of them is no part of the video."""
    place, exact = 0, True
    for _ in range(MOST_RIFFS):
        head = source.read(place, 12)
        if head[:4] != b"RIFF" or (len(head) == 12 and head[8:] not in (b"AVI ", b"AVIX")):
            break
        if len(head) < 12:
            return lacking("the header", 12 - len(head))
        size = int.from_bytes(head[4:8], "little")
        if size in PLACEHOLDERS:
            return _unstated(source, place + 12)
        end = place + 8 + size
        inner = _inner_end(source, place + 12, end)
        # Off by its own header, and complete by what it holds: no cut.
        if end > source.size and (end - source.size > SPARE or inner != source.size):
            return lacking("the last chunk", end - source.size)
        exact = exact and inner in (source.size, end - 1, end, end + 1)
        place = end + size % 2
    if (needed := _indexed(source)) >= source.size:
        return FileEnd(False, needed + 1 - source.size, "the index names pieces that are not there")
    if not exact:
        return FileEnd(None, reason="the sizes of its pieces do not agree")
    return FileEnd(True, reason="all chunks are complete")


def _unstated(source: Source, place: int) -> FileEnd:
    """Return the end of a file into which no sizes were written, by the chunks from ``place`` on: one is not all there,
    or it cannot be known."""
    for _ in range(MOST_STEPS):
        head = source.read(place, 12)
        if len(head) < 8 or not (head[:4] in INSIDE or (head[:2].isdigit() and head[2:4] in DATA) or head[:2] == b"ix"):
            break
        size = int.from_bytes(head[4:8], "little")
        inside = head[:4] == b"LIST" and (head[8:] in (b"movi", b"rec ") or size in PLACEHOLDERS)
        if not inside and place + 8 + size > source.size:
            return lacking("the last chunk", place + 8 + size - source.size)
        place += 12 if inside else 8 + size + size % 2
    return FileEnd(None, reason="the size of the file was never written into it")


def _chunks(source: Source, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, begin and size of the data of each chunk from ``place`` on."""
    for _ in range(MOST_CHUNKS):
        head = source.read(place, 8)
        if len(head) < 8 or place + 8 > end:
            return
        size = int.from_bytes(head[4:], "little")
        yield head[:4], place + 8, size
        place += 8 + size + size % 2


def _inner_end(source: Source, place: int, end: int) -> int | None:
    """Return where the last chunk between ``place`` and ``end`` ends; None where one of them states no size, or more
    than there is."""
    last = None
    for name, begin, size in _chunks(source, place, end):
        if (name == b"LIST" and size in PLACEHOLDERS) or begin + size > min(end, source.size):
            return None
        last = begin + size
    return last


def _indexed(source: Source) -> int:
    """Return the furthest place of an index that the indexes of indexes name; 0 where there are none."""
    furthest = 0
    for header, end in _lists(source, 12, source.size, b"hdrl"):
        for stream, its_end in _lists(source, header, end, b"strl"):
            for name, begin, _ in _chunks(source, stream, its_end):
                if name == b"indx":
                    furthest = max(furthest, _furthest(source, begin))
    return furthest


def _lists(source: Source, place: int, end: int, kind: bytes) -> Iterator[tuple[int, int]]:
    """Yield begin and end of what each list of a ``kind`` holds."""
    for name, begin, size in _chunks(source, place, end):
        if name == b"LIST" and source.read(begin, 4) == kind:
            yield begin + 4, begin + size


def _furthest(source: Source, place: int) -> int:
    """Return the largest offset of an index of indexes whose fields begin at ``place``."""
    head = source.read(place, 24)
    if len(head) < 24 or head[:4] != b"\x04\x00\x00\x00":  # four words an entry; an index of indexes
        return 0
    count = min(int.from_bytes(head[4:8], "little"), MOST_ENTRIES)
    entries = source.read(place + 24, 16 * count)
    return max((int.from_bytes(entries[at : at + 8], "little") for at in range(0, len(entries) - 15, 16)), default=0)
