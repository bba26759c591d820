"""The final evaluation of a run: the best epoch calibrated on validation, tested, its tables and pictures written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from affectkit.checkpoints.abstention import KEY, describe_promise, fit_threshold, no_promise, threshold_record
from affectkit.checkpoints.checkpoint import load_tensors, read_header, save_checkpoint
from affectkit.config import plain
from affectkit.core.files import write_json
from affectkit.core.text import count_text
from affectkit.data.loading.loaders import close_loader
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.split import Split
from affectkit.errors import RunError, Stopped
from affectkit.evaluation.class_counts import class_counts_record, metric_notes
from affectkit.evaluation.evaluate import evaluate
from affectkit.evaluation.item_groups import find_groups
from affectkit.evaluation.outputs import write_results, write_tables
from affectkit.runtime.shutdown import StopFlag
from affectkit.settings.training import TrainSettings
from affectkit.tasks import make_task
from affectkit.tasks.base import Results, Task
from affectkit.training.checkpointing import TrainState
from affectkit.training.loaders import Loader, test_loader

if TYPE_CHECKING:
    from affectkit.training.trainer import Trainer


def evaluate_best(trainer: Trainer, stopping: StopFlag) -> dict[str, Any]:
    """Evaluate the best epoch: fit its temperature on validation, test it, and write metrics, tables and pictures.

    Returns:
        The content of ``metrics.json``.

    Raises:
        RunError: no epoch was kept.
        Stopped: a signal came; resuming comes back to here.
    """
    run, setup, settings = trainer.run, trainer.setup, trainer.settings
    if trainer.state.best is None:
        raise RunError(
            f"--monitor {settings.monitor} was never a finite number; no epoch could be kept.",
            f"See {run.history}, or monitor loss.",
        )
    lower = trainer.task.metric_direction[settings.monitor] == "min"
    trainer.reporter.note(describe_best(trainer.state, settings, lower_is_better=lower))
    if text := advice_on_fine_tuning(trainer.state, settings):
        trainer.reporter.warn(text)
    model = trainer.learner.evaluated
    header = read_header(run.best, verify=settings.verify)
    load_tensors(model, run.best, checksum=header.checksum)
    task = make_task(header.spec.with_(temperature=1.0), {**plain(settings), **trainer.task.recorded_options()})
    results = _outputs(trainer, task, setup.valid, trainer.validation_loader, stopping)[0]
    task.spec, calibration = task.calibrate(results, settings.calibrate)
    if calibration and settings.calibrate != "none":
        trainer.reporter.note(describe_calibration(task.spec.temperature, calibration))
    recorded = {"calibration": calibration} if calibration else {}
    threshold = _threshold(trainer, task, results)
    metrics, remarks = task.metrics(results), metric_notes(task, results, "valid_")
    for text in remarks["valid_remarks"]:
        trainer.reporter.warn(f"validation: {text}")
    tested = _test(trainer, task, stopping)
    summary = {
        "best_epoch": trainer.state.best_epoch,
        "epochs": trainer.state.epoch,
        "monitor": settings.monitor,
        "seed": settings.seed,
        "temperature": task.spec.temperature,
        **recorded,
        **({KEY: threshold} if threshold is not None else {}),
        "copies": setup.copies,
        **class_counts_record(task, setup.splits()),
        "valid": metrics,
        **remarks,
        **tested,
        "skipped": [{"image": name, "reason": reason} for name, reason in trainer.state.skipped.items()],
    }

    def write() -> None:
        kept = {KEY: threshold} if threshold is not None and threshold["threshold"] is not None else {}
        training = {**header.training, **recorded, **kept, "valid": metrics}
        save_checkpoint(run.best, model, replace(header, spec=task.spec, training=training))
        trainer.draw(task, results)
        write_tables(run.valid, task, results, samples="valid_results.csv", reporter=trainer.reporter)
        write_json(run.metrics, summary)
        run.write_status("done", **summary)

    trainer.group.run_on_main(write)
    return summary


def describe_best(state: TrainState, settings: TrainSettings, *, lower_is_better: bool) -> str:
    """Say which epoch is kept, by which value of the monitored metric, and why the training ended where it did."""
    monitor, after = settings.monitor, state.epoch - state.best_epoch
    value = f"{'least' if lower_is_better else 'greatest'} validation {monitor}, {state.best:.4f}"
    if settings.early_stop and state.waited >= settings.early_stop and state.epoch < settings.epochs:
        end = f"early stop after {count_text(after, 'epoch')} without a better one"
    elif not after:
        end = "the last one, so that more epochs may do better" if state.epoch > 1 else ""
    else:
        end = f"the {count_text(after, 'epoch')} after it {'was' if after == 1 else 'were'} no better"
    return f"best epoch {state.best_epoch} of {settings.epochs}: {value}{'; ' + end if end else ''}"


def advice_on_fine_tuning(state: TrainState, settings: TrainSettings) -> str:
    """Return what to try where later epochs made worse what ``--init`` gave; empty where none did."""
    if settings.init is None or state.best_epoch != 1 or state.epoch < 3:
        return ""
    less = f"a lower --lr, as {settings.lr / 10:.1g}"
    tries = less if settings.tune == "last" else f"--tune last --lr 0.003, which trains the last layer alone, or {less}"
    lost = f"training on took away what the model of --init {settings.init} knew"
    return f"the best epoch is the first: {lost}. Try {tries}."


def _threshold(trainer: Trainer, task: Task, results: Results) -> dict[str, Any] | None:
    """Fit the threshold that ``--abstain`` asks for; where nothing can be promised, warn and return why."""
    if trainer.settings.abstain is None:
        return None
    found = fit_threshold(task, results, trainer.settings.abstain.value)
    record = threshold_record(found, task, results, chose_epoch=True)
    if found.threshold is None:
        trainer.reporter.warn(f"{no_promise(record)} The checkpoint holds no threshold.")
    else:
        trainer.reporter.note(f"{describe_promise(record)}; the same images chose the epoch")
    return record


def _outputs(
    trainer: Trainer, task: Task, split: Split, loader: Loader, stopping: StopFlag
) -> tuple[Results, list[ReadFailure]]:
    """Compute the outputs on a split; on a signal end without saving, for the state of the last epoch is saved."""
    try:
        return evaluate(
            trainer.learner.evaluated,
            task,
            split,
            loader,
            context=trainer.context,
            reporter=trainer.reporter,
            stopping=stopping,
        )
    except Stopped:  # the model now holds the weights of the best epoch, so it must not be saved
        trainer.stop(stopping, save=False)


def describe_calibration(temperature: float, calibration: dict[str, Any]) -> str:
    """Describe what ``Task.calibrate`` did, in a line."""
    if not calibration["fitted"]:
        return f"temperature 1, not fitted: {calibration['reason']}"
    now, before = (calibration[f"cross_validated_nll{end}"] for end in ("", "_uncalibrated"))
    return (
        f"temperature {temperature:.3f}, fitted on {calibration['n']:,} validation {calibration['to']}: "
        f"cross-validated nll {now:.4f}, without it {before:.4f}"
    )


def _test(trainer: Trainer, task: Task, stopping: StopFlag) -> dict[str, Any]:
    """Test the best epoch: metrics and their intervals; tables and pictures are written into ``test/``."""
    split = trainer.setup.test
    if split is None:
        return {}
    loader = test_loader(trainer.setup, trainer.features)
    try:
        results, failures = _outputs(trainer, task, split, loader, stopping)
    finally:
        close_loader(loader)
    trainer.skip(failures)
    clusters = find_groups(results.split, (), root=results.split.root, reporter=trainer.reporter).clusters
    remarks = metric_notes(task, results, "test_")
    for text in remarks["test_remarks"]:
        trainer.reporter.warn(f"test: {text}")
    found = {
        "test": task.metrics(results),
        **task.recorded_intervals(results, clusters=clusters, begin="test_"),
        "test_images": len(results.split),
        **remarks,
    }

    def write() -> None:
        write_results(trainer.run.test, task, results, clusters=clusters, reporter=trainer.reporter)
        write_json(trainer.run.test / "results.json", found)

    trainer.group.run_on_main(write)
    return found
