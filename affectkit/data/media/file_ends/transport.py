"""The end of MPEG transport streams: packets of one size, and the lengths of what they carry (ISO/IEC 13818-1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from affectkit.data.media.file_ends.source import FileEnd, Source, lacking

SYNC = 0x47
PACKET = 188
LAYOUTS = ((188, 0), (192, 4), (204, 0))
"""Bytes from packet to packet, and before the packet in them: time codes of cameras and discs, checks of receivers."""
AGREEING = 5
"""Packets in a row by which the layout is believed."""
TAIL = 1 << 21
NULL = 0x1FFF
COMPLETE = FileEnd(None, reason="the last packet is complete, and none says that it is the last")


@dataclass
class _Carried:
    """Bytes of a packet of an elementary stream so far, and those that it states; 0: none."""

    have: int
    stated: int


@dataclass
class _Streams:
    """The streams of transport packets by their numbers: last counters, and the packets that are open in them."""

    counters: dict[int, int] = field(default_factory=dict)
    carried: dict[int, _Carried] = field(default_factory=dict)


def packet_layout(source: Source, place: int) -> tuple[int, int] | None:
    """Return the place of the first packet at or after ``place`` and the bytes from packet to packet; None where there
    are no packets."""
    return _find_layout(source.read(place, 204 * (AGREEING + 2)))


def _find_layout(data: bytes) -> tuple[int, int] | None:
    for step, before in LAYOUTS:
        for first in range(step):
            syncs = data[first + before :: step]
            if len(syncs) >= AGREEING and syncs.count(SYNC) == len(syncs):
                return first, step
    return None


def find_transport_end(source: Source) -> FileEnd:
    """Return the end of a transport stream: half a last packet, or less carried than an elementary stream states.

    Video rarely states how much there is of a picture: that the last one is not all there remains to the decoder.
    """
    _, tail = source.read_tail(TAIL)
    found = _find_layout(tail[-204 * (AGREEING + 2) :])
    if found is None:
        return FileEnd(None, reason="no packets at the end of the file")
    step = found[1]
    before = dict(LAYOUTS)[step]
    rest = (min(len(tail), 204 * (AGREEING + 2)) - found[0]) % step
    streams = _Streams()
    for place in range((len(tail) - rest) % step + before, len(tail) - rest, step):
        _add(streams, tail[place : place + PACKET])
    if rest and _goes_on(streams, tail[len(tail) - rest :], before):
        return lacking("the last packet", step - rest)
    short = sum(max(stream.stated - stream.have, 0) for stream in streams.carried.values() if stream.stated)
    return lacking("the last packet of a stream", short) if short else COMPLETE


def _goes_on(streams: _Streams, rest: bytes, before: int) -> bool:
    """Return whether ``rest`` is the begin of a packet of these ``streams``, and not something that follows them."""
    packet = rest[before:]
    if not packet:
        return any(rest)
    if packet[0] != SYNC:
        return False
    return len(packet) < 4 or _number(packet) == NULL or _step(streams, packet) in (0, 1)


def _number(packet: bytes) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def _step(streams: _Streams, packet: bytes) -> int | None:
    """Return by how much the counter of ``packet`` is ahead of the last one of its stream; None: it is the first."""
    last = streams.counters.get(_number(packet))
    return None if last is None else ((packet[3] & 0xF) - last) % 16


def _add(streams: _Streams, packet: bytes) -> None:
    """Count what ``packet`` carries in; a stream of which packets are lost, or that is scrambled, is left out."""
    if packet[0] != SYNC:
        streams.carried.clear()  # what was there before is not known to go on
        return
    number, step = _number(packet), _step(streams, packet)
    begin = 5 + packet[4] if packet[3] & 0x20 else 4
    streams.counters[number] = packet[3] & 0xF
    if number == NULL or not packet[3] & 0x10 or begin > PACKET:
        return
    payload, stream = packet[begin:], streams.carried.get(number)
    if packet[1] & 0x40 and not packet[1] & 0x80 and not packet[3] & 0xC0:
        streams.carried.pop(number, None)
        if payload[:3] == b"\x00\x00\x01" and len(payload) >= 6:
            length = int.from_bytes(payload[4:6])
            streams.carried[number] = _Carried(len(payload), 6 + length if length else 0)
    elif stream is not None and step == 1 and not packet[1] & 0x80 and not packet[3] & 0xC0:
        stream.have += len(payload)
    elif stream is not None and step != 0:  # 0: the same one, sent twice
        streams.carried.pop(number)
