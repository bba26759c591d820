"""Where a run computes and in which number format. Importing this loads nothing heavy; torch comes with the first call.

A device or precision that was asked for is used or refused with the reason; nothing falls back by itself. Only
``auto`` chooses, and says why.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectkit.errors import DeviceError, UsageError
from affectkit.runtime.local_rank import LocalProcess, own_device

if TYPE_CHECKING:
    import torch
    from torch import nn

PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16")
DTYPES = {"fp32": "float32", "tf32": "float32", "bf16": "bfloat16", "fp16": "float16"}

INSTALL_HINT = "Install a CUDA build of torch (https://pytorch.org/get-started/locally), or use --device cpu."
DRIVER_FILE = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Device:
    """A device that is there.

    Attributes:
        kind: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        index: number of the CUDA device; 0 elsewhere.
        torch_name: what torch calls it: ``"cpu"``, ``"cuda:0"``, ``"mps"``.
        description: ``"NVIDIA H100 (78 GiB)"``, ``"CPU, 2 threads"``.
        reason: why it is used.
    """

    kind: str
    index: int
    torch_name: str
    description: str
    reason: str

    @property
    def channels_last(self) -> bool:
        """Whether convolutions are quicker with the channels last in memory; on the CPU by 5 to 20% (ResNet-18)."""
        return self.kind in ("cpu", "cuda")


@dataclass(frozen=True)
class Precision:
    """A number format for the forward pass; parameters and losses stay in fp32.

    Attributes:
        name: ``"fp32"``, ``"tf32"``, ``"bf16"`` or ``"fp16"``. In ``tf32`` tensors are fp32, and CUDA multiplies
            matrices and convolves with 10 bits of mantissa; ``backends.set_up_backends`` makes it so.
        dtype: torch's name of its tensors, ``"bfloat16"``.
        device_kind: the kind of device it was chosen for.
        mixed: whether ``autocast()`` changes anything.
        scaled: whether gradients are scaled against underflow.
        reason: why it is used.
    """

    name: str
    dtype: str
    device_kind: str
    mixed: bool
    scaled: bool
    reason: str

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which forward passes run in this format; one that changes nothing for fp32."""
        if not self.mixed:
            return contextlib.nullcontext()
        import torch

        return torch.autocast(self.device_kind, dtype=getattr(torch, self.dtype))

    def grad_scaler(self) -> torch.amp.GradScaler:
        """A gradient scaler, which passes everything through unless ``scaled``."""
        import torch

        return torch.amp.GradScaler(self.device_kind if self.scaled else "cpu", enabled=self.scaled)


@dataclass(frozen=True)
class CudaDevice:
    """What torch says of one CUDA device; ``memory`` in bytes, ``fault`` says why it cannot be used, if so."""

    index: int
    name: str
    memory: int
    capability: tuple[int, int]
    bf16: bool
    fault: str = ""

    @property
    def description(self) -> str:
        """``NVIDIA H100 (78 GiB)``."""
        return f"{self.name} ({self.memory / 2**30:.0f} GiB)"


def resolve_device(name: str = "auto") -> Device:
    """The device called ``name``: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    ``auto`` takes the first usable CUDA device, else MPS, else the CPU. ``cuda`` is ``cuda:0``. Of several processes
    on a machine (LOCAL_RANK and LOCAL_WORLD_SIZE, as torchrun sets them) each takes the CUDA device of its number, or
    the only one that was bound to it.

    Raises:
        UsageError: there is no such name, or it names one CUDA device for several processes.
        DeviceError: the device is not there, this build of torch cannot use it, or there are fewer than processes.
    """
    match = re.fullmatch(r"(auto|cpu)|(mps)(?::0)?|(cuda)(?::(\d{1,4}))?", name)
    if match is None:
        raise UsageError(
            f"unknown device {name!r}; it must be auto, cpu, cuda, cuda:N (such as cuda:1) or mps.",
            "affectkit doctor lists the devices of this machine.",
        )
    if match[1] == "auto":
        return _choose()
    if match[1] == "cpu":
        return _cpu("asked for")
    local = LocalProcess.of()
    if match[2]:
        absent = _why_no_mps() or (f"{local.count} processes cannot share MPS" if local.count > 1 else "")
        if absent:
            raise DeviceError(
                f"device {name} was asked for, but {absent}.", f"Here: {_there()}. Use --device auto or --device cpu."
            )
        return _mps("asked for")
    if match[4] and local.count > 1:
        raise UsageError(
            f"device {name} was asked for, and {local.count} processes run on this machine; each needs its own.",
            "Use --device cuda (or auto): the first takes cuda:0, the second cuda:1, and so on.",
        )
    return _asked_cuda(name, int(match[4] or 0), local)


