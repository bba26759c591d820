"""Estimate how long the rest of a run takes, from what its epochs took in this process."""

from __future__ import annotations

import time

from affectkit.core.text import duration_text

RECENT = 3
"""Epochs whose mean length counts: they change, as images grow or others use the machine."""
FIRST = 1.0
"""Seconds of the first epoch before there is an estimate."""


class TimeLeft:
    """Tell how long a run still takes.

    Args:
        epochs: of the run, at most.
        may_stop: whether it may end before them.
    """

    def __init__(self, epochs: int, *, may_stop: bool) -> None:
        self.epochs, self.prefix = epochs, "at most " if may_stop else ""
        self._lengths: list[float] = []
        self._began, self._before = time.monotonic(), 0.0

    def begin_epoch(self, done: float) -> None:
        """Begin an epoch, of which an earlier process has done the share ``done``."""
        self._began, self._before = time.monotonic(), done

    def end_epoch(self) -> None:
        """End it, with its validation."""
        if not self._before:
            self._lengths.append(time.monotonic() - self._began)

    def text(self, epoch: int, done: float = 0.0) -> str:
        """Return how long the rest takes; empty where there is no rest, or it is not known yet.

        Args:
            epoch: how many are done.
            done: share of the next one that is.
        """
        rest = self.epochs - epoch - done
        each = self._each(done)
        return f"{self.prefix}{duration_text(each * rest)} left" if rest > 0 and each else ""

    def _each(self, done: float) -> float:
        """Return the seconds of an epoch; 0 where that is not known."""
        if self._lengths:
            recent = self._lengths[-RECENT:]
            return sum(recent) / len(recent)
        taken = time.monotonic() - self._began
        return taken / (done - self._before) if taken >= FIRST and done > self._before else 0.0
