"""Set up a training run: data, task, model, optimizer, schedule. Every fault shows here, before the first step."""

from __future__ import annotations

import functools
import platform
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from affectkit.checkpoints.checkpoint import Header
from affectkit.config import plain, value_of
from affectkit.core.progress import Reporter
from affectkit.core.version import VERSION
from affectkit.data.layouts.discovery import Source
from affectkit.data.layouts.duplicates import drop_copies_of_all
from affectkit.data.loading.image_or_clip import item_name
from affectkit.data.loading.loaders import InMemoryImages
from affectkit.data.media.stated_sizes import describe_pictures
from affectkit.data.split import Split
from affectkit.errors import UsageError
from affectkit.evaluation.class_counts import report_class_counts
from affectkit.models.family import frozen_encoder
from affectkit.models.registry import own_settings
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import ProcessGroup
from affectkit.runtime.torch_backends import Compiled
from affectkit.schedules.curves import Schedule, Shape
from affectkit.settings.training import TrainSettings
from affectkit.tasks.base import Task
from affectkit.tasks.baselines import describe_baselines
from affectkit.training.class_sampling import ClassSampling, class_sampling, sampling_caveat
from affectkit.training.data_setup import DataSetup, load_in_memory, set_up_data, test_split
from affectkit.training.distillation import mix_targets, soft_targets
from affectkit.training.mixup import refuse_cutmix
from affectkit.training.model_setup import describe_encoder, describe_parameters, set_up_model
from affectkit.training.progressive_resizing import check_start_size
from affectkit.training.sharpness import refuse_sam

PICTURES_LOOKED_AT = 24
"""Training pictures whose sizes a checkpoint's ``pictures`` sums up."""


@dataclass(kw_only=True)
class TrainingSetup:
    """Everything that a run works with.

    Attributes:
        settings: as the user gave them, with ``precision`` and ``monitor`` resolved.
        source: the dataset.
        task: what is predicted.
        model: on its device.
        options: keyword arguments that the model was built with.
        train: the training split.
        valid: the validation split.
        in_memory: decoded images of the train and validation splits; None for each that is decoded as needed.
        workers: processes that decode images.
        context: device, number format, processes.
        optimizer: over what learns.
        schedule: of the learning rate.
        network: what a batch is passed through: the model, or what was compiled from it.
        test: what the best epoch is tested on at the end; None: nothing.
        trainable: the part of the model that learns; None: all of it.
        start_size: shorter side of training images at first, in pixels; None: they have the input size throughout.
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
    in_memory: tuple[InMemoryImages | None, InMemoryImages | None]
    workers: int
    context: RunContext
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    network: nn.Module | Compiled
    test: Split | None = None
    trainable: nn.Module | None = None
    start_size: int | None = None
    soft: torch.Tensor | None = None
    copies: dict[str, Any] = field(default_factory=dict)

    def header(self, **summary: Any) -> Header:
        """Make the checkpoint header of this run's model."""
        prior = self.task.training_prior(self.train, self.settings.calibrate)
        return Header(
            model=self.settings.model,
            options=self.options,
            spec=self.task.spec,
            training={
                "data_fingerprint": self.train.fingerprint(),
                "valid_fingerprint": self.valid.fingerprint(),
                "seed": self.settings.seed,
                "task_options": self.task.recorded_options(),
                **({"fold": self.settings.fold} if self.settings.fold is not None else {}),
                **({"training_prior": prior} if prior else {}),
                **({"pictures": pictures} if (pictures := self.pictures) else {}),
                **summary,
            },
        )

    @functools.cached_property
    def class_sampling(self) -> ClassSampling | None:
        """Return how an epoch draws images by their class; None where it takes each once."""
        return class_sampling(self.settings.sampling.value, self.task, self.train)

    @functools.cached_property
    def pictures(self) -> dict[str, int] | None:
        """Return what the heads of some training pictures say of all: crops or whole photographs; None for clips."""
        if self.train.store is not None:
            return None
        indices = np.linspace(0, len(self.train) - 1, min(len(self.train), PICTURES_LOOKED_AT)).round().astype(int)
        return describe_pictures(map(self.train.path, indices.tolist()))

    @functools.cached_property
    def baselines(self) -> dict[str, dict[str, float]]:
        """Return what predictions that look at no item score on the validation split; see ``Task.baselines``."""
        return self.task.baselines(self.train, self.valid)

    def splits(self) -> dict[str, Split]:
        """Return the splits by name; ``test`` where there is one."""
        return {"train": self.train, "valid": self.valid, **({} if self.test is None else {"test": self.test})}

    def targets(self, epoch: int) -> dict[str, torch.Tensor]:
        """Return the targets of all training images in an epoch."""
        targets = self.task.targets(self.train, epoch=epoch)
        if self.soft is None:
            return targets
        return mix_targets(targets, self.soft, self.settings.teacher_share)

    def record(self) -> dict[str, Any]:
        """Return what ``config.yaml`` holds: settings that ``--config`` reads back, versions, and what the data is."""
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
                **({"loss": loss} if (loss := self.task.loss_record()) else {}),
                "train": {"images": len(self.train), "fingerprint": self.train.fingerprint()},
                "valid": {"images": len(self.valid), "fingerprint": self.valid.fingerprint()},
                "splits": {name: len(split) for name, split in self.source.splits.items()},
                **({"baselines": baselines} if (baselines := self.baselines) else {}),
            },
        }


