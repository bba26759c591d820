"""Where ONNX Runtime computes: the CPU, or CUDA where onnxruntime-gpu is installed. Loads no torch."""

from __future__ import annotations

import os
import re

from affectkit.core.onnx_runtime import load_onnxruntime
from affectkit.core.process import count_processors
from affectkit.errors import DeviceError, UsageError
from affectkit.runtime.available_devices import LocalProcess
from affectkit.runtime.device import Device
from affectkit.runtime.precision import Precision, resolve_precision

CUDA_PROVIDER = "CUDAExecutionProvider"
GPU_PACKAGE = "pip uninstall onnxruntime, then pip install onnxruntime-gpu"


def computing_threads(processes: int = 1) -> int:
    """Return how many threads compute: OMP_NUM_THREADS where that is set, else the processors of this process.

    Args:
        processes: how many of the run share this machine.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    there = max(count_processors() // processes, 1)
    return min(int(asked), there) if asked.isdecimal() and int(asked) else there


def has_cuda() -> bool:
    """Return whether the ONNX Runtime that is installed is one for CUDA."""
    return CUDA_PROVIDER in load_onnxruntime().get_available_providers()


def resolve_onnx_device(name: str) -> Device:
    """Return the device called ``name`` for ONNX Runtime: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: there is no such name.
        DeviceError: ONNX Runtime does not compute there.
    """
    match = re.fullmatch(r"(auto|cpu)|(mps)(?::0)?|(cuda)(?::(\d{1,4}))?", name)
    if match is None:
        raise UsageError(
            f"unknown device {name!r}; it must be auto, cpu, cuda, cuda:N (such as cuda:1) or mps."
            + (" Did you mean cuda?" if name.lower() in ("gpu", "nvidia", "gpu:0", "cuda0") else ""),
            "affectkit doctor lists the devices of this machine.",
        )
    if match[2]:
        raise DeviceError(
            f"device {name} was asked for, and ONNX Runtime computes on the CPU and on CUDA alone.",
            "Use --device cpu, or a checkpoint and --engine torch.",
        )
    there = name != "cpu" and has_cuda()
    if match[3] and not there:
        raise DeviceError(
            f"device {name} was asked for, and the ONNX Runtime that is installed computes on the CPU alone.",
            f"{GPU_PACKAGE}; or use --device cpu, or a checkpoint and --engine torch.",
        )
    if not there:
        threads = computing_threads(LocalProcess.from_environment().count)
        reason = "asked for" if match[1] == "cpu" else "auto: ONNX Runtime is here for the CPU alone"
        return Device("cpu", 0, "cpu", f"CPU, {threads} thread{'s' * (threads != 1)}", reason)
    local = LocalProcess.from_environment()
    index = int(match[4] or 0) or (local.number or 0 if local.shared else 0)
    reason = "asked for" if match[3] else "auto: onnxruntime-gpu is installed"
    return Device("cuda", index, f"cuda:{index}", f"CUDA device {index}", reason)


def resolve_onnx_precision(name: str, device: Device) -> Precision:
    """Return the number format of ONNX Runtime, which computes a graph as it was written.

    Raises:
        UsageError: another one is asked for.
    """
    if name not in ("auto", "fp32"):
        raise UsageError(
            f"--precision {name}: ONNX Runtime computes an .onnx file as it was written.",
            "Leave --precision out; affectkit export --fp16 writes one of half precision.",
        )
    found = resolve_precision("fp32", device)
    return found if name == "fp32" else Precision(**{**vars(found), "reason": "auto: as the graph was written"})
