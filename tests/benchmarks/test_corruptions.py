"""Corruption of batches beside one image at a time, and a whole sweep beside as many clean passes.

pytest -m benchmark tests/benchmarks/test_corruptions.py -s
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from support import settings

from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.corruptions import GROUPS, corrupt
from affectkit.evaluation.test import test as run_test
from affectkit.robustness.sweep import eval_corruptions
from affectkit.settings.evaluation import TestSettings
from affectkit.settings.robustness import RobustnessSettings
from affectkit.training import run

sys.path.insert(0, str(Path(__file__).parent))
import naive_corruptions as naive
from measuring import ferplus

pytestmark = pytest.mark.benchmark
COUNT, SLOW = 32, 2
"""Images of a batch, and how many are corrupted one at a time."""


def smooth(size: int) -> torch.Tensor:
    coarse = torch.rand(COUNT, 3, size // 8, size // 8, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear").contiguous()


@pytest.mark.parametrize("size", [224, 64])
def test_a_batch_beside_one_image_at_a_time(size, capsys):
    images = smooth(size)
    arrays = images[:SLOW].permute(0, 2, 3, 1).double().numpy()
    rng = np.random.default_rng(0)
    pairs: dict[str, tuple[float, float]] = {}
    corrupt(images, "frost")  # its textures are made once
    for name in GROUPS["benchmark"]:
        own, slow = [], []
        for severity in (1, 3, 5):
            rounds = []
            for _ in range(2):
                began = time.perf_counter()
                corrupt(images, name, severity, scale="imagenet")
                rounds.append(time.perf_counter() - began)
            own.append(min(rounds) / COUNT)
            began = time.perf_counter()
            for array in arrays:
                np.clip(getattr(naive, name)(array.copy(), naive.level(name, severity), rng), 0, 1)
            slow.append((time.perf_counter() - began) / SLOW)
        pair = np.mean(own) * 1e3, np.mean(slow) * 1e3
        pairs[name] = pair
        with capsys.disabled():
            told = f"{pair[0]:7.2f} ms, one at a time {pair[1]:8.2f} ms, {pair[1] / pair[0]:6.1f} times"
            print(f"\n{size} {name:18} {told}", end="", flush=True)
    assert len(pairs) == 15
    # A loop over pixels in Python is most of the slow way: the others are told by themselves too.
    for told, left_out in (("the fifteen", ""), ("without glass_blur", "glass_blur")):
        own, slow = (np.mean([pair[way] for name, pair in pairs.items() if name != left_out]) for way in (0, 1))
        with capsys.disabled():
            print(f"\n{size} {told:18} {own:7.2f} ms, one at a time {slow:8.2f} ms, {slow / own:6.1f} times", end="")
        if not left_out:
            assert slow / own >= 5


@pytest.mark.parametrize("size", [64, 224])
def test_a_sweep_beside_as_many_clean_passes(size, tmp_path, capsys):
    data = ferplus(tmp_path / "fer", train=64, valid=500)
    run.train(
        settings(data, tmp_path / "run", model="resnet18", image_size=size, epochs=1, task="distribution"),
        reporter=Silent(),
    )
    common = {"checkpoint": tmp_path / "run", "data": data, "split": "valid"}
    chosen = resolve(RobustnessSettings, flags=common).settings
    tested = resolve(TestSettings, flags=common).settings
    run_test(tested, reporter=Silent())
    clean = []
    for _ in range(3):
        began = time.perf_counter()
        run_test(tested, reporter=Silent())
        clean.append(time.perf_counter() - began)
    began = time.perf_counter()
    summary = eval_corruptions(chosen, reporter=Silent())
    whole = time.perf_counter() - began
    assert len(summary["rows"]) == 76
    ratio = whole / (75 * min(clean))
    told = f"sweep {whole:.1f} s, a clean pass {min(clean):.2f} s, 75 of them {75 * min(clean):.1f} s: {ratio:.2f}"
    with capsys.disabled():
        print(f"\n{size}: {told}")
    assert ratio <= 1.5
