"""Files brought where a journal says, and back: each step may be done again on top of itself.

A file moves by rename; where that is another file system, it is copied, flushed, compared and only then removed. A
file that is there already is never written over.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from affectkit.core.contained_paths import digest_inside, is_regular
from affectkit.core.files import digest_bytes, digest_of, fsync_path
from affectkit.core.progress import Reporter
from affectkit.core.stopping import Stopping
from affectkit.errors import DataError, UsageError
from affectkit.prep.datasplit.journal import STAGE, Journal, Original, sweep_parts

_Row = TypeVar("_Row")
LINKS = ("copy", "hardlink", "symlink", "reflink")
_FICLONE = 0x40049409  # linux/fs.h
_STEP = 500
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_FULL = (errno.ENOSPC, errno.EDQUOT)


# --- one file --------------------------------------------------------------------------------------------------------


def temporary_path(folder: Path | str) -> str:
    """Make a name in ``folder`` for a file in the making, of the form that ``is_temporary`` knows."""
    return f"{folder}/.{os.urandom(8).hex()}.part"


def block_size(folder: Path) -> int:
    """Find how many bytes the file system of ``folder``, which need not be there yet, gives away at a time; or 1."""
    if not hasattr(os, "statvfs"):
        return 1
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return max(1, os.statvfs(folder).f_frsize)


def is_temporary(name: str) -> bool:
    """Return whether a file name is one of ``temporary_path``'s, left by a process that was killed."""
    return len(name) == 22 and name[0] == "." and name.endswith(".part") and set(name[1:17]) <= set("0123456789abcdef")


def place_file(source: str, target: str, digest: str, link: str) -> None:
    """Make ``target`` a copy of, or a link to, ``source``; nothing where an earlier run did.

    A copy is written under its own name, which for small files takes half the time of another name and a rename: what
    a kill cuts short is known by being a beginning of its source, and made again.

    Raises:
        DataError: the source is not what was planned with, or another file is in the way.
        OSError: the disk.
    """
    try:
        if link in ("symlink", "hardlink"):
            (os.symlink if link == "symlink" else os.link)(source, target)
            return
        out = os.open(target, _NEW, 0o666)
    except FileExistsError:
        if _is_placed(source, target, digest):
            return
        if not is_beginning(target, source):
            raise DataError(
                f"{target} is in the way: it is there with another content.", "Move it out of the folder."
            ) from None
        os.unlink(target)
        out = os.open(target, _NEW, 0o666)
    try:
        try:
            _copy(source, out, target, digest, link)
        finally:
            os.close(out)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(target)
        raise


def _is_placed(source: str, target: str, digest: str) -> bool:
    return os.readlink(target) == source if os.path.islink(target) else digest_inside(target) == digest


def is_beginning(target: str, source: str) -> bool:
    """Return whether ``target`` is what a kill left of a copy: a file of its own with the first bytes of ``source``.

    Nothing is lost where such a file goes.
    """
    if os.path.islink(target) or not os.path.isfile(target) or os.path.getsize(target) >= os.path.getsize(source):
        return False
    with open(source, "rb") as whole, open(target, "rb") as part:
        return all(data == whole.read(len(data)) for data in iter(lambda: part.read(1 << 20), b""))


def install_made(part: str, target: str, digest: str) -> None:
    """Give a file that was made under the name ``part`` its own name, once the journal holds its hash.

    Raises:
        DataError: another file is in the way, which is more than what a loss of power left of this one.
    """
    if os.path.lexists(target) and digest_inside(target) != digest:
        whole = Path(part).read_bytes()
        if not is_regular(target) or os.path.getsize(target) > len(whole) or not _is_remnant(target, whole):
            raise DataError(f"{target} is in the way: it is there with another content.", "Move it out of the folder.")
    os.replace(part, target)


def _is_remnant(target: str, whole: bytes) -> bool:
    """Return whether a file is a beginning of ``whole``, followed by zeros or by nothing."""
    return whole.startswith(Path(target).read_bytes().rstrip(b"\0"))


def _copy(source: str, out: int, target: str, digest: str, link: str) -> None:
    with open(source, "rb", buffering=0) as stream:
        data = stream.read()
        if digest_bytes(data) != digest:
            raise DataError(f"{source} has changed since the split was planned.", "Undo the split, then run it anew.")
        if link == "reflink":
            _clone(out, stream.fileno())
        elif os.write(out, data) != len(data):  # the disk took a part alone
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)


def _clone(out: int, source: int) -> None:
    import fcntl

    fcntl.ioctl(out, _FICLONE, source)


