"""V1 networks: every variant by name, any mixture, any task's outputs; checkpoints in the published layout."""

from __future__ import annotations

import re

import pytest
import torch
from support import Heard, invoke
from torchvision.models import resnet50

import affectkit
from affectkit.checkpoints.checkpoint import load_model, read_header
from affectkit.checkpoints.convert import convert
from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError, UsageError
from affectkit.models.external.published import read_published
from affectkit.models.external.published_format import Contents
from affectkit.models.external.weights import unwrap_weights
from affectkit.models.registry import MODELS, build, family, last_layer, recipe, settings_of_others
from affectkit.models.v1.components import COMPONENTS, parse_parts
from affectkit.models.v1.network import VARIANTS, V1ResNet, Variant
from affectkit.models.v1.published import FORMAT

SPEC = InputSpec(task="classification", height=64, width=64, classes=tuple("abcdefg"))
DOG = ("sigma1", "sigma2_scale", "total_scale")
DN = ("A", "rho", "sigma", "theta", "v", "w", "bias")
EXTRA = {
    "resnet50_plain": [],
    "resnet50_center_surround": [
        f"layer1.{n}.conv2.{k}" for n in range(3) for k in ("0.weight", *(f"1.dog_conv.{d}" for d in DOG))
    ],
    "resnet50_local_rf": ["layer1.2.conv2.1.weight"],
    "resnet50_cortical_magnification": [],
    "resnet50_tuned_norm": [f"layer1.{n}.dn.sigmas" for n in range(3)],
    "resnet50_div_norm": [f"layer1.{n}.dn.{k}" for n in range(3) for k in DN],
}  # fmt: skip
SURROUNDED = [f"layer1.{n}.conv2.{k}" for n in range(2) for k in ("conv.weight", *(f"dog.dog_conv.{d}" for d in DOG))]
for letter, parts in {"a": "clt", "b": "lt", "c": "cl", "d": "clt", "e": "t", "f": "l", "g": "lt"}.items():
    EXTRA[f"resnet50_composite_{letter}"] = (SURROUNDED if "c" in parts else []) + (
        [f"layer1.{n}.dn.sigmas" for n in range(3)] if "t" in parts else []
    )
MAGNIFIED = {"resnet50_cortical_magnification", *(f"resnet50_composite_{letter}" for letter in "abcef")}
LOCAL = {name for name in VARIANTS if name == "resnet50_local_rf" or (name[-1] in "abcdfg" and "composite" in name)}


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    return {name: build(name, SPEC).eval() for name in VARIANTS}


def test_every_variant_has_the_names_of_its_published_parameters(models):
    plain = set(resnet50(num_classes=7).state_dict())
    assert len(models) == len(EXTRA) == 13
    for name, model in models.items():
        own = set(model.state_dict())
        replaced = {key for key in plain if key not in own}
        assert own - plain == set(EXTRA[name]), name
        assert all(".conv2.weight" in key and key.startswith("layer1.") for key in replaced), name
        fields = [key for key, value in model.state_dict().items() if value.dim() == 6]
        assert len(fields) == (name in LOCAL) and (type(model.maxpool).__name__ == "CorticalMagnification") == (
            name in MAGNIFIED
        ), name


def test_the_plain_one_is_torchvisions_and_building_others_does_not_change_it(models):
    reference = resnet50(num_classes=7).eval()
    reference.load_state_dict(models["resnet50_plain"].state_dict())
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = reference(x)
        torch.testing.assert_close(models["resnet50_plain"](x), expected)
        V1ResNet(Variant(frozenset(COMPONENTS) - {"div-norm"}), 7)
        again = build("resnet50_plain", SPEC).eval()
        again.load_state_dict(reference.state_dict())
        torch.testing.assert_close(again(x), expected)
        outputs = {name: model(x) for name, model in models.items()}
    assert all(value.shape == (2, 7) and bool(value.isfinite().all()) for value in outputs.values())


def test_gradients_reach_every_parameter_of_every_variant(models):
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for name in ("resnet50_composite_a", "resnet50_div_norm", "resnet50_center_surround"):
        model = models[name]
        model(x).square().sum().backward()
        silent = [
            key for key, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0
        ]
        assert not silent, (name, silent)
        model.zero_grad()


