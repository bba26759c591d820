"""Films as streams: numbers and times of pictures, sampling, turned phones, and every way in which a film breaks."""

from __future__ import annotations

import subprocess
import time
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from films import SIZE, coded, number_of, write_film

from affectkit.data.media import camera as camera_module
from affectkit.data.media.camera import Camera
from affectkit.data.media.media_file import ClipError
from affectkit.data.media.video_stream import Sampler, VideoStream
from affectkit.errors import DeviceError


def looked_at(path, **options):
    return [
        (picture.number, round(picture.time, 4), number_of(picture.pixels)) for picture in VideoStream(path, **options)
    ]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("films") / "a.mp4", 60, clicks=[1.0], options={"movflags": "faststart"})


def test_all_pictures_with_their_numbers_and_times(film):
    reader = VideoStream(film)
    found = [(picture.number, picture.time, number_of(picture.pixels)) for picture in reader]
    assert [number for number, _, _ in found] == [number for _, _, number in found] == list(range(60))
    assert [time for _, time, _ in found] == pytest.approx(np.arange(60) / 10)
    assert reader.count == 60 and reader.end == pytest.approx(6.0) and reader.rate == 10 and reader.sounds
    assert len(list(reader)) == 60  # anew


@pytest.mark.parametrize(
    ("every", "seconds", "wanted"),
    [
        ((0.5, 0), None, range(0, 60, 5)),
        ((0.25, 0), 2.0, [0, 3, 5, 8, 10, 13, 15, 18]),
        ((0.0, 7), None, range(0, 60, 7)),
        ((0.1, 0), None, range(60)),
        ((0.01, 0), None, range(60)),
        ((100.0, 0), None, [0]),
        ((0.0, 1), 0.3, [0, 1, 2]),
    ],
)
def test_pictures_by_seconds_and_by_frames(film, every, seconds, wanted):
    found = looked_at(film, every=every, seconds=seconds)
    assert [number for number, _, _ in found] == [number for _, _, number in found] == list(wanted)


def test_the_end_that_is_asked_for_is_the_end(film):
    reader = VideoStream(film, every=(0.5, 0), seconds=2.2)
    assert len(list(reader)) == 5 and reader.count == 22 and reader.end == pytest.approx(2.2)


def test_times_of_a_variable_rate_count(tmp_path):
    times = [0, 40, 80, 490, 510, 530, 1900, 1940, 2000, 2600]
    for name in ("a.mp4", "a.mkv"):
        path = write_film(tmp_path / name, len(times), times=times)
        found = looked_at(path, every=(0.5, 0))
        assert found == [(0, 0.0, 0), (4, 0.51, 4), (6, 1.9, 6), (8, 2.0, 8), (9, 2.6, 9)]
        assert [number for number, _, _ in looked_at(path, every=(0.0, 4))] == [0, 4, 8]


def test_a_film_whose_clock_does_not_begin_at_0(tmp_path):
    path = write_film(tmp_path / "a.mkv", 4, times=[5000, 5100, 5400, 6000])
    reader = VideoStream(path)
    assert [picture.time for picture in reader] == pytest.approx([0, 0.1, 0.4, 1.0])
    assert reader.start == pytest.approx(5.0)


def test_a_step_that_the_clock_rounds_is_no_step_missed():
    taken = Sampler((0.1, 0), tolerance=0.0005)
    assert all(taken.takes(k, round(k / 10 - 0.0004, 4)) for k in range(50))
    strict = Sampler((0.1, 0))
    assert not all(strict.takes(k, round(k / 10 - 0.0004, 4)) for k in range(50))


CORNERS = {"upper left": 0, "upper right": 1, "lower left": 2, "lower right": 3}


def coloured(_):
    """Each corner another brightness."""
    picture = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
    for place, value in enumerate((20, 80, 170, 240)):
        down, across = divmod(place, 2)
        picture[down * 64 : down * 64 + 32, across * 96 : across * 96 + 32] = value
    return picture


TURNS = [(0,), (90,), (180,), (-90,), (0, True), (90, True), (180, True), (-90, True)]


@pytest.mark.parametrize("turn", TURNS)
def test_films_of_phones_are_upright(tmp_path, turn):
    # What is to be seen: the stored picture turned against the clock, then mirrored (PyAV's documentation).
    stored = coloured(0)
    wanted = np.rot90(stored, turn[0] // 90)
    wanted = wanted[:, ::-1] if len(turn) > 1 else wanted
    path = write_film(tmp_path / "a.mp4", 2, draw=coloured, turn=turn)
    picture = next(iter(VideoStream(path))).pixels
    assert picture.shape == wanted.shape and picture.flags.c_contiguous
    assert np.abs(picture.astype(int) - wanted).max() < 12


def test_turned_as_ffmpeg_itself_turns(tmp_path):
    import imageio_ffmpeg

    for turn in TURNS:
        path = write_film(tmp_path / "a.mp4", 2, draw=coloured, turn=turn)
        picture = next(iter(VideoStream(path))).pixels
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(path), "-frames:v", "1"]
        raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
        assert np.abs(np.frombuffer(raw.stdout, np.uint8).reshape(picture.shape).astype(int) - picture).max() < 12


def test_pixels_that_are_not_square_become_so(tmp_path):
    path = write_film(tmp_path / "a.mkv", 2, draw=coloured, aspect=Fraction(3, 2))
    assert next(iter(VideoStream(path))).pixels.shape == (96, 192, 3)


