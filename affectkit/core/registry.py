"""Names before imports: a table from a name to where its object lives, readable without importing it."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from affectkit.core.text import list_some, one_of
from affectkit.errors import UsageError

LONGEST_NAME, MOST_NAMES = 200, 5_000
"""What "did you mean" searches for, in characters, and among."""
ALIKE = 0.6
"""Least share of the characters of two names that they have in common, in order (difflib's ratio), to be alike."""

ALMOST = 0.85
"""The same for the beginning of a long name and a short one."""


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


def nearest_names(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three different names of ``known`` that ``name`` may be a slip of: the nearest, and others as near.

    Case, dashes, underscores and spaces count for nothing. Near are those that begin with ``name``, and those that
    share at least 60% of their characters with it, in order, or whose beginning shares 85%; with no more slips than
    half of the longer one has characters. Of these, those with the fewest slips: a character too many, too few or
    another one, two swapped, an end that is left out; of as few, those that begin as ``name`` does. None where the
    name, or what is known, is larger than names are.

    >>> nearest_names("ResNet-81", ["resnet18", "resnet34", "resnet18", "convnext"])
    ['resnet18']
    >>> nearest_names("fces", ["faces-and-films", "python"]), nearest_names("accuracyy", ["aurc", "ece"])
    (['faces-and-films'], [])
    """
    forms = {one: _plain(one) for one in known}
    wanted = _plain(name)
    if not wanted or len(name) > LONGEST_NAME or len(forms) > MOST_NAMES:
        return []
    if same := [one for one, form in forms.items() if form == wanted]:
        return same[:3]
    like, begins = difflib.SequenceMatcher(b=wanted), difflib.SequenceMatcher(b=wanted)
    slips: dict[str, int] = {}
    for one, form in forms.items():
        like.set_seq1(form)
        begin = form[: len(wanted) + 1]
        begins.set_seq1(begin)
        if (
            (len(wanted) >= 3 and form.startswith(wanted))
            or (min(like.real_quick_ratio(), like.quick_ratio()) >= ALIKE and like.ratio() >= ALIKE)
            or (len(wanted) >= 4 and begins.quick_ratio() >= ALMOST and begins.ratio() >= ALMOST)
        ):
            count = min(count_slips(form, wanted), 1 + count_slips(begin, wanted))
            if 2 * count <= max(len(form), len(wanted)):
                slips[one] = count
    near = [one for one, count in slips.items() if count == min(slips.values())]
    alike = [one for one in near if forms[one][:3] == wanted[:3]]
    return (alike or near)[:3]


def count_slips(one: str, other: str) -> int:
    """Return the least number of slips between two words: characters put in, left out, replaced, or two swapped.

    Each pair of neighbours is swapped once at most (optimal string alignment).

    >>> count_slips("resnet18", "resnet81"), count_slips("fog", "frost")
    (1, 3)
    """
    above: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        above, before, row = row, above, [i]
        for j, right in enumerate(other, 1):
            best = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                best = min(best, before[j - 2] + 1)
            row.append(best)
    return row[-1]


def _plain(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign not in "-_ ")


def did_you_mean(name: str, known: Iterable[str], *, before: str = "") -> str:
    """Return a question that names what was meant, behind ``before`` where there is one; empty where nothing is near.

    >>> did_you_mean("fgo", ["fog", "frost"], before=" "), did_you_mean("rain", ["fog", "frost"])
    (' Did you mean fog?', '')
    """
    near = nearest_names(name, known)
    return f"{before}Did you mean {one_of(near)}?" if near else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that is not known: the nearest ones, or all of a short list."""
    known = list(known)
    near = nearest_names(name, known)
    name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
    tail = f"did you mean {one_of(near)}?" if near else f"known are {list_some(known, 20)}."
    return f"unknown {kind} {name!r}; {tail}"
