"""A process of its own that holds a lock, for tests of what meets it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from affectkit.core.folder_lock import Output, locked


@contextlib.contextmanager
def locked_elsewhere(path: Path, kind: str = "folder") -> Iterator[int]:
    """Lock ``path`` in a forked process while the block runs; its number. At the end it is killed, and leaves its
    lock file behind."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with locked(Output(path, kind)):
                os.write(tell, b"1")
                signal.pause()
        finally:
            os._exit(1)
    os.close(tell)
    try:
        assert os.read(told, 1) == b"1", f"{path} cannot be locked"
        yield pid
    finally:
        os.close(told)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
