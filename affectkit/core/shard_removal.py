"""Remove the parts of a result once it stands whole; whoever is killed in between is finished by the same command.

Before the first part goes, a note says which result they made and which they were. A part is renamed before it is
removed, so that there is none of which half is left.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from affectkit.core.contained_paths import is_regular, name_fault
from affectkit.core.files import read_json, sha256, write_json
from affectkit.core.forms import Hash
from affectkit.core.shard_parts import PART_RECORD, Part, find_parts
from affectkit.errors import DataError

NOTE = ".removing-shards.json"
NOTE_FORM = {"results": dict[str, Hash], "parts": dict[str, Hash]}
_GOING = ".removed-"


def remove_parts(folder: Path, parts: Sequence[Part], results: Iterable[str]) -> None:
    """Remove ``parts`` in ``folder``.

    Args:
        folder: that of the result and the parts.
        parts: all of them.
        results: names of the files of the result, which stand there.
    """
    note = {
        "results": {name: sha256(folder / name) for name in results},
        "parts": {part.folder.name: sha256(part.folder / PART_RECORD) for part in parts},
    }
    write_json(folder / NOTE, note)
    _remove(folder, [part.folder for part in parts])


def finish_removal(folder: Path) -> int | None:
    """Remove the parts that a removal which was killed has left; return how many there had been.

    Returns:
        None where there was no such removal, or the result or the parts are others now: nothing is removed then.
    """
    note = _read_note(folder)
    if note is None:
        return None
    left = list(find_parts(folder).values())
    same = all(
        is_regular(folder / name) and sha256(folder / name) == digest for name, digest in note["results"].items()
    ) and all(
        is_regular(path / PART_RECORD) and sha256(path / PART_RECORD) == note["parts"].get(path.name) for path in left
    )
    if not same:
        return None
    _remove(folder, left)
    return len(note["parts"])


def remove_part(path: Path) -> None:
    """Remove the folder of a part; of a link, the link alone."""
    if path.is_symlink():
        path.unlink()
        return
    going = path.with_name(_GOING + path.name)
    if going.exists():
        shutil.rmtree(going)
    os.replace(path, going)
    shutil.rmtree(going)


def sweep_removed(folder: Path) -> None:
    """Remove what killed removals have left of parts; a link is left alone."""
    for path in folder.glob(f"{_GOING}shard-*-of-*"):
        shutil.rmtree(path, ignore_errors=True)


def _remove(folder: Path, paths: Iterable[Path]) -> None:
    for path in paths:
        remove_part(path)
    sweep_removed(folder)
    (folder / NOTE).unlink()


def _read_note(folder: Path) -> dict[str, Any] | None:
    if not is_regular(folder / NOTE):
        return None
    try:
        note = read_json(folder / NOTE, NOTE_FORM)
    except DataError:
        return None
    fields = (note["results"], note["parts"])
    if not all(fields) or any("/" in name or name_fault(name) for field in fields for name in field):
        return None
    return note
