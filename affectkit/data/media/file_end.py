"""Whether a video file was cut off, by its structure alone: no decoding, only headers and the tail are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from affectkit.data.media.file_ends.asf import find_asf_end
from affectkit.data.media.file_ends.avi import find_avi_end
from affectkit.data.media.file_ends.flv import find_flv_end
from affectkit.data.media.file_ends.matroska import find_matroska_end
from affectkit.data.media.file_ends.mp4 import TOP_BOXES, find_mp4_end
from affectkit.data.media.file_ends.ogg import find_ogg_end
from affectkit.data.media.file_ends.program import find_program_end
from affectkit.data.media.file_ends.source import FileEnd, Source
from affectkit.data.media.file_ends.transport import find_transport_end, packet_layout

HEAD = 16
"""Bytes by which a kind is recognised; transport streams need more, see ``packet_layout``."""

ZEROS = 512
"""Bytes at the end that prove nothing where all are 0: some programs make the whole file first, and then fill it."""


def find_file_end(path: Path) -> FileEnd:
    """Return what the structure of the video file ``path`` says about its end.

    FLV, AVI, MP4 with its relatives, Matroska, ASF, Ogg, MPEG transport and program streams are known, by what they
    hold and not by their names; of others nothing is known. What is not made as its kind should be is left to the
    decoder to judge.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).open("rb", buffering=0) as stream:
        source = Source(stream)
        find = _kind(source)
        if find is None:
            return FileEnd(None, reason="a kind of file whose end is not known")
        end = find(source)
        if end.whole and not source.read_tail(ZEROS)[1].strip(b"\0"):
            return FileEnd(None, reason="the file ends with zeros, as one that was not fetched to its end")
        return end


def _kind(source: Source) -> Callable[[Source], FileEnd] | None:
    head = source.read(0, HEAD)
    if head[:4] == b"FLV\x01":
        return find_flv_end
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return find_avi_end
    if head[:4] == b"\x1aE\xdf\xa3":
        return find_matroska_end
    if head[:4] == b"OggS":
        return find_ogg_end
    if head[:4] == b"\x00\x00\x01\xba":
        return find_program_end
    if head[:8] == b"\x30\x26\xb2\x75\x8e\x66\xcf\x11":
        return find_asf_end
    if head[4:8] in TOP_BOXES:
        return find_mp4_end
    return find_transport_end if packet_layout(source, 0) is not None else None
