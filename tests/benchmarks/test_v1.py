"""The thirteen V1 networks beside plain ResNet-50, and each component beside a straightforward version.

pytest -m benchmark tests/benchmarks/test_v1.py -s
"""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import torch
import torch.nn.functional as F

from affectkit.core.spec import InputSpec
from affectkit.models.registry import build
from affectkit.models.v1.local_rf import LocalReceptiveField
from affectkit.models.v1.network import VARIANTS
from affectkit.models.v1.normalisation import DivisiveNormalisation, TunedNormalisation
from affectkit.models.v1.polar import CorticalMagnification, polar_masks

pytestmark = pytest.mark.benchmark
BATCH = 32
SPEC = InputSpec(task="classification", height=64, width=64, classes=tuple(map(str, range(200))))
FORWARD = {"resnet50_composite_a": 1.5, "resnet50_cortical_magnification": 1.2}
STEP = {"resnet50_composite_a": 2.0, "resnet50_cortical_magnification": 1.2}
MEMORY = {"resnet50_composite_a": 1.5, "resnet50_cortical_magnification": 1.5}
PEAK = """
import sys, torch
from affectkit.core.spec import InputSpec
from affectkit.models.registry import build
spec = InputSpec(task="classification", height=64, width=64, classes=tuple(map(str, range(200))))
model, x = build(sys.argv[1], spec), torch.randn(32, 3, 64, 64)
def most():
    # Not ru_maxrss, which a process has from its parent.
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = most()
for _ in range(2):
    model.zero_grad()
    F = torch.nn.functional.cross_entropy(model(x), torch.zeros(32, dtype=torch.long)).backward()
print(most() - before)
"""


def seconds(work, *arguments) -> float:
    """How long ``work`` takes."""
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began


def step(model, x) -> None:
    model.zero_grad()
    out = model(x)
    (F.cross_entropy(out, torch.zeros(len(x), dtype=torch.long)) if out.dim() == 2 else out.square().mean()).backward()


def forward(model, x) -> None:
    with torch.inference_mode():
        model(x)


def test_all_variants_beside_plain_resnet50(capsys):
    x = torch.randn(BATCH, 3, 64, 64)
    plain = build("resnet50_plain", SPEC)
    rows = []
    base_memory = peak("resnet50_plain")
    for name in VARIANTS:
        model = build(name, SPEC)
        times = {}
        for kind, work in (("forward", forward), ("step", step)):
            for one in (plain, model):
                one.train(kind == "step")
            # Turn and turn about, so that what else the machine does falls on both.
            pairs = [(seconds(work, plain, x), seconds(work, model, x)) for _ in range(4)]
            times[kind] = tuple(min(column) for column in zip(*pairs[1:], strict=True))
        memory = peak(name) / base_memory
        ratios = {kind: own / reference for kind, (reference, own) in times.items()}
        rows.append((name, times["forward"][1], ratios["forward"], times["step"][1], ratios["step"], memory))
        with capsys.disabled():
            print(f"\n{name:32} forward {rows[-1][1]:.3f} s ({rows[-1][2]:.2f})  step {rows[-1][3]:.3f} s "
                  f"({rows[-1][4]:.2f})  memory {memory:.2f}", end="", flush=True)  # fmt: skip
    for name, _, front, _, whole, memory in rows:
        assert front <= FORWARD.get(name, 9) and whole <= STEP.get(name, 9) and memory <= MEMORY.get(name, 9), name


def peak(name: str) -> float:
    """Memory that two training steps take beyond the model, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", PEAK, name], capture_output=True, text=True, check=True)
    found = float(done.stdout)
    assert found > 1e5, "two steps of ResNet-50 take more than 100 MB"
    return found


# --- components ------------------------------------------------------------------------------------------------------


class PlainLocal(torch.nn.Module):
    """Every product of a field and a weight, then their sum."""

    def __init__(self, ours: LocalReceptiveField) -> None:
        super().__init__()
        self.weight = ours.weight

    def forward(self, x):
        fields = F.pad(x, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1).flatten(-2)
        return (fields[:, None] * self.weight).sum((2, -1))


class PlainMagnification(torch.nn.Module):
    """A masked sum for each bin."""

    def forward(self, x):
        weights, total = polar_masks(32)
        field = [[(x * mask.view(32, 32)).sum((2, 3)) / n for mask, n in zip(ring, counts, strict=True)]
                 for ring, counts in zip(weights, total, strict=True)]  # fmt: skip
        field = torch.stack([torch.stack(ring, 2) for ring in field], 2)
        return F.interpolate(F.pad(field, (1, 1, 0, 0), mode="reflect"), (16, 16), mode="bilinear", antialias=True)


class PlainTuned(torch.nn.Module):
    """The sum over channels, channel by channel."""

    def __init__(self, ours: TunedNormalisation) -> None:
        super().__init__()
        self.ours = ours

    def forward(self, x):
        weights = self.ours.weights()
        return x / (1 + torch.stack([(row[:, None, None] * x).sum(1) for row in weights], 1))


class PlainDivisive(torch.nn.Module):
    """The convolution as products with unfolded fields."""

    def __init__(self, ours: DivisiveNormalisation) -> None:
        super().__init__()
        self.ours = ours

    def forward(self, x):
        fields = F.unfold(x, 3, padding=1)
        pooled = (self.ours.kernels().flatten(1) @ fields).view(x.shape)
        return x / (pooled + self.ours.bias.abs())


def test_components_beside_straightforward_ones(capsys):
    local, tuned, divisive = LocalReceptiveField(64, 64, 16, 16), TunedNormalisation(256), DivisiveNormalisation(256)
    cases = {
        "local receptive field": (local, PlainLocal(local), torch.rand(8, 64, 16, 16), 2.0),
        "cortical magnification": (CorticalMagnification(), PlainMagnification(), torch.rand(8, 64, 32, 32), 10.0),
        "tuned normalisation": (tuned, PlainTuned(tuned), torch.rand(8, 256, 16, 16), 2.0),
        "divisive normalisation": (divisive, PlainDivisive(divisive), torch.rand(8, 256, 16, 16), 0.5),
    }
    for name, (ours, naive, x, least) in cases.items():
        x.requires_grad_()
        torch.testing.assert_close(ours(x), naive(x), rtol=1e-3, atol=1e-3)
        pairs = [(seconds(step, ours, x), seconds(step, naive, x)) for _ in range(3)]
        own, slow = (min(column) for column in zip(*pairs, strict=True))
        with capsys.disabled():
            print(f"\n{name:24} step {own * 1e3:8.1f} ms, straightforward {slow * 1e3:8.1f} ms, {slow / own:.1f} times",
                  end="", flush=True)  # fmt: skip
        assert slow / own >= least, name
