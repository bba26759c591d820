"""Videos whose first key frame is missing: cut recordings of broadcasts, and pieces that begin anywhere."""

import csv

import pytest
from support import invoke
from video_zoo import COUNT, FPS, KINDS, Zoo, read_number, run

from affectkit.data.media import video_stream
from affectkit.data.media.video_stream import VideoStream

PACKET = 188
H264 = "libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -bf 3 -b_strategy 0 -threads 1"
CODECS = {
    "h264": KINDS["ts"].b,
    "open-gop": H264 + " -x264-params open-gop=1:scenecut=0",
    "hevc": "libx265 -preset ultrafast -x265-params log-level=none:open-gop=1:keyint=25:bframes=3:pools=1",
    "mpeg2": "mpeg2video -g 12 -q:v 3 -bf 2",
    "intra-refresh": "libx264 -preset ultrafast -threads 1 -x264-params intra-refresh=1:keyint=15",
}


def read_table(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """Return what makes a transport stream of a codec without its first packets; stamps are those of the whole."""
    zoo = Zoo(tmp_path_factory.mktemp("beginnings"), {})

    def made(codec: str, share: float = 0.2):
        path = zoo.path(codec, "ts")
        if not path.exists():
            raw = zoo.frames(range(COUNT), [number / FPS for number in range(COUNT)])
            run(f"-i {raw} -i {zoo.sound(3.0)} -c:v {CODECS[codec]} -pix_fmt yuv420p -r {FPS} -c:a aac", path)
        content = path.read_bytes()
        part = path.with_name(f"{codec}-cut.ts")
        part.write_bytes(content[int(len(content) // PACKET * share) * PACKET :])
        return part

    return made


@pytest.mark.parametrize("codec", CODECS)
def test_sampled_frames_are_those_of_all_frames(codec, cut, monkeypatch):
    path = cut(codec)
    whole = VideoStream(path)
    frames = [(frame.number, frame.time, read_number(frame.pixels)) for frame in whole]
    numbers = [number for _, _, number in frames]
    assert 10 < len(frames) < COUNT and numbers == list(range(numbers[0], COUNT))
    assert [number for number, _, _ in frames] == list(range(len(frames)))
    steps = [time - frames[0][1] for _, time, _ in frames]
    assert steps == pytest.approx([place / FPS for place in range(len(frames))], abs=1e-4)
    assert any("at the beginning left out" in note for note in whole.notes), whole.notes
    assert whole.picture_start == frames[0][1] > 0

    monkeypatch.setattr(video_stream, "LARGE", 0)  # only what is needed is decoded
    for every in ((0.0, 7), (10.0, 0), (0.5, 0)):
        sampler = video_stream.Sampler(every, 1e-5)
        wanted = [frame for frame in frames if sampler.takes(*frame[:2])]
        stream = VideoStream(path, every=every)
        assert [(frame.number, frame.time, read_number(frame.pixels)) for frame in stream] == wanted, every
        assert (stream.count, stream.notes) == (whole.count, whole.notes)
        assert stream.end == pytest.approx(whole.end, abs=1e-6)


def test_whole_videos_lose_nothing(cut):
    stream = VideoStream(cut("open-gop", 0.0))
    assert [read_number(frame.pixels) for frame in stream] == list(range(COUNT)) and stream.notes == []


def test_what_is_left_out_is_reported(cut, tmp_path):
    done = invoke("infer", cut("h264"), "--faces", "none", "--results", tmp_path / "out")
    assert done.returncode == 0 and "at the beginning left out: the key frame before was cut off" in done.stderr
    first, summary = (read_table(tmp_path / "out" / name)[0] for name in ("inference_results.csv", "videos.csv"))
    assert float(summary["Picture Start"]) == pytest.approx(float(first["Time"]), abs=1e-3)
