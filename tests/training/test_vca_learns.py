"""The whole of it on faces whose ratings can be learned, with a CLIP that has seen faces; killed, resumed, as a job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support import affectkit
from torch import nn

from affectkit.core.files import sha256
from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.data.layouts.discovery import find_dataset
from affectkit.data.loading.loaders import hold_in_memory
from affectkit.models import clip
from affectkit.prep.images.schematic_dataset import SchematicOptions, prepare_schematic

pytestmark = pytest.mark.slow

CONFIG = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 48, "layers": [1, 1, 1, 1], "width": 16, "head_width": 32, "patch_size": None},
}
"""A residual CLIP tower of 0.9 M parameters."""


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Path:
    """Schematic faces, and the weights of a CLIP tower that has learned to see them, as a file."""
    root = tmp_path_factory.mktemp("faces")
    prepare_schematic(root / "data", SchematicOptions(train=1200, valid=160, test=200, size=48))
    (root / "face.json").write_text(json.dumps(CONFIG))
    tower = clip.build_tower(clip.choose_clip(str(root / "face.json"), "random")).train()
    split = find_dataset(root / "data").splits["train"]
    spec = InputSpec(task="x", height=48, width=48)
    pixels = torch.from_numpy(hold_in_memory(split, spec, reporter=Silent()).pixels).permute(0, 3, 1, 2).float() / 255
    shares, head, epochs = torch.from_numpy(split.distribution), nn.Linear(64, 8), 10
    torch.manual_seed(0)
    parameters = [*tower.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * 38)
    for _ in range(epochs):
        for rows in torch.randperm(1200).split(32):
            images = pixels[rows].flip(3) if torch.rand(()) < 0.5 else pixels[rows]
            loss = -(shares[rows] * torch.log_softmax(head(tower(images)), 1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    state = {f"visual.{name}": value.contiguous() for name, value in tower.eval().state_dict().items()}
    save_file(state, root / "face.safetensors")
    return root


def options(root: Path, output: Path) -> list[str]:
    return [
        "train", "--model", "vca", "--data", str(root / "data"), "--test-data", str(root / "data"), "--clip",
        str(root / "face.json"), "--clip-weights", str(root / "face.safetensors"), "--batch-size", "32", "--lr", "0.02",
        "--epochs", "15", "--monitor", "ccc", "--output", str(output), "--json", "--checkpoint-every", "30",
    ]  # fmt: skip


def test_ratings_are_learned_whether_killed_or_not(faces, tmp_path):
    cache = {"AFFECTKIT_CACHE": str(tmp_path / "cache")}
    whole = affectkit(*options(faces, tmp_path / "whole"), timeout=300, **cache)
    assert whole.returncode == 0, whole.stderr
    result = json.loads(whole.stdout)
    assert result["test"]["ccc"] > 0.9 and result["test"]["valence_ccc"] > 0.9
    assert result["test_images"] == 200
    killed = 0
    for wait in (9, 12):  # while features are read, and in the middle of the epochs
        command = options(faces, tmp_path / "cut")
        if (tmp_path / "cut" / "config.yaml").exists():
            command = ["train", "--resume", str(tmp_path / "cut"), "--json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "affectkit", *command],
            env={**os.environ, "AFFECTKIT_CACHE": str(tmp_path / "other")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed == 2
    other = {"AFFECTKIT_CACHE": str(tmp_path / "other")}
    again = affectkit("train", "--resume", tmp_path / "cut", "--json", timeout=300, **other)
    assert again.returncode == 0, again.stderr
    for name in ("best.safetensors", "last.safetensors", "history.csv", "test/test_results.csv"):
        assert sha256(tmp_path / "whole" / name) == sha256(tmp_path / "cut" / name), name


def test_the_same_as_a_job(faces, tmp_path):
    pytest.importorskip("submitit")
    output = tmp_path / "run"
    command = [part for part in options(faces, output) if part != "--json"]
    cache = {"AFFECTKIT_CACHE": str(tmp_path / "cache")}
    job = affectkit(*command, "--slurm", "cluster=local,time=10,partition=gpu", cwd=tmp_path, timeout=120, **cache)
    assert job.returncode == 0, job.stderr
    end = time.monotonic() + 240
    status = output / "status.json"
    while time.monotonic() < end and not (status.exists() and json.loads(status.read_text())["state"] == "done"):
        time.sleep(1)
    assert json.loads(status.read_text())["state"] == "done", (tmp_path / "slurm").glob("*.err")
    assert json.loads((output / "metrics.json").read_text())["test"]["ccc"] > 0.9
