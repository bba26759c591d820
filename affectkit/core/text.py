"""Counts and lists as text, for messages."""

from __future__ import annotations

from collections.abc import Sequence


def list_some(items: Sequence[object], limit: int = 10) -> str:
    """Return ``items`` as text: the first ``limit`` of them, and how many more there are.

    >>> list_some(["a", "b"]), list_some(range(1_000), 2)
    ('a, b', '0, 1 and 998 more')
    """
    shown = ", ".join(str(item) for item in items[:limit])
    return f"{shown} and {len(items) - limit:,} more" if len(items) > limit else shown


def count_text(count: int, noun: str, plural: str = "") -> str:
    """Return ``count`` and ``noun``, in the plural but for one.

    >>> count_text(1, "face"), count_text(2_000, "image"), count_text(0, "foot", "feet")
    ('1 face', '2,000 images', '0 feet')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
