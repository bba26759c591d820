"""Conditions of a video's clock: where it starts, where it jumps, and files of which it is one of several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from video_zoo import COUNT, FPS, KINDS, OFFSET, WRAP, Absent, Cell, Zoo, constant, even, run, seconds_of

END = COUNT / FPS
PRIMING = 0.05
"""Seconds, at most, that encoders of sound put before the first sample."""
UNMARKED = ("flv", "ts", "mpg", "wmv")
"""Containers that do not say which samples these are, so that the sound is seen to begin with them."""
ROOM = 0.24
"""Seconds between decoding and showing, where the latter is moved alone."""


def late_start(zoo: Zoo, cell: Cell) -> None:
    """A clock that starts at 200 s."""
    if cell.kind == "avi":
        raise Absent("its clock counts chunks from 0")
    constant(zoo, cell, output=f"-output_ts_offset {OFFSET}")


def _chunked(late: float, count: int) -> list[tuple[float, float]]:
    """Return the times in an AVI of frames that begin ``late``: ffmpeg puts the first one into the first chunk and the
    empty ones after it.
    """
    return [(0.0, late), *even(count, late)[1:]]


def after(seconds: float) -> Callable[[Zoo, Cell], None]:
    def made(zoo: Zoo, cell: Cell) -> None:
        """A picture that begins after the sound."""
        cell.path = zoo.encode(cell, late=seconds)
        cell.numbers = list(range(COUNT))
        cell.times = _chunked(seconds, COUNT) if cell.kind == "avi" else even(start=seconds)
        if cell.kind in UNMARKED:
            cell.times = [(early, late + PRIMING) for early, late in cell.times]
        cell.clicks = seconds_of(END + seconds)

    return made


def stamped(change: Callable[[int], float], truth: Callable[[int], tuple[float, float]], *, both: bool = False):
    """Make a condition in which the stamp of frame k is moved by ``change(k)`` seconds.

    Args:
        both: the clock of the whole file is moved, that of the sound and of decoding too; else when pictures are shown.
    """

    def made(zoo: Zoo, cell: Cell) -> None:
        if cell.kind in ("avi", "ogv"):
            raise Absent("its stamps count frames")
        if cell.kind == "mpg" and not both:
            raise Absent("one of its packets states one time for several frames")
        room = 0.0 if both else ROOM
        source = zoo.constant(cell.kind)
        if cell.kind == "flv":  # its first codec is shown when it is decoded
            source = zoo.encode(cell, name="flv-h264", video=KINDS["mp4"].video)
        cell.path = zoo.path(f"{cell.kind}-{cell.condition}", cell.kind)
        with av.open(str(source)) as old:
            packets = [packet for packet in old.demux() if packet.size]
            zero = min(float(packet.dts * packet.time_base) for packet in packets)
            first = next(packet.pts for packet in packets if packet.stream.type == "video")
            with av.open(str(cell.path), "w") as new:
                streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
                for packet in packets:
                    base, video = packet.time_base, packet.stream.type == "video"
                    seconds = float((packet.pts - (first if video else 0)) * base) + (0 if video else -zero)
                    moved = change(round(seconds * FPS)) if video or both else 0.0
                    zeroed = round(zero / base)
                    # Between decoding and showing there is room to be shown earlier.
                    packet.pts += round((moved + room) / base) - zeroed
                    packet.dts += round((moved if both else 0.0 if video else room) / base) - zeroed
                    packet.stream = streams[packet.stream.index]
                    try:
                        new.mux_one(packet)
                    except (av.error.FFmpegError, ValueError) as error:
                        raise Absent(f"its muxer refuses such stamps ({getattr(error, 'strerror', error)})") from error
        cell.numbers = list(range(COUNT))
        _check_stamps(cell.path, [number / FPS + change(number) for number in cell.numbers])
        cell.times = [truth(number) for number in cell.numbers]
        cell.clicks = [] if both else seconds_of(END)

    return made


def _check_stamps(path: Path, wanted: list[float]) -> None:
    """Leave a cell out whose muxer wrote other stamps."""
    with av.open(str(path)) as container:
        stamps = [float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.size]
    if len(stamps) != len(wanted) or np.abs(np.array(stamps) - stamps[0] - wanted).max() > 2e-3:
        raise Absent("its muxer writes other stamps")


def stuck(number: int) -> float:
    return -1 / FPS if number in (20, 40) else 0.0


def glitch(number: int) -> float:
    return -0.2 if 30 <= number < 34 else 0.0


def back(number: int) -> float:
    return -0.2 if number >= 30 else 0.0


def jump(number: int) -> float:
    return 30.0 if number >= 30 else 0.0


def between(change: Callable[[int], float]) -> Callable[[int], tuple[float, float]]:
    return lambda number: (number / FPS + min(change(number), 0), number / FPS)


def back_truth(number: int) -> tuple[float, float]:
    """By the clock, which the sound keeps; while it repeats itself no earlier than it was."""
    stamp = number / FPS + back(number)
    return stamp, max(stamp, 29 / FPS) if number >= 30 else stamp


def ahead(zoo: Zoo, cell: Cell) -> None:
    """A clock that jumps 30 s ahead: a gap where the container states a length, which it is part of; a new beginning in
    streams that are broadcast.
    """
    stamped(jump, lambda number: (number / FPS + jump(number),) * 2, both=True)(zoo, cell)
    cell.clicks = [1.0, 2.0] if cell.kind == "mov" else [1.0, 32.0]  # MOV writes uncompressed sound without a gap
    if cell.kind in ("ts", "mpg"):
        cell.times, cell.clicks = even(), [1.0, 2.0]


def overlap(zoo: Zoo, cell: Cell) -> None:
    """Two recordings one after the other, the second of which has a clock that starts 0.2 s before the first ends."""
    if cell.kind not in ("ts", "mpg"):
        raise Absent("two files in one are not one video")
    shift = f"-output_ts_offset {END - 0.2:.4f}"
    second = zoo.encode(cell, name=f"{cell.kind}-overlapping", numbers=range(COUNT, 2 * COUNT), output=shift)
    cell.path = zoo.path(f"{cell.kind}-overlap", cell.kind)
    cell.path.write_bytes(zoo.constant(cell.kind).read_bytes() + second.read_bytes())
    cell.numbers = list(range(2 * COUNT))
    cell.clicks = seconds_of(END) + seconds_of(END, END)
    # By its own clock, or after what there was before.
    cell.times = even() + [(max(END - 0.2 + at / FPS, END - 1 / FPS), END + at / FPS + 0.06) for at in range(COUNT)]


def wraps(zoo: Zoo, cell: Cell) -> None:
    """A clock that starts again in the middle."""
    if cell.kind not in ("ts", "mpg"):
        raise Absent("its clock is not one of 33 bits")
    constant(zoo, cell, output=f"-output_ts_offset {WRAP - 1.5:.4f}")


def joined(zoo: Zoo, cell: Cell) -> None:
    """Two files one after the other."""
    if cell.kind not in ("ts", "mpg"):
        raise Absent("two files in one are not one video")
    numbers = range(COUNT, 2 * COUNT)
    second = zoo.encode(cell, name=f"{cell.kind}-second", numbers=numbers)
    cell.path = zoo.path(f"{cell.kind}-joined", cell.kind)
    cell.path.write_bytes(zoo.constant(cell.kind).read_bytes() + second.read_bytes())
    cell.numbers = list(range(2 * COUNT))
    cell.clicks = seconds_of(END) + seconds_of(END, END)
    # The second begins where the first ends, of which the sound may be longer than the picture by a piece of it.
    cell.times = even() + [(END + at / FPS, END + at / FPS + 0.06) for at in range(COUNT)]


def segment(zoo: Zoo, cell: Cell) -> None:
    """A later piece of a recording that was cut into pieces, whose clock goes on."""
    pattern = zoo.path(f"{cell.kind}-piece%d", cell.kind)
    run(
        f"-i {zoo.constant(cell.kind)} -map 0 -c copy -f segment -segment_time 0.8 -reset_timestamps 0",
        pattern,
    )
    cell.path = zoo.path(f"{cell.kind}-piece1", cell.kind)
    if not cell.path.exists():
        raise Absent("ffmpeg makes one piece")
    counts = []
    for path in (zoo.path(f"{cell.kind}-piece0", cell.kind), cell.path):
        with av.open(str(path)) as container:
            counts.append(sum(packet.size > 0 for packet in container.demux(video=0)))
    cell.numbers, cell.times = list(range(counts[0], sum(counts))), even(counts[1])
    begin = counts[0] / FPS
    cell.clicks = [second - begin for second in (1, 2) if begin + 0.05 < second < begin + counts[1] / FPS - 0.1]
    cell.quiet = not cell.clicks
    if cell.kind == "wmv":  # its sound cannot be decoded from the first packet on
        cell.clicks = []
    if cell.kind == "avi":
        cell.times = _chunked(counts[0] / FPS, counts[1])
