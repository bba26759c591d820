"""Every error that affectkit raises on purpose.

AffectkitError                 base; never raised itself
├── UsageError                 an option, argument or setting is wrong            exit 2
├── DataError                  a dataset, table or file is not what it must be    exit 1
├── CheckpointError            a checkpoint or run folder cannot be used          exit 1
├── DeviceError                a device or precision is not there                 exit 1
├── RunError                   a run cannot continue (the loss is not finite)      exit 1
│   └── PeerLost               another process of the run has ended               exit 1
├── LibraryError               a package is not installed or does not load         exit 1
├── LockedError                another process writes the same folder or file      exit 1
├── DownloadError              weights are not on this machine and not reachable  exit 1
├── ThresholdError             a ``--fail-under`` threshold was missed            exit 3
└── Stopped                    a signal ended the run after it was saved          exit 75, or 130 for Ctrl-C

A message says what is wrong, the value, the rule, and the next step.
"""

from __future__ import annotations

from collections.abc import Sequence

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_THRESHOLD = 3
EXIT_PARTIAL = 4
EXIT_RESUMABLE = 75
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
EXIT_TERMINATED = 143


class AffectkitError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what is wrong, the value and the rule, in one or a few lines.
        hint: the next step, printed on a line of its own.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.message, self.hint)


class UsageError(AffectkitError):
    """An option, argument or setting is wrong."""

    exit_code = EXIT_USAGE

    @classmethod
    def from_faults(cls, faults: Sequence[str], hint: str = "") -> UsageError:
        """Make one error that names all of ``faults``, so that a user can fix them at once."""
        if len(faults) == 1:
            return cls(faults[0], hint)
        return cls(f"{len(faults)} settings are wrong:\n" + "\n".join(f"  - {fault}" for fault in faults), hint)


class DataError(AffectkitError):
    """A dataset, table or file is not what it must be."""


class CheckpointError(AffectkitError):
    """A checkpoint or a run folder cannot be used."""


class DeviceError(AffectkitError):
    """A requested device or precision is not available."""


class RunError(AffectkitError):
    """A run cannot continue."""


class PeerLost(RunError):
    """Another process of the same run has ended."""


class LibraryError(AffectkitError):
    """A package that affectkit needs is missing, or does not load beside the others."""


class DownloadError(AffectkitError):
    """Weights are not on this machine and could not be downloaded."""


class LockedError(AffectkitError):
    """Another process writes the same folder or file, or may."""


class ThresholdError(AffectkitError):
    """A threshold asked for with ``--fail-under`` was missed."""

    exit_code = EXIT_THRESHOLD


class Stopped(AffectkitError):
    """A signal ended the work after what was done had been saved."""

    exit_code = EXIT_RESUMABLE

    def __init__(self, message: str, hint: str = "", *, interrupted: bool = False) -> None:
        super().__init__(message, hint)
        self.exit_code = EXIT_INTERRUPTED if interrupted else EXIT_RESUMABLE
