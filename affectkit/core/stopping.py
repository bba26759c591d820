"""The question that long work asks at each safe place: shall it end here?"""

from __future__ import annotations

from typing import Protocol

from affectkit.errors import AffectkitError


class Stopping(Protocol):
    """A request to end the work at the next safe place; ``runtime.shutdown.StopFlag`` is one."""

    @property
    def requested(self) -> bool:
        """Return whether the work shall end."""

    def error(self, saved: str, hint: str) -> AffectkitError:
        """Return the error to raise once all that was done is safe.

        Args:
            saved: what is kept, for the message.
            hint: how to resume.
        """


class Never:
    """Work that nothing stops."""

    requested = False

    def error(self, saved: str, hint: str) -> AffectkitError:
        """Refuse: nothing stops this work."""
        raise NotImplementedError
