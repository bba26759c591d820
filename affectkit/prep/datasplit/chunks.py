"""The work of a split in chunks, as worker processes do it: copies augmented, originals copied or linked.

Importing this loads neither NumPy nor Albumentations, so that a process which only copies does not wait for them. What
was done is not done again, so that a run whose workers were killed is resumed where it was.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from affectkit.errors import DataError
from affectkit.prep.datasplit.file_moves import place_file

_NOT_THE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE)


class AugmentJob(NamedTuple):
    """Name the copies to make of one original.

    Attributes:
        source: its path.
        name: its identity, by which draws are addressed.
        targets: path and draw number of each copy.
    """

    source: str
    name: str
    targets: tuple[tuple[str, int], ...]


def augment_chunk(jobs: Sequence[AugmentJob], pipeline: Any, seed: int, quality: int | None) -> list[tuple[str, Any]]:
    """Make the copies of each job.

    Returns:
        For each, (source, (content hashes of the copies, what they do not keep)), or (source, why there are none).
    """
    from affectkit.prep.augmentation.lossless_images import augment_many

    done: list[tuple[str, Any]] = []
    for job in jobs:
        targets = [(Path(path), draw) for path, draw in job.targets]
        try:
            made = augment_many(Path(job.source), targets, pipeline, seed=seed, name=job.name, quality=quality)
        except DataError as error:
            cause = error.__cause__
            if isinstance(cause, MemoryError) or getattr(cause, "errno", None) in _NOT_THE_FILE:
                raise  # this machine's trouble, not the file's
            done.append((job.source, error.message.removeprefix(f"image {job.source}: ").rstrip(".")))
            continue
        done.append((job.source, made))
    return done


def import_albumentations() -> None:
    """Import what augmenting needs, which takes a second or two."""
    from affectkit.prep.augmentation import building

    building.import_quietly()


def place_chunk(items: Sequence[tuple[str, str, str]], link: str) -> int:
    """Call ``file_moves.place`` for each (source, target, hash); give their number."""
    for source, target, digest in items:
        place_file(source, target, digest, link)
    return len(items)


def split_chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield ``items`` in runs of ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def interleave_chunks(items: Sequence[Any], size: int, workers: int) -> Iterator[Sequence[Any]]:
    """Yield ``items`` in runs of ``size``, in an order in which ``workers`` are in different parts of them.

    They are sorted by folder, and two processes that make files in one folder wait for each other: with ext4, 16,000
    small files in one folder took one and a half times as long as in two.
    """
    runs = list(split_chunks(items, size))
    step = -(-len(runs) // workers) or 1
    for start in range(step):
        yield from runs[start::step]
