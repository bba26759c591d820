"""Check the environment for ``affectkit doctor``: what is installed, what is there, what will go wrong.

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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from affectkit.core.files import cache_folder
from affectkit.core.libraries import BUILT_AGAINST_TORCH, INSTALLED_AS, load_error
from affectkit.core.missing_paths import at_home
from affectkit.core.onnx_runtime import OPT_OUT
from affectkit.core.openmp import waiting_threads
from affectkit.core.process import count_processors
from affectkit.doctor.face_detectors import detector_faults, examine_detectors
from affectkit.doctor.import_checks import CHECKS, run_checks
from affectkit.doctor.packages import (
    Problem,
    first_versions,
    installed_versions,
    known_versions,
    package_problems,
)

__all__ = ["CacheFolder", "EnvironmentReport", "Problem", "cache_folders", "examine"]

OFFLINE = (
    "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "WANDB_MODE", "HF_HUB_DISABLE_TELEMETRY",
    "NO_ALBUMENTATIONS_UPDATE", OPT_OUT,
)  # fmt: skip

DEVICE_KEYS = (
    "auto", "description", "reason", "precision", "precision_reason", "arithmetic", "built_for",
)  # fmt: skip
CACHE_VARIABLES = {"affectkit": "AFFECTKIT_CACHE", "Hugging Face hub": "HF_HOME", "torch hub": "TORCH_HOME"}
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
SMALL_SHARED_MEMORY = 64 * 2**20  # Docker's default, and too little
MIN_OPEN_FILES = 1024
MIN_FREE_DISK = 2**30
MAX_ENTRIES = 200_000


@dataclass(frozen=True)
class CacheFolder:
    """Describe a folder of files kept between runs; sizes in bytes, ``complete`` False where counting stopped."""

    name: str
    path: str
    exists: bool
    size: int
    complete: bool
    free: int | None
    writable: bool


@dataclass
class EnvironmentReport:
    """Hold what ``examine`` found.

    Attributes:
        versions: version of each package; None where it is not installed.
        machine: system, Python, processors, memory (bytes), shared memory, limit of open files.
        device: what ``auto`` takes: device, description, reason, precision, and whether arithmetic on it was right.
        cuda: all CUDA devices, usable or not.
        ffmpeg: path and version of the program that moviepy runs; ``problem`` says why there is none.
        pyav: versions of the libraries inside PyAV.
        cascade: path of OpenCV's frontal-face cascade and whether it loads.
        faces: face detectors, as ``examine_detectors`` describes them.
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
    faces: dict[str, Any] = field(default_factory=dict)
    caches: list[CacheFolder] = field(default_factory=list)
    offline: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Return whether no problem is an error."""
        return not any(problem.severity == "error" for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with ``ok``; each problem's ``fix`` also under its former name ``mend``."""
        problems = [{**asdict(problem), "mend": problem.fix} for problem in self.problems]
        return {**asdict(self), "problems": problems, "ok": self.ok}


def examine() -> EnvironmentReport:
    """Examine this environment; takes about as long as importing torch. Never raises for what it finds."""
    offline = {name: os.environ[name] for name in OFFLINE if name in os.environ}
    # Albumentations asks the package index for news on import, ONNX Runtime reports it; nothing started here shall.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    os.environ.setdefault(OPT_OUT, "1")
    installed = installed_versions()
    checks = run_checks(tuple(CHECKS))
    torch = checks.get("torch", {})
    found = EnvironmentReport(
        versions=known_versions(installed),
        machine=_machine(),
        device={key: torch[key] for key in DEVICE_KEYS if key in torch},
        cuda=torch.get("cuda", []),
        ffmpeg=_ffmpeg(),
        pyav=checks.get("av", {}).get("libraries", {}),
        cascade=checks.get("cv2", {}).get("cascade", {}),
        faces=examine_detectors(checks.get("cv2", {}).get("face_detector")),
        caches=[_cache_folder(name, path) for name, path in cache_folders().items()],
        offline=offline,
    )
    failed = [] if torch.get("error") else [name for name, result in checks.items() if result.get("error")]
    problems = [
        *package_problems(installed, failed),
        *_import_problems(checks, installed),
        *(Problem("warning", what, why, fix) for what, why, fix in detector_faults(found.faces)),
        *_device_problems(torch),
        *_video_problems(found.ffmpeg, checks.get("cv2", {})),
        *_machine_problems(found.machine),
        *(problem for cache in found.caches for problem in _cache_problems(cache)),
    ]
    found.problems = sorted(problems, key=lambda problem: problem.severity != "error")
    return found


