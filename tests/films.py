"""Films made for tests: every picture tells its number, and a sound with a click."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS, CELL = 12, 8
SIZE = (128, 96)
"""Width and height."""
TICKS = Fraction(1, 1000)


def coded(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 (H, W, 3): gray, with the bits of ``number`` as black and white cells from the upper left corner."""
    picture = np.full((size[1], size[0], 3), 110, np.uint8)
    for bit in range(BITS):
        picture[:CELL, bit * CELL : (bit + 1) * CELL] = 255 if number >> bit & 1 else 0
    return picture


def number_of(picture: np.ndarray) -> int:
    """The number that ``coded`` wrote."""
    middles = picture[CELL // 2, CELL // 2 : BITS * CELL : CELL].mean(1)
    return sum(int(value > 127) << bit for bit, value in enumerate(middles))


def write_film(
    path: Path,
    count: int = 30,
    *,
    fps: int = 10,
    times: Sequence[int] | None = None,
    draw: Callable[[int], np.ndarray] = coded,
    turn: tuple | None = None,
    clicks: Sequence[float] | None = None,
    late: float = 0.0,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """A film of ``count`` pictures.

    Args:
        times: of the pictures in milliseconds; None: at ``fps``.
        turn: of the display matrix: degrees, and whether it is mirrored; see PyAV's ``set_display_rotation``.
        clicks: seconds at which the sound has a short loud tone; None: no sound. late: seconds at which it begins.
        options: of the container.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        first = draw(0)
        presets = {"preset": "ultrafast"} if codec == "libx264" else {}
        video = container.add_stream(codec, rate=fps, options=presets)
        video.width, video.height, video.pix_fmt = first.shape[1], first.shape[0], "yuv420p"
        video.codec_context.gop_size = 10
        if times is not None:
            video.codec_context.time_base = TICKS
        if aspect is not None:
            video.codec_context.sample_aspect_ratio = aspect
        if turn is not None:
            video.set_display_rotation(*turn)
        audio = container.add_stream("aac", rate=44100, layout="mono") if clicks is not None else None
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(draw(number), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], TICKS
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            _write_sound(container, audio, count / fps - late, clicks, late)
    return path


def _write_sound(container, audio, seconds: float, clicks: Sequence[float], late: float) -> None:
    wave = np.zeros(round(seconds * 44100), np.float32)
    for click in clicks:
        begin = round((click - late) * 44100)
        wave[begin : begin + 2205] = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(2205) / 44100)
    for begin in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, begin : begin + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = 44100, Fraction(1, 44100)
        frame.pts = begin + round(late * 44100)
        container.mux(audio.encode(frame))
    container.mux(audio.encode(None))


def seen(path: Path) -> list[tuple[float, np.ndarray]]:
    """All pictures of a film and their times, by PyAV alone."""
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def heard(path: Path) -> tuple[np.ndarray, int]:
    """The sound of a film, (samples,), channels averaged and from time 0, and its rate."""
    pieces, rate, start = [], 0, None
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono")
        for frame in container.decode(audio=0):
            start = frame.time if start is None else start
            rate = frame.sample_rate
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
    wave = np.concatenate(pieces)
    shift = round(start * rate)
    return (np.concatenate([np.zeros(shift, np.float32), wave]) if shift >= 0 else wave[-shift:]), rate


def loud_at(path: Path) -> float:
    """The time at which the sound of a film is loud for the first time."""
    wave, rate = heard(path)
    return int(np.argmax(np.abs(wave) > 0.3)) / rate
