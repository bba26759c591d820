"""The process that a lock file names: what it says of itself, and what another process can find out about it."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from affectkit.core.forms import Count, parse_json
from affectkit.core.text import readable
from affectkit.errors import DataError

_LONGEST = 300


@dataclass(frozen=True)
class LockOwner:
    """Describe the process that holds a lock.

    Attributes:
        host: name of its machine.
        pid: its number there.
        command: its command line, cut.
        since: when it took the lock, for people who read the file.
        machine: tells that machine since its start, and its space of process numbers, from all others.
        started: ticks after the machine's start at which it began; 0 where that is not known.
        held: whether the operating system holds the lock, and not the file by being there.
        job: of Slurm, or empty.
        restart: how often that job had been started again.
    """

    host: str
    pid: int
    command: str
    since: str
    machine: str
    started: int
    held: bool
    job: str
    restart: int

    @classmethod
    def this_process(cls) -> LockOwner:
        """Describe this process, as one that holds a lock of the operating system."""
        program = Path(sys.argv[0])
        name = program.parent.name if program.name == "__main__.py" else program.name
        words = [name or "python", *sys.argv[1:]]
        job, restart = _job()
        return cls(
            host=_host(),
            pid=os.getpid(),
            command=readable(" ".join(words))[:_LONGEST],
            since=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            machine=_machine(),
            started=_start_of(os.getpid()),
            held=True,
            job=job,
            restart=restart,
        )

    @classmethod
    def parse(cls, text: bytes) -> LockOwner | None:
        """Read what ``to_bytes`` wrote; None for nothing, as earlier versions write it.

        Raises:
            ValueError: it is something else.
        """
        text = text.strip(b"\0 \n")  # a crash of the machine leaves zeros
        if not text:
            return None
        try:
            record = parse_json(text, "the lock", form=_FORM)
        except DataError as error:
            raise ValueError(error.message) from error
        return cls(**{entry.name: record[entry.name] for entry in fields(cls)})

    def to_bytes(self) -> bytes:
        """Return the text for the lock file."""
        return (json.dumps(asdict(self)) + "\n").encode()

    @property
    def is_here(self) -> bool:
        """Return whether its number means something on this machine."""
        return self.machine == _machine()

    @property
    def runs(self) -> bool:
        """Return whether it, of this machine, has not ended; a later process of the same number is another one."""
        if os.name == "nt":  # where signal 0 would end it
            return True
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except OSError:  # of another user
            pass
        return _start_of(self.pid) == self.started

    @property
    def was_requeued(self) -> bool:
        """Return whether this process is its Slurm job started again: by then all processes of the first have gone."""
        job, restart = _job()
        return job != "" and self.job == job and self.restart < restart

    @property
    def described(self) -> str:
        """Return who it is, in a line without control characters: anybody may have written the file."""
        host, command = ("".join(c if c.isprintable() else "?" for c in text) for text in (self.host, self.command))
        return readable(f"process {self.pid} on {host[:_LONGEST]} ({command[:_LONGEST]})")


_FORM = {
    "host": str, "pid": Count, "command": str, "since": str, "machine": str, "started": Count, "held": bool,
    "job": str, "restart": Count,
}  # fmt: skip
"""What stands in a lock file; see ``core.forms``."""


def locks_reach_hosts(path: Path) -> bool:
    """Return whether locks on the file system of ``path`` are seen by all hosts that have it.

    Mount options: ``nolock`` and ``local_lock`` of nfs(5), ``localflock`` of Lustre. Systems in user space pass locks
    on or not; BeeGFS, 9p and shared folders of virtual machines do not unless set up so.
    """
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        device = os.stat(path).st_dev
    except OSError:
        return True
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:  # proc(5): number, parent, device, root, place, options, ... - kind, source, more options
        fields, _, system = line.partition(" - ")
        if fields.split()[2] != wanted:
            continue
        kind, *_, options = system.split()
        chosen = set(options.split(","))
        if kind.startswith("nfs"):
            return not chosen & {"nolock", "local_lock=all", "local_lock=posix"}
        if kind == "lustre":
            return "localflock" not in chosen
        return not (kind.startswith("fuse") or kind in ("beegfs", "9p", "virtiofs", "vboxsf", "vmhgfs"))
    return True


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return _host()


def _host() -> str:
    import platform

    return platform.node()


def _start_of(pid: int) -> int:
    """Return field 22 of proc(5) ``stat``."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _job() -> tuple[str, int]:
    """Return the Slurm job of this process, and how often it has been started again."""
    count = os.environ.get("SLURM_RESTART_COUNT", "0")
    return os.environ.get("SLURM_JOB_ID", ""), int(count) if count.isdecimal() else 0
