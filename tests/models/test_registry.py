"""The registry of models: every family fulfils the written interface, and one is imported without the others."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields

import pytest
import torch
from torch import nn

from affectkit.core.registry import Entry
from affectkit.core.spec import InputSpec
from affectkit.errors import UsageError
from affectkit.models.family import Family, StagedModel
from affectkit.models.registry import MODELS, TIMM, family, own_settings, recipe, settings_of_others
from affectkit.settings.training import TrainSettings

FAMILIES = {entry.target: name for name, entry in [("test_resnet", TIMM), *MODELS.items()]}
"""A model of each family, by the family's target."""


@pytest.mark.parametrize("name", FAMILIES.values())
def test_a_family_fulfils_the_interface(name):
    found = family(name)
    assert isinstance(found, Family) and not vars(found), "families have no state"
    public = {key for key in dir(type(found)) if not key.startswith("_")}
    assert public == {key for key in dir(Family) if not key.startswith("_")}, "a method that no run asks for"
    checked = 0
    for key in sorted(public):
        wanted, own = getattr(Family, key), getattr(type(found), key)
        if not inspect.isfunction(wanted):
            assert type(own) is type(wanted), key
            continue
        named = [one for one in inspect.signature(own).parameters.values() if one.kind is not one.VAR_KEYWORD]
        asked = [one.name for one in inspect.signature(wanted).parameters.values() if one.kind is not one.VAR_KEYWORD]
        assert [one.name for one in named][: len(asked)] == asked, key
        assert key == "build" or len(named) == len(asked), key
        checked += 1
    assert checked >= 9


def test_there_are_five_families():
    assert len(FAMILIES) == 5


def test_settings_and_recipes_are_settings_of_a_training():
    known, seen = {entry.name for entry in fields(TrainSettings)}, 0
    for name in MODELS:
        assert set(own_settings(name)) <= known and set(recipe(name)) <= known, name
        assert not set(own_settings(name)) & set(settings_of_others(name)), name
        seen += len(own_settings(name)) + len(recipe(name))
    assert seen > 200
    # A model of timm that stands in no line is of the same family as those which do.
    assert own_settings("test_resnet") == own_settings("resnet18")
    assert settings_of_others("test_resnet") == settings_of_others("resnet18")


def test_options_that_a_family_does_not_have_are_refused_by_the_interface():
    for target, name in FAMILIES.items():
        found, options = family(name), {"dropout": 0.5}
        assert found.checkpoint_options(options, {"clip_weights": None}) == options
        if found.overrides:
            assert found.checkpoint_options(options, {"clip_weights": "a.pt"}) == {**options, "clip_weights": "a.pt"}
        else:
            with pytest.raises(UsageError, match="--clip-weights has no effect: it is for other models"):
                found.checkpoint_options(options, {"clip_weights": "a.pt"})
        with pytest.raises(UsageError, match="--some-option has no effect"):
            found.checkpoint_options(options, {"some_option": "x"})
        assert target.startswith("affectkit.models.")


class Bare(Family):
    """The least that a family may write."""

    def build(self, name, spec, **options):
        return nn.Sequential(nn.Flatten(), nn.Linear(12, len(spec.classes)))

    def default_input(self, name, options, settings):
        return {"height": 2, "width": 2, "mean": (0.0,) * 3, "std": (1.0,) * 3}

    def load_weights(self, model, path, *, classes=(), key=None):
        return "nothing"


def test_what_a_family_need_not_write():
    bare = Bare()
    model = bare.build("bare", InputSpec("classification", 2, 2, classes=("a", "b")))
    assert (bare.build_options({"dropout": 1}), bare.initial_options({}), bare.download_source("bare", {})) == (
        {}, {}, ""
    )  # fmt: skip
    assert bare.clip_needs({}) is None and not bare.takes_faces
    assert bare.built_options(model, {"a": 1}) == {"a": 1}
    # A last layer is known by a common name, where one module alone bears it.
    assert bare.last_layer(model) is None
    for key in ("fc", "classifier", "head"):
        named = nn.ModuleDict({"body": nn.Linear(2, 2), key: nn.Linear(2, 2)})
        assert bare.last_layer(named) is named[key]
    assert bare.last_layer(nn.ModuleDict({"a": nn.ModuleDict({"fc": nn.Linear(2, 2)}), "fc": nn.Linear(2, 2)})) is None


def test_a_family_lacks_nothing_that_is_required():
    for name in ("build", "default_input", "load_weights"):
        lacking = type("Lacking", (Bare,), {name: getattr(Family, name)})
        with pytest.raises(TypeError, match=name):
            lacking()


def test_staged_models_say_so():
    from affectkit.models.cmvqvae.baselines import TwoResNets
    from affectkit.models.cmvqvae.network import Parts
    from affectkit.models.v1.network import V1ResNet

    assert issubclass(Parts, StagedModel) and issubclass(TwoResNets, StagedModel)
    assert not issubclass(V1ResNet, StagedModel)


def test_an_entry_loads_its_object():
    assert Entry("torch.nn:Linear", "a layer").load() is torch.nn.Linear


def test_one_family_is_imported_without_the_others():
    script = """
import sys
import affectkit.training.run
common = set(sys.modules)
from affectkit.models.registry import family, own_settings, settings_of_others
for name in ("face-seresnet", "vca", "cmvqvae", "resnet50_v1", "resnet18"):
    settings_of_others(name)
    loaded = lambda: {key for key in sys.modules if key.startswith("affectkit.models.") or key in ("timm", "open_clip")}
    before = loaded()
    family(name)
    print(name, *sorted(loaded() - before))
print("runs", *sorted(common))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: set(line.split()[1:]) for line in done.stdout.splitlines()}
    own = {
        "face-seresnet": {"affectkit.models.face_seresnet"},
        "vca": {"affectkit.models.vca", "affectkit.models.clip"},
        "resnet50_v1": {"affectkit.models.v1.family", "affectkit.models.v1.network"},
        "resnet18": {"affectkit.models.backbones", "timm"},
    }
    for name, modules in own.items():
        assert modules <= lines[name], name
        assert not modules & lines["runs"], f"a run of any model imports {name}"
        for other, others in own.items():
            assert other == name or not others & lines[name], (name, other)
    assert not {key for key in lines["runs"] if key.startswith("affectkit.models.cmvqvae")}
