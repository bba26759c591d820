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
    broadcast, packet = _properties(source, size)
    if broadcast or length <= DATA_HEADER:
        return _unstated(source, size + DATA_HEADER, packet)
    return _indexes(source, size + length, "the data object")


def _indexes(source: Source, place: int, piece: str) -> FileEnd:
    """Return the end of a file that is complete where a ``piece`` ends at ``place`` and the indexes after it are."""
    for _ in range(MOST_OBJECTS):
        if place > source.size:
            return lacking(piece, place - source.size)
        head = source.read(place, 24)
        if head and len(head) < 24 and any(head[:16] == index[: len(head)] for index in INDEXES):
            return lacking("the header of the index", 24 - len(head))
        if len(head) < 24 or head[:16] not in INDEXES:
            break
        place, piece = place + max(int.from_bytes(head[16:], "little"), 24), "the index"
    return FileEnd(True, reason="the data are complete")


def _unstated(source: Source, begin: int, packet: int) -> FileEnd:
    """Return the end of a file that does not state its size, from the packets of one length that follow ``begin``."""
    if not packet:
        return UNKNOWN
    count, rest = divmod(max(source.size - begin, 0), packet)
    for number in range(count, max(count - MOST_OBJECTS, 0), -1):
        place = begin + number * packet
        if source.read(place, 16) in INDEXES:
            return _indexes(source, place, "the data")
    if rest and source.read(source.size - rest, 3) == source.read(begin, 3)[:rest]:
        return lacking("the last packet", packet - rest)
    return UNKNOWN


def _properties(source: Source, size: int) -> tuple[bool, int]:
    """Return whether the header, of ``size`` bytes, says that the file was broadcast, and the bytes of a packet; 0: not
    known, or they differ."""
    place = 30
    for _ in range(MOST_OBJECTS):
        head = source.read(place, 104)
        if place >= size or len(head) < 24:
            break
        if head[:16] == PROPERTIES and len(head) == 104:
            least, most = (int.from_bytes(head[at : at + 4], "little") for at in (92, 96))
            return bool(head[88] & 1), most if least == most else 0
        place += max(int.from_bytes(head[16:24], "little"), 24)
    return False, 0
