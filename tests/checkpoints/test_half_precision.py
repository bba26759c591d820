from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import affectkit
from affectkit.checkpoints.checkpoint import read_header
from affectkit.checkpoints.half_precision import halve
from affectkit.errors import CheckpointError, UsageError


def test_half_the_bytes_and_the_same_network(trained, tmp_path):
    summary = halve(trained, tmp_path / "half.safetensors")
    assert summary["bytes_after"] < 0.55 * summary["bytes_before"] and 0 < summary["greatest_change"] < 2**-11
    whole, half = affectkit.load(trained), affectkit.load(tmp_path / "half.safetensors")
    for name, value in whole.state_dict().items():
        found = half.state_dict()[name]
        assert found.dtype == value.dtype
        if value.is_floating_point():
            assert torch.equal(found, value.half().float()), name
    images = torch.rand(4, *(whole.spec.channels, whole.spec.height, whole.spec.width))
    with torch.no_grad():
        assert 0 < (whole(images) - half(images)).abs().max() < 0.02
    before, after = read_header(trained), read_header(tmp_path / "half.safetensors")
    assert after.spec == before.spec and after.model == before.model
    assert after.training["half"]["of"] == whole.checkpoint_hash


def test_what_cannot_be_halved(trained, tmp_path):
    halve(trained, tmp_path / "half.safetensors")
    with pytest.raises(UsageError, match="is there already"):
        halve(trained, tmp_path / "half.safetensors")
    halve(trained, tmp_path / "half.safetensors", force=True)
    with pytest.raises(UsageError, match="nothing to halve"):
        halve(tmp_path / "half.safetensors", tmp_path / "again.safetensors")
    source = trained / "best.safetensors"
    with safe_open(source, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        metadata = file.metadata()
    name = next(key for key, value in tensors.items() if value.is_floating_point())
    tensors[name] = torch.full_like(tensors[name], 1e5)
    save_file(tensors, tmp_path / "large.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match="beyond the 65,504"):
        halve(tmp_path / "large.safetensors", tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists() and json.loads(metadata["affectkit"])["format"] == 1
