"""Divide units (groups of items that stay together) into parts that are balanced over classes and over size.

A part is a fold, or the validation part of what a fold trains on. The search is greedy, the largest units first, and
then exchanges units while that helps; items that are units of their own come last and are dealt out exactly. What comes
out depends on the units, their ranks and nothing else: not on the order of rows, nor on threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST_EXCHANGED = 1000
"""Units of several items up to which pairs of them are exchanged; each pass compares all pairs."""
PASSES = 10
STEP = 2.0
"""Ratio of the squared sizes of units up to which their order is drawn."""
DIGITS = 12
"""Costs that agree in so many decimals are equal: the order of a sum decides nothing."""


def unit_counts(columns: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add up the items of each unit.

    Args:
        columns: (N, K) of each item, what is balanced: 1 in the column of its class.
        units: int (N,), from 0, the unit of each item.

    Returns:
        counts (U, K) and sizes (U,), float64.
    """
    number = int(units.max()) + 1
    counts = np.zeros((number, columns.shape[1]))
    np.add.at(counts, units, columns)
    return counts, np.bincount(units, minlength=number).astype(np.float64)


def divide_units(counts: np.ndarray, sizes: np.ndarray, shares: Sequence[float], ranks: Sequence[int]) -> np.ndarray:
    """Return the part of each unit, int (U,), from 0; each part has a unit at least.

    What is made small is the sum, over parts and columns, of (the part's share of the column - its wanted share)^2, the
    number of items being one more column. So a rare class counts as much as a frequent one.

    Args:
        counts: (U, K) of each unit, see ``unit_counts``.
        sizes: (U,) items of each unit, at least 1.
        shares: wanted of each part, which sum to 1.
        ranks: (U,) all different, by which units that are alike are told apart: hashes of seed and name.

    Raises:
        ValueError: there are fewer units than parts.
    """
    wanted = np.asarray(shares, dtype=np.float64)
    if len(sizes) < len(wanted):
        raise ValueError(f"{len(sizes)} units cannot make {len(wanted)} parts")
    totals = counts.sum(0)
    values = np.column_stack([counts[:, totals > 0] / totals[totals > 0], sizes / sizes.sum()])
    # Units within a step of size are taken by rank: of groups that all differ in size, too, each seed has its folds.
    steps = np.round(np.log(np.round(np.square(values).sum(1), DIGITS) + 10.0**-DIGITS) / np.log(STEP))
    order = np.lexsort((np.asarray(ranks, dtype=np.int64), -steps))
    state = _State(values, wanted)
    several = [int(unit) for unit in order if sizes[unit] > 1]
    for unit in several:
        state.put(unit, state.best_part(values[unit]))
    state.improve(several)
    _deal(state, [int(unit) for unit in order if sizes[unit] == 1])
    state.fill_empty(order)
    return state.part


