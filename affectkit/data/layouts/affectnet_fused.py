"""AffectNetFused as downloaded: images beside small text files of 13 probabilities, read once and cached.

    train_set/images/17.jpg     train_set/annotations/17_prob_rank.txt      (val_set the same)

Other annotation files stand beside and are ignored. Reading 308,468 small files takes minutes on a cold disk, so the
values are kept in affectkit's cache folder; names, sizes and times of the files show whether the folder has changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from affectkit.core.files import cache_folder, whole_file
from affectkit.core.folders import is_hidden
from affectkit.core.progress import Reporter, Silent
from affectkit.core.text import list_some
from affectkit.data.layouts.tables import EXACT_TOLERANCE
from affectkit.data.media.images import is_image_name
from affectkit.data.split import Split
from affectkit.errors import DataError

CLASSES = (
    "neutral", "happy", "sad", "surprised", "fear", "disgust", "angry", "contempt",
    "serene", "contemplative", "secure", "untroubled", "quiet",
)  # fmt: skip
FOLDERS = {"train": "train_set", "valid": "val_set"}
SUFFIX = "_prob_rank.txt"
SUM_TOLERANCE = 1e-2
"""Rows whose sum differs more from 1 are taken for damaged; within it they are normalised."""
MAX_BYTES = 4096
_FORMAT = "affectkit-affectnet-1"
_CHUNK = 2048


def is_affectnet_fused(root: Path) -> bool:
    """Return whether ``root`` looks like AffectNetFused: one of its two folders has ``images`` and ``annotations``."""
    return any(
        (root / name / "images").is_dir() and (root / name / "annotations").is_dir() for name in FOLDERS.values()
    )


def read_affectnet(
    root: Path, *, reporter: Reporter | None = None
) -> tuple[dict[str, Split], dict[str, dict[str, int]]]:
    """Return the splits of AffectNetFused, with distributions and without labels.

    Returns:
        the splits that are there; and for each of them how many files have no counterpart, by reason.

    Raises:
        DataError: annotation files that are malformed (listed), or a split without a single annotated image.
    """
    reporter = reporter or Silent()
    splits, left_out = {}, {}
    for name, folder in FOLDERS.items():
        if (root / folder).is_dir():
            splits[name], left_out[name] = _read_split(name, root, folder, reporter)
    return splits, left_out


def describe_left_out(left_out: dict[str, dict[str, int]]) -> list[str]:
    """Describe what ``read_affectnet`` left out, in lines for a user."""
    notes = [f"{folder} is not there: no {name} split" for name, folder in FOLDERS.items() if name not in left_out]
    for name, reasons in left_out.items():
        notes += [f"{FOLDERS[name]}: {number:,} left out ({reason})" for reason, number in reasons.items()]
    return notes


def _read_split(name: str, root: Path, folder: str, reporter: Reporter) -> tuple[Split, dict[str, int]]:
    annotations, images = root / folder / "annotations", root / folder / "images"
    for needed in (annotations, images):
        if not needed.is_dir():
            raise DataError(f"{needed} is not there; AffectNetFused has images and annotations in each folder.")
    stems, values = read_annotations(annotations, reporter=reporter)
    with os.scandir(images) as entries:
        names = sorted(entry.name for entry in entries if is_image_name(entry.name) and not is_hidden(entry.name))
    by_stem: dict[str, str] = {}
    twice = [image for image in names if by_stem.setdefault(os.path.splitext(image)[0], image) != image]
    if twice:
        raise DataError(f"{images}: several images of one number: {list_some(twice)}.", "Keep one image a number.")
    rows = [row for row, stem in enumerate(stems) if stem in by_stem]
    if not rows:
        raise DataError(f"{root / folder}: no image has an annotation of its number (NNN.jpg and NNN{SUFFIX}).")
    left_out = {
        "image without annotation": len(by_stem) - len(rows),
        "annotation without image": len(stems) - len(rows),
    }
    ids = [f"{folder}/images/{by_stem[stems[row]]}" for row in rows]
    split = Split(name, root, ids, CLASSES, distribution=_shares(values[rows]))
    return split, {reason: number for reason, number in left_out.items() if number}


def _shares(values: np.ndarray) -> np.ndarray:
    sums = values.sum(axis=1, keepdims=True)
    return (values / np.where(np.abs(sums - 1) <= EXACT_TOLERANCE, 1.0, sums)).astype(np.float32)


def read_annotations(folder: Path, *, reporter: Reporter | None = None) -> tuple[list[str], np.ndarray]:
    """Return numbers of the images (sorted as text) and their probabilities as written, float64 (N, 13).

    Taken from the cache where the files' names, sizes and times are those that it was made of, else read and cached.
    A cache file that is damaged is reported and made again.

    Raises:
        DataError: files that do not hold 13 probabilities with a sum of 1, listed.
    """
    reporter = reporter or Silent()
    stems, stamp = _stamp(folder)
    key = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
    cached = cache_folder() / "affectnet" / f"{key}.safetensors"
    values = _from_cache(cached, stamp, len(stems), reporter)
    if values is None:
        values = _read_files(folder, stems, reporter)
        _to_cache(cached, stamp, values, reporter)
    return stems, values


def _stamp(folder: Path) -> tuple[list[str], str]:
    """Return the sorted numbers of the annotation files, and a hash over their names, sizes and times."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and not is_hidden(entry.name):
                status = entry.stat()
                found.append((entry.name[: -len(SUFFIX)], status.st_size, status.st_mtime_ns))
    found.sort()
    digest = hashlib.sha256()
    for stem, size, time in found:
        digest.update(f"{stem}\x1f{size}\x1f{time}\x1e".encode("utf-8", "surrogateescape"))
    return [stem for stem, _, _ in found], digest.hexdigest()


