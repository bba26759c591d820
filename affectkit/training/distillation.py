"""Distillation: what trained models say of the training images, mixed into the targets.

As in Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015), with the teachers' fitted
temperature in place of a chosen one. Teachers see each image once, as it is: students learn from changed copies.
"""

from __future__ import annotations

import numpy as np
import torch

from affectkit.checkpoints.checkpoint import find_checkpoint, load_model
from affectkit.core.progress import Reporter
from affectkit.data.loading.loaders import close_loader
from affectkit.data.loading.modality import items_of
from affectkit.data.split import Split
from affectkit.errors import UsageError
from affectkit.evaluation.evaluate import evaluation_loader
from affectkit.metrics.calibration import softmax
from affectkit.runtime.context import RunContext
from affectkit.runtime.forward import forward_in_blocks
from affectkit.settings.training import TrainSettings
from affectkit.tasks import TASKS
from affectkit.tasks.base import Task


def soft_targets(
    settings: TrainSettings, task: Task, train: Split, *, context: RunContext, reporter: Reporter
) -> torch.Tensor | None:
    """The mean distribution (N, C) that the teachers of ``settings`` predict for ``train``, in the order of the task's
    classes; None without a teacher. An image that cannot be read has zeros, for training meets it again.

    Raises:
        UsageError: the task has no class shares, or a teacher has other classes, or is one for clips.
    """
    if not settings.teacher:
        return None
    if not task.supports_distillation or settings.draw_labels:
        what = "--draw-labels" if settings.draw_labels else f"the task {task.name}"
        raise UsageError(f"--teacher: {what} has no targets into which predictions could be mixed.")
    if context.group.is_distributed:
        raise UsageError("--teacher: teachers are asked in one process.", "Start train without torchrun.")
    total = np.zeros((len(train), len(task.spec.classes)))
    for name in settings.teacher:
        total += _told(name, settings, task, train, context=context, reporter=reporter)
    return torch.from_numpy((total / len(settings.teacher)).astype(np.float32))


def _told(
    name: str, settings: TrainSettings, task: Task, train: Split, *, context: RunContext, reporter: Reporter
) -> np.ndarray:
    """What one teacher predicts."""
    path = find_checkpoint(name)
    model = load_model(path, device=settings.device)
    spec, classes = model.spec, task.spec.classes
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
    order = [spec.classes.index(one) for one in classes]
    found = np.zeros((len(train), len(classes)))
    workers, _ = context.choose_workers(settings.workers)
    loader = evaluation_loader(items_of(train, spec), context=context, batch_size=128, workers=workers)
    reporter.start(f"asking {path.name}", len(train), "images")
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


def mixed(targets: dict[str, torch.Tensor], soft: torch.Tensor | None, share: float) -> dict[str, torch.Tensor]:
    """``targets`` with ``share`` of each from ``soft`` (N, C); itself without."""
    if soft is None:
        return targets
    return {**targets, "target": (1 - share) * targets["target"] + share * soft.to(targets["target"])}
