"""One channel of sound from what a decoder gives, at the level that a specification names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import av
import numpy as np
import torch

from affectkit.core.cached import cached_tensors
from affectkit.core.clipspec import COUNTS, SoundSpec
from affectkit.core.libraries import load_library
from affectkit.data.media.sound_channels import full_scale, has_readable_planes, sample_values
from affectkit.data.media.sound_stream import place_sound

HOLE = 0.1
"""Seconds of sound that must be missing, or there twice, before a clip's sound is moved: FFmpeg moves at as much
(``min_hard_comp`` of aresample). Stamps of clips are rounded and drift, and samples are taken as they follow then."""
NO_SAMPLES = np.zeros(0, np.float32)
NO_PAIRS = np.zeros((0, 2), np.int16)


def average_channels(sounds: Sequence[Any], *, zero: float | None = None) -> np.ndarray:
    """Return the samples of decoded pieces of sound, channels averaged, float32 (samples,) in [-1, 1], at the rate of
    the first one.

    By their stamps: what is missing is silence, so that sound stays in step with the picture.

    Args:
        zero: time at which the sound begins, in seconds by the clock of the stamps, if it is silent at first; None: at
            the first piece.
    """
    if not sounds:
        return np.zeros(0, dtype=np.float32)
    rate = sounds[0].sample_rate
    # A stream may change its form; what is alike is averaged at once, as it is faster.
    runs = ((begin, _at_rate(_mean(run), run[0].sample_rate, rate)) for begin, run in _runs(sounds, zero))
    return _laid(runs, rate)


def set_level(
    sounds: Sequence[Any],
    mono: np.ndarray,
    rate: int,
    spec: SoundSpec,
    stated: int | None,
    *,
    zero: float | None = None,
) -> np.ndarray:
    """Return the sound at ``spec.rate`` samples per second and at ``spec.level``, float32 (samples,).

    Args:
        sounds: the decoded pieces.
        mono: ``average_channels`` of them.
        rate: of both.
        stated: the duration of the file as its container says, in microseconds; None: it does not.
        zero: as of ``average_channels``.
    """
    if spec.level == "moviepy":
        return moviepy_waveform(sounds, spec.rate, stated, zero=zero)
    found = _at_rate(mono, rate, spec.rate)
    return found * np.float32(COUNTS) if spec.level == "counts" else found


def moviepy_waveform(sounds: Sequence[Any], rate: int, stated: int | None, *, zero: float | None = None) -> np.ndarray:
    """Return the sound as ``moviepy.AudioFileClip(path, fps=rate).to_soundarray().mean(1)`` has it, float32 (samples,).

    moviepy asks FFmpeg for two channels of 16 bits and for as many samples as the stated duration has, rounded to
    hundredths of a second; what lacks is zero. libswresample gives a single channel to both with a gain of the root of
    one half (-3.01 dB in power), two channels as they are, and brings more than two down to two.

    Unlike there, what is missing by the stamps (``HOLE``) is silence in its place: moviepy closes the gap, and all
    sound after it comes early.
    """
    runs = ((begin, np.concatenate([*_two_channels(run, rate), NO_PAIRS])) for begin, run in _runs(sounds, zero))
    samples = _laid(runs, rate, NO_PAIRS)
    found = samples.mean(axis=1, dtype=np.float32) / COUNTS
    if stated is None:
        return found
    wanted = (stated + 5000) // 10_000 * rate // 100
    return np.pad(found[:wanted], (0, max(wanted - len(found), 0)))


def _runs(sounds: Sequence[Any], zero: float | None) -> Iterator[tuple[float | None, list[Any]]]:
    """Yield successive pieces of one form (sample format, channels, rate), and the second at which they begin; None:
    where those before end.
    """
    if (first := _in_one(sounds)) is not None:
        yield (first - zero if zero is not None and first - zero > HOLE else 0.0), list(sounds)
        return
    run: list[Any] = []
    form = begin = origin = None
    for placed in place_sound(sounds, step=HOLE, stretch=False):
        sound = placed.frame
        now = (sound.format.name, sound.layout.name, sound.sample_rate)
        if origin is None:
            origin = zero if zero is not None and placed.begin - zero > HOLE else placed.begin
        if run and (now != form or not placed.joins):
            yield begin, run
            run = []
        if not run:
            begin = None if placed.joins else placed.begin - origin
        form = now
        run.append(sound)
    if run:
        yield begin, run


def _in_one(sounds: Sequence[Any]) -> float | None:
    """Return the second at which pieces of one form begin that follow each other by their stamps; None: they do not.

    It is what ``place_sound`` finds, of whole arrays.
    """
    if not sounds or None in (stamps := [sound.pts for sound in sounds]):
        return None
    first = sounds[0]
    tick, rate = float(first.time_base or 0), first.sample_rate
    forms = {(sound.format.name, sound.layout.name, sound.sample_rate, sound.time_base) for sound in sounds}
    if len(forms) > 1 or not tick:
        return None
    lengths = np.array([sound.samples for sound in sounds])
    begins = (np.array(stamps, np.int64) - stamps[0]) * tick
    off = begins - (np.cumsum(lengths) - lengths) / rate
    return stamps[0] * tick if np.abs(off).max() <= max(HOLE, 1.5 * tick) and lengths.all() else None


def _laid(runs: Iterable[tuple[float | None, np.ndarray]], rate: int, none: np.ndarray = NO_SAMPLES) -> np.ndarray:
    """Return runs of samples (first axis) one after the other, each where it begins: silence where some are missing,
    and what was there already left out.
    """
    parts, end = [none], 0
    for begin, samples in runs:
        place = end if begin is None else round(begin * rate)
        parts.append(np.zeros((max(place - end, 0), *samples.shape[1:]), samples.dtype))
        parts.append(samples[max(end - place, 0) :])
        end = max(end, place + len(samples))
    return np.concatenate(parts)


def _two_channels(run: Sequence[Any], rate: int) -> Iterator[np.ndarray]:
    """Yield int16 (samples, 2) of pieces of one form."""
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=rate)
    for sound in (*run, None):
        for made in resampler.resample(sound):
            yield made.to_ndarray().reshape(-1, 2)


def _mean(run: Sequence[Any]) -> np.ndarray:
    channels = len(run[0].layout.channels)
    if has_readable_planes(run[0]):
        values = np.concatenate([sound.to_ndarray() for sound in run], axis=1)
        if not run[0].format.is_planar:  # one row, channels in turn
            values = values.reshape(-1, channels).T
        values = full_scale(values)
    else:
        values = np.concatenate([sample_values(sound) for sound in run], axis=1)
    return values.mean(axis=0) if channels > 1 else values[0]


def _at_rate(mono: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    return mono if rate == wanted else _resampler(rate, wanted)(torch.from_numpy(mono)).numpy()


@cached_tensors(8)
def _resampler(rate: int, wanted: int) -> Any:
    """Return torchaudio's ``Resample``, imported where sound is computed; its kernel takes longer than a clip to
    resample.
    """
    return load_library("torchaudio.transforms").Resample(rate, wanted)
