"""Names before imports: a table from a name to where its object lives, readable without importing it."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from affectkit.errors import UsageError

LONGEST_NAME, MOST_NAMES = 200, 5_000
"""What "did you mean" searches for, in characters, and among."""


@dataclass(frozen=True)
class Entry:
    """The module path of an object, and the facts to be known of it without importing it.

    Attributes:
        target: ``"package.module:attribute"``.
        summary: one line on what it is.
        settings: settings of a run that mean something to it, and nothing to others of its kind.
    """

    target: str
    summary: str
    settings: tuple[str, ...] = ()

    def load(self) -> Any:
        """Import and return the object."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


class Registry(Mapping[str, Entry]):
    """An ordered table of names.

    Args:
        kind: what the names are, for messages (``"loss"``).
        entry: the class of entries, for registries that know more of each.

    >>> losses = Registry("loss")
    >>> losses.add("mse", "affectkit.losses.distribution:mse", "mean squared error")
    >>> losses["mse"].summary
    'mean squared error'
    """

    def __init__(self, kind: str, *, entry: type[Entry] = Entry) -> None:
        self.kind = kind
        self._make = entry
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, target: str, summary: str, **facts: Any) -> None:
        """Add ``name`` with the fields of its entry; a second one of the same name is an error in the program."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice: {self._entries[name].target} and {target}")
        self._entries[name] = self._make(target, summary, **facts)

    def remove(self, name: str) -> None:
        """Remove ``name`` again: an extension that is switched off."""
        del self._entries[self.check(name)]

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def check(self, name: str) -> str:
        """Return ``name`` itself, or a UsageError that lists the nearest names."""
        if name not in self._entries:
            raise UsageError(unknown_name(self.kind, name, self._entries))
        return name

    def resolve(self, name: str) -> Any:
        """Import and return the object called ``name``."""
        return self._entries[self.check(name)].load()

    def foreign_settings(self, own: Collection[str]) -> list[str]:
        """List the settings that mean something to entries that do not have them among their ``own``."""
        return sorted({setting for entry in self._entries.values() for setting in entry.settings} - set(own))


def nearest_names(name: str, known: Mapping[str, Any] | list[str]) -> list[str]:
    """Return up to three of ``known`` that look like ``name``; none where either is larger than names are."""
    if len(name) > LONGEST_NAME or len(known) > MOST_NAMES:
        return []
    return difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)


def unknown_name(kind: str, name: str, known: Mapping[str, Any] | list[str]) -> str:
    """Return the sentence for a name that is not known: the nearest ones, or all of a short list."""
    near = nearest_names(name, known)
    name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
    tail = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(list(known)[:20])}."
    return f"unknown {kind} {name!r}; {tail}"
