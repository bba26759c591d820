"""Identity of a file that was read: its size and times, and where these differ its bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from affectkit.core.files import sha256
from affectkit.data.media.animations import count_frames

Mark = tuple[int, int, int, str]
"""Size in bytes, times of the last change of the content and of the entry in nanoseconds, SHA-256 in hexadecimal."""


def file_mark(path: Path) -> Mark | None:
    """Return the mark of a file as it is now; None for what cannot be read."""
    try:
        status = path.stat()  # first: what is written in between shows at the next check
        return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, sha256(path))
    except (OSError, ValueError):
        return None


def is_same_file(mark: Sequence[Any] | None, path: Path) -> bool:
    """Return whether the file at ``path`` has the content that it had when ``mark`` was taken.

    Where size and both times are the same it is not read: the time of the entry cannot be set, so that a file that was
    written with its old size and time shows. Where a time differs, as in a copy, the bytes decide.
    """
    if mark is None:
        return False
    try:
        status = os.stat(path)
        if status.st_size != mark[0]:
            return False
        return (status.st_mtime_ns, status.st_ctime_ns) == (mark[1], mark[2]) or sha256(path) == mark[3]
    except (OSError, ValueError):
        return False


class Marked:
    """The items of ``files``, whose keys are (position, path), each with its mark and how many frames it has.

    Args:
        marks: whether marks are wanted; a file is read once more for it, by then out of the system's memory.
    """

    def __init__(self, files: Any, *, marks: bool) -> None:
        self.files, self.marks = files, marks

    def __getitem__(self, key: tuple[int, str]) -> tuple[Any, int, tuple[Mark | None, int]]:
        position, name = key
        path = Path(name)
        mark = file_mark(path) if self.marks else None  # before the pixels: a later change must show
        return self.files[key], position, (mark, count_frames(path))


def collate_marked(collate: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """Return ``collate`` for what ``Marked`` gives; ``"marks"`` holds mark and number of frames by position."""
    return _Collate(collate)


class _Collate:
    def __init__(self, collate: Callable[[Any], dict[str, Any]]) -> None:
        self.collate = collate

    def __call__(self, items: Sequence[tuple[Any, int, tuple[Mark | None, int]]]) -> dict[str, Any]:
        return {**self.collate([item for item, _, _ in items]), "marks": {place: found for _, place, found in items}}
