"""Checkpoints of emotion distributions (seed 001) as their code saves them, recognised by their names and shapes.

A ResNet of torchvision's, or an EfficientNet or vision transformer of timm's, stands under ``backbone.``, and in the
place of its last layer Linear(width, 512), ReLU, Dropout(0.3), Linear(512, 13), Softmax. Images are resized to 224x224,
sides not kept in proportion, and scaled by ImageNet's mean and std, whatever the network. The file says neither the
network, which follows from its tensors, nor the classes, which are the thirteen of the study in its order. Source: the
study's code, github.com/VittorioAlbertin/FacialEmotionRecognition at 865ce38: src/models.py, src/train.py, and
02_model_training.ipynb.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch

from affectkit.core.spec import InputSpec
from affectkit.models.external.published_format import (
    Choices,
    Contents,
    Published,
    PublishedFormat,
    Shapes,
    check_finite_numbers,
    differences,
)

CLASSES = (
    "neutral", "happy", "sad", "surprised", "fear", "disgust", "angry", "contempt", "serene", "contemplative",
    "secure", "untroubled", "quiet",
)  # fmt: skip
BACKBONE = "backbone."
NETWORKS = {
    "fc": ("resnet18", "resnet34", "resnet50", "resnet101"),
    "classifier": tuple(f"efficientnet_b{number}" for number in range(5)),
    "head": ("vit_base_patch16_224", "vit_small_patch16_224", "vit_tiny_patch16_224", "vit_large_patch16_224"),
}
"""Networks by the name of their last layer."""
HIDDEN, DROPOUT, SIDE = 512, 0.3, 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FIRST, LAST = "0", "3"
"""Where the two linear layers stand in the row that replaces the last one."""
COUNTER = "num_batches_tracked"


def published_head(state: Mapping[str, torch.Tensor]) -> str | None:
    """Return the name of the last layer that the row of two linear layers replaces; None where there is no such row.

    Args:
        state: the tensors of a network, without ``backbone.``.
    """
    for name in NETWORKS:
        first, last = (state.get(f"{name}.{place}.weight") for place in (FIRST, LAST))
        if first is not None and last is not None and first.dim() == last.dim() == 2 and len(first) == last.shape[1]:
            return name
    return None


def rename_published(state: Mapping[str, torch.Tensor], head: str) -> dict[str, torch.Tensor]:
    """Return ``state``, without ``backbone.``, by the names of a ``Backbone`` with the top ``mlp``."""
    return {
        f"top.{name.removeprefix(f'{head}.')}" if name.startswith(f"{head}.") else f"features.{name}": value
        for name, value in state.items()
    }


def _inner(contents: Contents) -> dict[str, torch.Tensor]:
    return {name.removeprefix(BACKBONE): value for name, value in contents.state.items() if name.startswith(BACKBONE)}


def _faults(contents: Contents) -> list[str]:
    inner = _inner(contents)
    if not inner:
        return [f"no network: nothing under {BACKBONE.removesuffix('.')}"]
    head = published_head(inner)
    if head is None:
        places = " or ".join(f"{BACKBONE}{name}.{{{FIRST},{LAST}}}" for name in NETWORKS)
        return [f"no two linear layers in place of the last one, as {places}"]
    outside = [f"{name} is not known" for name in contents.state if not name.startswith(BACKBONE)]
    tried = {name: _differences(name, inner, head) for name in NETWORKS[head]}
    name = min(tried, key=lambda name: len(tried[name]))
    if tried[name]:
        outside.append(f"its network is none of {', '.join(tried)}; of {name} differ {'; '.join(tried[name][:3])}")
    return outside


def _differences(name: str, inner: Mapping[str, torch.Tensor], head: str) -> list[str]:
    """Return what keeps the tensors ``inner`` from being those of the network ``name`` with the row in place of its
    head.
    """
    wanted = {**_shapes(name)}
    width = wanted.pop(f"{head}.weight")[1]
    hidden, outputs = len(inner[f"{head}.{FIRST}.weight"]), len(inner[f"{head}.{LAST}.weight"])
    wanted.pop(f"{head}.bias")
    wanted |= {f"{head}.{FIRST}.weight": (hidden, width), f"{head}.{FIRST}.bias": (hidden,)}
    wanted |= {f"{head}.{LAST}.weight": (outputs, hidden), f"{head}.{LAST}.bias": (outputs,)}
    return differences({key: value for key, value in inner.items() if not key.endswith(COUNTER)}, wanted, BACKBONE)


@functools.cache
def _shapes(name: str) -> Shapes:
    """Return the shapes of a network's tensors, as plain numbers, without counters of batches."""
    import timm

    with torch.device("meta"):
        state = timm.create_model(name, pretrained=False).state_dict()
    return {key: tuple(value.shape) for key, value in state.items() if not key.endswith(COUNTER)}


def _read(contents: Contents, choices: Choices) -> Published:
    inner = _inner(contents)
    head = published_head(inner)
    name = next(name for name in NETWORKS[head] if not _differences(name, inner, head))
    hidden, outputs = len(inner[f"{head}.{FIRST}.weight"]), len(inner[f"{head}.{LAST}.weight"])
    named = outputs == len(CLASSES)
    classes = CLASSES if named else tuple(map(str, range(outputs)))
    state = rename_published(inner, head)
    state |= {
        key: torch.tensor(0)
        for norm in [key.removesuffix(".running_mean") for key in state if key.endswith(".running_mean")]
        if (key := f"{norm}.{COUNTER}") not in state
    }
    told = {key: value for key, value in contents.beside.items() if key in ("epoch", "val_loss", "best_val_loss")}
    return Published(
        family="distribution",
        title=f"emotion distribution, {name}, {outputs} classes",
        model=name,
        options={"dropout": DROPOUT, "top": "mlp", "top_width": hidden},
        spec=InputSpec("distribution", SIDE, SIDE, mean=MEAN, std=STD, fit="stretch", classes=classes, named=named),
        state=state,
        summary=check_finite_numbers(told),
        precision="single",
    )


FORMAT = PublishedFormat("emotion distributions", _faults, _read)
