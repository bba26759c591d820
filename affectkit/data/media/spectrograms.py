"""Mel spectrograms in decibels, as a model gets them, and sound from them again for listening."""

from __future__ import annotations

import warnings
import wave
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affectkit.core.cached import cached_tensors
from affectkit.core.clipspec import COUNTS, DECIBELS, SoundSpec
from affectkit.core.files import whole_file
from affectkit.core.libraries import load_library

LEAST = 1e-10
"""Power below which all is -100 dB."""
TOGETHER = 32
"""Bands that are computed at once."""


def mel_power(sound: np.ndarray, spec: SoundSpec) -> torch.Tensor:
    """Return the mel power spectrogram (mels, 1 + samples // hop), float32, of a sound (samples,) at ``spec.rate``.

    Short-time spectra of ``n_fft`` samples, padded with zeros at both ends, a Hann window of ``window`` samples in
    their middle; Slaney's mel scale, bands of unit area. As ``librosa.feature.melspectrogram`` (McFee et al. 2015).
    """
    transform = _transform(spec)
    spectrum = transform.spectrogram(torch.from_numpy(np.ascontiguousarray(sound, dtype=np.float32)))
    power = spectrum.real.square() + spectrum.imag.square()
    found = power.new_empty(spec.mels, power.shape[1])
    for rows, bins, weights in _bands(spec):
        torch.mm(weights, power[bins], out=found[rows])
    return found


def mel_decibels(sound: np.ndarray, spec: SoundSpec) -> np.ndarray:
    """Return the spectrogram (height, width) of ``sound`` in decibels, float32: 10 log10 of the power, at least
    ``top_db`` below its maximum, brought to the width that ``spec`` says.
    """
    if spec.seconds is not None:
        sound = central_part(sound, round(spec.seconds * spec.rate))
    power = mel_power(sound, spec)
    level = 10 * torch.log10(power.clamp(min=LEAST))
    level = torch.maximum(level, level.max() - spec.top_db)
    if spec.fit == "resize":
        size = (spec.height, spec.width)
        return torch.nn.functional.interpolate(
            level[None, None], size=size, mode="bilinear", antialias=True, align_corners=False
        )[0, 0].numpy()
    return pad_or_crop_width(level.numpy(), spec.width, odd="right" if spec.level == "unit" else "left")


def central_part(sound: np.ndarray, count: int) -> np.ndarray:
    """Return the ``count`` samples in the middle; all where there are fewer."""
    begin = max((len(sound) - count) // 2, 0)
    return sound[begin : begin + count]


def pad_or_crop_width(values: np.ndarray, width: int, *, odd: str = "left") -> np.ndarray:
    """Return the ``width`` columns in the middle of (rows, n), or as many by reflection at both ends where there are
    fewer.

    Args:
        odd: the side of which one column more is added, or, on the right, cut off, where they cannot be shared evenly.
            The code of CM-VQVAE adds it on the left, and cuts it off on the right.
    """
    missing = width - values.shape[1]
    if missing <= 0:
        begin = -missing // 2
        return np.ascontiguousarray(values[:, begin : begin + width])
    left = missing // 2 if odd == "right" else missing - missing // 2
    return np.pad(values, ((0, 0), (left, missing - left)), mode="reflect" if values.shape[1] > 1 else "edge")


def to_store(decibels: np.ndarray) -> np.ndarray:
    """Return int16 in steps of 1/256 dB: within 0.002 dB, from -128 to 128 dB."""
    return np.clip(np.rint(decibels * DECIBELS), -32768, 32767).astype(np.int16)


def to_sound(decibels: np.ndarray, spec: SoundSpec, *, rounds: int = 32, seed: int = 0) -> np.ndarray:
    """Return a sound (samples,), float32, full scale 1, whose spectrogram is about ``decibels`` (mels, columns), at the
    level ``counts`` 32768 times as large; phases are not known.

    The power of the bands is spread over the frequencies that they cover (least squares, none below 0), then phases are
    estimated by Griffin and Lim's algorithm ("Signal estimation from modified short-time Fourier transform", 1984).

    Args:
        rounds: of that algorithm.
        seed: of the first phases.
    """
    functional = load_library("torchaudio.functional")
    bank = functional.melscale_fbanks(
        spec.n_fft // 2 + 1, 0.0, spec.rate / 2, spec.mels, spec.rate, norm="slaney", mel_scale="slaney"
    )
    full = COUNTS if spec.level == "counts" else 1
    power = torch.from_numpy(10 ** (decibels.astype(np.float64) / 10) / full**2).float()
    if power.shape[0] != spec.mels:  # the spectrogram was resized
        power = torch.nn.functional.interpolate(power[None, None], size=(spec.mels, power.shape[1]), mode="bilinear")[
            0, 0
        ]
    linear = torch.linalg.lstsq(bank.t(), power, driver="gelsd").solution.clamp(min=0)
    generator_state = torch.random.get_rng_state()
    try:
        torch.manual_seed(seed)
        return functional.griffinlim(
            linear,
            torch.hann_window(spec.window),
            spec.n_fft,
            spec.hop,
            spec.window,
            power=2.0,
            n_iter=rounds,
            momentum=0.99,
            length=None,
            rand_init=True,
        ).numpy()
    finally:
        torch.random.set_rng_state(generator_state)


def write_wav(path: Path, sound: np.ndarray, rate: int) -> None:
    """Write 16-bit mono WAV, whole or not at all; what is louder than full scale is made quieter as a whole."""
    peak = max(float(np.abs(sound).max()), 1.0) if sound.size else 1.0
    samples = np.rint(sound / peak * 32767).astype("<i2")
    with whole_file(path) as part, wave.open(str(part), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes(samples.tobytes())


@cached_tensors(8)
def _bands(spec: SoundSpec) -> tuple[tuple[slice, slice, torch.Tensor], ...]:
    """Return the bank of filters, some bands at a time, each with the few frequencies that it covers: rows, columns,
    weights (rows, columns). The whole is nearly all zeros, and its product takes five times as long.
    """
    bank = _transform(spec).mel_scale.fb.t()
    found = []
    for first in range(0, spec.mels, TOGETHER):
        rows = slice(first, min(first + TOGETHER, spec.mels))
        covered = bank[rows].any(0).nonzero()[:, 0]
        low, high = (int(covered[0]), int(covered[-1]) + 1) if len(covered) else (0, 1)
        found.append((rows, slice(low, high), bank[rows, low:high].contiguous()))
    return tuple(found)


@cached_tensors(8)
def _transform(spec: SoundSpec) -> Any:
    """Return torchaudio's ``MelSpectrogram``; the package is imported where sound is computed, and nowhere else."""
    with warnings.catch_warnings():
        # Published settings have more bands than frequencies at the low end; such bands stay at the floor.
        warnings.filterwarnings("ignore", message="At least one mel filterbank")
        return _made(spec)


def _made(spec: SoundSpec) -> Any:
    return load_library("torchaudio.transforms").MelSpectrogram(
        sample_rate=spec.rate,
        n_fft=spec.n_fft,
        win_length=spec.window,
        hop_length=spec.hop,
        n_mels=spec.mels,
        power=None,  # the complex spectrum
        norm="slaney",
        mel_scale="slaney",
        center=True,
        pad_mode="constant",
    )
