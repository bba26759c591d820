"""Checkpoints of CM-VQVAE as the study's code saves them: bare tensors, recognised by their names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from affectkit.core.clipspec import CREMAD
from affectkit.core.clipspec import FEATURES as FEATURE_CLIPS
from affectkit.core.spec import InputSpec
from affectkit.errors import UsageError
from affectkit.models.cmvqvae import family
from affectkit.models.cmvqvae.emotion_classifier import MODES
from affectkit.models.cmvqvae.network import Shape
from affectkit.models.external.published_format import Choices, Contents, Published, PublishedFormat, differences

FAMILY = family.CMVQVAEFamily()
COUNTER = "num_batches_tracked"
FIRST, LAST, MASK = "_classifier._conv1.weight", "_classifier._fc2.weight", "_classifier.private_shared_mask"
RECURRENT, RESNET = "_classifier._lstm.weight_ih_l0", "_fc1.weight"
BOOK, SIZES = "_vq_vae_image._embedding.weight", "_vq_vae_image._ema_cluster_size"
SIZE = 128


def _faults(contents: Contents) -> list[str]:
    state = contents.state
    name = _name(state)
    if name is None:
        return ["no solver (_classifier._conv1 or ._lstm) and no pair of ResNet-18 (_resnet18_1, _resnet18_2)"]
    last = state.get(_last(name))
    if last is None or last.dim() != 2:
        return [f"no last layer: no {_last(name)}"]
    weights = {key: value for key, value in state.items() if not key.endswith(COUNTER)}
    try:
        wanted = _shapes(name, state, len(last))
    except KeyError as error:
        return [f"no {error.args[0]}"]
    except (UsageError, IndexError, ValueError, ArithmeticError) as error:
        return [f"its shapes are those of no {name}: {error}"]
    return differences(weights, wanted)


def _read(contents: Contents, choices: Choices) -> Published:
    state = dict(contents.state)
    name = _name(state)
    options = _options(name, state, choices)
    count = len(state[_last(name)])
    spec = _spec(name, count, FAMILY.clip_needs(options))
    state |= {
        f"{key.removesuffix('.running_mean')}.{COUNTER}": torch.tensor(0)
        for key in state
        if key.endswith(".running_mean") and f"{key.removesuffix('.running_mean')}.{COUNTER}" not in state
    }
    return Published(
        family="cmvqvae",
        choices=("mode", "mask"),
        title=f"{name}, {options['mode']}, {count} classes",
        model=name,
        options=options,
        spec=spec,
        state=state,
        summary={},
        precision="single",
    )


def _name(state: Mapping[str, torch.Tensor]) -> str | None:
    """Return the registry's name of the model whose tensors these are."""
    if any(key.startswith("_resnet18_1.") for key in state):
        return family.RESNETS
    if RECURRENT in state:
        return family.FEATURES
    if FIRST not in state:
        return None
    quantised, masked = BOOK in state, MASK in state
    if quantised:
        return family.FULL if masked else "cmvqvae-baseline2"
    return "cmvqvae-baseline3" if masked else "cmvqvae-baseline1"


def _last(name: str) -> str:
    return {family.RESNETS: "_fc2.weight", family.FEATURES: "_classifier._fc.weight"}.get(name, LAST)


def _options(name: str, state: Mapping[str, torch.Tensor], choices: Choices) -> dict[str, Any]:
    """Return the options that the tensors show, and from ``choices`` those that they do not."""
    found: dict[str, Any] = {"mask": choices.mask or "binarizer"}
    if name == family.RESNETS:
        single = state[RESNET].shape[1] == 512
    elif name == family.FEATURES:
        single = state[RECURRENT].shape[1] == 512
        found["code_size"] = state[BOOK].shape[1]
    else:
        size = state["_pre_vq_conv_image.weight"].shape[0]
        single = state[FIRST].shape[1] == size
        hidden, narrow = (state[f"_encoder_image.{key}"].shape[0] for key in ("_conv_3.weight", _NARROW))
        layers = {key.split(".")[3] for key in state if key.startswith("_encoder_image._residual_stack._layers.")}
        found |= {"code_size": size, "hidden": hidden, "residual_hidden": narrow, "residual_layers": len(layers)}
    if BOOK in state:
        found |= {"codes": len(state[BOOK]), "quantizer": "ema" if SIZES in state else "plain"}
    mode = choices.mode or ("image-only" if single else "multimodal")
    Shape(mode=mode, mask=found["mask"])  # which has known words only
    if choices.mask and MASK not in state:
        raise UsageError(
            f"--mask {choices.mask} has no effect: the file is of a {name}, without mask.", "Leave it out."
        )
    first, last = MODES[mode]
    if (last - first == 1) != single:
        raise UsageError(
            f"--mode {mode} does not go with the file: its solver looks at {'one modality' if single else 'both'}.",
            f"Use --mode {'image-only or audio-only' if single else 'multimodal'}.",
        )
    return {**found, "mode": mode}


_NARROW = "_residual_stack._layers.0._block.2.weight"


def _shapes(name: str, state: Mapping[str, torch.Tensor], outputs: int) -> dict[str, tuple[int, ...]]:
    options = _options(name, state, Choices())
    with torch.device("meta"):
        model = FAMILY.build(name, _spec(name, outputs, FAMILY.clip_needs(options)), **options)
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    return {key: shape for key, shape in wanted.items() if not key.endswith(COUNTER)}


def _spec(name: str, outputs: int, needs: str) -> InputSpec:
    zeros, ones = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    clip = replace(FEATURE_CLIPS if name == family.FEATURES else CREMAD, needs=needs)
    named = outputs == len(family.EMOTIONS)
    return InputSpec(
        "audiovisual", SIZE, SIZE, mean=zeros, std=ones, classes=family.named(outputs), named=named, clip=clip
    )


FAMILY = family.CMVQVAEFamily()
FORMAT = PublishedFormat("CM-VQVAE", _faults, _read)
