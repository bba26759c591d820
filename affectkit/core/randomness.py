"""Randomness that is addressed, not streamed.

What is drawn for an item depends on (seed, item identity, draw number) alone, so results do not depend on
workers, order, machine or on where a run was resumed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def address_seed(seed: int, *parts: str | int) -> int:
    """Return a 63-bit number that depends on ``seed`` and ``parts`` and on nothing else.

    >>> address_seed(0, "face.png", 3) == address_seed(0, "face.png", 3)
    True
    >>> address_seed(0, "ab", "c") == address_seed(0, "a", "bc")
    False
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in (seed, *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int, *parts: str | int) -> np.random.Generator:
    """Return a NumPy generator at that address."""
    import numpy as np

    return np.random.default_rng(address_seed(seed, *parts))


def torch_generator(seed: int, *parts: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch generator at that address, on ``device``."""
    import torch

    return torch.Generator(device).manual_seed(address_seed(seed, *parts))
