"""Clips whose stated duration is not that of their picture and sound, and files that are no videos."""

from dataclasses import replace

import av
import numpy as np
import pytest
from video_judge import SOUND, clicks_of
from video_zoo import COUNT, FPS, KINDS, Zoo, read_number, run

from affectkit.core.clipspec import CREMAD
from affectkit.data.media.media_file import ClipError
from affectkit.data.media.video_clip import read_clip
from affectkit.data.media.video_stream import VideoStream

SPEC = replace(CREMAD, crop=96)
LENGTH = COUNT / FPS


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return Zoo(tmp_path_factory.mktemp("stated"), {})


def encoded(zoo, name, ext, options="", inputs="", maps=""):
    path = zoo.path(name, ext)
    if not path.exists():
        raw = zoo.frames(range(COUNT), [number / FPS for number in range(COUNT)])
        kind = KINDS[ext if ext in KINDS else "mkv"]
        codecs = f"-c:v {kind.video} -pix_fmt yuv420p -c:a {kind.audio}"
        run(f"-i {raw} -i {zoo.sound(LENGTH)} {inputs} -map 0 -map 1 {maps} {codecs} {options}", path)
    return path


def check(path, count, clicks, longest=60.0):
    clip = read_clip(path, SPEC, size=96, reach=0, longest=longest)
    assert read_number(clip.frames[0]) == (count // 2) % COUNT
    seen = clicks_of(clip.sound, clip.rate)
    assert len(seen) == len(clicks) and np.abs(np.array(seen) - clicks).max() < SOUND, seen
    assert len(clip.sound) / clip.rate == pytest.approx(count / FPS, abs=0.15)


def test_sound_of_joined_files_is_whole(zoo):
    """The duration that FFmpeg finds, from the last stamp, is that of one of them."""
    content = encoded(zoo, "part", "mpg").read_bytes()
    path = zoo.path("joined", "mpg")
    path.write_bytes(content * 3)
    check(path, 3 * COUNT, [k + LENGTH * part for part in range(3) for k in (1, 2)])


def test_a_clock_far_from_zero_is_no_length(zoo):
    check(encoded(zoo, "far", "nut", "-output_ts_offset 1000000000"), COUNT, [1, 2])


def test_another_track_that_goes_on_makes_no_clip_long(zoo):
    text = zoo.path("text", "srt")
    text.write_text("1\n00:00:00,500 --> 00:59:00,000\nfirst\n\n2\n00:58:00,000 --> 00:59:00,000\nsecond\n")
    check(encoded(zoo, "text", "mkv", "-c:s srt", f"-i {text}", "-map 2:s"), COUNT, [1, 2])


def test_a_clip_that_is_long_is_refused_before_it_is_decoded(zoo):
    with pytest.raises(ClipError, match=r"3\.0 s long, at most 2 s") as caught:
        check(encoded(zoo, "part", "mpg"), COUNT, [1, 2], longest=2.0)
    assert caught.value.reason == "over-long"


@pytest.mark.parametrize("equal", [10, COUNT])
def test_pictures_of_one_time_are_reported(zoo, equal):
    source, path = encoded(zoo, "steady", "mkv"), zoo.path(f"equal-{equal}", "mkv")
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(packet for packet in old.demux(video=0) if packet.size):
            packet.pts = packet.dts = 0 if number < equal else packet.pts
            packet.stream = stream
            new.mux_one(packet)
    stream = VideoStream(path)
    assert [read_number(frame.pixels) for frame in stream] == list(range(COUNT))
    wanted = [f"{COUNT - 1} of {COUNT} pictures have the time of the one before"] if equal == COUNT else []
    assert stream.notes == wanted


LISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\npart.mpg\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile part.mpg\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "text": "hello\n" * 20,
}


@pytest.mark.parametrize("kind", LISTS)
def test_what_is_no_video_is_named(zoo, kind):
    encoded(zoo, "part", "mpg")
    path = zoo.path(kind, "mp4")
    path.write_text(LISTS[kind])
    for what, read in (("video", lambda: list(VideoStream(path))), ("clip", lambda: read_clip(path, SPEC, size=96))):
        with pytest.raises(ClipError, match=f"^{what} .*: cannot be opened; ") as caught:
            read()
        assert caught.value.reason == "undecodable" and "invalid" not in caught.value.message
