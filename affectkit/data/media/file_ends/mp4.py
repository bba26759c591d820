"""The end of MP4, MOV and 3GP files: boxes of stated sizes (ISO/IEC 14496-12; Apple, QuickTime File Format)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from affectkit.data.media.file_ends.source import MOST_STEPS, FileEnd, Source, lacking

TOP_BOXES = {
    *(b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"mfra", b"sidx", b"styp", b"ssix"),
    *(b"uuid", b"meta", b"emsg", b"prft", b"udta", b"pdin", b"imda"),
}
MOST_CHILDREN = 1 << 8
FRAGMENT = {b"moof", b"mdat", b"mfra", b"imda"}
NO_INDEX = "its index (moov box) is missing, as where a recording was not finished or a first piece is left out"
TO_END = "a piece goes to the end of the file, wherever that is"


@dataclass
class _Seen:
    """What a walk over the boxes of a file found.

    Attributes:
        names: of the known boxes.
        last: name of the last box that is part of a fragment.
        movie: begin and end of what the movie box holds.
        stated: place to which segment indexes say that there are fragments.
        open: whether a box goes to the end of the file, wherever that is.
        end: of the last box that was walked over.
    """

    names: set[bytes] = field(default_factory=set)
    last: bytes = b""
    movie: tuple[int, int] | None = None
    stated: int = 0
    open: bool = False
    end: int = 0


def find_mp4_end(source: Source) -> FileEnd:
    """Return the end of an MP4 file by the sizes of its boxes, and by the places of the samples that it names."""
    seen = _Seen()
    cut = _walk(source, seen)
    if cut is not None:
        return cut
    if seen.movie is None:
        if seen.end == source.size and seen.names & FRAGMENT:
            return FileEnd(False, None, NO_INDEX)
        return FileEnd(None, reason="the file has no movie box")
    if b"moof" in seen.names:
        return _fragments(source, seen)
    needed = _furthest_chunk(source, *seen.movie)
    if needed > source.size:
        return FileEnd(False, needed - source.size, "the movie box names samples that are not there")
    if seen.open:
        return FileEnd(None, reason=TO_END)
    if b"mdat" not in seen.names:
        return FileEnd(None, reason="the file has no box of media data")
    return FileEnd(True, reason="all boxes are complete")


def _walk(source: Source, seen: _Seen) -> FileEnd | None:
    """Walk over the boxes of the file; return the cut where the last one lacks something.

    Boxes of unknown names are passed over where they fit into the file; where they do not they are no boxes.
    """
    place = 0
    for _ in range(MOST_STEPS):
        head = source.read(place, 16)
        name, length, header = head[4:8], int.from_bytes(head[:4]), 8
        if len(head) < 8:
            return None  # the end, or less than a header: what it was cannot be known
        if length == 1:
            if len(head) < 16:
                return lacking(_called(name), 16 - len(head)) if name in TOP_BOXES else None
            length, header = int.from_bytes(head[8:]), 16
        elif length == 0 and name in TOP_BOXES:
            length, seen.open = source.size - place, True
        if length < header or (name not in TOP_BOXES and place + length > source.size):
            return None
        if place + length > source.size:
            return lacking(_called(name), place + length - source.size)
        seen.names |= {name} & TOP_BOXES
        seen.last = name if name in FRAGMENT else seen.last
        if name == b"moov":
            seen.movie = place + header, place + length
        elif name == b"sidx":
            seen.stated = max(seen.stated, _indexed(source, place + header, place + length))
        place = seen.end = place + length
    return FileEnd(None, reason="too many boxes to be walked over")


def _called(name: bytes) -> str:
    return f"the last box ({name.decode('ascii')})"


def _fragments(source: Source, seen: _Seen) -> FileEnd:
    """Return the end of a file of fragments, each a ``moof`` and its data."""
    if seen.last == b"moof":
        return FileEnd(False, None, "the last fragment has no data")
    if seen.stated > source.size:
        return FileEnd(False, seen.stated - source.size, "the segment index names fragments that are not there")
    if seen.last == b"mfra":
        return FileEnd(True, reason="the index of the fragments ends the file")
    if seen.open:
        return FileEnd(None, reason=TO_END)
    return FileEnd(None, reason="all fragments are complete, and none says that it is the last")


def _indexed(source: Source, begin: int, end: int) -> int:
    """Return the place at which the last piece ends that the segment index between ``begin`` and ``end`` names."""
    wide = source.read(begin, 1) == b"\x01"
    fixed = 32 if wide else 24
    head = source.read(begin, fixed)
    if len(head) < fixed:
        return 0
    first = int.from_bytes(head[20:28] if wide else head[16:20])
    entries = source.read(begin + fixed, min(12 * int.from_bytes(head[-2:]), end - begin - fixed))
    sizes = (int.from_bytes(entries[at : at + 4]) & 0x7FFFFFFF for at in range(0, len(entries) - 11, 12))
    return end + first + sum(sizes)


def _children(source: Source, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, begin and end of what each box between ``begin`` and ``end`` holds."""
    for _ in range(MOST_CHILDREN):
        head = source.read(begin, 16)
        if begin + 8 > end or len(head) < 8:
            return
        length, header = int.from_bytes(head[:4]), 8
        if length == 1 and len(head) == 16:
            length, header = int.from_bytes(head[8:]), 16
        if length < header or begin + length > end:
            return
        yield head[4:8], begin + header, begin + length
        begin += length


def _found(source: Source, place: tuple[int, int], *names: bytes) -> tuple[int, int] | None:
    """Return begin and end of the first box reached by ``names``, one within the other."""
    for name in names:
        inner = next(((b, e) for found, b, e in _children(source, *place) if found == name), None)
        if inner is None:
            return None
        place = inner
    return place


def _furthest_chunk(source: Source, begin: int, end: int) -> int:
    """Return a place that the file must reach: one after the begin of the last chunk of samples of any track.

    Tracks whose samples are in other files are left out.
    """
    furthest = 0
    for name, first, last in _children(source, begin, end):
        info = _found(source, (first, last), b"mdia", b"minf") if name == b"trak" else None
        if info is None or not _self_contained(source, info):
            continue
        for box, width in ((b"stco", 4), (b"co64", 8)):
            table = _found(source, info, b"stbl", box)
            if table is None:
                continue
            count = int.from_bytes(source.read(table[0] + 4, 4))
            entry = table[0] + 8 + width * (count - 1)
            if count and entry + width <= table[1]:
                furthest = max(furthest, int.from_bytes(source.read(entry, width)) + 1)
    return furthest


def _self_contained(source: Source, info: tuple[int, int]) -> bool:
    """Return whether all samples of a track are in this file."""
    place = _found(source, info, b"dinf", b"dref")
    if place is None:
        return True
    entries = [source.read(begin, 4) for _, begin, _ in _children(source, place[0] + 8, place[1])]
    return all(len(flags) == 4 and flags[3] & 1 for flags in entries)
