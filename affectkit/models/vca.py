"""VCA: valence and arousal from frozen CLIP features through an amygdala-shaped head.

Source: Liu, Bo, Chen, Keil, Ding, Fang, "Biologically Inspired Deep Neural Network Models for Visual Emotion
Processing", bioRxiv 2025.10.20.683439. Parameter names are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from affectkit.core.spec import InputSpec
from affectkit.errors import CheckpointError, UsageError
from affectkit.models import clip
from affectkit.models.external.weights import listed_names, read_weights, tensor_shapes
from affectkit.models.family import Family, FrozenEncoderModel

FEED_FORWARD = 512
BRANCH = 256
INPUT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
"""The published weights were trained on images in [0, 1] as they are."""


class Layer(nn.TransformerEncoderLayer):
    """A post-norm transformer encoder layer for sequences of length 1, (B, width) in and out.

    With a single position the attention weights are 1 whatever query and key are, so neither is computed; the result,
    and the gradients (zero for both), are those of ``nn.TransformerEncoderLayer``. Its dropout on the attention
    weights leaves out whole heads, per sample.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, dim_feedforward=FEED_FORWARD, dropout=0.1, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Map (B, width) to (B, width)."""
        attention = self.self_attn
        width, heads = attention.embed_dim, attention.num_heads
        value = F.linear(x, attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :])
        if self.training:
            kept = F.dropout(value.new_ones(len(value), heads, 1), attention.dropout)
            value = (value.view(len(value), heads, -1) * kept).flatten(1)
        x = self.norm1(x + self.dropout1(attention.out_proj(value)))
        inner = self.linear2(self.dropout(torch.relu(self.linear1(x))))
        return self.norm2(x + self.dropout2(inner))


class Layers(nn.Module):
    """Several ``Layer`` one after the other, equal at the start, as ``nn.TransformerEncoder`` makes them."""

    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        first = Layer(width, heads)
        self.layers = nn.ModuleList([first])
        for _ in range(depth - 1):
            self.layers.append(Layer(width, heads))
            self.layers[-1].load_state_dict(first.state_dict())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, width) to (B, width)."""
        for layer in self.layers:
            x = layer(x)
        return x


