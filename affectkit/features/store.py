"""Store features on disk, found by what they depend on: image bytes, transform, encoder weights, number format.

A store is a folder of segments, each a ``.npy`` file that appears whole; runs that fill one store at the same time each
write segments of their own, and what a killed run had finished is found by the next one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.contained_paths import refuse_link
from affectkit.core.files import cache_folder, read_json, whole_file, write_json
from affectkit.core.forms import Count
from affectkit.core.npy_files import load_npy
from affectkit.errors import DataError, RunError

KEY_BYTES = 16
SEGMENT_ROWS, SEGMENT_SECONDS = 4096, 30.0
"""A segment is written when it has so many rows, or is so old: what a kill can cost."""
RECORD = "store.json"
RECORD_FORM = {"identity": dict[str, Any], "width": Count, "title?": str}
"""What stands in it; see ``core.forms``."""
STALE = 24 * 3600.0
"""Seconds after which an unfinished file counts as left by a killed run."""


def root() -> Path:
    """Return the folder of all stores."""
    return cache_folder() / "features"


def digest(*parts: bytes | str) -> bytes:
    """Return a key of ``KEY_BYTES`` bytes of ``parts``."""
    found = hashlib.blake2b(digest_size=KEY_BYTES)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "big") + data)
    return found.digest()


class FeatureStore:
    """Store the features that one encoder gave for one transform.

    Args:
        identity: everything that features depend on beside the image and its change; names the folder.
        width: numbers per image.
        title: of the encoder, for people.
        folder: where; None for a folder of the cache.

    Raises:
        RunError: the folder cannot be made or written to.
    """

    def __init__(self, identity: Mapping[str, Any], width: int, *, title: str = "", folder: Path | None = None) -> None:
        self.identity = dict(identity)
        self.title = title
        name = digest(*(f"{key}={self.identity[key]}" for key in sorted(self.identity))).hex()
        self.folder = folder or root() / name
        self.width = width
        self.dtype = np.dtype([("key", f"V{KEY_BYTES}"), ("check", "<u4"), ("values", "<f4", (width,))])
        self.damaged = 0
        self._segments: list[np.ndarray] = []
        self._files: list[Path] = []
        self._positions: dict[bytes, tuple[int, int]] = {}
        self._buffer: dict[bytes, np.ndarray] = {}
        self._own: list[Path] = []
        self._since = time.monotonic()
        try:
            self._open()
        except OSError as error:
            raise RunError(
                f"the cache of features in {self.folder} cannot be used: {error.strerror or error}.",
                "AFFECTKIT_CACHE names another folder for it.",
            ) from error

    def __len__(self) -> int:
        return len(self._positions)

    def __contains__(self, key: bytes) -> bool:
        return key in self._positions

    def add(self, keys: Sequence[bytes], values: np.ndarray) -> None:
        """Add ``values`` (n, width) under ``keys``; on the disk once a segment is full, or with ``flush``."""
        self._buffer.update(zip(keys, np.asarray(values, dtype=np.float32), strict=True))
        if len(self._buffer) >= SEGMENT_ROWS or time.monotonic() - self._since >= SEGMENT_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered."""
        self._since = time.monotonic()
        if not self._buffer:
            return
        segment = np.empty(len(self._buffer), dtype=self.dtype)
        for row, (key, values) in enumerate(self._buffer.items()):
            segment[row] = (np.void(key), zlib.crc32(values.tobytes()), values)
        self._buffer.clear()
        self._own.append(self._write([segment]))

    def merge_segments(self) -> None:
        """Write what is buffered, and merge the segments that this process wrote into one."""
        self.flush()
        if len(self._own) > 1:
            parts = [np.load(path, mmap_mode="r") for path in self._own]
            before, self._own = self._own, [self._write(parts)]
            for path in before:  # what is mapped of them stays readable
                path.unlink(missing_ok=True)

    def refresh(self) -> None:
        """Find the segments that other processes have written since."""
        self._open()

    def intact(self, keys: Sequence[bytes]) -> list[bool]:
        """Return whether each of ``keys`` is here with the numbers that were written; damaged ones are forgotten."""
        found = []
        for key in keys:
            position = self._positions.get(key)
            good = position is not None and self._is_intact(*position)
            if position is not None and not good:
                self.damaged += 1
                repair = self._intact_copy(key)
                good = repair is not None
                if repair is None:
                    del self._positions[key]
                else:
                    self._positions[key] = repair
            found.append(good)
        return found

    def _is_intact(self, number: int, row: int) -> bool:
        stored = self._segments[number][row]
        return zlib.crc32(stored["values"].tobytes()) == int(stored["check"])

    def _intact_copy(self, key: bytes) -> tuple[int, int] | None:
        """Find a row of ``key`` that is as it was written: one that an earlier run computed again stands elsewhere."""
        wanted = np.void(key)
        for number in reversed(range(len(self._segments))):
            for row in np.flatnonzero(self._segments[number]["key"] == wanted).tolist():
                if self._is_intact(number, row):
                    return number, row
        return None

    def positions(self, keys: Sequence[bytes]) -> np.ndarray:
        """Return (n, 2) int64: segment and row of each key, for ``read``."""
        return np.array([self._positions[key] for key in keys], dtype=np.int64).reshape(-1, 2)

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Return the features (n, width), float32, at ``positions``."""
        found = np.empty((len(positions), self.width), dtype=np.float32)
        for number in np.unique(positions[:, 0]):
            rows = np.flatnonzero(positions[:, 0] == number)
            found[rows] = self._segments[number]["values"][positions[rows, 1]]
        return found

    def _open(self) -> None:
        """Map the segments that are not mapped yet."""
        refuse_link(self.folder, "the store of features")
        self.folder.mkdir(parents=True, exist_ok=True)
        record = self.folder / RECORD
        if not _is_record(record):
            write_json(record, {"identity": self.identity, "width": self.width, "title": self.title})
        known = set(self._files)
        for path in sorted(self.folder.glob("segment-*.npy")):
            if path not in known:
                self._map(path)
        for path in self.folder.glob(".*.part"):
            with contextlib.suppress(FileNotFoundError):  # finished meanwhile
                # Far in the future: the clock was set back since.
                if abs(time.time() - path.stat().st_mtime) > STALE:
                    path.unlink()
        os.utime(record)  # when it was last used

    def _map(self, path: Path) -> None:
        try:
            segment = _mapped(path, self.dtype)
        except FileNotFoundError:  # joined with others meanwhile
            return
        if segment is None:  # damaged: as if it were not there; computed again
            self.damaged += 1
            path.unlink(missing_ok=True)
            return
        number = len(self._segments)
        self._segments.append(segment)
        self._files.append(path)
        for row, key in enumerate(segment["key"].tolist()):
            self._positions.setdefault(key, (number, row))

    def _write(self, parts: Sequence[np.ndarray]) -> Path:
        """Write one segment of several, without holding them in memory together."""
        path = self.folder / f"segment-{uuid.uuid4().hex}.npy"
        form = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False}
        with whole_file(path) as part, part.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, {**form, "shape": (sum(map(len, parts)),)})
            for rows in parts:
                stream.write(np.ascontiguousarray(rows).data.cast("B"))
        self._map(path)
        return path


def _mapped(path: Path, dtype: np.dtype[Any]) -> np.ndarray | None:
    """Map the rows of a segment; None where the file is not one of rows of ``dtype`` to its very end.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it cannot be read.
    """
    try:
        found = load_npy(path, mapped=True)
    except ValueError:
        return None
    return found if found.dtype == dtype and found.ndim == 1 else None


def _rows(path: Path, row: int) -> int:
    """Count the rows of a segment by its size, without its header, whose length stands in bytes 8 and 9."""
    with path.open("rb") as stream:
        start = stream.read(10)
    return max(path.stat().st_size - 10 - int.from_bytes(start[8:], "little"), 0) // row


def _is_record(path: Path) -> bool:
    """Return whether a store's record is there, and can be read."""
    try:
        read_json(path, RECORD_FORM)
    except DataError:
        return False
    return True


