"""Published VCA checkpoints: recognised by keys and shapes, and predicting as plain arithmetic does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from published_files import SCALARS, TINY_TOWER, learn_tiny, make_state, straight, write

import affectkit
from affectkit.checkpoints.checkpoint import load_model, read_header
from affectkit.errors import CheckpointError, UsageError
from affectkit.models import clip
from affectkit.models.external.published import TOWERS, is_published, read_published, tower_state
from affectkit.models.external.published_format import check_finite_numbers


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    return learn_tiny(monkeypatch)


@pytest.mark.parametrize(
    ("half", "prefix", "zipped", "text"),
    [(False, "", True, True), (True, "", True, True), (False, "module.", False, True), (True, "module.", True, False)],
)
def test_a_published_file_predicts_what_its_weights_say(tmp_path, half, prefix, zipped, text):
    state = make_state(half=half, prefix=prefix, text=text)
    path = write(tmp_path / "published.pth", state, zipped=zipped)
    images = torch.rand(3, 3, 32, 32)
    model = affectkit.load(path)
    with torch.no_grad():
        found = model(images)
    expected = straight(state, images, heads=2)
    assert found.shape == expected.shape == (3, 2)
    assert expected.std(0).min() > 1e-3  # images differ
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert model.spec.classes == ("arousal", "valence") and model.spec.task == "ratings"
    assert (model.spec.mean, model.spec.std, model.spec.fit) == ((0.0,) * 3, (1.0,) * 3, "stretch")
    assert not model.training and len(model.checkpoint_hash) == 64
    assert model.encoder.sha256 == clip.tower_hash(model.encoder.tower) == model.options["clip_model"]["sha256"]


def test_what_is_told_of_a_file(tmp_path):
    path = write(tmp_path / "p.pth", make_state(half=True))
    found = read_published(path)
    assert is_published(path) and found.title == "VCA, tiny, 2 outputs (arousal, valence), half precision"
    assert found.summary == pytest.approx({name: float(value) for name, value in SCALARS.items()})
    assert {type(value) for value in found.summary.values()} == {int, float}
    assert set(tower_state(found)) == set(TINY_TOWER.shapes())
    assert not any("token_embedding" in name for name in found.state)
    header = read_header(path)
    assert header.training["published"]["epoch"] == 31 and header.training["task_options"] == {}
    assert header.to_text() == load_model(path).header.to_text()


def test_a_state_dict_alone(tmp_path):
    torch.save(make_state(), tmp_path / "p.pth")
    found = read_published(tmp_path / "p.pth")
    assert found.summary == {} and found.precision == "single"


def test_one_output_has_to_be_named(tmp_path):
    path = write(tmp_path / "p.pth", make_state(outputs=1))
    with pytest.raises(CheckpointError, match="valence or arousal") as caught:
        affectkit.load(path)
    assert "--outputs valence" in caught.value.hint
    for name in ("valence", "arousal"):
        assert read_published(path, outputs=name).spec.classes == (name,)
    with pytest.raises(UsageError, match="outputs must be"):
        read_published(path, outputs="dominance")
    with pytest.raises(UsageError, match="has two outputs"):
        read_published(write(tmp_path / "two.pth", make_state()), outputs="valence")


V = "clip_model.visual."
BLOCK = V + "transformer.resblocks.1."
FAULTS = {
    "no LA.layers.0.norm1.weight": lambda s: s.pop("LA.layers.0.norm1.weight"),
    "XX.weight is not known": lambda s: s.update({"XX.weight": torch.zeros(1)}),
    r"CE.1.bias is \(3,\), not \(576,\)": lambda s: s.update({"CE.1.bias": torch.zeros(3)}),
    "no head: no LastFC.weight": lambda s: s.pop("LastFC.weight"),
    r"LastFC.weight is \(4,\)": lambda s: s.update({"LastFC.weight": torch.zeros(4)}),
    "3 outputs, not 1 or 2": lambda s: s.update({"LastFC.weight": torch.zeros(3, 576)}),
    r"takes 1024 features, not 512 \(ViT-B-32\)": lambda s: s.update({"LastFC.weight": torch.zeros(2, 1536)}),
    "no CLIP: nothing under": lambda s: [s.pop(name) for name in list(s) if name.startswith(V)],
    f"no {V}ln_pre.weight": lambda s: s.pop(V + "ln_pre.weight"),
    f"{V}head.weight is not known": lambda s: s.update({V + "head.weight": torch.zeros(1)}),
    "clip_model.audio.weight is not known": lambda s: s.update({"clip_model.audio.weight": torch.zeros(1)}),
    "patches of 4, .*tiny has .*patches of 8": lambda s: s.update({V + "conv1.weight": torch.zeros(64, 3, 4, 4)}),
    "images of 64, .*tiny has .*images of 32": lambda s: s.update({V + "positional_embedding": torch.zeros(65, 64)}),
    "1 layers, .*tiny has width 64, 2 layers": lambda s: [s.pop(n) for n in list(s) if n.startswith(BLOCK)],
    "not those of a vision transformer": lambda s: s.pop(V + "proj"),
    "is of type int32, not half or single": lambda s: s.update({V + "ln_post.bias": torch.zeros(64).int()}),
    r"infinity in encoder.tower.ln_post.bias\.": lambda s: s[V + "ln_post.bias"].fill_(torch.nan),
    "NaN or infinity in head.LastFC.bias": lambda s: s.update({"LastFC.bias": torch.tensor([torch.inf, -torch.inf])}),
    "not a state dict of tensors: note is": lambda s: s.update({"note": "hello"}),
    "not a state dict of tensors: 3 is": lambda s: s.update({3: torch.zeros(1)}),
}  # fmt: skip


@pytest.mark.parametrize("message", FAULTS)
def test_each_fault_is_named(tmp_path, message):
    state = make_state()
    FAULTS[message](state)
    path = write(tmp_path / "p.pth", state)
    with pytest.raises(CheckpointError, match=message):
        load_model(path)


def test_weights_of_something_else(tmp_path):
    import timm

    path = tmp_path / "r.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    with pytest.raises(CheckpointError, match="none of the published checkpoints") as caught:
        read_published(path)
    assert "not VCA: no CLIP" in caught.value.message and "bn1.bias" in caught.value.message
    assert "--init" in caught.value.hint
    for thing, what in (({}, "an empty dict"), ([1, 2], "a list"), (torch.zeros(2), "a Tensor")):
        torch.save(thing, path)
        with pytest.raises(CheckpointError, match=what):
            read_published(path)


def test_the_summary_holds_plain_finite_numbers_alone():
    given = {"a": np.float64(1.5), "b": torch.tensor(2), "c": float("nan"), "d": "text", "e": [np.float32(0.5), 1]}
    assert check_finite_numbers({**given, "f": True, "g": [1, "x"], "h": torch.zeros(2)}) == {
        "a": 1.5,
        "b": 2,
        "e": [0.5, 1],
    }


@pytest.mark.parametrize("embed", [512, 768])
def test_the_towers_are_those_that_open_clip_builds(embed):
    import open_clip

    tower = TOWERS[embed]
    config = open_clip.get_model_config(tower.name)
    expected = {"image_size": tower.size, "layers": tower.layers, "width": tower.width, "patch_size": tower.patch}
    assert (config["embed_dim"], config["vision_cfg"]) == (embed, expected)


def test_the_shapes_are_those_of_the_tower_itself():
    built = clip.build_tower(TINY_TOWER.choice()).state_dict()
    assert {name: tuple(value.shape) for name, value in built.items()} == TINY_TOWER.shapes()


@pytest.mark.slow
@pytest.mark.parametrize("embed", [512])
def test_a_published_file_of_real_size(tmp_path, embed):
    tower = TOWERS[embed]
    state = make_state(tower, half=True)
    path = write(tmp_path / "published.pth", state)
    images = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        found = affectkit.load(path)(images)
    np.testing.assert_allclose(found, straight(state, images, heads=tower.width // 64), atol=1e-5)
