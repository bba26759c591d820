from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError, DownloadError, UsageError
from affectkit.models import backbones
from affectkit.models.backbones import Backbone, BackboneFamily, hub_source
from affectkit.models.registry import BACKBONES, MODELS, build, check_model

CLASSES = tuple("abcde")


def spec(size=32, channels=3):
    return InputSpec("distribution", size, size, channels, (0.5,) * channels, (0.5,) * channels, classes=CLASSES)


@pytest.mark.parametrize(
    ("name", "size", "channels", "top"),
    [
        ("resnet18", 32, 3, "linear"), ("resnet18", 64, 1, "vgg"), ("resnet18", 32, 1, "vgg-avg"),
        ("test_vit", 32, 3, "linear"), ("test_efficientnet", 40, 1, "linear"), ("test_convnext", 32, 3, "vgg-avg"),
    ],
)  # fmt: skip
def test_backbones_give_a_logit_a_class(name, size, channels, top):
    model = build(name, spec(size, channels), dropout=0.3, top=top).eval()
    assert model(torch.randn(2, channels, size, size)).shape == (2, 5)


def test_the_output_is_that_of_timms_network_and_one_linear_layer():
    torch.manual_seed(0)
    model = Backbone("test_resnet", 5, height=32, width=32).eval()
    reference = timm.create_model("test_resnet", num_classes=0).eval()
    reference.load_state_dict(model.features.state_dict())
    images = torch.randn(3, 3, 32, 32)
    linear = model.top[1]
    assert torch.allclose(model(images), reference(images) @ linear.weight.T + linear.bias, atol=1e-6)


def test_the_vgg_top_is_as_published():
    model = Backbone("resnet18", 5, height=64, width=64, top="vgg")
    kinds = [type(layer).__name__ for layer in model.top]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert model.top[0].in_features == 512 * 2 * 2 and model.top[0].out_features == 4096 and model.top[2].p == 0.5


def test_building_one_leaves_the_training_mode_of_the_features():
    assert Backbone("resnet18", 5, height=64, width=64, top="vgg").features.training


def test_names_are_found_near_and_far():
    assert check_model("test_resnet") == "test_resnet"
    with pytest.raises(UsageError, match="did you mean resnet18"):
        check_model("resnet81")
    names = [name for name, entry in MODELS.items() if entry.target == BACKBONES]
    assert len(names) > 8 and all(timm.is_model(name) for name in names)
    own = BackboneFamily().default_input("resnet18", {}, {})
    assert (own["height"], own["width"]) == (224, 224)


def test_weights_from_a_file_by_name(tmp_path):
    torch.manual_seed(1)
    source = timm.create_model("test_resnet", num_classes=7)
    state = source.state_dict()
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "w.pth")
    save_file(state, tmp_path / "w.safetensors")
    for file in ("w.pth", "w.safetensors"):
        model = build("test_resnet", spec())
        told = BackboneFamily().load_weights(model, tmp_path / file)
        assert "left at their initial values" not in told
        for name, value in model.features.state_dict().items():
            assert torch.equal(value, state[name]), name


def test_a_gray_model_takes_the_sum_of_a_colour_stem(tmp_path):
    source = timm.create_model("test_resnet", num_classes=0)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    model = build("test_resnet", spec(32, 1)).eval()
    BackboneFamily().load_weights(model, tmp_path / "w.safetensors")
    gray = torch.randn(2, 1, 32, 32)
    assert torch.allclose(model.features(gray), source.eval()(gray.expand(-1, 3, -1, -1)), atol=1e-5)


def test_files_that_are_not_these_weights_are_refused(tmp_path):
    model = build("test_resnet", spec())
    wrong = timm.create_model("test_efficientnet", num_classes=0)
    torch.save(wrong.state_dict(), tmp_path / "wrong.pth")
    with pytest.raises(CheckpointError, match="does not hold the weights of this backbone"):
        BackboneFamily().load_weights(model, tmp_path / "wrong.pth")
    state = timm.create_model("test_resnet", num_classes=0).state_dict()
    state["conv1.0.weight" if "conv1.0.weight" in state else "conv1.weight"][0] = float("inf")
    torch.save(state, tmp_path / "inf.pth")
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        BackboneFamily().load_weights(model, tmp_path / "inf.pth")
    with pytest.raises(CheckpointError, match="does not exist"):
        BackboneFamily().load_weights(model, tmp_path / "none.pth")
    torch.save({"epoch": 3}, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match="not a state dict"):
        BackboneFamily().load_weights(model, tmp_path / "odd.pth")


class Exploding:
    """What unpickling would run."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code from the file was run')",))


def test_code_in_a_weights_file_is_not_run(tmp_path):
    torch.save({"state_dict": Exploding()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="asks for code"):
        BackboneFamily().load_weights(build("test_resnet", spec()), tmp_path / "evil.pth")


def test_hub_weights_without_a_network_are_refused_at_once(monkeypatch, tmp_path):
    import huggingface_hub.constants as hub

    monkeypatch.setattr(backbones, "is_cached", lambda name: False)
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set") as caught:
        build("resnet18", spec(), pretrained=True)
    assert hub_source("resnet18") in caught.value.message and "--no-pretrained" in caught.value.hint
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.getaddrinfo", lambda *a: (_ for _ in ()).throw(OSError(-2, "Name not known")))
    for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(key, raising=False)
    with pytest.raises(DownloadError, match="cannot be reached"):
        build("resnet18", spec(), pretrained=True)
    with pytest.raises(UsageError, match="no pre-trained weights"):
        build("resnet10t" if not hub_source("resnet10t") else "test_convnext3" if not hub_source("test_convnext3") else
              next(n for n in timm.list_models() if not hub_source(n)), spec(224), pretrained=True)  # fmt: skip
