"""The level of sound: against moviepy itself, against samples as they are counted, and where levels meet."""

from __future__ import annotations

import json
from dataclasses import replace

import av
import numpy as np
import pytest
from clips import tone, write_clip
from plain_librosa import librosa

from affectkit.core.clipspec import (
    CREMAD,
    EMOVOXCELEB,
    FEATURES,
    RML,
    RML_PRETRAINED,
    ClipSpec,
    SoundSpec,
    with_sound_level,
)
from affectkit.data.media.spectrograms import mel_decibels, to_sound, to_store
from affectkit.data.media.video_clip import read_clip
from affectkit.data.media.waveforms import average_channels, moviepy_waveform
from affectkit.errors import CheckpointError

UNIT = with_sound_level(CREMAD, "unit")
MONO = 10 * np.log10(0.5)
"""What moviepy's two channels take from the power of one, in decibels."""


def of_moviepy(path):
    """As the code of CM-VQVAE has it: two channels by FFmpeg, averaged.

    moviepy 2.1.2 fails below 50,000 samples, where it takes its own mask for times.
    """
    from moviepy import AudioFileClip

    clip = AudioFileClip(str(path))
    try:
        return clip.to_soundarray().mean(1)
    finally:
        clip.close()


def heard(path, spec=CREMAD):
    return read_clip(path, spec, size=8, frames=False).sound


def power(sound):
    return 10 * np.log10(np.square(sound, dtype=np.float64).mean())


