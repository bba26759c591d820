"""The cells of one table, once they have been read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from affectkit.core.table_errors import TableErrors
from affectkit.core.text import list_some


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of a table, or of the rows of one split in it.

    Attributes:
        path: the CSV file.
        root: the folder that file names are relative to.
        emotions: names of the columns that are classes, in their order; empty where there are none.
        ids: posix paths relative to ``root``, (N,).
        lines: the rows' line numbers in the file, the header being line 1, (N,).
        labels: class names (N,), or None without a label column.
        splits: "train", "valid" or "test" (N,), or None without a split column.
        values: float64 (N, E), finite.
        ratings: float64 (N, 2) in the order of ``RATINGS``, NaN where one has no column; None where not asked for.
        sources: of copies, as datasplit makes them, the id of their original, and of others their own (N,); None
            without columns ``source`` and ``draw``.
        every: whether a fault names all of its lines.
        columns: the names of all columns.
        others: those that are neither classes nor of ``RESERVED``, and why.
    """

    path: Path
    root: Path
    emotions: tuple[str, ...]
    ids: list[str] = field(repr=False)
    lines: list[int] = field(repr=False)
    labels: list[str] | None = field(repr=False)
    splits: list[str] | None = field(repr=False)
    values: np.ndarray = field(repr=False)
    ratings: np.ndarray | None = field(default=None, repr=False)
    sources: list[str] | None = field(default=None, repr=False)
    every: bool = False
    columns: tuple[str, ...] = ()
    others: dict[str, str] = field(default_factory=dict, repr=False)

    def errors(self) -> TableErrors:
        """Return an empty list of faults of this table."""
        return TableErrors(self.path, every=self.every)

    def part(self, name: str) -> Table:
        """Return the rows whose split column says ``name``."""
        assert self.splits is not None
        rows = [row for row, split in enumerate(self.splits) if split == name]
        return replace(
            self,
            ids=[self.ids[row] for row in rows],
            lines=[self.lines[row] for row in rows],
            labels=None if self.labels is None else [self.labels[row] for row in rows],
            splits=None,
            values=self.values[rows],
            ratings=None if self.ratings is None else self.ratings[rows],
            sources=None if self.sources is None else [self.sources[row] for row in rows],
        )

    def where(self, rows: np.ndarray | Sequence[int]) -> str:
        """Return the lines of ``rows`` (positions) as text: "line 4" or "lines 4, 9"."""
        lines = [self.lines[int(row)] for row in rows]
        return f"{'line' if len(lines) == 1 else 'lines'} {list_some(lines)}"
