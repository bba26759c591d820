"""VCA: the head against the published system's numbers and torch's own layers; CLIP frozen, by name and hash."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support import CLIP_CONFIG, fill
from torch import nn

from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError, DownloadError, UsageError
from affectkit.models import clip, vca

FAMILY = vca.VCAFamily()
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vca_head.json").read_text())


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("clip") / "tiny.json"
    path.write_text(json.dumps(CLIP_CONFIG))
    return str(path)


def spec(size: int = 32, **changes) -> InputSpec:
    values = {"task": "ratings", "height": size, "width": size, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    return InputSpec(**{**values, "classes": ("arousal", "valence"), **changes})


def golden_head() -> vca.Head:
    head = vca.Head(512, 2).eval()
    head.load_state_dict({name: fill(name, value.shape) for name, value in head.state_dict().items()})
    return head


def test_the_head_gives_the_published_numbers():
    head = golden_head()
    features = torch.tensor(np.random.default_rng(77).normal(0, 1, (4, 512)).astype("float32"))
    found = {}
    for name in ("LA", "BA", "BL", "CE"):
        getattr(head, name).register_forward_hook(lambda module, args, output, name=name: found.update({name: output}))
    with torch.no_grad():
        outputs = head(features)
    assert {name: list(value.shape) for name, value in head.state_dict().items()} == GOLDEN["params"]
    np.testing.assert_allclose(outputs[:, 0], GOLDEN["output column 0 (arousal)"], atol=2e-6)
    np.testing.assert_allclose(outputs[:, 1], GOLDEN["output column 1 (valence)"], atol=2e-6)
    for name, output in found.items():
        told = GOLDEN[name]
        assert list(output.shape) == told["shape"]
        np.testing.assert_allclose(float(output.mean()), told["mean"], atol=1e-6)
        np.testing.assert_allclose(float(output.std()), told["std"], atol=1e-6)
        np.testing.assert_allclose(output.flatten()[:16], told["first16"], atol=3e-6)
        np.testing.assert_allclose(output.flatten()[-4:], told["last4"], atol=3e-6)
    assert len(found) == 4


@pytest.mark.parametrize("heads", [1, 4])
def test_a_layer_is_torchs_encoder_layer_on_sequences_of_one(heads):
    """Outputs and all gradients, those of query and key (zero) included."""
    torch.manual_seed(3)
    ours = vca.Layer(16, heads).eval()
    theirs = nn.TransformerEncoderLayer(16, heads, dim_feedforward=vca.FEED_FORWARD, batch_first=True).eval()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 16)
    a, b = ours(x), theirs(x[:, None])[:, 0]
    torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    a.square().sum().backward()
    b.square().sum().backward()
    for (name, mine), (_, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=2e-4, rtol=1e-5, msg=name)
    assert not ours.self_attn.in_proj_weight.grad[:32].any()


def test_dropout_on_attention_leaves_out_whole_heads():
    layer = vca.Layer(16, 4).train()
    seen: list[torch.Tensor] = []
    layer.self_attn.out_proj.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    torch.manual_seed(0)
    layer(torch.randn(4000, 16))
    zero = seen[0].view(4000, 4, 4) == 0
    whole = zero.all(2)
    assert torch.equal(whole, zero.any(2))
    assert abs(float(whole.float().mean()) - 0.1) < 0.02


def test_equal_layers_at_the_start_and_another_model_for_another_seed():
    torch.manual_seed(0)
    head = vca.Head(64, 2)
    first, second = (layer.state_dict() for layer in head.LA.layers)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(head.BA[1].weight, head.BL[1].weight)


def test_published_branches_begin_alike_and_all_else_as_without():
    plain, alike = (seeded_head(equal_branches=equal).state_dict() for equal in (False, True))
    basal = {name: value for name, value in alike.items() if name.startswith("BA.0.")}
    assert len(basal) == 12 and all(
        torch.equal(value, alike[name.replace("BA", "BL")]) for name, value in basal.items()
    )
    changed = {name for name in plain if not torch.equal(plain[name], alike[name])}
    assert changed and all(name.startswith("BL.0.") for name in changed)
    assert not torch.equal(alike["BA.1.weight"], alike["BL.1.weight"])


def seeded_head(**options) -> vca.Head:
    torch.manual_seed(0)
    return vca.Head(64, 2, **options)


def build(config: str, **changes) -> vca.VCA:
    choice = clip.choose_clip(config, "random")
    return FAMILY.build("vca", spec(), clip_model=choice.to_dict(), **changes)


def test_clip_is_frozen_and_neither_trained_saved_averaged_nor_copied(config):
    model = build(config)
    assert all(name.startswith("head.") for name in model.state_dict())
    assert all(name.startswith("head.") for name, _ in model.named_parameters())
    assert not any(value.requires_grad for value in model.encoder.tower.parameters())
    model.train()
    assert model.head.training
    assert not any(module.training for module in (model.encoder, *model.encoder.tower.modules()))
    images = torch.rand(2, 3, 32, 32)
    features = model.encoder(images)
    assert not features.requires_grad and features.shape == (2, 64)
    other = copy.deepcopy(model)
    assert other.encoder is model.encoder and other.head is not model.head
    model.double()
    assert {value.dtype for value in model.encoder.tower.parameters()} == {torch.float64}


def test_of_towers_that_give_more_the_features_are_taken():
    """CoCa's image towers return (features, tokens)."""

    class Both(nn.Module):
        def forward(self, images):
            return images.flatten(1), images

    images = torch.rand(2, 3, 4, 4)
    encoder = clip.Encoder(Both(), clip.choose_clip("coca_ViT-B-32", "random"))
    assert torch.equal(encoder(images), images.flatten(1))


