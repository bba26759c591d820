"""Write clips into a store: decoded once, in parallel, a few dozen a file; what is stored is not made again."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from affectkit.core.clipspec import DECIBELS, ClipSpec
from affectkit.core.files import read_json, to_json, whole_file, write_json
from affectkit.core.forms import Count
from affectkit.core.npy_files import load_npy
from affectkit.core.process import count_processors, keep_freed_memory
from affectkit.core.progress import Reporter
from affectkit.core.stopping import Never, Stopping
from affectkit.data.layouts.clip_store import FORMAT, MANIFEST, PARTIAL, STORE, STORED
from affectkit.data.media.media_file import ClipError
from affectkit.errors import DataError, RunError
from affectkit.prep.clips.dataset import SkippedClip
from affectkit.prep.worker_pool import WorkerPool

SHARD = 32
"""Clips of one file: small enough that little is lost where a run is killed, large enough that files stay few."""
FAULTS = "faults.csv"
"""Every clip that stands in the way, where ``--on-error fail`` ends a preparation."""
_SUMS = {"count": Count, "sum": float, "squares": float, "max": float}
_FACTS = {"digest": str, "image": _SUMS, "audio": _SUMS}
_FAULT = {"name": str, "reason": str, "message": str}
RECORD_FORM = {
    "recipe": str, "items": list[list[Any]], "faults": list[_FAULT], "notes?": dict[str, list[str]],
    "clips": dict[str, _FACTS],
}  # fmt: skip
"""What stands beside the arrays of a shard; see ``core.forms``."""


@dataclass(frozen=True)
class ClipSource:
    """Say where a clip comes from.

    Attributes:
        name: by which the clip is known from now on.
        path: its file or folder.
        sound: the file of its sound, where that is another.
    """

    name: str
    path: Path
    sound: Path | None = None


class StoredInput(NamedTuple):
    """Hold what a store keeps of a clip: frames and sound as of ``ClipRecipe.read``, and what reading it noted."""

    frames: np.ndarray
    sound: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClipRecipe:
    """Say how a clip is read; two equal recipes make the same bytes.

    Attributes:
        read: a function at the top of a module: (source, recipe) to frames uint8 (F, H, W, 3) and sound int16 (h, w),
            or to arrays of features. It raises ClipError.
        reader: the literal name of ``read`` in the marks of stores. It stays as it is wherever ``read`` moves; another
            one means that the same clips are now read otherwise, and has them all decoded again.
        clip: which frames, what part of them, which spectrogram.
        size: height and width of a stored frame; 0 for features.
        frames: how many are stored of a clip.
        longest: seconds above which a clip is refused; None: never.
        extra: what else ``read`` wants to know.
    """

    read: Callable[[ClipSource, ClipRecipe], StoredInput]
    reader: str
    clip: ClipSpec
    size: int
    frames: int = 1
    longest: float | None = None
    extra: tuple[tuple[str, Any], ...] = ()

    def mark(self) -> str:
        """Hash what the bytes of a stored clip depend on."""
        parts = [FORMAT, self.reader, self.clip.to_dict(), self.size, self.longest, list(self.extra)]
        return hashlib.sha256(to_json(parts, None).encode()).hexdigest()[:16]

    @property
    def bytes_per_clip(self) -> int:
        """Return the bytes that a clip takes in the store."""
        if self.clip.features is not None:
            return sum(int(np.prod(shape)) * np.dtype(np.float32).itemsize for shape in self.clip.features)
        sound = self.clip.sound
        return self.frames * self.size**2 * 3 + sound.height * sound.width * np.dtype(np.int16).itemsize


@dataclass(frozen=True)
class StoredClips:
    """Describe what a store holds.

    Attributes:
        shards: names of the clips of each, in order.
        skipped: clips that were left out, in the order of the sources.
        facts: by clip: digest, and sum, sum of squares and maximum of image ([0, 1]) and sound (dB), and their counts.
        made: clips that were read now; the others were there.
        notes: what was inferred about clips rather than stated, put right, or done to their pictures, and of which.
    """

    shards: dict[str, list[str]]
    skipped: list[SkippedClip]
    facts: dict[str, dict[str, Any]]
    made: int
    notes: dict[str, list[str]] = field(default_factory=dict)

    def bytes_per_clip(self, output: Path) -> float:
        """Measure the arrays on the disk."""
        total = sum(path.stat().st_size for path in (output / STORE).glob("*.npy"))
        return total / max(sum(map(len, self.shards.values())), 1)


def write_store(
    sources: Sequence[ClipSource | None],
    output: Path,
    recipe: ClipRecipe,
    *,
    workers: int | None = None,
    reporter: Reporter,
    stopping: Stopping | None = None,
) -> StoredClips:
    """Read clips and store them in ``output/store``; those that are stored already are not read again.

    Args:
        sources: the clips; None for one that is left out on purpose, so that the others keep their places.
        output: the folder that holds the store.
        recipe: how a clip is read.
        workers: processes; None: one a processor.
        reporter: gets progress and notes.
        stopping: a request to end early, after the files in work.

    Raises:
        RunError: the disk is too small, or a worker process was killed.
        Stopped: ``stopping`` was requested.
    """
    stopping = stopping or Never()
    folder = output / STORE
    folder.mkdir(parents=True, exist_ok=True)
    shards = {f"{number:04}": chunk for number, chunk in enumerate(_chunks(sources))}
    records = {name: _read_record(folder, name, chunk, recipe) for name, chunk in shards.items()}
    wanted = [name for name, record in records.items() if record is None]
    count, total = sum(len(shards[name]) for name in wanted), sum(map(len, shards.values()))
    _check_disk(output, count * recipe.bytes_per_clip)
    if wanted:
        # The mark of a complete preparation goes before anything of it changes.
        (output / MANIFEST).unlink(missing_ok=True)
        reporter.note(f"the store takes up to {total * recipe.bytes_per_clip / 1e9:.2f} GB")
    if wanted and len(wanted) < len(shards):
        reporter.note(f"{total - count:,} clips are prepared already")
    if older := sum(len(shards[name]) for name in wanted if _has_other_recipe(folder / f"{name}.json", recipe)):
        reporter.note(f"{older:,} clips were prepared by other settings or an older affectkit: they are prepared again")
    if wanted:
        reporter.start("preparing clips", count, "clips")
        chunks = ((folder, name, shards[name], recipe) for name in wanted)
        with WorkerPool(min(workers or count_processors(), len(wanted)), stopping, prepare=_limit_worker) as pool:
            for name, record in pool.run(write_shard, chunks):
                records[name] = record
                reporter.advance(len(shards[name]))
        reporter.finish()
        ready = sum(len(shards[name]) for name, record in records.items() if record is not None)
        if ready < total:
            raise stopping.error(
                f"{ready:,} of {total:,} clips are prepared and kept.", "Run the same command again: it resumes."
            )
    _sweep(folder, set(shards))
    skipped = [SkippedClip(*(clip[key] for key in _FAULT)) for record in records.values() for clip in record["faults"]]
    facts = {clip: found for record in records.values() for clip, found in record["clips"].items()}
    shards = {name: list(record["clips"]) for name, record in records.items()}
    return StoredClips(shards, skipped, facts, count, _notes(records.values()))


def _notes(records: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the names of clips by what was noted of them."""
    found: dict[str, list[str]] = {}
    for record in records:
        for clip, notes in record.get("notes", {}).items():
            for text in notes:
                found.setdefault(text, []).append(clip)
    return found