def _import_problems(checks: Mapping[str, Mapping[str, Any]], installed: Mapping[str, list[str]]) -> list[Problem]:
    problems, versions = [], first_versions(installed)
    for name, result in checks.items():
        error = result.get("error")
        if not error or not any(known in versions for known in INSTALLED_AS.get(name, (name,))):
            continue  # a package that is not there has its own problem
        if name in BUILT_AGAINST_TORCH and checks.get("torch", {}).get("error"):
            continue  # it fails because torch does
        fault = load_error(name, error, versions)
        problems.append(Problem("error", fault.message.rstrip("."), "what needs it will fail", fault.hint))
    return problems


def _device_problems(torch: Mapping[str, Any]) -> list[Problem]:
    problems = [
        Problem(
            "warning",
            f"cuda:{entry['index']} {entry['description']} cannot be used",
            entry["fault"],
            "Install a build of torch for it (https://pytorch.org/get-started/locally).",
        )
        for entry in torch.get("cuda", [])
        if entry["fault"]
    ]
    if torch.get("arithmetic") is False:
        what = f"{torch['auto']} computes wrongly in {torch['precision']}"
        why = "a product of small whole numbers did not come out exact"
        problems.append(Problem("error", what, why, "Fix the driver, or use --device cpu."))
    graphics = _nvidia_smi() if torch and not torch.get("cuda") and not torch.get("error") else 0
    if graphics:
        what = f"nvidia-smi lists {graphics} GPU{'s' * (graphics > 1)}, torch uses none"
        fix = "Install a CUDA build of torch for this driver (https://pytorch.org/get-started/locally)."
        problems.append(Problem("warning", what, torch.get("why_no_cuda", ""), fix))
    return problems


def _nvidia_smi() -> int:
    """Return the number of GPUs that nvidia-smi lists; 0 where it is missing or fails."""
    path = shutil.which("nvidia-smi")
    output = _output([path, "-L"]) if path else ""
    return len(re.findall(r"^GPU \d+:", output, flags=re.MULTILINE))


# -------------------------------------------------------------------------------------------------------- video


def _ffmpeg() -> dict[str, Any]:
    """Return the ffmpeg that moviepy starts: $FFMPEG_BINARY, else what imageio-ffmpeg brings or finds."""
    asked = os.environ.get("FFMPEG_BINARY", "ffmpeg-imageio")
    source = "$FFMPEG_BINARY"
    if asked == "ffmpeg-imageio":
        source = "$IMAGEIO_FFMPEG_EXE" if os.environ.get("IMAGEIO_FFMPEG_EXE") else "imageio-ffmpeg"
        try:
            import imageio_ffmpeg

            asked = imageio_ffmpeg.get_ffmpeg_exe()
        except Exception as error:  # RuntimeError where there is none, ImportError where the package is broken
            problem = " ".join(f"{type(error).__name__}: {error}".split())
            return {"path": None, "version": None, "source": source, "problem": problem}
    elif asked == "auto-detect":
        asked = "ffmpeg"
    path = shutil.which(asked)
    if path is None:
        return {"path": asked, "version": None, "source": source, "problem": f"{asked} is no program that can be run"}
    match = re.match(r"ffmpeg version (\S+)", _output([path, "-hide_banner", "-version"]))
    problem = "" if match else f"{path} -version does not answer as ffmpeg does"
    return {"path": path, "version": match[1] if match else None, "source": source, "problem": problem}


