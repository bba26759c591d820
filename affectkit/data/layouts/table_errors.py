"""Errors in the rows of a table, collected by rule and raised together with their lines."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from affectkit.core.text import some
from affectkit.errors import DataError


class TableErrors:
    """TableErrors of a table by kind, told together.

    Args:
        every: name every line, not the first ten alone.
    """

    def __init__(self, path: Path, *, every: bool = False) -> None:
        self.path = path
        self.every = every
        self.found: dict[str, list[str]] = defaultdict(list)
        self.lines: dict[str, list[int]] = defaultdict(list)

    def add(self, kind: str, line: int, what: str = "") -> None:
        """One more fault; ``kind`` is the rule that is broken, ``what`` the value."""
        self.found[kind].append(f"{line} ({what})" if what else str(line))
        self.lines[kind].append(line)

    def take(self, other: TableErrors) -> None:
        """Those of ``other``, too."""
        for kind, texts in other.found.items():
            self.found[kind] += texts
            self.lines[kind] += other.lines[kind]

    def check(self, hint: str = "") -> None:
        """Raise a DataError that lists all faults, if there are any."""
        if self.found:
            kinds = [
                f"{kind}: line{'s' * (len(at) > 1)} {some(at)}{self._all(kind)}" for kind, at in self.found.items()
            ]
            text = kinds[0] if len(kinds) == 1 else "\n  - " + "\n  - ".join(kinds)
            raise DataError(f"table {self.path}: {text}.", hint)

    def _all(self, kind: str) -> str:
        """Every line of a fault, where not all have been named, with neighbours folded."""
        lines = sorted(set(self.lines[kind]))
        if not self.every or len(self.lines[kind]) <= 10:
            return ""
        spans: list[list[int]] = []
        for line in lines:
            if spans and line == spans[-1][1] + 1:
                spans[-1][1] = line
            else:
                spans.append([line, line])
        return " (all: " + ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans) + ")"
