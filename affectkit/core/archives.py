"""Archives that lie where their contents are looked for. Importing this loads nothing heavy."""

from __future__ import annotations

import os
from pathlib import Path

from affectkit.core.text import list_some, readable

ENDINGS = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
MOST_NAMED = 3


def archives_in(folder: Path) -> list[str]:
    """Return the names of the archives in ``folder``, sorted; none where it is not there or cannot be read."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(name for name in names if name.lower().endswith(ENDINGS) and not name.startswith("."))


def unpack_or(folder: Path, otherwise: str = "") -> str:
    """Return the next step where ``folder`` lacks what it should hold: to unpack what is archived in it, if there is
    such; then ``otherwise``.

    >>> unpack_or(Path("nowhere"), "Name another folder.")
    'Name another folder.'
    """
    there = archives_in(folder)
    if not there:
        return otherwise
    return readable(f"Unpack {list_some(there, MOST_NAMED)} there first. {otherwise}".rstrip())
