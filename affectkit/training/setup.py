"""What a training run is made of, before its first step: data, task, model, optimiser, schedule."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from affectkit.checkpoints.checkpoint import Header, find_checkpoint
from affectkit.config import plain
from affectkit.core.clipspec import levels_told
from affectkit.core.progress import Reporter
from affectkit.core.randomness import address
from affectkit.core.spec import InputSpec
from affectkit.core.version import VERSION
from affectkit.data.layouts.discovery import Source
from affectkit.data.loading.loaders import Held, choose_cache, hold_images, needs_whole, refuse_failures
from affectkit.data.loading.modality import item_name
from affectkit.data.split import Split
from affectkit.errors import UsageError
from affectkit.evaluation.class_counts import tell_classes
from affectkit.features.extraction import frozen_encoder
from affectkit.models.external.weights import sound_level_of
from affectkit.models.family import Family, StagedModel
from affectkit.models.registry import build, last_layer
from affectkit.runtime.context import RunContext
from affectkit.runtime.device import prepare_model
from affectkit.runtime.distributed import ProcessGroup
from affectkit.runtime.torch_backends import Compiled
from affectkit.schedules.curves import Schedule, Shape
from affectkit.settings.training import TrainSettings
from affectkit.tasks.base import Task
from affectkit.training.data_setup import apart_from_training, make_plan, test_split
from affectkit.training.distillation import mixed, soft_targets


@dataclass
class Training:
    """Everything that a run works with.

    Attributes:
        held: decoded images of the train and validation splits, or None for each where they are decoded as needed.
        network: what a batch is passed through: the model, or what was compiled from it.
        test: what the best epoch is tested on at the end.
        tuned: the part of the model that learns; None: all of it.
        soft: what teachers predict for the training images (N, C); None without teachers.
        copies: exact copies across the splits, by split; see ``data.layouts.duplicates.Copies.record``.
    """

    settings: TrainSettings
    source: Source
    task: Task
    model: nn.Module
    options: dict[str, Any]
    train: Split
    valid: Split
    held: tuple[Held | None, Held | None]
    workers: int
    context: RunContext
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    network: nn.Module | Compiled
    test: Split | None = None
    tuned: nn.Module | None = None
    soft: torch.Tensor | None = None
    copies: dict[str, Any] = field(default_factory=dict)

    def header(self, **summary: Any) -> Header:
        """The checkpoint header of this run's model."""
        return Header(
            model=self.settings.model,
            options=self.options,
            spec=self.task.spec,
            training={
                "data_fingerprint": self.train.fingerprint(),
                "seed": self.settings.seed,
                "task_options": self.task.recorded_options(),
                **summary,
            },
        )

    def splits(self) -> dict[str, Split]:
        """The splits by name; ``test`` where there is one."""
        return {"train": self.train, "valid": self.valid, **({} if self.test is None else {"test": self.test})}

    def targets(self, epoch: int) -> dict[str, torch.Tensor]:
        """The targets of all training images in an epoch."""
        return mixed(self.task.targets(self.train, epoch=epoch), self.soft, self.settings.teacher_share)

    def record(self) -> dict[str, Any]:
        """What ``config.yaml`` says: settings that ``--config`` reads back, versions, and what the data is."""
        return {
            "settings": plain(self.settings),
            "affectkit": VERSION,
            "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
            "place": {
                "device": self.context.device.description,
                "precision": self.context.precision.name,
                "processes": self.context.group.world_size,
            },
            "model": {
                "parameters": sum(value.numel() for value in self.model.parameters()),
                "input": self.task.spec.to_dict(),
            },
            "data": {
                "layout": self.source.layout,
                "task": self.task.name,
                "train": {"images": len(self.train), "fingerprint": self.train.fingerprint()},
                "valid": {"images": len(self.valid), "fingerprint": self.valid.fingerprint()},
            },
        }


