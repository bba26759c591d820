"""Images by path, or as a program holds them, to batches of pixels for inference; NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.spec import InputSpec
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.media.images import load_for_spec
from affectkit.data.media.images_in_memory import GivenImage
from affectkit.errors import DataError


class PathImages:
    """Images by path, or as they are given, for inference: the key is (position, path or picture)."""

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec

    def __getitem__(self, key: tuple[int, str | GivenImage]) -> tuple[int, np.ndarray] | ReadFailure:
        position, source = key
        try:
            given = isinstance(source, GivenImage)
            return position, source.fitted(self.spec) if given else load_for_spec(Path(source), self.spec)
        except DataError as error:
            return ReadFailure(position, str(source), error.message)


def collate_images(items: Sequence[tuple[int, np.ndarray] | ReadFailure]) -> dict[str, Any]:
    """Return ``{"index": B numbers, "image": uint8 (B, H, W, C), "failures": [...]}``; unreadable images apart."""
    good = [item for item in items if not isinstance(item, ReadFailure)]
    return {
        "index": [index for index, _ in good],
        "image": np.stack([image for _, image in good]) if good else np.empty(0, np.uint8),
        "failures": [item for item in items if isinstance(item, ReadFailure)],
    }
