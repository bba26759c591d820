"""Choose what computes: as asked, or by the kind of the checkpoint and the device. Loads no torch on the way to ONNX.

``auto`` is ONNX Runtime for .onnx files, which nothing else runs, and for the built-in model, of which there are two
files with the same numbers to 1e-5: on the CPU, and on CUDA where onnxruntime-gpu is installed. Other checkpoints
are torch's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affectkit.checkpoints.find import find_checkpoint
from affectkit.checkpoints.onnx_file import is_onnx
from affectkit.core.assets import model_file, onnx_file
from affectkit.engines.engine import ENGINES
from affectkit.engines.onnx_device import has_cuda, resolve_onnx_device, resolve_onnx_precision
from affectkit.errors import LibraryError, UsageError
from affectkit.runtime import available_devices
from affectkit.runtime.context import RunContext
from affectkit.runtime.device import Device, resolve_device


@dataclass(frozen=True)
class Choice:
    """Say what computes, and from which file.

    Attributes:
        engine: ``onnx`` or ``torch``.
        path: of the checkpoint.
        built_in: whether it is one that comes with affectkit.
        reason: why this engine.
        context: where it computes.
    """

    engine: str
    path: Path
    built_in: bool
    reason: str
    context: RunContext


def choose_engine(
    checkpoint: str | Path,
    engine: str = "auto",
    *,
    device: str | Device = "auto",
    precision: str = "auto",
    compiled: bool = False,
) -> Choice:
    """Choose the engine for a checkpoint, and resolve device and precision for it.

    Args:
        checkpoint: as for ``find_checkpoint``.
        engine: one of ``ENGINES``.
        device, precision: as the options of these names; ``auto`` of the engine follows them.
        compiled: whether torch's compiler is asked for.

    Raises:
        UsageError: the engine does not run this file, or not in this way.
        CheckpointError: there is no such file.
        DeviceError: the device is not there for this engine.
        LibraryError: ONNX Runtime is needed, and does not load.
    """
    if engine not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}; it must be one of {', '.join(ENGINES)}.")
    path, built_in = find_checkpoint(checkpoint), model_file(checkpoint) is not None
    if is_onnx(path):
        _check_runs_on_onnx(path, engine, precision, compiled)
        return _onnx(path, False, device, precision, "asked for" if engine == "onnx" else "auto: an .onnx file")
    if not built_in:
        if engine == "onnx":
            raise UsageError(
                f"--engine onnx: {path} is a checkpoint of torch.",
                f"affectkit export {path} OUT.onnx makes one for ONNX Runtime, to be named in its place.",
            )
        return _torch(path, False, device, precision, "asked for" if engine == "torch" else "auto: a checkpoint")
    graph = onnx_file(checkpoint)
    if engine == "onnx":
        if graph is None:
            raise UsageError(
                f"--engine onnx: {checkpoint}, an earlier edition, comes without an ONNX file.",
                f"affectkit export {checkpoint} OUT.onnx makes one, to be named in its place.",
            )
        _check_runs_on_onnx(path, engine, precision, compiled)
        return _onnx(graph, True, device, precision, "asked for")
    if engine == "torch" or graph is None:
        return _torch(path, True, device, precision, "asked for" if engine == "torch" else "auto: an earlier edition")
    return _auto(path, graph, device, precision, compiled)


def _auto(path: Path, graph: Path, device: str | Device, precision: str, compiled: bool) -> Choice:
    """Choose for the built-in model."""
    name = device if isinstance(device, str) else device.torch_name
    if compiled or precision not in ("auto", "fp32"):
        why = "--compile" if compiled else f"--precision {precision}"
        return _torch(path, True, device, precision, f"auto: {why} is torch's")
    try:
        on_cuda = name != "cpu" and has_cuda()
    except LibraryError as error:
        return _torch(path, True, device, precision, f"auto: {error.message.rstrip('.')}")
    if name not in ("auto", "cpu") and not (on_cuda and name.startswith("cuda")):
        return _torch(path, True, device, precision, f"auto: device {name}")
    if name == "auto" and not on_cuda and available_devices.driver_present():
        found = resolve_device("auto")
        if found.kind == "cuda":
            return _torch(path, True, found, precision, "auto: CUDA is there, and onnxruntime-gpu is not installed")
    try:
        return _onnx(graph, True, device, precision, "auto: the built-in model")
    except LibraryError as error:
        return _torch(path, True, device, precision, f"auto: {error.message.rstrip('.')}")


def _check_runs_on_onnx(path: Path, engine: str, precision: str, compiled: bool) -> None:
    if engine == "torch":
        raise UsageError(
            f"--engine torch: {path} is an ONNX file, which ONNX Runtime alone runs.",
            "Leave --engine out, or name the checkpoint that it was exported from.",
        )
    if compiled:
        raise UsageError(
            "--compile is torch's compiler, and ONNX Runtime computes here; it optimises its graphs itself.",
            "Leave --compile out.",
        )


def _onnx(path: Path, built_in: bool, device: str | Device, precision: str, reason: str) -> Choice:
    found = resolve_onnx_device(device if isinstance(device, str) else device.torch_name)
    context = RunContext(found, resolve_onnx_precision(precision, found))
    context.check_one_device_each()
    return Choice("onnx", path, built_in, reason, context)


def _torch(path: Path, built_in: bool, device: str | Device, precision: str, reason: str) -> Choice:
    return Choice("torch", path, built_in, reason, RunContext.resolve(device, precision))
