"""Requests that are refused: a status of HTTP beside the message."""

from __future__ import annotations

from affectkit.errors import AffectkitError, DataError, UsageError


class Refusal(AffectkitError):
    """A request that is not answered as asked.

    Args:
        status: of HTTP, 400 to 599.
        message: what is wrong, the value and the rule.
        hint: the next step.
        retry_after: seconds after which the same request may be answered; None: never.
    """

    def __init__(self, status: int, message: str, hint: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(message, hint)
        self.status, self.retry_after = status, retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def refusal_of(error: AffectkitError) -> Refusal:
    """Return an error of the library as the answer to a request: faults of data and of settings are the client's."""
    if isinstance(error, Refusal):
        return error
    status = 422 if isinstance(error, DataError) else 400 if isinstance(error, UsageError) else 500
    return Refusal(status, error.message, error.hint)
