"""Images that could not be read: set apart with their reasons, and refused where none may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from affectkit.core.text import count_text
from affectkit.errors import DataError

SKIPPING = "Fix or remove them, or add --on-error skip to go on without them."


@dataclass(frozen=True)
class ReadFailure:
    """An image that could not be read, in place of its pixels."""

    index: int
    name: str
    reason: str


def refuse_failures(failures: Sequence[ReadFailure], on_error: str, *, hint: str = SKIPPING) -> None:
    """Raise a DataError that names ``failures`` unless bad images are to be skipped."""
    if failures and on_error == "fail":
        listed = "\n".join(f"  - {failure.reason}" for failure in failures[:10])
        more = f"\n  and {len(failures) - 10} more" if len(failures) > 10 else ""
        raise DataError(
            f"{count_text(len(failures), 'image')} cannot be read:\n{listed}{more}",
            hint,
        )
