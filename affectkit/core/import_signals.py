"""Signals that come while packages are imported.

A package may swallow what the handler of a signal raises amid its import, or raise an error of its own in its place.
Such a signal is remembered: it is raised again until somebody answers it, and an error that comes meanwhile is known to
be its consequence.
"""

from __future__ import annotations

import signal
from types import FrameType

AGAIN = 0.25
"""Seconds after which it is raised again."""

_unanswered: list[BaseException] = []
_raised: list[BaseException] = []


def watch_interrupts() -> None:
    """Have a Ctrl-C last, where Python answers one (a shell has it ignored in what runs in its background)."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda number, frame: raise_lasting(KeyboardInterrupt(), frame))


def raise_lasting(error: BaseException, frame: FrameType | None) -> None:
    """Raise ``error`` in the handler of a signal that came at ``frame``: again and again if that is within an import.

    Raises:
        BaseException: ``error``.
    """
    _raised[:] = [error]
    if _importing(frame):
        _unanswered[:] = [error]
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, _again)
            signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
    raise error


def is_replaced() -> bool:
    """Return, once, whether a Ctrl-C was raised, for which a package then raised an error of its own."""
    came = bool(_raised) and isinstance(_raised[0], KeyboardInterrupt)
    _raised.clear()
    return came


def answer() -> BaseException | None:
    """Return what was raised by a signal amid an import, which is answered from now on; None: nothing."""
    if not _unanswered:
        return None
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    return _unanswered.pop()


def _again(number: int, frame: FrameType | None) -> None:
    if _unanswered:
        raise _unanswered[0]


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
