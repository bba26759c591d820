"""The judge of videos: frames by the numbers that they show, against the times that their recipe says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from video_zoo import FPS, Cell, read_number

from affectkit.data.media.video_clip import ClipError
from affectkit.data.media.video_stream import VideoStream

HALF = 0.5 / FPS + 1e-3
"""Seconds by which a time may be off: half a frame, and a tick of a clock of milliseconds."""
HELD = 4
"""Frames before a cut that a decoder may keep to itself."""

SOUND = 0.08
"""Seconds by which a click may be off: what encoders put before the first sample of each part."""

HEARD = ("silent", "no-sound")
"""Reasons for which a cut clip is refused too: of its sound nothing is left."""
ClipReader = Callable[[Path, bool], tuple[np.ndarray, np.ndarray | None, int]]
"""Reads a clip, with its sound or without, to its middle frame, samples and their rate."""
Reader = Callable[[Path], Iterator[tuple[float, np.ndarray]]]


@dataclass(frozen=True)
class Verdict:
    """What came of a cell: ``ok``, ``refused``, ``unseen`` (a cut), ``n.a.`` or ``WRONG``; ``text`` says why."""

    kind: str
    text: str = ""

    def __str__(self) -> str:
        return self.kind + (f": {self.text}" if self.text else "")


def stream_frames(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Yield time and pixels of each frame, as a video's rows are made of them."""
    for frame in VideoStream(path):
        yield frame.time, frame.pixels


def judge(cell: Cell, read: Reader = stream_frames) -> Verdict:
    """Read a cell's video and compare it with the truth."""
    if cell.absent:
        return Verdict("n.a.", cell.absent)
    seen: list[tuple[float, int | None]] = []
    reason = None
    try:
        with _beside(cell) as path:
            seen.extend((time, read_number(pixels)) for time, pixels in read(path))
    except ClipError as error:
        reason = error.reason
    except Exception as error:
        return Verdict("WRONG", f"{type(error).__name__}: {error}"[:120])
    if fault := _fault(cell, seen, whole=reason is None):
        return Verdict("WRONG", fault + (f", then refused ({reason})" if reason else ""))
    if cell.refused:
        if reason is None and cell.unseen:
            return Verdict("unseen", cell.unseen)
        if reason is None:
            return Verdict("WRONG", f"not refused, {len(seen)} frames")
        if reason not in cell.refused:
            return Verdict("WRONG", f"refused as {reason}")
        if cell.whole is not None and len(seen) < (least := _decodable(cell) - HELD):
            return Verdict("WRONG", f"{len(seen)} frames before the cut, at least {least} are there")
        return Verdict("refused", reason)
    if reason is not None:
        return Verdict("WRONG", f"refused as {reason} after {len(seen)} of {len(cell.numbers)} frames")
    return Verdict("ok")


@contextlib.contextmanager
def _beside(cell: Cell) -> Iterator[Path]:
    """Give a cell's path; where its name is the matter, by the name alone, from its folder."""
    if cell.condition != "named":
        yield cell.path
        return
    with contextlib.chdir(cell.path.parent):
        yield Path(cell.path.name)


def _fault(cell: Cell, seen: list[tuple[float, int | None]], *, whole: bool) -> str:
    """Return what is wrong with the frames that were given; '': nothing."""
    numbers = [number for _, number in seen]
    if None in numbers:
        return f"frame {numbers.index(None)} is not readable"
    if whole and not cell.refused and numbers != cell.numbers:
        lost = sorted(set(cell.numbers) - set(numbers))
        return f"{len(numbers)} of {len(cell.numbers)} frames, lost {lost[:4]}, first {numbers[:4]}"
    if numbers != cell.numbers[: len(numbers)]:
        return f"frames {numbers[:6]}... instead of {cell.numbers[:6]}..."
    times = [time for time, _ in seen]
    errors = [
        time - late if time > late else min(time - early, 0.0)
        for time, (early, late) in zip(times, cell.times, strict=False)
    ]
    if errors and (worst := max(errors, key=abs)) and abs(worst) > HALF:
        place = errors.index(worst)
        return f"{worst:+.3f} s at frame {place} ({times[place]:.3f}), {sum(abs(e) > HALF for e in errors)} frames off"
    if any(second < first for first, second in zip(times, times[1:], strict=False)):
        return "times fall"
    return ""


