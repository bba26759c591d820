"""Where decoding can begin, by the NAL units of packets in both ways of storing them."""

from __future__ import annotations

import pytest

from affectkit.data.media.decoding_plan import is_entry

IDR, SLICE, PARAMETERS, SEI = 0x65, 0x41, 0x67, 0x06


class Packet(bytearray):
    """A packet that its container marks."""

    is_keyframe = True


def counted(*units: tuple[int, int]) -> Packet:
    """Return units (first byte, length) with their lengths before them, as MP4 and Matroska store them."""
    return Packet(b"".join(size.to_bytes(4) + bytes([head]) + b"\x80" * (size - 1) for head, size in units))


def started(*units: tuple[int, int], code: bytes = b"\0\0\0\1") -> Packet:
    """Return units with start codes before them, as transport streams store them."""
    return Packet(b"".join(code + bytes([head]) + b"\x80" * (size - 1) for head, size in units))


@pytest.mark.parametrize("size", [1, 2, 0xFF, 0x100, 0x105, 0x108, 0x165, 0x1FF, 0x200, 70_000])
def test_a_length_that_looks_like_a_start_code_is_a_length(size):
    assert is_entry(counted((IDR, size)), "h264")
    assert not is_entry(counted((SLICE, size)), "h264")
    assert is_entry(counted((SEI, 40), (IDR, size)), "h264") and not is_entry(counted((SEI, size), (SLICE, 9)), "h264")
    for code in (b"\0\0\1", b"\0\0\0\1"):
        assert is_entry(started((PARAMETERS, 20), (IDR, size), code=code), "h264")
        assert not is_entry(started((PARAMETERS, 20), (SLICE, size), code=code), "h264")
