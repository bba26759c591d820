"""Contents of a folder, and below it, in one fixed order; what cannot be read is reported, not raised."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from affectkit.core.missing_paths import instead_of
from affectkit.errors import DataError

SYSTEM_NAMES = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir", "$RECYCLE.BIN"})


@dataclass(frozen=True)
class Fault:
    """A file, or folder, that is there and cannot be reached: ``reason`` goes on from its name."""

    path: Path
    reason: str


def is_hidden(name: str) -> bool:
    """Return whether a name is hidden or left by a system (``.DS_Store``, ``._a.jpg``, ``__MACOSX``, ``Thumbs.db``)."""
    return name.startswith(".") or name in SYSTEM_NAMES


def walk(folder: Path, *, recursive: bool, faults: list[Fault]) -> Iterator[tuple[Path, list[str]]]:
    """Yield ``folder``, and with ``recursive`` each one below it, with the sorted names of its files.

    Hidden and system files are passed over. Links to folders are followed, each folder once. A link that leads nowhere
    or in a circle counts as a file: whoever opens it has the reason; without an ending in its name it may have been one
    to a folder, and is a fault. So is a folder below that cannot be listed.

    Raises:
        DataError: ``folder`` is missing, is not a folder (raised at once), or cannot be listed.
    """
    folder = Path(folder)
    if not folder.exists():
        raise DataError(f"folder {folder} does not exist.", instead_of(folder))
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder.")
    return _walk(folder, recursive, faults)


def list_files(
    folder: Path, wanted: Callable[[str], bool], *, recursive: bool = False, faults: list[Fault] | None = None
) -> Iterator[Path]:
    """Yield files of ``walk`` whose names are ``wanted``, one after the other.

    Args:
        faults: takes what cannot be reached; None: the first of these is a DataError.
    """
    found: list[Fault] = [] if faults is None else faults

    def listed() -> Iterator[Path]:
        for below, names in folders:
            if faults is None and found:
                raise DataError(f"{found[0].path}: {found[0].reason}.")
            for name in names:
                if wanted(name):
                    yield below / name
        if faults is None and found:
            raise DataError(f"{found[0].path}: {found[0].reason}.")

    folders = walk(folder, recursive=recursive, faults=found)
    return listed()


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one; a link in a circle is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a file, or a link to one; a link in a circle is none."""
    try:
        return entry.is_file()
    except OSError:
        return False


def broken_links(folder: Path) -> list[str]:
    """Return the names of the links in ``folder`` that cannot be followed, sorted; hidden ones are passed over."""
    with os.scandir(folder) as entries:
        links = [entry.name for entry in entries if entry.is_symlink() and not is_hidden(entry.name)]
    return sorted(name for name in links if link_fault(folder / name))


def link_fault(path: Path) -> str:
    """Return why a link cannot be followed; empty for what is no link, or one that can."""
    try:
        target = os.readlink(path)
    except OSError:
        return ""
    try:
        os.stat(path)
    except FileNotFoundError:
        if "annex/objects/" in target.replace(os.sep, "/"):
            return "its content has not been fetched (git annex get fetches it)"
        return f"is a link to {target}, which is not there"
    except OSError as error:
        return f"is a link to {target}, which cannot be followed ({error.strerror or error})"
    return ""


def _walk(folder: Path, recursive: bool, faults: list[Fault]) -> Iterator[tuple[Path, list[str]]]:
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            names, folders = _listed(here, faults)
        except OSError as error:
            why = "may not be listed (no permission)" if isinstance(error, PermissionError) else error.strerror or error
            if here is folder:
                raise DataError(f"cannot list {folder}: {why}.") from error
            faults.append(Fault(here, f"the folder cannot be looked into: {why}"))
            continue
        yield here, names
        if recursive:
            waiting += [here / name for name in reversed(folders)]


def _listed(folder: Path, faults: list[Fault]) -> tuple[list[str], list[str]]:
    """Return the sorted names of the files and of the folders in ``folder``."""
    names, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if is_hidden(name):
                continue
            if entry.is_symlink():
                _place_link(entry, folder / name, names, folders, faults)
            elif entry.is_dir():
                folders.append(name)
            else:
                names.append(name)
    return sorted(names), sorted(folders)


def _place_link(entry: os.DirEntry[str], path: Path, names: list[str], folders: list[str], faults: list[Fault]) -> None:
    """Put a link to where what it leads to belongs."""
    try:
        (folders if stat.S_ISDIR(entry.stat().st_mode) else names).append(entry.name)
    except OSError as error:
        if "." in entry.name[1:]:
            names.append(entry.name)
        else:
            faults.append(Fault(path, link_fault(path) or f"cannot be followed ({error.strerror or error})"))


def visible_names(folder: Path, wanted: Callable[[os.DirEntry[str]], bool]) -> list[str]:
    """Return the sorted names in ``folder`` that are neither hidden nor a system's and that ``wanted`` holds for."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not is_hidden(entry.name) and wanted(entry))
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror or error}.") from error
