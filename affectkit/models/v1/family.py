"""The family of the V1 networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from affectkit.core.spec import InputSpec
from affectkit.errors import UsageError
from affectkit.models.external.weights import copy_own, read_weights, tensor_shapes
from affectkit.models.family import Family
from affectkit.models.v1.components import parse_parts
from affectkit.models.v1.network import ANY, VARIANTS, V1ResNet, Variant
from affectkit.models.v1.state_names import as_sequence, rename_published

INPUT = {"height": 64, "width": 64, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


class V1Family(Family):
    """ResNet-50 with components of the primary visual cortex."""

    def build(self, name: str, spec: InputSpec, *, v1: str | None = None, dropout: float = 0.0) -> V1ResNet:
        """Build the network called ``name`` for ``spec``, with random weights.

        Args:
            v1: its components, for ``resnet50_v1``, as ``"center-surround,local-rf"``.
            dropout: probability before the last layer.

        Raises:
            UsageError: a component does not take images of this size.
        """
        if (name == ANY) != (v1 is not None):
            raise UsageError(
                f"--v1 {v1} has no effect: {name} has the components that its name says."
                if v1
                else f"{name} needs --v1.",
                f"As --model {ANY} --v1 center-surround,tuned-norm.",
            )
        variant = VARIANTS[name] if v1 is None else Variant(parse_parts(v1))
        return V1ResNet(
            variant, len(spec.classes), height=spec.height, width=spec.width, channels=spec.channels, dropout=dropout
        )

    def default_input(self, name: str, options: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.default_input``: as published."""
        return dict(INPUT)

    def load_weights(
        self,
        model: V1ResNet,
        path: Path,
        *,
        classes: tuple[str, ...] = (),
        key: str | None = None,
        verify: bool = True,
    ) -> str:
        """Implement ``Family.load_weights``; the last layer of a published file is taken where it has as
        many outputs.
        """
        hint = "Name the --model, and the --image-size, that the file was made with."
        form = tensor_shapes(model)
        sequence = {as_sequence(name): shape for name, shape in form.items()}
        found = read_weights(path, forms=(form, sequence), key=key, verify=verify)
        return copy_own(model, rename_published(found.state), found, classes=classes, top="fc.", hint=hint)

    def last_layer(self, model: V1ResNet) -> nn.Module:
        """Return the linear layer from the averaged maps to the outputs."""
        return model.fc

    def build_options(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.build_options``."""
        named = {"v1": settings["v1"]} if settings["v1"] is not None else {}
        return {"dropout": settings["dropout"], **named}