def prepare(settings: TrainSettings, *, reporter: Reporter, restored: bool = False) -> Training:
    """Find the data, build the model and everything around it; every fault shows here, before the first step.

    Args:
        restored: the weights will come from a state, so neither the hub nor ``--init`` is asked for them.
    """
    context = RunContext.resolve(settings.device, settings.precision)
    settings = replace(settings, precision=context.precision.name)  # so that a resumed run computes in the same format
    plan = make_plan(settings, group=context.group, reporter=reporter)
    settings = replace(settings, monitor=plan.monitor)
    source, task, train, valid, options = plan.source, plan.task, plan.train, plan.valid, plan.options
    spec = task.spec
    task.targets(train.select(np.arange(1)), epoch=0)  # an option that the data cannot serve fails here
    test = test_split(settings, source, task, reporter)
    splits = {"train": train, "valid": valid, **({} if test is None else {"test": test})}
    splits, copies = apart_from_training(splits, settings, group=context.group, noun=item_name(spec), reporter=reporter)
    valid, test = splits["valid"], splits.get("test")
    tell_classes(task, splits, reporter)
    if restored:
        model = build(settings.model, spec, **options)
    else:
        model = context.group.run_main_first(
            lambda: initial_model(settings, plan.family, spec, options, reporter=reporter)
        )
    tuned = freeze_but_last(settings.model, model) if settings.tune == "last" else staged(settings, model)
    if tuned is not None and not restored:
        warn_of_random_start(settings, plan.family, reporter)
    options = plan.family.built_options(model, options)
    encoded = frozen_encoder(model) is not None
    held = (None, None)
    if not (encoded and settings.views):
        held = hold(settings, spec, train, valid, group=context.group, reporter=reporter)
    stored = train.store is not None
    workers, why = context.choose_workers(settings.workers, held=held[0] is not None or stored)
    model = prepare_model(model, context.device, channels_last=context.device.channels_last)
    reporter.note(
        f"{source.layout} in {source.root}: {len(train):,} training and {len(valid):,} validation "
        f"{item_name(spec)}, " + task.description()
    )
    reporter.note(
        f"{settings.model}, {told_parameters(model, tuned)}{told_encoder(model)}, "
        f"{spec.height}x{spec.width}x{spec.channels}, task {task.name}"
    )
    images = "; images held in memory" if held[0] is not None else "; images decoded each time"
    if held[1] is not None and held[0] is None:
        images = "; training images decoded each time, validation images held in memory"
    if encoded and settings.views:
        images = "; features computed once"
    if stored:
        images = "; clips read from their store"
    reporter.note(context.describe(settings.batch_size, f"{workers} ({why})", accumulate=settings.accumulate) + images)
    return Training(
        settings,
        source,
        task,
        model,
        options,
        train,
        valid,
        held,
        workers,
        context,
        make_optimizer(settings, model),
        make_schedule(settings),
        context.maybe_compile(model, enabled=settings.compile, reporter=reporter),
        test,
        tuned,
        soft_targets(settings, task, train, context=context, reporter=reporter),
        copies,
    )


def freeze_but_last(name: str, model: nn.Module) -> nn.Module:
    """Have nothing of ``model``, which the registry calls ``name``, learn but its classifier, which is returned.

    Raises:
        UsageError: it is not known which part that is.
    """
    last = last_layer(name, model)
    model.requires_grad_(False)
    last.requires_grad_(True)
    return last


def warn_of_random_start(settings: TrainSettings, family: Family, reporter: Reporter) -> None:
    """Say where a classifier alone would learn on a network whose weights come from neither a file nor a hub."""
    if settings.init is None and not family.initial_options(plain(settings)).get("pretrained"):
        reporter.warn(
            f"--tune last trains a classifier on a {settings.model} with random weights: name the file with its "
            "weights by --init FILE" + (", or leave --no-pretrained out." if not settings.pretrained else ".")
        )


def told_parameters(model: nn.Module, tuned: nn.Module | None) -> str:
    """How many parameters there are, and how many of them learn where that is not all."""
    if tuned is None:
        return f"{sum(value.numel() for value in model.parameters() if value.requires_grad) / 1e6:.1f} M parameters"
    count, learning = (sum(value.numel() for value in part.parameters()) for part in (model, tuned))
    return f"{count / 1e6:.1f} M parameters, of which {learning:,} learn (--tune last)"


def told_encoder(model: nn.Module) -> str:
    """A frozen encoder in words."""
    encoder = frozen_encoder(model)
    if encoder is None:
        return ""
    count = sum(value.numel() for value in encoder.tower.parameters())
    return f" on frozen {encoder.described}, {count / 1e6:.1f} M"


