"""Metrics that are one quantity under two names: a user may name either, results keep the task's own."""

from __future__ import annotations

from collections.abc import Collection

SHARE_RIGHT = ("accuracy", "top1")
"""The share of items whose predicted class is the top class of the target, as classification and distribution name
it."""


def known_as(name: str, known: Collection[str]) -> str:
    """Return the name that ``known`` has for the metric ``name``, which may have a prefix as ``gap:``; else ``name``.

    >>> known_as("accuracy", ["kl", "top1"]), known_as("gap:top1", ["gap:accuracy"]), known_as("accuracy", ["ccc"])
    ('top1', 'gap:accuracy', 'accuracy')
    """
    prefix, colon, plain = name.rpartition(":")
    if name in known or plain not in SHARE_RIGHT:
        return name
    return next((found for other in SHARE_RIGHT if (found := f"{prefix}{colon}{other}") in known), name)
