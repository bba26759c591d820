"""Permutation tests of two models on the same items: which model an output came from is exchanged item by item."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from affectkit.core.randomness import numpy_generator
from affectkit.metrics.distribution import Floats
from affectkit.statistics.measures import Measure
from affectkit.statistics.units import Units

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_EXACT = 14
"""Up to so many units all 2^G swaps are taken, not drawn."""
_TIE = 1e-9  # relative: sums in another order are as far off
_CELLS = 2_000_000


def permutation_tests(
    pairs: Sequence[tuple[Measure, Measure]], units: Sequence[Units], *, draws: int, seed: int
) -> list[tuple[float, str]]:
    """Return (p, name of the test) of each pair, all from the same swaps.

    Under the null hypothesis the two outputs on an item (or on all items of a cluster) could as well have come from
    the other model. p is the share of the swaps, the one that was seen among them, whose absolute difference is at
    least that seen: exact where all 2^G swaps are taken, and valid where they are drawn (Phipson and Smyth 2010).

    Args:
        pairs: first and second measure.
        units: of each pair, with the terms of the first and of the second side by side.
        draws: number of swaps.
        seed: their address.
    """
    found: list[tuple[float, str]] = [(math.nan, "")] * len(pairs)
    alike: dict[int, list[int]] = {}
    for place, each in enumerate(units):
        alike.setdefault(id(each), []).append(place)
    for places in alike.values():
        each = units[places[0]]
        if each.count < 1:
            continue
        width = pairs[places[0]][0].terms.shape[1]
        first, second = each.table[:, :width], each.table[:, width:]
        if first.shape != second.shape:
            continue
        apart = second - first
        differ = (apart != 0).any(axis=1)
        exact, swaps = _swapped(apart[differ], each.counts[differ], draws, seed)
        total = each.total
        beyond, number = np.zeros(len(places)), 0
        seen = [_gap(pairs[place], total[:width], total[width:]) for place in places]
        for moved in swaps:
            number += len(moved)
            for row, place in enumerate(places):
                gaps = np.abs(_gap(pairs[place], total[:width] + moved, total[width:] - moved))
                beyond[row] += np.count_nonzero(gaps >= abs(seen[row]) * (1 - _TIE) - 1e-15)
        what = "cluster permutation" if each.clustered else "permutation"
        for row, place in enumerate(places):
            if math.isnan(seen[row]):
                found[place] = math.nan, "not defined"
                continue
            p = beyond[row] / number if exact else (beyond[row] + 1) / (number + 1)
            found[place] = float(p), f"{what}, all {number:,} swaps" if exact else f"{what}, {number:,} swaps"
    return found


def _gap(pair: tuple[Measure, Measure], first: Floats, second: Floats) -> Floats:
    return np.asarray(pair[0].value(first)) - pair[1].value(second)


def _swapped(apart: Floats, counts: NDArray[np.int64], draws: int, seed: int) -> tuple[bool, Iterator[Floats]]:
    """Return whether all swaps are taken, and what they move from the second sums to the first, (R, K) at a time.

    Args:
        apart: (M, K) second minus first terms of units that differ.
        counts: (M,) how many units each stands for.
        draws: number of swaps where not all are taken.
        seed: their address.
    """
    count, columns = int(counts.sum()), np.ascontiguousarray(apart.T)
    if count <= MOST_EXACT and len(apart) == count:
        numbers = np.arange(2**count)[:, None]
        bits = ((numbers >> np.arange(count)) & 1).astype(np.float64)
        return True, iter([np.einsum("ij,kj->ik", bits, columns)])
    return False, _drawn(columns, counts, draws, seed)


def _drawn(columns: Floats, counts: NDArray[np.int64], draws: int, seed: int) -> Iterator[Floats]:
    apart, count = columns.shape[1], int(counts.sum())
    rng = numpy_generator(seed, "permutation", count, apart)
    step = max(1, _CELLS // max(apart, 1))
    for first in range(0, draws, step):
        rows = min(step, draws - first)
        if apart < count:
            bits = rng.binomial(counts, 0.5, size=(rows, apart)).astype(np.float64)
        else:
            packed = np.frombuffer(rng.bytes(rows * (-(-count // 8))), dtype=np.uint8).reshape(rows, -1)
            bits = np.unpackbits(packed, axis=1, count=count).astype(np.float64)
        yield np.einsum("ij,kj->ik", bits, columns)
