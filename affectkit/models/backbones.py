"""timm backbones with a classifier on top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from affectkit.core.spec import InputSpec
from affectkit.errors import DownloadError, UsageError
from affectkit.models.external import hub
from affectkit.models.external import published_distributions as distributions
from affectkit.models.external.state_dicts import Weights
from affectkit.models.external.weights import copy_weights, read_classes, read_weights, tensor_shapes
from affectkit.models.family import Family

VGG_WIDTH = 4096
LARGE_INPUT = 640 * 640
"""Pixels above which the width below the top is computed without the maps."""
OWN = "features."
"""What is in front of the names of a timm network in a ``Backbone``."""
TOPS = ("linear", "mlp", "vgg", "vgg-avg")


class Backbone(nn.Module):
    """A timm feature extractor, then dropout and one linear layer, or another top.

    Input (B, channels, H, W), normalised; output logits (B, classes).

    Args:
        name: timm's name.
        classes: number of outputs.
        height, width: input size; needed by transformers and by the flattened VGG-like top.
        channels: 1 or 3.
        dropout: probability in front of the last linear layer.
        top: ``linear``; ``mlp``: a layer of ``top_width`` with ReLU before dropout and the last one, as published for
            emotion distributions (seed 001); ``vgg``: two layers of 4096 with dropout 0.5 on the flattened feature
            map; ``vgg-avg``: the same on its average over positions.
        top_width: of the hidden layer of ``mlp``.
        pretrained: load timm's weights from the hub.
    """

    def __init__(
        self,
        name: str,
        classes: int,
        *,
        height: int,
        width: int,
        channels: int = 3,
        dropout: float = 0.3,
        top: str = "linear",
        top_width: int = distributions.HIDDEN,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        self.features = _timm_model(name, height=height, width=width, channels=channels, pretrained=pretrained)
        self.flatten = top == "vgg"
        inner = self._inner_width(name, (1, channels, height, width))
        self.top: nn.Module
        if top == "linear":
            self.top = nn.Sequential(nn.Dropout(dropout), nn.Linear(inner, classes))
        elif top == "mlp":
            self.top = nn.Sequential(
                nn.Linear(inner, top_width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(top_width, classes)
            )
        else:
            self.top = _vgg_top(inner, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes) of images (B, channels, H, W)."""
        return self.top(self._inner(images))

    def _inner(self, images: torch.Tensor) -> torch.Tensor:
        """Return the top's input (B, width)."""
        return self.features.forward_features(images).flatten(1) if self.flatten else self.features(images)

    def _inner_width(self, name: str, shape: tuple[int, int, int, int]) -> int:
        """Measure the width of the top's input: some of timm's networks end wider than their ``num_features``.

        Of a large input shapes alone are computed, on the device ``meta``: its maps would take gigabytes.
        """
        training = self.features.training
        self.features.eval()
        try:
            if shape[2] * shape[3] > LARGE_INPUT:
                inner = self._width_by_shapes(shape)
            else:
                with torch.no_grad():
                    inner = self._inner(torch.zeros(shape)).shape[1]
        except Exception as error:
            raise UsageError(
                f"{name} does not take {shape[2]}x{shape[3]} images: {' '.join(str(error).split())[:200]}",
                "Choose another --image-size, or leave it out for the model's own.",
            ) from error
        self.features.train(training)
        return inner

    @torch.no_grad()
    def _width_by_shapes(self, shape: tuple[int, int, int, int]) -> int:
        held = dict([*self.features.named_parameters(), *self.features.named_buffers()])
        state = {f"features.{name}": value.to("meta") for name, value in held.items()}
        network = _Inner(self.features, self.flatten)
        return torch.func.functional_call(network, state, torch.empty(shape, device="meta")).shape[1]


class _Inner(nn.Module):
    """The network below the top, as a module of its own."""

    def __init__(self, features: nn.Module, flatten: bool) -> None:
        super().__init__()
        self.features, self.flatten = features, flatten

    forward = Backbone._inner


def hub_source(name: str) -> str:
    """Describe where timm would download the weights of ``name`` from."""
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        return ""
    return f"{config.hf_hub_id} on huggingface.co" if config.hf_hub_id else str(config.url or config.file)


def _copied(model: Backbone, given: Mapping[str, torch.Tensor], found: Weights, *, top_too: bool) -> str:
    """Copy ``given``: of the whole model where they have its names, else of its feature extractor."""
    whole = any(name.startswith(OWN) for name in given)
    if whole and not top_too:
        given = {name: value for name, value in given.items() if not name.startswith("top.")}
    return copy_weights(
        model if whole else model.features,
        given,
        found,
        top="top.",
        what="backbone",
        hint="Name the --model that the file was made with.",
    )


