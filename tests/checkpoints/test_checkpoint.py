from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import CLASSES, TINY

import affectkit
from affectkit.checkpoints import checkpoint
from affectkit.checkpoints.checkpoint import KEY, Header, load_model, read_header, save_checkpoint
from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError, DeviceError
from affectkit.models.registry import build

SPEC = InputSpec("distribution", 24, 24, classes=CLASSES, temperature=1.7)
OPTIONS = {"dropout": 0.1, "top": "linear"}


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = build(TINY, SPEC, **OPTIONS)
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, model, Header(TINY, OPTIONS, SPEC, {"epoch": 3}))
    return path, model.eval()


def rewrite(path, change=None, header=None):
    """Write the checkpoint again with other tensors or another header."""
    tensors = load_file(path)
    text = read_text(path) if header is None else header
    save_file((change or (lambda t: t))(tensors), path, metadata={KEY: text} if text else None)


def read_text(path):
    return read_header(path).to_text()


def test_a_checkpoint_is_all_that_loading_needs(saved):
    path, model = saved
    loaded = affectkit.load(path)
    images = torch.randn(2, 3, 24, 24)
    assert not loaded.training and loaded.spec == SPEC and loaded.header.training == {"epoch": 3}
    torch.testing.assert_close(loaded(images), model(images))  # layouts in memory may differ
    assert len(loaded.checkpoint_hash) == 64


def test_a_run_folder_stands_for_its_best_model(trained):
    assert affectkit.load(trained).spec.classes == CLASSES
    with pytest.raises(CheckpointError, match=r"no best\.safetensors"):
        affectkit.load(trained.parent)


def test_faults_are_told_apart(saved, tmp_path):
    path, _ = saved
    with pytest.raises(CheckpointError, match="does not exist"):
        load_model(tmp_path / "none.safetensors")
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"x" * 100)
    with pytest.raises(CheckpointError, match="not a checkpoint of affectkit"):
        load_model(junk)
    save_file({"a": torch.ones(1)}, junk)
    with pytest.raises(CheckpointError, match="no header"):
        load_model(junk)
    with pytest.raises(DeviceError):
        load_model(path, device="cuda:99")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "top.1.bias"}, r"top\.1\.bias is missing"),
        (lambda t: {**t, "extra": torch.ones(1)}, "extra is not known"),
        (lambda t: {**t, "top.1.bias": torch.ones(9)}, r"top\.1\.bias is \(9,\), not \(3,\)"),
        (lambda t: {**t, "top.1.bias": torch.tensor([1.0, float("nan"), 0.0])}, "holds NaN or infinity"),
    ],
)
def test_tensors_that_do_not_fit_are_named(saved, change, message):
    rewrite(saved[0], change)
    with pytest.raises(CheckpointError, match=message):
        load_model(saved[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2"),
        ({"model": {"name": "no_such_net", "options": {}}}, "cannot be built"),
        ({"model": {"name": "os:system", "options": {"command": "true"}}}, "cannot be built"),
        ({"model": {"name": TINY, "options": {"evil": 1}}}, "cannot be built"),
        ({"spec": {}}, "not complete"),
        ({"spec": None}, "damaged"),
    ],
)
def test_headers_that_lie_are_refused(saved, change, message):
    path, _ = saved
    rewrite(path, header=json.dumps({**json.loads(read_text(path)), **change}))
    with pytest.raises(CheckpointError, match=message):
        load_model(path)


def test_an_interrupted_save_keeps_the_checkpoint_before(saved, monkeypatch):
    path, model = saved
    before = path.read_bytes()
    monkeypatch.setattr(checkpoint, "save_file", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        save_checkpoint(path, model, Header(TINY, OPTIONS, SPEC))
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == [path.name]
