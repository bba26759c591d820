"""Lock a folder or a file for the one process that writes it, over hosts where the file system passes locks on.

The operating system holds the lock (a record lock, ``fcntl(2)``: it ends with the process, however that ends, and
belongs to it alone, where ``flock`` would live on in decoding workers that outlast a kill). It is held on a file that
says who writes: ``.lock`` in a folder, ``.NAME.lock`` beside a file or the folder of a shard. That file goes when the
work ends; what a kill leaves is taken over by the next run, which removes files that were in the making.

Where the file system has no locks, that the file is there is the lock. Then, and where locks do not reach other hosts,
a process of this machine is looked up; of one on another host nothing is known, and a person has to remove the file.
Nothing is decided by a clock.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from affectkit.core.left_files import sweep_left
from affectkit.core.lock_owner import LockOwner, locks_reach_hosts
from affectkit.core.progress import Reporter, Silent
from affectkit.errors import DataError, LockedError

LOCK = ".lock"
_SHARDS = re.compile(r"\.(?:shard-[0-9]+-of|fold)-[0-9]+\.lock")
_MOST_BYTES = 8192
_ATTEMPTS = 20
_CANNOT_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG)
"""Errors of making the file where the work itself cannot write, or says better what is wrong."""

_UNITS = ((86400, "day"), (3600, "h"), (60, "min"), (1, "s"))
_held: dict[str, int] = {}
"""How often this process holds each lock file, by real path."""


@dataclass(frozen=True)
class Output:
    """Name what a command writes.

    Attributes:
        path: a folder, a file, or the folder of a shard.
        kind: "folder"; "file"; or "shard": runs of other shards, or folds, in the folder above may be at work, one of
            all may not.
        make: whether a folder that is missing is made, as is the folder of a file.
    """

    path: Path
    kind: str = "folder"
    make: bool = True

    @property
    def lock(self) -> Path:
        """Return the path of the lock file."""
        return self.path / LOCK if self.kind == "folder" else self.path.with_name(f".{self.path.name}.lock")


def is_lock_name(name: str) -> bool:
    """Return whether a file is called as a lock is: work that was killed leaves it behind."""
    return name.startswith(".") and name.endswith(".lock")


@contextlib.contextmanager
def locked(*outputs: Output, reporter: Reporter | None = None) -> Iterator[None]:
    """Lock ``outputs`` for this process while the block runs; what it has locked already stays locked.

    Nothing is locked where this process cannot write, so that a command which finds nothing to do still says so there.

    Args:
        reporter: hears of a lock that was left by a process that has ended.

    Raises:
        LockedError: another process writes there, or may.
        DataError: a file of another kind stands in place of the lock.
    """
    with contextlib.ExitStack() as stack:
        for output in outputs:
            stack.enter_context(_locked(output, reporter or Silent()))
        yield


@contextlib.contextmanager
def _locked(output: Output, reporter: Reporter) -> Iterator[None]:
    path = output.lock
    key = os.path.realpath(path)
    if key in _held:
        with _counted(key):
            yield
        return
    found = _claim(output, reporter)
    if found is None:
        yield
        return
    (descriptor, made), owner = found, os.getpid()
    try:
        with _counted(key):
            _refuse_shards(output)
            yield
    finally:
        if os.getpid() == owner:  # not in a process that was forked from it
            if os.name == "nt":  # what is open cannot be removed there
                os.close(descriptor)
            with contextlib.suppress(OSError):
                if os.name == "nt" or _stands_at(descriptor, path):
                    path.unlink()
            if os.name != "nt":
                os.close(descriptor)
            _remove_folders(made)


@contextlib.contextmanager
def _counted(key: str) -> Iterator[None]:
    _held[key] = _held.get(key, 0) + 1
    try:
        yield
    finally:
        _held[key] -= 1
        if not _held[key]:
            del _held[key]


def _claim(output: Output, reporter: Reporter) -> tuple[int, list[Path]] | None:
    """Lock ``output``; return the descriptor and the folders that were made for it, or None where nothing is."""
    folder, made = output.lock.parent, []
    for attempt in range(_ATTEMPTS):
        try:
            if output.make:
                made = [*_make_folders(folder), *made]
            return _acquire(output, reporter), made
        except OSError as error:
            # Another run may just have removed the folder that it had made, and found no use for.
            if output.make and error.errno == errno.ENOENT and attempt + 1 < _ATTEMPTS:
                continue
            _remove_folders(made)
            if error.errno not in _CANNOT_WRITE:
                raise
            return None
        except BaseException:
            _remove_folders(made)
            raise
    return None


def _acquire(output: Output, reporter: Reporter) -> int:
    """Return the descriptor of the lock file, which this process holds."""
    path, left, since = output.lock, "", 0
    mine = LockOwner.this_process()  # before there is a file, which then says at once whose it is
    for _ in range(_ATTEMPTS):
        descriptor, created = _open(output)
        kept = False
        try:
            state = _try_lock(descriptor, shared=False)
            if not _stands_at(descriptor, path):  # its holder has just ended, and removed it
                continue
            owner = None if created else _read(descriptor, path)
            fate = "free" if created and state != "denied" else _fate(owner, state, path)
            if fate not in ("free", "left"):
                raise _refusal(output, owner, fate)
            if fate == "left":
                left, since = _describe(owner), os.fstat(descriptor).st_mtime_ns
            if not created and state != "held":  # its holder is gone, but the file is in the way
                _remove_left(descriptor, path)
                continue
            _write(descriptor, replace(mine, held=state == "held"))
            kept = True
            if left:
                sweep_left(output.path, since)
                reporter.note(f"took over the lock of {output.path} from {left}, which has ended")
            return descriptor
        finally:
            if not kept:
                os.close(descriptor)
    raise _refusal(output, None, "running")


def _open(output: Output) -> tuple[int, bool]:
    """Open the lock file; return its descriptor and whether it is new."""
    path = output.lock
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno == errno.EROFS or not os.access(path.parent, os.W_OK):
                raise
            if error.errno in (errno.EACCES, errno.EPERM):  # of another user, in a folder that both may write
                raise _refusal(output, _read_only(path), "unknown") from error
            raise _no_lock(path) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _no_lock(path)
        return descriptor, False
    raise _refusal(output, None, "running")


def _fate(owner: LockOwner | None, state: str, path: Path) -> str:
    """Return what became of the ``owner`` of a lock file that was there: running, left, free or unknown.

    Args:
        owner: what the file says; None where it says nothing.
        state: what came of locking the file.
    """
    if owner is not None and owner.was_requeued:
        return "left"
    if state == "denied":
        return "running"
    if owner is None:
        return "free" if state == "held" else "unknown"
    if state == "held" and owner.held and (owner.is_here or locks_reach_hosts(path)):
        return "left"
    if not owner.is_here:
        return "unknown"
    return "running" if owner.runs else "left"


def _refuse_shards(output: Output) -> None:
    """Refuse a run of all while shards are at work in its folder, and a shard while a run of all is.

    Each has its own lock by now and then looks for the other's, so that of two that start together one sees the other.
    """
    if output.kind == "shard":
        others = [Output(output.path.parent)]
    elif output.kind == "folder":
        with contextlib.suppress(OSError):
            names = sorted(name for name in os.listdir(output.path) if _SHARDS.fullmatch(name))
        others = [Output(output.path / name[1:].removesuffix(".lock"), "shard") for name in names]
    else:
        return
    for other in others:
        if os.path.realpath(other.lock) in _held:
            continue
        try:
            descriptor = os.open(other.lock, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _refusal(other, None, "unknown") from error
        try:
            # Shared: others may look at the same time.
            state, owner = _try_lock(descriptor, shared=True), _read(descriptor, other.lock)
            fate = _fate(owner, state, other.lock)
            if fate in ("running", "unknown") and _stands_at(descriptor, other.lock):
                raise _refusal(other, owner, fate)
        finally:
            os.close(descriptor)


# --- the operating system --------------------------------------------------------------------------------------------


def _try_lock(descriptor: int, *, shared: bool) -> str:
    """Lock an open file; return ``held``, ``denied`` (another process has it) or ``none`` (no locks here)."""
    try:
        import fcntl
    except ImportError:  # Windows: one writer is on trust
        return "held"
    try:
        fcntl.lockf(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        return "denied" if error.errno in (errno.EACCES, errno.EAGAIN) else "none"
    return "held"


# --- the file --------------------------------------------------------------------------------------------------------


def _write(descriptor: int, owner: LockOwner) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, owner.to_bytes())


def _read(descriptor: int, path: Path) -> LockOwner | None:
    """Return what a lock file says; None for an empty one, as earlier versions leave it.

    Raises:
        DataError: it is none of ours.
    """
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        return LockOwner.parse(os.read(descriptor, _MOST_BYTES))
    except ValueError:
        raise _no_lock(path) from None


def _read_only(path: Path) -> LockOwner | None:
    """Return what the lock file of another user says, where it may be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    try:
        return _read(descriptor, path)
    finally:
        os.close(descriptor)


