"""Jobs: files that take long, predicted while their sender asks how far they are; forgotten some time after."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from affectkit.core.text import count_text
from affectkit.errors import AffectkitError
from affectkit.serve.predictions import FilmOptions, Found
from affectkit.serve.refusal import Refusal
from affectkit.serve.uploads import RequestFolder, Upload
from affectkit.serve.work_queue import Place, WorkQueue

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
KEPT_SECONDS = 900.0
"""After so long without a question a job that has ended is forgotten, with its files."""
MOST_ENDED = 50
"""Jobs that have ended and are kept; of more, those not asked for the longest are forgotten."""


class JobCancelled(Exception):
    """Raised within the steps of a job that nobody wants any more."""


@dataclass
class Job:
    """Hold what is asked and known of a job.

    Attributes:
        files: in the order in which they were sent.
        films: whether they are films; pictures otherwise.
        folder: where they stand.
        options: how films are sampled.
        lengths: of films in seconds.
        found: what they came to so far.
        progress: the share that is done, 0 to 1.
        fault: why it failed.
        reporting: held while the report is made.
        touched: when it was last asked for, by the monotonic clock.
    """

    files: Sequence[Upload]
    films: bool
    folder: RequestFolder
    options: FilmOptions
    lengths: Sequence[float] = ()
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    found: Found = field(default_factory=Found)
    state: str = WAITING
    progress: float = 0.0
    fault: AffectkitError | None = None
    touched: float = field(default_factory=time.monotonic)
    future: Future[None] | None = None
    unwanted: threading.Event = field(default_factory=threading.Event)
    reporting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ended(self) -> bool:
        """Return whether nothing more will be found."""
        return self.state in (DONE, FAILED, CANCELLED)

    def report(self, share: float) -> None:
        """Note the share that is done.

        Raises:
            JobCancelled: nobody wants the rest.
        """
        if self.unwanted.is_set():
            raise JobCancelled
        self.progress = share


class Jobs:
    """All jobs by their id.

    Args:
        queue: works them off.
        end: called in the thread of the queue with each job that has come to its end, before its state says so.
    """

    def __init__(self, queue: WorkQueue, end: Callable[[Job], None] = lambda job: None) -> None:
        self._queue, self._end = queue, end
        self._all: dict[str, Job] = {}

    def start(self, job: Job, place: Place, steps: Iterator[None]) -> None:
        """Put ``job``, whose work are ``steps``, into the queue."""
        self._all[job.id] = job
        job.future = place.take_steps(self._run(job, steps))

    def get(self, key: str) -> Job:
        """Return the job ``key``.

        Raises:
            Refusal: 404 where there is none, or none any more.
        """
        self.forget_old()
        job = self._all.get(key)
        if job is None:
            raise Refusal(404, "there is no such job, or it was removed.", f"Jobs stay {KEPT_SECONDS / 60:.0f} min.")
        job.touched = time.monotonic()
        return job

    def list(self) -> Sequence[Job]:
        """Return all jobs, the oldest first."""
        self.forget_old()
        return list(self._all.values())

    def remove(self, job: Job) -> None:
        """Cancel ``job`` where it has not ended; forget it, and remove its files as soon as nothing reads them."""
        self._all.pop(job.id, None)
        job.unwanted.set()
        if job.ended:
            job.folder.remove()
            return
        self._queue.give_up(job.future)
        job.state = CANCELLED
        job.future.add_done_callback(lambda _: job.folder.remove())

    def stop(self) -> None:
        """Have each job end at its next frame."""
        for job in list(self._all.values()):
            job.unwanted.set()

    def forget_old(self) -> None:
        """Forget jobs that have ended, and that nobody has asked for lately."""
        ended = sorted((job for job in list(self._all.values()) if job.ended), key=lambda job: job.touched)
        now = time.monotonic()
        for number, job in enumerate(ended):
            if now - job.touched > KEPT_SECONDS or number < len(ended) - MOST_ENDED:
                self.remove(job)

    def _run(self, job: Job, steps: Iterator[None]) -> Iterator[None]:
        """Take the steps of ``job``, and note what becomes of it."""
        job.state = RUNNING
        try:
            job.report(0.0)
            yield from steps
            self._end(job)
            job.progress, state = 1.0, DONE
        except JobCancelled:
            state = CANCELLED
        except AffectkitError as error:
            job.fault, state = error, FAILED
        except Exception as error:  # noqa: BLE001 - the job's end, not the server's
            job.fault, state = Refusal(500, f"unexpected {type(error).__name__}: {error}".strip()), FAILED
        job.touched = time.monotonic()
        if not job.unwanted.is_set():
            job.state = state


def describe_job(job: Job, columns: Sequence[str], *, rows_from: int = 0, most: int | None = None) -> dict[str, Any]:
    """Return what is known of ``job``, its rows from number ``rows_from`` on, at most ``most`` of them.

    Raises:
        Refusal: 400 where there are fewer rows.
    """
    rows = job.found.rows
    count = len(rows)
    if not 0 <= rows_from <= count:
        raise Refusal(400, f"rows_from must lie in [0, {count:,}], got {rows_from:,}: so many rows there are.")
    end = count if most is None else min(rows_from + most, count)
    begin = 0 if job.films else 1  # rows of pictures carry their position
    error = {} if job.fault is None else {"error": job.fault.message, "hint": job.fault.hint}
    return {
        "job": job.id,
        "state": job.state,
        "progress": round(job.progress, 4),
        "kind": "films" if job.films else "pictures",
        "files": [one.name for one in job.files],
        "columns": list(columns),
        "rows_total": count,
        "rows_from": rows_from,
        "rows": [dict(zip(columns, row[begin:], strict=True)) for row in rows[rows_from:end]],
        "skipped": len(job.found.failures),
        "skipped_first": [{"image": one.name, "reason": one.reason} for one in job.found.failures],
        "videos": job.found.videos,
        **error,
    }


def describe_shortly(job: Job) -> dict[str, Any]:
    """Return a line about ``job`` for a list."""
    return {
        "job": job.id,
        "state": job.state,
        "progress": round(job.progress, 4),
        "files": count_text(len(job.files), "file"),
    }