def staged(settings: TrainSettings, model: nn.Module) -> nn.Module | None:
    """The part of ``model`` that learns in ``--stage``; None: all of it."""
    if settings.stage == "joint" or not isinstance(model, StagedModel):
        return None
    model.stage = settings.stage
    last = last_layer(settings.model, model)
    if settings.stage == "solver":
        return freeze_but_last(settings.model, model)
    last.requires_grad_(False)
    return None


def initial_model(
    settings: TrainSettings, family: Family, spec: InputSpec, options: dict[str, Any], *, reporter: Reporter
) -> nn.Module:
    """The model at its start: seeded, from the hub, or from a file."""
    torch.manual_seed(address(settings.seed, "initial weights"))
    options = {**options, **family.initial_options(plain(settings))}
    if source := family.download_source(settings.model, options):
        reporter.note(f"fetching {source}")
    model = build(settings.model, spec, **options)
    if settings.init is not None:
        file, key = find_checkpoint(settings.init), settings.init_key
        taken = family.load_weights(model, file, classes=spec.classes, key=key)
        reporter.note(f"initial weights: {taken}")
        check_initial_level(settings, spec, file, reporter)
        if settings.reset_mask and isinstance(model, StagedModel):
            model.reset_mask()
    return model


def check_initial_level(settings: TrainSettings, spec: InputSpec, file: Path, reporter: Reporter) -> None:
    """Warn where the weights of ``file`` were trained on sound of another level; refuse where they do not learn.

    Raises:
        UsageError: they stay as they are, by ``--stage solver`` or ``--tune``.
    """
    if spec.clip is None or spec.clip.sound is None or spec.clip.needs == "image":
        return
    there, wanted = sound_level_of(file), spec.clip.sound.level
    if there in (None, wanted):
        return
    text = f"{file} was trained on sound at the level {levels_told(there, wanted)}, as that of the clips."
    hint = "Prepare the clips of both at one level: --sound-level of the prep command."
    if settings.stage == "solver" or settings.tune != "all":
        raise UsageError(text, hint)
    reporter.warn(f"{text} {hint}")


def hold(
    settings: TrainSettings, spec: InputSpec, train: Split, valid: Split, *, group: ProcessGroup, reporter: Reporter
) -> tuple[Held | None, Held | None]:
    """The images decoded once where they fit; None for each split where they are decoded each time."""
    # Each process of this machine holds a copy, and all hold or none does, so that they meet bad images alike.
    if train.store is not None:  # which is read at the speed of memory
        return None, None
    splits = held_splits(settings, train, valid)
    wanted = choose_cache(settings.cache, sum(map(len, splits.values())) * group.local_world_size, spec)
    if group.all_reduce_max([int(not wanted)])[0]:
        return None, None
    if settings.cache == "ram" and "train" not in splits:
        reporter.note(
            f"--cache ram holds the validation images alone: --augment {settings.augment} crops from whole training "
            "images, which are decoded each time"
        )
    return hold_splits(settings, spec, splits, reporter=reporter)


def held_splits(settings: TrainSettings, train: Split, valid: Split) -> dict[str, Split]:
    """The splits whose images can be held at the input size: not those that are cropped from whole images."""
    return {"valid": valid} if needs_whole(settings.augment) else {"train": train, "valid": valid}


def hold_splits(
    settings: TrainSettings, spec: InputSpec, splits: Mapping[str, Split], *, reporter: Reporter
) -> tuple[Held | None, Held | None]:
    """The images of the training and the validation split decoded once; None for one that is not in ``splits``."""
    found = {name: hold_images(split, spec, reporter=reporter) for name, split in splits.items()}
    refuse_failures([failure for held in found.values() for failure in held.failures.values()], settings.on_error)
    return found.get("train"), found.get("valid")


def make_optimizer(settings: TrainSettings, model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser over what can learn; fused kernels, a pass over the parameters in place of several."""
    parameters = [value for value in model.parameters() if value.requires_grad]
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    shared: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay, "fused": fused}
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=settings.momentum, **shared)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, **shared)


def make_schedule(settings: TrainSettings) -> Schedule:
    """The learning-rate schedule of the settings."""
    return Schedule(
        settings.schedule,
        Shape(
            base=settings.lr,
            epochs=settings.epochs,
            minimum=settings.lr_min,
            warmup=settings.warmup,
            step_size=settings.step_size,
            milestones=settings.milestones,
            gamma=settings.factor,
            patience=settings.lr_patience,
            peak=settings.peak,
            cycle_end=settings.cycle_end,
        ),
    )
