"""Which clips are for training, validation and testing: no person in two parts, at random, or as a table says."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from affectkit.core.randomness import address, numpy_generator
from affectkit.core.text import some
from affectkit.data.layouts.clip_store import SPLITS
from affectkit.errors import DataError, UsageError

SHARES = (0.8, 0.1, 0.1)
TRIES = 400
"""Draws of persons among which the best balanced is taken."""
Row = Mapping[str, str]


def by_group(rows: Mapping[str, Row], *, group: str, strata: str | None, classes: str, seed: int) -> dict[str, str]:
    """The split of each clip, so that no ``group`` (a column) has clips in two.

    80, 10 and 10% of the groups of each stratum; of many such draws, addressed by ``seed``, the one whose parts are
    nearest to these shares of the clips of each class and stratum.

    Raises:
        DataError: there are fewer than three groups.
    """
    groups = sorted({row[group] for row in rows.values()})
    if len(groups) < len(SPLITS):
        raise DataError(
            f"{len(groups)} {group}(s) cannot be divided into training, validation and test.",
            "Use --split random, or a table of your own.",
        )
    kinds = sorted({row[classes] for row in rows.values()})
    parts = sorted({row[strata] for row in rows.values()}) if strata else []
    counts = np.zeros((len(groups), len(kinds) + len(parts)))
    place = {name: number for number, name in enumerate(groups)}
    for row in rows.values():
        counts[place[row[group]], kinds.index(row[classes])] += 1
        if strata:
            counts[place[row[group]], len(kinds) + parts.index(row[strata])] += 1
    stratum = {row[group]: row[strata] if strata else "" for row in rows.values()}
    best, least = None, np.inf
    for number in range(TRIES):
        sides = _drawn(groups, stratum, seed, number)
        cost = _imbalance(counts, sides)
        if cost < least:
            best, least = sides, cost
    return {name: SPLITS[best[place[row[group]]]] for name, row in rows.items()}


def _drawn(groups: Sequence[str], stratum: Mapping[str, str], seed: int, number: int) -> np.ndarray:
    """A side (0, 1, 2) for each group: of each stratum its share, at least one group on each side in all."""
    rng = numpy_generator(seed, "actors", number)
    sides = np.zeros(len(groups), dtype=int)
    for name in sorted(set(stratum.values())):
        chosen = [position for position, group in enumerate(groups) if stratum[group] == name]
        order = rng.permutation(chosen)
        tenth = len(order) * SHARES[1]
        # Halves are drawn, so that strata of the same size do not all lose or all gain.
        few = [int(tenth + rng.random()) for _ in range(2)]
        sides[order[: few[0]]] = 1
        sides[order[few[0] : few[0] + few[1]]] = 2
    for side in (1, 2):
        if not (sides == side).any():
            sides[rng.choice(np.flatnonzero(sides == 0))] = side
    return sides


def _imbalance(counts: np.ndarray, sides: np.ndarray) -> float:
    """How far the shares of each class and stratum are from those wanted, relative to these: the largest."""
    total = counts.sum(0)
    found = np.stack([counts[sides == side].sum(0) for side in range(len(SPLITS))]) / total
    return float(np.abs(found / np.array(SHARES)[:, None] - 1).max())


def at_random(names: Sequence[str], *, sizes: Sequence[int] | None, seed: int) -> dict[str, str]:
    """The split of each clip by the rank of its hash; ``sizes`` of the three parts, or 80, 10 and 10%.

    Raises:
        UsageError: there are fewer clips than ``sizes`` ask for.
    """
    if sizes is None:
        tenth = round(SHARES[1] * len(names))
        sizes = (len(names) - 2 * tenth, tenth, tenth)
    if sum(sizes) > len(names):
        raise UsageError(
            f"--sizes {','.join(map(str, sizes))} are {sum(sizes):,} clips, and there are {len(names):,}.",
            "Lower one of them.",
        )
    ranked = sorted(names, key=lambda name: (address(seed, "clip", name), name))
    ends = np.cumsum(sizes)
    return {
        name: SPLITS[int(np.searchsorted(ends, place, side="right"))]
        for place, name in enumerate(ranked[: int(ends[-1])])
    }


def of_table(path: Path, names: Sequence[str]) -> dict[str, str]:
    """The splits that a CSV with the columns ``filename`` and ``split`` gives to ``names``.

    Raises:
        DataError: the table cannot be read, names a clip twice or one that is not there, or has another split.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"--split {path} cannot be read as a table: {error}.") from error
    if not rows or not {"filename", "split"} <= set(rows[0]):
        raise DataError(f"--split {path} needs the columns filename and split, and a row a clip.")
    found: dict[str, str] = {}
    faults = []
    alias = {"val": "valid", "validation": "valid"}
    known = set(names)
    for number, row in enumerate(rows, 2):
        name = (row["filename"] or "").strip()
        if name not in known:  # with an ending, and perhaps a folder
            shorter = name.removesuffix(Path(name).suffix), Path(name).stem
            name = next((part for part in shorter if part in known), name)
        split = alias.get((row["split"] or "").strip().lower(), (row["split"] or "").strip().lower())
        if split not in SPLITS:
            faults.append(f"line {number}: split {row['split']!r} is none of {', '.join(SPLITS)}")
        elif name not in known:
            faults.append(f"line {number}: there is no clip {name!r}")
        elif name in found:
            faults.append(f"line {number}: {name} has come before")
        else:
            found[name] = split
    if faults:
        raise DataError(f"--split {path}: {some(faults, 5)}.", "Correct the table.")
    return found