def set_up_training(
    settings: TrainSettings, context: RunContext, *, reporter: Reporter, restored: bool = False
) -> TrainingSetup:
    """Find the data, build the model and everything around it.

    Args:
        settings: of the run.
        context: device, number format, processes.
        reporter: of what was found.
        restored: the weights will come from a state, so neither the hub nor ``--init`` is asked for them.
    """
    settings = replace(settings, precision=context.precision.name)  # so that a resumed run computes in the same format
    refuse_sam(settings.sam, context.precision)
    data = set_up_data(settings, group=context.group, reporter=reporter)
    settings = replace(settings, monitor=data.monitor)
    task, spec = data.task, data.task.spec
    if settings.abstain is not None and task.predicts_ratings:
        raise UsageError("--abstain: the model predicts ratings, and has no classes to be sure of.", "Leave it out.")
    splits, copies = run_splits(data, settings, group=context.group, reporter=reporter)
    model, trainable = set_up_model(settings, data, context, restored=restored, reporter=reporter)
    on_features = frozen_encoder(model) is not None and bool(settings.views)
    refuse_cutmix(settings.cutmix, spec, on_features=on_features)
    if on_features and settings.finish_augment is not None:
        raise UsageError(
            "--finish-augment: the features of augmented images are computed once, for all epochs (--views).",
            "Leave it out, or take --views 0.",
        )
    in_memory = (None, None)
    if not on_features:
        in_memory = load_in_memory(
            {"train": data.train, "valid": splits["valid"]},
            spec,
            cache=settings.cache,
            augment=settings.augmentation,
            on_error=settings.on_error,
            group=context.group,
            reporter=reporter,
        )
    stored = data.train.store is not None
    workers, why = context.choose_workers(settings.workers, held=in_memory[0] is not None or stored)
    setup = TrainingSetup(
        settings=settings,
        source=data.source,
        task=task,
        model=model,
        options=data.family.built_options(model, data.options),
        train=data.train,
        valid=splits["valid"],
        in_memory=in_memory,
        workers=workers,
        context=context,
        optimizer=make_optimizer(
            model, settings.optimizer, lr=settings.lr, weight_decay=settings.weight_decay, momentum=settings.momentum
        ),
        schedule=Schedule(settings.schedule, schedule_shape(settings), closed=settings.closed_epochs),
        network=model,
        test=splits.get("test"),
        trainable=trainable,
        copies=copies,
    )
    report_setup(setup, f"{workers} ({why})", on_features=on_features, reporter=reporter)
    setup.network = context.maybe_compile(model, enabled=settings.compile, reporter=reporter)
    if settings.start_size is not None and "start_size" in own_settings(settings.model) and spec.clip is None:
        check_start_size(settings.start_size, spec, model, name=settings.model)
        setup.start_size = settings.start_size
    if settings.teacher:
        setup.soft = teacher_targets(setup, reporter=reporter)
    return setup


def teacher_targets(setup: TrainingSetup, *, reporter: Reporter) -> torch.Tensor:
    """Compute what the teachers predict for the training images (N, C)."""
    settings = setup.settings
    return soft_targets(
        settings.teacher,
        setup.task,
        setup.train,
        draw_labels=settings.draw_labels,
        workers=setup.context.choose_workers(settings.workers)[0],
        context=setup.context,
        reporter=reporter,
        verify=settings.verify,
    )


