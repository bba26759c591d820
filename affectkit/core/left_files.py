"""Remove what a process that was killed left of files in the making (``core.files.whole_file``)."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

_BEGUN = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.(?:part|m4a)", re.DOTALL)
"""Names that ``tempfile.mkstemp`` gave; the growing tables that ``--resume`` continues are not called so."""


def sweep_left(path: Path, since: int) -> int:
    """Remove files that were begun to become the file ``path``, or one in the folder ``path``; no link is followed.

    Args:
        path: what the process that is gone was writing, and nobody else writes now.
        since: when it began, in nanoseconds by the clock of the file system. Older files are not its own.

    Returns:
        how many were removed.
    """
    removed = 0
    for entry in _entries(path):
        with contextlib.suppress(OSError):
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(found.st_mode) and found.st_mtime_ns >= since:
                os.unlink(entry.path)
                removed += 1
    return removed


def _entries(path: Path) -> Iterator[os.DirEntry[str]]:
    """Yield what is called like a file in the making."""
    inside = path.is_dir()
    folders = [os.fspath(path if inside else path.parent)]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                begun = _BEGUN.fullmatch(entry.name)
                if begun and (inside or begun[1] == path.name):
                    yield entry
                elif inside and entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
