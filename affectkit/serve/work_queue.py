"""The one queue, and the thread that works it off: pictures at once, films step by step between them."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any

from affectkit.serve.refusal import Refusal

STOPPING = "The server is stopping."
USUAL_SECONDS = 0.5
"""What a piece of work is taken to last before one has been measured."""
SMOOTHING = 0.2
"""Weight of the latest duration in the running mean."""
LAST_STEP = 60.0
"""Seconds that the end of the step in hand is waited for."""


class WorkQueue:
    """Work that waits for the thread that holds the model; use it as a context.

    Short work is a function and is done in the order in which it came. Long work is an iterator whose steps are taken
    one at a time: what is short and came meanwhile is done between two of them, and long work one after the other.

    Args:
        most: how many pieces of work, short and long, may wait or be in hand together; half of them may be long, so
            that films leave room for pictures.
        computing: opens the block in which the thread works.
    """

    def __init__(
        self, most: int, computing: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext
    ) -> None:
        self.most, self._computing = most, computing
        self._changed = threading.Condition()
        self._short: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._long: deque[tuple[Iterator[Any], Future[None]]] = deque()
        self._begun: Any = None
        self._places = self._long_places = 0
        self._closed = False
        self._mean = USUAL_SECONDS
        self._thread = threading.Thread(target=self._work, name="predicting", daemon=True)

    def __enter__(self) -> WorkQueue:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End the thread after the step in hand; what waits is refused."""
        with self._changed:
            self._closed = True
            waiting, self._short = self._short, deque()
            self._changed.notify_all()
        for _, future in waiting:
            future.cancel()
        self._thread.join(LAST_STEP)

    @property
    def taken(self) -> int:
        """Return how many pieces of work wait or are in hand."""
        return self._places

    @contextlib.contextmanager
    def place(self, *, long: bool = False) -> Iterator[Place]:
        """Open a block with a place in the queue, which is free again at its end unless long work has taken it over.

        Args:
            long: whether it is for long work.

        Raises:
            Refusal: 503 where all are taken, with the seconds after which one should be free.
        """
        with self._changed:
            if self._closed:
                raise Refusal(503, STOPPING)
            taken, most, what = self._places, self.most, "requests"
            if long and self._long_places >= (half := (self.most + 1) // 2):
                taken, most, what = self._long_places, half, "jobs"
            if taken >= most:
                wait = max(math.ceil(self._mean * len(self._short)), 1)
                raise Refusal(
                    503,
                    f"{taken:,} {what} wait or are being predicted; at most {most:,} may (--queue).",
                    f"Send it again in {wait} s.",
                    retry_after=wait,
                )
            self._places += 1
            self._long_places += long
        place = Place(self, long)
        try:
            yield place
        finally:
            if not place.handed_on:
                self.free(long)

    def give_up(self, future: Future[None]) -> bool:
        """Remove long work that has not begun; return whether it had not."""
        with self._changed:
            found = next((one for one in self._long if one[1] is future), None)
            if found is None or found is self._begun:
                return False
            self._long.remove(found)
        return future.cancel()

    def _add(self, work: Any, waiting: deque[Any]) -> Future[Any]:
        future: Future[Any] = Future()
        with self._changed:
            if self._closed:
                raise Refusal(503, STOPPING)
            waiting.append((work, future))
            self._changed.notify_all()
        return future

    def free(self, long: bool) -> None:
        """Give a place back."""
        with self._changed:
            self._places -= 1
            self._long_places -= long

    # --- the thread ---

    def _work(self) -> None:
        with self._computing():
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._short or self._long or self._closed)
                    if self._closed:
                        break
                    short, self._short = self._short, deque()
                    self._begun = self._long[0] if self._long else None
                for function, future in short:
                    self._do(function, future)
                if self._begun is not None:
                    self._step(*self._begun)
            for steps, future in list(self._long):
                steps.close()
                future.cancel()

    def _do(self, function: Callable[[], Any], future: Future[Any]) -> None:
        if self._closed or not future.set_running_or_notify_cancel():
            future.cancel()
            return
        began = time.monotonic()
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the request's
            future.set_exception(error)
        self._mean += SMOOTHING * (time.monotonic() - began - self._mean)

    def _step(self, steps: Iterator[Any], future: Future[None]) -> None:
        """Take a step of the first long work; remove it at its end."""
        error: BaseException | None = None
        try:
            next(steps)
        except StopIteration:
            pass
        except BaseException as fault:  # noqa: BLE001 - as above
            error = fault
        else:
            return
        with self._changed:
            self._long.popleft()
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


class Place:
    """A place in the queue.

    Attributes:
        handed_on: whether long work has taken it over, and frees it at its end.
    """

    def __init__(self, queue: WorkQueue, long: bool) -> None:
        self._queue, self._long, self.handed_on = queue, long, False

    def do(self, function: Callable[[], Any]) -> Future[Any]:
        """Have ``function`` called by the thread; the future gets its result, or is cancelled."""
        return self._queue._add(function, self._queue._short)

    def take_steps(self, steps: Iterator[Any]) -> Future[None]:
        """Have ``steps``, a generator, taken to the end by the thread."""
        future = self._queue._add(steps, self._queue._long)
        self.handed_on = True
        future.add_done_callback(lambda _: self._queue.free(self._long))
        return future