class _State:
    """What each part holds so far.

    Attributes:
        values: (U, K) of each unit its shares of the columns.
        over: (F, K) by how much each part's shares are above what is wanted.
        wanted: (F, 1) share of each part.
        part: int (U,) of each unit; -1 where it has none yet.
    """

    def __init__(self, values: np.ndarray, wanted: np.ndarray) -> None:
        self.values = values
        self.wanted = wanted[:, None]
        self.over = -np.repeat(self.wanted, values.shape[1], axis=1)
        self.part = np.full(len(values), -1, dtype=np.int64)

    def put(self, unit: int, part: int) -> None:
        """Put a unit into a part, out of the one that it is in."""
        if self.part[unit] >= 0:
            self.over[self.part[unit]] -= self.values[unit]
        self.over[part] += self.values[unit]
        self.part[unit] = part

    def slope(self, value: np.ndarray) -> np.ndarray:
        """Return (F,) half of what adding ``value`` to each part costs, but for a term that is the same for all."""
        return (self.over * value).sum(1)

    def best_part(self, value: np.ndarray) -> int:
        """Return the part that a unit of ``value`` costs least in."""
        return int(np.argmin(np.round(self.slope(value), DIGITS)))

    def slope_with(self, value: np.ndarray, count: int) -> np.ndarray:
        """Return (F,) the slope for ``value`` where not all units count, but those placed and ``count`` of ``value``.

        Measured against all, the first to be dealt out would fill the parts that are to become the largest.
        """
        return ((self.over - self.wanted * (self.over.sum(0) + count * value)) * value).sum(1)

    def improve(self, units: Sequence[int]) -> None:
        """Move units, and exchange two, as long as the sum of squares falls."""
        chosen = np.asarray(units, dtype=np.int64)
        for _ in range(PASSES):
            changed = [self._move(unit) for unit in units]
            if len(units) <= MOST_EXCHANGED:
                changed += [self._exchange(unit, chosen) for unit in units]
            if not any(changed):
                return

    def _move(self, unit: int) -> bool:
        own, value = self.part[unit], self.values[unit]
        if (self.part == own).sum() == 1:
            return False
        slope, square = self.slope(value), float((value * value).sum())
        gain = slope - slope[own] + square
        gain[own] = 0.0
        best = int(np.argmin(np.round(gain, DIGITS)))
        if gain[best] >= -(10.0**-DIGITS):
            return False
        self.put(unit, best)
        return True

    def _exchange(self, unit: int, others: np.ndarray) -> bool:
        own = self.part[unit]
        others = others[self.part[others] != own]
        if not len(others):
            return False
        more = self.values[others] - self.values[unit]
        gain = (more * (self.over[own] - self.over[self.part[others]])).sum(1) + (more * more).sum(1)
        best = int(np.argmin(np.round(gain, DIGITS)))
        if gain[best] >= -(10.0**-DIGITS):
            return False
        other, part = int(others[best]), int(self.part[others[best]])
        self.put(other, int(own))
        self.put(unit, part)
        return True

    def fill_empty(self, order: np.ndarray) -> None:
        """Give each part without a unit the one that costs least, of a part that has several."""
        for part in range(len(self.over)):
            if (self.part == part).any():
                continue
            held = np.bincount(self.part, minlength=len(self.over))
            movable = [int(unit) for unit in order if held[self.part[unit]] > 1]
            costs = [
                float((self.values[unit] * (self.over[part] - self.over[self.part[unit]] + self.values[unit])).sum())
                for unit in movable
            ]
            self.put(movable[int(np.argmin(np.round(costs, DIGITS)))], part)


def _deal(state: _State, units: Sequence[int]) -> None:
    """Deal out units of one item: those that are alike together, so many to each part as costs least."""
    kinds: dict[bytes, list[int]] = {}
    for unit in units:  # largest first, and by rank where they are alike
        kinds.setdefault(state.values[unit].tobytes(), []).append(unit)
    for alike in kinds.values():
        value = state.values[alike[0]]
        numbers = _level(state.slope_with(value, len(alike)), float((value * value).sum()), len(alike))
        left, dealt = len(alike) - int(numbers.sum()), 0
        for part, number in enumerate(numbers.tolist()):
            for unit in alike[dealt : dealt + number]:
                state.put(unit, part)
            dealt += number
        for unit in alike[dealt:]:
            state.put(unit, int(np.argmin(np.round(state.slope_with(value, left), DIGITS))))
            left -= 1


def _level(slope: np.ndarray, square: float, count: int) -> np.ndarray:
    """Return int (F,): how many of ``count`` units each part takes at least, as water finds its level.

    The cost of n more is 2 n slope + n^2 square, so that the continuous optimum is max(0, (level - slope) / square).
    """
    low = np.sort(slope)
    for number in range(len(low), 0, -1):
        level = (low[:number].sum() + count * square) / number
        if level >= low[number - 1]:
            break
    exact = np.maximum(0.0, (level - slope) / square)
    return np.floor(exact + 1e-9).astype(np.int64)
