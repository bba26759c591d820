"""What stays together in cross-validation: groups by a column or by file names, and copies of an image.

A model that was trained on one picture of a person, or on a copy of a picture, is tested on neither: its fold would be
known to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from affectkit.core.expressions import PATTERN, compile_expression
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text, list_some
from affectkit.data.layouts.duplicates import content_hashes
from affectkit.data.layouts.group_table import ItemColumns
from affectkit.data.split import Split
from affectkit.errors import DataError

PEOPLE = ("actor", "subject", "speaker", "user", "participant", "person", "identity")
"""Columns that name who is seen: prepared clips are grouped by the first that they have, and of tables it is told."""
NOTHING = "none"


@dataclass(frozen=True, eq=False)
class Units:
    """The units of some items: those of one unit stand in one fold.

    Attributes:
        names: of the units; of a group its own, else the least name of its items.
        of_items: int (N,), the unit of each item.
        grouped: whether they are groups that the user, or prepared clips, have.
        title: what they are, in words.
        warnings: what is likely not as it was meant.
    """

    names: list[str] = field(repr=False)
    of_items: np.ndarray = field(repr=False)
    grouped: bool
    title: str
    warnings: tuple[str, ...] = ()


def find_units(
    split: Split,
    *,
    root: Path,
    labels: Path | None = None,
    group_by: str | None = None,
    groups: Path | None = None,
    noun: str = "images",
    reporter: Reporter,
) -> Units:
    """Find what stays together among the items of ``split``.

    Args:
        split: all items that are folded.
        root: folder of the data set.
        labels: the table that is read in place of those in ``root``.
        group_by: a column, a regular expression over file names with a group, or ``none``; None: the people of
            prepared clips.
        groups: a table that is joined to the items.
        noun: what an item is.
        reporter: of the reading.

    Raises:
        UsageError: there is no such column, and it is no expression with a group either.
        DataError: items have no group.
    """
    if group_by is not None and group_by != NOTHING and (pattern := _pattern(group_by)) is not None:
        named = "the groups" if pattern.groups > 1 else "the group"
        return _grouped(split, _from_names(split, pattern, group_by, noun), f"{named} of {pattern.pattern!r}")
    columns = ItemColumns(split.ids, root=root, labels=labels, groups=groups, classes=split.classes)
    for text in columns.notes:
        reporter.note(text)
    known = {name.lower(): name for name in columns.names if any(columns.column(name))}
    people = next((known[name] for name in PEOPLE if name in known), "")
    if group_by is None and people and split.store is not None:
        group_by = people
        reporter.note(f"clips of one {people} stay in one fold (--group-by {people}; --group-by none mixes them)")
    if group_by is None or group_by == NOTHING:
        told = ()
        if people and group_by is None:
            told = (f"the table has a column {people!r}; folds without --group-by {people} mix {people}s.",)
        return _copies_together(split, noun, told, reporter)
    cells = columns.column(group_by, option="--group-by")
    return _grouped(split, _from_column(split, cells, group_by, noun), f"the column {group_by!r}")


def _pattern(group_by: str) -> re.Pattern[str] | None:
    """Return the expression that ``group_by`` is; None for a column: what has no parenthesis and no ``file:``."""
    if not group_by.startswith(PATTERN) and "(" not in group_by:
        return None
    return compile_expression(group_by, "--group-by", most=None)


def _from_names(split: Split, pattern: re.Pattern[str], given: str, noun: str) -> list[str]:
    """Return the text of the first group, or of all that are named, for each item; of a copy, by its source's name."""
    chosen = list(pattern.groupindex.values()) or [1]

    def read(name: str) -> str:
        match = pattern.search(name)
        parts = [match[number] or "" for number in chosen] if match else []
        return "/".join(parts) if all(parts) else ""

    found = [read(name) for name in split.sources or split.ids]
    _refuse_without(split, found, lambda count: f"{count} do not match --group-by {given!r}", f"file names of {noun}")
    return found


def _from_column(split: Split, cells: Sequence[str], name: str, noun: str) -> list[str]:
    """Return the cell of each item; of a copy, that of its source where that is known."""
    place = {item: number for number, item in enumerate(split.ids)}
    sources = split.sources or split.ids
    found = [cells[place.get(source, number)] or cells[number] for number, source in enumerate(sources)]
    _refuse_without(split, found, lambda count: f"{count} have nothing in the column {name!r}", noun)
    return found


def _refuse_without(split: Split, found: Sequence[str], what: Callable[[str], str], noun: str) -> None:
    lacking = [item for item, value in zip(split.ids, found, strict=True) if not value]
    if lacking:
        raise DataError(
            f"{what(f'{len(lacking):,} of {len(split):,} {noun}')}: {list_some(lacking, 5)}.",
            "Each item needs a group: without it, it could be in any fold.",
        )


def _grouped(split: Split, values: Sequence[str], title: str) -> Units:
    names = sorted(set(values), key=natural)
    place = {name: number for number, name in enumerate(names)}
    of_items = np.array([place[value] for value in values], dtype=np.int64)
    return Units(names, of_items, grouped=True, title=title)


def natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a key by which ``subject2`` comes before ``subject10``."""
    words = re.split(r"([0-9]+)", name)
    return [(0, int(word), "") if word.isdigit() and word.isascii() else (1, 0, word) for word in words], name


def _copies_together(split: Split, noun: str, told: tuple[str, ...], reporter: Reporter) -> Units:
    """Make units of items that are exact copies, or augmented copies of one source; most are alone."""
    first: dict[bytes | str, int] = {}
    above = list(range(len(split)))

    def top(number: int) -> int:
        while above[number] != number:
            above[number] = number = above[above[number]]
        return number

    contents = content_hashes({"all": split}, reporter=reporter, within=True)["all"]
    sources = split.sources or split.ids
    for number, keys in enumerate(zip(contents, sources, strict=True)):
        for key in filter(None, keys):
            above[top(number)] = top(first.setdefault(key, number))
    tops = [top(number) for number in range(len(split))]
    least: dict[int, str] = {}
    for number, item in zip(tops, split.ids, strict=True):
        least[number] = min(least.get(number, item), item)
    names = sorted(least.values())
    place = {name: number for number, name in enumerate(names)}
    of_items = np.array([place[least[number]] for number in tops], dtype=np.int64)
    together = len(split) - len(names)
    if together:
        what = "augmented or exact copies" if split.sources is not None else "exact copies"
        count = count_text(together, noun.removesuffix("s"))
        reporter.note(f"{count}: {what} of others, which stay in one fold with them")
    return Units(names, of_items, grouped=False, title="copies of an image", warnings=told)
