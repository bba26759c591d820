"""The sound of a film as a file of its own, in step with the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from affectkit.data.video import opened

RATE = 48000
PIECE = 1024
GAP = 0.03
"""Seconds that sound may be away from its place before silence is put in or samples are left out."""


def write_sound(source: Path, target: Path, *, start: float, seconds: float) -> bool:
    """Write the first sound track of ``source`` as AAC in stereo, in constant memory; false where it has none.

    Args:
        target: an ``.m4a`` file. start: time of the first picture by the film's own clock: what was heard before is
            left out, and silence fills what is missing. seconds: how much is written.
    """
    with av.open(str(target), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        written = 0
        for piece in _pieces(_placed(source, start), round(seconds * RATE)):
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), written
            written += piece.shape[1]
            container.mux(stream.encode(frame))
        if not written:
            return False
        container.mux(stream.encode(None))
    return True


def _placed(source: Path, start: float) -> Iterator[tuple[int, np.ndarray]]:
    """Pieces (2, n) of the sound and the sample at which each belongs; up to where it can be decoded."""
    resampler, place = av.AudioResampler(format="fltp", layout="stereo", rate=RATE), None
    try:
        with opened(source) as container:
            if not container.streams.audio:
                return
            for frame in container.decode(container.streams.audio[0]):
                if frame.is_corrupt:
                    return
                at = place if frame.time is None else round((frame.time - start) * RATE)
                place = at if place is None or (at is not None and abs(at - place) > GAP * RATE) else place
                for piece in _resampled(resampler, frame):
                    yield place or 0, piece
                    place = (place or 0) + piece.shape[1]
    except FFmpegError:  # the pictures told it, or end there too
        return


def _resampled(resampler: Any, frame: Any) -> Iterator[np.ndarray]:
    frame.pts = None  # places are counted here
    yield from (piece.to_ndarray() for piece in resampler.resample(frame))


def _pieces(placed: Iterator[tuple[int, np.ndarray]], wanted: int) -> Iterator[np.ndarray]:
    """``wanted`` samples from 0 on, in pieces of ``PIECE``: (2, n) float32."""
    held, count, first = np.zeros((2, 0), np.float32), 0, True
    for place, piece in placed:
        first = False
        there = count + held.shape[1]
        if place < there:
            piece = piece[:, there - place :]  # noqa: PLW2901 - heard before the first picture, or twice
        while place > there and count < wanted:  # a second of silence at most at a time: gaps may be long
            silence = np.zeros((2, min(place - there, RATE)), np.float32)
            held, there = np.concatenate([held, silence], axis=1), there + silence.shape[1]
            while held.shape[1] >= PIECE and count < wanted:
                yield held[:, :PIECE][:, : wanted - count]
                held, count = held[:, PIECE:], count + PIECE
        held = np.concatenate([held, piece], axis=1)
        while held.shape[1] >= PIECE and count < wanted:
            yield held[:, :PIECE][:, : wanted - count]
            held, count = held[:, PIECE:], count + PIECE
        if count >= wanted:
            return
    if not first and held.shape[1]:
        yield held[:, : wanted - count]
