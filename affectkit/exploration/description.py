"""A dataset as it was found, from which results are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectkit.data.layouts.discovery import Source
from affectkit.exploration.copies import Copies
from affectkit.exploration.image_facts import ImageFacts


@dataclass(frozen=True, eq=False)
class Description:
    """A dataset as it was found; N items, those of all splits one after the other.

    Attributes:
        source: the dataset.
        split: int64 (N,), of each item its split.
        labels: int64 (N,), the class of each item, or that with the largest share; -1 where it has none.
        facts: of each item.
        copies: exact and near ones.
        group: name of the column that groups the items, and the cells by split; None without.
        summary: plain values, as ``--json`` prints them.
    """

    source: Source
    split: NDArray[np.int64] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    facts: ImageFacts = field(repr=False)
    copies: Copies = field(repr=False)
    group: tuple[str, dict[str, list[str]]] | None = field(repr=False)
    summary: dict[str, Any] = field(repr=False)

    def names(self) -> list[str]:
        """Return the ids of all items."""
        return [name for split in self.source.splits.values() for name in split.ids]