def check_link(link: str, source: Path, folder: Path) -> None:
    """Try ``link`` once from ``source`` into ``folder``; a UsageError where the file systems cannot."""
    if link == "copy":
        return
    trial = temporary_path(folder)
    try:
        place_file(str(source), trial, digest_of(source), link)
    except (OSError, ImportError) as error:
        raise UsageError(
            f"--link {link} does not work from {source.parent} to {folder}: {getattr(error, 'strerror', error)}.",
            "Use --link copy.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(trial)


def move_file(source: Path, target: Path, digest: str) -> None:
    """Move a file; an OSError says why it could not be, with the source where it was."""
    try:
        _transfer(source, target, digest)
    except FileNotFoundError:
        if target.parent.is_dir():
            raise
        target.parent.mkdir(parents=True, exist_ok=True)
        _transfer(source, target, digest)


def _transfer(source: Path, target: Path, digest: str) -> None:
    if os.path.lexists(target):
        raise DataError(f"{target} is in the way of {source}; nothing was written over.", "Move it out of the folder.")
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _carry(source, target, digest)


def _carry(source: Path, target: Path, digest: str) -> None:
    """Move a file to another file system: the source goes last, when the copy is on the disk and compared."""
    part = Path(temporary_path(target.parent))
    try:
        shutil.copy2(source, part)
        fsync_path(part)
        if digest_of(part) != digest or digest_of(source) != digest:
            raise DataError(f"{source} has changed, or its copy is not equal; it was left in its place.")
        os.rename(part, target)
    finally:
        part.unlink(missing_ok=True)
    fsync_path(target.parent)
    source.unlink()


@contextlib.contextmanager
def explaining_disk_errors(root: Path, again: str) -> Iterator[None]:
    """Raise what the disk refuses inside as a DataError with the next step; ``again``: the state, in a sentence."""
    try:
        yield
    except BrokenPipeError:  # of the terminal, not of the folder
        raise
    except OSError as error:
        what = f"{root}: {error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
        if error.errno in _FULL:
            raise DataError(
                f"the disk is full: {what}. {again}", "Free some space and run the same command."
            ) from error
        raise DataError(
            f"cannot write in {what}. {again}", "Fix that and run the same command, or undo with --undo."
        ) from error


# --- all moves of a journal ------------------------------------------------------------------------------------------


def move_all(journal: Journal, reporter: Reporter, stopping: Stopping, hint: str) -> int:
    """Move every original to its place in the same folder; return how many moved now."""
    steps = [item for item in journal.originals if item.source != item.target]
    root, moved = journal.root, 0
    reporter.start("moving", len(steps), "images")
    for number, item in enumerate(steps):
        count_file(number, reporter, stopping, hint)
        source, target = root / item.source, root / item.target
        there = os.path.lexists(target)
        if not os.path.lexists(source):
            if not there:
                raise _gone(item, journal)
            continue
        if there and digest_inside(target) == item.digest == digest_inside(source):
            # A move across file systems was cut.
            source.unlink()
        else:
            move_file(source, target, item.digest)
        moved += 1
    reporter.advance(len(steps) % _STEP)
    reporter.finish()
    return moved


def move_staged(journal: Journal, reporter: Reporter, stopping: Stopping, hint: str) -> int:
    """Do as ``move_all`` where a file may take another's place: all step aside first, then all step in."""
    stage, steps, root = journal.folder / STAGE, list(enumerate(journal.originals)), journal.root
    stage.mkdir(exist_ok=True)
    moved = 0
    if "staged" not in journal.stages:
        for number, item in steps:
            count_file(number, reporter, stopping, hint)
            if not os.path.lexists(stage / str(number)):
                move_file(root / item.source, stage / str(number), item.digest)
        journal.add("staged")
    for number, item in steps:
        count_file(number, reporter, stopping, hint)
        if os.path.lexists(stage / str(number)):
            move_file(stage / str(number), root / item.target, item.digest)
            moved += 1
    stage.rmdir()
    return moved


def count_file(number: int, reporter: Reporter, stopping: Stopping, hint: str) -> None:
    """Count a file, and stop before it where that was asked for."""
    if number % _STEP == 0 and number:
        reporter.advance(_STEP)
    if stopping.requested:
        raise stopping.error("every image is in its old or its new place, and the journal knows which.", hint)


def _gone(item: Original, journal: Journal) -> DataError:
    return DataError(
        f"{journal.root / item.source} is gone, and so is {journal.root / item.target}: something else removed it.",
        f"Put it back, or see the plan in {journal.path}.",
    )


def remove_partial_files(journal: Journal) -> None:
    """Remove what killed processes left half-written in the folders of the plan."""
    sweep_parts(journal.root, journal.header.get("tables", ()))
    folders = {os.path.dirname(row.target) for row in (*journal.originals, *journal.made)}
    for folder in folders:
        with contextlib.suppress(FileNotFoundError), os.scandir(journal.root / folder) as entries:
            for name in [entry.name for entry in entries if is_temporary(entry.name)]:
                (journal.root / folder / name).unlink(missing_ok=True)


def make_folders(root: Path, names: Iterable[str]) -> None:
    """Make folders below ``root``."""
    for name in sorted(names):
        (root / name).mkdir(parents=True, exist_ok=True)


def new_folders(root: Path, targets: Sequence[str]) -> list[str]:
    """List the folders above ``targets``, relative to ``root``, that are not there yet."""
    found: set[str] = set()
    for name in {os.path.dirname(target) for target in targets}:
        parts = name.split("/")
        found |= {"/".join(parts[:end]) for end in range(1, len(parts) + 1) if parts[0]}
    return sorted(name for name in found if not (root / name).is_dir())
