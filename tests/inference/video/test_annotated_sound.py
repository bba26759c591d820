"""Annotated videos of files whose picture and sound do not begin and end together: in step, and what is left out."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from films import coded, heard, number_of, seen
from support import Heard

from affectkit.data.media.video_stream import VideoStream
from affectkit.inference.video.annotated_video import write_annotated

RATE, FPS = 48000, 10
MIDDLE = 0.05
"""Seconds from the beginning of a frame to its middle, where a click is."""


def write(path, *, picture=(0.0, 6.0), sound=(0.0, 6.0), hole=None, layout="mono", tracks=1):
    """A Matroska whose picture and sound go from one second to another, with a click in the middle of every tenth
    frame; of the sound, ``hole`` (from, to) is left out.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=FPS)
        video.width, video.height, video.pix_fmt, video.bit_rate = 128, 96, "yuv420p", 2_000_000
        sounds = [container.add_stream("pcm_s16le", rate=RATE, layout=layout) for _ in range(tracks)]
        for number in range(round((picture[1] - picture[0]) * FPS)):
            frame = av.VideoFrame.from_ndarray(coded(number), format="rgb24")
            frame.pts = number + round(picture[0] * FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        size = RATE // 50
        for begin in range(round(sound[0] * RATE), round(sound[1] * RATE), size) if tracks else ():
            if hole is not None and hole[0] <= begin / RATE < hole[1]:
                continue
            time = (begin + np.arange(size)) / RATE
            wave = np.where((time % 1 >= MIDDLE) & (time % 1 < MIDDLE + 0.02), np.sin(6283.2 * time), 0) * 20000
            count = sounds[0].codec_context.layout.nb_channels
            frame = av.AudioFrame.from_ndarray(
                np.repeat(wave.astype(np.int16)[None, :], count, axis=0).T.reshape(1, -1).copy(),
                format="s16",
                layout=layout,
            )
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), begin
            for track in sounds:
                container.mux(track.encode(frame))
    return path


def annotate(source, target, **options):
    """The annotated video of ``source``: numbers of its frames by time, seconds of clicks, and what is reported."""
    reader = VideoStream(source)
    for _ in reader:
        pass
    reporter = Heard()
    stopping = SimpleNamespace(requested=False)
    write_annotated(target, source, iter(()), seconds=reader.end, stopping=stopping, reporter=reporter, **options)
    shown = {round(time * FPS): picture for time, picture in seen(target)}
    with av.open(str(target)) as container:
        if not container.streams.audio:
            return shown, None, reporter.notes
    wave, rate = heard(target)
    loud = np.flatnonzero(np.abs(wave) > 0.1)
    return shown, loud[np.r_[True, np.diff(loud) > rate / 2]] / rate, reporter.notes


def black(picture):
    return picture.max() < 20


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_hole_in_the_middle(tmp_path, ending):
    source = write(tmp_path / "a.mkv", hole=(2.5, 4.0))
    shown, clicks, notes = annotate(source, tmp_path / f"out{ending}")
    assert [number_of(shown[place]) for place in range(60)] == list(range(60))
    assert clicks == pytest.approx(np.array([0, 1, 2, 4, 5]) + MIDDLE, abs=0.005) and notes == []


def test_a_picture_that_begins_after_the_sound(tmp_path):
    shown, clicks, notes = annotate(write(tmp_path / "a.mkv", picture=(2.0, 6.0)), tmp_path / "out.mp4")
    assert len(shown) == 60 and all(black(shown[place]) for place in range(20))
    assert [number_of(shown[place]) for place in range(20, 60)] == list(range(40))
    assert clicks == pytest.approx(np.arange(6) + MIDDLE, abs=0.005) and notes == []


def test_a_sound_that_begins_after_the_picture_and_ends_before(tmp_path):
    shown, clicks, notes = annotate(write(tmp_path / "a.mkv", sound=(1.0, 4.5)), tmp_path / "out.mp4")
    assert [number_of(shown[place]) for place in range(60)] == list(range(60))
    assert clicks == pytest.approx(np.arange(1, 5) + MIDDLE, abs=0.005) and notes == []


def test_what_is_left_out_is_reported_once(tmp_path):
    source = write(tmp_path / "a.mkv", sound=(0.0, 8.0), layout="5.1", tracks=2)
    _, clicks, notes = annotate(source, tmp_path / "out.mp4")
    assert clicks == pytest.approx(np.arange(6) + MIDDLE, abs=0.005)
    (note,) = notes
    assert note.startswith("annotated a.mkv: 1 other sound track left out; sound of 6 channels")
    assert note.endswith("2.0 s of sound after the last frame are left out.")
    assert not any("after the last" in one for one in annotate(source, tmp_path / "two.mp4", whole=False)[2])


def test_a_sound_that_cannot_be_decoded_and_none_at_all(tmp_path):
    source = write(tmp_path / "a.mkv")
    source.write_bytes(source.read_bytes().replace(b"A_PCM/INT/LIT", b"A_XYZ/INT/LIT"))
    shown, clicks, notes = annotate(source, tmp_path / "out.mp4")
    assert len(shown) == 60 and clicks is None
    assert notes == ["annotated a.mkv: its sound is left out, as it cannot be decoded (codec unknown)."]
    shown, clicks, notes = annotate(write(tmp_path / "b.mkv", tracks=0), tmp_path / "b.mp4")
    assert len(shown) == 60 and clicks is None and notes == []
