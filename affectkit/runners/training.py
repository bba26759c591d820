"""What a training run is made of, before its first step: data, task, model, optimiser, schedule."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from affectkit import __version__
from affectkit.config import plain
from affectkit.core.progress import Reporter
from affectkit.core.randomness import address
from affectkit.core.spec import InputSpec
from affectkit.data.layouts import Source, find
from affectkit.data.loading import choose_cache, choose_workers, hold_images
from affectkit.data.split import Split, split_off
from affectkit.errors import DataError, UsageError
from affectkit.models import backbones
from affectkit.models.registry import build, check_model
from affectkit.runners.checkpoint import Header
from affectkit.runners.evaluate import Place
from affectkit.runners.settings import TrainSettings
from affectkit.schedules.curves import Schedule, Shape
from affectkit.tasks import TASKS
from affectkit.tasks.base import Task
from affectkit.tasks.categorical import CategoricalOptions


@dataclass
class Training:
    """Everything that a run works with.

    Attributes:
        held: decoded images of the train and validation splits, or None for each where they are decoded as needed.
    """

    settings: TrainSettings
    source: Source
    task: Task
    model: nn.Module
    options: dict[str, Any]
    train: Split
    valid: Split
    held: tuple[np.ndarray | None, np.ndarray | None]
    workers: int
    place: Place
    optimizer: torch.optim.Optimizer
    schedule: Schedule

    def header(self, **summary: Any) -> Header:
        """The checkpoint header of this run's model."""
        return Header(
            model=self.settings.model,
            options=self.options,
            spec=self.task.spec,
            training={"data_fingerprint": self.train.fingerprint(), "seed": self.settings.seed, **summary},
        )

    def record(self) -> dict[str, Any]:
        """What ``config.yaml`` says: settings that ``--config`` reads back, versions, and what the data is."""
        return {
            "settings": plain(self.settings),
            "affectkit": __version__,
            "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
            "place": {"device": self.place.device.description, "precision": self.place.precision.name},
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


def prepare(settings: TrainSettings, *, reporter: Reporter) -> Training:
    """Find the data, build the model and everything around it; every fault shows here, before the first step."""
    check_model(settings.model)
    place = Place.choose(settings.device, settings.precision)
    source = find(settings.data, reporter=reporter)
    for text in source.notes:
        reporter.note(text)
    train, valid = training_splits(source, settings, reporter=reporter)
    spec = input_spec(settings, task_name(settings, train), source.classes)
    task = TASKS.resolve(spec.task)(spec, task_options(settings))
    check_monitor(settings.monitor, task)
    train, valid = (usable(task, split, reporter) for split in (train, valid))
    if hasattr(task, "weigh_classes"):
        task.weigh_classes(train)
    task.targets(train.select(np.arange(1)), epoch=0)  # an option that the data cannot serve fails here
    options = {"dropout": settings.dropout, "top": settings.top}
    model = initial_model(settings, spec, options, reporter=reporter)
    held, train, valid = hold(settings, spec, train, valid, reporter=reporter)
    workers = choose_workers(settings.workers, held=held[0] is not None)
    model = model.to(place.device.torch_name)
    if place.device.kind == "cuda":
        model = model.to(memory_format=torch.channels_last)
    reporter.note(
        f"{source.layout} in {source.root}: {len(train):,} training and {len(valid):,} validation images, "
        f"{len(spec.classes)} classes"
    )
    reporter.note(
        f"{settings.model}, {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, "
        f"{spec.height}x{spec.width}x{spec.channels}, task {task.name}"
    )
    reporter.note(
        f"{place.describe()}; batch {settings.batch_size}"
        + (f" x {settings.accumulate}" if settings.accumulate > 1 else "")
        + f", {workers} workers, images "
        + ("held in memory" if held[0] is not None else "decoded each time")
    )
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
        place,
        make_optimizer(settings, model),
        make_schedule(settings),
    )


