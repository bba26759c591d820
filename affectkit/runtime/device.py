"""The device of a run. Importing this loads nothing heavy; torch comes with the first call.

A device that was asked for is used or refused with the reason; nothing falls back by itself. Only ``auto`` chooses,
and says why.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from affectkit.errors import DeviceError, UsageError
from affectkit.runtime import available_devices
from affectkit.runtime.available_devices import INSTALL_HINT, CudaDevice, LocalProcess, own_device

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Device:
    """Describe a device that is there.

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
        """Return whether convolutions are quicker with the channels last in memory;
        on the CPU by 5 to 20% (ResNet-18).
        """
        return self.kind in ("cpu", "cuda")


def resolve_device(name: str = "auto") -> Device:
    """Return the device called ``name``: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

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
            f"unknown device {name!r}; it must be auto, cpu, cuda, cuda:N (such as cuda:1) or mps."
            + (" Did you mean cuda?" if name.lower() in ("gpu", "nvidia", "gpu:0", "cuda0") else ""),
            "affectkit doctor lists the devices of this machine.",
        )
    if match[1] == "auto":
        return _auto_device()
    if match[1] == "cpu":
        return _cpu("asked for")
    local = LocalProcess.from_environment()
    if match[2]:
        shared = f"{local.count} processes cannot share MPS" if local.count > 1 else ""
        absent = available_devices.why_no_mps() or shared
        if absent:
            raise DeviceError(
                f"device {name} was asked for, but {absent}.",
                f"Here: {available_devices.device_list()}. Use --device auto or --device cpu.",
            )
        return _mps("asked for")
    if match[4] and local.count > 1:
        raise UsageError(
            f"device {name} was asked for, and {local.count} processes run on this machine; each needs its own.",
            "Use --device cuda (or auto): the first takes cuda:0, the second cuda:1, and so on.",
        )
    return _asked_cuda(name, int(match[4] or 0), local)


def to_device(batch: Mapping[str, Any], device: Device) -> dict[str, Any]:
    """Return ``batch`` with its tensors on ``device``; what is no tensor is passed on as it is.

    Copies from pinned memory to CUDA do not wait. MPS has no float64: such tensors arrive there as float32.
    """
    import torch

    moved: dict[str, Any] = {}
    for key, value in batch.items():
        if isinstance(value, torch.Tensor):
            supported = value.float() if device.kind == "mps" and value.dtype == torch.float64 else value
            moved[key] = supported.to(device.torch_name, non_blocking=device.kind == "cuda" and value.is_pinned())
        elif isinstance(value, Mapping):
            moved[key] = to_device(value, device)
        else:
            moved[key] = value
    return moved


def prepare_model(model: nn.Module, device: Device, *, channels_last: bool = False) -> nn.Module:
    """Move ``model`` to ``device`` in place; ``channels_last`` reorders the weights of its 2-D convolutions."""
    import torch

    model = model.to(device.torch_name)
    return model.to(memory_format=torch.channels_last) if channels_last else model


def _auto_device() -> Device:
    found, local = available_devices.cuda_devices(), LocalProcess.from_environment()
    usable = [entry for entry in found if not entry.fault]
    if usable and local.count > 1:
        return _cuda(own_device(usable, local), f"auto: {local}")
    if usable:
        return _cuda(usable[0], "auto: the first CUDA device" if len(found) > 1 else "auto: CUDA is there")
    missing = f"cuda:{found[0].index} cannot be used: {found[0].fault}" if found else available_devices.why_no_cuda()[0]
    if not available_devices.why_no_mps():
        return _cpu("auto: processes cannot share MPS") if local.count > 1 else _mps("auto: MPS is there")
    return _cpu(f"auto: {missing}")


def _asked_cuda(name: str, index: int, local: LocalProcess) -> Device:
    found = available_devices.cuda_devices()
    if not found:
        why, fix = available_devices.why_no_cuda()
        raise DeviceError(f"device {name} was asked for, but {why}.", f"{fix} Here: {available_devices.device_list()}.")
    several = local.count > 1
    chosen = own_device(found, local) if several else next((entry for entry in found if entry.index == index), None)
    if chosen is None:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        note = f" (CUDA_VISIBLE_DEVICES={hidden} hides the others)" if hidden else ""
        raise DeviceError(
            f"device {name} was asked for, but torch sees {len(found)} CUDA device{'s' * (len(found) > 1)}{note}.",
            f"Here: {available_devices.device_list()}. Name one of these.",
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
    threads = available_devices.cpu_threads()
    return Device("cpu", 0, "cpu", f"CPU, {threads} thread{'s' * (threads != 1)}", reason)
