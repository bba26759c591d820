"""What the registry and the runs ask of the V1 networks; see ``models.registry.family``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from affectkit.core.spec import InputSpec
from affectkit.errors import UsageError
from affectkit.models.external.weights import copy_own, form_of, read_weights, without_clip
from affectkit.models.v1.network import ANY, VARIANTS, V1ResNet, Variant
from affectkit.models.v1.parts import parse_parts
from affectkit.models.v1.states import as_sequence, renamed

SETTINGS = ("channels", "image_size", "start_size", "dropout", "v1")
INPUT = {"height": 64, "width": 64, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def build(name: str, spec: InputSpec, *, v1: str | None = None, dropout: float = 0.0) -> V1ResNet:
    """The network called ``name`` for ``spec``, with random weights.

    Args:
        v1: its components, for ``resnet50_v1``, as ``"center-surround,local-rf"``. dropout: before the last layer.

    Raises:
        UsageError: a component does not take images of this size.
    """
    if (name == ANY) != (v1 is not None):
        raise UsageError(
            f"--v1 {v1} has no effect: {name} has the components that its name says." if v1 else f"{name} needs --v1.",
            f"As --model {ANY} --v1 center-surround,tuned-norm.",
        )
    variant = VARIANTS[name] if v1 is None else Variant(parse_parts(v1))
    return V1ResNet(
        variant, len(spec.classes), height=spec.height, width=spec.width, channels=spec.channels, dropout=dropout
    )


def last_layer(model: V1ResNet) -> nn.Module:
    """The linear layer from the averaged maps to the outputs."""
    return model.fc


def configured(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of ``build`` that a training's settings mean."""
    named = {"v1": settings["v1"]} if settings["v1"] is not None else {}
    return {"dropout": settings["dropout"], **named}


def starting(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing: no hub has weights of these networks."""
    return {}


def loading(options: Mapping[str, Any], *, clip_weights: str | None = None) -> dict[str, Any]:
    """The options of ``build`` for a model whose weights are about to be copied from a checkpoint with ``options``.

    Raises:
        UsageError: ``clip_weights`` are given, and there is no CLIP.
    """
    return without_clip(options, clip_weights)


def default_input(name: str, options: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Height, width, mean and std as published."""
    return dict(INPUT)


def fetching(name: str, options: Mapping[str, Any]) -> str:
    """Nothing."""
    return ""


def load_weights(model: V1ResNet, path: Path, *, classes: tuple[str, ...] = (), key: str | None = None) -> str:
    """Copy weights from a checkpoint, ours or published, by name; returns a sentence on what was taken.

    Args:
        classes: class names of ``model``; the last layer of an affectkit checkpoint is taken only where it has the
            same ones in the same order, a published one where it has as many outputs.
        key: which set of weights is taken, see ``wrapping.unwrap``.

    Raises:
        CheckpointError: the file cannot be read, or lacks weights of this network.
    """
    hint = "Name the --model, and the --image-size, that the file was made with."
    form = form_of(model)
    sequence = {as_sequence(name): shape for name, shape in form.items()}
    found = read_weights(path, forms=(form, sequence), key=key)
    return copy_own(model, renamed(found.state), found, classes=classes, top="fc.", hint=hint)
