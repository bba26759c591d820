"""Check tables: files named twice or in two splits, and files that tables name and that are not there."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from affectkit.core.folders import is_file
from affectkit.core.text import count_text, list_some
from affectkit.data.layouts.links import CHANGED, HINT, INSIDE, Links, not_there
from affectkit.errors import DataError

if TYPE_CHECKING:
    from affectkit.data.layouts.table import Table

OUTSIDE = "links that lead out of the table's folder"
_SCAN_FROM = 32
"""From so many files of one folder on, the folder is listed once; below, each file is asked for."""


def refuse_repeated_files(tables: Mapping[str, Table]) -> None:
    """Refuse a file that is named twice in a split, or in two splits."""
    owners: dict[str, tuple[str, int]] = {}
    shared: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, table in tables.items():
        errors = table.errors()
        for row, identity in enumerate(table.ids):
            owner, first = owners.setdefault(identity, (name, table.lines[row]))
            if owner != name:
                shared[owner, name].append(identity)
            elif first != table.lines[row]:
                errors.add("a file is named twice", table.lines[row], f"{identity!r} as in line {first}")
        errors.check("Keep one row a file.")
    if shared:
        texts = [
            f"{count_text(len(names), 'file is', 'files are')} in both {a} and {b}: {list_some(names)}"
            for (a, b), names in shared.items()
        ]
        raise DataError("; ".join(texts) + ".", "A file may be in one split only, or results would be too good.")


def refuse_missing_files(table: Table, *, follow: bool = False) -> Counter[str]:
    """Refuse rows whose file is missing or is a link that leads out of the table's folder; see ``data.layouts.links``.

    Returns:
        how many links out of it are followed, by what allows it.
    """
    root, errors, links = table.root, table.errors(), Links(table.root, follow=follow)
    folders: dict[str, list[int]] = defaultdict(list)
    for row, identity in enumerate(table.ids):
        folders[identity.rpartition("/")[0]].append(row)
    ways: Counter[str] = Counter()
    outside: list[str] = []
    for folder, rows in folders.items():
        out = bool(folder) and links.way(folder) != INSIDE  # then each file in it is judged, as one that is a link
        place = os.path.join(root, folder)
        there = _files_in(place, [table.ids[row].rpartition("/")[2] for row in rows])
        for row in rows:
            identity = table.ids[row]
            is_link = there.get(identity.rpartition("/")[2])
            if is_link or out:
                way = links.way(identity)
                if way is None:
                    errors.add(OUTSIDE, table.lines[row], repr(identity))
                    outside.append(identity)
                    continue
                ways[way] += is_link is not None and way != INSIDE
            if is_link is None:
                errors.add(not_there(os.path.join(root, identity)), table.lines[row], repr(identity))
    hint = f"File names are relative to {root}."
    if outside:
        target = os.path.realpath(os.path.join(root, outside[0]))
        hint = f"The first leads to {target}{CHANGED if links.changed(outside[0]) else ''}. {HINT}"
    errors.check(hint)
    return +ways


def _files_in(folder: str, names: list[str]) -> dict[str, bool]:
    """Return which of ``names`` are files in ``folder``, and whether each is a link."""
    try:
        if len(names) >= _SCAN_FROM:
            with os.scandir(folder) as entries:
                return {entry.name: entry.is_symlink() for entry in entries if is_file(entry)}
    except OSError:
        return {}
    paths = {name: os.path.join(folder, name) for name in names}
    return {name: os.path.islink(path) for name, path in paths.items() if os.path.isfile(path)}