def until_it_broke(path, **options):
    found, reader = [], VideoStream(path, **options)
    with pytest.raises(ClipError) as caught:
        found.extend((picture.number, number_of(picture.pixels)) for picture in reader)
    assert path.name in caught.value.message
    return found, caught.value, reader


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.flv"])
def test_a_film_that_is_cut_gives_what_it_has_first(tmp_path, name):
    options = {"movflags": "faststart"} if name == "a.mp4" else {}
    codec = "flv" if name == "a.flv" else "libx264"
    whole = write_film(tmp_path / name, 200, options=options, codec=codec).read_bytes()
    path = tmp_path / f"cut-{name}"
    for share in (0.4, 0.7):  # the last tenth of an AVI is its index, which a film can do without
        path.write_bytes(whole[: int(len(whole) * share)])
        found, fault, reader = until_it_broke(path)
        assert fault.reason == "truncated" or (name == "a.mp4" and "cannot be decoded" in fault.message)
        assert len(found) > 160 * share - 40 and found == [(k, k) for k in range(len(found))]
        assert reader.count == len(found) and reader.end == pytest.approx(len(found) / 10)
    # Of what comes before the place where it breaks nothing is told.
    assert len(looked_at(path, every=(0.5, 0), seconds=5.0)) == 10


def test_a_damaged_middle(tmp_path):
    path = write_film(tmp_path / "a.mp4", 200, options={"movflags": "faststart"}, draw=noisy)
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 3000] = bytes(range(250)) * 12
    path.write_bytes(raw)
    count = 0
    with pytest.raises(ClipError, match=r"after \d+\.\d s"):
        for picture in VideoStream(path):
            assert np.abs(picture.pixels.astype(int) - noisy(picture.number)).mean() < 20
            count += 1
    assert 60 < count < 140


def noisy(number):
    values = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.repeat(np.repeat(values, 8, axis=0), 8, axis=1)


def test_what_is_no_film_is_told(tmp_path, film):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "pointer.mp4").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    (tmp_path / "undecodable.mp4").write_bytes(b"no film at all" * 50)
    (tmp_path / "cut-index.mp4").write_bytes(write_film(tmp_path / "x.mp4", 20).read_bytes()[:-200])
    reasons = {"empty": "empty", "pointer": "pointer", "missing": "missing", "undecodable": "undecodable"}
    for name, reason in {**reasons, "cut-index": "truncated"}.items():
        found, fault, _ = until_it_broke(tmp_path / f"{name}.mp4")
        assert not found and fault.reason == reason


def test_sound_alone_is_no_film(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        audio = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    assert until_it_broke(tmp_path / "a.mp4")[1].reason == "no-video"


def test_memory_does_not_grow_with_the_film(tmp_path):
    peaks = []
    for count in (20, 400):
        path = write_film(tmp_path / f"{count}.mp4", count)
        tracemalloc.start()
        assert sum(1 for _ in VideoStream(path)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 3 * SIZE[0] * SIZE[1] * 3


class Capture:
    """Stands in for cv2.VideoCapture: a picture every 10 ms, each of its number, for ``count`` of them."""

    def __init__(self, count=1000, opened=True):
        self.count, self.opened, self.number, self.released = count, opened, 0, False

    def isOpened(self):
        return self.opened

    def set(self, *_): ...

    def read(self):
        if self.number >= self.count:
            return False, None
        time.sleep(0.01)
        self.number += 1
        return True, coded(self.number - 1)[:, :, ::-1]

    def release(self):
        self.released = True


def test_a_camera_gives_the_newest_picture():
    capture, found = Capture(), []
    for picture in Camera(0, seconds=0.5, open_camera=lambda _: capture):
        assert number_of(picture.pixels) == picture.number
        found.append((picture.number, picture.time, capture.number))
        time.sleep(0.1)  # slower than the camera
    assert 2 <= len(found) <= 7 and found[0][:2] == (0, 0.0)
    assert all(came - number <= 10 for number, _, came in found)  # no backlog
    assert all(after[0] - before[0] >= 4 for before, after in zip(found, found[1:], strict=False))
    assert capture.released


def test_a_camera_is_looked_at_as_often_as_asked():
    # A busy machine may miss pictures, never take two for one step.
    found = [picture.number for picture in Camera(0, every=(0.0, 20), seconds=0.65, open_camera=lambda _: Capture())]
    steps = [number // 20 for number in found]
    assert found[0] < 5 and 2 <= len(found) <= 4 and steps == sorted(set(steps))
    times = [picture.time for picture in Camera(0, every=(0.2, 0), seconds=0.7, open_camera=lambda _: Capture())]
    steps = [int((at + 1e-6) / 0.2) for at in times]
    assert times[0] == 0 and 2 <= len(times) <= 4 and steps == sorted(set(steps))


def test_no_camera_and_one_that_goes(monkeypatch):
    with pytest.raises(DeviceError, match="no camera 3"):
        next(iter(Camera(3, open_camera=lambda _: Capture(opened=False))))
    found = []
    with pytest.raises(DeviceError, match="gives no more pictures after"):
        found.extend(Camera(0, open_camera=lambda _: Capture(count=5)))
    assert found
    monkeypatch.setattr(camera_module, "PATIENCE", 0.3)
    stop = time.monotonic() + 0.2
    assert list(Camera(0, open_camera=lambda _: Capture(), stopped=lambda: time.monotonic() > stop))


def test_a_camera_that_is_not_there_is_told_without_the_words_of_opencv(capfd):
    with pytest.raises(DeviceError, match="there is no camera 97"):
        next(iter(Camera(97)))
    assert "WARN" not in capfd.readouterr().err
