"""The worker processes of preparations, on this machine or on a Dask cluster; importing this loads nothing heavy.

``concurrent.futures`` serves both. joblib does not: its default starts new interpreters, each of which imports torch
for seconds, and its forked workers leave the parent waiting for ever where one is killed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any

from affectkit.core.process import count_processors, end_with_parent
from affectkit.core.stopping import Stopping
from affectkit.core.streams import escape_output
from affectkit.errors import RunError

_STOP_ARRIVES_WITHIN = 1.0
_WATCH_SECONDS = 0.2


class WorkerPool:
    """Run chunks in processes; entered, it holds them until it is left.

    A stop lets the chunks in work end. Workers leave SIGINT and SIGTERM, which a terminal or a scheduler sends to them
    as well, to the parent, and end when it ends, however it does.

    Args:
        workers: processes on this machine, None for one a processor; 1 works in this one.
        stopping: the request to end early.
        scheduler: address of a Dask scheduler ("tcp://host:8786") whose workers see the same files.
        prepare: called in each new process on this machine.
    """

    def __init__(
        self,
        workers: int | None,
        stopping: Stopping,
        *,
        scheduler: str | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.workers = workers or count_processors()
        self.scheduler, self.stopping, self._prepare = scheduler, stopping, prepare
        self._client: Any = None
        self._executor: Executor | None = None
        self._strangers: list[Any] = []
        self._warm_up: list[Future[Any]] = []

    def __enter__(self) -> WorkerPool:
        if self.scheduler is not None:
            from affectkit.prep.dask_cluster import connect_cluster

            self._client = connect_cluster(self.scheduler)
            self.workers = max(1, sum(self._client.ncores().values()))
            self._executor = self._client.get_executor(pure=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()
        elif self._executor is not None:
            self._kill()  # none works any more, but for those that warm up
            self._executor.shutdown(cancel_futures=True)

    def warm(self, function: Callable[[], Any]) -> None:
        """Start the processes and have each call ``function``, while this one does something else."""
        if self._client is None and self.workers > 1:
            self._warm_up = [self._start().submit(function) for _ in range(self.workers)]

    @property
    def warming(self) -> bool:
        """Return whether the processes are still busy with that."""
        return not all(future.done() for future in self._warm_up)

    def run(
        self,
        function: Callable[..., Any],
        chunks: Iterable[tuple[Any, ...]],
        *,
        ahead: bool = False,
        alone: bool = False,
    ) -> Iterator[Any]:
        """Yield the results of ``function(*chunk)`` as they come; after a stop is requested no further chunk begins.

        Args:
            function: one at the top of a module.
            chunks: its arguments, taken as workers become free, so that they need not fit into memory together.
            ahead: hand out a second chunk a worker, so that small ones keep it busy; a stop then waits for both.
            alone: whether there is so little work that processes would take longer to start.

        Raises:
            RunError: a worker was killed. What a chunk raises.
        """
        wanted = self._until_stopped(chunks)
        if self._client is None and (self.workers == 1 or alone):
            for chunk in wanted:
                yield function(*chunk)
            return
        waiting: set[Future[Any]] = set()
        try:
            executor = self._start()
            while True:
                free = self.workers * (1 + ahead) - len(waiting)
                waiting |= {executor.submit(function, *chunk) for chunk in islice(wanted, free)}
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            self._kill()
            if self._stop_arrives():  # whoever stopped this process killed its workers as well
                return
            raise RunError(
                "a worker process was killed, perhaps by the system for want of memory. What was finished is kept.",
                "Run the same command again: it resumes. With --workers 1 it needs least memory.",
            ) from error
        finally:  # nothing writes any more when this is left, whatever was raised
            for future in waiting:
                future.cancel()
            wait(waiting)

    def _until_stopped(self, chunks: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for chunk in chunks:
            if self.stopping.requested:
                return
            yield chunk

    def _start(self) -> Executor:
        """Return the executor, made on first use."""
        if self._executor is None:
            # Forked where that is how things are done: what this process has imported need not be imported again.
            context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
            self._strangers = multiprocessing.active_children()
            self._executor = ProcessPoolExecutor(
                self.workers, mp_context=context, initializer=_start_worker, initargs=(os.getpid(), self._prepare)
            )
            with _blocked_signals():  # until a worker ignores them: they would be answered as in this process
                self._executor.submit(int)  # which forks all workers
        return self._executor

    def _kill(self) -> None:
        """Kill the workers: they ignore SIGTERM, by which a broken executor would end them, and then wait."""
        for process in multiprocessing.active_children():
            if process not in self._strangers:
                process.kill()

    def _stop_arrives(self) -> bool:
        """Return whether a stop is requested, or is in a moment:
        a signal to a group reaches one process after another.
        """
        end = time.monotonic() + _STOP_ARRIVES_WITHIN
        while not self.stopping.requested and time.monotonic() < end:
            time.sleep(0.02)
        return self.stopping.requested


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    """Keep SIGINT and SIGTERM waiting, here and in processes that are forked inside."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(parent: int, prepare: Callable[[], None] | None) -> None:
    """Prepare a new process: its output, its signals, its end, and what the pool asks for."""
    escape_output()
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if sys.platform == "linux":
        end_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    else:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if prepare is not None:
        prepare()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
