"""Read the value of ``--slurm``: what is asked of the scheduler, key by key, with all faults in one error."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.core.missing_paths import at_home
from affectkit.core.registry import unknown_name
from affectkit.errors import UsageError

MAIL = ("NONE", "BEGIN", "END", "FAIL", "REQUEUE", "ALL", "TIME_LIMIT", "TIME_LIMIT_90", "TIME_LIMIT_80")
MAIL += ("TIME_LIMIT_50", "INVALID_DEPEND", "STAGE_OUT")
LOCAL_MINUTES = 24 * 60


def _minutes(text: str) -> int:
    """Convert Slurm's forms of a time limit to minutes, rounded up."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)|(\d+)-(\d+)(?::([0-5]\d))?|(\d+)", text)
    if match is None:
        raise ValueError("must be minutes (90), H:MM:SS (1:30:00) or D-HH:MM:SS (1-12:00:00)")
    days, hours, minutes, seconds = (int(match[k] or match[j] or 0) for k, j in ((1, 5), (2, 6), (3, 7), (4, 4)))
    total = int(match[8]) if match[8] else days * 1440 + hours * 60 + minutes + (seconds > 0)
    if not 1 <= total <= 525_600:
        raise ValueError("must be from a minute to a year")
    return total


def _count(low: int, high: int = 100_000) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high:,}")
        return int(text)

    return read


def _pattern(pattern: str, rule: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(f"must be {rule}")
        return text

    return read


def _gpus(text: str) -> int | str:
    match = re.fullmatch(r"(?:([\w.-]+):)?(\d{1,3})", text, re.ASCII)
    if match is None:
        raise ValueError("must be a number, or a kind and a number, such as 4 or a100:4")
    return text if match[1] else int(text)


def _memory(text: str) -> str:
    match = re.fullmatch(r"([1-9]\d*)([KMGTkmgt])[bB]?|0", text)
    if match is None:
        raise ValueError("must be a number and a unit, such as 32G or 500M (0: all that a node has)")
    return match[1] + match[2].upper() if match[1] else "0"


def _mail(text: str) -> str:
    chosen = [word.upper() for word in text.split(",")]
    if not set(chosen) <= set(MAIL):
        raise ValueError(f"must be of {', '.join(MAIL)}")
    return ",".join(chosen)


def _folder(text: str) -> Path:
    if "%" in text or not text.isprintable():
        raise ValueError("must be a folder without % or control characters in its name")
    return at_home(text)


def _cluster(text: str) -> str:
    if text not in ("slurm", "local"):
        raise ValueError("must be slurm or local")
    return text


_WORD = _pattern(r"[\w.@+-]+", "one word of letters, digits, . _ - + @")
_LIST = _pattern(r"[\w.+-]+(,[\w.+-]+)*", "a name, or names with commas between them")
_NODES = _pattern(r"[\w.,\[\]-]+", "names of nodes, such as node3,node[7-9]")
_FEATURES = _pattern(r"[\w.&|*()\[\]-]+", "features, such as a100 or a100|h100")
_GRES = _pattern(r"[\w.:/,()-]+", "resources, such as gpu:a100:2")

KEYS: dict[str, Callable[[str], Any]] = {
    "time": _minutes,
    "partition": _LIST,
    "gpus": _gpus,
    "cpus": _count(1),
    "mem": _memory,
    "nodes": _count(1),
    "tasks": _count(1),
    "account": _WORD,
    "qos": _WORD,
    "constraint": _FEATURES,
    "exclude": _NODES,
    "gres": _GRES,
    "name": _WORD,
    "mail_user": _WORD,
    "mail_type": _mail,
    "signal_delay": _count(1, 65_535),
    "requeues": _count(0),
    "array": _count(1),
    "logs": _folder,
    "cluster": _cluster,
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """Hold what is asked of the scheduler.

    Attributes:
        time: limit in minutes.
        gpus, tasks: a node.
        cpus: a task.
        mem: a node, ``"32G"``.
        signal_delay: seconds before the limit at which Slurm warns; it may do so up to a minute earlier.
        requeues: how often a job that ran into its limit is queued again; one that was preempted, always.
        array: how many folds of ``train --folds`` run at a time; None: all.
        logs: folder of logs and of submitit's own files.
        cluster: ``"slurm"``, or ``"local"`` for this machine.
        partition, account, qos, constraint, exclude, gres, name, mail_user, mail_type: as sbatch has them.
    """

    time: int | None = None
    partition: str | None = None
    gpus: int | str | None = None
    cpus: int | None = None
    mem: str | None = None
    nodes: int = 1
    tasks: int = 1
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    gres: str | None = None
    name: str | None = None
    mail_user: str | None = None
    mail_type: str | None = None
    signal_delay: int = 120
    requeues: int = 100
    array: int | None = None
    logs: Path = Path("slurm")
    cluster: str = "slurm"

    @property
    def minutes(self) -> int:
        """Return the time limit, with that of a local job where none is given."""
        return self.time if self.time is not None else LOCAL_MINUTES

    def faults(self) -> list[str]:
        """Return sentences on what does not go together."""
        found = []
        if self.time is None and self.cluster == "slurm":
            found.append(
                "--slurm time is needed: how long the job may run, such as time=4:00:00. Where that ends, it saves, "
                "is queued again and resumes."
            )
        if self.signal_delay >= self.minutes * 60:
            found.append(
                f"--slurm signal_delay ({self.signal_delay} s before the limit) must be less than time "
                f"({self.minutes * 60} s)."
            )
        if self.cluster == "local" and self.array is not None:
            found.append("--slurm cluster=local has no arrays: one job trains the folds in turn; leave array out.")
        if self.cluster == "local" and self.nodes > 1:
            found.append(f"--slurm cluster=local is this machine: nodes must be 1; got {self.nodes}.")
        if self.cluster == "local" and isinstance(self.gpus, str):
            found.append(f"--slurm cluster=local takes the first GPUs: gpus must be a number; got {self.gpus!r}.")
        return found


def parse_request(text: str) -> Request:
    """Parse ``"partition=gpu,time=4:00:00,gpus=1"`` as a Request.

    A value may hold commas where sbatch's may: what stands between two commas without ``=`` belongs to the value
    before.

    Raises:
        UsageError: names every fault.
    """
    pairs: list[tuple[str, str]] = []
    faults = []
    for part in text.split(","):
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if equals:
            pairs.append((key, value.strip()))
        elif not pairs or key in KEYS or not key:
            faults.append(f"--slurm takes KEY=VALUE,...; {part.strip()!r} has no value.")
        else:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{part.strip()}")
    values: dict[str, Any] = {}
    for key, value in pairs:
        try:
            if key not in KEYS:
                faults.append(f"--slurm: {unknown_name('key', key, list(KEYS))}")
            elif key in values:
                faults.append(f"--slurm {key} stands twice.")
            else:
                values[key] = None
                values[key] = KEYS[key](value)
        except ValueError as error:
            faults.append(f"--slurm {key} {error}; got {value!r}.")
    if not faults:
        faults = Request(**values).faults()
    if faults:
        raise UsageError.from_faults(faults, "For example: --slurm partition=gpu,time=4:00:00,gpus=1,cpus=8,mem=32G")
    return Request(**values)
