"""List the devices of this machine as torch sees them, and say why one is absent.

Importing this loads nothing heavy; torch comes with the first call. Other modules call these functions through the
module (``available_devices.cuda_devices()``), so that a test can pretend to be another machine.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectkit.errors import DeviceError, UsageError

INSTALL_HINT = "Install a CUDA build of torch (https://pytorch.org/get-started/locally), or use --device cpu."
DRIVER_FILE = Path("/proc/driver/nvidia/version")
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "avx10_2", "avx_ne_convert", "bf16")
"""Names in ``torch.cpu.get_capabilities()`` of what multiplies bf16, or widens it for that; the last is Arm's."""


@dataclass(frozen=True)
class CudaDevice:
    """Describe one CUDA device as torch does; ``memory`` in bytes, ``fault`` says why it cannot be used, if so."""

    index: int
    name: str
    memory: int
    capability: tuple[int, int]
    bf16: bool
    fault: str = ""

    @property
    def description(self) -> str:
        """Return the name with the memory, as ``NVIDIA H100 (78 GiB)``."""
        return f"{self.name} ({self.memory / 2**30:.0f} GiB)"


def device_list() -> str:
    """Return the devices of this machine in one line."""
    lines = [f"cuda:{entry.index} {entry.description}" for entry in cuda_devices()]
    if not why_no_mps():
        lines.append("mps Apple GPU")
    threads = cpu_threads()
    return ", ".join([*lines, f"cpu ({threads} thread{'s' * (threads != 1)})"])


def _torch() -> Any:
    try:
        import torch
    except Exception as error:  # a broken build raises OSError, ImportError, AttributeError, ...
        raise DeviceError(
            f"torch cannot be imported: {type(error).__name__}: {error}", "affectkit doctor says more."
        ) from error
    return torch


def cpu_threads() -> int:
    """Return how many threads torch computes with on the CPU."""
    return int(_torch().get_num_threads())


def cpu_has_bf16() -> bool | None:
    """Return whether the CPU has instructions for bf16; None where torch does not tell.

    ``torch.cpu.get_capabilities`` came after torch 2.11; before it there were private functions, for x86 alone.
    """
    cpu = _torch().cpu
    try:
        if hasattr(cpu, "get_capabilities"):
            told = dict(cpu.get_capabilities())
        elif platform.machine().lower() in ("x86_64", "amd64"):
            told = {"avx512_bf16": cpu._is_avx512_bf16_supported(), "amx_bf16": cpu._is_amx_tile_supported()}
        else:
            return None
    except (AttributeError, RuntimeError):
        return None
    known = [bool(told[name]) for name in BF16_INSTRUCTIONS if name in told]
    return any(known) if known else None


def cuda_devices() -> list[CudaDevice]:
    """Return the CUDA devices that torch sees, in its order; empty where CUDA does not start."""
    torch = _torch()
    found: list[CudaDevice] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # why_no_cuda reports what the warnings report
        if not torch.cuda.is_available():
            return found
        try:
            architectures = list(torch.cuda.get_arch_list())
            for index in range(torch.cuda.device_count()):
                properties = torch.cuda.get_device_properties(index)
                capability = (properties.major, properties.minor)
                fault = _architecture_fault(capability, architectures)
                bf16 = bool(torch.version.hip) or properties.major >= 8
                found.append(CudaDevice(index, properties.name, properties.total_memory, capability, bf16, fault))
        except RuntimeError:  # the driver is there and does not start; why_no_cuda repeats what it says
            return []
    return found