def run_splits(
    data: DataSetup, settings: TrainSettings, *, group: ProcessGroup, reporter: Reporter
) -> tuple[dict[str, Split], dict[str, Any]]:
    """Find the splits of a run, the test split among them, without copies of each other's images where asked for.

    Returns:
        The splits by name, and what a record says of exact copies across them.
    """
    data.task.targets(data.train.select(np.arange(1)), epoch=0)  # an option that the data cannot serve fails here
    splits = {"train": data.train, "valid": data.valid}
    test = data.held_out
    if test is None:
        test = test_split(settings, data.source, data.task, reporter)
    if test is not None:
        splits["test"] = test
    noun = item_name(data.task.spec)
    splits, copies = group.run_main_first(
        lambda: drop_copies_of_all(splits, drop=settings.drop_copies, noun=noun, reporter=reporter)
    )
    report_class_counts(data.task, splits, reporter)
    return splits, copies


def report_setup(setup: TrainingSetup, workers: str, *, on_features: bool, reporter: Reporter) -> None:
    """Report what is trained on what, and where.

    Args:
        setup: of the run.
        workers: how many processes decode, and why.
        on_features: whether the model is trained on features that are computed once.
        reporter: which gets a note on each.
    """
    source, spec = setup.source, setup.task.spec
    reporter.note(
        f"{source.layout} in {source.root}: {len(setup.train):,} training and {len(setup.valid):,} validation "
        f"{item_name(spec)}, " + setup.task.description()
    )
    reporter.note(
        f"{setup.settings.model}, {describe_parameters(setup.model, setup.trainable)}{describe_encoder(setup.model)}, "
        f"{spec.height}x{spec.width}x{spec.channels}, task {setup.task.name}"
    )
    if text := setup.task.loss_description():
        reporter.note(text)
    settings = setup.settings
    if settings.early_stop and (later := _what_an_early_stop_may_miss(settings)):
        reporter.note(f"--early-stop {settings.early_stop} may end the run {later}; 0 trains to the end")
    if (sampling := setup.class_sampling) is not None:
        reporter.note(sampling.description(setup.task.targets(setup.train)["target"].numpy()))
        if text := sampling_caveat(value_of(settings.loss, ())):
            reporter.warn(text)
    train, valid = setup.in_memory
    images = "images held in memory" if train is not None else "images decoded each time"
    if valid is not None and train is None:
        images = "training images decoded each time, validation images held in memory"
    if on_features:
        images = "features computed once"
    if setup.train.store is not None:
        images = "clips read from their store"
    described = setup.context.describe(settings.batch_size, workers, accumulate=settings.accumulate)
    reporter.note(f"{described}; {images}")
    if setup.baselines:
        reporter.note(describe_baselines(setup.baselines, item_name(spec)))


def _what_an_early_stop_may_miss(settings: TrainSettings) -> str:
    """Return where in the course of a run it must not end early; empty where all epochs are alike."""
    found = []
    if settings.cycles > 1:
        found.append(f"in the worse epochs after a restart of --cycles {settings.cycles}")
    if settings.finish_epochs < settings.epochs and settings.finishes_otherwise:
        found.append(f"before --finish-epochs {settings.finish_epochs}")
    return ", or ".join(found)


def make_optimizer(
    model: nn.Module, name: str, *, lr: float, weight_decay: float, momentum: float
) -> torch.optim.Optimizer:
    """Make the optimizer over what can learn; fused kernels, a pass over the parameters in place of several.

    Args:
        model: on its device; parameters that need no gradient are left out.
        name: ``sgd``, ``adam`` or ``adamw``.
        lr: learning rate of the first step.
        weight_decay: L2 for ``sgd`` and ``adam``, decoupled for ``adamw``.
        momentum: of ``sgd``.
    """
    parameters = [value for value in model.parameters() if value.requires_grad]
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    shared: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "fused": fused}
    if name == "sgd":
        return torch.optim.SGD(parameters, momentum=momentum, **shared)
    kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return kind(parameters, **shared)


def schedule_shape(settings: TrainSettings) -> Shape:
    """Return what the learning-rate schedule depends on."""
    return Shape(
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
        cycles=settings.cycles,
        cycle_decay=settings.cycle_decay,
    )