def write_sound(path, sounds, *, rate=44100, codec="libmp3lame", layout="mono"):
    """A file of sound alone; ``sounds`` (channels, samples)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        values = np.ascontiguousarray(sounds, dtype=np.float32)
        if codec.startswith("pcm"):
            values = np.rint(values.T.reshape(1, -1) * 32767).astype(np.int16)
        form = "s16" if codec.startswith("pcm") else "fltp"
        frame = av.AudioFrame.from_ndarray(values, format=form, layout=layout)
        frame.sample_rate = rate
        fifo = av.AudioFifo()
        fifo.write(frame)
        while (piece := fifo.read(1024, True)) is not None:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


FILES = {
    "mono.flv": {"layout": "mono"},
    "stereo.flv": {"layout": "stereo"},
    "mono.mp4": {"layout": "mono", "codec": "aac"},
    "stereo.mp4": {"layout": "stereo", "codec": "aac"},
    "slow.flv": {"layout": "mono", "rate": 22050},
    "wide.mp4": {"layout": "stereo", "codec": "aac", "rate": 48000},
    "five.mp4": {"layout": "5.1", "codec": "aac"},
    "mono.mkv": {"layout": "mono", "codec": "aac"},
}


@pytest.mark.parametrize("name", list(FILES))
@pytest.mark.parametrize("seconds", [1.3, 2.137])
def test_sound_is_that_of_moviepy(tmp_path, name, seconds):
    how = FILES[name]
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[how["layout"]]
    rate = how.get("rate", 44100)
    sounds = np.stack([tone(kind, seconds, rate=rate, seed=kind) for kind in range(channels)])
    path = write_sound(tmp_path / name, sounds, **how)
    theirs, ours = of_moviepy(path), heard(path)
    assert abs(len(theirs) - len(ours)) <= 1  # moviepy counts in floating point
    least = min(map(len, (theirs, ours)))
    # moviepy reads by pieces of a second; the last samples before the end of a resampled sound are FFmpeg's own.
    assert np.abs(theirs[: least - 441] - ours[: least - 441]).max() <= 1.01 / 32768
    assert abs(power(theirs) - power(ours)) < 0.05
    plain = heard(path, UNIT)
    if channels < 3:
        wanted = MONO if channels == 1 else 0
        inner = slice(2000, len(ours) - 2000)
        assert power(ours[inner]) - power(plain[inner]) == pytest.approx(wanted, abs=0.05)


def test_spectrograms_are_those_of_the_published_code(tmp_path):
    """moviepy and librosa, then reflected columns of which an odd one is on the left."""
    lacking = []
    for number, seconds in enumerate((1.2, 1.21, 1.25, 1.6, 2.137)):
        path = write_clip(tmp_path / f"{number}.flv", 2, seconds=seconds, size=(64, 48), fps=100, seed=3)
        level = librosa().power_to_db(
            librosa().feature.melspectrogram(
                y=of_moviepy(path),
                sr=44100,
                n_fft=2048,
                win_length=512,
                hop_length=353,
                n_mels=256,
                pad_mode="constant",
            )
        )
        missing = 256 - level.shape[1]
        lacking.append(missing)
        if missing > 0:
            level = np.pad(level, ((0, 0), ((missing + 1) // 2, missing // 2)), mode="reflect")
        else:
            level = level[:, -missing // 2 :][:, :256]
        ours = mel_decibels(heard(path), CREMAD.sound)
        assert ours.shape == level.shape == (256, 256)
        assert np.abs(ours - level).max() < 0.05
    assert {missing % 2 for missing in lacking if missing > 0} == {0, 1} and min(lacking) < 0


def test_a_sound_that_ends_early_is_silent_to_the_end_of_the_clip(tmp_path):
    path = write_clip(tmp_path / "a.flv", seconds=1.6, size=(64, 48), samples=tone(1, 0.5))
    theirs, ours = of_moviepy(path), heard(path)
    assert abs(len(theirs) - len(ours)) <= 1 and len(ours) > 65000
    assert not ours[30000:].any() and not theirs[30000:].any() and len(heard(path, UNIT)) < 30000


@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_counts_are_the_samples_as_they_are_stored(tmp_path, layout):
    channels = 1 if layout == "mono" else 2
    sounds = np.stack([tone(kind, 0.4, rate=32000, seed=kind) for kind in range(channels)])
    path = write_sound(tmp_path / "a.avi", sounds, rate=32000, codec="pcm_s16le", layout=layout)
    with av.open(str(path)) as container:  # as torchvision.io.read_video, which RML's reader calls
        stored = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert stored.dtype == np.int16 and np.abs(stored).max() > 5000
    wanted = stored.reshape(-1, channels).mean(1)
    assert heard(path, RML) == pytest.approx(wanted, abs=0.01)
    gap = power(heard(path, RML)) - power(heard(path, with_sound_level(RML, "unit")))
    assert gap == pytest.approx(20 * np.log10(32768), abs=0.001)


@pytest.mark.parametrize("spec", [RML.sound, RML_PRETRAINED.sound], ids=["rml", "pretrained"])
def test_the_loudest_counts_fit_into_a_store(spec):
    time = np.arange(spec.rate * 2) / spec.rate
    for pitch in (40, 110, 440, 3000):
        loudest = mel_decibels((32767 * np.sign(np.sin(2 * np.pi * pitch * time))).astype(np.float32), spec)
        assert to_store(loudest).max() < 32767


def test_sounds_made_of_spectrograms_have_full_scale_1():
    spec = SoundSpec(rate=16000, n_fft=512, window=400, hop=160, mels=80, height=80, width=100)
    sound = tone(2, 1.0, rate=16000)
    plain = to_sound(mel_decibels(sound, spec), spec)
    counted = to_sound(mel_decibels(sound * 32768, spec), replace(spec, level="counts"))
    assert power(counted) == pytest.approx(power(plain), abs=0.2)


# --- levels in records ------------------------------------------------------------------------------------------------


def test_which_level_is_the_published_one():
    assert CREMAD.sound.level == "moviepy" and EMOVOXCELEB.sound.level == "unit" and FEATURES.sound is None
    assert RML.sound.level == RML_PRETRAINED.sound.level == "counts"
    assert with_sound_level(CREMAD, "published") is CREMAD and with_sound_level(RML, "unit").sound.level == "unit"


def test_records_without_a_level_are_of_the_first_one():
    old = {name: value for name, value in CREMAD.to_dict()["sound"].items() if name != "level"}
    assert ClipSpec.from_dict({**CREMAD.to_dict(), "sound": old}) == UNIT
    assert "level" not in UNIT.to_dict()["sound"] and UNIT.to_dict() == {**CREMAD.to_dict(), "sound": old}
    assert ClipSpec.from_dict(json.loads(json.dumps(CREMAD.to_dict()))) == CREMAD
    with pytest.raises(CheckpointError, match="level of the sound must be one of unit, moviepy, counts, got 'loud'"):
        ClipSpec.from_dict({**CREMAD.to_dict(), "sound": {**old, "level": "loud"}})


# --- holes ------------------------------------------------------------------------------------------------------------


def with_hole(path, seconds, *, at=1.0, hole=1.5, rate=44100, late=0.0):
    """A mono Matroska of PCM: a tone of ``seconds``, of which what comes after ``at`` is stamped ``hole`` later."""
    wave = np.rint(tone(1, seconds, rate=rate)[None] * 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        for begin in range(0, wave.shape[1], 441):
            frame = av.AudioFrame.from_ndarray(wave[:, begin : begin + 441].copy(), format="s16", layout="mono")
            frame.sample_rate = rate
            frame.pts = begin + round((late + (hole if begin >= at * rate else 0)) * rate)
            container.mux(stream.encode(frame))
    return path, wave[0] / 32768


@pytest.mark.parametrize("spec", [CREMAD, UNIT, with_sound_level(RML, "unit")], ids=["moviepy", "unit", "resampled"])
def test_a_hole_in_the_stamps_is_silence_in_its_place(tmp_path, spec):
    path, wave = with_hole(tmp_path / "a.mkv", 2.5)
    found, rate = heard(path, spec), spec.sound.rate
    assert len(found) == pytest.approx(4.0 * rate, abs=rate / 50)
    edges = np.array([0.1, 0.9, 1.1, 2.4, 2.6, 3.9]) * rate
    before, silent, after = (found[int(a) : int(b)] for a, b in edges.reshape(3, 2))
    assert np.abs(silent).max() < 1e-3
    gain = MONO if spec is CREMAD else 0.0
    assert power(before) == pytest.approx(power(wave[4410:39690]) + gain, abs=0.05)
    assert power(after) == pytest.approx(power(wave[48510:105840]) + gain, abs=0.05)
    if rate == 44100:  # sample by sample
        scale = 10 ** (gain / 20)
        shifted = wave[44100:][: len(found) - 110250] * scale
        assert np.abs(found[110250 : 110250 + len(shifted)] - shifted).max() < 2 / 32768 + 1e-3 * (spec is CREMAD)


def test_rounded_stamps_and_short_holes_leave_clips_as_moviepy_has_them(tmp_path):
    """20 ms are lost: FFmpeg, and so moviepy, closes the gap; a clip keeps its samples."""
    path, _ = with_hole(tmp_path / "a.mkv", 2.0, hole=0.02)
    theirs, ours = of_moviepy(path), heard(path)
    least = min(map(len, (theirs, ours))) - 441
    assert np.abs(theirs[:least] - ours[:least]).max() <= 1.01 / 32768


def test_a_hole_is_where_we_differ_from_moviepy(tmp_path):
    path, _ = with_hole(tmp_path / "a.mkv", 2.5)
    theirs = of_moviepy(path)
    assert power(theirs[48510:105840]) > -40 and np.abs(theirs[-40000:]).max() == 0  # closed; silent at the end instead


def test_silence_before_a_late_sound_where_the_beginning_is_known(tmp_path):
    path, wave = with_hole(tmp_path / "a.mkv", 1.0, hole=0.0, late=0.5)
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    assert len(average_channels(frames)) == len(wave)
    found = average_channels(frames, zero=0.0)
    assert len(found) == len(wave) + 22050 and not found[:22050].any() and found[22050:] == pytest.approx(wave)
    assert len(average_channels(frames, zero=0.45)) == len(wave)  # within the lead that files usually have
    assert len(moviepy_waveform(frames, 44100, None, zero=0.0)) == len(wave) + 22050
