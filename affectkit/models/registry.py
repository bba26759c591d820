"""Models by name. Importing this loads nothing heavy; any other timm name is taken too, when a model is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from affectkit.core.registry import Entry, Registry, unknown_name
from affectkit.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from affectkit.core.spec import InputSpec
    from affectkit.models.family import Family


@dataclass(frozen=True)
class ModelEntry(Entry):
    """A model's entry, with the training settings that it brings in place of the general ``defaults``."""

    defaults: Mapping[str, Any] = field(default_factory=dict)


BACKBONES = "affectkit.models.backbones:BackboneFamily"
V1 = "affectkit.models.v1.family:V1Family"
CODES = "affectkit.models.cmvqvae.family:CMVQVAEFamily"

BACKBONE_SETTINGS = ("pretrained", "channels", "image_size", "start_size", "grow_until", "dropout", "top", "top_width")
FACE_SETTINGS = ("channels", "image_size", "start_size", "grow_until", "dropout")
V1_SETTINGS = ("channels", "image_size", "start_size", "grow_until", "dropout", "v1")
VCA_SETTINGS = ("recipe", "clip", "clip_weights", "clip_activation", "clip_normalise", "include_clip", "views")
CODES_SETTINGS = (
    "mode", "mask", "mask_init", "mask_scale", "mask_threshold", "mask_penalty", "quantizer", "codes", "hidden",
    "dropout", "stage", "recon_scale", "reset_mask",
)  # fmt: skip

# As the study trains; its monitor is the mean of the two fitted R2.
VCA_RECIPE = {
    "task": "ratings", "augment": "vca", "fit": "stretch", "batch_size": 128, "epochs": 50, "optimizer": "sgd",
    "lr": 1e-3, "weight_decay": 1e-4, "schedule": "cyclic_plateau", "lr_min": 1e-5, "monitor": "r2_fitted",
    "early_stop": 0,
}  # fmt: skip

# What the study's code does beside, under --recipe published; see VCAFamily.initial_options for the rest.
VCA_PUBLISHED = {"views": 0}

# As the built-in model is trained: gray crops, whose framing differs more than their light counts.
FACE_RECIPE = {"channels": 1, "augment": "face-crop", "fit": "stretch"}

# As the study trains on ImageNet.
V1_RECIPE = {
    "augment": "imagenet", "fit": "imagenet", "batch_size": 128, "epochs": 100, "optimizer": "sgd", "lr": 0.1,
    "weight_decay": 1e-5, "schedule": "multistep", "milestones": (60, 80), "early_stop": 0, "keep_every": 10,
    "dropout": 0.0, "monitor": "accuracy",
}  # fmt: skip

# As the study trains on CREMA-D.
CODES_RECIPE = {
    "task": "audiovisual", "augment": "none", "batch_size": 128, "epochs": 50, "optimizer": "adam", "lr": 1e-3,
    "schedule": "constant", "early_stop": 0, "dropout": 0.5, "monitor": "loss",
}  # fmt: skip

TIMM = ModelEntry(BACKBONES, "any other backbone of timm", BACKBONE_SETTINGS)

MODELS = Registry("model", entry=ModelEntry)
for _name, _summary in (
    ("resnet18", "ResNet-18, 11 M parameters, ImageNet weights"),
    ("resnet34", "ResNet-34, 21 M parameters, ImageNet weights"),
    ("resnet50", "ResNet-50, 24 M parameters, ImageNet weights"),
    ("resnet101", "ResNet-101, 43 M parameters, ImageNet weights"),
    ("resnet152", "ResNet-152, 58 M parameters, ImageNet weights"),
    ("efficientnet_b0", "EfficientNet-B0, 4 M parameters, ImageNet weights"),
    ("mobilenetv3_small_100", "MobileNetV3 small, 2 M parameters, ImageNet weights"),
    ("convnext_tiny", "ConvNeXt-T, 28 M parameters, ImageNet weights"),
    ("vit_small_patch16_224", "ViT-S/16, 22 M parameters, ImageNet weights"),
    ("vit_base_patch16_224", "ViT-B/16, 86 M parameters, ImageNet weights"),
):
    MODELS.add(_name, BACKBONES, _summary, settings=BACKBONE_SETTINGS)

