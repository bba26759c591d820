"""convert: the head alone where CLIP is OpenAI's, everything otherwise; the same predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from published_files import TINY_TOWER, hash_of, learn_tiny, make_state, openai_file, straight, write
from safetensors.torch import load_file, save_file
from support import Heard

import affectkit
from affectkit.checkpoints.checkpoint import read_header
from affectkit.checkpoints.convert import compare, convert
from affectkit.errors import CheckpointError, UsageError
from affectkit.models import clip

HEAD_TENSORS = 6 * 12 + 4 * 2
"""Six transformer layers and four linear ones."""


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    return learn_tiny(monkeypatch)


def images() -> torch.Tensor:
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def predicted(path, **options) -> torch.Tensor:
    return affectkit.load(path, **options)(images())


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("clip_weights", ["keep", None])
def test_with_everything_carried_predictions_are_the_same_bits(tmp_path, half, clip_weights):
    source, out, heard = tmp_path / "p.pth", tmp_path / "deep" / "out.safetensors", Heard()
    write(source, make_state(half=half))
    summary = convert(source, out, clip_weights=clip_weights, reporter=heard)
    assert torch.equal(predicted(out), predicted(source))
    assert summary["clip_carried"] and summary["compared"] is None
    assert summary["bytes_after"] == out.stat().st_size and summary["bytes_before"] == source.stat().st_size
    kept = load_file(out)
    assert (kept["encoder.tower.conv1.weight"].dtype == torch.float16) is half  # as in the file, so no larger
    assert len(kept) == summary["tensors"] == HEAD_TENSORS + len(TINY_TOWER.shapes())
    assert read_header(out).spec == read_header(source).spec
    assert read_header(out).options == read_header(source).options
    assert any("--clip-weights openai" in note for note in heard.notes) is (clip_weights is None)
    assert "VCA, tiny, 2 outputs" in heard.notes[0] and "epoch 31, best_R 0.81" in heard.notes[0]


@pytest.mark.parametrize("case", ["single, exact", "single, rounded", "half, exact", "half, rounded"])
def test_the_head_alone_where_clip_is_openais(tmp_path, case):
    kind, equality = case.split(", ")
    state = make_state()
    if equality == "exact":  # OpenAI's numbers can be held in half precision
        state = {name: rounded(name, value) for name, value in state.items()}
    openai = openai_file(tmp_path / "openai.pt", state)
    if kind == "half":
        state = {name: value.half() if "visual" in name else value for name, value in state.items()}
    elif equality == "rounded":
        state = {name: rounded(name, value) for name, value in state.items()}
    source, out, heard = write(tmp_path / "p.pth", state), tmp_path / "out.safetensors", Heard()
    summary = convert(source, out, clip_weights=str(openai), reporter=heard)
    compared = summary["compared"]
    assert compared["equal"] and compared["exact"] + compared["rounded"] == len(TINY_TOWER.shapes())
    assert (compared["rounded"] > 0) is (equality == "rounded")
    kept = load_file(out)
    assert len(kept) == HEAD_TENSORS and all(name.startswith("head.") for name in kept)
    assert summary["clip_sha256"] == hash_of(openai) and not summary["clip_carried"]
    found = predicted(out, clip_weights=str(openai))
    np.testing.assert_allclose(found, straight(state, images(), heads=2), atol=1e-5 if equality == "exact" else 2e-3)
    if equality == "exact":
        assert torch.equal(found, predicted(source))
    assert ("rounded to half" if equality == "rounded" else "last bit") in heard.notes[-1]


def rounded(name: str, value: torch.Tensor) -> torch.Tensor:
    return value.half().float() if "visual" in name else value


def test_a_converted_head_refuses_another_clip(tmp_path):
    state = make_state()
    openai = openai_file(tmp_path / "openai.pt", state)
    out = tmp_path / "out.safetensors"
    convert(write(tmp_path / "p.pth", state), out, clip_weights=str(openai), reporter=Heard())
    other = openai_file(tmp_path / "other.pt", state, change=lambda value: value * 1.001)
    with pytest.raises(CheckpointError, match="are not those that the model was trained"):
        affectkit.load(out, clip_weights=str(other))


def test_one_number_of_one_tensor_is_a_difference(tmp_path):
    state, heard = make_state(half=True), Heard()
    openai = openai_file(tmp_path / "openai.pt", state)
    name = "clip_model.visual.transformer.resblocks.1.mlp.c_fc.weight"
    state[name] = state[name].clone()
    state[name][3, 4] = torch.nextafter(state[name][3, 4], torch.tensor(9.0).half())
    source, out = write(tmp_path / "p.pth", state), tmp_path / "out.safetensors"
    summary = convert(source, out, clip_weights=str(openai), reporter=heard)
    assert summary["clip_carried"] and summary["compared"]["different"] == 1
    assert 0 < summary["compared"]["greatest_difference"] < 1e-3
    assert "1 of 32 tensors differ (transformer.resblocks.1.mlp.c_fc.weight" in heard.warnings[0]
    assert torch.equal(predicted(out), predicted(source))


def test_the_rule_of_equality():
    third = torch.tensor([1 / 3])
    half = third.half()
    cases = [
        (third, third, (1, 0, [])),
        (half, half.float(), (1, 0, [])),
        (half, third, (0, 1, [])),
        (half.float(), third, (0, 1, [])),
        (third.bfloat16(), third, (0, 1, [])),
        (third.bfloat16().float(), third, (0, 0, ["a"])),
        (third + 1e-7, third, (0, 0, ["a"])),
        (third[None], third, (0, 0, ["a"])),
    ]
    for given, reference, expected in cases:
        found = compare({"a": given}, {"a": reference})
        assert (found.exact, found.rounded, found.different) == expected
    assert compare({}, {"a": third}).different == compare({"a": third}, {}).different == ["a"]


@pytest.mark.parametrize("asked", [None, "openai"])
def test_openais_weights_are_compared_where_they_are_here_or_fetched_when_asked(tmp_path, monkeypatch, asked):
    state, heard = make_state(), Heard()
    file = openai_file(tmp_path / "openai.pt", state)
    load, loaded = clip.load_tower, []

    def fetch(choice, source=None, **options):
        loaded.append((choice.name, choice.weights, choice.quick_gelu, source, len(heard.notes)))
        return load(choice, file)

    monkeypatch.setattr(clip, "is_cached", lambda choice: asked is None)
    monkeypatch.setattr(clip, "weights_source", lambda choice: "hub.example")
    monkeypatch.setattr(clip, "load_tower", fetch)
    summary = convert(write(tmp_path / "p.pth", state), tmp_path / "o.safetensors", clip_weights=asked, reporter=heard)
    assert not summary["clip_carried"]
    assert loaded == [("tiny", "openai", True, None, 2 if asked else 1)]
    assert any("Fetching OpenAI's tiny from hub.example" in note for note in heard.notes) is (asked == "openai")


def test_one_output(tmp_path):
    source, out = write(tmp_path / "p.pth", make_state(outputs=1)), tmp_path / "out.safetensors"
    with pytest.raises(CheckpointError, match="does not say"):
        convert(source, out, reporter=Heard())
    assert not out.exists()
    convert(source, out, outputs="valence", reporter=Heard())
    assert affectkit.load(out).spec.classes == ("valence",) and predicted(out).shape == (3, 1)


def test_nothing_is_written_over_or_beside(tmp_path):
    source, out = write(tmp_path / "p.pth", make_state()), tmp_path / "out.safetensors"
    out.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        convert(source, out, reporter=Heard())
    assert out.read_text() == "mine"
    convert(source, out, force=True, reporter=Heard())
    first = out.read_bytes()
    convert(source, out, force=True, reporter=Heard())
    assert out.read_bytes() == first and len(first) > 1000
    for given, wanted, message in (
        (source, tmp_path / "out.pth", "must end in"),
        (out, tmp_path / "b.safetensors", "is a safetensors file"),
    ):
        with pytest.raises(UsageError, match=message):
            convert(given, wanted, reporter=Heard())
        assert not wanted.exists()
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        convert(source, tmp_path / "folder.safetensors", reporter=Heard())
    with pytest.raises(UsageError, match="is not a file"):
        convert(source, tmp_path / "b.safetensors", clip_weights="nowhere.pt", reporter=Heard())
    disguised = write(tmp_path / "p.safetensors", make_state())
    with pytest.raises(UsageError, match="the published file itself"):
        convert(disguised, disguised, force=True, reporter=Heard())
    save_file({"a": torch.zeros(1)}, tmp_path / "plain.safetensors")
    with pytest.raises(UsageError, match="is a safetensors file"):
        convert(tmp_path / "plain.safetensors", tmp_path / "b.safetensors", reporter=Heard())
    with pytest.raises(CheckpointError, match="does not exist"):
        convert(tmp_path / "none.pth", tmp_path / "b.safetensors", reporter=Heard())
    assert not (tmp_path / "b.safetensors").exists() and not list(tmp_path.glob(".*.part"))
