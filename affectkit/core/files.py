"""Files that appear whole or not at all, and places to keep them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from affectkit.core.forms import parse_json
from affectkit.core.limits import MAX_JSON_BYTES, over
from affectkit.core.os_errors import read_fault
from affectkit.core.text import SEPARATOR, readable
from affectkit.errors import AffectkitError, DataError, UsageError

MOST_NAME = 200
"""Bytes of a file's name that stands within a longer one; of the whole, most file systems take 255."""


@contextlib.contextmanager
def whole_file(path: Path, *, alone: bool = False, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, which is renamed onto it when the block ends well.

    Args:
        path: the file to be made; its folder is made where it is not there.
        alone: no other process writes this file meanwhile. The temporary path then has one name, under which nothing
            stands yet, so that what a kill leaves is replaced by the next run.
        durable: flush file and folder to the disk, which for thousands of small files takes most of the time.

    >>> with whole_file(Path("table.csv")) as part:             # doctest: +SKIP
    ...     part.write_text("a,b")
    """
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    if alone:
        part = path.with_name(f".{_bounded(path.name)}.part")
        part.unlink(missing_ok=True)
    else:
        handle, name = tempfile.mkstemp(prefix=f".{_bounded(path.name)}.", suffix=".part", dir=path.parent)
        os.close(handle)
        part = Path(name)
    try:
        yield part
        if not alone:  # mkstemp's files are for their owner alone
            part.chmod(0o666 & ~_umask())
        if durable:
            fsync_path(part)
        os.replace(part, path)
        if durable:
            fsync_path(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _bounded(name: str) -> str:
    """Return ``name``, or a hash in place of one so long that file systems have no room for what stands around it."""
    data = os.fsencode(name)
    return name if len(data) <= MOST_NAME else hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside ``path``, which is renamed to it, its files flushed, when the block ends well.

    Args:
        path: the folder to be made; it must not be there, or be empty.
    """
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        part.mkdir(parents=True)
        yield part
        for file in part.iterdir():
            fsync_path(file)
        fsync_path(part)
        os.replace(part, path)
        fsync_path(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def inner_path(name: str, endings: Collection[str], ending: str) -> PurePosixPath:
    """Return where in a folder the file made of an item stands: below it under the item's ``name``, never outside.

    Args:
        endings: those that the name keeps, in lower case; after any other, ``ending`` is added.

    >>> str(inner_path("../a/./b.JPG", (".jpg",), ".png")), str(inner_path("/data/c.tif", (".jpg",), ".png"))
    ('a/b.JPG', 'data/c.tif.png')
    """
    parts = [part for part in PurePosixPath(SEPARATOR.sub("/", name)).parts if part not in ("/", "..", ".")]
    inner = PurePosixPath(*parts)
    return inner if inner.suffix.lower() in endings else inner.with_name(inner.name + ending)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` (UTF-8; see ``names.readable`` for what is none) whole or not at all."""
    with whole_file(path) as part:
        part.write_text(readable(text), encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON; NaN and infinity become null, which JSON can hold."""
    write_text(path, to_json(value) + "\n")


def to_json(value: Any, indent: int | None = 2) -> str:
    """Return ``value`` as strict JSON: NaN and infinity as null, paths as text, bytes that are no text as ``\\xff``."""
    return json.dumps(
        _finite(value), indent=indent, ensure_ascii=False, allow_nan=False, default=lambda other: readable(str(other))
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {readable(str(key)): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    return value


def read_json(path: Path, form: Any = Any, *, hint: str = "", error: type[AffectkitError] = DataError) -> Any:
    """Return the value in a JSON file.

    Args:
        path: the file.
        form: what the value must be; see ``core.forms``.
        hint: the next step where it cannot be read.
        error: the kind of error.

    Raises:
        AffectkitError: of the kind ``error``: it cannot be read, is no file, too large, not JSON, nested too deep, or
            has another form; names file and place.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for
            raise error(f"cannot read {path}: it is no file.", hint)
        if found.st_size > MAX_JSON_BYTES:
            raise error(over(f"cannot read {path}: it", found.st_size, MAX_JSON_BYTES, "bytes"), hint)
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as fault:
        raise error(f"cannot read {path}: {fault}", hint) from fault
    return parse_json(text, f"cannot read {path}", form=form, hint=hint, error=error)


def fsync_path(path: Path) -> None:
    """Ask the operating system to put a file, or a folder's entries, on the disk."""
    with contextlib.suppress(PermissionError):  # Windows cannot open folders
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def open_file(path: Path | str) -> BinaryIO:
    """Open a regular file to read its bytes; a pipe, a socket or a device is an OSError."""
    stream = open(path, "rb", opener=open_at_once)  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, "it is no regular file, but a pipe, a socket or a device", str(path))
    return stream


def open_record(path: Path, hint: str = "") -> BinaryIO:
    """Open a file that a run has written, to read its bytes.

    Raises:
        DataError: it is not there, cannot be read, or is a folder, a pipe, a socket or a device.
    """
    try:
        return open_file(path)
    except OSError as error:
        raise DataError(*read_fault(str(path), path, error, hint)) from error


def open_at_once(path: str, flags: int) -> int:
    """Open a file for ``open(..., opener=open_at_once)``: a pipe that nobody writes to is empty, and not waited for."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return descriptor


def checksum(path: Path, algorithm: str) -> str:
    """Compute the checksum of a file's bytes, in hexadecimal.

    Args:
        path: the file.
        algorithm: one that ``hashlib`` knows, as "md5".
    """
    with open_file(path) as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file's bytes, in hexadecimal."""
    return checksum(path, "sha256")


def digest_of(path: Path) -> str:
    """Compute the content hash of a file: BLAKE2b with 128 bits, in hexadecimal."""
    hashed = hashlib.blake2b(digest_size=16)
    with open(path, "rb", buffering=0) as stream:
        while data := stream.read(1 << 20):
            hashed.update(data)
    return hashed.hexdigest()


def digest_bytes(data: bytes) -> str:
    """Compute what ``digest_of`` gives for a file that holds ``data``."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def holds_something(folder: Path) -> bool:
    """Return whether a folder holds more than locks and files that ``whole_file`` had begun, as a kill leaves them."""
    return any(not (name.startswith(".") and name.endswith((".lock", ".part"))) for name in os.listdir(folder))


def fresh_folder(path: Path, *, force: bool = False, name: str = "--output", hint: str = "") -> Path:
    """Return ``path``, for a folder yet to be made; a UsageError where it is a file, cannot be made, or holds
    something.

    Args:
        force: take a folder that holds something.
        name: the option that named it.
        hint: the next step where it holds something.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"{name} {path} is a file; a folder is needed.")
    if path.is_dir() and holds_something(path) and not force:
        raise UsageError(
            f"{name} {path} is not empty.", hint or "Name another folder, or add --force to write into it."
        )
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{name} {path} cannot be made: {there} cannot be written to.")
    return path


def cache_folder() -> Path:
    """Return where affectkit keeps what can be made again: $AFFECTKIT_CACHE, else $XDG_CACHE_HOME/affectkit or
    ~/.cache.
    """
    own = os.environ.get("AFFECTKIT_CACHE")
    if own:
        return Path(os.path.expanduser(own))
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "affectkit"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
