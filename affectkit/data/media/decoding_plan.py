"""Which packets of a track are decoded so that the wanted pictures come out as if all had been.

Pictures refer to others no further back than the last entry point. So groups of pictures from one entry to the next of
which none is wanted are left out, as is what comes after the last wanted one of a group, and between wanted ones the
decoder leaves out pictures to which no other refers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LEFT_OUT, REFERENCES, DECODED = 0, 1, 2
"""What is done with a packet: nothing; decoded unless ``is_disposable``; decoded."""
PLANNED = {"av1", "dnxhd", "h264", "hevc", "libdav1d", "mjpeg", "prores", "vp9"}
"""Decoders of one picture a packet, whose entry points are known."""
WITHIN = {"h264", "hevc"}
"""Those of which it shows to which pictures no other refers."""
TAIL = 8
"""Packets at the end of a file that are decoded in any case: a file that was cut shows there."""
_ENTRIES = {"h264": {5}, "hevc": set(range(16, 22))}
"""NAL unit types of pictures at which decoding can begin: H.264 table 7-1, H.265 table 7-1 (BLA, IDR and CRA)."""
_HEADERS = {"h264": {7, 8}, "hevc": {32, 33, 34}}
"""Those of parameter sets, likewise."""
_ASIDE = {"h264": {6, 9, 12}, "hevc": {35, 38, 39, 40}}
"""Those of no effect on other pictures, likewise: delimiters, filler and supplemental information."""
_LOOKED = 4096
_MOST_UNITS = 64


def entry_flags(packet: Any, codec: str) -> tuple[bool, bool]:
    """Return whether decoding can begin at a packet, and whether it states anew how its pictures are coded.

    Containers mark also pictures from which an image builds up over the next ones (H.264's recovery points): these are
    no entries.
    """
    if not packet.is_keyframe:
        return False, False
    if codec not in WITHIN:
        return True, False
    kinds = {(head & 31) if codec == "h264" else (head >> 1 & 63) for head in _unit_heads(packet)}
    headed = not kinds.isdisjoint(_HEADERS[codec]) or packet.has_sidedata("new_extradata")
    return not kinds.isdisjoint(_ENTRIES[codec]), headed


def is_disposable(packet: Any, codec: str) -> bool:
    """Return whether no other picture refers to that of a packet: one of H.264 or H.265 without temporal layers.

    nal_ref_idc is 0 (H.264, 7.4.1), or the type is one of a sub-layer non-reference picture (H.265, 7.4.2.2).
    """
    seen = False
    for head in _unit_heads(packet):
        kind = (head & 31) if codec == "h264" else (head >> 1 & 63)
        if kind in _ASIDE[codec]:
            continue
        if (kind not in (1, 2, 3, 4) or head & 0x60) if codec == "h264" else (kind > 14 or kind % 2):
            return False
        seen = True
    return seen


def has_layers(codec: str, extradata: bytes | None) -> bool:
    """Return whether some pictures may be left out only together with others, whose packets do not tell.

    Of H.265 a picture to which none of its own temporal layer refers is marked like one to which none refers at all
    (7.4.2.2), so these are known where there is one layer: by ISO/IEC 14496-15, 8.3.3.1, or the SPS (H.265, 7.3.2.2.1).
    """
    if codec != "hevc":
        return False
    data = extradata or b""
    if data[:1] == b"\1" and len(data) > 21:
        return data[21] >> 3 & 7 != 1
    for unit in data.split(b"\0\0\1")[1:]:
        if len(unit) > 2 and unit[0] >> 1 & 63 == 33:
            return unit[2] >> 1 & 7 != 0
    return True


def plan_decoding(entries: np.ndarray, stamps: np.ndarray, wanted: np.ndarray, *, tail: bool) -> np.ndarray:
    """Return what is done with each packet of a track.

    Args:
        entries: whether decoding can begin there, bool (n,), in the order of the file.
        stamps: when it is shown, int64 (n,).
        wanted: whether its picture is, bool (n,).
        tail: whether the end is decoded in any case.

    Returns:
        ``LEFT_OUT``, ``REFERENCES`` or ``DECODED`` for each, uint8 (n,).

    >>> entries = np.array([1, 0, 0, 1, 0, 0, 1, 0, 0], bool)
    >>> plan_decoding(entries, np.arange(9), np.arange(9) == 4, tail=False).tolist()
    [0, 0, 0, 1, 2, 0, 0, 0, 0]
    """
    count = len(stamps)
    plan = np.zeros(count, np.uint8)
    starts = np.flatnonzero(entries)
    if not len(starts) or starts[0]:
        starts = np.concatenate([[0], starts])
    ends = np.append(starts[1:], count)
    whole = False
    for first, end in zip(starts[::-1].tolist(), ends[::-1].tolist(), strict=True):  # each may need the one before it
        inner = np.flatnonzero(wanted[first:end])
        is_last = tail and end > count - TAIL
        if not len(inner) and not whole and not is_last:
            continue
        last = end if whole or is_last else first + int(inner[-1]) + 1
        plan[first:last] = REFERENCES
        whole = bool((stamps[first:end][inner] < stamps[first]).any())  # shown before the entry, after others
    plan[wanted] = DECODED
    if tail:
        plan[-TAIL:] = DECODED  # whose groups are decoded from their entries on
    return plan


def _unit_heads(packet: Any) -> list[int]:
    """Return the first bytes of the NAL units of a packet, as far as these begin near its start or are counted out."""
    data = memoryview(packet)
    size = len(data)
    heads, place = [], 0
    while place + 5 <= size and len(heads) < _MOST_UNITS:  # ISO/IEC 14496-15: lengths, nearly always of four bytes
        heads.append(data[place + 4])
        place += 4 + int.from_bytes(bytes(data[place : place + 4]))
    head = bytes(data[: min(size, _LOOKED)])
    if place == size or not head.startswith((b"\0\0\1", b"\0\0\0\1")):  # a length of 256 to 511 looks like a start
        return heads
    parts = head.split(b"\0\0\1")[1:]  # ITU-T H.264 and H.265, annex B
    return [part[0] for part in parts if part]
