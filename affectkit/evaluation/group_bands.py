"""Turn the cells of a column into groups: each value one, or bands of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from affectkit.core.expressions import PATTERN
from affectkit.core.text import count_text, list_some
from affectkit.errors import DataError
from affectkit.settings.by import By

UNKNOWN = "(not known)"
"""The group of items that have no value."""
BANDS = 4
"""Bands of equal count that a column of many numbers is cut into."""
FEW_VALUES = 10
"""Up to so many different numbers are a group each."""
IDENTITIES = frozenset(
    {"actor", "subject", "speaker", "participant", "person", "identity", "rater", "session", "video"}
)
"""Names of columns whose numbers name someone or something, and are not cut into bands; so are those that end in id."""


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which group each of N items is in.

    Attributes:
        name: of the column, as ``sex`` or ``sex*race``.
        groups: names, in the order in which they are shown; ``UNKNOWN`` is the last where there is one.
        codes: int64 (N,), numbers of ``groups``.
        notes: how bands were made, and what is not known.
    """

    name: str
    groups: list[str]
    codes: np.ndarray = field(repr=False)
    notes: list[str] = field(default_factory=list)

    @property
    def known(self) -> list[int]:
        """Return the numbers of the groups that are not ``UNKNOWN``."""
        return [number for number, name in enumerate(self.groups) if name != UNKNOWN]


def group_cells(by: By, cells: Sequence[str]) -> Grouping:
    """Return the groups of one column.

    Columns of numbers with more than ``FEW_VALUES`` different ones, which do not name someone, are cut into ``BANDS``
    bands of equal count; fewer where values repeat.

    Args:
        by: how, with one name.
        cells: of each item; "" where it is not known.

    Raises:
        DataError: there are ``edges`` and cells that are no numbers, or no cell is known.
    """
    name = str(by)
    known = [cell for cell in cells if cell]
    if not known:
        raise DataError(f"--by {name}: it is known of none of the {len(cells):,} items.")
    numbers = _numbers(known)
    if by.edges and numbers is None:
        odd = list(dict.fromkeys(cell for cell in known if _numbers([cell]) is None))
        raise DataError(f"--by {name}: edges are for numbers, and it holds {list_some(odd, 5)}.")
    if by.edges:
        return _banded(name, cells, by.edges, [])
    many = numbers is not None and len(np.unique(numbers)) > FEW_VALUES
    if many and not by.values and not _names_someone(name):
        return _quantiles(name, cells, numbers)
    return _valued(name, cells, [] if numbers is None else numbers)


def group_numbers(by: By, values: np.ndarray) -> Grouping:
    """Return the groups of ``values`` (N,), NaN where one is not known, as ``group_cells`` does."""
    return group_cells(by, ["" if math.isnan(value) else f"{value:.15g}" for value in values])


def cross(groupings: Sequence[Grouping]) -> Grouping:
    """Return the groups of pairs (or more) of values that items have; not known where one is not."""
    name = "*".join(one.name for one in groupings)
    whole = [tuple(int(one.codes[item]) for one in groupings) for item in range(len(groupings[0].codes))]
    unknown = {
        code for code in set(whole) if any(one.groups[k] == UNKNOWN for one, k in zip(groupings, code, strict=True))
    }
    order = sorted(set(whole) - unknown)
    names = [" & ".join(one.groups[k] for one, k in zip(groupings, code, strict=True)) for code in order]
    place = {code: number for number, code in enumerate(order)}
    codes = np.array([place.get(code, len(order)) for code in whole], dtype=np.int64)
    notes = [note for one in groupings for note in one.notes]
    return Grouping(name, names + ([UNKNOWN] if unknown else []), codes, notes)


def _valued(name: str, cells: Sequence[str], numbers: Sequence[float] | np.ndarray) -> Grouping:
    """Make a group of each value, in the order of numbers, or of the alphabet."""
    values = {cell for cell in cells if cell}
    order = sorted(values, key=(lambda cell: (float(cell), cell)) if len(numbers) else None)
    place = {cell: number for number, cell in enumerate(order)}
    alike: dict[str, list[str]] = {}
    for cell in order:
        alike.setdefault(cell.casefold(), []).append(cell)
    twice = [" and ".join(same) for same in alike.values() if len(same) > 1]
    notes = [f"{name}: groups that differ in small and capital letters alone: {list_some(twice, 3)}"] if twice else []
    return _numbered(name, order, [place[cell] if cell else -1 for cell in cells], notes)


def _quantiles(name: str, cells: Sequence[str], numbers: np.ndarray) -> Grouping:
    edges = np.unique(np.quantile(numbers, np.arange(1, BANDS) / BANDS, method="higher"))
    inner = tuple(float(edge) for edge in edges if edge > numbers.min())
    found = _banded(name, cells, inner, [])
    kinds = len(np.unique(numbers))
    fewer = "" if len(inner) == BANDS - 1 else ", since values repeat"
    note = (
        f"{name}: {kinds:,} different numbers, cut into {len(inner) + 1} bands of about equal count{fewer}; "
        f"edges of your own: --by {name}=EDGE-EDGE-..."
    )
    return Grouping(name, found.groups, found.codes, [note, *found.notes])


def _banded(name: str, cells: Sequence[str], edges: tuple[float, ...], notes: list[str]) -> Grouping:
    """Make bands: below the first edge, from one edge to below the next, from the last edge on; empty ones are not."""
    known = np.array([float(cell) if cell else math.nan for cell in cells])
    band = np.searchsorted(np.array(edges), known, side="right")
    names = _band_names(edges, float(np.nanmin(known)), float(np.nanmax(known)))
    there = sorted({int(number) for number, value in zip(band, known, strict=True) if not math.isnan(value)})
    codes = [
        there.index(int(number)) if not math.isnan(value) else -1 for number, value in zip(band, known, strict=True)
    ]
    return _numbered(name, [names[number] for number in there], codes, notes)


def _band_names(edges: tuple[float, ...], low: float, high: float) -> list[str]:
    """Name bands by their edges, with as many digits as tell these apart."""
    ends = [*((low,) if low < edges[0] else ()), *edges, high] if edges else [low, high]
    digits = next((d for d in range(3, 18) if len({f"{end:.{d}g}" for end in ends}) == len(set(ends))), 17)
    texts = [f"{edge:.{digits}g}" for edge in edges]
    inside = [f"{a} to <{b}" for a, b in pairwise(texts)]
    return [f"<{texts[0]}", *inside, f">={texts[-1]}"] if edges else ["all"]


def _numbered(name: str, groups: list[str], codes: Sequence[int], notes: list[str]) -> Grouping:
    """Put items without a value (-1) into a group of their own, the last."""
    array = np.array(codes, dtype=np.int64)
    unknown = array < 0
    if unknown.any():
        array[unknown] = len(groups)
        groups = [*groups, UNKNOWN]
        notes = [
            *notes,
            f"{name}: not known of {int(unknown.sum()):,} of {count_text(len(array), 'item')}: group {UNKNOWN}",
        ]
    return Grouping(name, groups, array, notes)


def _numbers(cells: Sequence[str]) -> np.ndarray | None:
    """Return the cells as finite numbers; None where one is none."""
    try:
        values = np.array([float(cell) if "_" not in cell else math.nan for cell in cells])
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _names_someone(name: str) -> bool:
    plain = "".join(filter(str.isalnum, name.casefold()))
    return plain in IDENTITIES or plain.endswith("id") or name.startswith(PATTERN)