def _decodable(cell: Cell) -> int:
    """Count the frames of the whole file of which all bytes are before the cut; of Ogg, in whole pages before it."""
    cut, places = cell.path.stat().st_size, []
    with av.open(str(cell.whole)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                if packet.pos is None or packet.pos + packet.size > cut:
                    break
                places.append(packet.pos)
    return sum(place < places[-1] for place in places) if cell.kind == "ogv" and places else len(places)


def judge_clip(cell: Cell, read: ClipReader) -> Verdict:
    """Read a cell as a clip: its middle frame, number n // 2 of n, and the seconds at which its sound clicks."""
    if cell.absent:
        return Verdict("n.a.", cell.absent)
    try:
        with _beside(cell) as path:
            pixels, samples, rate = read(path, cell.condition != "silent")
    except ClipError as error:
        fits = error.reason in (*cell.refused, *(("silent",) if cell.quiet else ()), *(HEARD if cell.whole else ()))
        return Verdict("refused" if fits else "WRONG", error.reason if fits else f"refused as {error.reason}")
    except Exception as error:
        return Verdict("WRONG", f"{type(error).__name__}: {error}"[:120])
    if cell.refused:
        return Verdict("unseen", cell.unseen_clip) if cell.unseen_clip else Verdict("WRONG", "not refused")
    if (number := read_number(pixels)) != (middle := cell.numbers[len(cell.numbers) // 2]):
        return Verdict("WRONG", f"frame {number} instead of {middle}")
    if samples is None or not cell.clicks:
        return Verdict("ok")
    seen = clicks_of(samples, rate)
    if len(seen) != len(cell.clicks) or np.abs(np.array(seen) - cell.clicks).max() > SOUND:
        return Verdict(
            "WRONG", f"clicks at {np.round(seen, 3).tolist()} instead of {np.round(cell.clicks, 3).tolist()}"
        )
    return Verdict("ok")


def clicks_of(samples: np.ndarray, rate: int) -> list[float]:
    """Return the seconds at which a sound gets loud after it was not for a tenth of a second."""
    loud = np.flatnonzero(np.abs(samples) > 0.4 * np.abs(samples).max())
    return (loud[np.flatnonzero(np.diff(loud, prepend=-rate) > rate / 10)] / rate).tolist()


def table(verdicts: dict[tuple[str, str], Verdict]) -> str:
    """Return the matrix, a container a row, and below it what was not plainly ok."""
    kinds = list(dict.fromkeys(kind for kind, _ in verdicts))
    conditions = list(dict.fromkeys(condition for _, condition in verdicts))
    width = max(map(len, conditions))
    signs = {"ok": "ok", "refused": "ref", "unseen": "(cut)", "n.a.": "-", "WRONG": "WRONG"}
    lines = [" " * width + "".join(f"{kind:>7}" for kind in kinds)]
    for condition in conditions:
        cells = [verdicts.get((kind, condition)) for kind in kinds]
        lines.append(f"{condition:<{width}}" + "".join(f"{signs[one.kind] if one else '':>7}" for one in cells))
    counts = {kind: sum(one.kind == kind for one in verdicts.values()) for kind in signs}
    lines.append(f"{len(verdicts)} cells: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    for kind in ("WRONG", "refused", "unseen", "n.a."):
        lines += [f"{name} {condition}: {one}" for (name, condition), one in verdicts.items() if one.kind == kind]
    return "\n".join(lines)
