"""Clips as CREMA-D has them, in which emotion shows in colour and pitch, and clones of it."""

from __future__ import annotations

import csv
from pathlib import Path

import av
import numpy as np

from affectkit.core.progress import Silent
from affectkit.data.layouts.clip_store import ClipStore
from affectkit.prep.clips.cremad import CremadOptions, prepare_cremad

SHARED = Path(__file__).parents[2] / "shared" / "data" / "cremad"
"""CREMA-D's tables, where they lie beside the checkout."""
EMOTIONS = {
    "ANG": (0, 220.0),
    "DIS": (1, 330.0),
    "FEA": (2, 470.0),
    "HAP": (3, 680.0),
    "NEU": (4, 1000.0),
    "SAD": (5, 1500.0),
}
COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [200, 200, 60], [130, 130, 130], [60, 200, 200]])
LABELS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
STORED_SIDE = 16
"""Height and width of the frames that ``prepare`` stores."""
SENTENCES = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")


def pictures(kind: int, count: int, *, size: tuple[int, int] = (480, 360), seed: int = 0) -> np.ndarray:
    """uint8 (count, height, width, 3): a disc of the kind's colour that moves over a background of its own."""
    rng = np.random.default_rng(seed)
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    back = rng.integers(40, 160, 3)[None, None] * (0.6 + 0.4 * np.sin(columns / width * rng.uniform(2, 9)))[..., None]
    found = []
    for number in range(count):
        x, y = width * (0.5 + 0.1 * np.sin(number / 9 + seed)), height * 0.4
        inside = ((columns - x) / width) ** 2 + ((rows - y) / width) ** 2 < 0.16**2
        found.append(np.where(inside[..., None], COLOURS[kind] * rng.uniform(0.9, 1.1), back))
    return np.clip(np.stack(found), 0, 255).astype(np.uint8)


def tone(kind: int, seconds: float, *, rate: int = 44100, seed: int = 0) -> np.ndarray:
    """float32 (samples,): the kind's pitch, a little off, with overtones and a swell."""
    rng = np.random.default_rng(seed + 1000)
    time = np.arange(round(seconds * rate)) / rate
    pitch = list(EMOTIONS.values())[kind][1] * rng.uniform(0.95, 1.05)
    wave = sum(np.sin(2 * np.pi * pitch * over * time) / over for over in (1, 2, 3))
    return (0.2 * wave * (0.6 + 0.4 * np.sin(2 * np.pi * time / seconds)) + rng.normal(0, 0.003, len(time))).astype(
        np.float32
    )


