"""Videos that are written state how their colours are stored, so that players and our own reader show them right."""

from __future__ import annotations

import subprocess

import av
import imageio_ffmpeg
import numpy as np
import pytest
from frames import converted

from affectkit.core.progress import Silent
from affectkit.data.media.stored_colors import StoredFrames, ffmpeg_options
from affectkit.inference.video.annotated_video import CameraRecorder, write_annotated
from affectkit.runtime.shutdown import StopFlag

ORANGE = (192, 80, 48)
CODES = {(640, 480): 6, (1280, 720): 1}
"""Size of a video, and the code point of ITU-T H.273 of its matrix: BT.601 and BT.709."""


def picture(size):
    return np.full((size[1], size[0], 3), ORANGE, np.uint8)


def check(path, size) -> None:
    (first, *_), converter = converted(path)
    assert np.abs(first[40, 40].astype(int) - ORANGE).max() <= 3
    assert converter.described["matrix"] == ("BT.709" if CODES[size] == 1 else "BT.601")
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_range) == (CODES[size], 1)
    # An independent reading: FFmpeg's zscale, which is told the matrix of a player that goes by the size.
    name = "709" if CODES[size] == 1 else "170m"
    read = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-frames:v", "1", "-vf"]
    shown = [f"zscale=matrixin={name}:rangein=limited:matrix=gbr:range=full,format=gbrp", "-pix_fmt", "rgb24"]
    raw = subprocess.run([*read, *shown, "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
    assert np.abs(np.frombuffer(raw, np.uint8).reshape(size[1], size[0], 3)[40, 40].astype(int) - ORANGE).max() <= 3


@pytest.mark.parametrize("size", sorted(CODES))
def test_frames_that_pyav_writes(tmp_path, size):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        frames = StoredFrames(stream)
        for _ in range(2):
            container.mux(stream.encode(frames(picture(size))))
        container.mux(stream.encode(None))
    check(tmp_path / "a.mp4", size)


@pytest.mark.parametrize("size", sorted(CODES))
def test_frames_that_ffmpeg_writes(tmp_path, size):
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "{}x{}".format(*size), "-r", "5", "-i", "-"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *given, "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    data = picture(size).tobytes() * 2
    subprocess.run([*command, *ffmpeg_options(*size), str(tmp_path / "a.mp4")], input=data, check=True)
    check(tmp_path / "a.mp4", size)


def test_the_video_of_a_camera(tmp_path):
    with CameraRecorder(tmp_path / "a.mp4") as recorder:
        for time in (0.0, 0.1):
            recorder.add(time, picture((1280, 720)), [])
    check(tmp_path / "a.mp4", (1280, 720))


def test_an_annotated_video(tmp_path):
    size, source, target = (1280, 720), tmp_path / "a.mp4", tmp_path / "b.mp4"
    with CameraRecorder(source) as recorder:
        for number in range(5):
            recorder.add(number / 10, picture(size), [])
    write_annotated(target, source, iter(()), seconds=0.4, stopping=StopFlag(), reporter=Silent())
    check(target, size)
