"""Groups of files that must stay on one side of a split, such as the images of one subject."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from affectkit.core.expressions import compile_expression
from affectkit.errors import DataError, UsageError

_PASSES = 20
_MOST_FOR_PAIRS = 300  # trying all pairs takes a second at this number of groups


@dataclass(frozen=True)
class Grouping:
    """Say which group each file is of (by label and file name), and how many files of each label a group has."""

    of: dict[str, dict[str, str]]
    counts: dict[str, dict[str, int]]

    def groups_of(self, label: str) -> set[str]:
        """Return the groups that have files of ``label``."""
        return set(self.of[label].values())


def check_pattern(pattern: str) -> re.Pattern[str]:
    """Compile ``pattern``, with ``file:`` before it or without; a UsageError where it has not exactly one group."""
    return compile_expression(pattern, "--group-by")


def group_files(classes: Mapping[str, Sequence[str]], pattern: str) -> Grouping:
    """Group all files by a search of ``pattern`` in their names (without the folder).

    Raises:
        UsageError: the pattern is not one with a group, or matches no file.
        DataError: it does not match some files.
    """
    compiled = check_pattern(pattern)
    of: dict[str, dict[str, str]] = {}
    counts: dict[str, dict[str, int]] = {}
    unmatched: list[str] = []
    for label, names in classes.items():
        own = of.setdefault(label, {})
        for name in names:
            found = compiled.search(name)
            if found is None or found.group(1) is None:
                unmatched.append(f"{label}/{name}")
                continue
            group = own[name] = found.group(1)
            counts.setdefault(group, {}).setdefault(label, 0)
            counts[group][label] += 1
    total = sum(map(len, classes.values()))
    if len(unmatched) == total:
        raise UsageError(
            f"--group-by {pattern!r} matches none of the {total:,} file names, such as {unmatched[0]}.",
            "The pattern is searched in the name without its folder.",
        )
    if unmatched:
        raise DataError(
            f"--group-by {pattern!r} does not match {len(unmatched):,} of {total:,} file names, such as "
            f"{', '.join(unmatched[:3])}: which side they must stay on is not known.",
            "Widen the pattern, or move these files out.",
        )
    return Grouping(of, counts)


def choose_test(grouping: Grouping, order: Sequence[str], wanted: Mapping[str, int]) -> set[str]:
    """Choose the groups that test, the files of each label as near to ``wanted`` as a local search gets.

    Every label keeps a group that trains; it has one that tests where it has two groups and ``wanted`` is not 0.

    Args:
        order: all groups, in the order in which they are tried.
    """
    search = _Search(grouping, wanted)
    for group in order:
        if search.gain(group) > 0 and search.allowed(group):
            search.flip(group)
    for _ in range(_PASSES):
        better = [search.try_flip(group) for group in order]
        if len(order) <= _MOST_FOR_PAIRS:
            better += [search.try_swap(one, other) for one in order for other in order if one < other]
        if not any(better):
            break
    search.fill(order)
    return search.chosen


class _Search:
    """Search a set of groups, changed a group at a time; the cost is the squared miss of each label over its size."""

    def __init__(self, grouping: Grouping, wanted: Mapping[str, int]) -> None:
        self.counts = grouping.counts
        self.size = {label: len(files) for label, files in grouping.of.items()}
        self.wanted = wanted
        self.have = dict.fromkeys(self.size, 0)
        self.chosen: set[str] = set()

    def gain(self, group: str) -> float:
        """Compute by how much the cost falls when ``group`` changes sides."""
        sign = -1 if group in self.chosen else 1
        total = 0.0
        for label, count in self.counts[group].items():
            miss = self.have[label] - self.wanted[label]
            total += (miss * miss - (miss + sign * count) ** 2) / self.size[label]
        return total

    def allowed(self, group: str) -> bool:
        """Return whether each label keeps something to train on when ``group`` changes sides."""
        if group in self.chosen:
            return True
        return all(self.have[label] + count < self.size[label] for label, count in self.counts[group].items())

    def flip(self, group: str) -> None:
        sign = -1 if group in self.chosen else 1
        for label, count in self.counts[group].items():
            self.have[label] += sign * count
        self.chosen ^= {group}

    def try_flip(self, group: str) -> bool:
        """Change the side of ``group`` where that is nearer."""
        if self.gain(group) <= 1e-9 or not self.allowed(group):
            return False
        self.flip(group)
        return True

    def try_swap(self, one: str, other: str) -> bool:
        """Change the sides of both where they differ and that is nearer."""
        if (one in self.chosen) == (other in self.chosen):
            return False
        out, into = (one, other) if one in self.chosen else (other, one)
        first = self.gain(out)
        self.flip(out)
        if first + self.gain(into) > 1e-9 and self.allowed(into):
            self.flip(into)
            return True
        self.flip(out)
        return False

    def fill(self, order: Collection[str]) -> None:
        """Give each label that should test and does not the group that costs least."""
        for label, have in sorted(self.have.items()):
            if have or not self.wanted[label] or self.have[label]:
                continue
            able = [group for group in order if label in self.counts[group] and self.allowed(group)]
            if able:
                self.flip(max(able, key=self.gain))
