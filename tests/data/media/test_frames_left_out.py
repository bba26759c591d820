"""Frames that are taken while others are left undecoded: the same numbers, times and bytes as when all are decoded."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from films import coded, write_film

from affectkit.data.media import video_stream
from affectkit.data.media.decoding_plan import DECODED, LEFT_OUT, REFERENCES, TAIL, plan_decoding
from affectkit.data.media.frame_decoder import FrameDecoder
from affectkit.data.media.media_file import ClipError
from affectkit.data.media.video_stream import VideoStream

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
X265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=12:min-keyint=12:bframes=3"
X264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -x264-params"
CODED = {
    "closed": ("mp4", f"{X264} keyint=12:min-keyint=12:bframes=3:scenecut=0"),
    "pyramid": ("mkv", f"{X264} keyint=25:min-keyint=25:bframes=5:b-pyramid=normal:ref=5:scenecut=0"),
    "open": ("mp4", f"{X264} keyint=12:min-keyint=12:open-gop=1:bframes=3:scenecut=0"),
    "refresh": ("mp4", f"{X264} keyint=12:intra-refresh=1:bframes=0"),
    "slices": ("mkv", f"{X264} keyint=20:slices=4:scenecut=0"),
    "one-group": ("mp4", f"{X264} keyint=1000:scenecut=0"),
    "transport": ("ts", f"{X264} keyint=12:min-keyint=12:bframes=2:scenecut=0"),
    "avi": ("avi", f"{X264} keyint=12:min-keyint=12:bframes=0:scenecut=0"),
    "avi-b": ("avi", f"{X264} keyint=12:min-keyint=12:bframes=2:scenecut=0"),
    "fields": ("mp4", f"{X264} keyint=12:tff=1:bframes=2 -flags +ildct+ilme"),
    "hevc": (
        "mp4",
        "-c:v libx265 -preset ultrafast -x265-params keyint=12:min-keyint=12:bframes=3:open-gop=0:log-level=none",
    ),
    "hevc-open": (
        "mkv",
        "-c:v libx265 -preset ultrafast -x265-params keyint=12:min-keyint=12:bframes=3:open-gop=1:log-level=none",
    ),
    "vp9": ("webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 12"),
    "mjpeg": ("avi", "-c:v mjpeg -q:v 3"),
    "mpeg4": ("mp4", "-c:v mpeg4 -g 12 -bf 2"),
    "mpeg2": ("mpg", "-c:v mpeg2video -g 12 -bf 2"),
    "prores": ("mov", "-c:v prores_ks -profile:v 0"),
}
UNPLANNED = {"fields", "avi-b", "mpeg4", "mpeg2"}
"""Those that are decoded whole, as less is not known to be exact."""
COUNT = 90


def encoded(path: Path, how: str, *, count: int = COUNT) -> Path:
    """A film of ``count`` frames at 30/s that move and tell their number."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (96, 256, 3), dtype=np.uint8)
    frames = []
    for number in range(count):
        frame = texture[:, number : number + 128] // 2 + 60
        frame[:8] = coded(number)[:8]
        frames.append(frame.tobytes())
    command = f"{FFMPEG} -v error -y -f rawvideo -pix_fmt rgb24 -s 128x96 -r 30 -i - {how}"
    subprocess.run([*command.split(), str(path)], input=b"".join(frames), check=True)
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    made: dict[str, Path] = {}
    folder = tmp_path_factory.mktemp("coded")

    def film(name: str) -> Path:
        if name not in made:
            ending, how = CODED[name]
            made[name] = encoded(folder / f"{name}.{ending}", how)
        return made[name]

    return film


class Counted(FrameDecoder):
    """Counts the packets that are decoded."""

    given = 0

    def _pictures(self, frames):
        for picture in super()._pictures(frames):
            type(self).given += 1
            yield picture


def taken(path, monkeypatch, *, planned: bool, **options):
    """Numbers, times and bytes of the frames taken, how the stream ended, and pictures that were decoded."""
    monkeypatch.setattr(video_stream, "LARGE", 0 if planned else 10**9)
    monkeypatch.setattr(video_stream, "FrameDecoder", Counted)
    Counted.given = 0
    stream, found, fault = VideoStream(path, **options), [], None
    try:
        for frame in stream:
            found.append((frame.number, frame.time, hashlib.sha256(frame.pixels).hexdigest()))
    except ClipError as error:
        fault = error.reason
    return found, (stream.count, round(stream.end, 6), fault), Counted.given


