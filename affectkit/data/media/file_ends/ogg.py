"""The end of Ogg files: pages of stated lengths, the last of a stream marked as such (RFC 3533)."""

from __future__ import annotations

from affectkit.data.media.file_ends.source import FileEnd, Source, lacking

CAPTURE = b"OggS\x00"
HEADER = 27
LONGEST = HEADER + 255 + 255 * 255
"""Bytes of a page, at most."""
TAIL = 4 * LONGEST
MOST_STREAMS = 64
FIRST, LAST = 2, 4
"""Flags of a page: the first or the last one of its stream."""
SKELETON = b"fishead\x00"
"""A stream that describes the others, and ends before they begin."""


def find_ogg_end(source: Source) -> FileEnd:
    """Return the end of an Ogg file by the length of its last page.

    A page that is marked as the last of its stream shows that this goes to its end: FFmpeg and libogg mark all
    streams. That none is marked shows nothing: streams that were recorded live end anywhere, and pieces that FFmpeg's
    segmenter writes are not marked.
    """
    begin, tail = source.read_tail(TAIL)
    marks: dict[bytes, bool] = {}
    going_on: dict[bytes, bool] = {}
    place = _synchronized(tail, begin == 0)
    if place is None:
        return FileEnd(None, reason="no page near the end of the file")
    while tail.startswith(CAPTURE, place):
        page = tail[place : place + HEADER + 255]
        length = _page_length(page)
        if length is None:
            return lacking("the header of the last page", 1)
        if place + length > len(tail):
            return lacking("the last page", place + length - len(tail))
        marks[page[14:18]] = bool(page[5] & LAST)
        going_on[page[14:18]] = page[26] > 0 and page[HEADER + page[26] - 1] == 255
        place += length
    rest = tail[place:]
    if rest and CAPTURE.startswith(rest):
        return lacking("the header of the last page", HEADER - len(rest))
    if any(going_on.values()):
        return FileEnd(False, None, "the last packet of a stream goes on after the last page")
    wanted = _streams(source) or set(marks)
    if all(marks.get(serial) for serial in wanted):
        return FileEnd(True, reason="all streams are marked as ended")
    return FileEnd(None, reason="the last page is complete, but not all streams are marked as ended")


def _page_length(page: bytes) -> int | None:
    """Return the length of the page that begins with ``page``; None where its header is not all there."""
    if len(page) < HEADER or len(page) < HEADER + page[26]:
        return None
    return HEADER + page[26] + sum(page[HEADER : HEADER + page[26]])


def _synchronized(tail: bytes, whole: bool) -> int | None:
    """Return where the first page of ``tail`` begins after which another one, or nothing, follows."""
    if whole:
        return 0
    place = tail.find(CAPTURE)
    while place >= 0:
        length = _page_length(tail[place : place + HEADER + 255])
        if length is not None and tail.startswith(CAPTURE, place + length):
            return place
        place = tail.find(CAPTURE, place + 1)
    return None


def _streams(source: Source) -> set[bytes]:
    """Return the serial numbers of the streams that begin with the file."""
    place, found = 0, set()
    for _ in range(MOST_STREAMS):
        page = source.read(place, HEADER + 255 + len(SKELETON))
        length = _page_length(page)
        if length is None or not page.startswith(CAPTURE) or not page[5] & FIRST:
            break
        if not page.startswith(SKELETON, HEADER + page[26]):
            found.add(page[14:18])
        place += length
    return found
