"""Assignment of boxes to tracks for the largest sum."""

from __future__ import annotations

import itertools
import math

import numpy as np

SMALL = 120
"""Assignments of rows and columns that depend on each other, at most, that are all tried: 5 x 5, or 11 x 2."""


def assign_pairs(gains: np.ndarray) -> list[tuple[int, int]]:
    """Assign rows to columns of ``gains`` (M, N), not below 0, each once at most, for the largest sum: min(M, N)
    pairs, in order.
    """
    pairs: list[tuple[int, int]] = []
    for rows, columns in _groups(gains > 0):
        if math.perm(*sorted((len(rows), len(columns)), reverse=True)) <= SMALL:
            pairs += _best_of_all(gains, rows, columns)
            continue
        from scipy.optimize import linear_sum_assignment  # 0.3 s, and few videos need it

        chosen = linear_sum_assignment(gains[np.ix_(rows, columns)], maximize=True)
        pairs += [(rows[row], columns[column]) for row, column in zip(*chosen, strict=True)]
    # The others add nothing to the sum.
    left = (sorted(set(range(size)) - {pair[axis] for pair in pairs}) for axis, size in enumerate(gains.shape))
    return sorted([*pairs, *zip(*left, strict=False)])


def _groups(above: np.ndarray) -> list[tuple[list[int], list[int]]]:
    """Return the rows and columns that are joined by what is ``above`` 0, directly or through others."""
    groups = []
    free = set(np.flatnonzero(above.any(1)).tolist())
    while free:
        rows, columns, new = set(), set(), {min(free)}
        while new:
            rows |= new
            columns |= set(np.flatnonzero(above[sorted(new)].any(0)).tolist())
            new = set(np.flatnonzero(above[:, sorted(columns)].any(1)).tolist()) - rows
        free -= rows
        groups.append((sorted(rows), sorted(columns)))
    return groups


def _best_of_all(gains: np.ndarray, rows: list[int], columns: list[int]) -> list[tuple[int, int]]:
    """Return the pairs of the largest sum, by trying all; the first of several."""
    if len(rows) > len(columns):
        return [(row, column) for column, row in _best_of_all(gains.T, columns, rows)]
    values = gains[np.ix_(rows, columns)].tolist()
    ways = itertools.permutations(range(len(columns)), len(rows))
    best = max(ways, key=lambda way: sum(values[row][column] for row, column in enumerate(way)))
    return [(row, columns[column]) for row, column in zip(rows, best, strict=True)]
