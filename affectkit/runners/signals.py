"""Signals as flags: work stops at the next safe place, and a second Ctrl-C forces it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from affectkit.errors import EXIT_TERMINATED, Stopped


class StopFlag:
    """While entered, SIGINT, SIGTERM and SIGUSR1 only set ``number``; poll ``stop`` at a safe place.

    >>> with StopFlag() as stopping:
    ...     stopping.requested
    False
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.number is not None

    def error(self, saved: str, hint: str, *, resumable: bool = True) -> Stopped:
        """The exception to raise once ``saved`` is true; without ``resumable`` there was nothing to save."""
        name = signal.Signals(self.number).name if self.number else "a signal"
        stopped = Stopped(f"stopped by {name}; {saved}", hint, interrupted=self.number == signal.SIGINT)
        if not resumable and self.number != signal.SIGINT:
            stopped.exit_code = EXIT_TERMINATED
        return stopped

    def __enter__(self) -> StopFlag:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
                if number := getattr(signal, name, None):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number
