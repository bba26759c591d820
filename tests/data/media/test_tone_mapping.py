"""HDR as an SDR display shows it, by the published formulas, written out anew here for single values."""

from __future__ import annotations

import math
import subprocess

import av
import imageio_ffmpeg
import numpy as np
import pytest
from frames import Track, converted

from affectkit.data.media.frame_pixels import FrameConverter
from affectkit.data.media.tone_mapping import compress_range, display_light, gamut_matrix, peak_luminance, pq_code

PQ, HLG, BT2020 = 16, 18, 9


def pq(light: float) -> float:
    """The code of SMPTE ST 2084 for cd/m2 (equation 5.2 there)."""
    y = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg(scene: float) -> float:
    """The code of ARIB STD-B67 for scene light on [0, 1]."""
    return math.sqrt(3 * scene) if scene <= 1 / 12 else 0.17883277 * math.log(12 * scene - 0.28466892) + 0.55991073


def eetf(light: float, peak: float) -> float:
    """ITU-R BT.2390, section 5.4.1, with black at 0 and a display of 203 cd/m2."""
    top, most = pq(peak), pq(203) / pq(peak)
    e, knee = min(pq(light) / top, 1), 1.5 * most - 0.5
    if e > knee:
        t = (e - knee) / (1 - knee)
        e = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    low, high = 0.0, 10_000.0  # the inverse of PQ, by halving
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if pq(middle) < e * top else (low, middle)
    return low


def sdr(light: float) -> float:
    """The level on [0, 255] of light on a display of 203 cd/m2, by BT.1886."""
    return 255 * min(light / 203, 1) ** (1 / 2.4)


def hdr_frame(rgb, transfer, *, size=(64, 48), kind="yuv420p10le", primaries=BT2020):
    """A frame of one colour, of codes on [0, 1], as BT.2020 of 10 bits and limited range has it."""
    red, green, blue = rgb
    y = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    levels = 64 + 876 * y, 512 + 896 * (blue - y) / 1.8814, 512 + 896 * (red - y) / 1.4746
    frame = av.VideoFrame(*size, kind)
    for plane, level in zip(frame.planes, levels, strict=True):
        np.frombuffer(plane, np.uint16)[:] = round(level)
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = 9, 1, transfer, primaries
    return frame


@pytest.mark.parametrize("light", [0.1, 1, 10, 50, 90, 120, 203, 400, 800, 1000, 4000])
def test_gray_of_pq_is_the_level_of_the_formulas(light):
    converter = FrameConverter(Track())
    found = converter(hdr_frame([pq(light)] * 3, PQ))[20, 20]
    assert np.abs(found - sdr(eetf(light, 1000))).max() < 2.5 and np.ptp(found) <= 2
    assert converter.notes == ["HDR (PQ, to 1,000 cd/m2) tone-mapped to SDR by BT.2390"] and converter.described["hdr"]
    plain = av.VideoFrame.reformat(hdr_frame([pq(light)] * 3, PQ), format="rgb24").to_ndarray()[20, 20]
    if 40 < light < 900:  # as it was before: the code taken for SDR's
        assert np.abs(plain.astype(int) - found).max() > 15


@pytest.mark.parametrize("scene", [0.002, 0.02, 0.05, 0.1, 0.265, 0.5, 1.0])
def test_gray_of_hlg_is_the_level_of_the_formulas(scene):
    found = FrameConverter(Track())(hdr_frame([hlg(scene)] * 3, HLG))[20, 20]
    assert np.abs(found - sdr(eetf(1000 * scene**1.2, 1000))).max() < 2.5


def test_a_colour_of_bt709_in_bt2020_keeps_its_hue_and_its_level():
    # Light of BT.709 below the knee, in cd/m2; to BT.2020 by the matrix of ITU-R BT.2087.
    light = np.array((80.0, 40.0, 25.0))
    matrix = np.array([(0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956)])
    codes = [pq(value) for value in matrix @ light]
    found = FrameConverter(Track())(hdr_frame(codes, PQ))[20, 20]
    assert np.abs(found - [sdr(value) for value in light]).max() < 3
    assert np.abs(matrix @ gamut_matrix(BT2020) - np.eye(3)).max() < 1e-3


