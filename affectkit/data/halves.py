"""Two fixed halves of a split: one to choose on (epoch, temperature, recipe), one to report on.

Which half an item is in follows from its name alone, so that the halves are the same for every model, table, seed and
machine, and a later version of the data moves no item. Importing this loads nothing heavy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from affectkit.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from affectkit.data.split import Split

HALVES = ("both", "first", "second")


def in_first_half(names: Sequence[str]) -> np.ndarray:
    """Return bool (N,): whether the first byte of the SHA-256 of each name, as UTF-8, is even.

    Args:
        names: ids of items: posix paths below the folder of their dataset.

    >>> in_first_half(["a.png", "b.png", "c.png"]).tolist()
    [False, False, True]
    """
    import numpy as np

    digests = (hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest() for name in names)
    return np.array([not digest[0] & 1 for digest in digests], dtype=bool)


def half_record(half: str) -> dict[str, str]:
    """Return what records say of a half; nothing of both, as records before this had it."""
    return {} if half == "both" else {"half": half}


def take_half(split: Split, half: str, *, option: str = "--half") -> Split:
    """Return the items of ``split`` that are in its ``half``, in their order; itself for ``both``.

    Augmented copies go with their originals.

    Raises:
        DataError: no item is in that half.
    """
    if half == "both":
        return split
    first = in_first_half(split.sources if split.sources is not None else split.ids)
    found = split.select(first if half == "first" else ~first)
    if not len(found):
        raise DataError(
            f"{option} {half}: none of the {len(split):,} items of the {split.name} split in {split.root} is in its "
            f"{half} half (by a hash of their names).",
            "Use the whole split: both.",
        )
    return found


def overlapping_fingerprints(split: Split, half: str) -> frozenset[str]:
    """Return the fingerprints of ``split`` and of those of its halves that have an item in common with its ``half``:
    what was chosen or fitted on one of these has seen such an item.

    Args:
        split: whole.
        half: in ``HALVES``.
    """
    first = in_first_half(split.sources if split.sources is not None else split.ids)
    parts = {"first": first, "second": ~first}
    halves = [split.select(rows) for name, rows in parts.items() if half in ("both", name) and rows.any()]
    return frozenset(part.fingerprint() for part in (split, *halves))
