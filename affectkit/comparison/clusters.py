"""What items belong to that are alike: the actor of a clip, from tables of the data set, of the user, or from names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from affectkit.core.text import count_text, list_some
from affectkit.data.layouts.clip_store import is_prepared
from affectkit.data.layouts.group_table import ItemColumns
from affectkit.errors import DataError
from affectkit.evaluation.item_groups import PEOPLE

CREMAD_CLIP = re.compile(r"(\d{4})_[A-Z]{3}_(?:ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX|X)")
"""Names of CREMA-D's clips: actor, sentence, emotion, level (Cao et al. 2014, and the data set's README)."""
ACTOR = "actor"
INDEPENDENT = "none"
"""In place of a column: items are independent."""
FEW = 10
"""Clusters below which a remark is due."""


@dataclass(frozen=True)
class Clusters:
    """What each item belongs to.

    Attributes:
        column: its name.
        values: (N,).
        notes: on how they were found.
    """

    column: str
    values: list[str] = field(repr=False)
    notes: list[str]

    @property
    def count(self) -> int:
        """Return the number of clusters."""
        return len(set(self.values))


def find_clusters(
    ids: Sequence[str],
    column: str,
    *,
    root: Path | None,
    labels: Path | None,
    groups: Path | None,
    classes: Sequence[str],
) -> Clusters:
    """Return what each of ``ids`` belongs to.

    Args:
        ids: names of the items.
        column: of a table, or ``file:REGEX``; see ``data.layouts.group_table.ItemColumns``.
        root: folder of the data set; None where it is not there. Where no table has ``actor``, that of CREMA-D's clips
            is read off their names.
        labels: its table, where that lies elsewhere.
        groups: a table that is joined.
        classes: whose columns are targets.

    Raises:
        UsageError: there is no such column.
        DataError: an item has no value of it.
    """
    known = ItemColumns(ids, root=root, labels=labels, groups=groups, classes=classes)
    if column == ACTOR and ACTOR not in map(str.casefold, known.names) and (found := actors_in_names(ids)):
        return Clusters(column, found, ["actors are read off CREMA-D's names of clips"])
    values = known.column(column, option="--cluster")
    if without := [name for name, value in zip(ids, values, strict=True) if not value]:
        raise DataError(
            f"--cluster {column}: {count_text(len(without), 'item')} of {len(ids):,} have no value: "
            f"{list_some(without, 3)}.",
            "Whether they are alike is not known. Complete the table, or join one with --groups TABLE.",
        )
    notes = list(known.notes)
    sizes = Counter(values)
    if len(sizes) == len(values):
        notes.append(f"every item has a {column} of its own: they are as independent as without --cluster")
    elif len(sizes) < FEW:
        notes.append(f"{count_text(len(sizes), column)}, which is few: intervals are wide, and rest on these")
    return Clusters(column, values, notes)


def actors_in_names(ids: Sequence[str]) -> list[str]:
    """Return the actor of each of CREMA-D's clips; empty where a name is none of a clip of it."""
    found = [CREMAD_CLIP.fullmatch(Path(name).stem) for name in ids]
    return [match[1] for match in found if match] if all(found) else []


def likely_cluster(ids: Sequence[str], root: Path | None) -> str:
    """Return the column by which prepared clips, or CREMA-D's by their names, are likely to be alike; empty without."""
    if root is not None and is_prepared(root):
        known = ItemColumns(ids, root=root).names
        return next((name for name in PEOPLE if name in known), "")
    return ACTOR if actors_in_names(ids) else ""