def test_any_mixture(models):
    spec = SPEC.with_(height=96, width=96, channels=1, mean=(0.5,), std=(0.5,))
    model = build("resnet50_v1", spec, v1="center-surround, div-norm,cortical-magnification")
    assert model(torch.randn(2, 1, 96, 96)).shape == (2, 7)
    assert parse_parts("local-rf") == {"local-rf"}
    for text, told in {
        "fog": "must name components of center-surround, .*; got 'fog'",
        "": "got ''",
        "local-rf,local-rf": "twice",
        "tuned-norm,div-norm": "name one of them",
    }.items():
        with pytest.raises(UsageError, match=told):
            parse_parts(text)
    with pytest.raises(UsageError, match="resnet50_v1 needs --v1"):
        build("resnet50_v1", SPEC)
    with pytest.raises(UsageError, match="has the components that its name says"):
        build("resnet50_composite_a", SPEC, v1="local-rf")


def test_sizes_that_do_not_fit():
    for height, width in ((64, 96), (66, 66)):
        with pytest.raises(UsageError, match=f"a multiple of 4; got {height}x{width}"):
            build("resnet50_composite_e", SPEC.with_(height=height, width=width))
    with pytest.raises(UsageError, match="even side of 32 or more; got 16"):
        build("resnet50_composite_e", SPEC.with_(height=32, width=32))
    # Local fields take any size, and are bound to it.
    model = build("resnet50_composite_g", SPEC.with_(height=50, width=70)).eval()
    assert model(torch.randn(1, 3, 50, 70)).shape == (1, 7)
    with pytest.raises(UsageError, match="made for maps of 64x13x18"):
        model(torch.randn(1, 3, 64, 64))


def test_the_family_knows_its_settings():
    assert {name for name in MODELS if name.startswith("resnet50_")} == {*VARIANTS, "resnet50_v1"}
    assert recipe("resnet50_div_norm")["milestones"] == (60, 80)
    assert "clip" in settings_of_others("resnet50_v1") and "v1" not in settings_of_others("resnet50_v1")
    assert {"channels", "dropout"}.isdisjoint(settings_of_others("resnet50_v1"))
    assert "v1" in settings_of_others("resnet18")
    model = build("resnet50_composite_f", SPEC)
    assert last_layer("resnet50_composite_f", model) is model.fc


# --- published checkpoints -------------------------------------------------------------------------------------------


def published(model, name, path, **options):
    """A checkpoint file as the study's code writes it."""
    torch.save(contents(model, name, **options), path)
    return path


def contents(model, name, *, named=True, prefix=""):
    """What stands in such a file, with what is stored beside the weights."""
    state = dict(model.state_dict())
    if name == "resnet50_cortical_magnification":
        places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7, "fc": 10}
        state = {f"{places[key.partition('.')[0]]}.{key.partition('.')[2]}": value for key, value in state.items()}
        state |= {"3.pooling_masks": torch.zeros(2, 3).half(), "3.pooling_mask_counts": torch.ones(2).half()}
    elif "composite" in name or "norm" in name:
        state |= {"lpp.pooling_masks": torch.zeros(2, 3).half(), "lpp.pooling_mask_counts": torch.ones(2).half()}
    for key in list(state):
        if key.endswith("sigma1"):
            stem = key.removesuffix("sigma1")
            state |= {f"{stem}kernel_dists": torch.zeros(5, 5), f"{stem}bias": torch.zeros(16)}
        if key.endswith("dn.sigmas"):
            state[key.replace("sigmas", "channel_distances")] = torch.zeros(256, 256)
        if key.endswith("dn.A"):
            state |= {key[:-1] + "x_coords": torch.zeros(3, 3), key[:-1] + "y_coords": torch.zeros(3, 3)}
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [60, 80])
    args = {"model_type": name.replace("resnet50_plain", "resnet50"), "lr": 0.1} if named else {"lr": 0.1}
    return {
        "args": args, "device": "cuda", "current_epoch": 99, "valid_loss": 1.5, "valid_acc": 0.61,
        "model": {prefix + key: value.contiguous() for key, value in state.items()},
        "optimizer": optimiser.state_dict(), "lr_scheduler": schedule.state_dict(),
    }  # fmt: skip


def test_published_checkpoints_of_all_variants(models, tmp_path, monkeypatch):
    """Read as from a file, but for the disk, which would take a minute for thirteen of 100 MB."""
    for name in ("kaiming_normal_", "kaiming_uniform_"):  # drawing 25 M numbers, all replaced, takes most of the time
        monkeypatch.setattr(torch.nn.init, name, lambda value, **_: value)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    done = []
    for name, model in models.items():
        whole = contents(model, name, prefix="module." if name[-1] in "ag" else "")
        given = Contents(tmp_path / "c.pth", *unwrap_weights(whole, tmp_path))
        assert FORMAT.faults(given) == []
        found = FORMAT.read(given, None)
        assert found.model == name and found.spec.classes == tuple("0123456") and found.spec.fit == "imagenet"
        assert found.summary["valid_acc"] == 0.61
        loaded = build(name, SPEC).eval()
        loaded.load_state_dict(found.state, strict=True)
        with torch.inference_mode():
            torch.testing.assert_close(loaded(x), model(x))
        done.append(name)
    assert len(done) == 13


