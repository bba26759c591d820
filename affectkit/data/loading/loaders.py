"""Batches of images: order addressed by epoch, augmentation by item, decoded images held where they fit."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import psutil
import torch
from torch.utils.data import DataLoader, Dataset

from affectkit.core.process import count_processors, end_with_parent, keep_freed_memory
from affectkit.core.progress import Reporter
from affectkit.core.randomness import numpy_generator
from affectkit.core.spec import InputSpec
from affectkit.core.text import count_text
from affectkit.data.loading.presets import Augmentation
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.loading.transforms import RANGES, Preset, apply_change, draw_change
from affectkit.data.media.images import load_for_spec
from affectkit.data.split import Split
from affectkit.errors import DataError, UsageError

_OPEN: weakref.WeakSet[DataLoader] = weakref.WeakSet()

WORKER_KEEPS = 64 * 2**20
"""Bytes of freed memory that a worker keeps: enough for usual images, and a huge one is given back."""

EVALUATION = -1
"""The epoch number that means: no augmentation."""


Key = tuple[int, int] | tuple[int, int, int]
"""Of an item in a batch: epoch, index and, where it has come before in the epoch, how often."""


@dataclass(frozen=True)
class InMemoryImages:
    """A split's images in memory: uint8 (N, H, W, C), and the failures by index (their pixels are black)."""

    pixels: np.ndarray
    failures: dict[int, ReadFailure]


class SplitImages(Dataset):
    """Images of a split by (epoch, index), as uint8 tensors (C, H, W) of the input size.

    The key carries the epoch, so that workers hold no state that a resumed run would have to restore; and as a third
    number how often the image has come before in the epoch, where it has.
    """

    def __init__(
        self,
        split: Split,
        spec: InputSpec,
        *,
        augment: str | Augmentation = "none",
        seed: int = 0,
        held: InMemoryImages | None = None,
    ) -> None:
        self.split = split
        self.spec = spec
        self.augment = Augmentation.of(augment)
        self.seed = seed
        self.held = held

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: Key) -> tuple[int, torch.Tensor] | ReadFailure:
        epoch, index, *before = key
        if self.held is not None and index in self.held.failures:
            return self.held.failures[index]
        try:
            preset = None if epoch == EVALUATION else RANGES[self.augment.at(epoch)]
            image = self.plain(index) if preset is None else self._changed(preset, index, epoch, *before)
        except DataError as error:
            return ReadFailure(index, self.split.ids[index], error.message)
        return index, torch.from_numpy(image).permute(2, 0, 1)

    def plain(self, index: int) -> np.ndarray:
        """Return the image at the input size, uint8 (H, W, C), without augmentation."""
        return self.held.pixels[index] if self.held is not None else load_for_spec(self.split.path(index), self.spec)

    def _changed(self, preset: Preset, index: int, *draw: int) -> np.ndarray:
        change = draw_change(preset, numpy_generator(self.seed, "augment", self.split.ids[index], *draw))
        if change.crop is None:
            return apply_change(self.plain(index), change)
        # Of the whole image: what is held has been cut to the input size.
        return apply_change(load_for_spec(self.split.path(index), self.spec, part=change.crop.box), change)


def collate(items: Sequence[tuple[int, torch.Tensor] | ReadFailure]) -> dict[str, Any]:
    """Return ``{"index": (B,), "image": (B, C, H, W) uint8, "failures": [...]}``; unreadable images are set apart.

    Pixels stay in the order in which they were decoded, which torch calls channels-last: nothing is turned, and
    convolutions like it best.
    """
    good = [item for item in items if not isinstance(item, ReadFailure)]
    pixels = [image.permute(1, 2, 0) for _, image in good]
    return {
        "index": torch.tensor([index for index, _ in good], dtype=torch.long),
        "image": torch.stack(pixels).permute(0, 3, 1, 2) if good else torch.empty(0, dtype=torch.uint8),
        "failures": [item for item in items if isinstance(item, ReadFailure)],
    }


