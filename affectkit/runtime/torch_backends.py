"""Set how torch computes during a run: TF32, cuDNN's choice of kernels, deterministic kernels, compiled models.

Importing this loads nothing heavy; torch comes with the first call.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from affectkit.core.process import keep_freed_memory
from affectkit.errors import DeviceError, RunError
from affectkit.runtime.device import Device
from affectkit.runtime.precision import Precision

if TYPE_CHECKING:
    import torch
    from torch import nn

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
FIXED_WORKSPACES = (":4096:8", ":16:8")
"""The two sizes of cuBLAS's workspace with which its products repeat (cuBLAS's documentation, on reproducibility)."""


@contextlib.contextmanager
def set_up_backends(device: Device, precision: Precision, *, deterministic: bool = False) -> Iterator[None]:
    """Make torch compute on ``device`` as ``precision`` says while entered; afterwards all is as it was.

    On CUDA, products of matrices and convolutions are TF32 with precision ``tf32`` and true fp32 with the others
    (torch's own default is TF32 for convolutions alone), and cuDNN times its kernels and keeps the fastest. It must be
    entered before the first product on the device: cuBLAS reads its workspace once. Elsewhere no switch of torch is
    touched; on the CPU the process keeps the memory that it frees from batch to batch, and continues to do so.

    Args:
        deterministic: on CUDA, only kernels whose results repeat to the last bit; an operation that has none raises
            torch's RuntimeError, of which ``without_determinism`` makes one of ours.
    """
    if device.kind != "cuda":
        keep_freed_memory()
        yield
        return
    import torch

    cudnn = torch.backends.cudnn
    workspace = os.environ.get(WORKSPACE)
    formats = _fp32_formats()
    chosen = cudnn.benchmark, cudnn.deterministic
    repeating = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        _set_fp32_formats(*["tf32" if precision.name == "tf32" else "ieee"] * len(formats))
        cudnn.benchmark, cudnn.deterministic = not deterministic, deterministic
        if deterministic:
            if workspace not in FIXED_WORKSPACES:
                os.environ[WORKSPACE] = FIXED_WORKSPACES[0]
            torch.use_deterministic_algorithms(True)
        yield
    finally:
        _set_fp32_formats(*formats)
        cudnn.benchmark, cudnn.deterministic = chosen
        torch.use_deterministic_algorithms(repeating[0], warn_only=repeating[1])
        if workspace is not None:
            os.environ[WORKSPACE] = workspace
        else:
            os.environ.pop(WORKSPACE, None)


def _fp32_formats() -> tuple[str, str, str]:
    """Return how CUDA multiplies fp32 in matrix products, convolutions and recurrent layers: tf32, ieee or none."""
    backends: Any = _backends()
    found = backends.cuda.matmul.fp32_precision, backends.cudnn.conv.fp32_precision, backends.cudnn.rnn.fp32_precision
    return tuple(map(str, found))  # type: ignore[return-value]


def _set_fp32_formats(matmul: str, conv: str, rnn: str) -> None:
    backends: Any = _backends()
    # torch keeps the old switches beside the new ones and refuses to read either once they differ, as its compiler
    # and cudnn.flags() do. So both are set: the old first, since it overwrites the new. It may warn that it is old.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backends.cuda.matmul.allow_tf32 = matmul == "tf32"
        backends.cudnn.allow_tf32 = conv == "tf32"
    backends.cuda.matmul.fp32_precision = matmul
    backends.cudnn.conv.fp32_precision = conv
    backends.cudnn.rnn.fp32_precision = rnn


def _backends() -> Any:
    import torch

    return torch.backends


def without_determinism(error: RuntimeError) -> RunError | None:
    """Return the error that names the operation without a deterministic kernel; None where ``error`` is another one."""
    text = str(error)
    match = re.match(r"\s*(\S+) does not have a deterministic implementation", text)
    if match is None and "deterministic" not in text:
        return None
    what = f"{match[1]} has no deterministic kernel on CUDA" if match else text.strip().splitlines()[0][:200]
    return RunError(
        f"this run cannot repeat to the last bit: {what}.",
        "Choose a model without this operation, compute on --device cpu, or run without deterministic kernels.",
    )


class Compiled:
    """Wrap a model whose forward pass is compiled at the first call; weights, mode and state are those of ``module``.

    Attributes:
        module: the model itself, for ``state_dict``, the optimiser and copies (a deep copy of it is not compiled).
    """

    def __init__(self, module: nn.Module, compiled: Any) -> None:
        self.module = module
        self._compiled = compiled

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs for ``inputs``; a DeviceError where they cannot be compiled."""
        with compile_errors():
            return self._compiled(*inputs)

    @property
    def training(self) -> bool:
        """Return whether the model is in training mode."""
        return self.module.training

    def train(self, mode: bool = True) -> Compiled:
        """Set the mode of the model."""
        self.module.train(mode)
        return self

    def eval(self) -> Compiled:
        """Set the model to evaluation mode."""
        return self.train(False)


def compile_model(model: nn.Module, *, device: Device) -> Compiled:
    """Compile the forward pass of ``model``, after a trial that it works on ``device``.

    The number of images is a variable of the compiled code from the start: otherwise the code, and with it the last
    bits of a result, would depend on the sizes that came before, and no resumed run would repeat.

    Raises:
        DeviceError: this platform, Python or machine cannot compile (no C++ compiler, no Triton, too old a GPU).
    """
    import torch

    # It says in the log that there is no CUDA, which matters to nobody on a CPU.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    with compile_errors(), torch.inference_mode(False), torch.enable_grad():
        x = torch.ones(8, device=device.torch_name, requires_grad=True)
        torch.compile(_trial)(x).backward()
    if x.grad is None or not bool((x.grad == 2 * x).all()):
        raise DeviceError(f"torch.compile computes wrongly on {device.description}.", "Leave --compile out.")
    return Compiled(model, torch.compile(model, dynamic=True))


def _trial(x: torch.Tensor) -> torch.Tensor:
    return (x * x).sum()


@contextlib.contextmanager
def compile_errors() -> Iterator[None]:
    """Turn what torch's compiler raises inside into a DeviceError. Also needed around the first ``backward``."""
    try:
        yield
    except Exception as error:
        # The compiler's errors have no common class, and none is public; their modules identify them.
        kinds = {kind.__module__.split(".")[1] for kind in type(error).__mro__ if kind.__module__.startswith("torch.")}
        refused = type(error) is RuntimeError and "compile" in str(error) and "not supported" in str(error)
        if not refused and not kinds & {"_dynamo", "_inductor", "_functorch"}:
            raise
        raise DeviceError(f"torch.compile failed: {_compiler_message(error)}", _compile_hint(error)) from error


def _compiler_message(error: Exception) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return f"{lines[0][:300].rstrip('.')}." if lines else f"{type(error).__name__}."


def _compile_hint(error: Exception) -> str:
    text = str(error)
    if "CppCompile" in text or "Cxx" in text or "C++ compiler" in text:
        return "Install a C++ compiler (apt install g++, or name one in the variable CXX), or leave --compile out."
    if "riton" in text:
        return "On CUDA it needs Triton and a GPU of compute capability 7.0 or newer. Leave --compile out."
    return "Leave --compile out; results are the same, to rounding."
