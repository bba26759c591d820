"""The folder of uploaded files while they are needed; one that a kill has left is removed at the next start."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from affectkit.core.folder_lock import Output, locked
from affectkit.errors import AffectkitError

PREFIX = "affectkit-serve-"
_own: set[str] = set()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Open a block with a new folder for this user alone, which is removed at its end with all that stands in it."""
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    _own.add(folder.name)
    try:
        with locked(Output(folder)):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _own.discard(folder.name)


def _sweep(parent: Path) -> None:
    """Remove folders of servers of this user that have ended without removing theirs."""
    for path in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, AffectkitError):
            found = path.lstat()
            mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
            if path.name not in _own and stat.S_ISDIR(found.st_mode) and mine and (path / ".lock").exists():
                with locked(Output(path, make=False)):
                    shutil.rmtree(path, ignore_errors=True)