def resolve_precision(name: str, device: Device) -> Precision:
    """The number format ``name`` (one of ``PRECISIONS``) on ``device``.

    ``auto`` is bf16 on a CUDA device that computes in it, fp16 with gradient scaling on another, fp32 elsewhere.

    Raises:
        UsageError: there is no such name.
        DeviceError: the device cannot compute in the format.
    """
    if name not in PRECISIONS:
        raise UsageError(f"unknown precision {name!r}; it must be one of {', '.join(PRECISIONS)}.")
    if name == "auto":
        return _auto_precision(device)
    fault, hint = _precision_fault(name, device)
    if fault:
        raise DeviceError(
            f"precision {name} was asked for on {device.torch_name} ({device.description}), {fault}", hint
        )
    return _precision(name, device, "asked for")


def to_device(batch: Mapping[str, Any], device: Device) -> dict[str, Any]:
    """``batch`` with its tensors on ``device``; what is no tensor is passed on as it is.

    Copies from pinned memory to CUDA do not wait. MPS has no float64: such tensors arrive there as float32.
    """
    import torch

    moved: dict[str, Any] = {}
    for key, value in batch.items():
        if isinstance(value, torch.Tensor):
            fits = value.float() if device.kind == "mps" and value.dtype == torch.float64 else value
            moved[key] = fits.to(device.torch_name, non_blocking=device.kind == "cuda" and value.is_pinned())
        elif isinstance(value, Mapping):
            moved[key] = to_device(value, device)
        else:
            moved[key] = value
    return moved


def prepare_model(model: nn.Module, device: Device, *, channels_last: bool = False) -> nn.Module:
    """``model``, moved to ``device`` in place; ``channels_last`` reorders the weights of its 2-D convolutions."""
    import torch

    model = model.to(device.torch_name)
    return model.to(memory_format=torch.channels_last) if channels_last else model


# ---------------------------------------------------------------------------------------------------- choosing


def _choose() -> Device:
    found, local = _cuda_devices(), LocalProcess.of()
    usable = [entry for entry in found if not entry.fault]
    if usable and local.count > 1:
        return _cuda(own_device(usable, local), f"auto: {local}")
    if usable:
        return _cuda(usable[0], "auto: the first CUDA device" if len(found) > 1 else "auto: CUDA is there")
    missing = f"cuda:{found[0].index} cannot be used: {found[0].fault}" if found else _why_no_cuda()[0]
    if not _why_no_mps():
        return _cpu("auto: processes cannot share MPS") if local.count > 1 else _mps("auto: MPS is there")
    return _cpu(f"auto: {missing}")


def _asked_cuda(name: str, index: int, local: LocalProcess) -> Device:
    found = _cuda_devices()
    if not found:
        why, mend = _why_no_cuda()
        raise DeviceError(f"device {name} was asked for, but {why}.", f"{mend} Here: {_there()}.")
    several = local.count > 1
    chosen = own_device(found, local) if several else next((entry for entry in found if entry.index == index), None)
    if chosen is None:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        note = f" (CUDA_VISIBLE_DEVICES={hidden} hides the others)" if hidden else ""
        raise DeviceError(
            f"device {name} was asked for, but torch sees {len(found)} CUDA device{'s' * (len(found) > 1)}{note}.",
            f"Here: {_there()}. Name one of these.",
        )
    if chosen.fault:
        raise DeviceError(
            f"device {name} was asked for, but {chosen.description} cannot be used: {chosen.fault}.", INSTALL_HINT
        )
    return _cuda(chosen, f"asked for; {local}" if several else "asked for")


def _cuda(entry: CudaDevice, reason: str) -> Device:
    return Device("cuda", entry.index, f"cuda:{entry.index}", entry.description, reason)


def _mps(reason: str) -> Device:
    return Device("mps", 0, "mps", "Apple GPU (MPS)", reason)


def _cpu(reason: str) -> Device:
    threads = _cpu_threads()
    return Device("cpu", 0, "cpu", f"CPU, {threads} thread{'s' * (threads != 1)}", reason)


def _there() -> str:
    """The devices of this machine, in one line."""
    lines = [f"cuda:{entry.index} {entry.description}" for entry in _cuda_devices()]
    if not _why_no_mps():
        lines.append("mps Apple GPU")
    threads = _cpu_threads()
    return ", ".join([*lines, f"cpu ({threads} thread{'s' * (threads != 1)})"])


