"""Shut down gracefully: a signal sets a flag, work stops at the next safe place, and a second Ctrl-C forces it."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from affectkit.core.progress import Reporter, Silent
from affectkit.errors import EXIT_TERMINATED, Stopped
from affectkit.runtime.distributed import ProcessGroup, current_group

SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1")
SECOND = 1.0
"""Seconds within which another SIGINT is the same Ctrl-C: a terminal and a launcher may both send it."""


class StopFlag:
    """While entered, SIGINT, SIGTERM and SIGUSR1 only set ``number``; poll ``requested`` or
    ``requested_anywhere`` at a safe place.

    Args:
        reporter: gets a note of what will happen, at once.

    >>> with StopFlag() as stopping:
    ...     stopping.requested
    False
    """

    def __init__(self, reporter: Reporter | None = None) -> None:
        self.number: int | None = None
        self._reporter = reporter or Silent()
        self._since = 0.0
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Return whether this process has received a signal."""
        return self.number is not None

    def requested_anywhere(self, group: ProcessGroup | None = None) -> bool:
        """Return whether any process has received a signal; all must ask at the same place."""
        group = group or current_group()
        if group.is_distributed:
            self.number = group.all_reduce_max([self.number or 0])[0] or None
        return self.requested

    def error(self, saved: str, hint: str, *, resumable: bool = True) -> Stopped:
        """Return the exception to raise once ``saved`` is true; without ``resumable`` there was nothing to save."""
        name = signal.Signals(self.number).name if self.number else "a signal"
        stopped = Stopped(f"stopped by {name}; {saved}", hint, interrupted=self.number == signal.SIGINT)
        if not resumable and self.number != signal.SIGINT:
            stopped.exit_code = EXIT_TERMINATED
        return stopped

    def __enter__(self) -> StopFlag:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            for name in SIGNALS:
                if number := getattr(signal, name, None):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.number is not None:
            if number == signal.SIGINT and now - self._since > SECOND:
                raise KeyboardInterrupt
            return
        self.number, self._since = number, now
        again = " Ctrl-C again ends at once, without saving." if number == signal.SIGINT else ""
        self._reporter.note(f"{signal.Signals(number).name}: stopping at the end of this step.{again}")
