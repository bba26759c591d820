"""One command of affectkit, stopped by a signal at a chosen moment in a forked process, and gone on with."""

from __future__ import annotations

import atexit
import csv
import fnmatch
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch

from affectkit.__main__ import main

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
CODES = {
    signal.SIGINT: {130, -signal.SIGINT},  # the signal itself: once all is done
    signal.SIGTERM: {143, 75, -signal.SIGTERM},  # before the command has begun, the signal itself ends the process
    signal.SIGKILL: {-signal.SIGKILL},
}
CHANGES = {
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.utime",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
STRAY = re.compile(r"\.(part|lock|tmp)(-\d+)?$|\.part\.|^\.affectkit-\w+\..*\.part")
SECONDS = 180.0
STEPS = 4
"""How many commands may be needed to go on."""


@dataclass(frozen=True)
class Moment:
    """Before the ``event``-th change of the file system, or else ``seconds`` after the command began."""

    event: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code (negative: the signal), what it told, how many changes it made, how long it took,
    and whether processes outlived it."""

    code: int
    told: str
    events: int = 0
    seconds: float = 0.0
    outlived: bool = False


@dataclass(frozen=True)
class Case:
    """A command that writes.

    Attributes:
        make: makes what the command finds, in the folder ``work``. words: the command line, for that folder.
        undo: the command line that follows instead of the same one, and must give back what was made.
        moments: how many, where a run takes long.
        left_out: patterns of paths that hold times, or how often a run began.
    """

    name: str
    make: Callable[[Path], object]
    words: Callable[[Path], Sequence[object]]
    undo: Callable[[Path], Sequence[object]] | None = None
    moments: int = 20
    left_out: Sequence[str] = ("*/.affectkit-*/journal.jsonl", "*/robustness.json")


@dataclass
class Verdict:
    """What became of the runs of one case under one signal."""

    tried: int = 0
    struck: int = 0
    equal: int = 0
    faults: list[str] = field(default_factory=list)


def run(words: Sequence[object], work: Path, *, at: Moment | None = None, number: int = 0) -> Ended:
    """Run ``affectkit`` with ``words`` in a forked process with a session of its own.

    Args:
        number: the signal that it is sent ``at`` a moment: to its whole session for SIGINT, as a terminal does.
    """
    told, counted = work.with_suffix(".told"), work.with_suffix(".count")
    counted.write_text("0")
    began = time.monotonic()
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(words, work, told, counted, at.event if at else 0, number, tell)
    os.close(tell)
    os.read(ready, 1)
    os.close(ready)
    if at is not None and at.seconds:
        time.sleep(at.seconds)
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            (os.killpg if number == signal.SIGINT else os.kill)(pid, number)
    while (found := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        if time.monotonic() - began > SECONDS:
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.004)
    seconds = time.monotonic() - began
    text = told.read_bytes().decode(errors="replace")
    return Ended(os.waitstatus_to_exitcode(found[1]), text, int(counted.read_text()), seconds, not _gone(pid))


def _become(words: Sequence[object], work: Path, told: Path, counted: Path, event: int, number: int, tell: int) -> None:
    code: object = 99
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has it ignored in its background
        stream = os.open(told, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin = os.fdopen(0, "r", closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
        os.environ |= {"HF_HUB_OFFLINE": "1", "AFFECTKIT_CACHE": str(work / "cache"), "OMP_NUM_THREADS": "1"}
        os.environ.pop("COLUMNS", None)
        torch.set_num_threads(1)
        os.chdir(work)
        _count_changes(work, counted, event, number)
        sys.argv = ["affectkit", *map(str, words)]
        os.close(tell)
        main()
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        traceback.print_exc()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()  # as at the end of any process: workers are ended there
    finally:
        os._exit(code if isinstance(code, int) else 1)


def _count_changes(work: Path, counted: Path, event: int, number: int) -> None:
    """Count the changes below ``work`` in this process, and send it the signal before one of them."""
    mine, count, inner = os.getpid(), 0, f"{work}{os.sep}"
    pipe = os.open(counted, os.O_WRONLY)

    def seen() -> None:
        nonlocal count
        count += 1
        os.pwrite(pipe, str(count).encode(), 0)
        if count == event:
            (os.killpg if number == signal.SIGINT else os.kill)(mine, number)

    def hook(name: str, arguments: tuple) -> None:
        if name != "open" and name not in CHANGES:
            return
        if os.getpid() != mine or (name == "open" and not (arguments[2] or 0) & WRITING):
            return
        if isinstance(arguments[0], int) or os.path.abspath(os.fsdecode(arguments[0])).startswith(inner):
            seen()

    for name in ("write", "fsync"):
        setattr(os, name, _counted(getattr(os, name), lambda: os.getpid() == mine and seen()))
    sys.addaudithook(hook)


def _counted(function: Callable, seen: Callable) -> Callable:
    def call(*arguments):
        seen()
        return function(*arguments)

    return call


def _gone(session: int, seconds: float = 6.0) -> bool:
    """Whether all processes of a session end within ``seconds``; those that do not are ended."""
    end = time.monotonic() + seconds
    while left := _family(session):
        if time.monotonic() > end:
            for process in left:
                process.kill()
            return False
        time.sleep(0.05)
    return True


def _family(session: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return found


# --- what is compared ------------------------------------------------------------------------------------------------


def contents(work: Path) -> dict[str, bytes]:
    """The bytes of every file by its path, links by their target, empty folders; without caches and
    what a run resumes from."""
    found = {}
    for folder, names, files in os.walk(work):
        inner = os.path.relpath(folder, work)
        if inner == "cache" or os.path.basename(folder) == "state":  # states depend on where a run was stopped
            names.clear()
            continue
        for name in [*files, *(one for one in names if os.path.islink(os.path.join(folder, one)))]:
            if name.startswith("events.out.tfevents"):  # TensorBoard's: time, host and process in name and rows
                continue
            path = os.path.join(folder, name)
            key = os.path.normpath(os.path.join(inner, name))
            found[key] = b"-> " + os.readlink(path).encode() if os.path.islink(path) else Path(path).read_bytes()
        if not names and not files and inner != ".":
            found[inner + "/"] = b""
    return found


@dataclass(frozen=True)
class Expected:
    """What an undisturbed run leaves, and what of it differs between two of them: ``masks`` by file."""

    files: dict[str, bytes]
    masks: dict[str, object]

    def differences(self, found: dict[str, bytes]) -> list[str]:
        """The files that are missing, more, or other than expected."""
        told = []
        for name in sorted(self.files.keys() | found.keys()):
            if name not in found:
                told.append(f"lacks {name}")
            elif name not in self.files:
                told.append(f"{'leaves' if STRAY.search(Path(name).name) else 'has more:'} {name}")
            elif _masked(name, found[name], self.masks) != _masked(name, self.files[name], self.masks):
                told.append(f"other {name}{_places(name, found[name], self.files[name])}")
        return told


def expected_of(one: dict[str, bytes], two: dict[str, bytes], *, left_out: Sequence[str] = ()) -> Expected:
    """What two undisturbed runs have in common; of files ``left_out`` only that they are there."""
    assert one.keys() == two.keys(), one.keys() ^ two.keys()
    masks: dict[str, object] = {}
    for name, data in one.items():
        if any(fnmatch.fnmatch(name, pattern) for pattern in left_out):
            masks[name] = None
        elif data != two[name]:
            masks[name] = _differing(name, data, two[name])
    return Expected(one, masks)


def _differing(name: str, one: bytes, two: bytes) -> object:
    """The places at which two versions of a file differ, in a form that ``_masked`` takes; None: all of it."""
    if name.endswith((".json", ".jsonl")):
        first, second = (dict(_leaves(_parsed(text))) for text in (one, two))
        return frozenset(key for key in first.keys() | second.keys() if first.get(key) != second.get(key))
    if name.endswith(".csv"):
        first, second = (list(csv.reader(io.StringIO(text.decode()))) for text in (one, two))
        if len(first) == len(second):
            return frozenset(
                k
                for a, b in zip(first, second, strict=True)
                for k, (c, d) in enumerate(zip(a, b, strict=False))
                if c != d
            )
    return None


def _places(name: str, one: bytes, two: bytes) -> str:
    try:
        places = _differing(name, one, two)
    except ValueError:
        return ""
    return "" if not places else f" at {', '.join(sorted(map(str, places))[:5])}"


def _masked(name: str, data: bytes, masks: dict[str, object]) -> object:
    if name not in masks:
        return data
    mask = masks[name]
    if mask is None:
        return None
    try:
        if name.endswith(".csv"):
            return [
                [cell for k, cell in enumerate(row) if k not in mask] for row in csv.reader(io.StringIO(data.decode()))
            ]
        return {key: value for key, value in _leaves(_parsed(data)) if key not in mask}
    except ValueError:
        return data


def _parsed(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return [json.loads(line) for line in data.splitlines()]


def _leaves(value: object, place: str = ""):
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}/{key}")
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{place}/{number}")
    else:
        yield place, value


# --- one case --------------------------------------------------------------------------------------------------------


class Laboratory:
    """The folder in which a case is made once, and copied to the same place for each run."""

    def __init__(self, root: Path, case: Case) -> None:
        self.case, self.work, self.base = case, root / "work", root / "base"
        for folder in (self.work, self.base):
            shutil.rmtree(folder, ignore_errors=True)
        self.work.mkdir(parents=True)
        case.make(self.work)
        os.rename(self.work, self.base)
        runs = []
        for _ in range(2):
            self._begin()
            self.whole = run(case.words(self.work), self.work)
            assert self.whole.code in (0, 4), (case.name, self.whole.told)
            runs.append(contents(self.work))
        if case.undo is not None:
            runs = [contents(self.base)] * 2
        self.expected = expected_of(*runs, left_out=case.left_out)
        self.originals = _digests(contents(self.base)) & _digests(self.expected.files)

    def _begin(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.base, self.work, symlinks=True)

    def moments(self, count: int, seed: int) -> list[Moment]:
        """Two thirds before changes of the file system, spread over all of them, and the rest by the clock."""
        draw = random.Random(f"{self.case.name} {seed}")
        by_clock = max(1, count // 3)
        by_event = min(count - by_clock, self.whole.events)
        events = [Moment(event=1 + int((k + draw.random()) * self.whole.events / by_event)) for k in range(by_event)]
        clock = [
            Moment(seconds=0.03 + (k + draw.random()) * self.whole.seconds / (count - by_event))
            for k in range(count - by_event)
        ]
        return events + clock

    def judge(self, number: int, moment: Moment, verdict: Verdict) -> None:
        """Stop the command at a moment, go on, and compare."""
        self._begin()
        case, place = self.case, f"{signal.Signals(number).name} at {moment}: "
        first = run(case.words(self.work), self.work, at=moment, number=number)
        verdict.tried += 1
        faults = []
        if first.code != self.whole.code:
            verdict.struck += 1
            if first.code not in CODES[number]:
                faults.append(f"exit code {first.code}: {first.told[-600:]}")
        faults += _told_badly(first)
        if lost := self.originals - _digests(contents(self.work)):
            faults.append(f"lost {len(lost)} originals when stopped")
        last, told = self._go_on(first)
        if last.code != self.whole.code and not (case.undo and last.code == 0):
            faults.append(f"then exit code {last.code}: {told[-800:]}")
        faults += [f"then {fault}" for fault in _told_badly(last)]
        if differences := self.expected.differences(contents(self.work)):
            faults.append("; ".join(differences[:6]))
        else:
            verdict.equal += 1
        verdict.faults += [place + fault for fault in faults]

    def _go_on(self, first: Ended) -> tuple[Ended, str]:
        """Do what documentation and messages say until the command ends well."""
        case, told = self.case, ""
        words = list(map(str, (case.undo or case.words)(self.work)))
        for _ in range(STEPS):
            last = run(words, self.work)
            told += f"\n$ {' '.join(words)}\n{last.told}"
            if last.code in (0, self.whole.code):
                break
            flat = " ".join(last.told.split())
            if named := re.search(r"affectkit (train --resume \S+)", flat):
                words = named[1].rstrip(".,;").split()
            elif "--resume" in flat and "--resume" not in words:
                words.append("--resume")
            elif "--force" in flat and "--force" not in words:
                words.append("--force")
            elif "nothing to undo" in flat and "--undo" in words:
                return Ended(0, last.told), told
            else:
                break
        return last, told


def _digests(files: dict[str, bytes]) -> set[str]:
    return {hashlib.sha256(data).hexdigest() for data in files.values()}


def _told_badly(ended: Ended) -> list[str]:
    faults = []
    if "Traceback" in ended.told or "fault of affectkit" in ended.told:
        faults.append(f"told badly: {ended.told[-1500:]}")
    if ended.outlived:
        faults.append("processes outlived it")
    return faults


def judge_case(
    case: Case, root: Path, *, count: int | None = None, seed: int = 0, signals=SIGNALS
) -> dict[int, Verdict]:
    """Judge a case at ``count`` moments for each signal."""
    laboratory = Laboratory(root, case)
    verdicts = {}
    for number in signals:
        verdicts[number] = Verdict()
        for moment in laboratory.moments(count or case.moments, seed + number):
            laboratory.judge(number, moment, verdicts[number])
    shutil.rmtree(root, ignore_errors=True)
    return verdicts