def write_clip(
    path: Path,
    kind: int = 0,
    *,
    seconds: float = 0.6,
    size: tuple[int, int] = (480, 360),
    rate: int = 44100,
    fps: int = 30,
    sound: bool = True,
    silent: bool = False,
    seed: int = 0,
    codecs: tuple[str, str] = ("flv", "libmp3lame"),
    images: np.ndarray | None = None,
    samples: np.ndarray | None = None,
) -> Path:
    """An FLV, or what the name says, with a picture and, unless ``sound`` is False, a mono sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = pictures(kind, round(seconds * fps), size=size, seed=seed) if images is None else images
    samples = tone(kind, seconds, rate=rate, seed=seed) if samples is None else samples
    with av.open(str(path), "w") as container:
        video = container.add_stream(codecs[0], rate=fps)
        video.width, video.height, video.pix_fmt = images.shape[2], images.shape[1], "yuv420p"
        video.bit_rate = 2_000_000
        audio = container.add_stream(codecs[1], rate=rate, layout="mono") if sound else None
        for image in images:
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
        if audio is not None:
            wave = np.zeros_like(samples) if silent else samples
            frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate = rate
            fifo = av.AudioFifo()
            fifo.write(frame)
            while (piece := fifo.read(1152)) is not None:
                container.mux(audio.encode(piece))
            if (rest := fifo.read(0, True)) is not None:
                container.mux(audio.encode(rest))
            container.mux(audio.encode(None))
    return path


def make_cremad(root: Path, *, actors: int = 6, sentences: int = 1, seconds: float = 0.5, **changes) -> Path:
    """A clone of CREMA-D of a few actors, each with all six emotions: clips that ``write_clip`` wrote, and tables of
    the form of the real ones (whose clips would be too many: tests of the tables themselves read ``SHARED``)."""
    folder = root / "VideoFlash"
    folder.mkdir(parents=True)
    names = [
        f"{1001 + actor}_{sentence}_{emotion}_XX"
        for actor in range(actors)
        for sentence in SENTENCES[:sentences]
        for emotion in EMOTIONS
    ]
    for number, name in enumerate(names):
        write_clip(folder / f"{name}.flv", list(EMOTIONS).index(name[9:12]), seconds=seconds, seed=number, **changes)
    people = [
        f"{1001 + actor},{20 + 7 * actor},{'Male' if actor % 2 else 'Female'},Caucasian,Not Hispanic"
        for actor in range(actors)
    ]
    _lines(root / "VideoDemographics.csv", ["ActorID,Age,Sex,Race,Ethnicity", *people])
    _lines(
        root / "SentenceFilenames.csv",
        ["Stimulus_Number,Filename", *(f"{n},{name}" for n, name in enumerate(names, 1))],
    )
    rows = [",A,D,F,H,N,S,fileName,numResponses"]
    for digit in "123":
        for number, name in enumerate(names, 1):
            counts = [1] * 6
            counts[list(EMOTIONS).index(name[9:12])] += int(digit)
            rows.append(f"{digit}{number:05},{','.join(map(str, counts))},{name},{sum(counts)}")
    (root / "processedResults").mkdir()
    _lines(root / "processedResults" / "tabulatedVotes.csv", rows)
    return root


def _lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n")


def write_clip_moviepy(path: Path, kind: int = 0, *, seconds: float = 0.6, seed: int = 0) -> Path:
    """The same through moviepy, as FLV of 480x360 with 44.1 kHz sound."""
    from moviepy import ImageSequenceClip
    from moviepy.audio.AudioClip import AudioArrayClip

    images = pictures(kind, round(seconds * 30), seed=seed)
    wave = tone(kind, seconds, seed=seed)
    clip = ImageSequenceClip(list(images), fps=30)
    clip = clip.with_audio(AudioArrayClip(np.stack([wave, wave], axis=1), fps=44100))
    clip.write_videofile(
        str(path), codec="flv", audio_codec="libmp3lame", audio_fps=44100, bitrate="2000k", logger=None,
        temp_audiofile_path=str(path.parent),  # else where the tests are run
    )  # fmt: skip
    return path


def prepare(source, output, *, reporter=None, stopping=None, **changes):
    options = CremadOptions(**{"size": STORED_SIDE, "workers": 1, **changes})
    return prepare_cremad(source, output, options, reporter=reporter or Silent(), stopping=stopping)


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def rows_of(output):
    return {row["filename"]: {**row, "split": split} for split in ("train", "valid", "test")
            if (output / f"{split}.csv").is_file() for row in table(output / f"{split}.csv")}  # fmt: skip


def check_together(output):
    """The colour of each stored clip is that of its label, whatever was left out; returns how many were checked."""
    store, rows = ClipStore.open(output), rows_of(output)
    for name, row in rows.items():
        frames = store.images([name] * store.frames, list(range(store.frames)))
        near = slice(STORED_SIDE // 2 - 1, STORED_SIDE // 2 + 2)
        middle = frames[:, near, near].mean((0, 1, 2))
        nearest = np.abs(COLOURS / COLOURS.sum(1, keepdims=True) - middle / middle.sum()).sum(1).argmin()
        assert LABELS[nearest] == row["label"] == LABELS[list(EMOTIONS).index(name[9:12])]
    return len(rows)
