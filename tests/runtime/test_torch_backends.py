from __future__ import annotations

import copy
import os
import subprocess
import sys

import pytest
import torch
from support import TINY, in_ranks

from affectkit.core.spec import InputSpec
from affectkit.errors import DeviceError
from affectkit.models.registry import build
from affectkit.runtime.device import Device
from affectkit.runtime.precision import Precision
from affectkit.runtime.torch_backends import (
    WORKSPACE,
    compile_errors,
    compile_model,
    set_up_backends,
    without_determinism,
)

CPU = Device("cpu", 0, "cpu", "CPU, 2 threads", "")
CUDA = Device("cuda", 0, "cuda:0", "NVIDIA H100 (78 GiB)", "")


def precision(name: str, device: Device = CUDA) -> Precision:
    return Precision(name, "float32", device.kind, mixed=False, scaled=False, reason="")


def state() -> dict[str, object]:
    """All that ``set_up_backends`` may change, read through torch's new switches and its old ones."""
    return {
        "matmul": torch.backends.cuda.matmul.fp32_precision,
        "conv": torch.backends.cudnn.conv.fp32_precision,
        "rnn": torch.backends.cudnn.rnn.fp32_precision,
        "old matmul": torch.backends.cuda.matmul.allow_tf32,
        "old conv": torch.backends.cudnn.allow_tf32,
        "level": torch.get_float32_matmul_precision(),
        "benchmark": torch.backends.cudnn.benchmark,
        "deterministic": torch.backends.cudnn.deterministic,
        "algorithms": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "workspace": os.environ.get(WORKSPACE),
    }


@pytest.mark.parametrize(
    ("name", "formats", "old", "level"),
    [("tf32", "tf32", True, "high"), ("fp32", "ieee", False, "highest"), ("bf16", "ieee", False, "highest")],
)
def test_fp32_is_fp32_and_tf32_is_asked_for(name: str, formats: str, old: bool, level: str) -> None:
    before = state()
    assert (before["conv"], before["matmul"]) == ("tf32", "none")  # torch's own default is mixed
    with set_up_backends(CUDA, precision(name)):
        now = state()
        assert [now[key] for key in ("matmul", "conv", "rnn")] == [formats] * 3
        assert (now["old matmul"], now["old conv"], now["level"]) == (old, old, level)
        assert (now["benchmark"], now["algorithms"], now["workspace"]) == (True, False, before["workspace"])
    assert state() == before


@pytest.mark.parametrize("workspace", [None, ":0:0", ":16:8"])
def test_deterministic(monkeypatch: pytest.MonkeyPatch, workspace: str | None) -> None:
    monkeypatch.delenv(WORKSPACE, raising=False)
    if workspace is not None:
        monkeypatch.setenv(WORKSPACE, workspace)
    before = state()
    with pytest.raises(KeyError), set_up_backends(CUDA, precision("fp32"), deterministic=True):
        now = state()
        assert (now["benchmark"], now["deterministic"], now["algorithms"], now["warn only"]) == (
            False,
            True,
            True,
            False,
        )
        assert now["workspace"] == (":16:8" if workspace == ":16:8" else ":4096:8")
        raise KeyError  # what goes wrong inside leaves nothing behind
    assert state() == before


def test_on_the_cpu_nothing_changes() -> None:
    before = state()
    with set_up_backends(CPU, precision("fp32", CPU), deterministic=True):
        assert state() == before


def test_a_kernel_without_determinism_is_named() -> None:
    error = RuntimeError(
        "adaptive_max_pool2d_backward_cuda does not have a deterministic implementation, but you set "
        "'torch.use_deterministic_algorithms(True)'. You can turn off determinism just for this operation."
    )
    found = without_determinism(error)
    assert "adaptive_max_pool2d_backward_cuda has no deterministic kernel" in found.message
    assert "--device cpu" in found.hint
    assert without_determinism(RuntimeError("CUDA error: an illegal memory access")) is None


def tiny() -> torch.nn.Module:
    torch.manual_seed(0)
    return build(TINY, InputSpec("classification", 24, 24, classes=("a", "b", "c")), dropout=0.0)


