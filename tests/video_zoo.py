"""Videos of every container and condition, made by ffmpeg from frames that tell their number.

A cell is a container and a condition. Its frames are drawn by numpy and handed to ffmpeg uncompressed, each with the
time that its recipe says, so that neither a filter of FFmpeg nor a reader decides what is right.
"""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SIZE = (128, 96)
"""Width and height of an upright frame."""
SIDE, BITS, CELL = 96, 12, 16
FPS, COUNT, GROUP = 25, 75, 10
"""Frames a second, frames of a video, and frames from one that stands by itself to the next."""
RATE = 44100
CLICK = 0.05
"""Seconds that a click lasts: 1 kHz at a level of 0.8."""
CUTS = (20, 40, 60, 80, 97)
DECOY = 2048
"""Added to the numbers of a track that is not the one meant."""
OFFSET = 200
"""Seconds at which a late clock starts."""
WRAP = 2**33 / 90000
"""Seconds at which the clock of MPEG starts again."""


def draw(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return uint8 (H, W): the number's bits as cells in rows 0 and 1, their complement in rows 2 and 3, something that
    moves, and a row that is bright on the left; all in the square in the middle.
    """
    picture = np.full((size[1], size[0]), 110, np.uint8)
    square = picture[(size[1] - SIDE) // 2 :, (size[0] - SIDE) // 2 :][:SIDE, :SIDE]
    bits = np.array([number >> bit & 1 for bit in range(BITS)]).reshape(2, 6)
    cells = np.concatenate([bits, 1 - bits]) * 190 + 32
    square[: 4 * CELL] = np.kron(cells, np.ones((CELL, CELL))).astype(np.uint8)
    place = number * 3 % (SIDE - 12)
    square[4 * CELL + 2 : 5 * CELL - 2, place : place + 12] = 210
    square[5 * CELL :, : SIDE // 2], square[5 * CELL :, SIDE // 2 :] = 222, 32
    return picture


def read_number(picture: np.ndarray) -> int | None:
    """Return the number that a picture (H, W, 3) upright, or a square cut from it, shows; None: it is not readable."""
    height, width = picture.shape[:2]
    side = min(height, width)
    square = picture[(height - side) // 2 :, (width - side) // 2 :][:side, :side].mean(2)
    middles = ((np.arange(6) + 0.5) * side / 6).astype(int)
    reach = max(side // 24, 1)
    cells = np.array([[square[y - reach : y + reach, x - reach : x + reach].mean() for x in middles] for y in middles])
    bits = (cells > 127).astype(int)
    if (bits[:2] + bits[2:4] != 1).any() or (bits[5] != (1, 1, 1, 0, 0, 0)).any():
        return None
    return int((bits[:2].ravel() << np.arange(BITS)).sum())


@dataclass(frozen=True)
class Kind:
    """A container and what is written into it: arguments of ffmpeg for picture and sound, and what differs.

    ``b``: for B frames, or why there are none. ``steps``: its stamps count frames of the constant rate.
    """

    video: str
    audio: str
    b: str
    b_none: str = ""
    steps: bool = False
    output: str = ""


X264 = f"libx264 -preset ultrafast -crf 20 -g {GROUP} -keyint_min {GROUP} -sc_threshold 0 -threads 1"
PLAIN = f"-g {GROUP} -q:v 3"
KINDS = {
    "mp4": Kind(f"{X264} -bf 0", "aac", f"{X264} -bf 2 -b_strategy 0", output="-movflags +faststart"),
    "mov": Kind(f"{X264} -bf 0", "pcm_s16le", f"{X264} -bf 2 -b_strategy 0", output="-movflags +faststart"),
    "mkv": Kind(f"{X264} -bf 0", "aac", f"{X264} -bf 2 -b_strategy 0"),
    "webm": Kind(
        f"libvpx -deadline realtime -cpu-used 8 -b:v 600k -auto-alt-ref 0 -g {GROUP}", "libopus", "", "VP8 has none"
    ),
    "avi": Kind(f"mpeg4 {PLAIN} -bf 0", "pcm_s16le", f"{X264} -bf 2 -b_strategy 0", steps=True),
    "flv": Kind(f"flv {PLAIN}", "libmp3lame", f"{X264} -bf 2 -b_strategy 0"),
    "ts": Kind(f"{X264} -bf 0", "aac", f"{X264} -bf 2 -b_strategy 0"),
    "mpg": Kind(f"mpeg2video {PLAIN} -bf 0", "mp2", f"mpeg2video {PLAIN} -bf 2", steps=True),
    "wmv": Kind(f"wmv2 {PLAIN}", "wmav2", "", "WMV2 has none"),
    "3gp": Kind(
        f"mpeg4 {PLAIN} -bf 0",
        "libopencore_amrnb -ar 8000 -ac 1 -b:a 12.2k",
        f"{X264} -bf 2 -b_strategy 0",
        output="-movflags +faststart",
    ),
    "ogv": Kind(f"libtheora -g {GROUP} -q:v 8", "libvorbis", "", "Theora has none", steps=True),
}


@dataclass
class Cell:
    """A video, or the reason why there is none.

    Attributes:
        numbers, times: of the frames that are to be read, in order; a time is (earliest, latest) in seconds.
        refused: reasons of which one is to be given; empty: the whole file is accepted.
        whole: of a cut file, the file before the cut.
        unseen, unseen_clip: why the cut of a cut file may go unseen in a video, and in a clip; '': it may not.
        quiet: there is no click in it, so that a clip is refused as silent.
        absent: why the container cannot carry the condition.
        clicks: seconds at which the sound clicks, on the same clock.
    """

    kind: str
    condition: str
    path: Path | None = None
    numbers: list[int] = field(default_factory=list)
    times: list[tuple[float, float]] = field(default_factory=list)
    refused: tuple[str, ...] = ()
    whole: Path | None = None
    unseen: str = ""
    unseen_clip: str = ""
    quiet: bool = False
    absent: str = ""
    clicks: list[float] = field(default_factory=list)


class Absent(Exception):
    """A container cannot carry a condition; its text says why."""


class Zoo:
    """The maker of cells, each made once, below ``root``; ``conditions`` fill them in."""

    def __init__(self, root: Path, conditions: Mapping[str, Callable[[Zoo, Cell], None]]) -> None:
        self.root, self._conditions = Path(root), conditions
        self.root.mkdir(parents=True, exist_ok=True)
        self._made: dict[tuple[str, str], Cell] = {}

    def cell(self, kind: str, condition: str) -> Cell:
        """Return the cell of a container and a condition."""
        if (kind, condition) not in self._made:
            made = Cell(kind, condition)
            try:
                self._conditions[condition](self, made)
            except Absent as error:
                made.absent, made.path = str(error), None
            self._made[kind, condition] = made
        return self._made[kind, condition]

    def path(self, name: str, ext: str) -> Path:
        """Return where a file goes."""
        return self.root / f"{name}.{ext}"

    def frames(self, numbers: Sequence[int], times: Sequence[float], *, turned: bool = False) -> Path:
        """Write frames uncompressed, at milliseconds, into a NUT file."""
        stamps = [round(time * 1000) for time in times]
        path = self.path(f"raw-{numbers[0]}-{len(numbers)}-{hash((*numbers, *stamps)) & 0xFFFFFFFF}-{turned}", "nut")
        if path.exists():
            return path
        with av.open(str(path), "w") as container:
            stream = container.add_stream("rawvideo", rate=FPS)
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
            for number, stamp in zip(numbers, stamps, strict=True):
                luma = np.rot90(draw(number, SIZE[::-1]), -1) if turned else draw(number)
                planes = np.concatenate([luma.ravel(), np.full(luma.size // 2, 128, np.uint8)])
                frame = av.VideoFrame.from_ndarray(planes.reshape(-1, SIZE[0]), format="yuv420p")
                frame.pts, frame.time_base = stamp, Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    def sound(self, seconds: float) -> Path:
        """Write a mono sound with a click each second from 1 on."""
        path = self.path(f"sound-{round(seconds * 1000)}", "wav")
        if not path.exists():
            samples = np.zeros(round(seconds * RATE))
            tone = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(round(CLICK * RATE)) / RATE)
            for second in range(1, int(np.ceil(seconds - CLICK))):
                samples[second * RATE :][: len(tone)] = tone
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes((samples * 32767).astype("<i2").tobytes())
        return path

    def encode(
        self,
        cell: Cell,
        *,
        name: str = "",
        numbers: Sequence[int] = range(COUNT),
        times: Sequence[float] | None = None,
        video: str = "",
        late: float = 0.0,
        sound: float | None = None,
        turned: bool = False,
        first: str = "video",
        inputs: str = "",
        maps: str = "",
        output: str = "",
        base: int = FPS,
        ext: str = "",
    ) -> Path:
        """Encode frames and sound into the container of ``cell``.

        Args:
            late: seconds by which the picture begins after the sound.
            sound: its length in seconds; None: to the end of the picture.
            base: ticks of a second of the encoder's clock.
        """
        kind = KINDS[cell.kind]
        times = [at / FPS for at in range(len(numbers))] if times is None else times
        raw = self.frames(numbers, times, turned=turned)
        wav = self.sound(late + times[-1] + 1 / FPS if sound is None else sound)
        path = self.path(name or f"{cell.kind}-{cell.condition}", ext or cell.kind)
        order = "-map 0:v -map 1:a" if first == "video" else "-map 1:a -map 0:v"
        run(
            f"-itsoffset {late} -i {raw} -i {wav} {inputs} {order} {maps} -c:v {video or kind.video} -pix_fmt yuv420p "
            f"-fps_mode passthrough -enc_time_base:v 1/{base} -c:a {kind.audio} {kind.output} {output}",
            path,
        )
        return path

    def constant(self, kind: str) -> Path:
        """Return the file of constant rate, from which others are made."""
        return self.cell(kind, "constant").path


def run(arguments: str, path: Path) -> Path:
    """Run ffmpeg; spaces part the arguments."""
    done = subprocess.run(
        [FFMPEG, "-v", "error", "-nostdin", "-y", *arguments.split(), str(path)], capture_output=True, text=True
    )
    if done.returncode:
        path.unlink(missing_ok=True)
        raise Absent(f"ffmpeg: {' / '.join(done.stderr.strip().splitlines()[-3:])[:160]}")
    return path


def even(count: int = COUNT, start: float = 0.0) -> list[tuple[float, float]]:
    """Return the times of frames at the constant rate."""
    return [(start + at / FPS,) * 2 for at in range(count)]


def seconds_of(until: float, start: float = 0.0) -> list[float]:
    """Return the seconds of the clicks of a sound that begins at ``start`` and lasts ``until`` seconds."""
    return [start + second for second in range(1, int(np.ceil(until - CLICK)))]


def constant(zoo: Zoo, cell: Cell, **more) -> None:
    """25 frames a second, picture and sound from 0."""
    cell.path = zoo.encode(cell, **more)
    cell.numbers, cell.times, cell.clicks = list(range(COUNT)), even(), seconds_of(COUNT / FPS)
