"""What the operating system refused, in plain words: why, and the next step. Importing this loads nothing heavy."""

from __future__ import annotations

import errno
from pathlib import Path

from affectkit.core.missing_paths import instead_of
from affectkit.core.text import one_of

FULL = (errno.ENOSPC, errno.EDQUOT)
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
TEXTS = (".json", ".txt", ".yaml", ".yml")
WORDS = {
    errno.ENOENT: ("{} does not exist.", "Check the disk and the path: it may have been removed while it was in use."),
    errno.EEXIST: ("{} is there already, and is of another kind.", "Name another folder, or move it away."),
    errno.ENOTDIR: ("{}: a file stands where a folder is needed.", "Name another folder."),
    errno.EISDIR: ("{} is a folder, and a file is needed.", "Name a file."),
    errno.ENAMETOOLONG: ("the name {} is too long for this disk.", "Shorten it."),
    errno.EMFILE: ("too many files are open; {} was one more.", "Raise the limit: ulimit -n 4096, or lower --workers."),
    errno.EFBIG: ("{} is larger than files may be here.", "ulimit -f shows the limit, or the disk has one."),
    errno.EIO: ("the disk failed on {}.", "Copy what can be read to another disk."),
} | dict.fromkeys(
    DENIED, ("no permission for {}: your user may not read or write it.", "Name another place, or get the permission.")
) | dict.fromkeys(
    FULL, ("the disk is full: {} could not be written.", "Free space, or name a place on another disk; then run again.")
)  # fmt: skip
"""Message and next step by number of the error; what it was about stands at the braces."""


def describe_os_error(error: OSError) -> tuple[str, str]:
    """Return message and next step for what the operating system refused.

    >>> describe_os_error(OSError(errno.ENOSPC, "No space left on device", "runs/a.csv"))[0]
    'the disk is full: runs/a.csv could not be written.'
    """
    about = str(error.filename) if error.filename else "a file"
    if error.errno in WORDS:
        message, hint = WORDS[error.errno]
        return message.format(about), hint
    where = f" ({about})" if error.filename else ""
    return f"{error.strerror or error}{where}.", "Check the disk and the permissions."


def why_unreadable(error: OSError) -> str:
    """Return why a file cannot be read or written, without the words of the operating system where these are few."""
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, PermissionError):
        return "your user has no permission"
    return str(error.strerror or error)


def _a_file_in(folder: Path) -> str:
    """Return the next step where a folder was named for a file: the tables and texts in it."""
    try:
        there = sorted(folder.iterdir())
    except OSError:
        return ""
    files = [one for one in there if one.suffix == ".csv"] or [one for one in there if one.suffix in TEXTS]
    return f"Name a file in it, as {one_of(files[:3])}." if files else "Name a file."


def read_fault(what: str, path: str | Path, error: OSError, hint: str = "") -> tuple[str, str]:
    """Return message and next step for a file that cannot be read.

    Args:
        what: what it is and its name, as "table a.csv".
        path: of the file.
        error: of the attempt.
        hint: the next step, where nothing better is known.
    """
    missing = isinstance(error, FileNotFoundError)
    if isinstance(error, IsADirectoryError):
        hint = _a_file_in(Path(path)) or hint
    return f"cannot read {what}: {why_unreadable(error)}.", instead_of(path, advice=hint) if missing else hint
