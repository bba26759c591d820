"""Emotion distributions as seed 001 saves them: the head by hand, the network from its tensors, used as it is."""

from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from support import invoke
from torch import nn
from torchvision.models import resnet18

import affectkit
from affectkit.checkpoints.checkpoint import read_header
from affectkit.core.spec import InputSpec
from affectkit.data.layouts import affectnet_fused
from affectkit.errors import CheckpointError
from affectkit.models.external.published import read_published
from affectkit.models.external.published_distributions import CLASSES, FORMAT, MEAN, NETWORKS, STD
from affectkit.models.external.published_format import Contents
from affectkit.models.external.weights import tensor_shapes
from affectkit.models.registry import build, family


class Published(nn.Module):
    """A network as the study builds it: softmax included, the new head in place of the last layer."""

    def __init__(self, backbone: nn.Module, last: str, outputs: int = 13) -> None:
        super().__init__()
        width = getattr(backbone, last).in_features
        row = [nn.Linear(width, 512), nn.ReLU(), nn.Dropout(0.3), nn.Linear(512, outputs), nn.Softmax(dim=1)]
        setattr(backbone, last, nn.Sequential(*row))
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.backbone(images)


MADE = {
    "resnet18": lambda: Published(resnet18(), "fc"),
    "efficientnet_b0": lambda: Published(timm.create_model("efficientnet_b0"), "classifier"),
    "vit_tiny_patch16_224": lambda: Published(timm.create_model("vit_tiny_patch16_224"), "head"),
}


