"""Properties of the images of each split in a few numbers: size, format, colour, light."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectkit.exploration.image_facts import ImageFacts
from affectkit.exploration.targets import quantiles

MOST_SIZES = 10


def describe_images(facts: ImageFacts, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the properties of the readable images among those that are ``chosen``, bool (N,).

    Returns:
        ``readable``; ``width``, ``height`` (pixels), ``bytes``, ``brightness`` and ``contrast`` (``quantiles``);
        ``sizes``, the most frequent as [width, height, count], and ``different_sizes``; ``formats``, counts by name;
        ``gray`` and ``colour``, counts; ``flat``, pictures of one tone.
    """
    there = chosen & facts.readable
    width, height = facts.width[there], facts.height[there]
    sizes = Counter(zip(width.tolist(), height.tolist(), strict=True))
    colour = int(facts.colour[there].sum())
    formats = Counter(name for name, flag in zip(facts.formats, there.tolist(), strict=True) if flag and name)
    contrast = facts.contrast[there]
    return {
        "readable": int(there.sum()),
        "width": quantiles(width),
        "height": quantiles(height),
        "bytes": quantiles(facts.size[there]),
        "brightness": quantiles(facts.brightness[there]),
        "contrast": quantiles(contrast),
        "sizes": [[*size, count] for size, count in sorted(sizes.items(), key=_frequent)[:MOST_SIZES]],
        "different_sizes": len(sizes),
        "formats": dict(sorted(formats.items(), key=_frequent)),
        "gray": int(there.sum()) - colour,
        "colour": colour,
        "flat": int((contrast == 0).sum()),
    }


def _frequent(item: tuple[Any, int]) -> tuple[int, Any]:
    return -item[1], item[0]
