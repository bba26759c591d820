"""Interlaced frames are shown as they were at one moment, and what does not move keeps all its rows."""

from __future__ import annotations

import subprocess

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from affectkit.data.media.deinterlacing import combed_mask, first_field, interpolate_field, merge_fields
from affectkit.data.media.frame_pixels import FrameConverter

SIZE = (320, 240)
NOTE = "interlaced: what moves between the two fields of a frame is made from the first one alone"


def scene(moment: int, *, moving: bool = True) -> np.ndarray:
    """uint8 (H, W, 3): soft blobs, which move by six pixels a moment."""
    noise = np.random.default_rng(3).random((30, 40)).astype(np.float32)
    picture = cv2.resize(noise, SIZE, interpolation=cv2.INTER_CUBIC)[:, :, None].repeat(3, axis=2)
    return np.roll((40 + 170 * np.clip(picture, 0, 1)).astype(np.uint8), 6 * moment if moving else 0, axis=1)


def interlaced_file(path, order: str, *, moving: bool = True, codec=("libx264", "-qp", "10"), flags=True):
    """A video whose frame n holds the moments 2 n and 2 n + 1, the one that is shown first by ``order``: tff or bff."""
    raw = b"".join(scene(moment, moving=moving).tobytes() for moment in range(8))
    lead = "interleave_top" if order == "tff" else "interleave_bottom"
    woven = ["-vf", f"scale=out_color_matrix=bt601,format=yuv420p,tinterlace={lead},setfield={order}"]
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "320x240", "-r", "50", "-i", "-"]
    marks = ["-flags", "+ildct+ilme"] if flags else []
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *given, *woven, "-c:v", *codec, *marks, str(path)]
    subprocess.run(command, input=raw, check=True)
    return path


def read(path):
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        converter = FrameConverter(video)
        frames = list(container.decode(video))
    return [frame.to_ndarray(format="rgb24") for frame in frames], [converter(frame) for frame in frames], converter


def psnr(found, wanted) -> float:
    return 10 * np.log10(255**2 / np.mean((found.astype(float) - wanted) ** 2))


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", ("libx264", "-qp", "10")), ("a.mkv", ("libx264", "-qp", "10")),
     ("a.mpg", ("mpeg2video", "-q:v", "2")), ("a.avi", ("mpeg4", "-q:v", "2"))],
)  # fmt: skip
def test_moving_pictures_are_of_the_moment_of_the_field_that_is_shown_first(tmp_path, name, codec, order):
    before, now, converter = read(interlaced_file(tmp_path / name, order, codec=codec))
    assert len(now) == 4
    for number, (old, new) in enumerate(zip(before, now, strict=True)):
        first, second = scene(2 * number), scene(2 * number + 1)
        inner = np.s_[:, 24:-24]  # what comes in at the sides is not of the scene's neighbours
        assert psnr(new[inner], first[inner]) > 32
        assert psnr(old[inner], first[inner]) < 26
        assert psnr(new[inner], second[inner]) < 26
    assert converter.notes == [NOTE] and converter.described["interlaced"]


def test_what_stands_still_keeps_all_its_rows(tmp_path):
    before, now, converter = read(interlaced_file(tmp_path / "a.mp4", "tff", moving=False))
    assert all(np.array_equal(old, new) for old, new in zip(before, now, strict=True))
    assert converter.notes == [NOTE]


def test_better_than_the_first_field_alone_and_than_the_woven_frame():
    # Half of the picture stands still, and is full of lines; the other half moves.
    moments = [scene(0), scene(1)]
    for picture in moments:
        picture[:, :160] = np.random.default_rng(1).integers(0, 255, (240, 160, 1))
        picture[:, :160] = cv2.GaussianBlur(picture[:, :160], (0, 0), 1.0)
    woven = moments[0].copy()
    woven[1::2] = moments[1][1::2]
    frame = av.VideoFrame.from_ndarray(woven, format="rgb24")
    field = first_field(frame, 0).to_ndarray()
    assert np.array_equal(field, moments[0][::2])
    alone = interpolate_field(field, 0, height=240)
    mask = combed_mask(woven)
    merged = merge_fields(woven.copy(), field, 0)
    assert psnr(merged, moments[0]) > max(psnr(alone, moments[0]), psnr(woven, moments[0])) + 1
    assert mask[:, 180:].mean() > 4 * mask[:, :140].mean()


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("height", [16, 17])
@pytest.mark.parametrize("kind", ["yuv420p", "yuv422p10le", "nv12", "rgb24", "yuv410p"])
def test_fields_have_their_rows_of_every_plane(first, height, kind):
    frame = av.VideoFrame(20, height, kind)
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
        rows[:] = np.arange(plane.height)[:, None]
    field = first_field(frame, first)
    assert field.height == len(range(first, height, 2)) and field.format.name == kind
    for plane, whole in zip(field.planes, frame.planes, strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, 0]
        numbers = [min(row, whole.height - 1) for row in range(first, first + 2 * plane.height, 2)]
        numbers = [row if row % 2 == first else row - 1 for row in numbers]  # a chroma row that is not there
        assert rows.tolist() == numbers


@pytest.mark.parametrize(("first", "height"), [(0, 7), (0, 8), (1, 7), (1, 8)])
def test_rows_between_are_means_and_the_ends_repeat(first, height):
    ramp = np.repeat(np.arange(height, dtype=np.uint8)[:, None, None] * 10, 3, axis=2)
    whole = interpolate_field(ramp[first::2], first, height=height)
    wanted = ramp.copy()
    wanted[0] = ramp[first]
    last = len(range(first, height, 2)) * 2 - 2 + first
    wanted[last:] = ramp[last]
    assert np.array_equal(whole, wanted)


def test_progressive_frames_are_left_alone_whatever_they_show(tmp_path):
    before, now, converter = read(
        interlaced_file(tmp_path / "a.mkv", "prog", codec=("libx264", "-qp", "10"), flags=False)
    )
    assert all(np.array_equal(old, new) for old, new in zip(before, now, strict=True))
    assert converter.notes == [] and not converter.described["interlaced"]


def test_a_reduced_picture_of_an_interlaced_frame(tmp_path):
    path = interlaced_file(tmp_path / "a.mp4", "tff")
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        converter = FrameConverter(video)
        frame = list(container.decode(video))[1]
    for longest in (160, 240):
        small = converter(frame, longest=longest)
        size = (longest, longest * 3 // 4)
        assert small.shape == (size[1], size[0], 3)
        inner = np.s_[:, 16:-16]
        assert psnr(small[inner], cv2.resize(scene(2), size, interpolation=cv2.INTER_AREA)[inner]) > 30
