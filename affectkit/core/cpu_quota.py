"""The share of processor time that Linux's control groups leave to this process, as containers set it.

Version 2 states it in ``cpu.max`` of each group on the way to the root (Documentation/admin-guide/cgroup-v2.rst),
version 1 in ``cpu.cfs_quota_us`` and ``cpu.cfs_period_us`` (Documentation/scheduler/sched-bwc.rst). A process with more
threads than that is stopped for the rest of each period, and those that wait for a stopped thread wait with it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

GROUPS, MOUNTS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


@functools.cache
def cpu_quota(groups: Path = GROUPS, mounts: Path = MOUNTS) -> float | None:
    """Return how many processors' time this process may use; None where nothing limits it or nothing says so.

    Args:
        groups: lists its groups: lines ``number:controllers:path``, of version 2 ``0::path``.
        mounts: where they are mounted.
    """
    try:
        lines = groups.read_text().splitlines()
    except (OSError, ValueError):
        return None
    found = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            found += [_of_two(place) for place in _upwards(mounts, path)]
        elif "cpu" in controllers.split(","):
            for name in (controllers, "cpu"):
                found += [_of_one(place) for place in _upwards(mounts / name, path)]
    return min((quota for quota in found if quota is not None), default=None)


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """Yield the folders of a group and of those that it lies in; in a container its path may not be there."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for count in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:count])


def _of_two(place: Path) -> float | None:
    quota, period = [*_words(place / "cpu.max"), "", ""][:2]
    return _share(quota, period)


def _of_one(place: Path) -> float | None:
    quota, period = ([*_words(place / f"cpu.cfs_{name}_us"), ""][0] for name in ("quota", "period"))
    return _share(quota, period)


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except (OSError, ValueError):
        return []


def _share(quota: str, period: str) -> float | None:
    """Return quota / period; None of ``max``, -1 and what is not there."""
    if not quota.isdecimal() or not period.isdecimal() or int(period) == 0:
        return None
    return int(quota) / int(period)