def epoch_batches(count: int, batch_size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Return the batches of one training epoch: a permutation addressed by (seed, epoch), cut into nearly equal parts.

    Parts differ in size by one at most, so no image is dropped; unless ``batch_size`` is 1, none has a single image,
    which batch norm could not take (one may then have ``batch_size`` + 1).
    """
    order = numpy_generator(seed, "order", epoch).permutation(count)
    return np.array_split(order, batch_count(count, batch_size))


def batch_count(count: int, batch_size: int) -> int:
    """Return how many batches ``epoch_batches`` cuts ``count`` images into."""
    wanted = -(-count // batch_size)
    return max(min(wanted, count // 2) if batch_size > 1 else wanted, 1)


class TrainingKeys:
    """Keys of the batches of an epoch, from any batch on; set before each pass of a loader."""

    def __init__(self) -> None:
        self.batches: list[list[Key]] = []

    def set(self, epoch: int, batches: Sequence[np.ndarray]) -> None:
        """Make the next pass yield ``batches``, augmented as of ``epoch``.

        Args:
            epoch: from 0, or ``EVALUATION``.
            batches: indices (B,) each; or (B, 2), with how often each image has come before in the epoch.
        """
        self.batches = [[_key(epoch, item) for item in batch.tolist()] for batch in batches]

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def _key(epoch: int, item: int | list[int]) -> Key:
    """Return the key of an index, or of (index, times that it has come before): the first time as without sampling."""
    index, before = (item, 0) if isinstance(item, int) else item
    return (epoch, index, before) if before else (epoch, index)


def evaluation_keys(count: int, batch_size: int, *, first: int = 0, step: int = 1) -> TrainingKeys:
    """Return keys for a pass over the items ``first``, ``first + step``, ... of ``count``, without augmentation."""
    keys = TrainingKeys()
    own = np.arange(first, count, step)
    keys.set(EVALUATION, [own[begin : begin + batch_size] for begin in range(0, len(own), batch_size)])
    return keys


class _Loader(DataLoader):
    """A loader that does not warn of how many workers torch would take: how many there are is said elsewhere."""

    def check_worker_number_rationality(self) -> None:
        """Do nothing."""


def make_loader(
    dataset: Dataset,
    keys: Any,
    *,
    workers: int,
    pin: bool = False,
    seed: int = 0,
    collate_fn: Callable[[Sequence[Any]], dict[str, Any]] = collate,
) -> DataLoader:
    """Return a loader over batches of ``keys``; its base seed comes from a generator of its own."""
    # Without one, iterating draws from torch's global stream, and a resumed run would see another model randomness.
    generator = torch.Generator().manual_seed(seed)
    loader = _Loader(
        dataset,
        batch_sampler=keys,
        collate_fn=collate_fn,
        num_workers=workers,
        pin_memory=pin,
        generator=generator,
        worker_init_fn=start_worker,
        persistent_workers=workers > 0,
    )
    _OPEN.add(loader)
    return loader


def close_loader(loader: DataLoader) -> None:
    """End the workers of ``loader``; nothing where it has none."""
    iterator, loader._iterator = loader._iterator, None
    if iterator is not None:
        iterator._shutdown_workers()


@atexit.register
def _close_all() -> None:
    # Workers are deaf to SIGTERM, with which multiprocessing would end them at exit, and then wait for ever.
    for loader in list(_OPEN):
        close_loader(loader)


def start_worker(_: int) -> None:
    """Prepare a worker process: one thread each, deaf to the signals that the parent answers, dead once it is."""
    # SIGTERM and SIGINT reach the whole process group; a dead worker would end the run before it is saved.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    keep_freed_memory(WORKER_KEEPS)
    _end_with_parent()


def _end_with_parent() -> None:
    """Make the system kill this process once the run has ended; where it cannot, DataLoader's own watch does."""
    parent = multiprocessing.parent_process()
    if parent is None or multiprocessing.get_start_method() == "forkserver":
        return  # a fork server, not the run, is the parent of its processes
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent.pid:  # it ended before the system was asked
        os._exit(1)


def fits_in_memory(count: int, spec: InputSpec) -> bool:
    """Return whether ``count`` decoded images take at most a quarter of the free memory."""
    return count * spec.height * spec.width * spec.channels <= psutil.virtual_memory().available / 4


def needs_full_size(augment: str | Augmentation) -> bool:
    """Return whether an augmentation crops from whole images, which then cannot be held at the input size."""
    found = (RANGES[name] for name in Augmentation.of(augment).presets)
    return any(preset is not None and preset.crop is not None for preset in found)


def hold_in_memory(split: Split, spec: InputSpec, *, reporter: Reporter) -> InMemoryImages:
    """Return all images of ``split`` decoded once, in threads; those that cannot be read are returned apart."""
    dataset = SplitImages(split, spec)
    pixels = np.zeros((len(split), spec.height, spec.width, spec.channels), dtype=np.uint8)
    failures: dict[int, ReadFailure] = {}

    def fill(index: int) -> None:
        try:
            pixels[index] = dataset.plain(index)
        except DataError as error:
            failures[index] = ReadFailure(index, split.ids[index], error.message)

    reporter.start(f"decoding {split.name}", len(split), "images")
    with ThreadPoolExecutor(count_processors()) as pool:
        for _ in pool.map(fill, range(len(split)), chunksize=64):
            reporter.advance()
    reporter.finish()
    return InMemoryImages(pixels, dict(sorted(failures.items())))


def choose_cache(asked: str, count: int, spec: InputSpec) -> bool:
    """Return whether decoded images are held in memory.

    Raises:
        UsageError: ``ram`` was asked for and the images do not fit in the free memory.
    """
    if asked == "none":
        return False
    need = count * spec.height * spec.width * spec.channels
    free = psutil.virtual_memory().available
    if asked == "ram" and need > 0.9 * free:
        raise UsageError(
            f"--cache ram needs {need / 2**30:.1f} GiB for {count_text(count, 'image')}; "
            f"{free / 2**30:.1f} GiB are free.",
            "Use --cache none, or a smaller --image-size.",
        )
    return asked == "ram" or fits_in_memory(count, spec)
