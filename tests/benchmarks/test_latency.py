"""How long a face takes on the CPU: the built-in model beside timm's small networks at their sizes."""

from __future__ import annotations

import statistics
import time

import pytest
import timm
import torch

from affectkit.checkpoints.checkpoint import load_model

pytestmark = pytest.mark.benchmark
ROUNDS = 15


@torch.inference_mode()
def milliseconds(network, images, least=0.2):
    """Of one forward pass: the mean over a stretch of at least ``least`` seconds."""
    began, count = time.perf_counter(), 0
    while count < 2 or time.perf_counter() - began < least:
        network(images)
        count += 1
    return (time.perf_counter() - began) / count * 1000


@pytest.mark.parametrize("batch", [1, 32])
def test_latency(batch):
    networks = {}
    for name, size, channels in (("builtin", 48, 1), ("builtin, one view", 48, 1)):
        model = load_model("builtin")
        model.mirror = "one view" not in name
        networks[name] = (model, torch.rand(batch, channels, size, size))
    for name in ("resnet18", "mobilenetv3_small_100"):
        networks[name] = (timm.create_model(name, pretrained=False).eval(), torch.rand(batch, 3, 224, 224))
    networks = {
        name: (model.to(memory_format=torch.channels_last), images.contiguous(memory_format=torch.channels_last))
        for name, (model, images) in networks.items()
    }
    for model, images in networks.values():
        milliseconds(model, images)  # kernels are chosen at first sight
    times = {name: [] for name in networks}
    for _ in range(ROUNDS):  # in turn, so that another load on the machine meets all alike
        for name, (model, images) in networks.items():
            times[name].append(milliseconds(model, images))
    base = statistics.median(times["resnet18"])
    print(f"\nbatch {batch}, {torch.get_num_threads()} threads; median of {ROUNDS}")
    print(f"{'network':24}{'input':>10}{'parameters':>12}{'ms':>10}{'ms an image':>13}{'resnet18 / it':>15}")
    for name, (model, images) in networks.items():
        found = statistics.median(times[name])
        size = f"{images.shape[2]}x{images.shape[3]}x{images.shape[1]}"
        count = sum(value.numel() for value in model.parameters()) / 1e6
        print(f"{name:24}{size:>10}{count:>10.1f} M{found:10.2f}{found / batch:13.2f}{base / found:15.1f}")
    assert statistics.median(times["builtin"]) < base
