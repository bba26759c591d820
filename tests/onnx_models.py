"""Small random models of every family as checkpoints, to be exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from support import CLIP_CONFIG
from torch import nn

from affectkit.checkpoints.checkpoint import Header, save_checkpoint
from affectkit.core.clipspec import FEATURES, ClipSpec, SoundSpec
from affectkit.core.spec import InputSpec
from affectkit.models import clip
from affectkit.models.registry import build

CLASSES = ("anger", "joy", "neutral")
RATINGS = ("arousal", "valence")
EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def checkpoint(folder: Path, name: str, spec: InputSpec, **options: Any) -> Path:
    """Write the model ``name`` for ``spec`` with random weights, its batch norm as after some training."""
    torch.manual_seed(0)
    model = build(name, spec, **options)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, 0, 0.1)
            nn.init.uniform_(part.running_var, 0.8, 1.2)
            nn.init.uniform_(part.weight, 0.8, 1.2)
            nn.init.normal_(part.bias, 0, 0.1)
    path = folder / f"{name}.safetensors"
    save_checkpoint(path, model.eval(), Header(name, options, spec))
    return path


def images(side: int, *, task: str = "classification", classes: tuple[str, ...] = CLASSES, **changes: Any) -> InputSpec:
    """Specify square pictures."""
    return InputSpec(task, side, side, **{"mean": MEAN, "std": STD, "classes": classes, **changes})


def gray(side: int) -> InputSpec:
    """Specify square gray pictures."""
    return images(side, task="distribution", channels=1, mean=(0.5,), std=(0.25,))


def ratings(side: int) -> InputSpec:
    """Specify pictures to be rated."""
    return images(side, task="ratings", classes=RATINGS)


def clips(side: int = 32, *, needs: str = "both") -> InputSpec:
    """Specify clips whose spectrograms have twice the side."""
    sound = SoundSpec(mels=2 * side, height=2 * side, width=2 * side)
    given = ClipSpec(crop=None, sound=sound, needs=needs)
    return InputSpec("audiovisual", side, side, mean=(0.0,) * 3, std=(1.0,) * 3, classes=EMOTIONS, clip=given)


def features() -> InputSpec:
    """Specify clips as features."""
    return InputSpec("audiovisual", 128, 128, mean=(0.0,) * 3, std=(1.0,) * 3, classes=EMOTIONS, clip=FEATURES)


def vca_checkpoint(folder: Path, name: str = "tiny") -> Path:
    """Write a VCA on a random CLIP: ``tiny``, or a name of open_clip."""
    if name == "tiny":
        config = folder / "tiny.json"
        config.write_text(json.dumps(CLIP_CONFIG))
        name = str(config)
    choice = clip.choose_clip(name, "random")
    side = clip.image_size(choice)
    spec = InputSpec("ratings", side, side, mean=(0.0,) * 3, std=(1.0,) * 3, fit="stretch", classes=RATINGS)
    return checkpoint(folder, "vca", spec, clip_model=choice.to_dict())
