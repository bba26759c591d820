"""Frames become the pictures that a viewer sees: colours by their matrix and range, upright, square, over black."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from films import write_film
from frames import Track, converted

from affectkit.data.media.frame_pixels import FrameConverter, display_rotation, rotate_frame
from affectkit.data.media.media_file import ClipError

LUMA = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Shares of red and blue in the luma of BT.709, BT.601 and BT.2020, by the code point of H.273."""
BITS = {"yuv420p": 8, "yuv422p": 8, "yuv444p": 8, "yuv420p10le": 10, "yuv422p10le": 10, "yuv444p12le": 12}


def plain(levels, *, size=(64, 48), kind="yuv420p", matrix=2, span=0, transfer=2, primaries=2):
    """A frame of one colour: ``levels`` of its planes, of 8 bits."""
    frame = av.VideoFrame(*size, kind)
    bits = frame.format.components[0].bits
    for plane, level in zip(frame.planes, levels, strict=True):
        np.frombuffer(plane, np.uint8 if bits == 8 else np.uint16)[:] = level << bits - 8
    frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = matrix, span, transfer, primaries
    return frame


def from_luma(levels, matrix, *, full=False):
    """R, G, B on [0, 255] of 8-bit Y', Cb, Cr, by the definition in ITU-T H.273."""
    red, blue = LUMA[matrix]
    y, cb, cr = levels
    y, cb, cr = (y / 255, (cb - 128) / 255, (cr - 128) / 255) if full else (
        (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224)  # fmt: skip
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    return 255 * np.clip([r, (y - red * r - blue * b) / (1 - red - blue), b], 0, 1)


def shown(frame, converter=None, **options):
    return (converter or FrameConverter(Track()))(frame, **options)


def made(path: Path, source: str, *options: str) -> Path:
    """A file that FFmpeg makes of one of its own sources."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([ffmpeg, "-v", "error", "-f", "lavfi", "-i", source, *options, str(path)], check=True)
    return path


SKIN = (120, 95, 165)
NEAR = 3
"""Levels by which swscale, as everybody uses it, is off: 1.5 too dark on average where chroma is subsampled."""


@pytest.mark.parametrize("matrix", sorted(LUMA))
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", sorted(BITS))
def test_colours_by_the_matrix_and_range_that_are_stated(matrix, full, kind):
    found = shown(plain(SKIN, kind=kind, matrix=matrix, span=2 if full else 1))
    assert np.abs(found[20, 20] - from_luma(SKIN, matrix, full=full)).max() < NEAR
    assert np.ptp(found, axis=(0, 1)).max() == 0 and found.flags.c_contiguous
    ways = [(other, other_full) for other in LUMA for other_full in (False, True)]
    nearest = min(ways, key=lambda way: np.abs(found[20, 20] - from_luma(SKIN, way[0], full=way[1])).max())
    assert nearest == (matrix, full)


@pytest.mark.parametrize(
    ("size", "matrix", "name"),
    [((720, 576), 6, "BT.601"), ((704, 480), 6, "BT.601"), ((1280, 720), 1, "BT.709"), ((720, 1280), 1, "BT.709")],
)
def test_colours_whose_matrix_is_not_stated_are_those_of_the_size(size, matrix, name):
    for stated in (2, 3):  # unspecified, reserved
        converter = FrameConverter(Track())
        found = shown(plain(SKIN, size=size, matrix=stated), converter)
        assert np.abs(found[20, 20] - from_luma(SKIN, matrix)).max() < NEAR
        assert converter.described["matrix"] == f"{name} (assumed)" and converter.notes == []


def test_a_matrix_that_cannot_be_converted_is_refused_by_name():
    with pytest.raises(ClipError, match="ICtCp"):
        shown(plain(SKIN, matrix=14))


def test_red_of_hd_video_as_ffmpeg_itself_converts_it(tmp_path):
    # An untagged HD video of BT.709, as most cameras of a while ago wrote them: FFmpeg is told the matrix by hand.
    vf = "scale=out_color_matrix=bt709,format=yuv420p,setparams=colorspace=unknown"
    path = made(tmp_path / "a.mp4", "color=c=0xC05030:s=1280x720:r=5:d=0.4", "-vf", vf, "-qp", "0")
    (first, *_), converter = converted(path)
    assert np.abs(first[300, 300].astype(int) - (0xC0, 0x50, 0x30)).max() <= NEAR
    assert converter.described["matrix"] == "BT.709 (assumed)"
    with av.open(str(path)) as container:
        before = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(before[300, 300].astype(int) - (0xC0, 0x50, 0x30)).max() > 8


def test_gray_of_limited_and_of_full_range():
    assert (shown(plain((100,), kind="gray"))[5, 5] == 100).all()
    assert (shown(plain((100,), kind="gray", span=2))[5, 5] == 100).all()
    assert (shown(plain((100,), kind="gray", span=1))[5, 5] == round((100 - 16) * 255 / 219)).all()


@pytest.mark.parametrize(
    ("codec", "kind"),
    [("rawvideo", "bgr24"), ("rawvideo", "rgb555le"), ("rawvideo", "pal8"), ("png", "rgb24"), ("ffv1", "gbrp")],
)
def test_codecs_of_rgb_keep_their_colours(tmp_path, codec, kind):
    color = (252, 0, 0) if kind == "pal8" else (0xC0, 0x50, 0x30)  # which the palette of FFmpeg has
    source = "color=c=0x{:02X}{:02X}{:02X}:s=64x48:r=5:d=0.2".format(*color)
    path = made(tmp_path / "a.avi", source, "-c:v", codec, "-pix_fmt", kind)
    (first, *_), converter = converted(path)
    assert np.abs(np.median(first, axis=(0, 1)) - color).max() <= (7 if kind == "rgb555le" else 3)  # pal8 is dithered
    assert converter.described["matrix"] == "RGB" and converter.notes == []


def half_clear(width=32, height=16):
    """uint8 (H, W, 4): alpha rises from 0 to 255 from left to right over one colour."""
    pixels = np.full((height, width, 4), (200, 100, 40, 0), np.uint8)
    pixels[:, :, 3] = np.linspace(0, 255, width).round()
    return pixels


@pytest.mark.parametrize("kind", ["rgba", "argb", "bgra", "yuva420p", "yuva444p10le", "gbrap"])
def test_transparency_is_over_black_and_said(kind):
    pixels = half_clear()
    frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=kind)
    converter = FrameConverter(Track())
    found = converter(frame)
    expected = pixels[:, :, :3].astype(float) * pixels[:, :, 3:] / 255
    assert np.abs(found - expected).max() <= 3 and found.flags.c_contiguous
    assert converter.notes == ["transparency over black"] and converter.described["alpha"]
    pixels[:, :, 3] = 255
    opaque = FrameConverter(Track())
    assert np.abs(opaque(av.VideoFrame.from_ndarray(pixels, format="rgba")) - (200, 100, 40)).max() == 0
    assert opaque.notes == []


@pytest.mark.parametrize(("name", "codec", "kind"), [("a.mov", "qtrle", "argb"), ("a.mov", "png", "rgba")])
def test_transparency_of_files(tmp_path, name, codec, kind):
    clear = "format=rgba,colorchannelmixer=aa=0.5"
    source = "color=c=0xC86428:s=64x48:r=5:d=0.2"
    path = made(tmp_path / name, source, "-vf", clear, "-c:v", codec, "-pix_fmt", kind)
    (first, *_), converter = converted(path)
    assert np.abs(first[10, 10] - np.array((200, 100, 40)) / 2).max() <= 2
    assert converter.notes == ["transparency over black"]


def test_transparency_of_vp9_is_said_not_to_be_decoded(tmp_path):
    clear = ["-vf", "format=rgba,colorchannelmixer=aa=0.5,format=yuva420p", "-c:v", "libvpx-vp9", "-cpu-used", "8"]
    path = made(tmp_path / "a.webm", "color=c=0xC86428:s=64x48:r=5:d=0.2", *clear)
    (first, *_), converter = converted(path)
    assert np.abs(first[10, 10].astype(int) - (200, 100, 40)).max() <= 4
    assert converter.notes == ["transparency of VP9 is not decoded: colours are shown as stored"]


def test_an_empty_fourth_channel_of_uncompressed_video_is_no_transparency(tmp_path):
    empty = ["-vf", "format=rgba,colorchannelmixer=aa=0", "-c:v", "rawvideo", "-pix_fmt", "bgra"]
    path = made(tmp_path / "a.avi", "color=c=0xC86428:s=64x48:r=5:d=0.2", *empty)
    (first, *_), converter = converted(path)
    assert np.abs(first[10, 10].astype(int) - (200, 100, 40)).max() <= 1
    assert converter.notes == ["fourth channel is empty: not taken for transparency"]


def corners(number: int) -> np.ndarray:
    """Red, green, blue and white from the upper left, in reading order."""
    picture = np.zeros((96, 128, 3), np.uint8)
    picture[:48, :64], picture[:48, 64:] = (255, 0, 0), (0, 255, 0)
    picture[48:, :64], picture[48:, 64:] = (0, 0, 255), (255, 255, 255)
    return picture


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize("turn", [(0,), (90,), (180,), (-90,), (0, True), (90, True), (180, True), (-90, True)])
def test_turned_mirrored_and_square_in_this_order(tmp_path, name, turn):
    path = write_film(tmp_path / name, 2, draw=corners, turn=turn, aspect=Fraction(3, 2))
    (first, *_), converter = converted(path)
    # What is to be seen: stored pixels made square, turned against the clock, then mirrored (PyAV's documentation).
    wide = cv2.resize(corners(0), (192, 96), interpolation=cv2.INTER_NEAREST)
    wanted = np.rot90(wide, turn[0] // 90)
    wanted = wanted[:, ::-1] if len(turn) > 1 else wanted
    assert first.shape == wanted.shape and first.flags.c_contiguous
    inner = [(y, x) for y in (first.shape[0] // 4, -first.shape[0] // 4) for x in (20, -20)]
    assert all(np.abs(first[place].astype(int) - wanted[place]).max() < 12 for place in inner)
    facts = converter.described
    assert (facts["rotation"], facts["mirrored"]) == (-turn[0] % 360, len(turn) > 1)
    assert facts["pixel_aspect"] == 1.5 and (facts["width"], facts["height"]) == (128, 96) and converter.notes == []


@pytest.mark.parametrize("angle", [0, 30, 44, 46, 90, 120, 200, 300])
@pytest.mark.parametrize("mirrored", [False, True])
def test_matrices_of_any_angle_are_described_and_shown_to_the_nearest_quarter(angle, mirrored):
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    # (x, y) goes to (a x + c y, b x + d y), y downwards: clockwise. Mirrored from left to right afterwards.
    a, b, c, d = cosine, sine, -sine, cosine
    a, c = (-a, -c) if mirrored else (a, c)
    matrix = np.round(np.array([a, b, 0, c, d, 0, 0, 0, 16384]) * 65536).astype(np.int64).astype(np.int32)
    found, flipped = display_rotation(matrix)
    assert found == pytest.approx(angle, abs=0.01) and flipped is mirrored
    wanted = np.rot90(corners(0), -round(angle / 90))
    assert np.array_equal(rotate_frame(corners(0), matrix), wanted[:, ::-1] if mirrored else wanted)


def test_an_angle_between_quarters_is_said(tmp_path):
    path = write_film(tmp_path / "a.mp4", 2, draw=corners, turn=(-30,))
    (first, *_), converter = converted(path)
    assert first.shape == (96, 128, 3)
    assert converter.notes == ["turned by 30 degrees: shown to the nearest quarter of a turn"]


def remuxed(source: Path, path: Path, *options: str) -> Path:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(source), "-c", "copy", *options, str(path)]
    subprocess.run(command, check=True)
    return path


def test_the_pixel_aspect_of_the_container_counts_more_than_that_of_the_codec(tmp_path):
    source = write_film(tmp_path / "a.mp4", 2, draw=corners, aspect=Fraction(3, 2))
    other = remuxed(source, tmp_path / "b.mkv", "-bsf:v", "h264_metadata=sample_aspect_ratio=2/1")
    with av.open(str(other)) as container:
        video = container.streams.video[0]
        assert (video.sample_aspect_ratio, video.codec_context.sample_aspect_ratio) == (Fraction(3, 2), 2)
    assert converted(other)[0][0].shape == (96, 192, 3)


def test_a_pixel_aspect_that_changes_in_mid_stream(tmp_path):
    pieces = [
        write_film(tmp_path / f"{width}.ts", 10, draw=corners, aspect=Fraction(width, 4)).read_bytes()
        for width in (5, 6)
    ]
    (tmp_path / "both.ts").write_bytes(b"".join(pieces))
    widths = [picture.shape[1] for picture in converted(tmp_path / "both.ts")[0]]
    assert widths == sorted(widths) and len(widths) == 20
    # The decoder states the aspect of what it reads: some frames ahead of what it gives.
    assert widths[:6] == [160] * 6 and widths[10:] == [192] * 10


def test_an_absurd_pixel_aspect_is_not_believed_and_said(tmp_path):
    path = write_film(tmp_path / "a.mkv", 2, draw=corners, aspect=Fraction(20))
    (first, *_), converter = converted(path)
    assert first.shape == (96, 128, 3)
    assert converter.notes == ["pixels stated to be 20 times as wide as high are taken as square"]


def test_frames_whose_size_changes_in_mid_stream():
    converter = FrameConverter(Track())
    for size in ((64, 48), (33, 17), (64, 48)):
        found = converter(plain(SKIN, size=size))
        assert found.shape == (size[1], size[0], 3)
        assert np.abs(found - from_luma(SKIN, 6)).max() < NEAR
    assert converter.notes == [
        "the size of frames changes (from 64x48 to 33x17)",
    ]


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 5), (31, 23), (2, 7)])
@pytest.mark.parametrize("kind", ["yuv420p", "yuv422p", "yuv410p", "nv12"])
def test_odd_sizes_and_chroma_of_one_pixel(size, kind):
    frame = plain(SKIN, size=size, kind="yuv420p" if kind == "nv12" else kind)
    found = shown(frame.reformat(format=kind))
    assert found.shape == (size[1], size[0], 3) and np.abs(found - from_luma(SKIN, 6)).max() < NEAR


def test_a_reduced_picture_is_the_whole_one_made_smaller():
    ramp = np.tile(np.linspace(0, 255, 400).astype(np.uint8)[None, :, None], (300, 1, 3))
    frame = av.VideoFrame.from_ndarray(ramp, format="rgb24").reformat(format="yuv420p")
    converter = FrameConverter(Track())
    small = converter(frame, longest=100)
    assert small.shape == (75, 100, 3) and converter(frame, longest=400).shape == (300, 400, 3)
    whole = cv2.resize(converter(frame), (100, 75), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - whole)[:, 3:-3].max() <= NEAR