def test_images_and_their_features_give_the_same_ratings(config):
    model = build(config).eval()
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model(images), model(model.encoder(images)))


def test_weights_with_another_hash_are_refused(config, tmp_path):
    model = build(config)
    choice = clip.ClipChoice(**model.options["clip_model"])
    assert choice.sha256 == model.encoder.sha256 == clip.tower_hash(model.encoder.tower)
    state = {f"visual.{name}": value.clone() for name, value in model.encoder.tower.state_dict().items()}
    save_file(state, tmp_path / "same.safetensors")
    again = FAMILY.build("vca", spec(), clip_model=choice.to_dict(), clip_weights=str(tmp_path / "same.safetensors"))
    assert again.encoder.sha256 == choice.sha256
    state["visual.proj"][0, 0] += 1e-3
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError) as caught:
        FAMILY.build("vca", spec(), clip_model=choice.to_dict(), clip_weights=str(tmp_path / "other.safetensors"))
    assert choice.sha256[:12] in caught.value.message and "--clip-weights" in caught.value.hint
    del state["visual.proj"]
    save_file(state, tmp_path / "short.safetensors")
    with pytest.raises(CheckpointError, match="no proj"):
        FAMILY.build("vca", spec(), clip_model=choice.to_dict(), clip_weights=str(tmp_path / "short.safetensors"))


def test_carried_weights_are_part_of_the_model(config):
    model = build(config, carried=True)
    names = set(model.state_dict())
    assert {f"encoder.tower.{name}" for name in model.encoder.tower.state_dict()} < names
    assert not any(name.startswith("encoder.") for name, value in model.named_parameters() if value.requires_grad)
    empty = build(config, carried=True, empty=True)
    empty.load_state_dict(model.state_dict())
    assert clip.tower_hash(empty.encoder.tower) == model.encoder.sha256


def test_another_input_size_is_refused(config):
    with pytest.raises(UsageError, match="32x32x3"):
        FAMILY.build("vca", spec(64), clip_model=clip.choose_clip(config, "random").to_dict())


def test_random_weights_are_the_same_each_time_and_leave_torchs_stream_alone(config):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = clip.build_tower(clip.choose_clip(config, "random"))
    assert torch.equal(torch.rand(1), expected)
    assert clip.tower_hash(first) == clip.tower_hash(clip.build_tower(clip.choose_clip(config, "random")))


def test_choices_of_clip():
    assert clip.choose_clip("ViT-L/14", "openai") == clip.ClipChoice("ViT-L-14", "openai", True)
    assert clip.choose_clip("ViT-B-32", "laion2b_s34b_b79k").quick_gelu is False
    assert clip.choose_clip("ViT-B-32-quickgelu", "w.pt").quick_gelu is True
    assert clip.choose_clip("ViT-B-32", "w.pt", activation="gelu").quick_gelu is False
    faults = {
        ("ViT-B-33", "openai", "auto"): "did you mean ViT-B-32",
        ("ViT-B-32", "opnai", "auto"): "did you mean openai",
        ("ViT-B-32", "weights.safetensors", "auto"): "does not tell",
        ("ViT-B-32-quickgelu", "laion2b_s34b_b79k", "auto"): "trained with GELU",
        ("ViT-B-32", "openai", "gelu"): "trained with QuickGELU",
    }
    for (name, weights, activation), text in faults.items():
        with pytest.raises(UsageError, match=text):
            clip.choose_clip(name, weights, activation=activation)


def test_a_configuration_that_is_none(tmp_path):
    (tmp_path / "x.json").write_text('{"embed_dim": 4}')
    with pytest.raises(UsageError, match="no vision_cfg"):
        clip.choose_clip(str(tmp_path / "x.json"), "random")


def test_without_a_network_the_message_says_what_is_missing_and_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(clip, "is_cached", lambda choice: False)
    with pytest.raises(DownloadError) as caught:
        clip.load_tower(clip.choose_clip("ViT-L-14", "openai"))
    assert "timm/vit_large_patch14_clip_224.openai" in caught.value.message
    assert "--clip-weights FILE" in caught.value.hint


def test_the_quickgelu_of_openai_is_in_the_tower(config):
    choice = clip.choose_clip(config, "random")
    assert choice.quick_gelu
    for quick, kind in ((True, "QuickGELU"), (False, "GELU")):
        tower = clip.build_tower(clip.ClipChoice(choice.name, "random", quick, choice.config))
        kinds = {type(module).__name__ for module in tower.modules() if "GELU" in type(module).__name__}
        assert kinds == {kind}


def test_a_head_starts_from_another_checkpoint(config, tmp_path):
    first, second = build(config), build(config)
    save_file(first.state_dict(), tmp_path / "first.safetensors")
    assert not torch.equal(first.head.LastFC.weight, second.head.LastFC.weight)
    told = FAMILY.load_weights(second, tmp_path / "first.safetensors")
    assert str(tmp_path) in told
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    save_file({"x": torch.zeros(1)}, tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="no VCA head"):
        FAMILY.load_weights(second, tmp_path / "none.safetensors")


def test_the_golden_inputs_are_made_as_the_reference_says():
    path = Path(__file__).resolve().parents[3] / "shared" / "reference" / "golden" / "fill.py"
    if not path.is_file():
        pytest.skip("the reference folder is not beside the checkout")
    loader = importlib.util.spec_from_file_location("reference_fill", path)
    reference = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(reference)
    shapes = {"LA.layers.0.norm1.weight": (7,), "BA.1.weight": (3, 5), "BL.1.bias": (4,), "x.in_proj_bias": (6,)}
    for name, shape in shapes.items():
        assert torch.equal(fill(name, shape), reference.fill(name, shape))
