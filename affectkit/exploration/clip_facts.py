"""Facts of prepared clips, from their store: no video is opened, and copies are told by what was stored of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from affectkit.core.progress import Reporter
from affectkit.data.media.images import resize
from affectkit.data.split import Split, Store
from affectkit.exploration.image_facts import SIDE, ImageFacts, small_picture

_STEP = 256


def clip_facts(splits: Mapping[str, Split], *, reporter: Reporter) -> ImageFacts:
    """Return the facts of the middle frames of clips, as ``image_facts.read_facts`` those of files; ``size`` is 0.

    Of stores that hold features the pictures are empty, too.
    """
    names = [(split, name) for split in splits.values() for name in split.ids]
    store = next(iter(splits.values())).store
    assert store is not None
    pixels = store.spec.features is None
    small, colour = np.zeros((len(names), SIDE, SIDE), np.uint8), np.zeros(len(names), bool)
    reporter.start("reading clips", len(names), "clips")
    for begin in range(0, len(names) if pixels else 0, _STEP):
        part = [name for _, name in names[begin : begin + _STEP]]
        frames = store.images(part, [store.frames // 2] * len(part))
        for place, frame in enumerate(frames, begin):
            small[place], colour[place] = small_picture(resize(np.ascontiguousarray(frame), SIDE, SIDE, "stretch"))
        reporter.advance(len(part))
    reporter.finish()
    sources = store.manifest.get("sources", {})
    height, width = (store.height, store.width) if pixels else (0, 0)
    return ImageFacts(
        size=np.zeros(len(names), np.int64),
        digests=[str(sources.get(name, "")).encode() for _, name in names],
        reasons={},
        width=np.full(len(names), width, np.int64),
        height=np.full(len(names), height, np.int64),
        formats=["" for _ in names],
        colour=colour,
        small=small,
    )


def describe_store(store: Store) -> dict[str, Any]:
    """Return what a store keeps of each clip: the shape of frames and sound, and the dataset that it is of."""
    spec = store.spec
    found: dict[str, Any] = {"dataset": str(store.manifest.get("dataset", "")), "frames": store.frames}
    if spec.features is not None:
        return found | {"features": [list(shape) for shape in spec.features]}
    found |= {"width": store.width, "height": store.height}
    if spec.sound is not None:
        found["sound"] = {"rate": spec.sound.rate, "seconds": spec.sound.seconds}
    return found
