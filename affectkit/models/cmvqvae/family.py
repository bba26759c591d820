"""What the registry and the runs ask of CM-VQVAE; see ``models.registry.family``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import nn

from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError, UsageError
from affectkit.models.cmvqvae.network import Network, Shape
from affectkit.models.cmvqvae.others import SIDE, FeatureNetwork, TwoResNets
from affectkit.models.external.weights import (
    classes_of,
    copy_weights,
    form_of,
    listed_names,
    read_weights,
    without_clip,
)

SETTINGS = (
    "mode", "mask", "mask_init", "mask_scale", "mask_threshold", "mask_penalty", "quantizer", "codes", "hidden",
    "dropout", "stage", "recon_scale", "reset_mask",
)  # fmt: skip
FULL, FEATURES, RESNETS = "cmvqvae", "cmvqvae-features", "cmvqvae-baseline4"
WITHOUT: dict[str, dict[str, bool]] = {
    FULL: {},
    "cmvqvae-baseline1": {"quantised": False, "decoded": False, "masked": False},
    "cmvqvae-baseline2": {"masked": False},
    "cmvqvae-baseline3": {"quantised": False, "decoded": False},
    RESNETS: {"quantised": False, "decoded": False, "masked": False},
    FEATURES: {},
}
"""What each model does without."""
NEEDS = {"multimodal": "both", "image-only": "image", "audio-only": "audio"}
LAST = "_classifier"
EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
"""Of CREMA-D, in the order of their codes (ANG DIS FEA HAP NEU SAD)."""


def named(count: int) -> tuple[str, ...]:
    """The classes of a published file with ``count`` outputs: ``EMOTIONS`` where these are as many, else numbers."""
    return EMOTIONS if count == len(EMOTIONS) else tuple(map(str, range(count)))


def build(name: str, spec: InputSpec, **options: Any) -> nn.Module:
    """The network called ``name`` for ``spec``, with random weights.

    Args:
        options: fields of ``network.Shape``.

    Raises:
        UsageError: ``spec`` is not of clips, or their sizes do not fit.
    """
    clip = spec.clip
    if clip is None or (spec.channels != 3 and clip.features is None):
        raise UsageError(
            f"{name} takes clips in colour with sound, as affectkit prep cremad prepares them."
            if clip is None
            else f"--channels {spec.channels}: {name} takes colour pictures."
        )
    shape, outputs = Shape(**WITHOUT[name], **options), len(spec.classes)
    if (name == FEATURES) != (clip.features is not None):
        raise UsageError(
            f"{name} takes {'features' if name == FEATURES else 'clips'}, and the data holds "
            f"{'features' if clip.features is not None else 'clips'}.",
            f"Use --model {FEATURES if clip.features is not None else FULL}.",
        )
    if name == FEATURES:
        _check_features(clip.features, shape)
        return FeatureNetwork(shape, outputs, clip.features)
    if name == RESNETS:
        return TwoResNets(shape, outputs)
    sound = (clip.sound.height, clip.sound.width)
    return Network(shape, outputs, height=spec.height, width=spec.width, sound=sound)


def _check_features(shapes: tuple[tuple[int, ...], ...], shape: Shape) -> None:
    wanted = shape.code_size * SIDE * SIDE
    wrong = [found for found in shapes if len(found) != 2 or found[0] * found[1] != wanted]
    if wrong or shapes[0][0] > shapes[1][0]:
        raise UsageError(
            f"features must be two tables a clip of {wanted:,} numbers each (16x4096 and 64x1024), those of the sound "
            f"with as many frames or more; got {shapes[0]} and {shapes[1]}."
        )


def needs(options: Mapping[str, Any]) -> str:
    """What of a clip a model built with ``options`` looks at; see ``core.clipspec.ClipSpec``."""
    return NEEDS[options.get("mode", "multimodal")]


def last_layer(model: nn.Module) -> nn.Module:
    """The solver, with its mask; of two ResNets the layer to the outputs."""
    return model._fc2 if isinstance(model, TwoResNets) else model._classifier


def configured(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of ``build`` that a training's settings mean."""
    taken = {entry.name for entry in fields(Shape)} & set(settings)
    return {name: settings[name] for name in sorted(taken)} | {"residual_hidden": max(settings["hidden"] // 4, 1)}


def starting(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing: no hub has weights of these networks."""
    return {}


def loading(options: Mapping[str, Any], *, clip_weights: str | None = None) -> dict[str, Any]:
    """The options of ``build`` for a model whose weights are about to be copied from a checkpoint with ``options``."""
    return without_clip(options, clip_weights)


def default_input(name: str, options: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Pictures in [0, 1]; their size is that of the prepared clips. Features have one channel."""
    return {"height": 128, "width": 128, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def fetching(name: str, options: Mapping[str, Any]) -> str:
    """Nothing."""
    return ""


def load_weights(model: nn.Module, path: Path, *, classes: tuple[str, ...] = (), key: str | None = None) -> str:
    """Copy encoders, decoders and codebooks from a checkpoint, ours or published; returns a sentence on what was taken.

    Args:
        classes: class names of ``model``; the solver, mask included, is taken too where the file has the same ones in
            the same order; of a published file they are known by their number alone, see ``named``.
        key: which set of weights is taken, see ``wrapping.unwrap``.

    Raises:
        CheckpointError: the file cannot be read, or lacks weights of this network.
    """
    found = read_weights(path, forms=(form_of(model),), key=key)
    given = found.state
    top = "_fc2." if isinstance(model, TwoResNets) else f"{LAST}."
    own = classes_of(path) if path.suffix == ".safetensors" else None
    if own is None:
        outputs = given.get("_fc2.weight", given.get(f"{LAST}._fc2.weight", given.get(f"{LAST}._fc.weight")))
        own = named(len(outputs)) if outputs is not None and outputs.dim() else None
    state = model.state_dict()
    differing = any(name in given and given[name].shape != state[name].shape for name in state if name.startswith(top))
    if differing or own != classes:
        given = {name: value for name, value in given.items() if not name.startswith(top)}
    if not set(given) & set(state):
        held = f"It holds {len(found.tensors)} tensors{found.told()}: {listed_names(found.tensors)}."
        raise CheckpointError(
            f"{path} holds nothing of a CM-VQVAE. {held}", "Name a run of --model cmvqvae, or a model.pt."
        )
    hint = "Name the --model, --hidden, --codes and --quantizer that the file was made with."
    return copy_weights(model, given, found, top=top, what="network", hint=hint)
