"""The end of a run: what is fitted on validation results of the best epoch, the test, tables and pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from affectkit.checkpoints.checkpoint import load_tensors, make_task, read_header, save_checkpoint
from affectkit.config import plain
from affectkit.core.files import write_json
from affectkit.data.loading.loaders import close_loader
from affectkit.errors import RunError, Stopped
from affectkit.evaluation.class_counts import counted, judged
from affectkit.evaluation.evaluate import evaluate, write_results
from affectkit.runtime.shutdown import StopFlag
from affectkit.tasks.base import Task
from affectkit.training.loaders import test_loader

if TYPE_CHECKING:
    from affectkit.training.trainer import Trainer


def conclude(trainer: Trainer, stopping: StopFlag) -> dict[str, Any]:
    """Fit what is fitted on validation results of the best epoch, and write metrics and pictures."""
    if trainer.at.best is None:
        raise RunError(
            f"--monitor {trainer.settings.monitor} was never a finite number; no epoch could be kept.",
            f"See {trainer.run.history}, or monitor loss.",
        )
    model = trainer.learner.evaluated
    load_tensors(model, trainer.run.best)
    header = read_header(trainer.run.best)
    options = {**plain(trainer.settings), **trainer.task.recorded_options()}
    task = make_task(header.spec.with_(temperature=1.0), options)
    try:
        results, _ = evaluate(
            model,
            task,
            trainer.training.valid,
            trainer.valid_loader,
            context=trainer.context,
            reporter=trainer.reporter,
            stopping=stopping,
        )
    except Stopped:  # the last epoch's end was saved; the model now holds the best epoch's weights
        trainer.stop(stopping, save=False)
    task.spec, calibration = task.calibrate(results, trainer.settings.calibrate)
    if calibration and trainer.settings.calibrate != "none":
        trainer.reporter.note(told_calibration(task.spec.temperature, calibration))
    recorded = {"calibration": calibration} if calibration else {}
    metrics = task.metrics(results)
    told = judged(task, results, "valid_")
    for text in told["valid_remarks"]:
        trainer.reporter.warn(f"validation: {text}")
    tested = _test(trainer, model, task, stopping)
    summary = {
        "best_epoch": trainer.at.best_epoch,
        "epochs": trainer.at.epoch,
        "monitor": trainer.settings.monitor,
        "seed": trainer.settings.seed,
        "temperature": task.spec.temperature,
        **recorded,
        "copies": trainer.training.copies,
        **counted(task, trainer.training.splits()),
        "valid": metrics,
        **told,
        **tested,
        "skipped": [{"image": name, "reason": reason} for name, reason in trainer.at.skipped.items()],
    }

    def write() -> None:
        told = replace(header, spec=task.spec, training={**header.training, **recorded, "valid": metrics})
        save_checkpoint(trainer.run.best, model, told)
        trainer.draw(task, results)
        write_json(trainer.run.metrics, summary)
        trainer.run.write_status("done", **summary)

    trainer.group.run_on_main(write)
    return summary


def told_calibration(temperature: float, calibration: dict[str, Any]) -> str:
    """What ``Task.calibrate`` did, in a line."""
    if not calibration["fitted"]:
        return f"temperature 1, not fitted: {calibration['reason']}"
    now, before = (calibration[f"cross_validated_nll{end}"] for end in ("", "_uncalibrated"))
    return (
        f"temperature {temperature:.3f}, fitted on {calibration['n']:,} validation {calibration['to']}: "
        f"cross-validated nll {now:.4f}, without it {before:.4f}"
    )


def _test(trainer: Trainer, model: nn.Module, task: Task, stopping: StopFlag) -> dict[str, Any]:
    """Metrics of the best epoch on the test split, and their intervals; tables and pictures in ``test/``."""
    if trainer.training.test is None:
        return {}
    reporter, split = trainer.reporter, trainer.training.test
    loader = test_loader(trainer.training, trainer.fed)
    try:
        results, failures = evaluate(
            model, task, split, loader, context=trainer.context, reporter=reporter, stopping=stopping
        )
    except Stopped:
        trainer.stop(stopping, save=False)
    finally:
        close_loader(loader)
    trainer.skip(failures)
    told = judged(task, results, "test_")
    for text in told["test_remarks"]:
        reporter.warn(f"test: {text}")
    found = {
        "test": task.metrics(results),
        "test_intervals": task.recorded_intervals(results),
        "test_images": len(results.split),
        **told,
    }

    def write() -> None:
        write_results(trainer.run.test, task, results, reporter=reporter)
        write_json(trainer.run.test / "results.json", found)

    trainer.group.run_on_main(write)
    return found
