"""Extract features of a frozen encoder once: of every image as it is, and of augmented views of training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from affectkit.core.process import count_processors
from affectkit.core.progress import Reporter
from affectkit.core.randomness import address_seed, numpy_generator
from affectkit.core.spec import InputSpec
from affectkit.data.loading.loaders import EVALUATION, TrainingKeys, close_loader, make_loader
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.loading.transforms import RANGES, apply_change, draw_change
from affectkit.data.media.images import DECODING, load_for_spec
from affectkit.data.split import Split
from affectkit.errors import DataError
from affectkit.features.store import FeatureStore, digest
from affectkit.models.family import frozen_encoder
from affectkit.runtime.context import RunContext, gather_failures
from affectkit.runtime.forward import forward_in_blocks
from affectkit.runtime.shutdown import StopFlag

PLAIN = "plain"
BATCH = 64
"""Images that are decoded and encoded at once."""


@dataclass
class Features:
    """Locate the features of a split's items in a store.

    Attributes:
        store: holds the features.
        split: the items.
        positions: (N, V, 2) int64, segment and row of each item's views (of the item as it is, V = 1); -1 where an
            image failed.
        failures: by item.
    """

    store: FeatureStore
    split: Split
    positions: np.ndarray
    failures: dict[int, ReadFailure] = field(default_factory=dict)

    def of(self, epoch: int, *, seed: int) -> np.ndarray:
        """Return (N, width) float32: of each item the view drawn for it in ``epoch``; zeros where it failed."""
        views = self.positions.shape[1]
        drawn = np.zeros(len(self.split), dtype=np.int64)
        if views > 1:
            drawn = np.array(
                [address_seed(seed, "view", name, epoch) % views for name in self.split.ids], dtype=np.int64
            )
        positions = self.positions[np.arange(len(self.split)), drawn]
        found = np.zeros((len(positions), self.store.width), dtype=np.float32)
        good = positions[:, 0] >= 0
        found[good] = self.store.read(positions[good])
        return found


class FeatureLoader:
    """Yield batches of features in place of images, an epoch in memory; the keys are those of a loader of images."""

    _iterator = None  # no worker has to be ended

    def __init__(self, features: Features, keys: TrainingKeys, *, seed: int = 0) -> None:
        self.features, self.keys, self.seed = features, keys, seed

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        values: torch.Tensor | None = None
        for batch in self.keys:
            if values is None:
                values = torch.from_numpy(self.features.of(batch[0][0] if batch else EVALUATION, seed=self.seed))
            index = [key[1] for key in batch]
            good = torch.tensor([number for number in index if number not in self.features.failures], dtype=torch.long)
            failures = [self.features.failures[number] for number in index if number in self.features.failures]
            yield {"index": good, "image": values[good], "failures": failures}


class ViewDataset(Dataset):
    """Views of images: the key is (index, labels of the views); an item is the index and uint8 (V, C, H, W)."""

    def __init__(self, split: Split, spec: InputSpec, contents: Sequence[bytes], preset: str) -> None:
        self.split, self.spec, self.contents, self.preset = split, spec, contents, RANGES[preset]

    def __getitem__(self, key: tuple[int, tuple[str, ...]]) -> tuple[int, torch.Tensor] | ReadFailure:
        index, labels = key
        try:
            image = load_for_spec(self.split.path(index), self.spec)
            views = [image if label == PLAIN else self._augmented(image, index, label) for label in labels]
        except DataError as error:
            return ReadFailure(index, self.split.ids[index], error.message)
        return index, torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)

    def _augmented(self, image: np.ndarray, index: int, label: str) -> np.ndarray:
        # By content, not by name or by the seed of a run: the view serves every run in which the image occurs.
        rng = numpy_generator(0, "view", self.contents[index].hex(), label)
        change = draw_change(self.preset, rng)
        if change.crop is not None:
            image = load_for_spec(self.split.path(index), self.spec, part=change.crop.box)
        return apply_change(image, change)


def collate_views(items: Sequence[tuple[int, torch.Tensor] | ReadFailure]) -> dict[str, Any]:
    """Collate to ``{"index": (B,), "image": all views (sum, C, H, W), "failures": [...]}``."""
    good = [item for item in items if not isinstance(item, ReadFailure)]
    # Kept as they were decoded, which torch calls channels-last.
    pixels = [views.permute(0, 2, 3, 1) for _, views in good]
    return {
        "index": torch.tensor([index for index, _ in good], dtype=torch.long),
        "image": torch.cat(pixels).permute(0, 3, 1, 2) if good else torch.empty(0, dtype=torch.uint8),
        "failures": [item for item in items if isinstance(item, ReadFailure)],
    }


def view_labels(augment: str, views: int) -> tuple[str, ...]:
    """Name the views of a training image: ``views`` of them, or the image as it is where nothing is changed."""
    return (PLAIN,) if RANGES[augment] is None else tuple(f"{augment}/{number}" for number in range(views))


def open_store(encoder: nn.Module, spec: InputSpec, context: RunContext) -> FeatureStore:
    """Open the store of the features that ``encoder`` gives on ``context`` for images as ``spec`` describes."""
    return FeatureStore(
        {
            "encoder": encoder.identity,
            "size": f"{spec.height}x{spec.width}x{spec.channels}",
            "fit": spec.fit,
            "mean": list(spec.mean),
            "std": list(spec.std),
            "precision": context.precision.name,
            "device": context.device.kind,
            "version": 1,
            "decoding": DECODING,
        },
        encoder.width,
        title=encoder.described,
    )


@dataclass
class FeatureExtractor:
    """Find the features of splits in a store, and compute those that are not there.

    With several processes each computes a share of what is missing.

    Args:
        encoder: the frozen network.
        store: where features are kept.
        spec: input of the encoder.
        context: device, precision and processes.
        workers: processes that decode images.
        reporter: gets progress, and warnings of damaged rows.
        stopping: polled after each batch.
    """

    encoder: nn.Module
    store: FeatureStore
    spec: InputSpec
    context: RunContext
    workers: int
    reporter: Reporter
    stopping: StopFlag | None = None

    def features(self, split: Split, *, augment: str = "none", views: int = 1) -> Features:
        """Return features of ``views`` augmented views of all items; of the items as they are with ``augment="none"``.

        Raises:
            Stopped: a signal came; what was computed is kept.
        """
        labels = view_labels(augment, views)
        contents, unreadable = _contents(split)
        keys = [[digest(content, label) for label in labels] for content in contents]
        wanted = self._missing(keys, labels, unreadable)
        failures = dict(unreadable)
        if wanted:
            failures |= self._compute(ViewDataset(split, self.spec, contents, augment), wanted)
        if self.store.damaged:
            self.reporter.warn(
                f"{self.store.damaged} damaged rows or files in {self.store.folder} were left out, and computed again."
            )
            self.store.damaged = 0
        failures = _with_same_content(contents, failures, split)
        positions = np.full((len(split), len(labels), 2), -1, dtype=np.int64)
        for index, row in enumerate(keys):
            if index not in failures:
                positions[index] = self.store.positions(row)
        return Features(self.store, split, positions, failures)

    def _missing(
        self, keys: list[list[bytes]], labels: tuple[str, ...], unreadable: dict[int, ReadFailure]
    ) -> dict[int, tuple[str, ...]]:
        """Return the views to compute, by item; of items with the same bytes, for one of them."""
        every = sorted({key for row in keys for key in row})
        good = dict(zip(every, self.store.intact(every), strict=True))
        wanted: list[tuple[int, list[str]]] = []
        for index, row in enumerate(keys):
            missing = [label for label, key in zip(labels, row, strict=True) if not good[key]]
            if missing and index not in unreadable:
                wanted.append((index, missing))
                good |= dict.fromkeys(row, True)
        # Of the main process: one that read the store later may have found what another run has added by then.
        agreed = self.context.group.all_gather_values(wanted)[0]
        return {index: tuple(missing) for index, missing in agreed}

    def _compute(self, views: ViewDataset, wanted: dict[int, tuple[str, ...]]) -> dict[int, ReadFailure]:
        """Compute what is ``wanted`` (views by item) into the store; returns the items that failed."""
        group, context = self.context.group, self.context
        order = list(wanted.items())
        own = order[group.rank :: group.world_size]
        size = max(1, BATCH // max(len(labels) for labels in wanted.values()))
        batches = [own[begin : begin + size] for begin in range(0, len(own), size)]
        loader = make_loader(views, batches, workers=self.workers, pin=context.pin_memory, collate_fn=collate_views)
        total, done = sum(len(labels) for _, labels in order), 0
        self.reporter.start(f"features of {views.split.name}", total, "views")
        failures: list[ReadFailure] = []
        steps = iter(loader)
        try:
            for _ in range(-(-len(order[:: group.world_size]) // size)):
                raw = next(steps, None)
                if raw is not None:
                    failures += raw["failures"]
                    seen = self._encode(raw, views, wanted) * group.world_size
                    self.reporter.advance(min(seen, total - done))
                    done += seen
                if self.stopping is not None and self.stopping.requested_anywhere(group):
                    raise self.stopping.error("the features so far are kept in the cache.", "")
        finally:
            close_loader(loader)
            self.store.merge_segments()
            self.reporter.finish()
        group.barrier()
        self.store.refresh()
        return {failure.index: failure for failure in gather_failures(failures, group)}

    def _encode(self, raw: dict[str, Any], views: ViewDataset, wanted: dict[int, tuple[str, ...]]) -> int:
        """Encode one batch into the store; returns how many views it had."""
        if not len(raw["index"]):
            return 0
        images = self.context.prepare_batch(raw, self.spec)["image"]
        values = forward_in_blocks(self.encoder, (images,), self.context, self.reporter).cpu().numpy()
        names = [(int(index), label) for index in raw["index"] for label in wanted[int(index)]]
        self.store.add([digest(views.contents[index], label) for index, label in names], values)
        return len(names)


def _with_same_content(contents: list[bytes], failures: dict[int, ReadFailure], split: Split) -> dict[int, ReadFailure]:
    """Return ``failures``, and those of items with the same bytes, of which one alone was tried."""
    by_content = {contents[index]: failure for index, failure in failures.items() if contents[index]}
    found = dict(failures)
    for index, content in enumerate(contents):
        if index not in found and content in by_content:
            found[index] = ReadFailure(index, split.ids[index], by_content[content].reason)
    return dict(sorted(found.items()))


def _contents(split: Split) -> tuple[list[bytes], dict[int, ReadFailure]]:
    """Return a digest of each item's file, and the items whose file cannot be read at all (their digest is empty)."""
    failures: dict[int, ReadFailure] = {}

    def read(index: int) -> bytes:
        try:
            return digest(split.path(index).read_bytes())
        except OSError as error:
            reason = f"image {split.path(index)}: {error.strerror or error}."
            failures[index] = ReadFailure(index, split.ids[index], reason)
            return b""

    with ThreadPoolExecutor(count_processors()) as pool:
        found = list(pool.map(read, range(len(split)), chunksize=64))
    return found, failures


def frozen_encoder_hash(model: nn.Module) -> str:
    """Return the hash of all that its features depend on; empty where there is no frozen encoder."""
    encoder = frozen_encoder(model)
    return encoder.identity if encoder is not None else ""
