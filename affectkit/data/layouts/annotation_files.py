"""Annotations in a small file an image, read once and cached.

Hundreds of thousands of small files take minutes on a cold disk, so what they hold is kept in affectkit's cache folder;
names, sizes and times of the files show whether the folder has changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from affectkit.core.files import cache_folder, whole_file
from affectkit.core.folders import is_hidden
from affectkit.core.progress import Reporter, Silent
from affectkit.core.text import count_text, list_some
from affectkit.data.media.images import is_image_name
from affectkit.errors import DataError

MAX_BYTES = 4096
"""Of an annotation file no more is read."""
_CHUNK = 2048


@dataclass(frozen=True)
class Kind:
    """One kind of annotation files.

    Attributes:
        suffix: how their names end, after that of their image.
        width: how many numbers each holds.
        numbers: returns them from a file's bytes, and what is wrong with them; empty for nothing.
        rule: what they must hold, as goes on from "annotation files in ... do not hold".
        form: of the cache; another one makes old caches void.
        cached: how the name of the cache file ends.
    """

    suffix: str
    width: int
    numbers: Callable[[bytes], tuple[Sequence[float], str]]
    rule: str
    form: str
    cached: str = ""


def read_annotation_files(
    folder: Path, kind: Kind, *, reporter: Reporter | None = None
) -> tuple[list[str], np.ndarray]:
    """Return the stems of the images (sorted as text) and their numbers, float64 (N, ``kind.width``).

    Taken from the cache where the files' names, sizes and times are those that it was made of, else read and cached.
    A cache file that is damaged is reported and made again.

    Raises:
        DataError: files that do not hold what they must, listed.
    """
    reporter = reporter or Silent()
    stems, stamp = _stamp(folder, kind.suffix)
    key = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
    cached = cache_folder() / "affectnet" / f"{key}{kind.cached}.safetensors"
    values = _from_cache(cached, kind, stamp, len(stems), reporter)
    if values is None:
        values = _read_files(folder, kind, stems, reporter)
        _to_cache(cached, kind, stamp, values, reporter)
    return stems, values


def images_by_stem(folder: Path) -> dict[str, str]:
    """Return the names of the images in ``folder`` by name without ending.

    Raises:
        DataError: two images have one, or the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if is_image_name(entry.name) and not is_hidden(entry.name))
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror or error}.") from error
    by_stem: dict[str, str] = {}
    twice = [image for image in names if by_stem.setdefault(os.path.splitext(image)[0], image) != image]
    if twice:
        raise DataError(f"{folder}: several images of one number: {list_some(twice)}.", "Keep one image a number.")
    return by_stem


def _stamp(folder: Path, suffix: str) -> tuple[list[str], str]:
    """Return the sorted stems of the annotation files, and a hash over their names, sizes and times."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(suffix) and not is_hidden(entry.name):
                status = entry.stat()
                found.append((entry.name[: -len(suffix)], status.st_size, status.st_mtime_ns))
    found.sort()
    digest = hashlib.sha256()
    for stem, size, time in found:
        digest.update(f"{stem}\x1f{size}\x1f{time}\x1e".encode("utf-8", "surrogateescape"))
    return [stem for stem, _, _ in found], digest.hexdigest()


def _from_cache(path: Path, kind: Kind, stamp: str, count: int, reporter: Reporter) -> np.ndarray | None:
    """Return the cached values; None where there are none, they are of another state of the folder, or are damaged."""
    if not path.is_file():
        return None
    # Whatever a damaged file makes the reader raise, the answer is the same: report it and read the folder again.
    try:
        with safe_open(path, framework="numpy") as stored:
            about = stored.metadata() or {}
            if about.get("format") == kind.form and about.get("stamp") != stamp:
                reporter.note("the annotations changed since they were cached: reading them again")
                return None
            values = stored.get_tensor("probabilities")
        if about.get("format") != kind.form or about.get("sha256") != _content(values):
            raise ValueError("its checksum does not match")
        if values.shape != (count, kind.width) or values.dtype != np.float64:
            raise ValueError(f"it holds {values.dtype} {values.shape}")
    except Exception as error:
        reporter.warn(f"the cache file {path} is damaged ({error}): reading the annotations again")
        return None
    return values


def _to_cache(path: Path, kind: Kind, stamp: str, values: np.ndarray, reporter: Reporter) -> None:
    about = {"format": kind.form, "stamp": stamp, "sha256": _content(values)}
    try:
        with whole_file(path) as part:
            save_file({"probabilities": np.ascontiguousarray(values)}, part, metadata=about)
    except Exception as error:  # without a cache the next start is slower, and nothing else
        reporter.warn(f"the annotations could not be cached in {path}: {error}")


def _content(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def _read_files(folder: Path, kind: Kind, stems: list[str], reporter: Reporter) -> np.ndarray:
    values = np.zeros((len(stems), kind.width), dtype=np.float64)
    errors: list[str] = []
    chunks = [range(start, min(start + _CHUNK, len(stems))) for start in range(0, len(stems), _CHUNK)]
    reporter.start("reading annotations", len(stems), "files")
    with ThreadPoolExecutor(max_workers=8) as pool:
        results = pool.map(lambda chunk: _read_chunk(str(folder), kind, stems[chunk.start : chunk.stop]), chunks)
        for chunk, (numbers, bad) in zip(chunks, results, strict=True):
            values[chunk.start : chunk.stop] = numbers
            errors += bad
            reporter.advance(len(chunk))
    reporter.finish()
    if errors:
        raise DataError(
            f"in {folder} {count_text(len(errors), 'annotation file does', 'annotation files do')} "
            f"not hold {kind.rule}: "
            f"{list_some(errors)}.",
            "Unpack the dataset again, or remove these files: their images are then left out.",
        )
    return values


def _read_chunk(folder: str, kind: Kind, stems: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    values = np.zeros((len(stems), kind.width), dtype=np.float64)
    errors = []
    for row, stem in enumerate(stems):
        name = stem + kind.suffix
        try:
            descriptor = os.open(os.path.join(folder, name), os.O_RDONLY)
            try:
                data = os.read(descriptor, MAX_BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            errors.append(f"{name} ({error.strerror})")
            continue
        numbers, why = kind.numbers(data)
        if why:
            errors.append(f"{name} ({why})")
        else:
            values[row] = numbers
    return values, errors
