"""EmoVoxCeleb: faces and voices of celebrities, with soft emotion labels that a teacher gave each frame.

Albanie et al., "Emotion Recognition in Speech using Cross-Modal Transfer in the Wild" (ACM Multimedia 2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affectkit.core.clipspec import EMOVOXCELEB
from affectkit.core.csv_tables import csv_reader
from affectkit.core.files import whole_file
from affectkit.core.folders import list_files
from affectkit.core.npy_files import load_npy
from affectkit.core.progress import Reporter
from affectkit.core.stopping import Stopping
from affectkit.core.table_errors import TableErrors
from affectkit.data.layouts.clip_store import FRAME_LABELS
from affectkit.data.layouts.links import Links
from affectkit.data.media.images import is_image_name, read_image
from affectkit.data.media.media_file import ClipError, check_clip_file
from affectkit.data.media.spectrograms import mel_decibels, to_store
from affectkit.data.media.video_clip import read_clip
from affectkit.errors import DataError
from affectkit.prep.clips.dataset import ClipDataset, PrepareOptions, Row
from affectkit.prep.clips.manifest import ClipReport, discard_manifest
from affectkit.prep.clips.prepare import prepare_clips
from affectkit.prep.clips.split import assign_splits
from affectkit.prep.clips.store_writer import ClipRecipe, ClipSource, StoredInput

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
FRAMES, AUDIO, TABLE = "frames", "audio", "labels.csv"
SOUNDS = (".wav", ".m4a", ".flac", ".mp3", ".ogg")
KEPT = 31
"""Frames of an utterance that are kept, evenly over it."""
READER = "affectkit.prep.emovoxceleb.read_utterance"
"""Names the reader in the marks of stores: literal, so that stores stay good wherever the function stands."""

FrameLabels = dict[str, dict[int, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class EmoVoxCelebOptions(PrepareOptions):
    """Choose what is made of EmoVoxCeleb.

    Attributes:
        split: ``speaker`` (nobody in two splits), ``random``, or a table with the columns filename and split.
        seed: the split follows from it.
        values: what labels.csv holds: ``logits``, ``shares``, or ``auto``: shares where all rows are such.
        follow_links: read links that lead out of ``frames`` and ``audio``.
        size: height and width of the stored frames in pixels.
    """

    split: str = "speaker"
    seed: int = 0
    values: str = "auto"
    follow_links: bool = False
    size: int = 128


def prepare_emovoxceleb(
    source: Path,
    output: Path,
    options: EmoVoxCelebOptions | None = None,
    *,
    reporter: Reporter,
    stopping: Stopping | None = None,
) -> ClipReport:
    """Write extracted frames and sounds with soft labels to a store.

    ``source`` holds ``frames/<utterance>/000001.jpg``, ..., ``audio/<utterance>.wav`` (or m4a, flac, mp3, ogg), and
    labels.csv with the columns utterance, frame and the eight emotions. The first part of an utterance's path is its
    speaker. Sound is at the level ``unit``, full scale 1, as ``torchaudio.load`` gives it to the published code.

    Args:
        source: the folder with ``frames``, ``audio`` and labels.csv.
        output: the folder to make, or to complete.
        options: what is made; None: the defaults.
        reporter: gets progress and notes.
        stopping: a request to end early.

    Raises:
        DataError: tables or folders are missing or damaged, or utterances cannot be used and ``options.on_error`` is
            ``fail``.
        Stopped: ``stopping`` was requested; the same call resumes.
    """
    options = options or EmoVoxCelebOptions()
    labels = read_labels(source / TABLE, options.values)
    rows = {name: _row(name, found) for name, found in sorted(labels.items())}
    dataset = _dataset(source, rows, labels, options)
    recipe = ClipRecipe(read=read_utterance, reader=READER, clip=EMOVOXCELEB, size=options.size, frames=KEPT)
    report = prepare_clips(
        dataset,
        output,
        recipe,
        assign=lambda chosen: assign_splits(chosen, options.split, group="speaker", seed=options.seed),
        options=options,
        reporter=reporter,
        stopping=stopping,
    )
    report.notes.append("labels are soft, one a frame; the column label is the class with the largest mean")
    return report


def _dataset(source: Path, rows: dict[str, Row], labels: FrameLabels, options: EmoVoxCelebOptions) -> ClipDataset:
    """Describe the folder in the terms of all preparations."""
    images, sounds = (Links(source / name, follow=options.follow_links) for name in (FRAMES, AUDIO))
    files = {name: images.path(name) for name in rows}
    return ClipDataset(
        name="emovoxceleb",
        classes=EMOTIONS,
        rows=rows,
        files=files,
        check=_check_folder,
        described=("label", "speaker"),
        people="speaker",
        settings=options.record(),
        sounds={name: find_sound(sounds, name) for name in rows},
        write_more=lambda output, names: _write_frame_labels(output / FRAME_LABELS, names, files, labels),
    )


def read_labels(path: Path, values: str) -> FrameLabels:
    """Read the rows of ``fer2013new.csv``.

    Raises:
        DataError: the table is missing, lacks a column, or holds what is no number; or rows are no shares and were
            stated to be.
    """
    if not path.is_file():
        raise DataError(f"{path} is not there.", f"Columns utterance, frame, {', '.join(EMOTIONS)}; a row a frame.")
    found: FrameLabels = {}
    errors = TableErrors(path)
    with csv_reader(path) as reader:
        header = reader.header("utterance", "frame", *EMOTIONS)
        places = [header.index(name) for name in ("utterance", "frame", *EMOTIONS)]
        for row in reader:
            try:
                name, number, *cells = (row[place] for place in places)
                numbers = np.array([float(cell) for cell in cells], dtype=np.float64)
                frame = int(number)
            except (IndexError, ValueError):
                errors.add("frame and emotions must be numbers", reader.line)
                continue
            if not np.isfinite(numbers).all():
                errors.add("emotions must be finite", reader.line)
            found.setdefault(name.strip("/"), {})[frame] = numbers
    errors.check()
    if not found:
        raise DataError(f"table {path} has a header and no rows.")
    return _as_shares(found, path, values)


def _as_shares(found: FrameLabels, path: Path, values: str) -> FrameLabels:
    every = np.stack([numbers for frames in found.values() for numbers in frames.values()])
    shares = bool((every >= 0).all() and np.allclose(every.sum(1), 1, atol=1e-3))
    if values == "shares" and not shares:
        raise DataError(f"{path} holds rows that are below 0 or do not sum to 1.", "Use --values logits.")
    logits = values == "logits" or not shares

    def share(numbers: np.ndarray) -> np.ndarray:
        powers = np.exp(numbers - numbers.max()) if logits else numbers
        return (powers / powers.sum()).astype(np.float32)

    return {name: {frame: share(numbers) for frame, numbers in frames.items()} for name, frames in found.items()}


def _row(name: str, labels: Mapping[int, np.ndarray]) -> dict[str, str]:
    mean = np.mean(list(labels.values()), axis=0)
    return {"label": EMOTIONS[int(mean.argmax())], "speaker": name.split("/", maxsplit=1)[0]}


def chosen_frames(folder: Path) -> list[Path]:
    """Choose ``KEPT`` images of an utterance, evenly from the first to the last; repeated where there are fewer."""
    there = [path for path in list_files(folder, is_image_name) if path.stem.isdigit()]
    places = np.linspace(0, len(there) - 1, KEPT).round().astype(int) if there else []
    return [there[place] for place in places]


def find_sound(links: Links, name: str) -> Path:
    """Find the sound of an utterance; where there is none, give the first path where it is searched for."""
    paths = [links.path(name + ending) for ending in SOUNDS]
    return next((path for path in paths if path.is_file()), paths[0])


def _check_folder(folder: Path) -> None:
    if not folder.is_dir() or not chosen_frames(folder):
        raise ClipError("missing", f"utterance {folder}: no folder with frames as 000001.jpg.")


def read_utterance(source: ClipSource, recipe: ClipRecipe) -> StoredInput:
    """Read the kept frames of an utterance, each resized whole, and its spectrogram.

    Raises:
        ClipError: there are no frames, one is damaged, or the sound is missing, damaged or silent.
    """
    _check_folder(source.path)
    made: dict[Path, np.ndarray] = {}
    for path in chosen_frames(source.path):
        if path not in made:
            try:
                image = read_image(path)
            except DataError as error:
                raise ClipError("undecodable", error.message) from error
            whole = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
            size = (recipe.size, recipe.size)
            small = torch.nn.functional.interpolate(whole, size=size, mode="bilinear", antialias=True)
            made[path] = small[0].permute(1, 2, 0).numpy()
    frames = np.stack([made[path] for path in chosen_frames(source.path)])
    check_clip_file(source.sound)
    heard = read_clip(source.sound, recipe.clip, size=recipe.size, frames=False)
    return StoredInput(frames, to_store(mel_decibels(heard.sound, recipe.clip.sound)), heard.notes)


def _write_frame_labels(path: Path, names: list[str], files: Mapping[str, Path], labels: FrameLabels) -> None:
    """Write float32 (clips, KEPT, 8): of each kept frame the shares of the nearest one that has a label."""
    rows: list[Any] = []
    for name in names:
        known = np.array(sorted(labels[name]))
        numbers = [int(frame.stem) for frame in chosen_frames(files[name])]
        rows.append([labels[name][int(known[np.abs(known - number).argmin()])] for number in numbers])
    found = np.array(rows, dtype=np.float32)
    try:
        same = np.array_equal(load_npy(path), found)
    except (OSError, ValueError):
        same = False
    if same:
        return
    discard_manifest(path.parent)
    with whole_file(path) as part, part.open("wb") as stream:
        np.save(stream, found, allow_pickle=False)
