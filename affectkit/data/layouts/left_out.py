"""What a reader of a published dataset leaves out: counted by split and reason, the first of each named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from affectkit.core.text import list_some


class LeftOut:
    """Items that are left out, by split and reason."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))

    def add(self, split: str, reason: str, name: str) -> None:
        """Count one item.

        Args:
            split: "train", "valid", "test" or "all".
            reason: as "image not there".
            name: of the file or row.
        """
        self._found[split][reason].append(name)

    def regrouped(self, splits: Mapping[str, str]) -> LeftOut:
        """Return the same items, where they were added by groups, by the split of their group; else by "all"."""
        found = LeftOut()
        for group, reasons in self._found.items():
            for why, names in reasons.items():
                for name in names:
                    found.add(splits.get(group, "all"), why, name)
        return found

    def counts(self) -> dict[str, dict[str, int]]:
        """Count items by split and reason."""
        return {split: {why: len(names) for why, names in reasons.items()} for split, reasons in self._found.items()}

    def notes(self) -> list[str]:
        """Return a line for each split and reason: "train: 2 left out (image not there): a.jpg, b.jpg"."""
        return [
            f"{split}: {len(names):,} left out ({why}): {list_some(names, 5)}"
            for split, reasons in self._found.items()
            for why, names in reasons.items()
        ]
