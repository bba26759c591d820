"""Distillation: what trained models say of the training images, mixed into the targets.

As in Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015), with the teachers' fitted
temperature in place of a chosen one. Teachers see each image once, as it is: students learn from changed copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from affectkit.checkpoints.checkpoint import load_model
from affectkit.core.progress import Reporter
from affectkit.data.loading.image_or_clip import make_dataset
from affectkit.data.loading.loaders import close_loader
from affectkit.data.split import Split
from affectkit.errors import UsageError
from affectkit.evaluation.evaluate import evaluation_loader
from affectkit.metrics.calibration import softmax
from affectkit.runtime.context import RunContext
from affectkit.runtime.device import Device
from affectkit.runtime.forward import forward_in_blocks
from affectkit.tasks import TASKS
from affectkit.tasks.base import Task


def soft_targets(
    teachers: Sequence[str],
    task: Task,
    train: Split,
    *,
    draw_labels: bool,
    workers: int,
    context: RunContext,
    reporter: Reporter,
    verify: bool = True,
) -> torch.Tensor:
    """Compute the mean distribution (N, C) that teachers predict for ``train``, in the order of the task's classes.

    An image that cannot be read has zeros, for training meets it again.

    Args:
        teachers: checkpoint files, run folders or names of built-in models; one at least.
        task: of the student.
        train: its training images.
        draw_labels: whether it learns from drawn labels, into which nothing can be mixed.
        workers: processes that decode images.
        context: where the teachers compute.
        reporter: of progress.
        verify: compare teachers with the checksums in their files.

    Raises:
        UsageError: the task has no class shares, or a teacher has other classes, or is one for clips.
    """
    if not task.supports_distillation or draw_labels:
        what = "--draw-labels" if draw_labels else f"the task {task.name}"
        raise UsageError(f"--teacher: {what} has no targets into which predictions could be mixed.")
    if context.group.is_distributed:
        raise UsageError("--teacher: teachers are asked in one process.", "Start train without torchrun.")
    total = np.zeros((len(train), len(task.spec.classes)))
    for name in teachers:
        model = load_teacher(name, task.spec.classes, device=context.device, verify=verify)
        loader = evaluation_loader(make_dataset(train, model.spec), context=context, batch_size=128, workers=workers)
        reporter.start(f"asking {Path(name).name}", len(train), "images")
        total += teacher_predictions(model, loader, task.spec.classes, context=context, reporter=reporter)
    return torch.from_numpy((total / len(teachers)).astype(np.float32))


def load_teacher(name: str, classes: Sequence[str], *, device: Device, verify: bool = True) -> nn.Module:
    """Load the model of a checkpoint file, a run folder or a built-in model, which must predict ``classes``.

    Raises:
        UsageError: it predicts others, or its classes are not known, or it takes clips.
    """
    model = load_model(name, device=device, verify=verify)
    spec = model.spec
    if not spec.named:
        raise UsageError(
            f"--teacher {name} is of a published file that holds no class names: which of its {len(spec.classes)} "
            f"outputs are {', '.join(classes)} is not known.",
            "Name a teacher that was trained on these classes.",
        )
    if not TASKS.resolve(spec.task).supports_distillation or set(spec.classes) != set(classes) or spec.clip is not None:
        raise UsageError(
            f"--teacher {name} predicts {', '.join(spec.classes)} ({spec.task}); here the classes are "
            f"{', '.join(classes)}.",
            "Teachers need the same classes, in any order.",
        )
    return model


def teacher_predictions(
    model: nn.Module, loader: DataLoader, classes: Sequence[str], *, context: RunContext, reporter: Reporter
) -> np.ndarray:
    """Predict the distribution (N, C) of all images of a loader, which is closed, with columns as ``classes``."""
    spec = model.spec
    order = [spec.classes.index(one) for one in classes]
    found = np.zeros((len(loader.dataset), len(classes)))
    try:
        for raw in loader:
            if len(raw["index"]):
                images = context.prepare_batch(raw, spec)["image"]
                outputs = forward_in_blocks(model, (images,), context).cpu().numpy()
                found[raw["index"].numpy()] = softmax(outputs, spec.temperature)[:, order]
            reporter.advance(len(raw["index"]) + len(raw["failures"]))
    finally:
        close_loader(loader)
        reporter.finish()
    return found


def mix_targets(targets: dict[str, torch.Tensor], soft: torch.Tensor | None, share: float) -> dict[str, torch.Tensor]:
    """Return ``targets`` with ``share`` of each from ``soft`` (N, C); ``targets`` itself where that is None."""
    if soft is None:
        return targets
    return {**targets, "target": (1 - share) * targets["target"] + share * soft.to(targets["target"])}
