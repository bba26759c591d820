"""Batches that threads of this process read ahead; decoders of Pillow and OpenCV leave the interpreter to others."""

from __future__ import annotations

import contextlib
import copy
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

AHEAD = 1
"""Batches that are being read while one is computed."""


@contextlib.contextmanager
def open_threads(
    files: Any, keys: Iterable[Sequence[Any]], *, workers: int, collate: Callable[[Any], dict[str, Any]]
) -> Iterator[Iterator[dict[str, Any]]]:
    """Open an iterator over batches of ``files`` in the order of ``keys``; the threads have ended when it is closed.

    Args:
        files: gives an item by key. Each thread has a copy, since detectors keep what they are doing in themselves.
        keys: of the items of each batch, asked for as batches are; with workers one batch earlier.
        workers: threads; 0: items are read as they are asked for.
        collate: makes a batch of items.
    """
    if not workers:
        yield (collate([files[key] for key in batch]) for batch in keys)
        return
    own = threading.local()

    def read(key: Any) -> Any:
        if not hasattr(own, "files"):
            own.files = copy.deepcopy(files)
        return own.files[key]

    pool = ThreadPoolExecutor(workers, thread_name_prefix="reading")
    try:
        yield _batches(pool, read, iter(keys), collate)
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(
    pool: ThreadPoolExecutor,
    read: Callable[[Any], Any],
    keys: Iterator[Sequence[Any]],
    collate: Callable[[Any], dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    waiting: deque[list[Future[Any]]] = deque()
    while True:
        for batch in itertools.islice(keys, 1 + AHEAD - len(waiting)):
            waiting.append([pool.submit(read, key) for key in batch])
        if not waiting:
            return
        yield collate([future.result() for future in waiting.popleft()])