def training_splits(source: Source, settings: TrainSettings, *, reporter: Reporter) -> tuple[Split, Split]:
    """The training and validation splits; part of the former is held out where there is no latter."""
    train = source.splits.get("train") or source.splits.get("all")
    if train is None:
        raise DataError(f"{source.root} has no train split; it has {', '.join(source.splits)}.")
    valid = source.splits.get("valid")
    if valid is None:
        train, valid = split_off(train, settings.val_fraction, settings.seed)
        reporter.note(
            f"no validation split: {len(valid):,} of {len(train) + len(valid):,} training images held out "
            f"(--val-fraction {settings.val_fraction:g}, by seed and file name)"
        )
    return train, valid


def task_name(settings: TrainSettings, train: Split) -> str:
    """The task asked for; ``auto`` goes by what the data holds."""
    if settings.task != "auto":
        return settings.task
    return "distribution" if train.distribution is not None and train.labels is None else "classification"


def input_spec(settings: TrainSettings, task: str, classes: tuple[str, ...]) -> InputSpec:
    """The input specification: the model's own size, mean and std, unless settings say otherwise."""
    own = backbones.default_input(settings.model)
    mean, std = own["mean"], own["std"]
    if settings.channels == 1:
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    size = settings.image_size
    spec = InputSpec(
        task=task,
        height=size or own["height"],
        width=size or own["width"],
        channels=settings.channels,
        mean=mean,
        std=std,
        fit=settings.fit,
        classes=tuple(classes),
    )
    spec.check()
    return spec


def task_options(settings: TrainSettings) -> CategoricalOptions:
    """The part of the settings that a task reads."""
    return CategoricalOptions(
        loss=settings.loss,
        label_smoothing=settings.label_smoothing,
        class_weights=settings.class_weights,
        draw_labels=settings.draw_labels,
        seed=settings.seed,
    )


def check_monitor(name: str, task: Task) -> None:
    """Refuse a metric that the task does not have."""
    if name not in task.better:
        raise UsageError(f"--monitor: the task {task.name} has no metric {name!r}; it has {', '.join(task.better)}.")


def usable(task: Task, split: Split, reporter: Reporter) -> Split:
    """``split`` as the task can use it; what was left out is said, an empty rest is an error."""
    found, note = task.usable(split)
    if note:
        reporter.note(note)
    if not len(found):
        raise DataError(f"the {split.name} split of {split.root} has no image with a target for {task.name}.")
    return found


def initial_model(
    settings: TrainSettings, spec: InputSpec, options: dict[str, Any], *, reporter: Reporter
) -> nn.Module:
    """The model at its start: seeded, from the hub, or from a file."""
    torch.manual_seed(address(settings.seed, "initial weights"))
    from_hub = settings.pretrained and settings.init is None
    if from_hub and not backbones.is_cached(settings.model):
        reporter.note(f"fetching {backbones.hub_source(settings.model)} (once; --no-pretrained trains from scratch)")
    model = build(settings.model, spec, **options, **({"pretrained": True} if from_hub else {}))
    if settings.init is not None:
        reporter.note("initial weights: " + backbones.load_weights(model, settings.init))
    return model


def hold(
    settings: TrainSettings, spec: InputSpec, train: Split, valid: Split, *, reporter: Reporter
) -> tuple[tuple[np.ndarray | None, np.ndarray | None], Split, Split]:
    """Decode the images once where they fit; splits come back without images that cannot be read."""
    if not choose_cache(settings.cache, len(train) + len(valid), spec):
        return (None, None), train, valid
    train, held_train, bad_train = hold_images(train, spec, reporter=reporter, on_error=settings.on_error)
    valid, held_valid, bad_valid = hold_images(valid, spec, reporter=reporter, on_error=settings.on_error)
    for failure in (*bad_train, *bad_valid):
        reporter.warn(f"skipped: {failure.reason}")
    return (held_train, held_valid), train, valid


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
        ),
    )