def test_a_compiled_model_is_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own: once torch.compile has run, autograd refuses to work in processes forked afterwards."""

    def work() -> None:
        # The eager backend: what is around the compiler, without a minute of compiling.
        whole = torch.compile
        asked = []

        def eager(function, **options):
            asked.append(options)
            return whole(function, backend="eager", **options)

        monkeypatch.setattr(torch, "compile", eager)
        model = tiny()
        plain = copy.deepcopy(model)
        compiled = compile_model(model, device=CPU)
        assert compiled.module is model
        assert asked[-1] == {"dynamic": True}  # the size of a batch must not enter the code
        assert list(model.state_dict()) == list(plain.state_dict())
        x = torch.randn(4, 3, 24, 24)
        assert compiled.training
        assert torch.equal(compiled(x), plain(x))
        compiled.eval()
        assert not model.training and not compiled.training
        assert torch.equal(compiled(x), plain.eval()(x))
        assert torch.equal(copy.deepcopy(compiled.module)(x), plain(x))
        assert compiled.train().training and model.training

    assert in_ranks(1, work) == [0]


def test_no_compiler(tmp_path) -> None:
    code = """
import torch
from affectkit.errors import DeviceError
from affectkit.runtime.torch_backends import compile_model
from affectkit.runtime.device import Device
try:
    compile_model(torch.nn.Linear(2, 2), device=Device("cpu", 0, "cpu", "CPU", ""))
except DeviceError as error:
    print(error)
"""
    places = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "CXX": str(tmp_path / "no-compiler")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | places)
    assert done.returncode == 0, done.stderr
    message, hint = done.stdout.splitlines()
    assert message.startswith("torch.compile failed: InvalidCxxCompiler: No working C++ compiler found")
    assert "apt install g++" in hint and "--compile" in hint
    assert done.stderr == ""


def test_only_the_compilers_faults_are_its_own() -> None:
    from torch._dynamo.exc import Unsupported

    with pytest.raises(DeviceError, match=r"torch.compile failed: a graph break."), compile_errors():
        raise Unsupported("a graph break\n\nFrom user code: ...")
    with pytest.raises(DeviceError, match="not supported on Python 3.99"), compile_errors():
        raise RuntimeError("torch.compile is not supported on Python 3.99+")
    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        ValueError("Expected more than 1 value"),
        RuntimeError("x"),
    ):
        with pytest.raises(type(error), match=str(error)), compile_errors():
            raise error


def test_a_trial_that_computes_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: lambda x: (3 * x).sum())
    with pytest.raises(DeviceError, match="computes wrongly on CPU, 2 threads"):
        compile_model(tiny(), device=CPU)


@pytest.mark.slow
def test_compiled_bits_do_not_depend_on_the_batches_before() -> None:
    """A resumed run begins with another batch than the first did; each must give the same bits after any other."""

    def gradients(order: tuple[int, ...]) -> dict[int, list[torch.Tensor]]:
        torch.compiler.reset()
        model = tiny()
        start = copy.deepcopy(model.state_dict())
        compiled = compile_model(model, device=CPU)
        found = {}
        for count in order:
            model.load_state_dict(start)
            model.zero_grad()
            x = torch.randn(count, 3, 24, 24, generator=torch.Generator().manual_seed(count))
            compiled(x).square().sum().backward()
            found[count] = [value.grad.clone() for value in model.parameters()]
        return found

    def work() -> None:
        one, other = gradients((8, 7, 9)), gradients((9, 8, 7))
        plain = tiny()
        plain(torch.randn(8, 3, 24, 24, generator=torch.Generator().manual_seed(8))).square().sum().backward()
        for count in (7, 8, 9):
            assert all(torch.equal(a, b) for a, b in zip(one[count], other[count], strict=True))
        for a, b in zip(one[8], plain.parameters(), strict=True):
            torch.testing.assert_close(a, b.grad, rtol=1e-3, atol=1e-4)

    assert in_ranks(1, work, timeout=900) == [0]


def test_the_module_is_light() -> None:
    code = "import sys, affectkit.runtime.torch_backends; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