def refuse_skipped(skipped: Sequence[SkippedClip], output: Path) -> None:
    """Raise a DataError where clips were left out; all of them are in ``output/faults.csv`` then, else it goes."""
    path = output / FAULTS
    if not skipped:
        path.unlink(missing_ok=True)
        return
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["clip", "reason", "message"])
        writer.writerows([clip.name, clip.reason, clip.message] for clip in skipped)
    listed = "\n".join(f"  - {clip.message}" for clip in skipped[:10])
    more = f"\n  and {len(skipped) - 10:,} more; {path} has them all" if len(skipped) > 10 else ""
    raise DataError(
        f"{len(skipped):,} clip(s) cannot be used:\n{listed}{more}",
        "Fix them, or add --on-error skip to leave them out; clips that were prepared are kept.",
    )


def input_variance(facts: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Compute variance and maximum of images and sounds over all that is stored of some clips.

    Returns:
        ``image`` and ``audio`` (variances, in units of [0, 1] and of dB), ``image_max`` and ``audio_max``.
    """
    found = {}
    chosen = list(facts)
    for name in ("image", "audio"):
        count = sum(fact[name]["count"] for fact in chosen)
        mean = sum(fact[name]["sum"] for fact in chosen) / max(count, 1)
        squares = sum(fact[name]["squares"] for fact in chosen) / max(count, 1)
        found[name] = max(squares - mean * mean, 0.0)
        found[f"{name}_max"] = max((fact[name]["max"] for fact in chosen), default=float("nan"))
    return found


# --- shards ----------------------------------------------------------------------------------------------------------


def _chunks(sources: Sequence[ClipSource | None]) -> Iterator[list[ClipSource]]:
    """Yield the clips of each shard that has any."""
    for begin in range(0, len(sources), SHARD):
        chunk = [source for source in sources[begin : begin + SHARD] if source is not None]
        if chunk:
            yield chunk


def _state_of(source: ClipSource) -> list[Any]:
    """Return the name, and of each file size and time of change: these show whether a clip is still the one read."""
    found: list[Any] = [source.name]
    for path in (source.path, source.sound):
        if path is None:
            continue
        try:
            status = path.stat()
        except OSError:
            found += [-1, 0]
        else:
            found += [status.st_size, status.st_mtime_ns]
    return found


def _read_record(folder: Path, name: str, chunk: Sequence[ClipSource], recipe: ClipRecipe) -> dict[str, Any] | None:
    """Read the record of a shard that need not be made again; None of one that must."""
    path = folder / f"{name}.json"
    if not path.is_file() or not all((folder / f"{name}.{kind}.npy").is_file() for kind in ("frames", "sound")):
        return None
    try:
        record = read_json(path, RECORD_FORM)
        named = {*record["clips"], *(clip["name"] for clip in record["faults"])} == {source.name for source in chunk}
        same = record["recipe"] == recipe.mark() and record["items"] == [_state_of(source) for source in chunk]
        whole = all(_rows_of(folder / f"{name}.{kind}.npy") == len(record["clips"]) for kind in ("frames", "sound"))
    except (DataError, OSError, ValueError):
        return None
    return record if named and same and whole else None


def _has_other_recipe(path: Path, recipe: ClipRecipe) -> bool:
    """Return whether ``path`` is the record of a shard that was made by another recipe."""
    try:
        return path.is_file() and read_json(path, {"recipe": str})["recipe"] != recipe.mark()
    except DataError:
        return False


def _rows_of(path: Path) -> int:
    """Count the clips of an array on the disk; a ValueError where the file is shorter than its header says."""
    return len(load_npy(path, mapped=True))


def _limit_worker() -> None:
    """Make a worker compute in one thread and keep the memory that it has freed."""
    import torch

    torch.set_num_threads(1)
    keep_freed_memory()


def write_shard(folder: Path, name: str, chunk: Sequence[ClipSource], recipe: ClipRecipe) -> tuple[str, dict[str, Any]]:
    """Read the clips of ``chunk`` and write their arrays, then their record; give ``name`` and the record."""
    states = [_state_of(source) for source in chunk]
    frames, sounds, skipped = [], [], []
    clips: dict[str, dict[str, Any]] = {}
    notes: dict[str, list[str]] = {}
    for source in chunk:
        try:
            read = recipe.read(source, recipe)
        except ClipError as error:
            skipped.append(asdict(SkippedClip(source.name, error.reason, error.message)))
            continue
        frames.append(read.frames)
        sounds.append(read.sound)
        clips[source.name] = _facts(read.frames, read.sound)
        notes |= {source.name: list(read.notes)} if read.notes else {}
    _write_array(folder / f"{name}.frames.npy", frames)
    _write_array(folder / f"{name}.sound.npy", sounds)
    record = {"recipe": recipe.mark(), "items": states, "clips": clips, "faults": skipped}
    record |= {"notes": notes} if notes else {}
    write_json(folder / f"{name}.json", record)
    return name, record


def _facts(image: np.ndarray, sound: np.ndarray) -> dict[str, Any]:
    digest = hashlib.blake2b(digest_size=12)
    digest.update(np.ascontiguousarray(image))
    digest.update(np.ascontiguousarray(sound))
    image_scale, sound_scale = (255 if image.dtype == np.uint8 else 1), (DECIBELS if sound.dtype == np.int16 else 1)
    return {
        "digest": digest.hexdigest(),
        "image": _sums(image, image_scale),
        "audio": _sums(sound, sound_scale),
    }


def _sums(values: np.ndarray, scale: float) -> dict[str, float]:
    """Compute count, sum, sum of squares and maximum of ``values / scale``, exact for whole numbers."""
    if values.dtype == np.uint8:  # by how often each occurs: as exact, and faster
        counts = _occurrences(values)
        levels = np.arange(256)
        total, squares = int((counts * levels).sum()), int((counts * levels * levels).sum())
    else:
        # No product of vectors: BLAS would start a thread a processor in each of the processes.
        exact = np.int64 if values.dtype.kind == "i" else np.float64
        total, squares = values.sum(dtype=exact).item(), np.square(values, dtype=exact).sum().item()
    return {
        "count": int(values.size),
        "sum": total / scale,
        "squares": squares / scale**2,
        "max": float(values.max()) / scale,
    }


def _occurrences(values: np.ndarray) -> np.ndarray:
    """Count how often each of 0 to 255 occurs in uint8 ``values``: two at a time, which takes half as long."""
    flat = np.ascontiguousarray(values).reshape(-1)
    even = flat.size // 2 * 2
    pairs = np.bincount(flat[:even].view(np.uint16), minlength=2**16).reshape(256, 256)
    return pairs.sum(0) + pairs.sum(1) + np.bincount(flat[even:], minlength=256)


def _write_array(path: Path, arrays: Sequence[np.ndarray]) -> None:
    with whole_file(path) as part, part.open("wb") as stream:
        if not arrays:
            np.save(stream, np.zeros(0, dtype=np.uint8))
            return
        head = {"descr": np.lib.format.dtype_to_descr(arrays[0].dtype), "fortran_order": False}
        np.lib.format.write_array_header_1_0(stream, {**head, "shape": (len(arrays), *arrays[0].shape)})
        for array in arrays:  # one after the other: together they would be copied once more
            stream.write(np.ascontiguousarray(array).data)


def _check_disk(output: Path, wanted: int) -> None:
    free = shutil.disk_usage(output).free
    if wanted > free:
        raise RunError(
            f"{output} needs {wanted / 2**30:.1f} GiB for the clips, and {free / 2**30:.1f} GiB are free.",
            "Name an --output on a larger disk, or keep fewer frames: --frames middle.",
        )


def _sweep(folder: Path, names: set[str]) -> None:
    """Remove shards of an earlier preparation that had more, and what a killed one was writing; nothing else."""
    for path in folder.iterdir():
        old = STORED.fullmatch(path.name) and path.name.split(".")[0] not in names
        if old or PARTIAL.fullmatch(path.name):
            path.unlink()
