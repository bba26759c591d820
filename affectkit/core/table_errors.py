"""Errors in the rows of a table, collected by rule and raised together with their lines."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from affectkit.core.text import list_some
from affectkit.errors import AffectkitError, DataError


class TableErrors:
    """Rows of a table that break a rule, by rule.

    Args:
        path: the table.
        every: name every line, not the first ten alone.
        title: what the user calls the table, as "--baseline b.csv"; without, "table" and its path.
    """

    def __init__(self, path: Path, *, every: bool = False, title: str = "") -> None:
        self.path = path
        self.title = title or f"table {path}"
        self.every = every
        self.found: dict[str, list[str]] = defaultdict(list)
        self.lines: dict[str, list[int]] = defaultdict(list)

    def __bool__(self) -> bool:
        return bool(self.found)

    def add(self, rule: str, line: int, value: str = "") -> None:
        """Add one more line that breaks ``rule``.

        Args:
            rule: what holds of every row, as "label must not be empty".
            line: of the file, its header being line 1.
            value: what stands there.
        """
        self.found[rule].append(f"{line} ({value})" if value else str(line))
        self.lines[rule].append(line)

    def extend(self, other: TableErrors) -> None:
        """Add those of ``other``."""
        for rule, texts in other.found.items():
            self.found[rule] += texts
            self.lines[rule] += other.lines[rule]

    def check(self, hint: str = "", *, error: type[AffectkitError] = DataError) -> None:
        """Raise all of them as one error.

        Args:
            hint: the next step.
            error: the kind of error.

        Raises:
            AffectkitError: of the kind ``error``, where there are any.
        """
        if self.found:
            texts = [
                f"{rule}: line{'s' * (len(at) > 1)} {list_some(at)}{self._all_lines(rule)}"
                for rule, at in self.found.items()
            ]
            text = texts[0] if len(texts) == 1 else "\n  - " + "\n  - ".join(texts)
            raise error(f"{self.title}: {text}.", hint)

    def _all_lines(self, rule: str) -> str:
        """List every line that breaks ``rule``, where not all have been named, with neighbours folded."""
        lines = sorted(set(self.lines[rule]))
        if not self.every or len(self.lines[rule]) <= 10:
            return ""
        spans: list[list[int]] = []
        for line in lines:
            if spans and line == spans[-1][1] + 1:
                spans[-1][1] = line
            else:
                spans.append([line, line])
        return " (all: " + ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans) + ")"
