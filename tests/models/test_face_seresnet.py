from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError
from affectkit.models import face_seresnet
from affectkit.models.registry import build, last_layer, takes_faces

SPEC = InputSpec("distribution", 48, 48, 1, (0.0,), (1.0,), classes=("a", "b", "c"))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = build("face-seresnet", SPEC, dropout=0.0)
    for module in made.modules():  # so that blocks are more than their shortcuts, and running statistics count
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, std=0.1)
    return made.eval()


def test_it_is_small_and_takes_any_size(network):
    assert 3.5e6 < sum(value.numel() for value in network.parameters()) < 4.2e6
    for size in ((48, 48), (32, 32), (40, 56), (64, 47), (16, 16)):
        assert network(torch.rand(2, 1, *size)).shape == (2, 3)
    assert takes_faces("face-seresnet") and not takes_faces("resnet18")
    assert last_layer("face-seresnet", network) is network.head


def test_a_face_and_its_mirror_image_get_the_same_answer(network):
    images = torch.rand(4, 1, 48, 48)
    torch.testing.assert_close(network(images), network(images.flip(3)), atol=1e-5, rtol=0)
    alone = build("face-seresnet", SPEC, dropout=0.0, mirror=False).eval()
    alone.load_state_dict(network.state_dict())
    assert (alone(images) - alone(images.flip(3))).abs().max() > 1e-3
    torch.testing.assert_close(network(images), (alone(images) + alone(images.flip(3))) / 2, atol=1e-5, rtol=0)


def test_light_and_contrast_of_the_whole_do_not_matter(network):
    images = torch.rand(3, 1, 48, 48) * 0.4 + 0.1
    torch.testing.assert_close(network(images), network(images * 1.9 + 0.02), atol=0.05, rtol=0)
    flat = face_seresnet.standardise(torch.full((2, 3, 8, 8), 0.7))
    assert flat.abs().max() < 1e-4  # no noise blown up
    values = face_seresnet.standardise(images)
    torch.testing.assert_close(values.mean((1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    # The deviation of values about 0.1 wide lies a little below one, for the faintest are not blown up.
    assert torch.all((values.var((1, 2, 3), unbiased=False).sqrt() - 0.92).abs() < 0.03)


def test_a_gate_follows_the_means():
    """Against the definition written out: s = sigmoid(W2 relu(W1 mean(x)))."""
    torch.manual_seed(1)
    gate = face_seresnet.Excitation(16, reduction=4)
    maps = torch.randn(2, 16, 5, 7)
    for image, made in zip(maps, gate(maps), strict=True):
        means = image.flatten(1).mean(1)
        inner = torch.clamp(gate.reduce.weight @ means + gate.reduce.bias, min=0)
        scale = 1 / (1 + torch.exp(-(gate.expand.weight @ inner + gate.expand.bias)))
        torch.testing.assert_close(made, image * scale[:, None, None])


def test_a_block_begins_as_its_shortcut():
    block = face_seresnet.Block(8, 8, 1).train()
    maps = torch.rand(2, 8, 6, 6)
    torch.testing.assert_close(block(maps), maps)
    assert face_seresnet.Block(8, 16, 2).eval()(torch.rand(1, 8, 5, 7)).shape == (1, 16, 3, 4)


def test_weights_of_a_checkpoint_without_its_classes(network, tmp_path):
    save_file(network.state_dict(), tmp_path / "plain.safetensors")
    other = build("face-seresnet", SPEC.with_(classes=("x", "y")), dropout=0.0)
    before = other.head[1].weight.clone()
    taken = face_seresnet.FaceSEResNetFamily().load_weights(other, tmp_path / "plain.safetensors", classes=("x", "y"))
    assert "head.1" in taken and torch.equal(other.head[1].weight, before)
    assert torch.equal(other.stem[0].weight, network.stem[0].weight)
    half = {name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()}
    del half["stem.0.weight"]
    save_file(half, tmp_path / "torn.safetensors")
    with pytest.raises(CheckpointError, match=r"no stem\.0\.weight"):
        face_seresnet.FaceSEResNetFamily().load_weights(other, tmp_path / "torn.safetensors")
