"""A published model.pt of CM-VQVAE in every command that takes a checkpoint."""

from __future__ import annotations

import json

import pytest
import torch
from clips import make_cremad
from support import invoke

import affectkit
from affectkit.core.clipspec import CREMAD
from affectkit.core.spec import InputSpec
from affectkit.models.registry import build

NAMES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")


def run(*arguments, code=0):
    found = invoke(*arguments)
    assert found.returncode == code, found.stderr
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    make_cremad(root / "clone", actors=3, seconds=0.2, size=(160, 120))
    run("prep", "cremad", root / "clone", "--output", root / "data", "--frames", "middle", "--workers", 1)
    torch.manual_seed(3)
    spec = InputSpec("audiovisual", 128, 128, classes=NAMES, clip=CREMAD)
    model = build("cmvqvae", spec, hidden=16, residual_hidden=4, codes=16, mask_init="uniform")
    torch.save(model.state_dict(), root / "model.pt")
    return root


def test_every_command_takes_it(root, tmp_path):
    common = ("--checkpoint", root / "model.pt", "--data", root / "data")
    first = json.loads(run("test", *common, "--json").stdout)
    assert first["classes"] == list(NAMES) and "accuracy" in first["metrics"]
    for name in ("image", "audio"):  # of the file's 16, not of as many as are usual
        assert first["metrics"][f"codes_used_{name}"] + first["metrics"][f"dead_codes_{name}"] == 16
    signed = json.loads(run("test", *common, "--mask", "ternarizer", "--json").stdout)
    assert signed["metrics"]["shared_image"] > first["metrics"]["shared_image"]
    found = run("convert", root / "model.pt", tmp_path / "ours.safetensors", "--mask", "ternarizer", "--json")
    assert json.loads(found.stdout)["family"] == "cmvqvae"
    ours = json.loads(
        run("test", "--checkpoint", tmp_path / "ours.safetensors", "--data", root / "data", "--json").stdout
    )
    assert ours["metrics"] == signed["metrics"]
    refused = run(
        "test", "--checkpoint", tmp_path / "ours.safetensors", "--data", root / "data", "--mask", "attention", code=2
    )
    assert "do not hold them" in refused.stderr
    rows = run("infer", root / "clone" / "VideoFlash", "--checkpoint", root / "model.pt").stdout.splitlines()
    assert len(rows) == 19 and rows[0].startswith("Image Name,Predicted Label,Confidence,anger")
    errors = json.loads(run("reconstruct", *common, "--results", tmp_path / "p", "--clips", 2, "--json").stdout)[
        "errors"
    ]
    assert errors["all"]["image"] == pytest.approx(first["metrics"]["recon_image"], rel=1e-5)
    found = run("reconstruct", *common, "--mask", "ternarizer", "--results", tmp_path / "s", "--clips", 2, "--json")
    channels = json.loads(found.stdout)["channels"]
    assert channels == {name: pytest.approx(signed["metrics"][name], nan_ok=True) for name in channels}
    assert "cmvqvae" in run("models", "--checkpoint", root / "model.pt").stdout
    refused = run("test", *common, "--mode", "image-only", code=2)
    assert "--mode image-only does not go with the file" in refused.stderr


def test_from_python(root):
    model = affectkit.load(root / "model.pt", mask="attention")
    assert model.spec.classes == NAMES and not model.training
    output = model(torch.rand(2, 3, 128, 128), torch.rand(2, 1, 256, 256))
    assert output._fields == (
        "logits", "image", "audio", "vq_loss_image", "vq_loss_audio", "perplexity_image", "perplexity_audio",
        "shared_loss",
    )  # fmt: skip
    assert output.logits.shape == (2, 6) and output.image.shape == (2, 3, 128, 128)
    assert output.audio.shape == (2, 1, 256, 256)
    path = sorted((root / "clone" / "VideoFlash").iterdir())[0]
    (row,) = affectkit.predict(model, [path])
    assert row["Predicted Label"] in NAMES
