"""The images or films that a user names: files, folders, patterns, a list; in a fixed order."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from affectkit.core.shards import Listing, Shard
from affectkit.data.decode import is_image_name, is_video_name, list_files
from affectkit.data.given import Given
from affectkit.errors import DataError


@dataclass(frozen=True)
class Item:
    """An image to predict: its name in the result table, its file, and its place in the listing, from 0.

    A program may give a picture in place of a file.
    """

    name: str
    path: Path | Given
    position: int = 0


def find_items(
    paths: Iterable[str],
    *,
    recursive: bool,
    listed: IO[str] | None = None,
    wanted: Callable[[str], bool] = is_image_name,
    noun: str = "image",
) -> Iterator[Item]:
    """The images that ``paths`` name, in a fixed order.

    A single folder's images are named relative to it; all others as they were written, joined with what was found.

    Args:
        paths: files, folders, glob patterns, or ``-`` for a path a line on ``listed``.
        wanted: whether a file of a folder is one of them, by its name. noun: what they are.

    Raises:
        DataError: a path does not exist, a pattern matches nothing, or a folder holds no image.
    """
    paths = list(paths)
    for text in paths:
        path = Path(text).expanduser()
        if text != "-" and not path.exists():
            if not glob.has_magic(text):
                raise DataError(f"{text} does not exist.")
            if not next(glob.iglob(os.path.expanduser(text), recursive=True), None):
                raise DataError(f"nothing matches {text}.")
        elif path.is_dir() and next(list_files(path, wanted, recursive=recursive), None) is None:
            hint = "" if recursive else "Add --recursive to look into its sub-folders too."
            raise DataError(f"{text} holds no {noun}.", hint)
    items = _items(paths, wanted, recursive=recursive, listed=listed)
    # The images of one folder cannot repeat; of a list, a number for each name is kept.
    return items if len(paths) == 1 and paths[0] != "-" else _once(items)


def _once(items: Iterator[Item]) -> Iterator[Item]:
    """``items`` without those whose name has come before: a table has one row a name."""
    seen: set[int] = set()
    for item in items:
        # Of the bytes, which need not be text.
        key = int.from_bytes(hashlib.blake2b(os.fsencode(item.name), digest_size=8).digest(), "big")
        if key not in seen:
            seen.add(key)
            yield item


def _items(
    paths: list[str], wanted: Callable[[str], bool], *, recursive: bool, listed: IO[str] | None
) -> Iterator[Item]:
    for text in paths:
        path = Path(text).expanduser()
        if text == "-":
            for line in listed or ():
                if name := line.rstrip("\r\n"):
                    yield Item(name, Path(name))
        elif path.is_dir():
            yield from _folder_items(path, text, wanted, recursive=recursive, relative=len(paths) == 1)
        elif path.exists():
            yield Item(text, path)
        else:
            yield from _glob_items(text, wanted, recursive=recursive)


def _folder_items(
    path: Path, text: str, wanted: Callable[[str], bool], *, recursive: bool, relative: bool
) -> Iterator[Item]:
    for image in list_files(path, wanted, recursive=recursive):
        inner = image.relative_to(path)
        yield Item((inner if relative else Path(text) / inner).as_posix(), image)


def _glob_items(text: str, wanted: Callable[[str], bool], *, recursive: bool) -> Iterator[Item]:
    for match in sorted(glob.glob(os.path.expanduser(text), recursive=True)):
        path = Path(match)
        if path.is_dir():
            yield from (Item(image.as_posix(), image) for image in list_files(path, wanted, recursive=recursive))
        else:
            yield Item(match, path)


def numbered(items: Iterable[Item], listing: Listing, shard: Shard | None) -> Iterator[Item]:
    """``items`` with their positions, counted in ``listing`` as they are met; of a shard, its own alone."""
    for item in items:
        position = listing.add(item.name)
        if shard is None or shard.mine(position):
            yield Item(item.name, item.path, position)


def of_films(paths: Iterable[str], *, recursive: bool) -> bool:
    """Whether ``paths`` name films, not images: the first that is a file, or holds one, says so.

    Images come first where a folder holds both.
    """
    for text in paths:
        path = Path(text).expanduser()
        if path.is_dir():
            if next(list_files(path, is_image_name, recursive=recursive), None) is not None:
                return False
            if next(list_files(path, is_video_name, recursive=recursive), None) is not None:
                return True
        elif path.exists():
            return is_video_name(text)
        elif text != "-" and (match := next(glob.iglob(os.path.expanduser(text), recursive=True), None)):
            return is_video_name(match)
    return False
