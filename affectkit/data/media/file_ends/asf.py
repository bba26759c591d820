"""The end of ASF (WMV) files: objects of stated sizes (Microsoft, Advanced Systems Format Specification 01.20.03)."""

from __future__ import annotations

from affectkit.data.media.file_ends.source import FileEnd, Source, lacking

DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
INDEXES = {
    bytes.fromhex("90080033b1e5cf1189f400a0c90349cb"),
    bytes.fromhex("d329e2d6da35d111903400a0c90349be"),
    bytes.fromhex("f803b1fead12644c840f2a1d2f7ad48c"),
    bytes.fromhex("d03fb73c4a0c0348953dedf7b6228f0c"),
}
"""Simple index, index, media object index, timecode index."""
DATA_HEADER = 50
MOST_OBJECTS = 1 << 10
UNKNOWN = FileEnd(None, reason="the size of the file was never written into it")


def find_asf_end(source: Source) -> FileEnd:
    """Return the end of an ASF file by the sizes of its header, data and index objects.

    The size of the file that the header states is not relied on: programs that write titles let it become wrong. A
    file that was broadcast states no sizes.
    """
    size = int.from_bytes(source.read(16, 8), "little")
    if size < 30:
        return FileEnd(None, reason="the header states no size")
    if size > source.size:
        return lacking("the header", size - source.size)
    head = source.read(size, DATA_HEADER)
    if not head:
        return FileEnd(False, None, "the file ends with its header")
    if head[:16] != DATA[: len(head)]:
        return FileEnd(None, reason="the data do not follow the header")
    if len(head) < DATA_HEADER:
        return lacking("the header of the data", DATA_HEADER - len(head))
    length = int.from_bytes(head[16:24], "little")
    if _broadcast(source, size) or length <= DATA_HEADER:
        return UNKNOWN
    place, piece = size + length, "the data object"
    for _ in range(MOST_OBJECTS):
        if place > source.size:
            return lacking(piece, place - source.size)
        head = source.read(place, 24)
        if head and len(head) < 24 and any(head[:16] == index[: len(head)] for index in INDEXES):
            return lacking("the header of the index", 24 - len(head))
        if len(head) < 24 or head[:16] not in INDEXES:
            break
        place, piece = place + max(int.from_bytes(head[16:], "little"), 24), "the index"
    return FileEnd(True, reason="the data object is complete")


def _broadcast(source: Source, size: int) -> bool:
    """Return whether the header, of ``size`` bytes, says that the file was broadcast."""
    place = 30
    for _ in range(MOST_OBJECTS):
        head = source.read(place, 104)
        if place >= size or len(head) < 24:
            return False
        if head[:16] == PROPERTIES:
            return len(head) == 104 and bool(head[88] & 1)
        place += max(int.from_bytes(head[16:24], "little"), 24)
    return False
