"""The sound of annotated videos: its level, its place, and what is left out of it."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from affectkit.inference.video.audio_file import RATE, write_sound

CLICK = 0.02
FRAME = 1 / 30
"""Seconds within which sound is in step with the picture."""


def clicks(seconds, rate, *, every=1.0):
    """(samples,): a short tone at 0.5, 1.5, ... seconds."""
    time = np.arange(round(seconds * rate)) / rate
    inside = (time % every >= 0.5) & (time % every < 0.5 + CLICK)
    return np.where(inside, 0.8 * np.sin(2 * np.pi * 1000 * time), 0.0)


def write(path, waves, *, rate=48000, layout="mono", codec="pcm_s16le", format="s16", move=None, size=1000, start=0.0):
    """A file of one sound track; ``waves`` (channels, samples); ``move``: of a frame's first second to its stamp."""
    waves = np.atleast_2d(waves)
    with av.open(str(path), "w") as container:
        track = container.add_stream(codec, rate=rate, layout=layout)
        size = track.codec_context.frame_size or size
        for begin in range(0, waves.shape[1], size):
            part = waves[:, begin : begin + size]
            if format == "s16":
                values = np.clip(np.rint(part.T * 32768), -32768, 32767).astype(np.int16).reshape(1, -1)
            else:
                values = np.ascontiguousarray(part if format == "fltp" else part.T.reshape(1, -1), np.float32)
            frame = av.AudioFrame.from_ndarray(values, format=format, layout=layout)
            second = begin / rate
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round((start + (second if move is None else move(second))) * rate)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