def _timm_model(name: str, *, height: int, width: int, channels: int, pretrained: bool) -> nn.Module:
    options: dict[str, Any] = {"num_classes": 0, "in_chans": channels}
    config = timm.get_pretrained_cfg(name)
    if config is not None and config.fixed_input_size and (height, width) != tuple(config.input_size[1:]):
        options["img_size"] = (height, width)  # transformers and their like are built for one size
    if pretrained:
        _check_reachable(name)
    try:
        return timm.create_model(name, pretrained=pretrained, **options)
    except Exception as error:
        if not pretrained:
            raise UsageError(f"{name} cannot be built for {height}x{width}x{channels}: {error}") from error
        raise _not_fetched(name, " ".join(str(error).split())[:200]) from error


def _not_fetched(name: str, why: str) -> DownloadError:
    return DownloadError(
        f"the weights of {name} are not on this machine and cannot be fetched from {hub_source(name)}: {why}",
        "Without a network: --no-pretrained trains from scratch, --init FILE takes weights from a file, and a "
        "Hugging Face cache filled elsewhere is used where HF_HOME points to it.",
    )


def is_cached(name: str) -> bool:
    """Return whether the hub weights of ``name`` already lie in the Hugging Face cache of this machine."""
    from huggingface_hub import try_to_load_from_cache

    config = timm.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        return False
    files = ("model.safetensors", "pytorch_model.bin")
    return any(isinstance(try_to_load_from_cache(config.hf_hub_id, file), str) for file in files)


def _check_reachable(name: str) -> None:
    if not hub_source(name):
        raise UsageError(f"timm has no pre-trained weights for {name}.", "Add --no-pretrained.")
    if not is_cached(name) and (why := hub.unreachable(hub.endpoint())):
        raise _not_fetched(name, why)


def _vgg_top(width: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, VGG_WIDTH),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(VGG_WIDTH, VGG_WIDTH),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(VGG_WIDTH, classes),
    )


class BackboneFamily(Family):
    """timm's feature extractors with a classifier on top."""

    def build(self, name: str, spec: InputSpec, **options: Any) -> Backbone:
        """Build a ``Backbone`` for ``spec``."""
        return Backbone(
            name, len(spec.classes), height=spec.height, width=spec.width, channels=spec.channels, **options
        )

    def default_input(self, name: str, options: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.default_input``: what timm's configuration names."""
        config = timm.get_pretrained_cfg(name)
        _, height, width = config.input_size if config else (3, 224, 224)
        mean, std = (config.mean, config.std) if config else ((0.5,) * 3, (0.5,) * 3)
        return {"height": height, "width": width, "mean": tuple(mean), "std": tuple(std)}

    def load_weights(
        self,
        model: Backbone,
        path: Path,
        *,
        classes: tuple[str, ...] = (),
        key: str | None = None,
        verify: bool = True,
    ) -> str:
        """Implement ``Family.load_weights``; a 3-channel stem is summed for a 1-channel model.

        Args:
            model: as ``build`` made it.
            path: a ``.safetensors`` file (affectkit's own among them), or a ``.pth``/``.pt``/``.bin`` state dict, which
                is read with ``weights_only=True``, wrapped in any way that ``external.state_dicts.unwrap`` knows.
            classes: class names of ``model``; the classifier of an affectkit checkpoint, or of one that seed 001
                published, is taken only where it has the same ones in the same order and size.
            key: which set of weights is taken.
            verify: compare a checkpoint of ours with the checksums in it.

        Raises:
            CheckpointError: the file cannot be read, or does not hold every weight of the backbone.
        """
        found = read_weights(path, forms=(tensor_shapes(model.features),), key=key, verify=verify)
        given, names = found.state, None
        head = distributions.published_head(given)
        if found.prefix.endswith(OWN):
            found = replace(found, prefix=found.prefix.removesuffix(OWN))
            given, names = found.state, read_classes(path) if path.suffix == ".safetensors" else classes
        elif head is not None:
            given, names = distributions.rename_published(given, head), distributions.CLASSES
        return _copied(model, given, found, top_too=names == classes)

    def last_layer(self, model: Backbone) -> nn.Module:
        """Return the layers on top of the backbone: its dropout and linear layer, or all layers of another top."""
        return model.top

    def build_options(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.build_options``."""
        width = {"top_width": settings["top_width"]} if settings["top"] == "mlp" else {}
        return {"dropout": settings["dropout"], "top": settings["top"], **width}

    def initial_options(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.initial_options``: weights of the hub, unless others are named."""
        return {"pretrained": True} if settings["pretrained"] and settings["init"] is None else {}

    def download_source(self, name: str, options: Mapping[str, Any]) -> str:
        """Implement ``Family.download_source``."""
        if not options.get("pretrained") or is_cached(name):
            return ""
        return f"{hub_source(name)} (once; --no-pretrained trains from scratch)"
