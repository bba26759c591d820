"""One case: a copy of a valid folder, changed, given to a command in a forked process with limits, and judged.

Everything lies in one folder: ``case``, which is the current folder of the command, and beside it ``outside``, which no
command may touch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import hashlib
import importlib
import os
import pkgutil
import random
import re
import resource
import shutil
import signal
import stat
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from fuzz.mutators import change_file

VERDICTS = ("refused", "accepted", "unexpected", "over time", "over memory", "escaped", "lost")
FAULTS = VERDICTS[2:]
CPU_SECONDS, WALL_SECONDS = 20, 120
MEMORY = 2 << 30
"""Bytes of address space that a case may take beyond what was there before it."""
FILE_BYTES = 256 << 20
CODES = {0: "accepted", 3: "accepted", 1: "refused", 2: "refused", 4: "refused"}
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
BUILTIN_HINTS = ("This is a fault of affectkit", "Check the disk and the permissions.", "Traceback (most recent call")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        name: of the kind; share: of all cases, in parts of the sum.
        make: writes the valid input into the current folder.
        commands: of which one is drawn for a case; the first must be accepted on the input as it is.
        targets: patterns of the files that are changed, each with its form (``mutators.CHANGES``).
        writes: patterns of the files that the commands may change; moves: or move, content kept.
        stdin: a file of the case. rows: whether stdout carries names as they are.
        arguments: draws the whole command in place of ``commands``. around: entered around the command.
    """

    name: str
    make: Callable[[], None]
    commands: Sequence[str]
    targets: dict[str, str]
    share: int = 10
    writes: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()
    stdin: str | None = None
    rows: bool = False
    arguments: Callable[[random.Random], list[str]] | None = None
    around: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    verdict: str
    what: str
    command: str
    detail: str


def preload() -> None:
    """Import all of affectkit, so that the forked process of a case need not."""
    import torch

    torch.set_num_threads(1)
    import affectkit

    for module in pkgutil.walk_packages(affectkit.__path__, "affectkit."):
        if not module.name.endswith(("__main__", "_slurm_job")):
            importlib.import_module(module.name)


def snapshot(root: Path) -> dict[str, str]:
    """What each entry below ``root`` is: its kind with its content or target."""
    found = {}
    for folder, names, files in os.walk(root):
        for name in (*names, *files):
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            what = "folder" if stat.S_ISDIR(mode) else "other"
            if stat.S_ISLNK(mode):
                what = "link to " + os.readlink(path)
            elif stat.S_ISREG(mode):
                with open(path, "rb") as stream:
                    what = hashlib.blake2b(stream.read(), digest_size=12).hexdigest()
            found[os.path.relpath(path, root)] = what
    return found


def prepare(root: Path, valid: Path, name: str) -> None:
    """Lay ``case`` out in ``root`` as a copy of ``valid``, and ``outside`` beside it."""
    case = root / "case"
    shutil.rmtree(case, ignore_errors=True)
    shutil.copytree(valid, case, symlinks=True)
    outside = root / "outside"
    if not outside.exists():
        (outside / "folder").mkdir(parents=True)
        for entry in ("keep.txt", "folder/keep.txt", "folder/a.png"):
            (outside / entry).write_text(f"{entry}: no command may touch this\n")


def run_case(kind: Kind, root: Path, valid: Path, seed: int, number: int) -> Outcome:
    """Run case ``number``; number 0 is the input as it is."""
    rng = random.Random(f"{seed} {kind.name} {number}")
    prepare(root, valid, kind.name)
    case, outside = root / "case", root / "outside"
    what = "nothing changed" if number == 0 else _change(rng, kind, case, outside)
    words = (kind.commands[0] if number == 0 else rng.choice(kind.commands)).split()
    if kind.arguments is not None and number:
        words = kind.arguments(rng)
    before, around = snapshot(case), snapshot(outside)
    code, out, err, trace = in_child(words, root, stdin=kind.stdin, around=kind.around)
    detail = f"exit code {code}\n{err[-1500:]}\n{trace[-2500:]}"
    verdict = _judge(code, out if not kind.rows else "", err)
    if verdict in ("refused", "accepted"):
        if snapshot(outside) != around or sorted(os.listdir(root)) != sorted({"case", "outside", "home", ".run"}):
            verdict = "escaped"
            shutil.rmtree(outside)
            for name in set(os.listdir(root)) - {"case", "outside", "home", ".run"}:
                detail += f"\nmade: {name}"
        elif lost := _lost(kind, before, snapshot(case)):
            verdict, detail = "lost", f"{', '.join(lost[:5])}\n{detail}"
    return Outcome(verdict, what, " ".join(words), detail)


