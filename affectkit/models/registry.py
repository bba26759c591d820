"""Models by name. Importing this loads nothing heavy; any other timm name is taken too, when a model is built."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from affectkit.core.registry import Registry, unknown_name
from affectkit.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from affectkit.core.spec import InputSpec

BACKBONES = "affectkit.models.backbones:build"

MODELS = Registry("model")
MODELS.add("resnet18", BACKBONES, "ResNet-18, 11 M parameters, ImageNet weights")
MODELS.add("resnet34", BACKBONES, "ResNet-34, 21 M parameters, ImageNet weights")
MODELS.add("resnet50", BACKBONES, "ResNet-50, 24 M parameters, ImageNet weights")
MODELS.add("resnet101", BACKBONES, "ResNet-101, 43 M parameters, ImageNet weights")
MODELS.add("resnet152", BACKBONES, "ResNet-152, 58 M parameters, ImageNet weights")
MODELS.add("efficientnet_b0", BACKBONES, "EfficientNet-B0, 4 M parameters, ImageNet weights")
MODELS.add("mobilenetv3_small_100", BACKBONES, "MobileNetV3 small, 2 M parameters, ImageNet weights")
MODELS.add("convnext_tiny", BACKBONES, "ConvNeXt-T, 28 M parameters, ImageNet weights")
MODELS.add("vit_small_patch16_224", BACKBONES, "ViT-S/16, 22 M parameters, ImageNet weights")
MODELS.add("vit_base_patch16_224", BACKBONES, "ViT-B/16, 86 M parameters, ImageNet weights")

MODELS.add("vca", "affectkit.models.vca:build", "valence and arousal on frozen CLIP features (VCA)")

MODELS.add("face-seresnet", "affectkit.models.face_seresnet:build", "SE-ResNet for 48-pixel face crops, 4 M parameters")

V1 = "affectkit.models.v1.family:build"
for _name, _summary in (
    ("resnet50_plain", "the 64-pixel ResNet-50 of the V1 study, without constraint"),
    ("resnet50_center_surround", "with centre-surround filters"),
    ("resnet50_local_rf", "with local receptive fields"),
    ("resnet50_cortical_magnification", "with cortical magnification"),
    ("resnet50_tuned_norm", "with tuned normalisation"),
    ("resnet50_div_norm", "with standard divisive normalisation"),
    ("resnet50_composite_a", "centre-surround, local fields, tuned normalisation, magnification"),
    ("resnet50_composite_b", "local fields, tuned normalisation, magnification"),
    ("resnet50_composite_c", "centre-surround, local fields, magnification"),
    ("resnet50_composite_d", "centre-surround, local fields, tuned normalisation"),
    ("resnet50_composite_e", "tuned normalisation, magnification"),
    ("resnet50_composite_f", "local fields, magnification"),
    ("resnet50_composite_g", "local fields, tuned normalisation"),
    ("resnet50_v1", "the components that --v1 names"),
):
    MODELS.add(_name, V1, f"V1 ResNet-50: {_summary}")

CODES = "affectkit.models.cmvqvae.family:build"
for _name, _summary in (
    ("cmvqvae", "audio-visual emotion from private and shared codes"),
    ("cmvqvae-baseline1", "without quantisers, decoders and mask"),
    ("cmvqvae-baseline2", "without mask"),
    ("cmvqvae-baseline3", "without quantisers and decoders"),
    ("cmvqvae-baseline4", "two ResNet-18 in its place"),
    ("cmvqvae-features", "on features of images and speech"),
):
    MODELS.add(_name, CODES, f"CM-VQVAE: {_summary}")

# As the study trains on ImageNet.
_V1_RECIPE = {
    "augment": "imagenet", "fit": "imagenet", "batch_size": 128, "epochs": 100, "optimizer": "sgd", "lr": 0.1,
    "weight_decay": 1e-5, "schedule": "multistep", "milestones": (60, 80), "early_stop": 0, "keep_every": 10,
    "dropout": 0.0, "monitor": "accuracy",
}  # fmt: skip

# As the study trains on CREMA-D.
_CODES_RECIPE = {
    "task": "audiovisual", "augment": "none", "batch_size": 128, "epochs": 50, "optimizer": "adam", "lr": 1e-3,
    "schedule": "constant", "early_stop": 0, "dropout": 0.5, "monitor": "loss",
}  # fmt: skip

RECIPES: dict[str, dict[str, Any]] = {
    # As the study trains; its monitor is the mean of the two fitted R2.
    "vca": {
        "task": "ratings", "augment": "vca", "fit": "stretch", "batch_size": 128, "epochs": 50, "optimizer": "sgd",
        "lr": 1e-3, "weight_decay": 1e-4, "schedule": "cyclic_plateau", "lr_min": 1e-5, "monitor": "r2_fitted",
        "early_stop": 0,
    },
    # As the built-in model is trained: gray crops, whose framing differs more than their light counts.
    "face-seresnet": {"channels": 1, "augment": "face-crop", "fit": "stretch"},
    **{name: _V1_RECIPE for name, entry in MODELS.items() if entry.target == V1},
    **{name: _CODES_RECIPE for name, entry in MODELS.items() if entry.target == CODES},
}  # fmt: skip


TINY_IMAGENET = "Tiny-ImageNet"
# As the study trains on it: images as they are, flipped; main.py of the study's code (seed 002).
_V1_TINY = {"augment": "flip", "fit": "crop"}

DATA_RECIPES: dict[tuple[str, str], dict[str, Any]] = {
    (name, TINY_IMAGENET): _V1_TINY for name, entry in MODELS.items() if entry.target == V1
}
"""What changes of a recipe on a dataset that a study trains on otherwise, by model and layout."""


def recipe(name: str, layout: str | None = None) -> dict[str, Any]:
    """The training settings that a model brings in place of the general defaults, by name; with ``layout`` those
    alone that it brings for data of that kind."""
    return RECIPES.get(name, {}) if layout is None else DATA_RECIPES.get((name, layout), {})


def family(name: str) -> ModuleType:
    """The module that builds ``name``, after ``check_model``.

    It has ``build``; ``SETTINGS``; and ``configured``, ``starting``, ``loading``, ``default_input``, ``fetching`` and
    ``load_weights``, through which runs ask of a model what they need not know by name. It may have ``last_layer``,
    for ``last_layer`` below, and ``needs`` where its models take clips: what of a clip they look at.
    """
    check_model(name)
    target = MODELS[name].target if name in MODELS else BACKBONES
    return importlib.import_module(target.partition(":")[0])


def takes_faces(name: str) -> bool:
    """Whether a model is one of face crops, so that faces are to be found first in pictures that are none."""
    return getattr(family(name), "FACES", False)


CLASSIFIERS = ("fc", "classifier", "head")
"""How the last layer is called in a family that has no ``last_layer`` of its own."""


def last_layer(name: str, model: nn.Module) -> nn.Module:
    """The part of ``model``, built as ``name``, that turns features into outputs; the rest can be frozen.

    Its family says which one it is, or it is the one module that bears a name of ``CLASSIFIERS``.

    Raises:
        UsageError: there is no such part, or it has no parameters.
    """
    if known := getattr(family(name), "last_layer", None):
        found = [known(model)]
    else:
        named = {key: [] for key in CLASSIFIERS}
        for path, module in model.named_modules():
            named.get(path.rpartition(".")[2], []).append(module)
        found = next((modules for modules in named.values() if modules), [])
    if len(found) != 1 or not any(True for _ in found[0].parameters()):
        raise UsageError(
            f"--tune last: it is not known which layer of {name} is the last one.",
            "Use --tune all, or another --model.",
        )
    return found[0]


def settings_of_others(name: str) -> list[str]:
    """Settings that mean nothing to the model called ``name``, for they are those of other families."""
    modules = {importlib.import_module(entry.target.partition(":")[0]) for entry in MODELS.values()}
    others = {setting for module in modules - {family(name)} for setting in module.SETTINGS}
    return sorted(others - set(family(name).SETTINGS))


def check_model(name: str) -> str:
    """``name`` itself where a model can be built under it, else a UsageError with the nearest names."""
    if name in MODELS:
        return name
    import timm

    if timm.is_model(name):
        return name
    near = unknown_name("model", name, [*MODELS, *timm.list_models()])
    raise UsageError(near, "affectkit models lists the names; affectkit models PATTERN searches timm's too.")


def build(name: str, spec: InputSpec, **options: Any) -> nn.Module:
    """The network called ``name`` for ``spec``, with randomly initialised weights."""
    return family(name).build(name, spec, **options)