def stores() -> list[dict[str, Any]]:
    """List the stores of the cache, the one used last first: a dict each with ``folder``, ``title``, ``identity``,
    ``rows``, ``bytes`` and ``used`` (seconds since the epoch)."""
    found = []
    for record in root().glob(f"*/{RECORD}"):
        files = [path for path in record.parent.iterdir() if path.is_file()]
        try:
            entry = read_json(record, RECORD_FORM)
            width = entry["width"]
        except DataError:
            entry, width = {"identity": {}}, 0
        row = KEY_BYTES + 4 + 4 * width
        found.append(
            {
                "folder": str(record.parent),
                "title": entry.get("title", ""),
                "identity": entry["identity"],
                "rows": sum(_rows(path, row) for path in files if path.suffix == ".npy") if width > 0 else 0,
                "bytes": sum(path.stat().st_size for path in files),
                "used": record.stat().st_mtime,
            }
        )
    return sorted(found, key=lambda store: -store["used"])


def clear(folder: Path) -> None:
    """Remove a store; the record goes last, so that an interrupted removal is still listed.

    Another process may remove it at the same time.

    Raises:
        DataError: the folder is a link: what it leads to is no store of the cache.
    """
    refuse_link(folder, "the store")
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            if path.name != RECORD:
                path.unlink(missing_ok=True)
        shutil.rmtree(folder)