def _stands_at(descriptor: int, path: Path) -> bool:
    """Return whether the open file is still the one called ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _remove_left(descriptor: int, path: Path) -> None:
    """Remove the lock file of a process that has ended, unless another run has put its own in its place meanwhile."""
    aside = path.with_name(f"{path.name}.{os.urandom(8).hex()}.part")
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, aside)
        if not _stands_at(descriptor, aside):
            with contextlib.suppress(OSError):
                os.link(aside, path)
        aside.unlink()


def _make_folders(folder: Path) -> list[Path]:
    """Make ``folder``; return those that were missing, the innermost first."""
    missing = []
    for here in (folder, *folder.parents):
        if here.exists():
            break
        missing.append(here)
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_folders(folders: list[Path]) -> None:
    """Remove those folders that nothing came into."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


# --- words -----------------------------------------------------------------------------------------------------------


def _no_lock(path: Path) -> DataError:
    return DataError(
        f"{path} is not a lock of affectkit, and stands where one must be.", "Move it away, and run this again."
    )


def _describe(owner: LockOwner | None) -> str:
    return "another process" if owner is None else owner.described


def _refusal(output: Output, owner: LockOwner | None, fate: str) -> LockedError:
    """Return the error that names who writes, since when, and what to do."""
    lock, since = output.lock, ""
    with contextlib.suppress(OSError):
        written = lock.stat().st_mtime
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(written))
        since = f", since {when} ({_age_text(_now(lock.parent) - written)})"
    what = {"shard": f"{output.path.name} in {output.path.parent}"}.get(output.kind, str(output.path))
    gone = f"If that process is gone, as after a crash of its machine, remove {lock} and run this again."
    if fate == "running":
        return LockedError(
            f"{what} is being written by {_describe(owner)}{since}; nothing was changed.",
            f"Wait for it to end, or stop it. {gone}",
        )
    return LockedError(
        f"{what} may still be written by {_describe(owner)}{since}: from here it cannot be seen whether that runs.",
        f"Wait for it to end. {gone}",
    )


def _now(folder: Path) -> float:
    """Return the time by the clock that dates the files in ``folder``, which may be a server's."""
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            return os.fstat(probe.fileno()).st_mtime
    except OSError:
        return time.time()


def _age_text(seconds: float) -> str:
    """Return an age for people; clocks of two machines may differ by a minute.

    >>> [_age_text(value) for value in (-5, 59, 3600, 172_800)]
    ['0 s ago', '59 s ago', '1 h ago', '2 days ago']
    >>> _age_text(-90)
    'in the future: a clock was set back'
    """
    if seconds < -60:
        return "in the future: a clock was set back"
    for size, unit in _UNITS:
        count = int(max(seconds, 0) // size)
        if count or size == 1:
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    raise AssertionError
