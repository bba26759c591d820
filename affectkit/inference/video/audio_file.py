"""Write the sound of a video as a file of its own, in step with the frames and at its own level."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from affectkit.core.text import count_text
from affectkit.data.media.media_file import Tracks, choose_tracks, open_media
from affectkit.data.media.packet_times import PacketTimes, scan_packets
from affectkit.data.media.sound_channels import sample_values, stereo_matrix
from affectkit.data.media.sound_stream import PlacedSound, SoundDecoder, place_sound

RATE = 48000
BITS = 128_000
"""Bits per second of a channel: both of one channel are coded as one."""
CUTOFF = {"cutoff": "22000"}
"""FFmpeg's encoder leaves out what is above 17 kHz at its usual rate: noise becomes quieter by up to 1.6 dB. What it
lowers in any case are windows of 43 ms that peak above 0.95 of full scale: by 0.5 dB at most."""
PIECE = 1024
SURPLUS = 0.1
"""Seconds of sound after the last frame from which on it is reported: codecs pad their last frame."""


@dataclass(frozen=True)
class WrittenSound:
    """What became of the sound of a video.

    Attributes:
        heard: whether there is a file with sound.
        left_out: what of the sound is not in it, or is changed there, a clause each.
    """

    heard: bool
    left_out: tuple[str, ...] = ()


def write_sound(
    source: Path,
    target: Path,
    *,
    start: float,
    seconds: float,
    whole: bool = True,
    times: PacketTimes | None = None,
) -> WrittenSound:
    """Write the sound track of ``source`` as AAC in stereo at 48 kHz, in constant memory, as far as it can be decoded.

    Its level stays: one channel goes to both as it is, more than two as ``stereo_matrix`` says. Where sound is missing
    there is silence, and nothing after it shifts.

    Args:
        source: the video.
        target: an ``.m4a`` file.
        start: time by the video's own clock at which the file begins: what was heard before is left out, and silence
            fills what is missing.
        seconds: how much is written.
        whole: whether the video is written to its end, so that sound after it is reported.
        times: of the packets of ``source``, if they are known.
    """
    times = times or scan_packets(source)
    with open_media(source) as video:
        tracks = choose_tracks(video)
        if tracks.sound is None:
            return WrittenSound(False, tuple(_faults(tracks, None)))
        decoder = SoundDecoder(tracks.sound, times)
        wanted, written = round(seconds * RATE), 0
        with av.open(str(target), "w", format="ipod") as container:
            bits = BITS * min(tracks.sound.codec_context.layout.nb_channels or 2, 2)
            stream = container.add_stream("aac", rate=RATE, layout="stereo", bit_rate=bits, options=CUTOFF)
            placed = place_sound(_decoded(video, decoder))
            for piece in _cut(_filled(_resampled(placed, start), wanted), wanted):
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="fltp", layout="stereo")
                frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), written
                written += piece.shape[1]
                container.mux(stream.encode(frame))
            if written:
                container.mux(stream.encode(None))
        surplus = times.sound.end() - start - seconds if whole else 0.0
        return WrittenSound(written > 0, (*_faults(tracks, decoder), *_surplus(surplus)))


def _decoded(video: Any, decoder: SoundDecoder) -> Iterator[Any]:
    """Yield frames of sound as far as the file can be read; packets that cannot be decoded are passed over."""
    try:
        for packet in video.demux():
            if packet.size and packet.stream_index == decoder.track.index:
                yield from decoder.feed(packet, lenient=True)
    except FFmpegError:  # the frames have reported it, or end there too
        pass
    yield from decoder.finish(lenient=True)


def _faults(tracks: Tracks, decoder: SoundDecoder | None) -> Iterator[str]:
    """Yield what of the sound is left out or changed, a clause each."""
    failing = [codec for kind, codec in tracks.undecodable if kind == "audio"]
    if decoder is None:
        if failing:
            yield f"its sound is left out, as it cannot be decoded (codec {', '.join(failing)})"
        return
    if decoder.lost and not decoder.count:
        yield "its sound is left out, as nothing of it can be decoded"
        return
    others = sum(stream.type == "audio" for stream in decoder.track.container.streams) - 1
    if others:
        yield f"{count_text(others, 'other sound track')} left out"
    if decoder.lost:
        yield f"{count_text(decoder.lost, 'packet')} of its sound cannot be decoded and became silence"
    for layout in decoder.layouts.values():
        if layout.nb_channels > 2:
            loss = 20 * np.log10(stereo_matrix(layout).max())
            yield f"sound of {layout.nb_channels} channels ({layout.name}) became two, the front {loss:.1f} dB"


def _surplus(seconds: float) -> Iterator[str]:
    if seconds > SURPLUS:
        yield f"{seconds:.1f} s of sound after the last frame are left out"


def _resampled(placed: Iterator[PlacedSound], start: float) -> Iterator[tuple[int, np.ndarray]]:
    """Yield pieces (2, n) at ``RATE`` and the sample at which each begins, counted from ``start``."""
    resampler, rate, place = None, 0, 0
    for sound in itertools.chain(placed, [None]):
        follows = sound is not None and sound.joins and sound.frame.sample_rate == rate
        if resampler is not None and not follows:  # what it still holds
            yield from _counted(_converted(resampler, None), place)
        if sound is None:
            return
        if not follows:
            rate = sound.frame.sample_rate
            resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
            place = round((sound.begin - start) * RATE)
        for piece in _converted(resampler, sound):
            yield place, piece
            place += piece.shape[1]


def _counted(pieces: Iterator[np.ndarray], place: int) -> Iterator[tuple[int, np.ndarray]]:
    for piece in pieces:
        yield place, piece
        place += piece.shape[1]


def _converted(resampler: Any, sound: PlacedSound | None) -> Iterator[np.ndarray]:
    """Yield what the resampler gives for a frame (None: the rest) brought to two channels and to its length."""
    frame = None
    if sound is not None:
        values = stereo_matrix(sound.frame.layout) @ sample_values(sound.frame)
        if sound.extra:
            values = _stretched(values, values.shape[1] + sound.extra)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(values), format="fltp", layout="stereo")
        frame.sample_rate = sound.frame.sample_rate
    yield from (piece.to_ndarray() for piece in resampler.resample(frame) if piece is not None)


def _stretched(values: np.ndarray, count: int) -> np.ndarray:
    """Return (channels, count): ``values`` interpolated linearly, over the same time."""
    places = np.arange(count) * (values.shape[1] / count)
    known = np.arange(values.shape[1])
    return np.stack([np.interp(places, known, channel) for channel in values]).astype(np.float32)


def _filled(pieces: Iterator[tuple[int, np.ndarray]], wanted: int) -> Iterator[np.ndarray]:
    """Yield the pieces one after the other, silence between them where one is missing; none before sample 0, and none
    twice.
    """
    end = 0
    for begin, piece in pieces:
        for at in range(end, min(begin, wanted), RATE):  # a second at most at a time: gaps may be long
            yield np.zeros((2, min(RATE, min(begin, wanted) - at)), np.float32)
        yield piece[:, max(end - begin, 0) :]
        end = max(end, begin + piece.shape[1])
        if end >= wanted:
            return


def _cut(parts: Iterator[np.ndarray], wanted: int) -> Iterator[np.ndarray]:
    """Yield the first ``wanted`` samples of ``parts`` in pieces of ``PIECE``, (2, n), the last one shorter."""
    held, count = np.zeros((2, 0), np.float32), 0
    for part in parts:
        held = np.concatenate([held, part], axis=1)[:, : wanted - count]
        while held.shape[1] >= PIECE:
            yield held[:, :PIECE]
            held, count = held[:, PIECE:], count + PIECE
    if held.shape[1]:
        yield held
