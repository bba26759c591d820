"""How long a user waits for the first batch of training and of inference, beside importing torch and timm."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest
from benchmarks.measuring import show
from benchmarks.test_memory import tiny_checkpoint
from support import TINY, make_folders

pytestmark = pytest.mark.benchmark

# The command line as it is, but for a reporter that ends the process when the first batch is done.
SCRIPT = """
import os, sys
from affectkit.cli import console
def ended(self, *arguments):
    print("first batch", flush=True)
    os._exit(0)
console.Console.advance = ended
from affectkit.__main__ import main
main()
"""
LIMIT = 2.5


def seconds(command: list[str], said: str = "") -> float:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and said in done.stdout, done.stderr
    return time.perf_counter() - began


def test_first_batch_of_train_and_infer(tmp_path, capsys):
    data = make_folders(tmp_path / "data", train=16, valid=6, test=0)
    checkpoint = tiny_checkpoint(tmp_path / "model.safetensors")
    runs = {
        "train": ["train", "--data", data, "--model", TINY, "--no-pretrained", "--image-size", "24", "--batch-size",
                  "8", "--workers", "0", "--cache", "none", "--force", "--output", tmp_path / "run"],
        "infer": ["infer", data / "train" / "anger", "--checkpoint", checkpoint, "--workers", "0"],
        "--version": ["--version"],
    }  # fmt: skip
    imports = [sys.executable, "-c", "import torch, timm"]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    seconds(imports)
    for _ in range(7):
        for name, arguments in runs.items():
            command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
            said = "first batch" if name != "--version" else ""
            found[name].append((seconds(command, said), seconds(imports)))
    rows = []
    for name, times in found.items():
        own, other = (statistics.median(column) for column in zip(*times, strict=True))
        rows.append((name, own, other, statistics.median(a / b for a, b in times)))
    show(capsys, ("to the first batch of", "affectkit s", "import torch, timm s", "ratio"), rows)
    assert all(ratio <= LIMIT for name, _, _, ratio in rows)
