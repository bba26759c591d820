"""Assign clips to training, validation and test: no person in two splits, at random, or as a table says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from affectkit.core.csv_tables import read_csv
from affectkit.core.randomness import address_seed, numpy_generator
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import count_text
from affectkit.data.layouts.clip_store import SPLITS
from affectkit.errors import DataError, UsageError
from affectkit.prep.clips.dataset import Row, SplitAssignment

SHARES = (0.8, 0.1, 0.1)
TRIES = 400
"""Draws of persons among which the best balanced is taken."""


def assign_splits(
    rows: Mapping[str, Row],
    split: str,
    *,
    group: str,
    strata: str | None = None,
    sizes: Sequence[int] | None = None,
    published: Sequence[int] | None = None,
    seed: int = 0,
) -> SplitAssignment:
    """Assign clips as ``--split-by`` says.

    Args:
        rows: of each clip.
        split: the name of ``group`` (nobody in two splits), ``random``, ``published-sizes``, or a table.
        group: a column that names people.
        strata: a column that the splits are balanced over, beside the labels.
        sizes: of the splits, for ``published-sizes``; None: ``published``, brought to the clips there are.
        published: those of the paper.
        seed: everything random follows from it.

    Raises:
        UsageError: ``sizes`` have no effect, or are needed.
    """
    if sizes is not None and split != "published-sizes":
        raise UsageError(f"--sizes has no effect with --split-by {split}.", "Use it with --split-by published-sizes.")
    if split == group:
        return SplitAssignment(assign_by_group(rows, group=group, strata=strata, classes="label", seed=seed))
    notes: list[str] = []
    if split not in ("random", "published-sizes"):
        found = read_assignment(Path(split), list(rows))
        if lacking := len(rows) - len(found):
            notes.append(f"{count_text(lacking, 'clip')} in no split, since {split} does not name them")
        return SplitAssignment(found, notes, warn_of_mixed(rows, found, group))
    if split == "published-sizes" and sizes is None:
        if published is None:
            raise UsageError("--split-by published-sizes needs --sizes here.")
        sizes = published
        if sum(sizes) > len(rows):
            few = [round(number * len(rows) / sum(published)) for number in published[1:]]
            sizes = (len(rows) - sum(few), *few)
            paper = ", ".join(map(str, published))
            notes.append(
                f"published sizes ({paper}) brought to {count_text(len(rows), 'clip')}: {', '.join(map(str, sizes))}"
            )
    found = assign_at_random(list(rows), sizes=sizes if split == "published-sizes" else None, seed=seed)
    return SplitAssignment(found, notes, warn_of_mixed(rows, found, group))


def warn_of_mixed(rows: Mapping[str, Row], split_of: Mapping[str, str], group: str) -> list[str]:
    """Return a warning where people stand in more than one split."""
    seen: dict[str, set[str]] = {}
    for name, split in split_of.items():
        seen.setdefault(rows[name][group], set()).add(split)
    mixed = sum(len(found) > 1 for found in seen.values())
    if not mixed:
        return []
    return [
        f"{mixed} of {len(seen)} {group}s have clips in more than one split: a model is tested on people that it was "
        f"trained on, and its accuracy says little about others. --split-by {group} keeps them apart."
    ]


def assign_by_group(
    rows: Mapping[str, Row], *, group: str, strata: str | None, classes: str, seed: int
) -> dict[str, str]:
    """Assign each clip to a split, so that no ``group`` has clips in two.

    80, 10 and 10% of the groups of each stratum; of many such draws, addressed by ``seed``, the one whose splits are
    nearest to these shares of the clips of each class and stratum.

    Args:
        rows: of each clip.
        group: the column that names people.
        strata: the column of the strata; None: one for all.
        classes: the column of the labels.
        seed: of the draws.

    Raises:
        DataError: there are fewer than three groups.
    """
    groups = sorted({row[group] for row in rows.values()})
    if len(groups) < len(SPLITS):
        raise DataError(
            f"{len(groups)} {group}(s) cannot be divided into training, validation and test.",
            "Use --split-by random, or a table of your own.",
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
        splits = _draw_assignment(groups, stratum, seed, number)
        cost = _imbalance(counts, splits)
        if cost < least:
            best, least = splits, cost
    return {name: SPLITS[best[place[row[group]]]] for name, row in rows.items()}


def _draw_assignment(groups: Sequence[str], stratum: Mapping[str, str], seed: int, number: int) -> np.ndarray:
    """Draw a split (0, 1, 2) for each group: of each stratum its share, at least one group in each split in all."""
    rng = numpy_generator(seed, "actors", number)
    splits = np.zeros(len(groups), dtype=int)
    for name in sorted(set(stratum.values())):
        chosen = [position for position, group in enumerate(groups) if stratum[group] == name]
        order = rng.permutation(chosen)
        tenth = len(order) * SHARES[1]
        # Halves are drawn, so that strata of the same size do not all lose or all gain.
        few = [int(tenth + rng.random()) for _ in range(2)]
        splits[order[: few[0]]] = 1
        splits[order[few[0] : few[0] + few[1]]] = 2
    for split in (1, 2):
        if not (splits == split).any():
            splits[rng.choice(np.flatnonzero(splits == 0))] = split
    return splits


def _imbalance(counts: np.ndarray, splits: np.ndarray) -> float:
    """Measure how far the shares of each class and stratum are from ``SHARES``, relative to these: the largest."""
    total = counts.sum(0)
    found = np.stack([counts[splits == split].sum(0) for split in range(len(SPLITS))]) / total
    return float(np.abs(found / np.array(SHARES)[:, None] - 1).max())


def assign_at_random(names: Sequence[str], *, sizes: Sequence[int] | None, seed: int) -> dict[str, str]:
    """Assign each clip by the rank of its hash: ``sizes`` of the three splits, or 80, 10 and 10%.

    Raises:
        UsageError: there are fewer clips than ``sizes`` ask for.
    """
    if sizes is None:
        tenth = round(SHARES[1] * len(names))
        sizes = (len(names) - 2 * tenth, tenth, tenth)
    if sum(sizes) > len(names):
        raise UsageError(
            f"--sizes {','.join(map(str, sizes))} are {count_text(sum(sizes), 'clip')}, and there are {len(names):,}.",
            "Lower one of them.",
        )
    ranked = sorted(names, key=lambda name: (address_seed(seed, "clip", name), name))
    ends = np.cumsum(sizes)
    return {
        name: SPLITS[int(np.searchsorted(ends, place, side="right"))]
        for place, name in enumerate(ranked[: int(ends[-1])])
    }


def read_assignment(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Read the splits that a CSV with the columns ``filename`` and ``split`` gives to ``names``.

    Raises:
        DataError: the table cannot be read, names a clip twice or one that is not there, or has another split.
    """
    found: dict[str, str] = {}
    errors = TableErrors(path, title=f"--split-by {path}")
    alias = {"val": "valid", "validation": "valid"}
    known = set(names)
    hint = "It needs the columns filename and split, and a row a clip."
    for line, row in read_csv(path, "filename", "split", title=errors.title, hint=hint):
        name = row["filename"].strip()
        if name not in known:  # with an ending, and perhaps a folder
            shorter = name.removesuffix(Path(name).suffix), Path(name).stem
            name = next((part for part in shorter if part in known), name)
        split = row["split"].strip().lower()
        split = alias.get(split, split)
        if split not in SPLITS:
            errors.add(f"split must be one of {', '.join(SPLITS)}", line, repr(row["split"]))
        elif name not in known:
            errors.add("clips must be in the dataset", line, repr(name))
        elif name in found:
            errors.add("a clip must have one row", line, name)
        else:
            found[name] = split
    errors.check("Correct the table.")
    return found