def _auto_precision(device: Device) -> Precision:
    if device.kind != "cuda":
        return _precision("fp32", device, f"auto: on {'MPS' if device.kind == 'mps' else 'the CPU'} always fp32")
    if _cuda_bf16(device.index):
        return _precision("bf16", device, "auto: the device computes in bf16")
    return _precision("fp16", device, "auto: the device has no bf16; gradients are scaled")


def _precision(name: str, device: Device, reason: str) -> Precision:
    # fp16 has 5 bits of exponent: small gradients vanish unless they are scaled. bf16 has fp32's 8.
    mixed = name in ("bf16", "fp16")
    return Precision(name, DTYPES[name], device.kind, mixed=mixed, scaled=name == "fp16", reason=reason)


def _precision_fault(name: str, device: Device) -> tuple[str, str]:
    """Why ``device`` cannot compute in ``name``, and what to do; empty where it can."""
    if name == "fp16" and device.kind == "cpu":
        return (
            "but on a CPU there is no gradient scaling to train with and most operations are slower than in fp32.",
            "Use --precision fp32, or bf16, which has fp32's range.",
        )
    if name == "tf32" and not (device.kind == "cuda" and _cuda_tf32(device.index)):
        return (
            "but TF32 is a way to multiply of NVIDIA GPUs of compute capability 8.0 (Ampere) or newer.",
            "Use --precision auto, or fp32.",
        )
    if name == "bf16" and device.kind == "cuda" and not _cuda_bf16(device.index):
        return (
            "but bf16 needs an NVIDIA GPU of compute capability 8.0 (Ampere) or newer.",
            "Use --precision auto, which takes fp16 with gradient scaling here, or fp32.",
        )
    if name == "bf16" and device.kind == "mps" and not _mps_bf16():
        return "but bf16 on MPS needs macOS 14 or newer.", "Use --precision fp32 or fp16."
    return "", ""


# ------------------------------------------------------------------------- probes: all that depends on the machine


def _torch() -> Any:
    try:
        import torch
    except Exception as error:  # a broken build raises OSError, ImportError, AttributeError, ...
        raise DeviceError(
            f"torch cannot be imported: {type(error).__name__}: {error}", "affectkit doctor says more."
        ) from error
    return torch


def _cpu_threads() -> int:
    return int(_torch().get_num_threads())


def _cuda_devices() -> list[CudaDevice]:
    """What torch can see, in its order; empty where CUDA does not start."""
    torch = _torch()
    found: list[CudaDevice] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # _why_no_cuda tells what the warnings tell
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
        except RuntimeError:  # the driver is there and does not start; _why_no_cuda repeats what it says
            return []
    return found


def _architecture_fault(capability: tuple[int, int], architectures: list[str]) -> str:
    """Why a build for ``architectures`` (``sm_75``, ``compute_90``) has no code for ``capability``; empty if it has.

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


def _why_no_cuda() -> tuple[str, str]:
    """Why torch has no CUDA device, and what to do about it."""
    torch = _torch()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if torch.version.cuda is None and torch.version.hip is None:
        return f"this torch ({torch.__version__}) is built for CPUs only", INSTALL_HINT
    if not torch.version.hip and not _driver_present():
        return "no NVIDIA driver was found", "Install the driver, or use --device cpu."
    if visible is not None and not re.match(r"\s*(\d|GPU-|MIG-)", visible):
        return f"CUDA_VISIBLE_DEVICES={visible!r} hides every GPU", "Unset it, or use --device cpu."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            torch.cuda.init()
            said = str(caught[0].message) if caught else "torch sees no CUDA device"
        except (RuntimeError, AssertionError) as error:
            said = str(error)
    said = said.strip().splitlines()[0].rstrip(".") if said.strip() else "torch.cuda.init() failed"
    return f"CUDA does not start: {said}", "Mend the driver (does nvidia-smi work?), or use --device cpu."


def _driver_present() -> bool:
    return shutil.which("nvidia-smi") is not None or DRIVER_FILE.exists()


def _cuda_bf16(index: int) -> bool:
    return any(entry.bf16 for entry in _cuda_devices() if entry.index == index)


def _cuda_tf32(index: int) -> bool:
    new = any(entry.capability >= (8, 0) for entry in _cuda_devices() if entry.index == index)
    return new and not _torch().version.hip  # AMD numbers its devices otherwise


def _why_no_mps() -> str:
    """Why MPS cannot be used; empty where it can."""
    mps = _torch().backends.mps
    if not mps.is_built():
        return "MPS is Apple's GPU interface and this torch is built without it"
    return "" if mps.is_available() else "MPS needs an Apple GPU and macOS 12.3 or newer"


def _mps_bf16() -> bool:
    return bool(_torch().backends.mps.is_macos_or_newer(14, 0))
