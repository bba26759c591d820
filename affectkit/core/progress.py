"""Progress of libraries: they call a Reporter, the command line draws it."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Interface by which a runner or a preparation reports while it works."""

    def note(self, text: str) -> None:
        """Report a line that a user wants to read once (a choice made, a file written)."""

    def warn(self, text: str) -> None:
        """Report something that is not an error and should be checked."""

    def start(self, label: str, total: int | None, unit: str = "", *, done: int = 0) -> None:
        """Begin a stretch of work: ``total`` items of ``unit``, None where the number is not known; ``done`` of them
        were done before, by another process.
        """

    def advance(self, count: int = 1, text: str = "") -> None:
        """Count ``count`` more as done; ``text`` holds the numbers of the moment."""

    def finish(self) -> None:
        """End the stretch."""


class Silent:
    """A Reporter that says nothing."""

    def note(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def start(self, label: str, total: int | None, unit: str = "", *, done: int = 0) -> None: ...

    def advance(self, count: int = 1, text: str = "") -> None: ...

    def finish(self) -> None: ...
