"""Errors that mean want of memory, whichever package raised them, or a Ctrl-C that a package wrapped into its own."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

MORE_MEMORY = (
    "Use less (smaller --batch-size, fewer --workers, smaller images), or run where more is free; a limit of the shell "
    "(ulimit -v) or of a job (--mem) counts too."
)
"""The next step."""
_SIGNS = re.compile(
    r"out of (?:shared )?memory|[Nn]ot enough memory|[Ii]nsufficient memory|[Cc]an(?:'t|not) allocate memory"
    r"|Unable to allocate|failed to map segment|bad_alloc|can't start new thread|ALLOC_FAILED"
)
"""What the C library, its loader, NumPy, torch (CPU, CUDA), OpenCV, ONNX Runtime and Python's threads say."""
_KILLED = re.compile(r"worker .*killed by signal: Killed|DataLoader worker \(pid\(s\) [0-9, ]+\) exited unexpectedly")
"""How torch's DataLoader reports a process that was killed, most often by the system for want of memory."""
_CUT = (EOFError, ConnectionError, FileNotFoundError)
"""What is raised where a process ends amid what it sends, before the DataLoader knows of its end."""


def want_of_memory(error: BaseException) -> str | None:
    """Return what ``error`` says about the want of memory that it or one of its causes means; None for other errors."""
    for one in find_causes(error):
        text = " ".join(str(one).split())
        if _KILLED.search(text) or (isinstance(one, _CUT) and _raised_in_multiprocessing(one)):
            return "a loading worker was killed, perhaps by the system for want of memory."
        if _means_memory(one, text):
            sentence = re.split(r"(?<=[.!]) ", text)[0].rstrip(".")[:300]
            return f"there is not enough memory{f' ({sentence})' if sentence else ''}."
    return None


def interrupted(error: BaseException) -> bool:
    """Return whether a Ctrl-C is behind ``error``, as where it came while a class was being made (Python 3.11)."""
    return any(isinstance(one, KeyboardInterrupt) for one in find_causes(error))


def find_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield ``error`` and its causes, the last first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _raised_in_multiprocessing(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and f"{os.sep}multiprocessing{os.sep}" in trace.tb_frame.f_code.co_filename


def _means_memory(one: BaseException, text: str) -> bool:
    if isinstance(one, MemoryError) or (isinstance(one, OSError) and one.errno == errno.ENOMEM):
        return True
    # Errors of data may quote such words; these kinds are raised by what allocates.
    kinds = isinstance(one, RuntimeError | ImportError | SystemError)
    kinds = kinds or type(one).__module__.partition(".")[0] in ("cv2", "onnxruntime")
    return kinds and bool(_SIGNS.search(text))
