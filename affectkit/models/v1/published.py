"""Checkpoints of the V1 networks as the study's code saves them, recognised by their keys and ``model_type``."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from affectkit.core.spec import InputSpec
from affectkit.models.external.published_format import (
    Choices,
    Contents,
    Published,
    PublishedFormat,
    check_finite_numbers,
    differences,
)
from affectkit.models.v1.components import CENTER_SURROUND, DIV_NORM, LOCAL_RF, MAGNIFICATION, TUNED_NORM
from affectkit.models.v1.family import INPUT
from affectkit.models.v1.network import PLAIN, VARIANTS, V1ResNet
from affectkit.models.v1.state_names import is_sequence, rename_published

IMAGENET_CLASSES, IMAGENET_FIT = 1000, "imagenet"
TINY_CLASSES, TINY_FIT = 200, "crop"
"""Tiny-ImageNet's; of an image that has the size of the input, the crop is the image."""
TINY_NAMES = ("tinyimagenet", "tinyimagenet-c")
PLAIN_TYPE = "resnet50"
TOLD = ("current_epoch", "valid_acc", "valid_loss")
COUNTER = "num_batches_tracked"


def _faults(contents: Contents) -> list[str]:
    state = rename_published(contents.state)
    last = state.get("fc.weight")
    if "layer1.0.conv2.weight" not in state and not any(name.startswith("layer1.0.conv2.") for name in state):
        return ["no ResNet: nothing under layer1.0.conv2"]
    if last is None or last.dim() != 2:
        return ["no last layer: no fc.weight"]
    named = _model_type(contents)
    if named is not None and named not in VARIANTS:
        return [f"args['model_type'] is {named!r}, which is none of the thirteen variants"]
    fitting = _fitting(contents.state, state)
    if not fitting:
        return ["its components are those of none of the thirteen variants"]
    if named is None and len(fitting) > 1:
        return [f"args['model_type'] is missing, and its tensors fit {' and '.join(fitting)} alike"]
    if named is not None and named not in fitting:
        return [f"args['model_type'] says {named}, and its tensors are those of {' or '.join(fitting)}"]
    weights = {key: value for key, value in state.items() if not key.endswith(COUNTER)}
    return differences(weights, _shapes(named or fitting[0], len(last)))


def _read(contents: Contents, choices: Choices) -> Published:
    state = rename_published(contents.state)
    name = _model_type(contents) or _fitting(contents.state, state)[0]
    count = len(state["fc.weight"])
    fit, why = _fit(contents, count)
    named = count == IMAGENET_CLASSES
    spec = InputSpec(task="classification", fit=fit, classes=_classes(count), named=named, **INPUT)
    known = {
        key: contents.beside[key] for key in ("current_epoch", "valid_acc", "valid_loss") if key in contents.beside
    }
    if f"bn1.{COUNTER}" not in state:  # older torch counted no batches
        state |= {f"{norm}.{COUNTER}": torch.tensor(0) for norm in _norms(state)}
    return Published(
        family="v1",
        title=f"V1 network {name}, {count} classes",
        model=name,
        options={},
        spec=spec,
        state=state,
        summary=check_finite_numbers(known),
        precision="single",
        notes=(f"fit {fit}: {why}",),
    )


def _fit(contents: Contents, count: int) -> tuple[str, str]:
    """Return how images are brought to 64 pixels, and how that is known.

    The study takes Tiny-ImageNet's images, which have 64 pixels, as they are, and of ImageNet's the usual crop; which
    of them a file is for stands in ``args["dataset"]``. Source: main.py of the study's code, seed 002.
    """
    named = _argument(contents, "dataset")
    if named is not None:
        known = {**dict.fromkeys(TINY_NAMES, TINY_FIT), "imagenet": IMAGENET_FIT}
        if named.lower() in known:
            return known[named.lower()], f"args['dataset'] is {named}"
    why = "the file names no dataset" if named is None else f"args['dataset'], {named}, is none of the study's"
    if count == TINY_CLASSES:
        return TINY_FIT, f"{why}, and {count} outputs are Tiny-ImageNet's"
    return IMAGENET_FIT, f"{why}, and {count} outputs are not the {TINY_CLASSES} of Tiny-ImageNet"


def _model_type(contents: Contents) -> str | None:
    found = _argument(contents, "model_type")
    return PLAIN if found == PLAIN_TYPE else found


def _argument(contents: Contents, name: str) -> str | None:
    """Return the value of ``name`` on the command line that made the file."""
    args = contents.beside.get("args")
    found = args.get(name) if isinstance(args, Mapping) else None
    return None if found is None else str(found)


def _fitting(given: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the variants whose components show in the names; cortical magnification does not, but in the plain
    sequence.
    """
    if is_sequence(given):
        return ["resnet50_cortical_magnification"]
    alone = any(name in state for name in ("layer1.0.conv2.0.weight", "layer1.2.conv2.1.weight"))
    parts = set()
    if any(".dog_conv." in name for name in state):
        parts.add(CENTER_SURROUND)
    if any(value.dim() == 6 for value in state.values()):
        parts.add(LOCAL_RF)
    if "layer1.0.dn.sigmas" in state:
        parts.add(TUNED_NORM)
    if "layer1.0.dn.A" in state:
        parts.add(DIV_NORM)
    fits = [name for name, variant in VARIANTS.items() if variant.parts - {MAGNIFICATION} == parts]
    with_names = [name for name in fits if VARIANTS[name].alone == alone]
    # By themselves both kinds of normalisation have the names that they have in composites.
    kept = with_names if parts & {CENTER_SURROUND, LOCAL_RF} else fits
    return [name for name in kept if name != "resnet50_cortical_magnification"]


def _shapes(name: str, outputs: int) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        model = V1ResNet(VARIANTS[name], outputs)
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    return {key: shape for key, shape in wanted.items() if not key.endswith(COUNTER)}


def _norms(state: Mapping[str, torch.Tensor]) -> list[str]:
    return [name.removesuffix(".running_mean") for name in state if name.endswith(".running_mean")]


def _classes(count: int) -> tuple[str, ...]:
    """Return WordNet ids for ImageNet's thousand classes, in the order of its sorted folders; else numbers."""
    if count == IMAGENET_CLASSES:
        from timm.data import ImageNetInfo

        return tuple(ImageNetInfo("imagenet-1k").label_names())
    return tuple(map(str, range(count)))


FORMAT = PublishedFormat("V1 networks", _faults, _read)