MODELS.add(
    "vca",
    "affectkit.models.vca:VCAFamily",
    "valence and arousal on frozen CLIP features (VCA)",
    settings=VCA_SETTINGS,
    defaults=VCA_RECIPE,
)

MODELS.add(
    "face-seresnet",
    "affectkit.models.face_seresnet:FaceSEResNetFamily",
    "SE-ResNet for 48-pixel face crops, 4 M parameters",
    settings=FACE_SETTINGS,
    defaults=FACE_RECIPE,
)

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
    MODELS.add(_name, V1, f"V1 ResNet-50: {_summary}", settings=V1_SETTINGS, defaults=V1_RECIPE)

for _name, _summary in (
    ("cmvqvae", "audio-visual emotion from private and shared codes"),
    ("cmvqvae-baseline1", "without quantisers, decoders and mask"),
    ("cmvqvae-baseline2", "without mask"),
    ("cmvqvae-baseline3", "without quantisers and decoders"),
    ("cmvqvae-baseline4", "two ResNet-18 in its place"),
    ("cmvqvae-features", "on features of images and speech"),
):
    MODELS.add(_name, CODES, f"CM-VQVAE: {_summary}", settings=CODES_SETTINGS, defaults=CODES_RECIPE)

TINY_IMAGENET = "Tiny-ImageNet"
# As the study trains on it: images as they are, flipped; main.py of the study's code (seed 002).
V1_TINY_RECIPE = {"augment": "flip", "fit": "crop"}

DATA_RECIPES: dict[tuple[str, str], dict[str, Any]] = {
    (name, TINY_IMAGENET): V1_TINY_RECIPE for name, entry in MODELS.items() if entry.target == V1
}
"""What changes of a recipe on a dataset that a study trains on otherwise, by model and layout."""

PUBLISHED_RECIPES: dict[str, Mapping[str, Any]] = {"vca": VCA_PUBLISHED}


def recipe(name: str, layout: str | None = None) -> Mapping[str, Any]:
    """Return the training settings that a model brings in place of the general defaults, by name; with ``layout``
    those alone that it brings for data of that kind."""
    if layout is not None:
        return DATA_RECIPES.get((name, layout), {})
    return MODELS[name].defaults if name in MODELS else {}


def published_recipe(name: str) -> Mapping[str, Any]:
    """Return the training settings that ``--recipe published`` brings beside those of ``recipe``."""
    return PUBLISHED_RECIPES.get(name, {})


def family(name: str) -> Family:
    """Return the family of the model called ``name``, after ``check_model``; it imports no other family."""
    return _entry(check_model(name)).load()()


def own_settings(name: str) -> tuple[str, ...]:
    """Return the settings of a training that mean something to ``name`` and not to every model."""
    return _entry(name).settings


def settings_of_others(name: str) -> list[str]:
    """List the settings that mean nothing to the model called ``name``, for they are those of other families."""
    return MODELS.foreign_settings(own_settings(name))


def _entry(name: str) -> ModelEntry:
    return MODELS.get(name, TIMM)


def takes_faces(name: str) -> bool:
    """Return whether a model is one of face crops, so that faces are to be found first in pictures that are none."""
    return family(name).takes_faces


def last_layer(name: str, model: nn.Module) -> nn.Module:
    """Return the part of ``model``, built as ``name``, that turns features into outputs; the rest can be frozen.

    Raises:
        UsageError: its family does not know one, or it has no parameters.
    """
    found = family(name).last_layer(model)
    if found is None or not any(True for _ in found.parameters()):
        raise UsageError(
            f"--tune last: it is not known which layer of {name} is the last one.",
            "Use --tune all, or another --model.",
        )
    return found


def check_model(name: str) -> str:
    """Return ``name`` where a model can be built under it, else raise a UsageError with the nearest names."""
    if name in MODELS:
        return name
    import timm

    if timm.is_model(name):
        return name
    near = unknown_name("model", name, [*MODELS, *timm.list_models()])
    raise UsageError(near, "affectkit models lists the names; affectkit models PATTERN searches timm's too.")


def build(name: str, spec: InputSpec, **options: Any) -> nn.Module:
    """Build the network called ``name`` for ``spec``, with randomly initialised weights."""
    return family(name).build(name, spec, **options)