def _output(command: Sequence[str]) -> str:
    """Return the output of ``command``; empty where it fails or hangs."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=15, stdin=subprocess.DEVNULL, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _video_problems(ffmpeg: Mapping[str, Any], cv2: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if ffmpeg["problem"]:
        fix = "pip install --force-reinstall imageio-ffmpeg, or set FFMPEG_BINARY to an ffmpeg program."
        problems.append(Problem("warning", f"no ffmpeg: {ffmpeg['problem']}", "moviepy needs it for sound", fix))
    cascade = cv2.get("cascade")
    if cascade and not cascade["loads"]:
        what = "OpenCV's face cascade " + ("does not load" if cascade["exists"] else "is missing")
        detail = cascade.get("problem") or str(cascade["path"])
        fix = 'pip install --force-reinstall "opencv-python-headless>=4.10,<5"'
        problems.append(Problem("error", f"{what} ({detail})", "faces in videos are found with it", fix))
    return problems


# ------------------------------------------------------------------------------------------------------ machine


def _machine() -> dict[str, Any]:
    total, available = _memory()
    return {
        "system": platform.platform(),
        "python": sys.executable,
        "cpus": count_processors(),
        "threads": waiting_threads(),
        "memory": total,
        "memory_available": available,
        "shared_memory": _shared_memory(),
        "open_files": _open_files(),
    }


def _memory() -> tuple[int | None, int | None]:
    """Return the memory of the machine or the container and what is free of the machine's, in bytes."""
    try:
        import psutil

        memory = psutil.virtual_memory()
    except Exception:  # the report lists psutil as missing already
        return None, None
    total, available = int(memory.total), int(memory.available)
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        total = min(total, int(CGROUP_LIMIT.read_text(encoding="ascii")))
    return total, min(available, total)


def _shared_memory() -> int | None:
    """Return the size of /dev/shm in bytes; 0 where Linux has none, None on other systems."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return shutil.disk_usage("/dev/shm").total
    except OSError:
        return 0


def _open_files() -> int | None:
    """Return how many files a process may open; None where there is no such limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else int(soft)


def _machine_problems(machine: Mapping[str, Any]) -> list[Problem]:
    problems = []
    shared, files = machine["shared_memory"], machine["open_files"]
    if shared is not None and shared <= SMALL_SHARED_MEMORY:
        problems.append(
            Problem(
                "warning",
                f"/dev/shm has {_size(shared)}",
                "the processes that decode images pass them through it and die with a bus error when it is full",
                "Start the container with --shm-size 1g (or --ipc host), or use --workers 0.",
            )
        )
    if files is not None and files < MIN_OPEN_FILES:
        problems.append(
            Problem(
                "warning",
                f"a process may open {files} files",
                f"the processes that decode images open many; fewer than {MIN_OPEN_FILES} run out",
                "ulimit -n 4096 in the shell, before the command",
            )
        )
    return problems


# ------------------------------------------------------------------------------------------------------- caches


def cache_folders() -> dict[str, Path]:
    """Return the folders of downloads and other things that can be made again, by name."""
    base = at_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    home = at_home(os.environ.get("HF_HOME") or base / "huggingface")
    hub = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or home / "hub"
    return {
        "affectkit": cache_folder(),
        "Hugging Face hub": at_home(hub),
        "torch hub": at_home(os.environ.get("TORCH_HOME") or base / "torch") / "hub",
    }


def _cache_folder(name: str, path: Path) -> CacheFolder:
    exists = path.is_dir()
    size, complete = _folder_size(path) if exists else (0, True)
    # The folder is not made for the check: what counts is the nearest one that is there.
    nearest = next((parent for parent in (path, *path.absolute().parents) if parent.exists()), Path("/"))
    writable = False
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=nearest):
        writable = True
    free = None
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(nearest).free
    return CacheFolder(name, str(path), exists, size, complete, free, writable)


def _folder_size(root: Path) -> tuple[int, bool]:
    """Count the bytes of the files below ``root``, links not followed, and whether all were counted."""
    size = count = 0
    pending = [str(root)]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                count += 1
                if count > MAX_ENTRIES:
                    return size, False
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_size
    return size, True


def _cache_problems(cache: CacheFolder) -> list[Problem]:
    variable = CACHE_VARIABLES[cache.name]
    if not cache.writable:
        own = cache.name == "affectkit"
        why = "affectkit keeps there what it has read once" if own else "weights cannot be downloaded into it"
        fix = f"Set {variable} to a folder that can be written."
        return [Problem("error" if own else "warning", f"{cache.path} cannot be written", why, fix)]
    if cache.free is not None and cache.free < MIN_FREE_DISK:
        what = f"{_size(cache.free)} are free on the disk of {cache.path}"
        why = "weights of one model take 50 MiB to 2 GiB"
        return [Problem("warning", what, why, f"Free some, or set {variable} to a folder on another disk.")]
    return []


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
