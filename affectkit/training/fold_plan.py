"""Which item is in which fold: planned from the data and the seed, recorded, and compared when a run is resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.csv_tables import table_text
from affectkit.core.progress import Reporter
from affectkit.core.randomness import address_seed
from affectkit.core.text import count_text, list_some
from affectkit.data.folds import divide_units, unit_counts
from affectkit.data.layouts.rating_scale import RATINGS
from affectkit.data.split import Split, join_splits
from affectkit.errors import DataError, UsageError
from affectkit.training.fold_units import Units

FOLDED = ("train", "valid", "all")
"""The splits that are pooled and folded; a test split stays apart."""
RATING_BINS = 5
"""Bins of equal count, of valence and of arousal, that folds are balanced over."""
SHOWN_FOLDS, SHOWN_CLASSES = 20, 12


@dataclass(frozen=True, eq=False)
class FoldPlan:
    """The folds of a data set.

    Attributes:
        split: all items that are folded, by their names in order.
        units: what stays together.
        columns: (N, K) what is balanced, see ``balanced_columns``.
        fold: int (N,), from 0.
        folds: how many there are.
        seed: of the division.
        ratings: whether ratings are predicted, so that folds are described by their means.
    """

    split: Split
    units: Units
    columns: np.ndarray = field(repr=False)
    fold: np.ndarray = field(repr=False)
    folds: int
    seed: int
    ratings: bool

    def parts(self, number: int, fraction: float) -> tuple[Split, Split, Split]:
        """Return what fold ``number``, from 1, is trained on, what chooses its epoch, and what is held out.

        The validation part is cut from what is not held out, unit by unit: what is held out decides nothing.

        Args:
            number: of the fold.
            fraction: share of what is not held out that goes into the validation part.
        """
        held = self.fold == number - 1
        rest = np.flatnonzero(~held)
        own, units = np.unique(self.units.of_items[rest], return_inverse=True)
        counts, sizes = unit_counts(self.columns[rest], units)
        ranks = [address_seed(self.seed, "fold validation", number, self.units.names[unit]) for unit in own]
        valid = divide_units(counts, sizes, [1 - fraction, fraction], ranks)[units] == 1
        return (
            self.split.select(rest[~valid]).with_name("train"),
            self.split.select(rest[valid]).with_name("valid"),
            self.split.select(held).with_name("test"),
        )

    def groups(self) -> list[str]:
        """Return the group of each item; of items without groups, the name of the copy that they stay with."""
        return [self.units.names[unit] for unit in self.units.of_items]

    def held_units(self, number: int) -> list[str]:
        """Return the names of the units in fold ``number``, from 1."""
        return [self.units.names[unit] for unit in np.unique(self.units.of_items[self.fold == number - 1])]

    def items(self) -> dict[str, Sequence[Any]]:
        """Return the columns of ``fold_items.csv``: the fold and the group of each item."""
        return {"filename": self.split.ids, "fold": (self.fold + 1).tolist(), "group": self.groups()}

    def table(self) -> dict[str, list[Any]]:
        """Return the columns of ``folds.csv``: items, groups and classes, or mean ratings, of each fold."""
        numbers = range(1, self.folds + 1)
        held = [self.split.select(self.fold == number - 1) for number in numbers]
        columns: dict[str, list[Any]] = {"fold": list(numbers), "items": [len(split) for split in held]}
        columns["groups" if self.units.grouped else "units"] = [len(self.held_units(number)) for number in numbers]
        if self.units.grouped:
            columns["first groups"] = [list_some(self.held_units(number), 3) for number in numbers]
        if self.ratings:
            for place, name in enumerate(RATINGS):
                values = [split.ratings[:, place] for split in held]
                if not all(np.isnan(one).all() for one in values):
                    columns[f"mean {name}"] = [float(np.nanmean(one)) if len(one) else float("nan") for one in values]
        else:
            counts = [split.counts() for split in held]
            columns |= {name: [found[name] for found in counts] for name in self.split.classes}
        return columns

    def warnings(self) -> list[str]:
        """Return what makes the results of folds doubtful: classes that folds lack, and folds of unlike size."""
        found = list(self.units.warnings)
        sizes = np.bincount(self.fold, minlength=self.folds)
        if not self.ratings:
            counts = np.array([list(self.split.select(self.fold == k).counts().values()) for k in range(self.folds)])
            there, items = (counts > 0).sum(0), counts.sum(0)
            few = [
                f"{name} ({count_text(int(items[k]), 'item')}: in {there[k]} of {self.folds})"
                for k, name in enumerate(self.split.classes)
                if 0 < there[k] < self.folds
            ]
            if few:
                found.append(
                    f"folds without an item of a class: {list_some(few)}; metrics of such a fold leave it out."
                )
            alone = [name for k, name in enumerate(self.split.classes) if there[k] == 1 and items[k]]
            if alone:
                found.append(
                    f"all items of {list_some(alone)} are in one fold: the model that is tested on them has seen none."
                )
        if sizes.max() > 2 * sizes.min() and self.folds < len(self.units.names):
            found.append(
                f"the largest fold has {sizes.max():,} items and the smallest {sizes.min():,}: {self.units.title} are "
                "of unlike size."
            )
        return found

    def describe(self, noun: str) -> list[str]:
        """Return the counts of each fold as lines of text."""
        kept = f"{len(self.units.names):,} groups by {self.units.title}" if self.units.grouped else "copies together"
        lines = [f"{self.folds} folds of {len(self.split):,} {noun}, {kept}, seed {self.seed}:"]
        table = self.table()
        names = [name for name in table if name not in ("units",)]
        if not self.ratings and len(self.split.classes) > SHOWN_CLASSES:
            names = [name for name in names if name not in self.split.classes]
        shown = min(self.folds, SHOWN_FOLDS)
        cells = [[_cell(table[name][row]) for name in names] for row in range(shown)]
        widths = [max(len(name), *(len(row[k]) for row in cells)) for k, name in enumerate(names)]
        for row in [names, *cells]:
            lines.append("  " + "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)))
        if self.folds > shown:
            lines.append(f"  and {self.folds - shown} more; folds.csv has them all")
        return lines

    def check(self, path: Path) -> None:
        """Compare with the items that were recorded in ``path`` when the run began.

        Raises:
            DataError: they differ.
        """
        if path.read_text(encoding="utf-8") != table_text(self.items()):
            raise DataError(
                f"the items of {self.split.root}, their groups or their folds are not those of {path}: the data have "
                "changed since the run began.",
                "Restore the data, or train anew into another folder.",
            )


def plan_folds(split: Split, units: Units, *, folds: int, seed: int, ratings: bool, noun: str = "images") -> FoldPlan:
    """Divide the items of ``split`` into ``folds``; 0: one for each unit.

    Raises:
        UsageError: there are too few units for so many folds, or none to hold out one by one.
    """
    number = len(units.names)
    if not folds and not units.grouped:
        raise UsageError(
            "--folds loso holds out each group once, and there are no groups.",
            "Name them with --group-by: a column such as subject, or an expression over file names, "
            "as 'subject(\\d+)_'.",
        )
    wanted = folds or number
    what = f"groups by {units.title}" if units.grouped else f"{noun} that are no copies"
    if number < max(wanted, 3):
        names = f": {list_some(units.names)}" if units.grouped else ""
        why = "" if wanted >= 3 else ": one to hold out, one to choose the epoch by, one to train on"
        raise UsageError(
            f"--folds {folds or 'loso'} needs at least {max(wanted, 3)} {what}{why}; there are {number}{names}.",
            "Lower --folds, or group by something finer." if folds else "Group by something finer.",
        )
    columns = balanced_columns(split, ratings=ratings)
    counts, sizes = unit_counts(columns, units.of_items)
    if folds:
        ranks = [address_seed(seed, "fold", name) for name in units.names]
        part = divide_units(counts, sizes, [1 / wanted] * wanted, ranks)
    else:
        part = np.arange(number)
    if number - np.bincount(part).max() < 2:
        raise UsageError(
            f"--folds {wanted}: with {number} {what} a fold would be trained on one, and none left to choose the epoch "
            "by.",
            f"Hold out one at a time: --folds {'loso' if units.grouped else number}.",
        )
    return FoldPlan(split, units, columns, part[units.of_items], wanted, seed, ratings)


def balanced_columns(split: Split, *, ratings: bool) -> np.ndarray:
    """Return float64 (N, K), what folds are balanced over: 1 in the column of an item's class (label, or largest
    share); of ratings, in that of its bin of valence and of its bin of arousal.
    """
    if not ratings:
        top = split.top()
        return np.ones((len(split), 1)) if top is None else np.eye(len(split.classes))[top]
    found = []
    for values in split.ratings.T:
        known = ~np.isnan(values)
        edges = np.quantile(values[known], np.arange(1, RATING_BINS) / RATING_BINS) if known.any() else []
        bins = np.where(known, np.searchsorted(edges, values, side="right"), RATING_BINS)
        found.append(np.eye(RATING_BINS + 1)[bins])
    return np.concatenate(found, axis=1)


def pooled_split(splits: Mapping[str, Split], root: Path, *, reporter: Reporter) -> Split:
    """Return the items that are folded, in the order of their names: those of training and validation.

    Raises:
        DataError: there are none, or the splits know different things of their items.
    """
    chosen = [splits[name] for name in FOLDED if name in splits]
    if not chosen:
        raise DataError(
            f"{root} has no split to fold; it has {', '.join(splits)}.", "A test split alone is not folded."
        )
    pooled = chosen[0]
    for other in chosen[1:]:
        pooled = join_splits(pooled, other)
    if len(chosen) > 1:
        parts = " and ".join(f"{len(split):,} of {split.name}" for split in chosen)
        reporter.note(f"--folds pools {parts}; each is held out once")
    if (test := splits.get("test")) is not None:
        reporter.note(
            f"the test split ({len(test):,}) stays apart: no fold is trained, chosen or tested on it; test the models "
            "on it afterwards (affectkit test --checkpoint RUN/fold-1)"
        )
    order = sorted(range(len(pooled)), key=pooled.ids.__getitem__)
    return pooled.select(order).with_name("all")


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
