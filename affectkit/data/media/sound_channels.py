"""Samples of decoded sound as numbers, and channels brought to two without clipping."""

from __future__ import annotations

import functools
from typing import Any

import av
import numpy as np

HALF = 0.5**0.5
"""-3.01 dB: half the power."""
SILENT = 1e-3
"""Peak, of full scale, below which a sound is none: -60 dB."""
USUAL = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
"""Layouts of 1, 2, ... channels whose file names none, as FFmpeg assumes them."""
FRONT = {"FL": (1.0, 0.0), "FR": (0.0, 1.0), "DL": (1.0, 0.0), "DR": (0.0, 1.0), "FLC": (1.0, 0.0), "FRC": (0.0, 1.0)}
UNHEARD = {"LFE", "LFE2"}
MOST_PLANES = 7
"""Channels up to which PyAV hands over planes; of more it reads beyond its own list."""


def has_readable_planes(sound: Any) -> bool:
    """Return whether PyAV can make an array of a frame's samples."""
    if sound.format.is_planar and len(sound.layout.channels) > MOST_PLANES:
        return False
    return not sound.format.name.startswith("s64")


def sample_values(sound: Any) -> np.ndarray:
    """Return the samples of a decoded frame of sound: float32 (channels, n), full scale 1, in any sample format."""
    channels = len(sound.layout.channels)
    if not has_readable_planes(sound):
        (sound,) = av.AudioResampler(format="flt", layout=sound.layout, rate=sound.sample_rate).resample(sound)
    values = sound.to_ndarray()
    if not sound.format.is_planar:  # one row, channels in turn
        values = values.reshape(-1, channels).T
    return full_scale(values)


def full_scale(values: np.ndarray) -> np.ndarray:
    """Return stored samples as float32 whose full scale is 1."""
    if values.dtype.kind in "iu":
        limit = float(np.iinfo(values.dtype).max) + 1
        values = (values.astype(np.float64) - (limit / 2 if values.dtype.kind == "u" else 0)) / (
            limit / 2 if values.dtype.kind == "u" else limit
        )
    return values.astype(np.float32, copy=False)


def stereo_matrix(layout: Any) -> np.ndarray:
    """Return the matrix (2, channels), float32, that brings sound of ``layout`` to two channels.

    One channel goes to both at its own level, two stay as they are. Of more, the centre goes to both and what is beside
    or behind to its own side, each with 0.7071, one in the middle behind with 0.5 to both; the subwoofer is left out:
    ITU-R BS.775-3, annex 4, table 2. As that sum may reach 2.41 of full scale (5.1), it is divided by the sum of the
    coefficients, so that it cannot clip, as libswresample does for integer samples (``rematrix_maxval`` 1).

    >>> import av
    >>> [round(float(gain), 4) for gain in stereo_matrix(av.AudioLayout("5.1"))[0]]
    [0.4142, 0.0, 0.2929, 0.0, 0.2929, 0.0]
    """
    return _matrix(channel_names(layout))


def channel_names(layout: Any) -> tuple[str, ...]:
    """Return the names of the channels of ``layout`` in FFmpeg's letters; the ``USUAL`` ones where it has none.

    >>> import av
    >>> channel_names(av.AudioLayout("5.1"))
    ('FL', 'FR', 'FC', 'LFE', 'BL', 'BR')
    """
    return _named(tuple(channel.name for channel in layout.channels))


@functools.lru_cache(32)
def _named(names: tuple[str, ...]) -> tuple[str, ...]:
    if set(names) - {"NONE", "UNK"} or len(names) > len(USUAL):
        return names
    return tuple(channel.name for channel in av.AudioLayout(USUAL[len(names) - 1]).channels)


@functools.lru_cache(32)
def _matrix(names: tuple[str, ...]) -> np.ndarray:
    """Return ``stereo_matrix`` of channels by their names."""
    if len(names) == 1:
        return np.ones((2, 1), np.float32)
    matrix = np.array([_gains(name) for name in names], np.float64).T
    return (matrix / max(matrix.sum(1).max(), 1.0)).astype(np.float32)


def _gains(name: str) -> tuple[float, float]:
    """Return what a channel gives to left and right, before they are normalised."""
    if name in FRONT:
        return FRONT[name]
    if name in UNHEARD:
        return 0.0, 0.0
    if name == "BC":
        return 0.5, 0.5
    side = name.rstrip("C")[-1:]
    return (HALF if side != "R" else 0.0), (HALF if side != "L" else 0.0)
