"""Ask the operating system for this process: its processors, an end with its parent, memory that it has freed."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Iterator

from affectkit.core.cpu_quota import cpu_quota

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc takes no larger one on 64 bits


def count_processors() -> int:
    """Count the processors that are free to this process: under Slurm or in a container fewer than the machine has.

    No more than its affinity, than Python was told (``PYTHON_CPU_COUNT``, from 3.13 on), and than the time that its
    control groups leave to it, rounded down; 1 at least.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    told = getattr(os, "process_cpu_count", lambda: None)() or count
    quota = cpu_quota()
    return max(min(count, told, int(quota) if quota is not None else count), 1)


def end_with_parent(number: int) -> None:
    """Make Linux send signal ``number`` to this process when the thread that started it ends; elsewhere nothing.

    The parent may have ended before: compare ``os.getppid()`` afterwards.
    """
    _call("prctl", _PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def keep_freed_memory(limit: int = 2**31 - 1) -> None:
    """Make glibc keep up to ``limit`` bytes that were freed at the end of the heap; elsewhere nothing.

    A network's activations are freed and asked for again with every batch. By default glibc hands them back to the
    system and gets them as fresh pages, zeroed one by one: a quarter of the time of ResNet-18 on 64-pixel images.
    """
    _call("mallopt", _M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    _call("mallopt", _M_TRIM_THRESHOLD, limit)


def _call(name: str, *numbers: int) -> None:
    """Call a function of the C library where the library has it."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            getattr(ctypes.CDLL(None), name)(*numbers)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Open a block in which modules are imported, without looking for what could be collected among them.

    Nothing that is imported can: looking again and again takes a sixth of the time.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