@pytest.mark.parametrize("name", ["resnet50_composite_a", "resnet50_cortical_magnification"])
def test_published_files_are_loaded_as_they_are(models, name, tmp_path):
    path = published(models[name], name, tmp_path / "c.pth")
    header = read_header(path)
    assert header.model == name and header.training["published"]["valid_acc"] == 0.61
    loaded, own = load_model(path), models[name].state_dict()
    assert all(torch.equal(value, own[key]) for key, value in loaded.state_dict().items())
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = models[name](x)
        # Channels-last kernels differ in the last digits, which fifty layers of random weights let grow.
        assert float((loaded(x) - expected).abs().max()) < 1e-3 * float(expected.abs().max())


def test_a_published_checkpoint_is_converted_and_used(models, tmp_path):
    name = "resnet50_composite_c"
    path = published(models[name], name, tmp_path / "c.pth")
    summary = convert(path, tmp_path / "c.safetensors", reporter=Heard())
    assert summary["recognised"] == f"V1 network {name}, 7 classes" and "clip" not in summary
    assert summary["bytes_after"] < summary["bytes_before"]
    x = torch.randn(1, 3, 64, 64)
    ours = affectkit.load(tmp_path / "c.safetensors")
    with torch.inference_mode():
        expected = models[name](x)
        assert float((ours(x) - expected).abs().max()) < 1e-3 * float(expected.abs().max())
    done = invoke("convert", path, tmp_path / "d.safetensors")
    assert done.returncode == 0 and "V1 network resnet50_composite_c" in done.stdout and "CLIP" not in done.stdout
    refused = invoke("convert", path, tmp_path / "e.safetensors", "--clip-weights", "keep")
    assert refused.returncode == 2 and "is not on CLIP" in refused.stderr


def test_imagenets_classes_have_their_names(tmp_path):
    model = build("resnet50_plain", SPEC.with_(classes=tuple(map(str, range(1000)))))
    classes = read_published(published(model, "resnet50_plain", tmp_path / "c.pth")).spec.classes
    assert classes[0] == "n01440764" and classes[-1] == "n15075141" and list(classes) == sorted(classes)


def test_files_that_are_none(models, tmp_path):
    def given(name="resnet50_composite_a", change=None, **options):
        whole = contents(models[name], name, **options)
        if change:
            change(whole)
        return Contents(tmp_path / "c.pth", *unwrap_weights(whole, tmp_path))

    def called(name):
        return lambda whole: whole["args"].update(model_type=name)

    def drop(key):
        return lambda whole: whole["model"].pop(key)

    def put(key, *shape):
        return lambda whole: whole["model"].update({key: torch.zeros(shape)})

    for options, told in (
        ({"named": False}, "fit resnet50_composite_a and resnet50_composite_d alike"),
        ({"name": "resnet50_tuned_norm", "named": False}, "resnet50_tuned_norm and resnet50_composite_e alike"),
        ({"change": called("resnet50_composite_z")}, "none of the thirteen"),
        ({"change": called("resnet50_composite_g")}, "says resnet50_composite_g"),
        ({"change": drop("layer3.0.conv1.weight")}, r"no layer3\.0\.conv1\.weight"),
        ({"change": drop("fc.weight")}, r"no fc\.weight"),
        ({"change": put("layer9.weight", 1)}, "layer9.weight is not known"),
        ({"change": put("conv1.weight", 64, 3, 3, 3)}, "conv1.weight is"),
    ):
        faults = FORMAT.faults(given(**options))
        assert any(re.search(told, fault) for fault in faults), (told, faults)
    # Without a name, where the tensors tell: the sequence, and what no other variant has.
    for name in ("resnet50_cortical_magnification", "resnet50_local_rf", "resnet50_div_norm"):
        assert FORMAT.read(given(name, named=False), None).model == name


def test_weights_to_start_from(models, tmp_path):
    name = "resnet50_composite_g"
    path = published(models[name], name, tmp_path / "c.pth")
    fresh = build(name, SPEC.with_(classes=("x", "y")))
    told = family(name).load_weights(fresh, path)
    assert "left at their initial values: fc.bias, fc.weight" in told
    assert torch.equal(fresh.layer1[2].conv2.weight, models[name].layer1[2].conv2.weight)
    with pytest.raises(CheckpointError, match=r"weights of this network: .*no layer1\.0\.conv2\.conv"):
        family(name).load_weights(build("resnet50_composite_d", SPEC), path)
