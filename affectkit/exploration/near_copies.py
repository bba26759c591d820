"""Near copies: pictures that were scaled, compressed again, brightened, marked or framed a little differently.

Two pictures are near copies where their perceptual hashes differ in few bits and their pixels, laid on each other at
the best of the shifts by up to ``SHIFT`` of 32 pixels, correlate. The hash alone does not do for faces that are framed
alike: of the pairs of FER+ that differ in 12 bits or fewer, 93 of 100 are no copies. What differs by more is not
found: crops by more than a tenth, turned pictures, mirrored ones unless asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectkit.core.progress import Reporter
from affectkit.exploration.image_facts import light
from affectkit.exploration.perceptual_hash import blocks, dct_hashes, pairs_of_block

DISTANCE = 12
"""Bits of 64 up to which pairs are compared by their pixels: up to 16 are 17 times as many on FER+, among which 6% more
near copies are found."""
CORRELATION = 0.94
"""Least correlation of a near copy. Of 200 pairs of FER+ between it and 0.95, drawn at random and looked at, all seem
to show one photograph (of those that are mirrored 39 of 42); between 0.90 and 0.92 about a quarter does not."""
SHIFT = 3
"""Pixels of 32 by which the one picture may be moved against the other, each way."""
WORTH_MOVING = 0.5
"""Pairs whose correlation without a shift is below this are not moved; of those that are found, none in 20 is below
0.75."""
FLAT = 2.0
"""Standard deviation in levels of 255 below which a picture shows nothing that could be compared."""
MOST_PAIRS = 500_000
_STEP = 1024


class TooManyPairsError(ValueError):
    """There are more pairs than can be told."""


@dataclass(frozen=True, eq=False)
class NearCopies:
    """Pairs of pictures, (P,) each.

    Attributes:
        first, second: places of the pictures, the first below the second.
        distance: bits of 64 in which their hashes differ.
        correlation: of their pixels, in [-1, 1].
        mirrored: whether the second one was.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    distance: NDArray[np.uint8]
    correlation: NDArray[np.float32]
    mirrored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)

    def columns(self) -> tuple[NDArray[Any], ...]:
        """Return the five arrays."""
        return self.first, self.second, self.distance, self.correlation, self.mirrored

    @classmethod
    def joined(cls, parts: Sequence[NearCopies]) -> NearCopies:
        """Return the pairs of ``parts``, one after the other."""
        if not parts:
            return cls(*(np.zeros(0, kind) for kind in (np.int64, np.int64, np.uint8, np.float32, bool)))
        return cls(*(np.concatenate(column) for column in zip(*(part.columns() for part in parts), strict=True)))


def find_near_copies(
    pictures: NDArray[np.uint8],
    *,
    distance: int = DISTANCE,
    correlation: float = CORRELATION,
    mirrored: bool = False,
    workers: int = 1,
    reporter: Reporter,
) -> NearCopies:
    """Return all pairs of near copies, in the order of the first, then of the second.

    Args:
        pictures: uint8 (N, 32, 32), gray. Pairs with one that is flat are not compared.
        distance: most bits of 64 in which their hashes may differ.
        correlation: least correlation of their pixels, in [-1, 1].
        mirrored: compare each with the mirrored others, too.
        workers: threads.

    Raises:
        TooManyPairsError: there are more than ``MOST_PAIRS``.
    """
    kept = np.flatnonzero(light(pictures)[1] * 255 >= FLAT)
    shown = pictures[kept]
    plain = dct_hashes(shown)
    search = _Search(shown, distance, correlation)
    sides = [(False, plain), (True, dct_hashes(shown, mirrored=True))][: 1 + mirrored]
    tasks = [(flag, others, block) for flag, others in sides for block in blocks(len(shown))]
    reporter.start("comparing images", len(tasks), "blocks")
    found: list[NearCopies] = []
    count = 0
    for part in _in_order(search, plain, tasks, workers):
        found.append(part)
        count += len(part)
        reporter.advance()
        if count > MOST_PAIRS:
            raise TooManyPairsError(f"more than {MOST_PAIRS:,} pairs of near copies")
    reporter.finish()
    whole = NearCopies.joined(found)
    return _once(replace(whole, first=kept[whole.first], second=kept[whole.second]))