def _from_cache(path: Path, stamp: str, count: int, reporter: Reporter) -> np.ndarray | None:
    """Return the cached values; None where there are none, they are of another state of the folder, or are damaged."""
    if not path.is_file():
        return None
    # Whatever a damaged file makes the reader raise, the answer is the same: report it and read the folder again.
    try:
        with safe_open(path, framework="numpy") as stored:
            about = stored.metadata() or {}
            if about.get("format") == _FORMAT and about.get("stamp") != stamp:
                reporter.note("the annotations changed since they were cached: reading them again")
                return None
            values = stored.get_tensor("probabilities")
        if about.get("format") != _FORMAT or about.get("sha256") != _content(values):
            raise ValueError("its checksum does not match")
        if values.shape != (count, len(CLASSES)) or values.dtype != np.float64:
            raise ValueError(f"it holds {values.dtype} {values.shape}")
    except Exception as error:
        reporter.warn(f"the cache file {path} is damaged ({error}): reading the annotations again")
        return None
    return values


def _to_cache(path: Path, stamp: str, values: np.ndarray, reporter: Reporter) -> None:
    about = {"format": _FORMAT, "stamp": stamp, "sha256": _content(values)}
    try:
        with whole_file(path) as part:
            save_file({"probabilities": np.ascontiguousarray(values)}, part, metadata=about)
    except Exception as error:  # without a cache the next start is slower, and nothing else
        reporter.warn(f"the annotations could not be cached in {path}: {error}")


def _content(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def _read_files(folder: Path, stems: list[str], reporter: Reporter) -> np.ndarray:
    values = np.zeros((len(stems), len(CLASSES)), dtype=np.float64)
    errors: list[str] = []
    chunks = [range(start, min(start + _CHUNK, len(stems))) for start in range(0, len(stems), _CHUNK)]
    reporter.start("reading annotations", len(stems), "files")
    with ThreadPoolExecutor(max_workers=8) as pool:
        results = pool.map(lambda chunk: _read_chunk(str(folder), stems[chunk.start : chunk.stop]), chunks)
        for chunk, (numbers, bad) in zip(chunks, results, strict=True):
            values[chunk.start : chunk.stop] = numbers
            errors += bad
            reporter.advance(len(chunk))
    reporter.finish()
    if errors:
        raise DataError(
            f"{len(errors):,} annotation files in {folder} do not hold {len(CLASSES)} probabilities that sum to 1:"
            f" {list_some(errors)}.",
            "Unpack the dataset again, or remove these files: their images are then left out.",
        )
    return values


def _read_chunk(folder: str, stems: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    values = np.zeros((len(stems), len(CLASSES)), dtype=np.float64)
    errors = []
    for row, stem in enumerate(stems):
        name = stem + SUFFIX
        try:
            descriptor = os.open(os.path.join(folder, name), os.O_RDONLY)
            try:
                text = os.read(descriptor, MAX_BYTES)
            finally:
                os.close(descriptor)
            numbers = [float(cell) for cell in text.split(b",")]
        except (OSError, ValueError) as error:
            errors.append(f"{name} ({error.strerror if isinstance(error, OSError) else 'not numbers'})")
            continue
        total = sum(numbers)
        if len(numbers) != len(CLASSES):
            errors.append(f"{name} ({len(numbers)} values)")
        elif not min(numbers) >= 0:
            errors.append(f"{name} (a value below 0 or NaN)")
        elif not abs(total - 1) <= SUM_TOLERANCE:
            errors.append(f"{name} (sum {total:g})")
        else:
            values[row] = numbers
    return values, errors
