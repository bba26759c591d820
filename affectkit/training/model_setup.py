"""The model of a training before its first step: built, started from weights, frozen in part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from affectkit.checkpoints.find import find_checkpoint
from affectkit.config import plain
from affectkit.core.assets import model_file
from affectkit.core.clipspec import describe_levels
from affectkit.core.progress import Reporter
from affectkit.core.randomness import address_seed
from affectkit.core.spec import InputSpec
from affectkit.errors import UsageError
from affectkit.models.external.weights import read_sound_level
from affectkit.models.family import Family, StagedModel, frozen_encoder
from affectkit.models.registry import build, last_layer
from affectkit.runtime.context import RunContext
from affectkit.runtime.device import prepare_model
from affectkit.settings.training import TrainSettings
from affectkit.training.data_setup import DataSetup

KNOWN_PICTURES = (
    "the built-in model learned from FER+, whose images are those of FER-2013: a test on images from there is on what "
    "it has seen"
)


def set_up_model(
    settings: TrainSettings, data: DataSetup, context: RunContext, *, restored: bool, reporter: Reporter
) -> tuple[nn.Module, nn.Module | None]:
    """Build the model on its device, and freeze what does not learn.

    Args:
        settings: of the run.
        data: what is learned.
        context: device and processes.
        restored: the weights will come from a state, so neither the hub nor ``--init`` is asked for them.
        reporter: of where the weights come from.

    Returns:
        The model, and the part of it that learns; None: all of it.
    """
    name, spec, family = settings.model, data.task.spec, data.family
    if restored:
        model = build(name, spec, **data.options)
    else:
        model = context.group.run_main_first(
            lambda: initial_model(settings, family, spec, data.options, reporter=reporter)
        )
    trainable = freeze(name, model, tune=settings.tune, stage=settings.stage)
    random = settings.init is None and not family.initial_options(plain(settings)).get("pretrained")
    if trainable is not None and random and not restored:
        warn_of_random_start(name, pretrained=settings.pretrained, reporter=reporter)
    return prepare_model(model, context.device, channels_last=context.device.channels_last), trainable


def initial_model(
    settings: TrainSettings, family: Family, spec: InputSpec, options: dict[str, Any], *, reporter: Reporter
) -> nn.Module:
    """Build the model at its start: seeded, from the hub, or from a file."""
    torch.manual_seed(address_seed(settings.seed, "initial weights"))
    options = {**options, **family.initial_options(plain(settings))}
    if source := family.download_source(settings.model, options):
        reporter.note(f"fetching {source}")
    model = build(settings.model, spec, **options)
    if settings.init is not None:
        file, key = find_checkpoint(settings.init), settings.init_key
        how = {} if settings.verify else {"verify": False}  # which families of others need not know
        taken = family.load_weights(model, file, classes=spec.classes, key=key, **how)
        reporter.note(f"initial weights: {taken}")
        if model_file(settings.init) is not None:
            reporter.note(KNOWN_PICTURES)
        frozen = settings.stage == "solver" or settings.tune != "all"
        check_initial_level(file, spec, frozen=frozen, reporter=reporter)
        if settings.reset_mask and isinstance(model, StagedModel):
            model.reset_mask()
    return model


def check_initial_level(file: Path, spec: InputSpec, *, frozen: bool, reporter: Reporter) -> None:
    """Warn where the weights of ``file`` were trained on sound of another level; refuse where they do not learn.

    Raises:
        UsageError: they stay as they are, for they are ``frozen`` by ``--stage solver`` or ``--tune``.
    """
    if spec.clip is None or spec.clip.sound is None or spec.clip.needs == "image":
        return
    there, wanted = read_sound_level(file), spec.clip.sound.level
    if there in (None, wanted):
        return
    text = f"{file} was trained on sound at the level {describe_levels(there, wanted)}, as that of the clips."
    hint = "Prepare the clips of both at one level: --sound-level of the prep command."
    if frozen:
        raise UsageError(text, hint)
    reporter.warn(f"{text} {hint}")


def freeze_but_last(name: str, model: nn.Module) -> nn.Module:
    """Freeze all of ``model``, which the registry calls ``name``, but its classifier, which is returned.

    Raises:
        UsageError: it is not known which part that is.
    """
    last = last_layer(name, model)
    model.requires_grad_(False)
    last.requires_grad_(True)
    return last


def freeze(name: str, model: nn.Module, *, tune: str, stage: str) -> nn.Module | None:
    """Freeze what does not learn by ``--tune`` and ``--stage``.

    Args:
        name: of the model in the registry.
        model: whose parameters are frozen.
        tune: ``all`` or ``last``.
        stage: of a model that has stages: ``joint``, ``autoencoder`` or ``solver``.

    Returns:
        The part that learns; None: all of the model, but for what ``autoencoder`` freezes.
    """
    if tune == "last":
        return freeze_but_last(name, model)
    if stage == "joint" or not isinstance(model, StagedModel):
        return None
    model.stage = stage
    if stage == "solver":
        return freeze_but_last(name, model)
    last_layer(name, model).requires_grad_(False)
    return None


def warn_of_random_start(name: str, *, pretrained: bool, reporter: Reporter) -> None:
    """Warn where a classifier alone would learn on a network whose weights come from neither a file nor a hub.

    Args:
        name: of the model.
        pretrained: whether weights of a hub were asked for, which this model does not have.
        reporter: which warns.
    """
    reporter.warn(
        f"--tune last trains a classifier on a {name} with random weights: name the file with its weights by --init "
        "FILE" + (", or leave --no-pretrained out." if not pretrained else ".")
    )


def describe_parameters(model: nn.Module, trainable: nn.Module | None) -> str:
    """Describe how many parameters there are, and how many of them learn where that is not all."""
    if trainable is None:
        return f"{sum(value.numel() for value in model.parameters() if value.requires_grad) / 1e6:.1f} M parameters"
    count, learning = (sum(value.numel() for value in part.parameters()) for part in (model, trainable))
    return f"{count / 1e6:.1f} M parameters, of which {learning:,} learn (--tune last)"


def describe_encoder(model: nn.Module) -> str:
    """Describe a frozen encoder; empty where there is none."""
    encoder = frozen_encoder(model)
    if encoder is None:
        return ""
    count = sum(value.numel() for value in encoder.tower.parameters())
    return f" on frozen {encoder.described}, {count / 1e6:.1f} M"