class Head(nn.Module):
    """From CLIP features (B, width) to ratings (B, outputs).

    LA (lateral nucleus) feeds BA (basal) and BL (basolateral); CE (central) reads all three.

    Args:
        width: of the features.
        outputs: ratings.
        equal_branches: the transformer layers of BA and BL begin with equal weights, as in the study's code, which
            copies one layer into both; their linear layers differ all the same.

    >>> Head(64, 2)(torch.zeros(3, 64)).shape
    torch.Size([3, 2])
    """

    def __init__(self, width: int, outputs: int, *, equal_branches: bool = False) -> None:
        super().__init__()
        self.width = width
        joined = width + 2 * BRANCH
        self.LA = Layers(width, 4, 2)
        self.BA, self.BL = (
            nn.Sequential(Layers(width, 1, 1), nn.Linear(width, BRANCH), nn.ReLU(), nn.Dropout(0.1)) for _ in range(2)
        )
        if equal_branches:  # after both were drawn, so that nothing else differs
            self.BL[0].load_state_dict(self.BA[0].state_dict())
        self.CE = nn.Sequential(Layers(joined, 2, 2), nn.Linear(joined, joined), nn.ReLU(), nn.Dropout(0.5))
        self.LastFC = nn.Linear(joined, outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return ratings (B, outputs), on the scale of the training data; of two, arousal then valence."""
        la = self.LA(features)
        return self.LastFC(self.CE(torch.cat([la, self.BA(la), self.BL(la)], 1)))


class VCA(FrozenEncoderModel):
    """A frozen CLIP and the ``Head`` on its features; what is trained, saved and averaged is the head.

    Attributes:
        encoder: the frozen image tower.
        head: the rest.
        options: what rebuilds the model, for a checkpoint's header.
    """

    def __init__(self, encoder: clip.Encoder, head: Head, options: dict[str, Any]) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.options = options

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return ratings (B, outputs) of images (B, 3, H, W), or of their features (B, width), computed before."""
        features = inputs if inputs.dim() == 2 else self.encoder(inputs)
        return self.head(features)


class VCAFamily(Family):
    """Heads on frozen CLIP image towers."""

    overrides = ("clip_weights",)

    def build(
        self,
        name: str,
        spec: InputSpec,
        *,
        clip_model: Mapping[str, Any],
        clip_weights: str | None = None,
        carried: bool = False,
        empty: bool = False,
        equal_branches: bool = False,
    ) -> VCA:
        """Build a ``VCA`` for ``spec`` whose head is random and whose CLIP has its weights.

        Args:
            clip_model: the fields of a ``clip.ClipChoice``.
            clip_weights: file with CLIP's weights, for a choice that says ``file``, or in place of a download.
            carried: CLIP's weights are saved with the model.
            equal_branches: see ``Head``.
            empty: leave CLIP's weights random, for they are about to be copied from the checkpoint that carries them.

        Raises:
            CheckpointError: CLIP's weights have another hash than the choice names.
        """
        choice = clip.ClipChoice(**clip_model)
        if (spec.height, spec.width) != (clip.image_size(choice),) * 2 or spec.channels != 3:
            raise UsageError(
                f"{choice.name} takes images of {clip.image_size(choice)}x{clip.image_size(choice)}x3, "
                f"not {spec.height}x{spec.width}x{spec.channels}.",
                "Leave --image-size and --channels out.",
            )
        if carried and empty:
            tower, found = clip.build_tower(choice), choice.sha256
        else:
            tower = clip.load_tower(choice, clip_weights)
            found = clip.tower_hash(tower)
        if choice.sha256 and found != choice.sha256:
            raise CheckpointError(
                f"the weights of {choice.name} ({clip_weights or choice.weights}) are not those that the model was "
                f"trained with: SHA-256 {found[:12]}... and {choice.sha256[:12]}...",
                "Name the file with the right ones: --clip-weights FILE.",
            )
        choice = replace(choice, sha256=found)
        options: dict[str, Any] = {"clip_model": choice.to_dict()}
        if carried:
            options["carried"] = True
        elif choice.weights == "file":
            options["clip_weights"] = str(clip_weights)
        encoder = clip.Encoder(tower, choice, carried=carried)
        head = Head(clip.feature_width(choice), len(spec.classes), equal_branches=equal_branches)
        return VCA(encoder, head, options)

    def bytes_beside(self, options: Mapping[str, Any]) -> int:
        """Implement ``Family.bytes_beside``: EVA02-E, the greatest tower of open_clip, has 4.4e9 parameters."""
        return 0 if options.get("carried") else 18 * 10**9

    def default_input(self, name: str, options: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.default_input``: as CLIP takes them,
        normalised only where ``--clip-normalise`` says so.
        """
        choice = clip.ClipChoice(**options["clip_model"])
        size = clip.image_size(choice)
        mean, std = clip.image_statistics(choice) if settings["clip_normalise"] else (INPUT["mean"], INPUT["std"])
        return {"height": size, "width": size, "mean": mean, "std": std}

    def load_weights(
        self,
        model: VCA,
        path: Path,
        *,
        classes: tuple[str, ...] = (),
        key: str | None = None,
        verify: bool = True,
    ) -> str:
        """Implement ``Family.load_weights``; a head is taken, its last layer where it has as many outputs.

        Raises:
            CheckpointError: the file cannot be read, or holds no head for CLIP features of this width.
        """
        # Those of CLIP, under other names, are passed over.
        found = read_weights(path, forms=(tensor_shapes(model.head),), key=key, verify=verify)
        given = {name: value.float() for name, value in found.state.items()}
        wanted = model.head.state_dict()
        taken = {
            name: given[name] for name, value in wanted.items() if name in given and given[name].shape == value.shape
        }
        missing = [name for name in wanted if name not in taken and not name.startswith("LastFC.")]
        if missing:
            raise CheckpointError(
                f"{path} holds no VCA head for {model.options['clip_model']['name']}: {len(missing)} of {len(wanted)} "
                f"tensors are not there or of another shape ({', '.join(missing[:3])}). It holds {len(found.tensors)} "
                f"tensors{found.description()}: {listed_names(found.tensors)}.",
                "Name the --clip that the file was made with.",
            )
        model.head.load_state_dict(taken, strict=False)
        left = [name for name in wanted if name not in taken]
        told = f"{len(taken)} tensors from {path}{found.description('head.')}"
        return told + (f"; left at their initial values: {', '.join(left)}" if left else "")

    def last_layer(self, model: VCA) -> nn.Module:
        """Return the linear layer from the central nucleus to the ratings."""
        return model.head.LastFC

    def build_options(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.build_options``."""
        weights = settings["clip_weights"]
        choice = clip.choose_clip(settings["clip"], weights, activation=settings["clip_activation"])
        options: dict[str, Any] = {"clip_model": choice.to_dict()}
        if choice.weights == "file":
            options["clip_weights"] = weights
        if settings["include_clip"]:
            options["carried"] = True
        return options

    def initial_options(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.initial_options``: BA and BL begin alike under ``--recipe published``."""
        return {"equal_branches": True} if settings.get("recipe") == "published" else {}

    def built_options(self, model: VCA, options: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.built_options``: with the hash of CLIP's weights."""
        return model.options

    def checkpoint_options(self, options: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Implement ``Family.checkpoint_options``; weights that the checkpoint carries are not given again."""
        found = super().checkpoint_options(options, given)
        if not options.get("carried"):
            return found
        if given.get("clip_weights"):
            raise UsageError("--clip-weights has no effect: the checkpoint holds CLIP's weights itself.")
        return {**found, "empty": True}

    def download_source(self, name: str, options: Mapping[str, Any]) -> str:
        """Implement ``Family.download_source``."""
        choice = clip.ClipChoice(**options["clip_model"])
        if clip.is_cached(choice):
            return ""
        return f"CLIP {choice.name} ({choice.weights}) from {clip.weights_source(choice)} (once)"