def decoded(path):
    """(channels, samples) of a file from time 0 of its own clock, by PyAV alone."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        found = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
        found = found if frames[0].format.is_planar else found.reshape(-1, frames[0].layout.nb_channels).T
        found = found / 32768 if found.dtype == np.int16 else found
        skip = -min(round(frames[0].time * frames[0].sample_rate), 0)
        return found[:, skip:]


def times(wave, rate=RATE):
    """Seconds at which a click begins."""
    loud = np.flatnonzero(np.abs(wave) > 0.2)
    return loud[np.r_[True, np.diff(loud) > rate * 0.3]] / rate


def level(waves):
    return 10 * np.log10(np.square(waves, dtype=np.float64).mean(axis=-1))


def written(path, tmp_path, *, start=0.0, seconds=6.0, **options):
    """The sound that ``write_sound`` makes, and what it says."""
    found = write_sound(path, tmp_path / "out.m4a", start=start, seconds=seconds, **options)
    waves = decoded(tmp_path / "out.m4a")
    assert waves.shape[0] == 2
    return waves, found


# --- level ------------------------------------------------------------------------------------------------------------

INSIDE = slice(RATE // 2, RATE * 3 // 2)


@pytest.mark.parametrize("codec", ["pcm_s16le", "libmp3lame"])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_one_channel_keeps_its_level_at_every_rate(tmp_path, rate, codec):
    time = np.arange(2 * rate) / rate
    wave = 0.25 * np.sin(2 * np.pi * 440 * time) + 0.1 * np.sin(2 * np.pi * 3000 * time)
    form = "fltp" if codec == "libmp3lame" else "s16"
    path = write(tmp_path / "a.mkv", wave, rate=rate, codec=codec, format=form)
    found, heard = written(path, tmp_path, seconds=2.0)
    wanted = level(decoded(path)[0, rate // 2 : rate * 3 // 2])
    assert level(found[:, INSIDE]) == pytest.approx([wanted, wanted], abs=0.1)
    assert heard.heard and heard.left_out == ()


@pytest.mark.parametrize(
    ("codec", "form", "rate"),
    [("pcm_s16le", "s16", 96000), ("pcm_f32le", "flt", 48000), ("aac", "fltp", 48000), ("flac", "s16", 11025)],
)
def test_two_channels_stay_as_they_are(tmp_path, codec, form, rate):
    time = np.arange(2 * rate) / rate
    waves = np.stack([0.5 * np.sin(2 * np.pi * 440 * time), 0.05 * np.sin(2 * np.pi * 1000 * time)])
    path = write(tmp_path / "a.mkv", waves, rate=rate, layout="stereo", codec=codec, format=form)
    found, heard = written(path, tmp_path, seconds=2.0)
    wanted = level(decoded(path)[:, rate // 2 : rate * 3 // 2])
    assert level(found[:, INSIDE]) == pytest.approx(wanted, abs=0.1) and heard.left_out == ()


@pytest.mark.parametrize("channels", [1, 2])
def test_noise_keeps_its_level(tmp_path, channels):
    """Pink noise, whose highest octave an encoder would rather leave out."""
    spectrum = np.fft.rfft(np.random.default_rng(1).normal(size=2 * RATE))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 40)))
    pink *= 0.6 / np.abs(pink).max()
    path = write(tmp_path / "a.mkv", np.stack([pink] * channels), layout=("mono", "stereo")[channels - 1])
    found, _ = written(path, tmp_path, seconds=2.0)
    assert level(found[:, INSIDE]) == pytest.approx([level(pink[INSIDE])] * 2, abs=0.1)


@pytest.mark.parametrize(("layout", "count"), [("quad", 4), ("5.1", 6), ("7.1", 8)])
def test_full_scale_in_all_channels_does_not_clip(tmp_path, layout, count):
    wave = 0.999 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    path = write(tmp_path / "a.mkv", np.stack([wave] * count), layout=layout, codec="flac")
    found, heard = written(path, tmp_path, seconds=2.0)
    assert 0.9 < np.abs(found[:, INSIDE]).max() < 1.02 and np.abs(found).max() < 1.1  # what the codec adds
    (said,) = heard.left_out
    assert f"{count} channels ({layout})" in said and "dB" in said


def test_only_the_front_of_six_channels(tmp_path):
    waves = np.zeros((6, 2 * RATE))
    waves[0] = 0.8 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    found, _ = written(write(tmp_path / "a.mkv", waves, layout="5.1", codec="flac"), tmp_path, seconds=2.0)
    assert level(found[0, INSIDE]) - level(waves[0, INSIDE]) == pytest.approx(-7.66, abs=0.1)  # 1 / (1 + 2 x 0.7071)
    assert np.abs(found[1, INSIDE]).max() < 0.01


# --- place ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [("a.mkv", "pcm_s16le", 16000), ("a.mkv", "pcm_s16le", 48000), ("a.flv", "libmp3lame", 44100),
     ("a.mp4", "aac", 44100), ("a.mp4", "aac", 48000)],
)  # fmt: skip
def test_sound_is_where_it_was(tmp_path, name, codec, rate):
    form = "s16" if codec.startswith("pcm") else "fltp"
    path = write(tmp_path / name, clicks(6, rate), rate=rate, codec=codec, format=form)
    found, heard = written(path, tmp_path)
    late = 0.0252 if name == "a.flv" else 0.0  # the priming of MP3, of which FLV says nothing: players are as late
    assert times(found[0]) == pytest.approx(np.arange(6) + 0.5 + late, abs=0.003)
    assert heard.left_out == () and found.shape[1] == pytest.approx(6 * RATE, abs=2048)


@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_hole_is_silent_and_nothing_after_it_shifts(tmp_path, rate):
    path = write(tmp_path / "a.mkv", clicks(6, rate), rate=rate, move=lambda second: second + 1.5 * (second >= 3))
    found, _ = written(path, tmp_path, seconds=8.0)
    assert times(found[0]) == pytest.approx([0.5, 1.5, 2.5, 5.0, 6.0, 7.0], abs=0.002)
    assert np.abs(found[:, round(3.1 * RATE) : round(4.4 * RATE)]).max() < 1e-3


def test_clocks_that_begin_elsewhere_and_sound_before_and_after_the_picture(tmp_path):
    late = write(tmp_path / "a.mkv", clicks(4, RATE), start=100.0)
    for start, wanted in ((100.0, [0.5, 1.5, 2.5, 3.5]), (102.0, [0.5, 1.5]), (99.0, [1.5, 2.5, 3.5, 4.5])):
        found, _ = written(late, tmp_path, start=start, seconds=5.0)
        assert times(found[0]) == pytest.approx(wanted, abs=0.002)


def test_jitter_of_stamps_changes_no_sample(tmp_path):
    rng = np.random.default_rng(0)
    rough = write(
        tmp_path / "a.mkv", clicks(6, RATE), move=lambda second: second + (second > 0) * rng.uniform(0, 0.008)
    )
    plain = write(tmp_path / "b.mkv", clicks(6, RATE))
    assert np.array_equal(written(rough, tmp_path)[0], written(plain, tmp_path)[0])


def test_drift_is_made_up_for(tmp_path):
    """As of a recorder whose sound runs by another clock: 0.4 % in 20 seconds are 80 ms."""
    path = write(tmp_path / "a.mkv", clicks(20, RATE), move=lambda second: second * 1.004)
    found, _ = written(path, tmp_path, seconds=20.0)
    assert times(found[0]) == pytest.approx((np.arange(20) + 0.5)[: len(times(found[0]))] * 1.004, abs=0.012)
    assert len(times(found[0])) == 20


def test_rate_and_channels_may_change_within_a_track(tmp_path):
    """MPEG-TS put together from two files, the clock of the second one going on."""
    wave = 0.3 * np.sin(np.arange(96000) / 20)
    one = write(tmp_path / "1.ts", wave, codec="mp2")
    two = write(tmp_path / "2.ts", np.stack([wave[:64000]] * 2), codec="mp2", rate=32000, layout="stereo", start=2.0)
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    with av.open(str(both)) as container:
        frames = list(container.decode(audio=0))
        assert {frame.sample_rate for frame in frames} == {48000, 32000}
        assert {frame.layout.nb_channels for frame in frames} == {1, 2}
    found, _ = written(both, tmp_path, start=frames[0].time, seconds=4.0)
    for part in (slice(RATE, RATE * 3 // 2), slice(RATE * 3, RATE * 7 // 2)):
        assert level(found[:, part]) == pytest.approx([20 * np.log10(0.3) - 3.01] * 2, abs=0.1)


# --- what is left out -------------------------------------------------------------------------------------------------


def test_sound_after_the_last_frame_is_reported(tmp_path):
    path = write(tmp_path / "a.mkv", clicks(6, RATE))
    assert written(path, tmp_path, seconds=4.0)[1].left_out == ("2.0 s of sound after the last frame are left out",)
    assert written(path, tmp_path, seconds=5.95)[1].left_out == ()
    assert written(path, tmp_path, seconds=4.0, whole=False)[1].left_out == ()  # as --seconds says
    assert written(path, tmp_path, seconds=9.0)[1].left_out == ()


def test_packets_that_cannot_be_decoded_are_silent_and_counted(tmp_path):
    path = write(tmp_path / "a.mkv", clicks(6, RATE), codec="flac")
    spoilt = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        begin = spoilt.index(bytes(packets[30]))
        spoilt[begin : begin + packets[30].size] = bytes(packets[30].size)
    path.write_bytes(bytes(spoilt))
    found, heard = written(path, tmp_path)
    assert heard.heard and any("cannot be decoded and became silence" in said for said in heard.left_out)
    assert times(found[0])[-3:] == pytest.approx([3.5, 4.5, 5.5], abs=0.003)


def test_no_sound_and_a_second_track(tmp_path):
    with av.open(str(tmp_path / "none.mkv"), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 64
        container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(video.encode(None))
    found = write_sound(tmp_path / "none.mkv", tmp_path / "out.m4a", start=0.0, seconds=1.0)
    assert not found.heard and found.left_out == ()
    with av.open(str(tmp_path / "two.mkv"), "w") as container:
        tracks = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in range(2)]
        for amount, track in zip((0.1, 0.5), tracks, strict=True):
            frame = av.AudioFrame.from_ndarray(
                np.full((1, RATE), round(amount * 32767), np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = RATE, 0
            container.mux(track.encode(frame))
    assert any("1 other sound track left out" in said for said in written(tmp_path / "two.mkv", tmp_path)[1].left_out)


def test_a_codec_that_nobody_knows_costs_the_sound_alone(tmp_path):
    path = write(tmp_path / "a.mkv", clicks(2, RATE))
    path.write_bytes(path.read_bytes().replace(b"A_PCM/INT/LIT", b"A_XYZ/INT/LIT"))
    found = write_sound(path, tmp_path / "out.m4a", start=0.0, seconds=2.0)
    assert not found.heard and found.left_out == ("its sound is left out, as it cannot be decoded (codec unknown)",)
