"""Find the groups and clusters of the items of a split: columns of tables, and properties of their images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from affectkit.core.progress import Reporter
from affectkit.core.registry import did_you_mean
from affectkit.core.text import count_text, list_some
from affectkit.data.layouts.group_table import ItemColumns
from affectkit.data.media.image_properties import PROPERTIES, image_properties
from affectkit.data.media.images import read_image
from affectkit.data.split import Split
from affectkit.errors import DataError, UsageError
from affectkit.evaluation.group_bands import Grouping, cross, group_cells, group_numbers
from affectkit.settings.by import By

IMAGE = "image:"
"""Begins a group by a property of the images."""
PEOPLE = ("actor", "speaker", "user", "subject")
"""Columns of prepared clips that say who is seen, whose clips are alike."""
READERS = 4
"""Threads that decode images for their properties."""


@dataclass(frozen=True, eq=False)
class ItemGroups:
    """The groups of the items of a split.

    Attributes:
        groupings: by column, in the order asked for.
        clusters: (N,) what each item belongs to; None where items are independent.
        cluster: the column of that.
    """

    groupings: list[Grouping]
    clusters: list[str] | None
    cluster: str | None

    def select(self, rows: Sequence[int]) -> ItemGroups:
        """Return those of the items at ``rows``, in that order."""
        chosen = np.asarray(rows, dtype=np.int64)
        groupings = [replace(one, codes=one.codes[chosen]) for one in self.groupings]
        clusters = None if self.clusters is None else [self.clusters[row] for row in chosen]
        return ItemGroups(groupings, clusters, self.cluster)


def find_groups(
    split: Split,
    by: Sequence[By],
    *,
    root: Path,
    labels: Path | None = None,
    table: Path | None = None,
    cluster: str | None = None,
    skip_unreadable: bool = False,
    run_once: Callable[[Callable[[], list[list[float]]]], list[list[float]]] = lambda work: work(),
    reporter: Reporter,
) -> ItemGroups:
    """Return the groups of the items of ``split``; reports how columns were joined and cut.

    Args:
        split: the items.
        by: columns, or ``image:`` and a property.
        root: folder of the data set, whose own tables have columns.
        labels: the table that is read in place of those.
        table: of further columns.
        cluster: column of what items belong to; None: of prepared clips who is seen; ``none``: items are independent.
        skip_unreadable: an image that cannot be read has no properties, else that is an error.
        run_once: calls the reading of images, in one of several processes.
        reporter: of the reading, and gets notes.

    Raises:
        UsageError: there is no such column or property (the nearest are named).
        DataError: the table cannot be joined, a column is known of no item, or edges are not for what it holds.
    """
    if not by and (cluster == "none" or (cluster is None and split.store is None)):
        return ItemGroups([], None, None)
    names = dict.fromkeys(name for one in by for name in one.names)
    pictures = [name for name in names if name.startswith(IMAGE)]
    # Tables are read where a column of them may be meant; of a layout of its own they may be none of ours.
    needed = len(pictures) < len(names) or table is not None or split.store is not None or cluster not in (None, "none")
    own = {"root": root, "labels": labels} if needed else {"root": None}
    columns = ItemColumns(split.ids, **own, groups=table, classes=split.classes)
    cells = {name: columns.column(name) for name in names if name not in pictures}
    clusters, told, notes = _clusters(split, columns, cluster)
    check_properties(pictures, split)
    values: dict[str, np.ndarray] = {}
    if pictures:
        wanted = [name.removeprefix(IMAGE) for name in pictures]
        rows = run_once(lambda: measure_images(split, wanted, skip=skip_unreadable, reporter=reporter))
        values = dict(zip(pictures, np.array(rows, dtype=np.float64).reshape(len(split), -1).T, strict=True))
    made = [_grouping(one, cells, values) for one in by]
    for text in dict.fromkeys([*columns.notes, *notes, *(note for one in made for note in one.notes)]):
        reporter.note(text)
    return ItemGroups(made, clusters, told)


def _grouping(by: By, cells: dict[str, list[str]], values: dict[str, np.ndarray]) -> Grouping:
    def one(part: By) -> Grouping:
        name = part.names[0]
        return group_numbers(part, values[name]) if name in values else group_cells(part, cells[name])

    return one(by) if len(by.names) == 1 else cross([one(By((name,))) for name in by.names])


def _clusters(split: Split, columns: ItemColumns, wanted: str | None) -> tuple[list[str] | None, str | None, list[str]]:
    """Return the cluster of each item, its column and notes; an item whose cluster is not known is one of its own."""
    if wanted == "none":
        return None, None, []
    if wanted is None:
        wanted = next((name for name in PEOPLE if name in columns.names), None) if split.store is not None else None
        if wanted is None:
            return None, None, []
    found = columns.column(wanted, option="--cluster")
    unknown = sum(not cell for cell in found)
    if unknown == len(found):
        raise DataError(f"--cluster {wanted}: it is known of none of the {len(found):,} items.")
    notes = []
    if unknown:
        notes.append(f"{wanted} is not known of {count_text(unknown, 'item')}: each counts as a cluster of its own")
    named = [f"={cell}" if cell else f"item {place}" for place, cell in enumerate(found)]
    count = len(set(named))
    notes.append(
        f"intervals and tests are over {count_text(count, 'cluster')} ({wanted}), not over "
        f"{count_text(len(found), 'item')}"
    )
    return named, wanted, notes


def check_properties(names: Sequence[str], split: Split) -> None:
    """Refuse properties that there are not, and clips that are features and have no images."""
    for name in names:
        own = name.removeprefix(IMAGE)
        if own not in PROPERTIES:
            known = [f"{IMAGE}{one}" for one in PROPERTIES]
            guess = did_you_mean(name, known, before=" ")
            raise UsageError(f"--by {name}: there is no such property of images; there are {list_some(known)}.{guess}")
    if names and split.store is not None and split.store.spec.features is not None:
        raise UsageError(f"--by {names[0]}: {split.root} holds features of clips, and no images.")


def measure_images(split: Split, names: Sequence[str], *, skip: bool, reporter: Reporter) -> list[list[float]]:
    """Return the properties ``names`` of each image of ``split``, of clips of the middle one of their stored frames.

    Args:
        split: the items.
        names: of ``image_properties.PROPERTIES``.
        skip: NaN for an image that cannot be read.
        reporter: of the progress.

    Raises:
        DataError: an image cannot be read, unless ``skip``.
    """

    def one(index: int) -> list[float]:
        try:
            if split.store is not None:
                image = split.store.images([split.ids[index]], [split.store.frames // 2])[0]
            else:
                image = read_image(split.path(index), channels=1)
        except DataError:
            if not skip:
                raise
            return [math.nan] * len(names)
        return image_properties(image, list(names))

    found = []
    reporter.start("measuring images", len(split), "images")
    try:
        with ThreadPoolExecutor(READERS) as pool:
            for row in pool.map(one, range(len(split))):
                found.append(row)
                reporter.advance()
    finally:
        reporter.finish()
    return found
