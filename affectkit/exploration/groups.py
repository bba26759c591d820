"""Groups of items, as the images of one person, that stand on both sides of a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectkit.core.expressions import PATTERN
from affectkit.data.layouts.group_table import ItemColumns
from affectkit.data.split import Split

SUBJECT_COLUMNS = (
    "actor", "subject", "speaker", "person", "participant", "identity", "individual", "performer", "celebrity",
)  # fmt: skip
"""Names of columns that say who is shown, but for capitals, other signs and an ``id`` at the end."""
MOST_NAMED = 1000


def group_column(
    splits: Mapping[str, Split], root: Path, *, labels: Path | None, table: Path | None = None, asked: str | None
) -> tuple[str, dict[str, list[str]]] | None:
    """Return the name of the column that groups the items, and its cells by split; None where there is none.

    Args:
        splits: whose ``root`` is the folder ``root``.
        root: of the data set.
        labels: the table that is read in place of those in ``root``.
        table: a table of columns that is joined to the items; see ``group_table.ItemColumns``.
        asked: a column, or a regular expression with one group, which is searched in the names of the items; None: a
            column of ``SUBJECT_COLUMNS``, if there is one.

    Raises:
        UsageError: ``asked`` is neither.
        DataError: a table cannot be read.
    """
    ids = [name for split in splits.values() for name in split.ids]
    classes = next(iter(splits.values())).classes
    if not ids:
        return None
    columns = ItemColumns(ids, root=root, labels=labels, groups=table, classes=classes)
    name = _subject(columns.names) if asked is None else asked
    if name is None:
        return None
    if name not in columns.names and "(" in name and not name.startswith(PATTERN):
        name = PATTERN + name
    cells = columns.column(name, option="--group-by")
    found, begin = {}, 0
    for key, split in splits.items():
        found[key] = cells[begin : begin + len(split)]
        begin += len(split)
    return name, found


def _subject(names: Sequence[str]) -> str | None:
    plain = {}
    for name in names:
        text = "".join(filter(str.isalnum, name.casefold()))
        plain.setdefault(text.removesuffix("id") or text, name)
    return next((plain[known] for known in SUBJECT_COLUMNS if known in plain), None)


def describe_groups(name: str, cells: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return which groups stand in several splits.

    Returns:
        ``column``; by split ``groups``, ``items`` and ``without`` (items whose group is not known) and ``largest``; and
        ``across``, items by group and split for each group that is in several, the largest first (``MOST_NAMED`` of
        them), with ``across_count``, how many there are.
    """
    counts = {split: Counter(filter(None, values)) for split, values in cells.items()}
    several = [group for group, number in Counter(g for found in counts.values() for g in found).items() if number > 1]
    several.sort(key=lambda group: (-sum(found[group] for found in counts.values()), group))
    return {
        "column": name,
        "splits": {
            split: {
                "groups": len(found),
                "items": len(cells[split]),
                "without": sum(not value for value in cells[split]),
                "largest": max(found.values(), default=0),
            }
            for split, found in counts.items()
        },
        "across_count": len(several),
        "across": {
            group: {split: found[group] for split, found in counts.items() if group in found}
            for group in several[:MOST_NAMED]
        },
    }
