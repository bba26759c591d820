"""One channel of sound from what a decoder gives, at the level that a specification names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import av
import numpy as np
import torch

from affectkit.core.cached import cached_tensors
from affectkit.core.clipspec import COUNTS, SoundSpec
from affectkit.core.libraries import load_library


def average_channels(sounds: Sequence[Any]) -> np.ndarray:
    """Return the samples of decoded pieces of sound, channels averaged: float32 (samples,) in [-1, 1]."""
    # A stream may change its form; what is alike is averaged at once, as it is faster.
    found = [_mean(alike) for alike in _runs(sounds)]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)


def set_level(sounds: Sequence[Any], mono: np.ndarray, rate: int, spec: SoundSpec, stated: int | None) -> np.ndarray:
    """Return the sound at ``spec.rate`` samples per second and at ``spec.level``, float32 (samples,).

    Args:
        sounds: the decoded pieces.
        mono: ``average_channels`` of them.
        rate: of both.
        stated: the duration of the file as its container says, in microseconds; None: it does not.
    """
    if spec.level == "moviepy":
        return moviepy_waveform(sounds, spec.rate, stated)
    found = mono if rate == spec.rate else _resampler(rate, spec.rate)(torch.from_numpy(mono)).numpy()
    return found * np.float32(COUNTS) if spec.level == "counts" else found


def moviepy_waveform(sounds: Sequence[Any], rate: int, stated: int | None) -> np.ndarray:
    """Return the sound as ``moviepy.AudioFileClip(path, fps=rate).to_soundarray().mean(1)`` has it, float32 (samples,).

    moviepy asks FFmpeg for two channels of 16 bits and for as many samples as the stated duration has, rounded to
    hundredths of a second; what lacks is zero. libswresample gives a single channel to both with a gain of the root of
    one half (-3.01 dB in power), two channels as they are, and brings more than two down to two.
    """
    pieces = [piece for run in _runs(sounds) for piece in _two_channels(run, rate)]
    samples = np.concatenate(pieces) if pieces else np.zeros((0, 2), dtype=np.int16)
    found = samples.mean(axis=1, dtype=np.float32) / COUNTS
    if stated is None:
        return found
    wanted = (stated + 5000) // 10_000 * rate // 100
    return np.pad(found[:wanted], (0, max(wanted - len(found), 0)))


def _runs(sounds: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield successive pieces of one form: sample format, channels, rate."""
    run: list[Any] = []
    form = None
    for sound in sounds:
        if (now := (sound.format.name, sound.layout.name, sound.sample_rate)) != form and run:
            yield run
            run = []
        form = now
        run.append(sound)
    if run:
        yield run


def _two_channels(run: Sequence[Any], rate: int) -> Iterator[np.ndarray]:
    """Yield int16 (samples, 2) of pieces of one form."""
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=rate)
    for sound in (*run, None):
        for made in resampler.resample(sound):
            yield made.to_ndarray().reshape(-1, 2)


def _mean(run: Sequence[Any]) -> np.ndarray:
    values, channels = np.concatenate([sound.to_ndarray() for sound in run], axis=1), len(run[0].layout.channels)
    if not run[0].format.is_planar:  # one row, channels in turn
        values = values.reshape(-1, channels).T
    if values.dtype.kind in "iu":
        limit = float(np.iinfo(values.dtype).max) + 1
        values = (values.astype(np.float64) - (limit / 2 if values.dtype.kind == "u" else 0)) / (
            limit / 2 if values.dtype.kind == "u" else limit
        )
    values = values.astype(np.float32, copy=False)
    return values.mean(axis=0) if channels > 1 else values[0]


@cached_tensors(8)
def _resampler(rate: int, wanted: int) -> Any:
    """Return torchaudio's ``Resample``, imported where sound is computed; its kernel takes longer than a clip to
    resample.
    """
    return load_library("torchaudio.transforms").Resample(rate, wanted)
