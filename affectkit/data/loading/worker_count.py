"""How many workers decode: as asked, or a share of the processors that this process may use."""

from __future__ import annotations

from affectkit.core.process import count_processors
from affectkit.core.text import count_text

MOST = 8


def choose_workers(asked: int | None, *, held: bool, on_cpu: bool = False, processes: int = 1) -> tuple[int, str]:
    """Return how many processes decode, and why: as asked; none where images are held; else a share of the processors.

    That is half of them, 8 workers at most. Where the network computes on them too it is a quarter, and may be none:
    on two processors a worker costs inference at 64 pixels a tenth, for it stops a thread that the other waits for.

    Args:
        on_cpu: whether the network computes on the same processors.
        processes: how many processes of the run share this machine, each with decoding workers of its own.
    """
    if asked is not None:
        return asked, "asked for"
    if held:
        return 0, "none needed"
    if on_cpu:
        count = min(MOST, count_processors() // (4 * processes))
        return count, f"the network has most of {count_text(count_processors(), 'processor')}"
    return min(MOST, max(1, count_processors() // (2 * processes))), f"of {count_text(count_processors(), 'processor')}"


def choose_threads(asked: int | None, *, processes: int = 1) -> tuple[int, str]:
    """Return how many threads decode, and why: as asked, else as many as there are processors, 8 at most.

    Threads of one process take turns with those that compute, so that none is kept waiting for another's end.

    Args:
        processes: how many processes of the run share this machine.
    """
    if asked is not None:
        return asked, "threads, asked for"
    there = count_processors()
    return min(MOST, max(there // processes, 1)), f"threads, of {count_text(there, 'processor')}"
