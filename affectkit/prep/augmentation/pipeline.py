"""Augmentation pipelines of Albumentations, with randomness that is addressed instead of streamed.

In Albumentations 2.0.8 a seeded ``Compose`` hands every transform the same stream, so that flips in two transforms
fire together or not at all, and forked workers repeat each other. Here every transform and every composition gets a
stream of its own for every image, at the address (seed, "augment", name, draw, position): the same bytes come out in
any process, order or worker.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectkit.core.randomness import address_seed
from affectkit.errors import DataError
from affectkit.prep.augmentation import allowed_transforms as rules
from affectkit.prep.augmentation.specification import BUILT_IN, FULL, canonical, node_class, walk_nodes

if TYPE_CHECKING:
    import numpy as np

    from affectkit.prep.augmentation.building import BuiltPipeline

_of_thread = (
    threading.local()
)  # built pipelines by identity; the objects hold their random state, so a thread has its own


@dataclass(frozen=True)
class Pipeline:
    """Hold a checked pipeline, as plain data: it can be sent to worker processes and written into a manifest.

    Args:
        spec: what ``albumentations.to_dict`` gives, JSON-able; treat it as read-only.
        source: "built-in", or the file that it was read from.
        notes: what was converted, in sentences for the user; empty for a file of the installed version.
    """

    spec: dict[str, Any]
    source: str = BUILT_IN
    notes: tuple[str, ...] = ()

    @functools.cached_property
    def identity(self) -> str:
        """Hash, by SHA-256, the canonical specification, Albumentations' version and NumPy's major one.

        Two pipelines of one identity give the same pixels.
        """
        versions = [importlib.metadata.version("albumentations"), importlib.metadata.version("numpy").split(".")[0]]
        text = json.dumps([canonical(self.spec["transform"]), *versions], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def apply(self, pixels: np.ndarray, *, seed: int, name: str, draw: int) -> np.ndarray:
        """Augment a copy of ``pixels``: the same bytes for the same (seed, name, draw), whoever asks and when.

        The last of 2 or 4 channels is alpha: geometric transforms move it with the colours (interpolated alike, as
        ``mask`` with ``fill_mask``), pixel transforms leave it as it is. 16-bit images go through float32 in [0, 1],
        which holds every 16-bit value exactly; fill values of the pipeline stay in units of 0 to 255.

        Args:
            pixels: uint8 or uint16, (H, W) gray or (H, W, C) with C 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha).
            seed: of the run.
            name: the image's identity, such as ``class/file``.
            draw: number of the copy, from 0.

        Returns:
            An array of the same shape and type, C-contiguous; ``pixels`` is left as it was.

        Raises:
            DataError: the pipeline cannot take this image (a 16-bit one and a transform that works on 8 bits, a gray
                one and a transform for colours), or does not keep its size.
        """
        from affectkit.prep.augmentation import building

        kind = pixels.dtype.name
        if kind not in FULL or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (2, 3, 4)):
            raise DataError(
                f"{name}: pixels of type {kind} and shape {pixels.shape} cannot be augmented.",
                "8-bit and 16-bit images, gray or RGB, with or without alpha, can.",
            )
        if kind == "uint16":
            self._check_sixteen_bit(name)
        built = self._built(kind)
        built.seek(address_seed(seed, "augment", name, draw))
        with building.naming_errors(self.source, name, built):
            return building.call_pipeline(built.root, pixels, name=name, source=self.source)

    def transforms(self) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """Yield (place, depth, node) of every composition and transform in the order of application, the root first."""
        yield from walk_nodes(self.spec["transform"])

    def _check_sixteen_bit(self, name: str) -> None:
        found = [
            f"{place} {kind}" for place, _, node in self.transforms() if (kind := node_class(node)) in rules.EIGHT_BIT
        ]
        if found:
            raise DataError(
                f"{name} has 16 bits a channel, and {', '.join(found)} (pipeline {self.source}) works on 8 bits.",
                "Take the transform out of the pipeline, or convert the images to 8 bits first.",
            )

    def _built(self, kind: str) -> BuiltPipeline:
        """Return the objects for this thread, built on first use."""
        from affectkit.prep.augmentation import building

        kept = _of_thread.__dict__.setdefault("built", {})
        key = (self.identity, kind)
        if key not in kept:
            kept[key] = building.build_pipeline(self.spec["transform"], unit=kind == "uint16")
        return kept[key]


def load_pipeline(path: Path | None) -> Pipeline:
    """Load the pipeline in a YAML file of the installed Albumentations or of 1.x; None: the built-in one.

    Raises:
        UsageError: the file cannot be read, is not a pipeline, names what is not allowed, or would change its meaning
            in silence; the message says the file, the place in the pipeline, the rule and the next step.
    """
    if path is None:
        return Pipeline(rules.built_in())
    from affectkit.prep.augmentation.reading import read_pipeline

    spec, notes = read_pipeline(Path(path))
    return Pipeline(spec, source=str(path), notes=notes)
