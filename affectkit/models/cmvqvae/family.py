"""The family of CM-VQVAE, its baselines and its variant on features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import nn

from affectkit.core.spec import InputSpec
from affectkit.core.text import count_text
from affectkit.errors import CheckpointError, UsageError
from affectkit.models.cmvqvae.baselines import SIDE, FeatureNetwork, TwoResNets
from affectkit.models.cmvqvae.network import Network, Shape
from affectkit.models.external.weights import (
    copy_weights,
    listed_names,
    read_classes,
    read_weights,
    tensor_shapes,
)
from affectkit.models.family import Family

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
    """Return the classes of a published file with ``count`` outputs: ``EMOTIONS`` where these are as many, else
    numbers.
    """
    return EMOTIONS if count == len(EMOTIONS) else tuple(map(str, range(count)))


def _check_features(shapes: tuple[tuple[int, ...], ...], shape: Shape) -> None:
    wanted = shape.code_size * SIDE * SIDE
    wrong = [found for found in shapes if len(found) != 2 or found[0] * found[1] != wanted]
    if wrong or shapes[0][0] > shapes[1][0]:
        raise UsageError(
            f"features must be two tables a clip of {wanted:,} numbers each (16x4096 and 64x1024), those of the sound "
            f"with as many frames or more; got {shapes[0]} and {shapes[1]}."
        )


class CMVQVAEFamily(Family):
    """CM-VQVAE, its baselines and its variant on features."""

    def build(self, name: str, spec: InputSpec, **options: Any) -> nn.Module:
        """Build the network called ``name`` for ``spec``, with random weights.

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

    def default_input(self, name: str, options: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.default_input``: images in [0, 1]; their size is that of the prepared clips."""
        return {"height": 128, "width": 128, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}

    def load_weights(
        self,
        model: nn.Module,
        path: Path,
        *,
        classes: tuple[str, ...] = (),
        key: str | None = None,
        verify: bool = True,
    ) -> str:
        """Implement ``Family.load_weights``: encoders, decoders, codebooks, and where classes agree the solver and its
        mask.

        The classes of a published file are known by their number alone, see ``named``.
        """
        found = read_weights(path, forms=(tensor_shapes(model),), key=key, verify=verify)
        given = found.state
        top = "_fc2." if isinstance(model, TwoResNets) else f"{LAST}."
        own = read_classes(path) if path.suffix == ".safetensors" else None
        if own is None:
            outputs = given.get("_fc2.weight", given.get(f"{LAST}._fc2.weight", given.get(f"{LAST}._fc.weight")))
            own = named(len(outputs)) if outputs is not None and outputs.dim() else None
        state = model.state_dict()
        differing = any(
            name in given and given[name].shape != state[name].shape for name in state if name.startswith(top)
        )
        if differing or own != classes:
            given = {name: value for name, value in given.items() if not name.startswith(top)}
        if not set(given) & set(state):
            held = (
                f"It holds {count_text(len(found.tensors), 'tensor')}{found.description()}: "
                f"{listed_names(found.tensors)}."
            )
            raise CheckpointError(
                f"{path} holds nothing of a CM-VQVAE. {held}", "Name a run of --model cmvqvae, or a model.pt."
            )
        hint = "Name the --model, --hidden, --codes and --quantizer that the file was made with."
        return copy_weights(model, given, found, top=top, what="network", hint=hint)

    def last_layer(self, model: nn.Module) -> nn.Module:
        """Return the solver, with its mask; of two ResNets the layer to the outputs."""
        return model._fc2 if isinstance(model, TwoResNets) else model._classifier

    def build_options(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.build_options``."""
        taken = {entry.name for entry in fields(Shape)} & set(settings)
        return {name: settings[name] for name in sorted(taken)} | {"residual_hidden": max(settings["hidden"] // 4, 1)}

    def clip_needs(self, options: Mapping[str, Any]) -> str:
        """Implement ``Family.clip_needs``, and ``core.clipspec.ClipSpec``."""
        return NEEDS[options.get("mode", "multimodal")]
