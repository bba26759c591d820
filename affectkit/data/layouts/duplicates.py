"""Exact copies of items across the splits of a dataset, found by content.

On an image that was trained on, a model looks better than it is. Only copies of the same bytes are found: faces that
were cropped or compressed again are not, and there may be as many of those.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.files import cache_folder, whole_file
from affectkit.core.npy_files import load_npy
from affectkit.core.progress import Reporter
from affectkit.data.split import Split
from affectkit.errors import DataError

ORDER = ("train", "valid", "test")
"""A split is compared with those before it."""
COPY = "copy of an image in an earlier split"
"""Why an image is dropped."""
TAIL = 4096
"""Bytes at the end of a file that are compared first; smaller files are compared whole by that."""
WHOLE = 1 << 20
"""Bytes up to which a file is hashed whole for ``item_contents``."""
KEY_BYTES = 16
_ENTRY = np.dtype([("key", f"V{KEY_BYTES}"), ("digest", f"V{KEY_BYTES}")])
_SETTLED = 2_000_000_000  # ns after its change in which a file may change again without a new time
_STEP = 2000


@dataclass(frozen=True, eq=False)
class Copies:
    """Items of a split that are copies of items of others.

    Attributes:
        split: its name.
        of: by name of the other split, bool (N,).
    """

    split: str
    of: dict[str, np.ndarray]

    def any(self) -> np.ndarray:
        """Return bool (N,): the items that are copies of any."""
        return np.logical_or.reduce(list(self.of.values()))

    def counts(self) -> dict[str, int]:
        """Return how many are copies, by name of the other split."""
        return {name: int(flags.sum()) for name, flags in self.of.items()}

    def describe(self, noun: str = "images", *, dropped: bool) -> str:
        """Return the counts in a sentence, with what was done or can be; empty where there are none."""
        there = [(name, count) for name, count in self.counts().items() if count]
        if not there:
            return ""
        each = " and ".join(name if len(there) == 1 else f"{name} ({count:,})" for name, count in there)
        total = f"{int(self.any().sum()):,} of {len(self.any()):,} {noun}"
        ending = ": left out" if dropped else "; --drop-copies leaves them out"
        are = "is a copy" if int(self.any().sum()) == 1 else "are copies"
        return f"{self.split}: {total} {are} of {each} {noun}{ending}"

    def record(self, *, dropped: bool) -> dict[str, Any]:
        """Return the entry of metrics.json and manifests: items, copies by other split and in all, and whether they
        were left out.
        """
        return {
            "compared_with": list(self.of),
            "items": len(self.any()),
            "copies_of": self.counts(),
            "copies": int(self.any().sum()),
            "dropped": dropped,
        }


def find_copies(contents: Mapping[str, Sequence[Hashable]]) -> dict[str, Copies]:
    """Return the copies in each split that comes after another one in ``ORDER``.

    Args:
        contents: by split, what stands for the content of each item: equal for copies, false for what is not known.
    """
    names = [name for name in ORDER if name in contents]
    known = {name: set(filter(None, contents[name])) for name in names}
    return {
        name: Copies(
            name,
            {
                other: np.fromiter((key in known[other] for key in contents[name]), bool, len(contents[name]))
                for other in names[:number]
            },
        )
        for number, name in enumerate(names)
        if number
    }


def content_hashes(splits: Mapping[str, Split], *, reporter: Reporter, within: bool = False) -> dict[str, list[bytes]]:
    """Return a hash of the content of each item of ``splits``; empty where no other split can hold a copy of it, or,
    with ``within``, no other item of its own split either.

    Of files, only those whose size occurs in several splits are read, first their ends, then those whose ends agree.
    What was read is remembered by path, size and time of change. Of clips, it is the hash that their store holds.
    A file that cannot be read has no copies here; whoever loads it will report it.
    """
    if all(split.store is not None for split in splits.values()):
        stored = {id(split.store): split.store.manifest.get("sources", {}) for split in splits.values()}
        return {
            name: [stored[id(split.store)].get(item, "").encode() for item in split.ids]
            for name, split in splits.items()
        }
    if any(split.store is not None for split in splits.values()):
        return {name: [b""] * len(split) for name, split in splits.items()}
    return file_content_hashes(
        {name: [os.path.join(split.root, item) for item in split.ids] for name, split in splits.items()},
        reporter=reporter,
        within=within,
    )


def file_content_hashes(
    files: Mapping[str, Sequence[str | Path]], *, reporter: Reporter, within: bool = False
) -> dict[str, list[bytes]]:
    """Return ``content_hashes`` files, by split."""
    facts = {name: [_fact(path) for path in paths] for name, paths in files.items()}
    keys: dict[str, list[Any]] = {name: [size for _, size, _ in found] for name, found in facts.items()}
    roots = [os.path.abspath(path) for paths in files.values() for path in paths[:1]]
    memory = Memory(os.path.commonpath(roots) if roots else "", reporter)
    for whole in (False, True):
        shared = _repeated(keys) if within else _in_several(keys)
        places = [(name, index) for name, found in keys.items() for index, key in enumerate(found) if key in shared]
        wanted = [facts[name][index] for name, index in places]
        # A whole file was read where it is no longer than its end.
        read = [number for number, (_, size, _) in enumerate(wanted) if not whole or size > TAIL]
        digests = memory.digests([wanted[number] for number in read], whole=whole)
        found = {name: [None] * len(values) for name, values in keys.items()}
        for name, index in places:
            found[name][index] = keys[name][index]
        for number, digest in zip(read, digests, strict=True):
            name, index = places[number]
            found[name][index] = (wanted[number][1], digest) if digest else None
        keys = found
    memory.save()
    return {name: [b"%d " % key[0] + key[1] if key else b"" for key in found] for name, found in keys.items()}


def _fact(path: str | Path) -> tuple[str, int, int]:
    """Return path, size and time of change in ns; size -1 where the file is not there, and 0 where it is empty."""
    try:
        found = os.stat(path)
    except OSError:
        return str(path), -1, 0
    return str(path), found.st_size, found.st_mtime_ns


def item_contents(split: Split, *, reporter: Reporter) -> np.ndarray:
    """Return uint8 (N, 16): a hash of the content of each item of ``split``; zeros where it cannot be read.

    Files of up to ``WHOLE`` bytes are hashed whole; of larger ones, their size and their end, in which compressed
    pictures that differ anywhere differ. Of clips, what their store holds of the files that they were made from. What
    was read is remembered by path, size and time of change.
    """
    if split.store is not None:
        sources = split.store.manifest.get("sources", {})
        keys = [sources.get(name, "").encode() for name in split.ids]
    else:
        facts = [_fact(os.path.join(split.root, name)) for name in split.ids]
        memory = Memory(os.path.abspath(split.root), reporter)
        keys = [b""] * len(facts)
        for whole in (True, False):
            rows = [row for row, (_, size, _) in enumerate(facts) if size >= 0 and (size <= WHOLE) == whole]
            found = memory.digests([facts[row] for row in rows], whole=whole, doing="hashing the files")
            for row, digest in zip(rows, found, strict=True):
                keys[row] = b"%d " % facts[row][1] + digest if digest else b""
        memory.save()
    hashed = (hashlib.blake2b(key, digest_size=KEY_BYTES).digest() if key else bytes(KEY_BYTES) for key in keys)
    return np.frombuffer(b"".join(hashed), dtype=np.uint8).reshape(len(keys), KEY_BYTES)


def _in_several(keys: Mapping[str, Sequence[Any]]) -> set[Any]:
    """Return the keys that occur in more than one split; None, and sizes of nothing, do not count."""
    once: set[Any] = set()
    several: set[Any] = set()
    for found in keys.values():
        own = {key for key in found if key is not None and not (isinstance(key, int) and key <= 0)}
        several |= once & own
        once |= own
    return several


def _repeated(keys: Mapping[str, Sequence[Any]]) -> set[Any]:
    """Return the keys that occur more than once, in one split or several; None, and sizes of nothing, do not count."""
    counts = Counter(key for found in keys.values() for key in found)
    known = {key for key, number in counts.items() if number > 1 and key is not None}
    return {key for key in known if not (isinstance(key, int) and key <= 0)}


class Memory:
    """Digests of files by path, size and time of change, in a file of the cache.

    Args:
        root: the folder that holds the files; it names the file of the cache.
    """

    def __init__(self, root: str, reporter: Reporter) -> None:
        name = hashlib.blake2b(os.fsencode(root), digest_size=KEY_BYTES).hexdigest()
        self.path = cache_folder() / "contents" / f"{name}.npy"
        self.reporter = reporter
        self._known = self._load()
        self._asked: set[bytes] = set()
        self._changed = False

    def _load(self) -> dict[bytes, bytes]:
        try:
            table = load_npy(self.path)
        except (OSError, ValueError):  # not there, or damaged: the files are read again
            return {}
        if table.dtype != _ENTRY or table.ndim != 1:
            return {}
        return dict(zip(_bytes(table["key"]), _bytes(table["digest"]), strict=True))

    def digests(
        self, facts: Sequence[tuple[str, int, int]], *, whole: bool, doing: str = "comparing files across splits"
    ) -> list[bytes]:
        """Return the digest of each file, or of its last ``TAIL`` bytes; empty where it cannot be read.

        Args:
            facts: path, size, time of change in ns of each.
            doing: what progress is called.
        """
        keys = [_key(fact, whole=whole) for fact in facts]
        self._asked.update(keys)
        found = [self._known.get(key, b"") for key in keys]
        missing = [number for number, digest in enumerate(found) if not digest]
        if not missing:
            return found
        settled = time.time_ns() - _SETTLED
        self.reporter.start(doing, len(missing), "files")
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for begin in range(0, len(missing), _STEP):
                part = missing[begin : begin + _STEP]
                for number, digest in zip(part, pool.map(lambda n: _digest(facts[n], whole), part), strict=True):
                    found[number] = digest
                    if digest and facts[number][2] < settled:
                        self._known[keys[number]] = digest
                        self._changed = True
                self.reporter.advance(len(part))
        self.reporter.finish()
        return found

    def save(self) -> None:
        """Write what is new; where that cannot be, say that files will be read again."""
        if not self._changed:
            return
        if len(self._known) > 8 * len(self._asked) + 10_000:  # mostly of files that have changed since
            self._known = {key: digest for key, digest in self._known.items() if key in self._asked}
        try:
            with whole_file(self.path) as part, part.open("wb") as stream:
                np.save(stream, np.array(list(self._known.items()), dtype=_ENTRY), allow_pickle=False)
        except OSError as error:
            self.reporter.note(
                f"what was read cannot be remembered in {self.path}: {error.strerror or error}; the next run reads the "
                "files again. AFFECTKIT_CACHE names another place."
            )


def _bytes(column: np.ndarray) -> list[bytes]:
    whole = column.tobytes()
    return [whole[begin : begin + KEY_BYTES] for begin in range(0, len(whole), KEY_BYTES)]


def _key(fact: tuple[str, int, int], *, whole: bool) -> bytes:
    path, size, changed = fact
    text = f"{'whole' if whole else 'end'}\0{size}\0{changed}\0".encode() + os.fsencode(os.path.abspath(path))
    return hashlib.blake2b(text, digest_size=KEY_BYTES).digest()


def _digest(fact: tuple[str, int, int], whole: bool) -> bytes:
    """Hash a file, or its end; empty where it cannot be read."""
    path, size, _ = fact
    hashed = hashlib.blake2b(digest_size=KEY_BYTES)
    try:
        with open(path, "rb", buffering=0) as stream:
            if not whole and size > TAIL:
                stream.seek(size - TAIL)
            while data := stream.read(1 << 20):
                hashed.update(data)
    except OSError:
        return b""
    return hashed.digest()


def drop_copies(
    split: Split, others: Mapping[str, Split], *, drop: bool, noun: str, reporter: Reporter
) -> tuple[Split, dict[str, Any]]:
    """Return ``split``, without the items that are copies of items of ``others`` where these are to be dropped.

    Returns:
        the split, and what a record says of the copies (``Copies.record``); empty where there is nothing to compare.

    Raises:
        DataError: nothing is left.
    """
    earlier = ORDER[: ORDER.index(split.name)] if split.name in ORDER else ()
    compared = {name: others[name] for name in earlier if name in others}
    if not compared:
        return split, {}
    copies = find_copies(content_hashes({**compared, split.name: split}, reporter=reporter))[split.name]
    if text := copies.describe(noun, dropped=drop):
        (reporter.note if drop else reporter.warn)(text)
    kept = split.select(~copies.any()) if drop and copies.any().any() else split
    if not len(kept):
        raise DataError(f"{text}; nothing else is there in {split.root}.", "Leave --drop-copies out.")
    return kept, copies.record(dropped=drop)


def drop_copies_of_all(
    splits: Mapping[str, Split], *, drop: bool, noun: str, reporter: Reporter
) -> tuple[dict[str, Split], dict[str, Any]]:
    """Return ``drop_copies`` for each of ``splits`` but train; what is left of them, and the records, by split."""
    kept, records = dict(splits), {}
    for name in splits:
        if name != "train":
            kept[name], records[name] = drop_copies(splits[name], splits, drop=drop, noun=noun, reporter=reporter)
    return kept, records
