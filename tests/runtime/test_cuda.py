"""What only a GPU can show. Run by hand where one is: pytest -m cuda tests/runtime/test_cuda.py -s"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from benchmarks.measuring import Bare, Clock, paired, photographs, show
from support import Heard, make_folders, settings

from affectkit.checkpoints.checkpoint import Header, save_checkpoint
from affectkit.config import resolve
from affectkit.core.files import sha256
from affectkit.core.spec import InputSpec
from affectkit.errors import DeviceError
from affectkit.inference.infer import infer
from affectkit.models.backbones import Backbone
from affectkit.runtime.context import RunContext
from affectkit.runtime.device import prepare_model, resolve_device
from affectkit.runtime.forward import forward
from affectkit.runtime.precision import resolve_precision
from affectkit.runtime.torch_backends import compile_model, set_up_backends
from affectkit.settings.inference import InferSettings
from affectkit.training.run import train

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
FORMATS = ("fp32", "tf32", "bf16", "fp16")


def run_context(name: str = "auto") -> RunContext:
    """The GPU with a precision; a skip where this GPU does not have it."""
    try:
        return RunContext.resolve("cuda", name)
    except DeviceError as error:
        pytest.skip(error.message)


@pytest.mark.parametrize("name", FORMATS)
def test_every_precision_learns(tmp_path, name):
    run_context(name)
    data = make_folders(tmp_path / "data", train=48)
    changes = {"device": "cuda", "precision": name, "epochs": 8, "lr": 5e-3, "schedule": "cosine"}
    heard = Heard()
    result = train(settings(data, tmp_path / "run", **changes), reporter=heard)
    assert result["valid"]["accuracy"] > 0.8
    assert sum(f"; {name} (asked for)" in note for note in heard.notes) == 1


def test_fp32_is_fp32_and_tf32_is_not():
    """Against float64 on the CPU: fp32 is right to 1e-6 or so, TF32 to 1e-3, in products and in convolutions."""
    found = run_context("tf32")
    torch.manual_seed(0)
    a, weight = torch.randn(64, 64, 16, 16), torch.randn(64, 64, 3, 3)
    exact = torch.nn.functional.conv2d(a.double(), weight.double()), a.flatten(1).double() @ a.flatten(1).double().T
    errors = {}
    for name in ("fp32", "tf32"):
        with set_up_backends(found.device, resolve_precision(name, found.device)):
            x = a.cuda()
            results = torch.nn.functional.conv2d(x, weight.cuda()), x.flatten(1) @ x.flatten(1).T
        errors[name] = [
            float((ours.cpu().double() - right).abs().max() / right.abs().max())
            for ours, right in zip(results, exact, strict=True)
        ]
    assert max(errors["fp32"]) < 1e-5
    assert min(errors["tf32"]) > 1e-5


def test_a_batch_that_does_not_fit_is_halved():
    found = run_context("fp32")

    class Hungry(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 4:
                torch.empty(2**50, dtype=torch.uint8, device=x.device)
            return x.sum((1, 2, 3))[:, None]

    x = torch.rand(13, 3, 8, 8, device="cuda")
    assert torch.allclose(forward(Hungry(), (x,), found), x.sum((1, 2, 3))[:, None])


def test_a_killed_run_ends_with_the_same_bytes(tmp_path):
    """Deterministic kernels; kill -9 once the second epoch has begun, then resume."""
    data = make_folders(tmp_path / "data", train=48)
    base = settings(data, tmp_path / "whole", device="cuda", precision="fp32", epochs=4)
    words = ["--data", data, "--model", base.model, "--no-pretrained", "--image-size", "24", "--batch-size", "8",
             "--epochs", "4", "--workers", "0", "--augment", "flip", "--device", "cuda", "--precision", "fp32",
             "--deterministic"]  # fmt: skip
    known = subprocess.run([sys.executable, "-m", "affectkit", "train", "--help-all"], capture_output=True, text=True)
    if "--deterministic" not in known.stdout:
        pytest.skip("affectkit train has no --deterministic")
    ends = {}
    for name in ("whole", "killed"):
        run = tmp_path / name
        command = [sys.executable, "-m", "affectkit", "train", *map(str, words), "--output", str(run)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if name == "killed":
            while process.poll() is None and not (run / "history.csv").exists():
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
            train(replace(base, output=None, resume=run), given=frozenset({"resume"}), reporter=Heard())
        else:
            assert process.wait() == 0, process.stderr.read()
        ends[name] = sha256(run / "last.safetensors"), (run / "history.csv").read_bytes()
    assert ends["whole"] == ends["killed"]


def test_compiled_agrees(tmp_path):
    found = run_context("fp32")
    torch.manual_seed(0)
    model = prepare_model(Backbone("resnet18", 8, height=64, width=64), found.device, channels_last=True).eval()
    with set_up_backends(found.device, found.precision):
        compiled = compile_model(model, device=found.device)
        for count in (8, 7, 3):
            x = torch.randn(count, 3, 64, 64, device="cuda")
            with torch.inference_mode():
                torch.testing.assert_close(compiled(x), model(x), rtol=1e-3, atol=1e-4)


class CudaBare(Bare):
    """The bare model on the GPU: channels-last, in a number format, waited for."""

    def __init__(self, found: RunContext, **options: int) -> None:
        super().__init__("resnet18", **options)
        self.found = found
        self.model = prepare_model(self.model, found.device, channels_last=True)
        self.images = self.images.cuda().contiguous(memory_format=torch.channels_last)
        self.target = self.target.cuda()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True)

    def train(self, batches: int) -> float:
        return self._timed(super().train, batches)

    def infer(self, batches: int) -> float:
        return self._timed(super().infer, batches)

    def _timed(self, work, batches: int) -> float:
        with set_up_backends(self.found.device, self.found.precision), self.found.precision.autocast():
            torch.cuda.synchronize()
            began = time.perf_counter()
            work(batches)
            torch.cuda.synchronize()
        return batches * len(self.images) / (time.perf_counter() - began)


@pytest.mark.parametrize("name", FORMATS)
def test_images_per_second_and_memory(tmp_path, capsys, name):
    """The table of the note: train and infer against the bare model, and the most memory that training took."""
    found = run_context(name)
    data = photographs(tmp_path / "data", count=int(os.environ.get("AFFECTKIT_CUDA_IMAGES", "4000")))
    images = len(list((data / "train").rglob("*.jpg")))
    bare = CudaBare(found, size=224, batch=64, classes=2)
    bare.train(5)
    values = {"model": "resnet18", "pretrained": False, "image_size": 224, "batch_size": 64, "epochs": 2,
              "device": "cuda", "precision": name, "workers": None}  # fmt: skip
    runs = iter(range(99))

    def training() -> float:
        clock = Clock()
        train(settings(data, tmp_path / f"run{next(runs)}", **values), reporter=clock)
        return clock.rate("epoch 2/2")

    checkpoint = tmp_path / "model.safetensors"
    spec = InputSpec("classification", 224, 224, classes=("a", "b"))
    save_checkpoint(checkpoint, bare.model, Header("resnet18", {}, spec))
    flags = {"paths": (str(data / "train"),), "checkpoint": checkpoint, "recursive": True, "batch_size": 64,
             "device": "cuda", "precision": name}  # fmt: skip
    asked = resolve(InferSettings, flags=flags).settings

    def inference() -> float:
        clock = Clock()
        infer(asked, reporter=clock, listed=io.StringIO(), stdout=io.StringIO())
        return clock.rate("predicting")

    torch.cuda.reset_peak_memory_stats()
    trained = paired(training, lambda: bare.train(images // 64), repetitions=3)
    peak = torch.cuda.max_memory_allocated() / 2**20
    inferred = paired(inference, lambda: bare.infer(images // 64), repetitions=3)
    rows = [(f"train, {name}", *trained, f"{peak:.0f}"), (f"infer, {name}", *inferred, "")]
    show(capsys, (resolve_device("cuda").description, "affectkit images/s", "bare images/s", "ratio", "MiB"), rows)
