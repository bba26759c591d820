"""Write the sound of a video as a file of its own, in step with the frames."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from affectkit.data.media.media_file import open_media

RATE = 48000
PIECE = 1024
GAP = 0.03
"""Seconds that sound may be off before silence is put in or samples are left out."""


def write_sound(source: Path, target: Path, *, start: float, seconds: float) -> bool:
    """Write the first sound track of ``source`` as AAC in stereo, in constant memory; false where it has none.

    Args:
        source: the video.
        target: an ``.m4a`` file.
        start: time of the first frame by the video's own clock: what was heard before is left out, and silence fills
            what is missing.
        seconds: how much is written.
    """
    with av.open(str(target), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        written = 0
        wanted = round(seconds * RATE)
        for piece in _cut(_filled(_decoded(source, start), wanted), wanted):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="fltp", layout="stereo")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), written
            written += piece.shape[1]
            container.mux(stream.encode(frame))
        if not written:
            return False
        container.mux(stream.encode(None))
    return True


def _decoded(source: Path, start: float) -> Iterator[tuple[int, np.ndarray]]:
    """Yield pieces (2, n) of the sound and the sample at which each begins; up to where it can be decoded."""
    resampler, begin = av.AudioResampler(format="fltp", layout="stereo", rate=RATE), None
    try:
        with open_media(source) as container:
            if not container.streams.audio:
                return
            for frame in container.decode(container.streams.audio[0]):
                if frame.is_corrupt:
                    return
                at = begin if frame.time is None else round((frame.time - start) * RATE)
                begin = at if begin is None or (at is not None and abs(at - begin) > GAP * RATE) else begin
                for piece in _resampled(resampler, frame):
                    yield begin or 0, piece
                    begin = (begin or 0) + piece.shape[1]
    except FFmpegError:  # the frames have reported it, or end there too
        return


def _resampled(resampler: Any, frame: Any) -> Iterator[np.ndarray]:
    frame.pts = None  # samples are counted here
    yield from (piece.to_ndarray() for piece in resampler.resample(frame))


def _filled(pieces: Iterator[tuple[int, np.ndarray]], wanted: int) -> Iterator[np.ndarray]:
    """Yield the pieces one after the other, silence between them where one is missing; none before sample 0."""
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