EVERY = [(0.5, 0), (0.1, 0), (1.7, 0), (0.0, 7), (0.0, 40), (0.0, 2)]


@pytest.mark.parametrize("name", CODED)
def test_what_is_left_out_changes_nothing(films, monkeypatch, name):
    path, fewer = films(name), 0
    for every in EVERY:
        for seconds in (None, 1.3):
            whole, ended, all_given = taken(path, monkeypatch, planned=False, every=every, seconds=seconds)
            part, ended_too, given = taken(path, monkeypatch, planned=True, every=every, seconds=seconds)
            assert part == whole and ended == ended_too and len(whole) >= 1, (every, seconds)
            fewer += all_given - given
    assert (fewer > 0) == (name not in UNPLANNED)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "ts"])
def test_parts_that_were_cut_out_and_clocks_that_jump(films, monkeypatch, tmp_path, ending):
    source = films("closed")
    part = tmp_path / f"part.{ending}"
    subprocess.run([FFMPEG, "-v", "error", "-ss", "0.55", "-i", source, "-c", "copy", part], check=True)
    paths = [part]
    if ending == "ts":
        paths.append(tmp_path / "joined.ts")
        paths[1].write_bytes(part.read_bytes() * 3)
    for path in paths:
        for every in EVERY:
            whole, ended, _ = taken(path, monkeypatch, planned=False, every=every)
            part_of, ended_too, _ = taken(path, monkeypatch, planned=True, every=every)
            assert part_of == whole and ended == ended_too and ended[2] is None


def test_an_uneven_rate(monkeypatch, tmp_path):
    times = np.cumsum(np.random.default_rng(2).integers(10, 400, 60)).tolist()
    for name in ("a.mp4", "a.mkv"):
        path = write_film(tmp_path / name, 60, times=times)
        for every in EVERY:
            assert (
                taken(path, monkeypatch, planned=True, every=every)[:2]
                == taken(path, monkeypatch, planned=False, every=every)[:2]
            )


@pytest.mark.parametrize("share", [0.35, 0.6, 0.85])
def test_a_cut_is_found_as_without(films, monkeypatch, tmp_path, share):
    for name in ("pyramid", "transport", "avi"):
        whole = films(name)
        raw = whole.read_bytes()
        path = tmp_path / whole.name
        path.write_bytes(raw[: int(len(raw) * share)])
        for every in ((0.5, 0), (0.0, 7)):
            before, ended, _ = taken(path, monkeypatch, planned=False, every=every)
            after, ended_too, _ = taken(path, monkeypatch, planned=True, every=every)
            assert ended[2] == ended_too[2] and ended[2] in ("truncated", "undecodable")
            assert after == before[: len(after)] and len(after) >= len(before) - 1


def test_damage_ends_a_video_where_it_is_needed_and_is_not_seen_elsewhere(films, monkeypatch, tmp_path):
    import av

    raw = bytearray(films("closed").read_bytes())
    with av.open(str(films("closed"))) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    place, size = packets[36]  # of frame 36, which begins a group
    raw[place + 5 : place + size] = bytes(255 - value for value in raw[place + 5 : place + size])
    path = tmp_path / "damaged.mp4"
    path.write_bytes(raw)
    _, (_, _, fault), _ = taken(path, monkeypatch, planned=True, every=(0.0, 2))
    assert fault == "undecodable"
    sparse, (count, _, fault), _ = taken(path, monkeypatch, planned=True, every=(0.0, 60))
    right, _, _ = taken(films("closed"), monkeypatch, planned=True, every=(0.0, 60))
    assert fault is None and count == COUNT and sparse == right


def test_the_plan_itself():
    entries = np.zeros(30, bool)
    entries[[0, 10, 20]] = True
    wanted = np.zeros(30, bool)
    wanted[[12, 15]] = True
    plan = plan_decoding(entries, np.arange(30), wanted, tail=False)
    assert (
        plan.tolist()
        == [LEFT_OUT] * 10 + [REFERENCES, REFERENCES, DECODED, REFERENCES, REFERENCES, DECODED] + [LEFT_OUT] * 14
    )
    # Shown before its entry, so it needs the group before.
    stamps = np.arange(30)
    stamps[10:13] = [12, 10, 11]
    wanted[:] = False
    wanted[11] = True
    plan = plan_decoding(entries, stamps, wanted, tail=False)
    assert (plan[:11] == REFERENCES).all() and plan[11] == DECODED and (plan[12:] == LEFT_OUT).all()
    assert (plan_decoding(entries, np.arange(30), wanted, tail=True)[-TAIL:] == DECODED).all()
