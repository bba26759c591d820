"""Levels of a sound track, decoded whole in constant memory: peak, RMS, silence, and holes between its pieces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError
from av.stream import Discard

from affectkit.data.media.media_file import choose_tracks, open_media, read_packets
from affectkit.data.media.packet_times import PacketTimes
from affectkit.data.media.sound_channels import SILENT, channel_names, sample_values
from affectkit.data.media.sound_stream import SoundDecoder, place_sound

MOST_HOLES = 100
"""Holes that are listed; all are counted."""


def measure_sound(path: Path, times: PacketTimes) -> dict[str, Any]:
    """Return the levels of the sound track that is read, all of it decoded.

    Peak and RMS are in dB of full scale (dBFS), over all channels and of each: the largest sample, not the peak between
    samples, and the root of the mean square, so a sine of full scale has -3.01. None: nothing but zeros. A piece whose
    peak is below ``SILENT`` counts as silence. What cannot be decoded is counted and passed over.

    Args:
        times: of the file's packets.
    """
    meter = _Meter()
    holes: list[dict[str, float]] = []
    missing = repeated = 0.0
    lacking, end = 0, None
    with open_media(path) as container:
        tracks = choose_tracks(container)
        if tracks.video is not None:
            tracks.video.discard = Discard.all
        tracks.sound.thread_count = 1
        decoder = SoundDecoder(tracks.sound, times)
        for placed in place_sound(_decoded(container, decoder)):
            meter.add(placed.frame)
            gap = 0.0 if placed.joins or end is None else placed.begin - end
            if gap > 0:
                lacking, missing = lacking + 1, missing + gap
                if len(holes) < MOST_HOLES:
                    holes.append({"at": round(end - float(times.zero), 4), "seconds": round(gap, 4)})
            repeated -= min(gap, 0.0)
            end = placed.begin + (placed.frame.samples + placed.extra) / placed.frame.sample_rate
    return {
        **meter.found(),
        "holes": lacking,
        "holes_seconds": round(missing, 4),
        "holes_first": holes,
        "repeated_seconds": round(repeated, 4),
        "lost": decoder.lost,
    }


def decibels(amplitude: float) -> float | None:
    """Return an amplitude, of full scale, in dBFS with two decimals; None for 0.

    >>> decibels(0.5), decibels(1.0), decibels(0.0)
    (-6.02, 0.0, None)
    """
    return round(20 * math.log10(amplitude), 2) + 0.0 if amplitude > 0 else None


def _decoded(container: Any, decoder: SoundDecoder) -> Iterator[Any]:
    """Yield the frames of sound as far as the file can be read."""
    try:
        for packet in read_packets(container):
            if packet.size and packet.stream_index == decoder.track.index:
                yield from decoder.feed(packet, lenient=True)
    except FFmpegError:  # the first pass has reported it
        pass
    yield from decoder.finish(lenient=True)


class _Meter:
    """Sums over the pieces of a sound track, for each layout of channels that it has."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], list[Any]] = {}
        self._not_numbers = 0
        self._seconds = self._silence = self._run = self._longest = 0.0

    def add(self, frame: Any) -> None:
        values = sample_values(frame)
        largest = np.abs(values).max(axis=1)
        if not np.isfinite(largest).all():
            bad = ~np.isfinite(values)
            self._not_numbers += int(bad.sum())
            values = np.where(bad, np.float32(0), values)
            largest = np.abs(values).max(axis=1)
        names = channel_names(frame.layout)
        sums = self._sums.setdefault(names, [np.zeros(len(names)), np.zeros(len(names)), 0])
        sums[0] += np.einsum("cn,cn->c", values, values)
        np.maximum(sums[1], largest, out=sums[1])
        sums[2] += frame.samples
        seconds = frame.samples / frame.sample_rate
        self._seconds += seconds
        if largest.max() < SILENT:
            self._silence, self._run = self._silence + seconds, self._run + seconds
            self._longest = max(self._longest, self._run)
        else:
            self._run = 0.0

    def found(self) -> dict[str, Any]:
        """Return the levels so far."""
        peak = max((float(peaks.max()) for _, peaks, _ in self._sums.values()), default=0.0)
        values = sum(len(names) * count for names, (_, _, count) in self._sums.items())
        squares = sum(float(sums[0].sum()) for sums in self._sums.values())
        channels = []
        if len(self._sums) == 1:
            ((names, (powers, peaks, count)),) = self._sums.items()
            channels = [
                {"name": name, "peak_dbfs": decibels(float(top)), "rms_dbfs": decibels(math.sqrt(power / count))}
                for name, power, top in zip(names, powers, peaks, strict=True)
            ]
        return {
            "seconds": round(self._seconds, 4),
            "samples": sum(sums[2] for sums in self._sums.values()),
            "peak_dbfs": decibels(peak),
            "rms_dbfs": decibels(math.sqrt(squares / values)) if values else None,
            "by_channel": channels,
            "layouts": len(self._sums),
            "silent": peak < SILENT,
            "silence_seconds": round(self._silence, 4),
            "silence_longest": round(self._longest, 4),
            "not_numbers": self._not_numbers,
        }
