"""The environment check behind ``affectkit doctor``: what is installed, what is there, what will go wrong.

Importing this loads nothing heavy, and ``examine`` does not either: everything that loads compiled code (torch,
torchvision, torchaudio, cv2, av) is tried in a process of its own, so that a build that takes Python down with it
is a line in the report and not the end of it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from affectkit import __version__
from affectkit.core.files import cache_folder

OFFLINE = (
    "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "WANDB_MODE", "HF_HUB_DISABLE_TELEMETRY",
    "NO_ALBUMENTATIONS_UPDATE",
)  # fmt: skip

MIN_SHARED_MEMORY = 64 * 2**20  # Docker's default; DataLoader workers die on it with a bus error
MIN_OPEN_FILES = 1024
MIN_FREE_DISK = 2**30
TRIAL_SECONDS = 180
MAX_ENTRIES = 200_000
MARK = "affectkit-trial "


@dataclass(frozen=True)
class CachePlace:
    """A folder in which files are kept between runs; sizes in bytes (``complete`` is False where counting stopped)."""

    name: str
    path: str
    exists: bool
    size: int
    complete: bool
    free: int | None
    writable: bool


@dataclass
class Examination:
    """What ``examine`` found.

    Attributes:
        versions: version of each package; None where it is not installed.
        machine: system, Python, processors, memory (bytes), shared memory, limit of open files.
        device: what ``auto`` takes: device, description, reason, precision, and whether arithmetic on it was right.
        cuda: all CUDA devices, usable or not.
        ffmpeg: path and version of the program that moviepy runs; ``problem`` says why there is none.
        pyav: versions of the libraries inside PyAV.
        cascade: path of OpenCV's frontal-face cascade and whether it loads.
        caches: folders that hold downloads and other things that can be made again.
        offline: environment variables that forbid or change downloads, as set.
        problems: errors first.
    """

    versions: dict[str, str | None]
    machine: dict[str, Any]
    device: dict[str, Any] = field(default_factory=dict)
    cuda: list[dict[str, Any]] = field(default_factory=list)
    ffmpeg: dict[str, Any] = field(default_factory=dict)
    pyav: dict[str, str] = field(default_factory=dict)
    cascade: dict[str, Any] = field(default_factory=dict)
    caches: list[CachePlace] = field(default_factory=list)
    offline: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether no problem is an error."""
        return not any(problem.severity == "error" for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with ``ok``."""
        return {**asdict(self), "ok": self.ok}


def examine() -> Examination:
    """Look at this environment; takes as long as importing torch does. Never raises for what it finds."""
    # Albumentations asks the package index for news on import; nothing that is started here shall.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    installed = installed_versions()
    found = Examination(versions=known_versions(installed), machine=_machine())
    trials = _run_trials(tuple(TRIALS))
    device = trials.get("torch", {})
    found.cuda = device.pop("cuda", [])
    found.device = {key: value for key, value in device.items() if key not in ("error", "why_no_cuda")}
    found.pyav = trials.get("av", {}).get("libraries", {})
    found.cascade = trials.get("cv2", {}).get("cascade", {})
    found.ffmpeg = _ffmpeg()
    found.caches = [_cache_place(name, path) for name, path in cache_places().items()]
    found.offline = {name: os.environ[name] for name in OFFLINE if name in os.environ}
    problems = [
        *package_problems(installed),
        *trial_problems(trials),
        *machine_problems(found.machine, found.caches),
        *_device_problems(device, found.cuda),
        *_video_problems(found.ffmpeg, found.cascade, trials),
    ]
    found.problems = sorted(problems, key=lambda problem: problem.severity != "error")
    return found


