"""Work spread over processes by joblib: on this machine by loky, or on a Dask cluster.

Importing this loads neither NumPy nor Albumentations, so that a process which only copies does not wait for them. An
item that was done is not done again, so that a run whose workers were killed goes on where it was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from affectkit.core.process import processors
from affectkit.core.stopping import Stopping
from affectkit.core.version import VERSION
from affectkit.errors import DataError, RunError, UsageError
from affectkit.prep.datasplit.file_moves import place

CLUSTER_SECONDS = 20
_WATCH_SECONDS = 0.2
_NOT_THE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE)
_watched: set[int] = set()


class Task(NamedTuple):
    """Copies to make of one original: its path, its identity, (path, draw) of each copy."""

    source: str
    name: str
    targets: tuple[tuple[str, int], ...]


# --- what runs in a worker -------------------------------------------------------------------------------------------


def augment_chunk(tasks: Sequence[Task], pipeline: Any, seed: int, quality: int | None) -> list[tuple[str, Any]]:
    """(source, (content hashes of the copies, what they do not keep)) of each task, or (source, why there are none)."""
    from affectkit.prep.augmentation.lossless_images import augment_many

    done: list[tuple[str, Any]] = []
    for task in tasks:
        targets = [(Path(path), draw) for path, draw in task.targets]
        try:
            made = augment_many(Path(task.source), targets, pipeline, seed=seed, name=task.name, quality=quality)
        except DataError as error:
            cause = error.__cause__
            if isinstance(cause, MemoryError) or getattr(cause, "errno", None) in _NOT_THE_FILE:
                raise  # this machine's trouble, not the file's
            done.append((task.source, error.message.removeprefix(f"image {task.source}: ").rstrip(".")))
            continue
        done.append((task.source, made))
    return done


def get_ready() -> None:
    """Import what augmenting needs, which takes a second or two."""
    from affectkit.prep.augmentation import building

    building.albumentations()


def place_chunk(items: Sequence[tuple[str, str, str]], link: str) -> int:
    """``placing.place`` for each (source, target, hash); how many."""
    for source, target, digest in items:
        place(source, target, digest, link)
    return len(items)


def _work(function: Callable[..., Any], arguments: tuple[Any, ...], parent: int) -> Any:
    """``function(*arguments)`` in a process that ends with ``parent`` (0: not on this machine)."""
    if parent and parent not in _watched:
        _watched.add(parent)
        # Ctrl-C and a scheduler's SIGTERM reach workers too: the parent stops the work, at a safe place.
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    return function(*arguments)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


# --- what hands it out -----------------------------------------------------------------------------------------------


class Crew:
    """Processes that work on chunks; entered, it holds them until it is left.

    Args:
        workers: processes on this machine, None for one a processor; 1 works in this one.
        scheduler: address of a Dask scheduler ("tcp://host:8786") whose workers see the same files.
    """

    def __init__(self, workers: int | None, scheduler: str | None, stopping: Stopping) -> None:
        self.workers = workers or processors()
        self.scheduler, self.stopping = scheduler, stopping
        self._client: Any = None
        self._started = False
        self._warming: threading.Thread | None = None

    def __enter__(self) -> Crew:
        if self.scheduler is not None:
            self._client = _connect(self.scheduler)
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()
        if self._warming is not None:
            self._warming.join()
        if self._started:
            from joblib.externals.loky import get_reusable_executor

            # Nothing is under way any more; waiting for them to end by themselves takes half a second.
            get_reusable_executor().shutdown(wait=True, kill_workers=True)

    def warm(self) -> None:
        """Start the processes and have them import, while this one does something else."""
        if self._client is None and self.workers > 1:
            self._warming = threading.Thread(target=self._warm, daemon=True)
            self._warming.start()

    @property
    def warming(self) -> bool:
        """Whether the processes are still busy with that."""
        return self._warming is not None and self._warming.is_alive()

    def _warm(self) -> None:
        import joblib

        # Inherited by the processes: a Ctrl-C while they import is not theirs to answer.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        self._started = True
        pool = joblib.Parallel(n_jobs=self.workers, batch_size=1, pre_dispatch="all")
        with contextlib.suppress(Exception):  # told by whatever comes next
            pool(joblib.delayed(_work)(get_ready, (), os.getpid()) for _ in range(self.workers))

    def run(
        self, function: Callable[..., Any], chunks: Iterable[tuple[Any, ...]], *, alone: bool = False
    ) -> Iterator[Any]:
        """The results of ``function(*chunk)``, as they come; after a stop was asked for, no further chunk begins.

        Args:
            alone: so little work that processes would take longer to start.

        Raises:
            RunError: a worker was killed. What a chunk raises.
        """
        wanted = self._until_stopped(chunks)
        if self._client is None and (self.workers == 1 or alone):
            for chunk in wanted:
                yield function(*chunk)
            return
        if self._warming is not None:
            self._warming.join()
        import joblib
        from joblib.externals.loky.process_executor import BrokenProcessPool

        if self._client is not None:
            parent, backend = 0, joblib.parallel_config(backend="dask", client=self._client)
        else:
            parent, backend = os.getpid(), joblib.parallel_config(backend="loky", n_jobs=self.workers)
            self._started = True
        with backend:
            pool = joblib.Parallel(batch_size=1, pre_dispatch="2*n_jobs", return_as="generator_unordered")
            results = pool(joblib.delayed(_work)(function, chunk, parent) for chunk in wanted)
            try:
                yield from results
            except BrokenProcessPool as error:
                if self.stopping.requested:
                    return
                raise RunError(
                    "a worker process was killed, perhaps by the system for want of memory. Nothing is lost.",
                    "Run the same command again: it goes on. With --workers 1 it needs least memory.",
                ) from error
            finally:
                results.close()

    def _until_stopped(self, chunks: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for chunk in chunks:
            if self.stopping.requested:
                return
            yield chunk


def chunked(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """``items`` in runs of ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def dealt(items: Sequence[Any], size: int, hands: int) -> Iterator[Sequence[Any]]:
    """``items`` in runs of ``size``, in an order in which ``hands`` workers are in different parts of them.

    They are sorted by folder, and two processes that make files in one folder wait for each other: with ext4, 16,000
    small files in one folder took one and a half times as long as in two.
    """
    runs = list(chunked(items, size))
    step = -(-len(runs) // hands) or 1
    for start in range(step):
        yield from runs[start::step]


def _connect(address: str) -> Any:
    """A client of the cluster at ``address``, whose scheduler and workers can import this version of affectkit.

    joblib waits for ever where the scheduler cannot.
    """
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise UsageError("--scheduler needs Dask, which is not installed.", "pip install 'affectkit[dask]'") from error
    try:
        client = Client(address, timeout=CLUSTER_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(
            f"no Dask scheduler answers at {address} within {CLUSTER_SECONDS} s: {error}.",
            "Start one with 'dask scheduler', and workers with 'dask worker ADDRESS'.",
        ) from error
    try:
        _check_cluster(client, address)
    except BaseException:
        client.close()
        raise
    return client


def _check_cluster(client: Any, address: str) -> None:
    def version() -> str:  # sent by value: nothing of ours needs to be there
        try:
            import joblib  # noqa: F401

            import affectkit
        except Exception as error:  # noqa: BLE001 - whatever hinders the import is told
            return f"{type(error).__name__}: {error}"
        return affectkit.__version__

    found = {}
    with contextlib.suppress(TimeoutError):
        found[f"the scheduler {address}"] = client.sync(
            client._run_on_scheduler, version, callback_timeout=CLUSTER_SECONDS
        )
        workers = client.sync(client._run, version, callback_timeout=CLUSTER_SECONDS)
        if not workers:
            raise UsageError(f"the Dask cluster at {address} has no workers.", f"Start one: dask worker {address}")
        found |= {f"the worker {name}": said for name, said in workers.items()}
    if len(found) < 2:
        raise UsageError(f"the Dask cluster at {address} does not answer within {CLUSTER_SECONDS} s.")
    wrong = [f"{where}: {said}" for where, said in found.items() if said != VERSION]
    if wrong:
        raise UsageError(
            f"the Dask cluster at {address} cannot work for affectkit {VERSION}: {'; '.join(wrong[:3])}.",
            "Install the same affectkit and joblib where the scheduler and the workers run.",
        )