def _architecture_fault(capability: tuple[int, int], architectures: list[str]) -> str:
    """Return why a build for ``architectures`` (``sm_75``, ``compute_90``) has no code for ``capability``; else "".

    Machine code runs on its own major version from its minor version up; PTX (``compute_``) on everything newer.
    """
    known = [match for name in architectures if (match := re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", name))]
    if not known:  # an AMD build names its architectures otherwise
        return ""
    for match in known:
        built = (int(match[2]), int(match[3]))
        if built == capability:
            return ""
        if match[4]:
            continue  # code for one architecture alone
        if built < capability and (match[1] == "compute" or built[0] == capability[0]):
            return ""
    wanted = f"{capability[0]}.{capability[1]}"
    return f"it has compute capability {wanted}, and this build of torch is for {', '.join(sorted(architectures))}"


def why_no_cuda() -> tuple[str, str]:
    """Return why torch has no CUDA device, and what to do about it."""
    torch = _torch()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if torch.version.cuda is None and torch.version.hip is None:
        return f"this torch ({torch.__version__}) is built for CPUs only", INSTALL_HINT
    if not torch.version.hip and not driver_present():
        return "no NVIDIA driver was found", "Install the driver, or use --device cpu."
    if visible is not None and not re.match(r"\s*(\d|GPU-|MIG-)", visible):
        return f"CUDA_VISIBLE_DEVICES={visible!r} hides every GPU", "Unset it, or use --device cpu."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            torch.cuda.init()
            message = str(caught[0].message) if caught else "torch sees no CUDA device"
        except (RuntimeError, AssertionError) as error:
            message = str(error)
    message = message.strip().splitlines()[0].rstrip(".") if message.strip() else "torch.cuda.init() failed"
    return f"CUDA does not start: {message}", "Fix the driver (does nvidia-smi work?), or use --device cpu."


def driver_present() -> bool:
    """Return whether an NVIDIA driver is installed; loads no torch."""
    return shutil.which("nvidia-smi") is not None or DRIVER_FILE.exists()


def cuda_has_bf16(index: int) -> bool:
    """Return whether the CUDA device computes in bf16."""
    return any(entry.bf16 for entry in cuda_devices() if entry.index == index)


def cuda_has_tf32(index: int) -> bool:
    """Return whether the CUDA device multiplies in TF32."""
    new = any(entry.capability >= (8, 0) for entry in cuda_devices() if entry.index == index)
    return new and not _torch().version.hip  # AMD numbers its devices otherwise


def why_no_mps() -> str:
    """Return why MPS cannot be used; empty where it can."""
    mps = _torch().backends.mps
    if not mps.is_built():
        return "MPS is Apple's GPU interface and this torch is built without it"
    return "" if mps.is_available() else "MPS needs an Apple GPU and macOS 12.3 or newer"


def mps_has_bf16() -> bool:
    """Return whether MPS computes in bf16."""
    return bool(_torch().backends.mps.is_macos_or_newer(14, 0))


@dataclass(frozen=True)
class LocalProcess:
    """Place this process among those of the same run on this machine.

    Attributes:
        number: LOCAL_RANK, from 0; None where the launcher did not set it.
        count: LOCAL_WORLD_SIZE, how many there are; 1 where there is no launcher.
        shared: whether all of them see the same devices, as under torchrun with CUDA_VISIBLE_DEVICES left alone.
    """

    number: int | None = 0
    count: int = 1
    shared: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> LocalProcess:
        """Read the environment that torchrun (or a Slurm job that sets the same names) gives."""
        world, number = environment.get("WORLD_SIZE", ""), environment.get("LOCAL_RANK", "")
        if "RANK" not in environment or not world.isdecimal() or int(world) < 2:
            return cls()
        count = environment.get("LOCAL_WORLD_SIZE", "")
        shared = "TORCHELASTIC_RUN_ID" in environment and "CUDA_VISIBLE_DEVICES" not in environment
        return cls(int(number) if number.isdecimal() else None, int(count) if count.isdecimal() else int(world), shared)

    def __str__(self) -> str:
        return f"local process {'?' if self.number is None else self.number + 1} of {self.count}"


def own_device(usable: Sequence[CudaDevice], local: LocalProcess) -> CudaDevice:
    """Return the device of ``usable`` (not empty) for ``local``: the one bound to it, else that of its number.

    Raises:
        DeviceError: there are fewer devices than processes.
        UsageError: the launcher did not set LOCAL_RANK.
    """
    # A batch system that binds one device to each task shows every process its own, under the number 0.
    if len(usable) == 1 and not local.shared:
        return usable[0]
    if len(usable) < local.count:
        there = ", ".join(f"cuda:{entry.index} {entry.description}" for entry in usable)
        raise DeviceError(
            f"{local.count} processes of this run share this machine, and torch can use "
            f"{len(usable)} CUDA device{'s' * (len(usable) > 1)} ({there}); each process needs its own.",
            f"Start {len(usable)} (torchrun --nproc-per-node {len(usable)} ...), or use --device cpu.",
        )
    if local.number is None or local.number >= local.count:
        raise UsageError(
            f"LOCAL_RANK is {os.environ.get('LOCAL_RANK') or 'not set'}, with {local.count} processes on this "
            "machine; it must say which of them this one is, from 0, so that each takes a CUDA device of its own.",
            "torchrun sets it. Under Slurm alone: export LOCAL_RANK=$SLURM_LOCALID.",
        )
    return usable[local.number]
