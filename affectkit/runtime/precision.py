"""The number format of forward passes. Importing this loads nothing heavy; torch comes with the first call.

A precision that was asked for is used or refused with the reason; only ``auto`` chooses, and says why.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from affectkit.errors import DeviceError, UsageError
from affectkit.runtime import available_devices
from affectkit.runtime.device import Device

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16")
DTYPES = {"fp32": "float32", "tf32": "float32", "bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True)
class Precision:
    """Describe a number format of the forward pass; parameters and losses stay in fp32.

    Attributes:
        name: ``"fp32"``, ``"tf32"``, ``"bf16"`` or ``"fp16"``. In ``tf32`` tensors are fp32, and CUDA multiplies
            matrices and convolves with 10 bits of mantissa; ``torch_backends.set_up_backends`` makes it so.
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
        """Return a context in which forward passes run in this format; one that changes nothing for fp32."""
        if not self.mixed:
            return contextlib.nullcontext()
        import torch

        return torch.autocast(self.device_kind, dtype=getattr(torch, self.dtype))

    def grad_scaler(self) -> torch.amp.GradScaler:
        """Return a gradient scaler, which passes everything through unless ``scaled``."""
        import torch

        return torch.amp.GradScaler(self.device_kind if self.scaled else "cpu", enabled=self.scaled)

    def slowness(self) -> str:
        """Return what a user should know who computes in this format without instructions for it; else empty."""
        if self.name != "bf16" or self.device_kind != "cpu" or available_devices.cpu_has_bf16() is not False:
            return ""
        return (
            "--precision bf16: this CPU has no instructions for bf16 (AVX512_BF16, AMX, or Arm's BF16), and computes "
            "in it much slower than in fp32: 10 to 30 times was measured with AVX2 alone. Use --precision fp32, or "
            "leave it out."
        )


def resolve_precision(name: str, device: Device) -> Precision:
    """Return the number format ``name`` (one of ``PRECISIONS``) on ``device``.

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


def _auto_precision(device: Device) -> Precision:
    if device.kind != "cuda":
        return _precision("fp32", device, f"auto: on {'MPS' if device.kind == 'mps' else 'the CPU'} always fp32")
    if available_devices.cuda_has_bf16(device.index):
        return _precision("bf16", device, "auto: the device computes in bf16")
    return _precision("fp16", device, "auto: the device has no bf16; gradients are scaled")


def _precision(name: str, device: Device, reason: str) -> Precision:
    # fp16 has 5 bits of exponent: small gradients vanish unless they are scaled. bf16 has fp32's 8.
    mixed = name in ("bf16", "fp16")
    return Precision(name, DTYPES[name], device.kind, mixed=mixed, scaled=name == "fp16", reason=reason)


def _precision_fault(name: str, device: Device) -> tuple[str, str]:
    """Return why ``device`` cannot compute in ``name``, and what to do; empty where it can."""
    if name == "fp16" and device.kind == "cpu":
        return (
            "but on a CPU there is no gradient scaling to train with and most operations are slower than in fp32.",
            "Use --precision fp32, or bf16, which has fp32's range.",
        )
    if name == "tf32" and not (device.kind == "cuda" and available_devices.cuda_has_tf32(device.index)):
        return (
            "but TF32 is a way to multiply of NVIDIA GPUs of compute capability 8.0 (Ampere) or newer.",
            "Use --precision auto, or fp32.",
        )
    if name == "bf16" and device.kind == "cuda" and not available_devices.cuda_has_bf16(device.index):
        return (
            "but bf16 needs an NVIDIA GPU of compute capability 8.0 (Ampere) or newer.",
            "Use --precision auto, which takes fp16 with gradient scaling here, or fp32.",
        )
    if name == "bf16" and device.kind == "mps" and not available_devices.mps_has_bf16():
        return "but bf16 on MPS needs macOS 14 or newer.", "Use --precision fp32 or fp16."
    return "", ""