def _in_order(search: _Search, plain: NDArray[np.uint64], tasks: list, workers: int) -> Iterator[NearCopies]:
    """Yield what each task finds, in their order; a few are under way at a time."""
    pool = ThreadPoolExecutor(max(workers, 1), thread_name_prefix="comparing")
    waiting: deque[Future[NearCopies]] = deque()
    try:
        for flag, others, block in tasks:
            waiting.append(pool.submit(search.block, plain, others, block, flag))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _once(pairs: NearCopies) -> NearCopies:
    """Sort the pairs; of one that was found plain and mirrored, keep the better."""
    order = np.lexsort((-pairs.correlation, pairs.second, pairs.first))
    pairs = NearCopies(*(column[order] for column in pairs.columns()))
    again = np.zeros(len(pairs), bool)
    again[1:] = (pairs.first[1:] == pairs.first[:-1]) & (pairs.second[1:] == pairs.second[:-1])
    return NearCopies(*(column[~again] for column in pairs.columns()))


class _Search:
    """Compare pictures pair by pair."""

    def __init__(self, pictures: NDArray[np.uint8], distance: int, correlation: float) -> None:
        self.distance, self.correlation = distance, correlation
        self.pictures, side = pictures, pictures.shape[1]
        reach = range(-SHIFT, SHIFT + 1)
        self.shifts = [(_overlap(down, side), _overlap(across, side)) for down in reach for across in reach]

    def block(
        self, hashes: NDArray[np.uint64], others: NDArray[np.uint64], block: tuple[int, int], mirrored: bool
    ) -> NearCopies:
        """Return the near copies whose first is in ``block``."""
        found: list[NearCopies] = []
        for pairs in pairs_of_block(hashes, block, self.distance, others=others):
            for begin in range(0, len(pairs.first), _STEP):
                first, second, bits = (column[begin : begin + _STEP] for column in pairs)
                kept, values = self._compare(first, second, mirrored)
                found.append(
                    NearCopies(first[kept], second[kept], bits[kept], values, np.full(len(kept), mirrored, bool))
                )
        return NearCopies.joined(found)

    def _compare(
        self, first: NDArray[np.int64], second: NDArray[np.int64], mirrored: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return which pairs are near copies, and their correlations."""
        one, other = self._values(first), self._values(second)
        other = np.ascontiguousarray(other[:, :, ::-1]) if mirrored else other
        plain = _product(one, other) / np.sqrt(_product(one, one) * _product(other, other))
        worth = np.flatnonzero(plain >= min(WORTH_MOVING, self.correlation))
        best = self._moved(one[worth], other[worth])
        enough = best >= self.correlation
        return worth[enough], best[enough]

    def _values(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return pictures about their means."""
        values = self.pictures[places].astype(np.float32)
        return values - values.mean(axis=(1, 2), keepdims=True)

    def _moved(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the largest correlation over all shifts, (n,): Pearson's over what both pictures cover."""
        best = np.full(len(one), -1.0, np.float32)
        for (rows, other_rows), (columns, other_columns) in self.shifts:
            left, right = one[:, rows, columns], other[:, other_rows, other_columns]
            count = left.shape[1] * left.shape[2]
            sums, other_sums = left.sum(axis=(1, 2)), right.sum(axis=(1, 2))
            product = _product(left, right) - sums * other_sums / count
            spread = _product(left, left) - sums**2 / count
            other_spread = _product(right, right) - other_sums**2 / count
            value = product / np.sqrt(np.maximum(spread * other_spread, 1.0))
            np.maximum(best, value, out=best)
        return best


def _product(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.einsum("nij,nij->n", one, other)


def _overlap(shift: int, side: int) -> tuple[slice, slice]:
    """Return what two rows of ``side`` pixels share where the second is moved by ``shift``."""
    return slice(max(shift, 0), side + min(shift, 0)), slice(max(-shift, 0), side + min(-shift, 0))
