"""Images or clips: where a split or a model takes the one or the other, the readers that go with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from affectkit.core.spec import InputSpec
from affectkit.data.loading.path_images import PathImages, collate_images
from affectkit.data.loading.presets import Augmentation
from affectkit.data.media.images import load_for_spec
from affectkit.data.split import Split

if TYPE_CHECKING:
    from affectkit.data.loading.clips import SplitClips
    from affectkit.data.loading.loaders import InMemoryImages, SplitImages


def make_dataset(
    split: Split,
    spec: InputSpec,
    *,
    augment: str | Augmentation = "none",
    seed: int = 0,
    held: InMemoryImages | None = None,
) -> SplitImages | SplitClips:
    """Return the items of ``split`` as a model of ``spec`` takes them."""
    if split.store is None:
        from affectkit.data.loading.loaders import SplitImages

        return SplitImages(split, spec, augment=augment, seed=seed, held=held)
    from affectkit.data.loading.clips import SplitClips

    return SplitClips(split, spec, augment=augment, seed=seed)


def collate_function(split: Split) -> Callable[[Any], dict[str, Any]]:
    """Return how items of ``make_dataset`` become a batch."""
    if split.store is None:
        from affectkit.data.loading.loaders import collate

        return collate
    from affectkit.data.loading.clips import identity_collate

    return identity_collate


def image_of_item(split: Split, spec: InputSpec, index: int) -> np.ndarray:
    """Return the image that is shown for an item: uint8 (H, W, C)."""
    if split.store is None:
        return load_for_spec(split.path(index), spec)
    return make_dataset(split, spec).plain(index)


def item_files(spec: InputSpec) -> tuple[Any, Callable[[Any], dict[str, Any]]]:
    """Return what reads files for inference by key (position, path), and the function that makes batches of them."""
    if spec.clip is None:
        return PathImages(spec), collate_images
    from affectkit.data.loading.clips import PathClips, collate_clips

    return PathClips(spec), collate_clips


def item_name(spec: InputSpec) -> str:
    """Return the word for its items, for messages."""
    return "images" if spec.clip is None else "clips"