def test_formulas():
    assert float(pq_code(100.0)) == pytest.approx(0.5081, abs=1e-4) == pq(100)
    assert display_light(np.array([[0.75, 0.75, 0.75]]), HLG)[0, 0] == pytest.approx(203, abs=1)  # BT.2408
    for light in (5.0, 93.0, 150.0, 600.0, 1000.0):
        assert float(compress_range(np.array(light), 1000)) == pytest.approx(eetf(light, 1000), rel=1e-6)
    assert float(compress_range(np.array(1000.0), 1000)) == pytest.approx(203)
    assert float(compress_range(np.array(150.0), 203)) == 150


def test_sdr_is_left_as_it_is():
    for transfer in (1, 2, 6, 13, 14):
        frame = hdr_frame((0.5, 0.4, 0.3), transfer, primaries=1)
        converter = FrameConverter(Track())
        found = converter(frame)
        assert converter.notes == [] and not converter.described["hdr"]
        assert np.abs(found[20, 20] - 255 * np.array((0.5, 0.4, 0.3))).max() < 3


def test_wide_gamut_is_brought_to_bt709_and_said():
    light = np.array([(0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956)]) @ (0.6, 0.2, 0.1)
    converter = FrameConverter(Track())
    found = converter(hdr_frame(light ** (1 / 2.4), 14))[20, 20]
    assert np.abs(found - 255 * np.array((0.6, 0.2, 0.1)) ** (1 / 2.4)).max() < 3
    assert converter.notes == ["colours of BT.2020 converted to BT.709"]


def test_a_reduced_picture_and_sizes_that_change_are_mapped_likewise():
    converter, expected = FrameConverter(Track()), sdr(eetf(300, 1000))
    for size, longest in (((64, 48), None), ((64, 48), 32), ((33, 17), None), ((64, 48), None)):
        found = converter(hdr_frame([pq(300)] * 3, PQ, size=size), longest=longest)
        assert found.shape == ((24, 32, 3) if longest else (size[1], size[0], 3))
        assert np.abs(found - expected).max() < 2.5 and found.flags.c_contiguous


def test_hlg_between_frames_of_pq_has_a_mapper_of_its_own():
    converter = FrameConverter(Track())
    for transfer, wanted in ((PQ, eetf(100, 1000)), (HLG, eetf(1000 * 0.1**1.2, 1000)), (PQ, eetf(100, 1000))):
        found = converter(hdr_frame([pq(100) if transfer == PQ else hlg(0.1)] * 3, transfer))
        assert np.abs(found - sdr(wanted)).max() < 2.5
    assert len(converter.notes) == 2


def test_the_peak_of_a_file_by_its_metadata(tmp_path):
    ffmpeg, path = imageio_ffmpeg.get_ffmpeg_exe(), tmp_path / "a.mp4"
    tags = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:hdr10=1:log-level=none"
    display = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50)"
    source = "color=c=gray:s=64x64:r=5:d=0.4,format=yuv420p10le"
    for extra, peak in ((f":{display}", 4000), (f":{display}:max-cll=2000,400", 2000), ("", 1000)):
        encode = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", tags + extra]
        command = [ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-i", source, *encode, str(path)]
        subprocess.run(command, check=True)
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
        assert peak_luminance(frame) == peak
        (first, *_), converter = converted(path)
        assert converter.notes == [f"HDR (PQ, to {peak:,} cd/m2) tone-mapped to SDR by BT.2390"]
        assert converter.described["transfer"] == "PQ" and converter.described["matrix"] == "BT.2020"
        code = (np.frombuffer(frame.planes[0], np.uint16)[0] - 64) / 876
        light = 10_000 * (max(code ** (1 / 78.84375) - 0.8359375, 0)
                          / (18.8515625 - 18.6875 * code ** (1 / 78.84375))) ** (1 / 0.1593017578125)  # fmt: skip
        assert np.abs(first[20, 20] - sdr(eetf(light, peak))).max() < 3
