"""Spectrograms against librosa; storing; sounds from spectrograms again."""

from __future__ import annotations

import wave

import numpy as np
import pytest
import torch
from clips import tone
from plain_librosa import librosa

from affectkit.core.clipspec import CREMAD, RESIZED, RML, SoundSpec
from affectkit.data.media.spectrograms import (
    central_part,
    mel_decibels,
    mel_power,
    pad_or_crop_width,
    to_sound,
    to_store,
    write_wav,
)


def of_librosa(sound, spec):
    return librosa().feature.melspectrogram(
        y=sound, sr=spec.rate, n_fft=spec.n_fft, win_length=spec.window, hop_length=spec.hop, n_mels=spec.mels,
        window="hann", center=True, pad_mode="constant", power=2.0,
    )  # fmt: skip


@pytest.mark.parametrize("spec", [CREMAD.sound, RML.sound, RESIZED, SoundSpec(rate=16000, n_fft=512, hop=160, mels=64)])
@pytest.mark.parametrize("seconds", [0.9, 2.5])
def test_mel_power_is_librosas(spec, seconds):
    rng = np.random.default_rng(3)
    sound = (tone(2, seconds, rate=spec.rate) + rng.normal(0, 0.05, round(seconds * spec.rate))).astype(np.float32)
    wanted = of_librosa(sound, spec)
    found = mel_power(sound, spec).numpy()
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-4 * wanted.max()
    level = 10 * np.log10(np.maximum(found, 1e-10))
    assert np.abs(np.maximum(level, level.max() - 80) - librosa().power_to_db(wanted, amin=1e-10)).max() < 0.01


@pytest.mark.parametrize("seconds", [0.3, 1.3, 2.5])
def test_decibels_as_a_model_gets_them(seconds):
    spec, sound = CREMAD.sound, tone(1, seconds)
    level = librosa().power_to_db(of_librosa(sound, spec), amin=1e-10)
    columns = level.shape[1]
    if columns >= 256:
        begin = (columns - 256) // 2
        wanted = level[:, begin : begin + 256]
    else:
        left = (256 - columns + 1) // 2  # the code of CM-VQVAE: an odd column goes to the left
        wanted = np.pad(level, ((0, 0), (left, 256 - columns - left)), mode="reflect")
    found = mel_decibels(sound, spec)
    assert found.shape == (256, 256) and found.dtype == np.float32
    assert np.abs(found - wanted).max() < 0.01
    assert found.max() - found.min() <= 80 + 1e-4


def test_only_the_central_part_is_heard():
    spec = RML.sound
    rng = np.random.default_rng(1)
    inner = rng.normal(0, 0.1, 80000).astype(np.float32)
    longer = np.concatenate([np.ones(20000, np.float32), inner, np.ones(20001, np.float32)])
    assert len(central_part(longer, 80000)) == 80000
    assert np.array_equal(mel_decibels(longer, spec), mel_decibels(inner, spec))


def test_resized_spectrograms():
    found = mel_decibels(tone(1, 1.7, rate=RESIZED.rate), RESIZED)
    level = librosa().power_to_db(of_librosa(tone(1, 1.7, rate=RESIZED.rate), RESIZED), amin=1e-10)
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(level)[None, None], size=(512, 512), mode="bilinear", antialias=True
    )[0, 0]
    assert found.shape == (512, 512)
    assert np.abs(found - wanted.numpy()).max() < 0.01


def test_columns_are_reflected_as_often_as_it_takes():
    found = pad_or_crop_width(np.arange(4)[None], 8)
    assert found.tolist() == np.pad(np.arange(4)[None], ((0, 0), (2, 2)), mode="reflect").tolist()
    assert pad_or_crop_width(np.arange(4)[None], 7).tolist() == [[2, 1, 0, 1, 2, 3, 2]]  # an odd one on the left
    assert pad_or_crop_width(np.arange(4)[None], 5, odd="left").tolist() == [[1, 0, 1, 2, 3]]
    assert pad_or_crop_width(np.arange(4)[None], 5, odd="right").tolist() == [[0, 1, 2, 3, 2]]
    assert pad_or_crop_width(np.array([[5]]), 3).tolist() == [[5, 5, 5]]
    assert pad_or_crop_width(np.arange(7)[None], 4).tolist() == [[1, 2, 3, 4]]


def test_stored_decibels_are_within_a_five_hundredth():
    values = np.linspace(-127.9, 127.9, 5001, dtype=np.float32)
    assert to_store(values).dtype == np.int16
    assert np.abs(to_store(values) / 256 - values).max() <= 1 / 512 + 1e-4
    assert to_store(np.array([500.0])).tolist() == [32767]


def test_a_sound_from_its_spectrogram_sounds_alike(tmp_path):
    spec = SoundSpec(rate=16000, n_fft=512, window=400, hop=160, mels=80, height=80, width=100)
    sound = tone(2, 1.0, rate=16000)
    level = mel_decibels(sound, spec)
    state = torch.random.get_rng_state()
    made = to_sound(level, spec)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(made, to_sound(level, spec))
    spectrum = np.abs(np.fft.rfft(made))
    assert spectrum.argmax() * 16000 / len(made) == pytest.approx(470, rel=0.1)
    again = mel_decibels(made, spec)
    assert np.abs(again - level).mean() < 5
    write_wav(tmp_path / "a.wav", 3 * made, 16000)
    with wave.open(str(tmp_path / "a.wav")) as stream:
        assert (stream.getnchannels(), stream.getframerate(), stream.getnframes()) == (1, 16000, len(made))
