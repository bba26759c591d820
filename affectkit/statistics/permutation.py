"""Permutation tests of two models on the same items: which model an output came from is exchanged, item by item."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from affectkit.core.randomness import numpy_generator
from affectkit.metrics.distribution import Floats
from affectkit.statistics.measures import Measure
from affectkit.statistics.resampling import exact_sums
from affectkit.statistics.units import Units

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_EXACT = 14
"""Up to so many units that differ, all 2^G swaps are taken, not drawn."""
_TIE = 1e-9  # sums in another order are as far off
_CELLS = 2_000_000
_ROWS = 20_000  # swaps at a time, at most


def permutation_tests(
    pairs: Sequence[tuple[Measure, Measure]], units: Sequence[Units], *, draws: int, seed: int
) -> list[tuple[float, str, float]]:
    """Return (p, name of the test, least p that it can give) of each pair; of pairs with the same terms from the same
    swaps.

    The null hypothesis is that the two outputs on an item (or on all items of a cluster) could as well have come from
    the other model. p is the share of the swaps, the one that was seen among them, whose absolute difference is at
    least the one seen: exact where all 2^G swaps are taken, and valid where they are drawn (Phipson and Smyth 2010).
    Models that err differently and are equal on the whole are no case of that null; simulated with two such of equal
    CCC, the test rejected them in 2 to 3% of the cases, not 5.

    Args:
        pairs: first and second measure, with terms alike in their columns.
        units: of each pair, with the terms of the first and of the second side by side.
        draws: number of swaps.
        seed: their address.
    """
    found: list[tuple[float, str, float]] = [(math.nan, "no test: not defined", math.nan)] * len(pairs)
    alike: dict[int, list[int]] = {}
    for place, each in enumerate(units):
        if pairs[place][0].terms.shape[1] == pairs[place][1].terms.shape[1] and each.count:
            alike.setdefault(id(each), []).append(place)
    for places in alike.values():
        for place, result in zip(
            places, _tests([pairs[k] for k in places], units[places[0]], draws, seed), strict=True
        ):
            found[place] = result
    return found


def _tests(
    pairs: Sequence[tuple[Measure, Measure]], units: Units, draws: int, seed: int
) -> list[tuple[float, str, float]]:
    """Return as ``permutation_tests``, of pairs that share their units."""
    width = pairs[0][0].terms.shape[1]
    apart, total = units.table[:, width:] - units.table[:, :width], units.total
    differ = (apart != 0).any(axis=1)
    columns = np.flatnonzero((apart != 0).any(axis=0))
    exact, swaps = _swaps(apart[differ][:, columns], units.counts[differ], draws, seed)
    seen = [float(_gap(pair, total[:width], total[width:])) for pair in pairs]
    beyond, number = np.zeros(len(pairs)), 0
    for moved in swaps:
        first, second = (np.tile(part, (len(moved), 1)) for part in (total[:width], total[width:]))
        first[:, columns] += moved
        second[:, columns] -= moved
        number += len(moved)
        for row, pair in enumerate(pairs):
            beyond[row] += np.count_nonzero(np.abs(_gap(pair, first, second)) >= abs(seen[row]) * (1 - _TIE) - 1e-15)
    what = "permutation"
    if units.clustered:
        apart_count = int(differ.sum())
        what += f" of {units.count:,} clusters" + (
            f", {apart_count:,} of which differ" if apart_count < units.count else ""
        )
    told = f"{what}, all {number:,} swaps" if exact else f"{what}, {number:,} swaps"
    none = math.nan, "no test: not defined", math.nan
    # Every swap and its opposite have the same absolute difference.
    least = min(1.0, 2 / number) if exact else 1 / (number + 1)
    ps = beyond / number if exact else (beyond + 1) / (number + 1)
    return [none if math.isnan(gap) else (float(p), told, least) for gap, p in zip(seen, ps, strict=True)]


def _gap(pair: tuple[Measure, Measure], first: Floats, second: Floats) -> Floats:
    return np.asarray(pair[0].value(first)) - pair[1].value(second)


def _swaps(apart: Floats, counts: NDArray[np.int64], draws: int, seed: int) -> tuple[bool, Iterator[Floats]]:
    """Return whether all swaps are taken, and what they move from the second sums to the first, (R, K) at a time.

    Args:
        apart: (M, K) second minus first terms of units that differ.
        counts: (M,) how many units each row stands for.
        draws: number of swaps where not all are taken.
        seed: their address.
    """
    count = int(counts.sum())
    if count <= MOST_EXACT:
        rows = np.repeat(apart, counts, axis=0)
        bits = ((np.arange(2**count)[:, None] >> np.arange(count)) & 1).astype(np.float64)
        return True, iter([np.einsum("ij,jk->ik", bits, rows)])
    return False, _drawn(exact_sums(apart, count), counts, draws, seed)


def _drawn(apart: Floats, counts: NDArray[np.int64], draws: int, seed: int) -> Iterator[Floats]:
    kinds, count = len(apart), int(counts.sum())
    rng = numpy_generator(seed, "permutation", count, kinds)
    step = min(max(1, _CELLS // kinds), _ROWS)
    for first in range(0, draws, step):
        rows = min(step, draws - first)
        if kinds < count:
            swapped = rng.binomial(counts, 0.5, size=(rows, kinds))
        else:
            packed = np.frombuffer(rng.bytes(rows * -(-count // 8)), dtype=np.uint8).reshape(rows, -1)
            swapped = np.unpackbits(packed, axis=1, count=count)
        yield swapped.astype(np.float64) @ apart
