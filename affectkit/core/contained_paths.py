"""Names that a record on the disk holds, judged before a file is written, moved or removed by them.

Whoever hands a folder on can write its journals and records. A name in one of these is taken for an entry of that
folder alone: it is relative, in its shortest form (so that no two names are one file), and no folder on its way is a
link. The entry itself may be one: it is moved or removed, never followed.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from affectkit.core.files import digest_of
from affectkit.errors import DataError

_NO_NAME = "is no name of a file"


class ContainedPaths:
    """Judge names of entries of ``root``; folders on their ways are looked up once."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._real = os.path.realpath(root)
        self._folders: dict[str, str] = {}

    def fault(self, name: object) -> str:
        """Return why ``name`` is not taken for an entry of the folder, as goes on from it; empty where it is."""
        if not isinstance(name, str):
            return _NO_NAME
        if why := name_fault(name):
            return why
        folder = name.rpartition("/")[0]
        if folder not in self._folders:
            self._folders[folder] = self._folder_fault(folder)
        return self._folders[folder]

    def path(self, name: str) -> Path:
        """Return the entry ``name``.

        Raises:
            DataError: it is none of the folder.
        """
        if why := self.fault(name):
            raise DataError(f"{name!r} {why}; it is no file of {self.root}.")
        return self.root / name

    def holds(self, path: Path | str) -> bool:
        """Return whether ``path``, links followed, is the folder or lies in it."""
        real = os.path.realpath(path)
        return real == self._real or real.startswith(self._real.rstrip(os.sep) + os.sep)

    def _folder_fault(self, folder: str) -> str:
        way = os.path.join(self._real, folder) if folder else self._real
        real = os.path.realpath(way)
        if real == os.path.normpath(way):
            return ""
        return f"goes through a link, to {real}" + ("" if self.holds(real) else f", out of {self.root}")


def path_inside(root: Path, name: str) -> Path:
    """Return the file that a table of the user's under ``root`` calls ``name``, links in the folder followed.

    Raises:
        DataError: it is no name (``path_below``), or a link that leads out of ``root``.
    """
    path = root / path_below(root, name)
    if not ContainedPaths(root).holds(path):
        raise DataError(f"{name!r} is a link that leads out of the folder {root}.")
    return path


def path_below(root: Path, name: str) -> Path:
    """Return ``name`` as a path below ``root``, by its text, in its shortest form or not; links are not followed.

    Raises:
        DataError: it is absolute, climbs out with ``..``, or is no name of a file.
    """
    why = name_fault(name, shortest=False)
    if why == _NO_NAME:
        raise DataError(f"{name!r} is not a file name.")
    if why:
        raise DataError(f"{name!r} leaves the folder {root}: names must be relative to it, without '..'.")
    return Path(name)


def name_fault(name: str, *, shortest: bool = True) -> str:
    """Return why ``name`` is no relative path (posix), as goes on from it; empty where it is.

    Args:
        name: as it stands in a record.
        shortest: whether it must have its shortest form, so that no two names are one file; tables of users need not.

    >>> [name_fault(name) for name in ("a/b.png", "../b.png", "/b.png", "a//b.png")]
    ['', "leaves its folder by '..'", 'is absolute', 'is not in its shortest form']
    """
    if not name or "\0" in name:
        return _NO_NAME
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return _NO_NAME
    parts = name.split("/")
    absolute = name.startswith("/")
    if os.sep == "\\":
        if shortest and ("\\" in name or ":" in name):
            return "is no relative path with slashes"
        parts = name.replace("\\", "/").split("/")
        absolute = absolute or bool(Path(name).anchor)
    elif "\\" in name and ".." in name.replace("\\", "/").split("/"):
        return "leaves its folder by '..' on Windows"
    if absolute:
        return "is absolute"
    if ".." in parts:
        return "leaves its folder by '..'"
    return "is not in its shortest form" if shortest and ("" in parts or "." in parts) else ""


def is_regular(path: Path | str) -> bool:
    """Return whether there is a regular file ``path``, no link, pipe or device."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def digest_inside(path: Path | str) -> str | None:
    """Return the content hash (``files.digest_of``) of a regular file; None for a link, pipe, device or no file."""
    return digest_of(Path(path)) if is_regular(path) else None


def refuse_link(path: Path, what: str) -> None:
    """Refuse a file or folder of ours that is a link: what is written to it would be written elsewhere.

    Raises:
        DataError: ``path`` is a link.
    """
    if os.path.islink(path):
        raise DataError(
            f"{what} {path} is a link, to {os.path.realpath(path)}; nothing was touched.",
            "affectkit makes no such link. Remove it, or put the file there that it leads to.",
        )
