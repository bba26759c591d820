"""Weights in what training scripts save: every wrapper, several sets, and files that hold none or too many."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file
from support import Heard, settings

from affectkit.checkpoints.checkpoint import load_model
from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError
from affectkit.models.external.state_dicts import unwrap
from affectkit.models.external.weights import read_weights, tensor_shapes
from affectkit.models.registry import build, family
from affectkit.training import run

NAME = "test_resnet"
SPEC = InputSpec("classification", 32, 32, classes=("a", "b"))


@pytest.fixture(scope="module")
def weights():
    """The state dict of a network, and one that differs from it in every number."""
    torch.manual_seed(0)
    state = timm.create_model(NAME, num_classes=2).state_dict()
    return state, {name: value + 1 for name, value in state.items()}


def named(state, pattern):
    """``state`` with each name as ``pattern`` makes it."""
    return {pattern.format(name): value for name, value in state.items()}


def inside(state, mark="_orig_mod"):
    """``state`` as of a network of which the second part alone was compiled."""
    return {name.replace(".", f".{mark}.", 1): value for name, value in state.items()}


def loaded(path, saved, *, key=None):
    """A model that starts from ``saved``, and what was said."""
    torch.save(saved, path)
    model = build(NAME, SPEC)
    return model, family(NAME).load_weights(model, path, classes=SPEC.classes, key=key)


def holds(model, state):
    own = model.features.state_dict()
    return len(own) > 20 and all(torch.equal(value, state[name]) for name, value in own.items())


WRAPPED = {
    "bare": (lambda s: s, ""),
    "data parallel": (lambda s: named(s, "module.{}"), "(names without module.)"),
    "compiled": (lambda s: named(s, "_orig_mod.{}"), "(names without _orig_mod.)"),
    "compiled, then parallel": (lambda s: named(s, "module._orig_mod.{}"), "(names without module. and _orig_mod.)"),
    "parallel, then compiled": (lambda s: named(s, "_orig_mod.module.{}"), "(names without module. and _orig_mod.)"),
    "a compiled part": (inside, "(names without _orig_mod.)"),
    "sharded": (lambda s: named(s, "_fsdp_wrapped_module.{}"), "(names without _fsdp_wrapped_module.)"),
    "averaged by torch": (lambda s: {"n_averaged": torch.tensor(3), **named(s, "module.{}")}, "without module."),
    "lightning": (lambda s: {"state_dict": named(s, "model.{}"), "epoch": 3}, "(its state_dict; names without model.)"),
    "lightning, compiled": (
        lambda s: {"state_dict": {**named(s, "model._orig_mod.{}"), "criterion.weight": torch.ones(2)}},
        "(its state_dict; names without _orig_mod. and model.)",
    ),
    "an attribute": (lambda s: {"model": named(s, "net.backbone.{}")}, "(its model; names without net.backbone.)"),
    "deepspeed": (lambda s: {"module": s, "global_steps": 7}, "(its module)"),
    "a key of their own": (
        lambda s: {"my_weights": s, "optimizer": {"w": torch.ones(1)}, "epoch": 3}, "(its my_weights)"
    ),
    "seed 001's key": (lambda s: {"epoch": 1, "model_state_dict": s, "history": {"loss": [1.0]}}, "model_state_dict"),
    "two keys": (lambda s: {"model": {"state_dict": s, "depth": 18}, "epoch": 3}, "(its model/state_dict)"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_network_is_found_and_told(weights, tmp_path, name):
    wrap, told = WRAPPED[name]
    model, said = loaded(tmp_path / "w.pth", wrap(weights[0]))
    assert holds(model, weights[0])
    assert told in said and (told or "(" not in said), said
    assert "not used" in said  # timm's own classifier


SETS = {
    "as timm saves": ({"state_dict": 0, "state_dict_ema": 1}, "state_dict_ema", "state_dict"),
    "as others save": ({"model": 0, "model_ema": 1}, "model_ema", "model"),
    "another word": ({"model_state_dict": 0, "ema_state_dict": 1}, "ema_state_dict", "model_state_dict"),
}


@pytest.mark.parametrize("name", SETS)
def test_averaged_weights_come_first_and_the_others_by_their_key(weights, tmp_path, name):
    keys, first, second = SETS[name]
    saved = {key: weights[number] for key, number in keys.items()}
    model, said = loaded(tmp_path / "w.pth", saved)
    assert holds(model, weights[1]) and f"(its {first}, not: {second})" in said and "--init-key" in said
    model, said = loaded(tmp_path / "w.pth", saved, key=second)
    assert holds(model, weights[0]) and f"(its {second}, not: {first})" in said


def test_sets_that_differ_in_front_of_their_names(weights, tmp_path):
    one, other = weights
    both = {**named(one, "model.{}"), **named(other, "model_ema.{}")}
    model, said = loaded(tmp_path / "w.pth", {"state_dict": both})
    assert holds(model, other) and "its state_dict, not: model; names without model_ema." in said
    model, said = loaded(tmp_path / "w.pth", {"state_dict": both}, key="model")
    assert holds(model, one)
    # Student and teacher: which is meant is not known.
    pair = {**named(one, "student.{}"), **named(other, "teacher.backbone.{}")}
    with pytest.raises(CheckpointError, match=r"holds these weights 2 times: under student, teacher\.backbone") as got:
        loaded(tmp_path / "w.pth", pair)
    assert "--init-key student" in got.value.hint
    for key in ("teacher", "teacher.", "teacher.backbone"):
        model, said = loaded(tmp_path / "w.pth", pair, key=key)
        assert holds(model, other) and "names without teacher.backbone." in said
    twice = {**one, **named(other, "copy.{}")}
    with pytest.raises(CheckpointError, match=r"2 times: under \., copy"):
        loaded(tmp_path / "w.pth", twice)
    assert holds(loaded(tmp_path / "w.pth", twice, key=".")[0], one)
    assert holds(loaded(tmp_path / "w.pth", twice, key="copy")[0], other)


def test_an_average_that_is_wrapped_itself_comes_first_too(weights, tmp_path):
    one, other = weights
    both = {**named(one, "model.{}"), **named(other, "model_ema.module.{}")}
    model, said = loaded(tmp_path / "w.pth", {"state_dict": both})
    assert holds(model, other) and "its state_dict, not: model; names without model_ema.module." in said
    model, said = loaded(tmp_path / "w.pth", {"model": one, "ema": {"decay": 0.999, "shadow": other}})
    assert holds(model, other) and "(its ema/shadow, not: model)" in said
    assert holds(loaded(tmp_path / "w.pth", {"model": one, "ema": {"decay": 1, "shadow": other}}, key="model")[0], one)


def test_sets_under_keys_that_say_nothing_are_told_or_refused(weights, tmp_path):
    """As where their names differ: which of a student and a teacher is meant is not known."""
    one, other = weights
    pair = {"student": named(one, "backbone.{}"), "teacher": named(other, "backbone.{}"), "epoch": 3}
    with pytest.raises(CheckpointError, match=r"2 times: under student, teacher\.") as got:
        loaded(tmp_path / "w.pth", pair)
    assert "--init-key student" in got.value.hint
    assert holds(loaded(tmp_path / "w.pth", pair, key="teacher")[0], other)
    # Beside a key that is known they are named; what is of no such network is not.
    beside = {"state_dict": one, "swa_state_dict": other, "class_weights": {"a": torch.ones(1)}, "epoch": 3}
    model, said = loaded(tmp_path / "w.pth", beside)
    assert holds(model, one) and "(its state_dict, not: swa_state_dict)" in said
    assert holds(loaded(tmp_path / "w.pth", beside, key="swa_state_dict")[0], other)


def test_a_set_that_lacks_weights_does_not_win(weights, tmp_path):
    """An average over parameters alone has no running means of a batch norm."""
    one, other = weights
    part = {name: value for name, value in other.items() if "running" not in name and "num_batches" not in name}
    model, said = loaded(tmp_path / "w.pth", {"model": one, "model_ema": part})
    assert holds(model, one) and "(its model, not: model_ema)" in said


def test_what_is_not_there_is_named(weights, tmp_path):
    state = {"state_dict": named(weights[0], "model.{}")}
    with pytest.raises(
        CheckpointError, match=r"no weights under 'model_ema'. Sets in it: state_dict. .* begin with: model"
    ):
        loaded(tmp_path / "w.pth", state, key="model_ema")
    with pytest.raises(CheckpointError) as caught:
        loaded(tmp_path / "w.pth", {"state_dict": {"model.conv9.weight": torch.ones(2)}})
    text = caught.value.message
    assert "no bn1.bias; no bn1" in text and "It holds 1 tensor (its state_dict): model.conv9.weight." in text


def test_two_tensors_of_one_name_are_refused(weights, tmp_path):
    both = {**weights[0], **named(weights[1], "_orig_mod.{}")}
    with pytest.raises(CheckpointError, match="holds two tensors .*, of which one is called _orig_mod"):
        loaded(tmp_path / "w.pth", both)


def test_a_deeper_network_of_the_same_kind_is_refused(tmp_path):
    """All of a ResNet-18 stands in a ResNet-34, in the same shapes."""
    deep, flat = (timm.create_model(name, num_classes=0) for name in ("resnet34", "resnet18"))
    names = tensor_shapes(deep)
    assert all(names[name] == shape for name, shape in tensor_shapes(flat).items())
    model = build("resnet18", SPEC)
    torch.save(deep.state_dict(), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"is of a deeper network than this backbone.*\(layer1\.2\.bn1\.bias"):
        family("resnet18").load_weights(model, tmp_path / "w.pth", classes=SPEC.classes)
    torch.save(flat.state_dict(), tmp_path / "w.pth")
    family("resnet18").load_weights(model, tmp_path / "w.pth", classes=SPEC.classes)
    assert torch.equal(model.features.conv1.weight, flat.conv1.weight)


def test_affectkits_own_are_told_without_their_inner_names(tmp_path):
    torch.manual_seed(1)
    source = build(NAME, SPEC)
    save_file(
        source.state_dict(), tmp_path / "w.safetensors", metadata={"affectkit": '{"spec": {"classes": ["a", "b"]}}'}
    )
    model = build(NAME, SPEC)
    said = family(NAME).load_weights(model, tmp_path / "w.safetensors", classes=SPEC.classes)
    assert "(" not in said and torch.equal(model.top[1].weight, source.top[1].weight)
    # The same, wrapped by others.
    torch.save({"state_dict": named(source.state_dict(), "model._orig_mod.{}")}, tmp_path / "w.pth")
    model = build(NAME, SPEC)
    said = family(NAME).load_weights(model, tmp_path / "w.pth", classes=SPEC.classes)
    assert "(its state_dict; names without _orig_mod. and model.)" in said
    assert torch.equal(model.top[1].weight, source.top[1].weight) and holds(model, source.features.state_dict())


def test_the_other_families_are_unwrapped_too(tmp_path):
    for name, options in (("face-seresnet", {}), ("resnet50_plain", {})):
        torch.manual_seed(2)
        spec = SPEC.with_(height=64, width=64)
        source, model = build(name, spec, **options), build(name, spec, **options)
        torch.save({"ema": named(source.state_dict(), "model._orig_mod.{}"), "model": {}}, tmp_path / "w.pth")
        said = family(name).load_weights(model, tmp_path / "w.pth", classes=SPEC.classes)
        assert "its ema" in said, said
        assert all(torch.equal(value, source.state_dict()[key]) for key, value in model.state_dict().items())


def test_a_plain_sequence_within_another_is_found(tmp_path):
    """Cortical magnification is saved as a sequence, whose names are numbers."""
    from affectkit.models.v1.state_names import as_sequence

    spec = SPEC.with_(height=64, width=64)
    torch.manual_seed(3)
    source, model = (build("resnet50_cortical_magnification", spec) for _ in range(2))
    state = {f"model.{as_sequence(name)}": value for name, value in source.state_dict().items()}
    assert "model.10.weight" in state and "model.4.0.conv1.weight" in state
    torch.save(state, tmp_path / "w.pth")
    family("resnet50_cortical_magnification").load_weights(model, tmp_path / "w.pth")
    assert torch.equal(model.layer4[2].conv3.weight, source.layer4[2].conv3.weight)
    assert torch.equal(model.fc.weight, source.fc.weight)


def test_a_training_says_what_it_starts_from_and_takes_the_set_that_is_named(weights, folders, tmp_path, no_figures):
    one, other = weights
    torch.save({"model": named(one, "_orig_mod.{}"), "model_ema": other}, tmp_path / "w.pth")
    shared = {"top": "mlp", "top_width": 8, "epochs": 1, "init": tmp_path / "w.pth", "keep_epochs": True}
    for key, state, told in ((None, other, "its model_ema, not: model"), ("model", one, "its model, not: model_ema")):
        heard, root = Heard(), tmp_path / f"run-{key}"
        run.train(settings(folders, root, **shared, init_key=key), reporter=heard)
        assert any(f"w.pth ({told}" in note for note in heard.notes), heard.notes
        start = load_model(root / "epochs" / "epoch-000.safetensors")
        assert start.header.options == {"dropout": 0.3, "top": "mlp", "top_width": 8} and holds(start, state)
    found = settings(folders, tmp_path / "x", init_key="model", top_width=8)
    told = run.without_effect(found, frozenset({"init_key", "top_width"}))
    assert told == ["--top-width has no effect with --top linear.", "--init-key has no effect with no --init."]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({}, "an empty dict"), ([1], "a list"), (torch.ones(2), "a Tensor"), ({"epoch": 3}, "epoch is something else"),
        ({"state_dict": {"a": 1, "b": 2}}, "a, b are something else"),
        ({"state_dict": {"a": torch.ones(2).to_sparse()}}, "a is something else"),
    ],
)  # fmt: skip
def test_what_is_no_state_dict_is_refused(tmp_path, found, told):
    with pytest.raises(CheckpointError, match=told):
        unwrap(found, tmp_path / "w.pth")


def test_what_stands_beside_is_kept(tmp_path):
    import argparse

    args = argparse.Namespace(dataset="tinyimagenet", lr=0.1)
    saved = {"args": args, "epoch": 3, "model": {"state_dict": {"a.b": torch.ones(2)}, "depth": 50}}
    torch.save(saved, tmp_path / "w.pth")
    found = read_weights(tmp_path / "w.pth")
    assert found.beside == {"args": {"dataset": "tinyimagenet", "lr": 0.1}, "epoch": 3, "depth": 50}
    assert list(found.state) == ["a.b"] and found.key == "model/state_dict"