def contents(model: nn.Module) -> dict:
    """What the study's trainer saves."""
    return {
        "epoch": 7, "model_state_dict": model.state_dict(),
        "optimizer_state_dict": torch.optim.Adam(model.parameters()).state_dict(), "train_loss": 0.1, "val_loss": 0.2,
        "val_metrics": {"mse": 0.01}, "best_val_loss": 0.15, "history": {"train_loss": [0.3, 0.1], "val_metrics": [{}]},
    }  # fmt: skip


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Each network with random weights, in evaluation mode, and its file."""
    folder, found = tmp_path_factory.mktemp("published"), {}
    for name, make in MADE.items():
        torch.manual_seed(4)
        model = make().eval()
        torch.save(contents(model), folder / f"{name}.pth")
        found[name] = model, folder / f"{name}.pth"
    return found


def test_the_head_is_two_linear_layers_written_out():
    torch.manual_seed(0)
    spec = InputSpec("distribution", 32, 32, classes=tuple("abc"))
    model = build("test_resnet", spec, top="mlp", top_width=20, dropout=0.25).eval()
    kinds = [type(layer).__name__ for layer in model.top]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear"] and model.top[2].p == 0.25
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        features = model.features(images).double().numpy()
        got = model(images).numpy()
    state = {name: value.double().numpy() for name, value in model.top.state_dict().items()}
    assert state["0.weight"].shape[0] == 20
    hidden = np.maximum(features @ state["0.weight"].T + state["0.bias"], 0)
    np.testing.assert_allclose(got, hidden @ state["3.weight"].T + state["3.bias"], atol=1e-5)
    assert build("test_resnet", spec, top="mlp").top[0].out_features == 512


@pytest.mark.parametrize("name", MADE)
def test_a_published_file_predicts_as_its_network_does(published, name):
    model, path = published[name]
    found = affectkit.load(path)
    header = read_header(path)
    assert (header.model, header.options) == (name, {"dropout": 0.3, "top": "mlp", "top_width": 512})
    assert found.spec.classes == CLASSES == affectnet_fused.CLASSES and found.spec.named
    assert (found.spec.fit, found.spec.height, found.spec.mean, found.spec.std) == ("stretch", 224, MEAN, STD)
    assert header.training["published"]["epoch"] == 7 and header.training["published"]["best_val_loss"] == 0.15
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(found(images).softmax(1), model(images), atol=1e-5, rtol=1e-4)


def test_it_is_used_and_converted(published, tmp_path):
    """``infer`` on a photograph against the study's transform written out, from the file and from its conversion."""
    model, path = published["resnet18"]
    pixels = np.random.default_rng(0).integers(0, 255, (90, 140, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "face.png")
    resized = np.asarray(Image.fromarray(pixels).resize((224, 224), Image.Resampling.BILINEAR), dtype=np.float32)
    scaled = (resized / 255 - np.float32(MEAN)) / np.float32(STD)
    with torch.no_grad():
        expected = model(torch.from_numpy(scaled).permute(2, 0, 1)[None])[0].numpy()
    done = invoke("convert", path, tmp_path / "ours.safetensors", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["recognised"] == "emotion distribution, resnet18, 13 classes" and told["outputs"] == list(CLASSES)
    for file in (path, tmp_path / "ours.safetensors"):
        done = invoke("infer", tmp_path / "face.png", "--checkpoint", file, "--format", "jsonl", "--device", "cpu")
        assert done.returncode == 0, done.stderr
        row = json.loads(done.stdout)
        np.testing.assert_allclose([row[name] for name in CLASSES], expected, atol=2e-5)


def test_training_starts_from_one(published, tmp_path):
    model, path = published["resnet18"]
    spec = InputSpec("distribution", 64, 64, classes=CLASSES)
    started = build("resnet18", spec, top="mlp")
    said = family("resnet18").load_weights(started, path, classes=CLASSES)
    assert "(its model_state_dict; names without backbone.)" in said and "initial values" not in said
    own = model.state_dict()
    assert torch.equal(started.top[3].weight, own["backbone.fc.3.weight"])
    assert torch.equal(started.top[0].bias, own["backbone.fc.0.bias"])
    # Other classes, or the same ones in another order: the backbone alone.
    for classes in (CLASSES[:8], CLASSES[::-1]):
        other = build("resnet18", spec.with_(classes=classes), top="mlp")
        said = family("resnet18").load_weights(other, path, classes=classes)
        assert "left at their initial values: top.0.bias, top.0.weight, top.3.bias, top.3.weight" in said
        assert torch.equal(other.features.conv1.weight, own["backbone.conv1.weight"])
        assert not torch.equal(other.top[0].weight, own["backbone.fc.0.weight"])
    linear = build("resnet18", spec)
    said = family("resnet18").load_weights(linear, path, classes=CLASSES)
    assert "left at their initial values: top.1.bias, top.1.weight" in said
    with pytest.raises(CheckpointError, match="does not hold the weights of this backbone"):
        family("resnet50").load_weights(build("resnet50", spec), path, classes=CLASSES)


def test_every_network_of_the_study_is_told_from_the_others():
    """By its tensors alone, none of which needs memory here."""
    done = []
    for last, names in NETWORKS.items():
        for name in names:
            with torch.device("meta"):
                form = tensor_shapes(Published(timm.create_model(name), last, outputs=5))
            state = {key: torch.empty(()).expand(shape) for key, shape in form.items()}
            given = Contents(affectnet_fused.Path("c.pth"), state, {})
            assert FORMAT.faults(given) == [], name
            found = FORMAT.read(given, None)
            assert found.model == name and found.spec.classes == tuple("01234") and not found.spec.named
            done.append(name)
    assert len(done) == len(set(done)) == 13


def test_files_that_are_none(published, tmp_path):
    state = dict(published["resnet18"][0].state_dict())

    def faults(change):
        changed = dict(state)
        change(changed)
        return " ".join(FORMAT.faults(Contents(tmp_path, changed, {})))

    assert faults(lambda s: None) == ""
    assert "no backbone.layer4.1.conv2.weight" in faults(lambda s: s.pop("backbone.layer4.1.conv2.weight"))
    assert "aux.weight is not known" in faults(lambda s: s.update({"aux.weight": torch.ones(1)}))
    assert "no two linear layers" in faults(lambda s: s.pop("backbone.fc.3.weight"))
    assert "no network: nothing under backbone" in faults(lambda s: s.clear())
    broken = {**state, "backbone.fc.0.bias": torch.full((512,), torch.nan)}
    torch.save({"model_state_dict": broken}, tmp_path / "nan.pth")
    with pytest.raises(CheckpointError, match=r"holds NaN or infinity in top\.0\.bias"):
        read_published(tmp_path / "nan.pth")
    odd = {name: value for name, value in state.items() if "layer4" not in name}
    torch.save({"model_state_dict": odd}, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=r"not emotion distributions: its network is none of resnet18, resnet34"):
        read_published(tmp_path / "odd.pth")
