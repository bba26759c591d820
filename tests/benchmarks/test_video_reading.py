"""Reading videos beside PyAV alone: decoding, sparse frames of a large video, clips, and the first pass of an hour."""

from __future__ import annotations

import time
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from benchmarks.measuring import show

from affectkit.data.media import video_stream
from affectkit.data.media.packet_times import scan_packets
from affectkit.data.media.video_stream import VideoStream

pytestmark = pytest.mark.benchmark


def film(path: Path, seconds: float, size: tuple[int, int], *, group: int = 250, noise: int = 6) -> Path:
    """H.264 at 30 frames/s of a coarse ground that moves, with noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 180, (size[1] // 16 + 1, size[0] // 16 + 1, 3), dtype=np.uint8)
    ground = np.kron(coarse, np.ones((16, 16, 1), np.uint8))[: size[1], : size[0]]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "g": str(group)})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        for number in range(round(seconds * 30)):
            grain = rng.integers(-noise, noise + 1, (size[1] // 2, size[0] // 2, 1), dtype=np.int16)
            grain = grain.repeat(2, 0).repeat(2, 1)[: size[1], : size[0]]
            frame = np.clip(np.roll(ground, number, 1).astype(np.int16) + grain, 0, 255).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(video.encode(None))
    return path


def by_pyav(path: Path, *, threads: int, pixels: bool) -> int:
    count, converter = 0, VideoReformatter()
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        video.thread_type, video.thread_count = "AUTO", threads
        for frame in container.decode(video):
            if pixels:
                converter.reformat(frame, format="rgb24", threads=1).to_ndarray()
            count += 1
    return count


def least(work, repeats: int = 4) -> float:
    """Seconds of processor time that ``work`` takes, the least of some runs."""
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def test_every_frame_of_a_minute(tmp_path, capsys):
    path = film(tmp_path / "a.mp4", 60, (640, 480))
    decoded = least(lambda: by_pyav(path, threads=1, pixels=False))
    shown = least(lambda: by_pyav(path, threads=1, pixels=True))
    read = least(lambda: sum(1 for _ in VideoStream(path)))
    sparse = least(lambda: sum(1 for _ in VideoStream(path, every=(1000.0, 0))))
    show(
        capsys,
        ["640x480, 60 s, 1,800 frames", "CPU s", "PyAV's share"],
        [
            ["PyAV decodes", f"{decoded:.2f}", ""],
            ["VideoStream decodes, one frame taken", f"{sparse:.2f}", f"{decoded / sparse:.2f}"],
            ["PyAV decodes, RGB", f"{shown:.2f}", ""],
            ["VideoStream, every frame", f"{read:.2f}", f"{shown / read:.2f}"],
        ],
    )
    assert decoded / sparse > 0.7 and shown / read > 0.8


@pytest.mark.parametrize("group", [30, 250])
def test_sparse_frames_of_a_large_video(tmp_path, capsys, monkeypatch, group):
    path = film(tmp_path / "a.mp4", 8, (3840, 2160), group=group)
    rows = []
    for every in ((0.5, 0), (2.0, 0)):
        planned = least(lambda every=every: sum(1 for _ in VideoStream(path, every=every)), 2)
        with monkeypatch.context() as patch:
            patch.setattr(video_stream, "LARGE", 10**9)
            whole = least(lambda every=every: sum(1 for _ in VideoStream(path, every=every)), 2)
        rows.append([f"{every[0]:g} s", f"{whole:.2f}", f"{planned:.2f}", f"{whole / planned:.2f}"])
    show(capsys, [f"3840x2160, 8 s, groups of {group}", "all decoded, CPU s", "what is needed", "ratio"], rows)
    assert all(float(row[-1]) > 1.0 for row in rows)


def test_the_first_pass_of_an_hour(tmp_path, capsys):
    part = film(tmp_path / "part.ts", 20, (640, 480), noise=2).read_bytes()
    path = tmp_path / "hour.ts"
    with path.open("wb") as stream:
        for _ in range(180):
            stream.write(part)
    begin = time.process_time()
    times = scan_packets(path)
    scanned = time.process_time() - begin
    decoded = least(lambda: by_pyav(tmp_path / "part.ts", threads=1, pixels=False), 2) * 180
    show(
        capsys,
        [f"an hour, {path.stat().st_size / 1e6:,.0f} MB, joined of 180 parts", "CPU s"],
        [["first pass", f"{scanned:.1f}"], ["decoding by PyAV", f"{decoded:.1f}"]],
    )
    assert len(times.pictures) == 108_000 and float(times.pictures[-1] * times.video.tick - times.zero) > 3599.9
