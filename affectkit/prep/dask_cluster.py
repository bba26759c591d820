"""The connection to a Dask cluster that works for a preparation."""

from __future__ import annotations

import contextlib
from typing import Any

from affectkit.core.version import VERSION
from affectkit.errors import UsageError

ANSWERS_WITHIN = 20
"""Seconds."""


def connect_cluster(address: str) -> Any:
    """Connect to the cluster at ``address``, whose scheduler and workers can import this version of affectkit.

    Returns:
        A ``dask.distributed.Client``.

    Raises:
        UsageError: Dask is not installed, or the cluster does not answer, has no workers or another affectkit.
    """
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise UsageError("--scheduler needs Dask, which is not installed.", "pip install 'affectkit[dask]'") from error
    try:
        client = Client(address, timeout=ANSWERS_WITHIN, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(
            f"no Dask scheduler answers at {address} within {ANSWERS_WITHIN} s: {error}.",
            "Start one with 'dask scheduler', and workers with 'dask worker ADDRESS'.",
        ) from error
    try:
        _check_versions(client, address)
    except BaseException:
        client.close()
        raise
    return client


def _check_versions(client: Any, address: str) -> None:
    def version() -> str:  # sent by value: nothing of ours needs to be there
        try:
            import affectkit
        except Exception as error:  # noqa: BLE001 - whatever hinders the import is reported
            return f"{type(error).__name__}: {error}"
        return affectkit.__version__

    found = {}
    with contextlib.suppress(TimeoutError):
        found[f"the scheduler {address}"] = client.sync(
            client._run_on_scheduler, version, callback_timeout=ANSWERS_WITHIN
        )
        workers = client.sync(client._run, version, callback_timeout=ANSWERS_WITHIN)
        if not workers:
            raise UsageError(f"the Dask cluster at {address} has no workers.", f"Start one: dask worker {address}")
        found |= {f"the worker {name}": answer for name, answer in workers.items()}
    if len(found) < 2:
        raise UsageError(f"the Dask cluster at {address} does not answer within {ANSWERS_WITHIN} s.")
    wrong = [f"{where}: {answer}" for where, answer in found.items() if answer != VERSION]
    if wrong:
        raise UsageError(
            f"the Dask cluster at {address} cannot work for affectkit {VERSION}: {'; '.join(wrong[:3])}.",
            "Install the same affectkit where the scheduler and the workers run.",
        )
