"""Resamples of units with replacement, drawn once for all measures of a call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from affectkit.core.randomness import numpy_generator
from affectkit.errors import UsageError
from affectkit.metrics.distribution import Floats
from affectkit.statistics.units import Units, Value

_CELLS = 2_000_000  # resampled units at a time: about 24 bytes each


def check_draws(draws: int) -> None:
    """Refuse a number of draws that is not a whole one from 1."""
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise UsageError(f"'draws' must be a whole number of at least 1; got {draws!r}.")


def resampled(wanted: Sequence[tuple[Units, Value]], *, draws: int, seed: int) -> list[Floats]:
    """Return the values (draws,) of each of ``wanted`` over resamples of its units with replacement.

    Resamples depend on ``seed`` and the number of units alone, so that measures of the same items are resampled alike;
    of units of few kinds (``Units.counts``) the kinds are drawn, in a time that does not depend on the number of units.
    The last digits do not depend on the number of threads (``exact_sums``).
    """
    found = [np.empty(draws) for _ in wanted]
    alike: dict[tuple[int, bool], list[int]] = {}
    for place, (units, _) in enumerate(wanted):
        of_kinds = len(units.table) < units.count
        alike.setdefault((id(units) if of_kinds else units.count, of_kinds), []).append(place)
    tables: dict[int, Floats] = {}
    for (_, of_kinds), places in alike.items():
        first = wanted[places[0]][0]
        chunks = _kinds(first, draws, seed) if of_kinds else _weights(first.count, draws, seed)
        for start, weights in chunks:
            sums: dict[int, Floats] = {}
            for place in places:
                units, value = wanted[place]
                if id(units) not in tables:
                    tables[id(units)] = exact_sums(units.table, units.count)
                if id(units) not in sums:
                    sums[id(units)] = weights @ tables[id(units)]
                found[place][start : start + len(weights)] = value(sums[id(units)])
    return found


def exact_sums(table: Floats, count: int) -> Floats:
    """Return ``table`` (M, K) rounded so that sums of ``count`` of its rows are exact in float64, whatever their order.

    A matrix product of whole weights with it has the same last digit on any number of threads, on which BLAS divides
    the sums differently. The rounding is by 2^-52 of ``count`` times a column's largest value: of 100,000 items about
    1e-11 of it.
    """
    largest = np.abs(table).max(axis=0, initial=0.0) * max(count, 1)
    unit = np.ldexp(1.0, np.frexp(np.where(largest > 0, largest, 1.0))[1] - 52)
    return np.round(table / unit) * unit


def _weights(count: int, draws: int, seed: int) -> Iterator[tuple[int, Floats]]:
    """Yield (number of the first, how often each unit was drawn (R, count)) for a few resamples at a time."""
    rng = numpy_generator(seed, "bootstrap", count)
    step = max(1, _CELLS // max(count, 1))
    for first in range(0, draws, step):
        rows = min(step, draws - first)
        drawn = rng.integers(0, count, size=(rows, count), dtype=np.int32)
        drawn += np.arange(rows, dtype=np.int32)[:, None] * np.int32(count)
        yield first, np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)


def _kinds(units: Units, draws: int, seed: int) -> Iterator[tuple[int, Floats]]:
    """Yield as ``_weights``, by kind: (R, M)."""
    rng = numpy_generator(seed, "bootstrap of kinds", units.count, len(units.table))
    step = max(1, _CELLS // len(units.table))
    for first in range(0, draws, step):
        rows = min(step, draws - first)
        yield first, rng.multinomial(units.count, units.counts / units.count, size=rows).astype(np.float64)