def _change(rng: random.Random, kind: Kind, case: Path, outside: Path) -> str:
    names = [name for name in snapshot(case) if not (case / name).is_dir() and not (case / name).is_symlink()]
    found = [(name, form) for pattern, form in kind.targets.items() for name in names if fnmatch.fnmatch(name, pattern)]
    if not found:
        return "options"
    patterns = sorted({form for _, form in found})
    form = rng.choice(patterns)
    name = rng.choice(sorted(name for name, its in found if its == form))
    return change_file(rng, case / name, form, outside)


def _judge(code: int, out: str, err: str) -> str:
    if code in (-signal.SIGXCPU, -signal.SIGALRM) or code == "over time":
        return "over time"
    if "not enough memory" in err or "MemoryError" in err:
        return "over memory"
    if code not in CODES or any(hint in err for hint in BUILTIN_HINTS) or CONTROL.search(out) or CONTROL.search(err):
        return "unexpected"
    if code in (1, 2) and err.count("Error") < 1:
        return "unexpected"
    return CODES[code]


def _lost(kind: Kind, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Originals that are gone or changed."""
    kept = set(after.values())
    return [
        name
        for name, what in before.items()
        if what != "folder" and after.get(name) != what and not any(fnmatch.fnmatch(name, one) for one in kind.writes)
        if not (any(fnmatch.fnmatch(name, one) for one in kind.moves) and what in kept)
    ]


def in_child(
    words: Sequence[str], root: Path, *, stdin: str | None = None, around: Callable = contextlib.nullcontext
) -> tuple[int | str, str, str, str]:
    """Exit code, stdout, stderr and traceback of ``affectkit`` in a forked process with limits."""
    folder = root / ".run"
    folder.mkdir(exist_ok=True)
    (root / "home").mkdir(exist_ok=True)
    paths = [folder / name for name in ("out", "err", "trace")]
    for path in paths:
        path.write_bytes(b"")
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _become(words, root, paths, stdin, around)
    code: int | str = "over time"
    end = time.monotonic() + WALL_SECONDS
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.004)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # it and what it started
    if code == "over time":
        os.waitpid(pid, 0)
    return code, *(path.read_bytes().decode("utf-8", "replace") for path in paths)


def _limit() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _become(words: Sequence[str], root: Path, paths: Sequence[Path], stdin: str | None, around: Callable) -> None:
    code = 99
    try:
        os.setsid()
        os.chdir(root / "case")
        flags = os.O_RDONLY | os.O_NONBLOCK
        try:
            source = os.open(stdin if stdin is not None else os.devnull, flags)
            if stat.S_ISDIR(os.fstat(source).st_mode):  # with which Python itself would not start
                raise IsADirectoryError
        except OSError:
            source = os.open(os.devnull, flags)
        for number, one in enumerate((source, *(os.open(path, os.O_WRONLY | os.O_APPEND) for path in paths[:2]))):
            os.dup2(one, number)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        os.environ |= {
            "HF_HUB_OFFLINE": "1",
            "HOME": str(root / "home"),
            "AFFECTKIT_CACHE": str(root / "case" / "cache"),
        }
        _keep_traces(paths[2])
        _limit()
        from affectkit.__main__ import main

        sys.argv = ["affectkit", *words]
        with around():
            main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(bool(error.code))
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _keep_traces(path: Path) -> None:
    """Write the traceback of an error that nobody foresaw to a file, for the report."""
    from affectkit.cli import console

    meaning = console._meaning

    def kept(error: Exception):
        path.write_text("".join(traceback.format_exception(error))[-6000:], errors="backslashreplace")
        return meaning(error)

    console._meaning = kept
