"""Where decoding can begin, by the NAL units of packets in both ways of storing them."""

from __future__ import annotations

import pytest

from affectkit.data.media.decoding_plan import entry_flags, has_layers, is_disposable

IDR, SLICE, PARAMETERS, SEI = 0x65, 0x41, 0x67, 0x06


class Packet(bytearray):
    """A packet that its container marks."""

    is_keyframe = True

    def has_sidedata(self, kind: str) -> bool:
        return False


def is_entry(packet: Packet, codec: str) -> bool:
    return entry_flags(packet, codec)[0]


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


def test_parameter_sets_are_seen_before_the_picture():
    assert entry_flags(counted((PARAMETERS, 20), (0x68, 4), (IDR, 300)), "h264") == (True, True)
    assert entry_flags(counted((SEI, 20), (IDR, 300)), "h264") == (True, False)
    assert entry_flags(started((66, 20), (38, 30)), "hevc") == (True, True)  # SPS, then IDR
    assert entry_flags(counted((42, 300)), "hevc") == (True, False)  # CRA
    assert entry_flags(counted((2, 300)), "hevc") == (False, False)
    assert entry_flags(counted((2, 300)), "vp9") == (True, False)


def test_temporal_layers_are_read_from_both_forms_of_parameter_sets():
    record = bytes([1, *[0] * 20])  # ISO/IEC 14496-15, 8.3.3.1.2: numTemporalLayers is in byte 21, bits 3 to 5
    assert [has_layers("hevc", record + bytes([layers << 3 | 7])) for layers in range(4)] == [True, False, True, True]
    sps = [b"\0\0\0\1\x40\1\x0c" + b"\0\0\0\1\x42\1" + bytes([more << 1 | 1]) for more in range(3)]
    assert [has_layers("hevc", data) for data in sps] == [False, True, True]
    assert has_layers("hevc", None) and not has_layers("h264", None)


def test_pictures_to_which_none_refers():
    assert is_disposable(counted((SEI, 20), (0x01, 300), (0x01, 400)), "h264")  # nal_ref_idc 0
    assert is_disposable(started((0x09, 2), (0x01, 300)), "h264")
    assert not is_disposable(counted((0x01, 300), (0x21, 400)), "h264")
    assert not is_disposable(counted((PARAMETERS, 20), (0x01, 300)), "h264")
    assert not is_disposable(counted((SEI, 20)), "h264") and not is_disposable(counted((IDR, 300)), "h264")
    for kind in range(64):  # TRAIL_N, TSA_N, STSA_N, RADL_N, RASL_N and reserved ones
        assert is_disposable(counted((kind << 1, 300)), "hevc") == (kind in range(0, 15, 2))
