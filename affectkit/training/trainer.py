"""The training loop: for each epoch its batches, a training step each; then validation, checkpoints, log."""

from __future__ import annotations

import functools
import math
import time
from typing import Any, NoReturn

import numpy as np
import torch

from affectkit.core.progress import Reporter
from affectkit.data.loading.image_or_clip import item_name
from affectkit.data.loading.loaders import TrainingKeys, close_loader, epoch_batches
from affectkit.data.loading.read_failures import ReadFailure, refuse_failures
from affectkit.errors import Stopped
from affectkit.evaluation.evaluate import evaluate
from affectkit.evaluation.outputs import draw_figures
from affectkit.reports import plots
from affectkit.runtime.context import gather_failures
from affectkit.runtime.shutdown import StopFlag
from affectkit.tasks.base import Results, Task
from affectkit.training.batch_position import BatchPosition
from affectkit.training.checkpointing import Checkpointer, TrainState
from affectkit.training.divergence import broken_outputs, diverged
from affectkit.training.epoch_totals import LossSum
from affectkit.training.loaders import FeatureSplits, Loader, training_loader, validation_loader
from affectkit.training.loggers import Loggers
from affectkit.training.run_folder import RunFolder
from affectkit.training.setup import TrainingSetup
from affectkit.training.time_left import TimeLeft
from affectkit.training.training_step import Learner

READ_EVERY = 20
"""Batches between two readings of the loss where reading it makes the processor wait for the device."""


class Trainer:
    """Trains what a ``TrainingSetup`` holds, in a ``RunFolder``, from the beginning or from a state.

    Args:
        setup: data, task, model, optimizer, schedule.
        run: where checkpoints, states and the history are written.
        features: what a frozen encoder has made of the splits; none where the model has no such encoder.
        reporter: of progress, notes and warnings.
    """

    def __init__(
        self, setup: TrainingSetup, run: RunFolder, *, features: FeatureSplits | None = None, reporter: Reporter
    ) -> None:
        self.setup, self.run, self.reporter = setup, run, reporter
        self.settings, self.task = setup.settings, setup.task
        self.context, self.group = setup.context, setup.context.group
        self.features = features or FeatureSplits()
        self.noun = item_name(setup.task.spec)
        self.state = TrainState()
        self.learner = Learner(setup, reporter=reporter)
        self.loss_sum = LossSum(self.context.device.torch_name)
        self.checkpointer = Checkpointer(setup, run, self.learner, short_epochs=self.features.train is not None)
        self.time_left = TimeLeft(self.settings.epochs, may_stop=bool(self.settings.early_stop))
        self.keys = TrainingKeys()
        self.loader = training_loader(setup, self.features, self.keys)

    def fit(self, stopping: StopFlag, loggers: Loggers) -> None:
        """Train until no epoch is left, or none has been better for too long.

        Raises:
            Stopped: a signal came; the state has been saved.
            RunError: the loss, or what the model gives on validation, is no longer finite.
        """
        state = self.state
        if state.step == 0:
            self.checkpointer.keep_untrained()
        while not self.finished:
            batches, targets = self.begin_epoch()
            began, images_before = time.monotonic(), state.images
            for batch in self.loader:
                position = self.position(batches)
                counts = self.count_images(batch)
                batch |= {name: values[batch["index"]] for name, values in targets.items()}
                loss = self.learner.training_step(batch, counts, position)
                self.log_step(loss, sum(counts), position)
                if position.ends_step:
                    self.stop_or_save(stopping)
            self.read_loss()
            self.reporter.finish()
            speed = (state.images - images_before) / max(time.monotonic() - began, 1e-9)
            metrics, classes = self.validate(stopping)
            row = self.end_epoch(metrics, speed)
            loggers.log(state.epoch, {key: float(value) for key, value in row.items() if key != "epoch"})
            if self.checkpointer.due_after_epoch(finished=self.finished):
                self.save()
            self.time_left.end_epoch()
            self.report_epoch(row, metrics, classes, speed)

    @functools.cached_property
    def validation_loader(self) -> Loader:
        """Return the loader of the validation split, which is made for the first validation."""
        return validation_loader(self.setup, self.features)

    @property
    def finished(self) -> bool:
        """Return whether no epoch is left, or none has been better for too long."""
        patience = self.settings.early_stop
        return self.state.epoch >= self.settings.epochs or bool(patience and self.state.waited >= patience)

    def begin_epoch(self) -> tuple[int, dict[str, torch.Tensor]]:
        """Make the loader yield the batches of the epoch that are not done.

        Returns:
            How many batches the epoch has, and by name what all training images are trained towards.
        """
        state, settings, images = self.state, self.settings, len(self.setup.train)
        targets, sampling = self.setup.targets(state.epoch), self.setup.class_sampling
        at = {"seed": settings.seed, "epoch": state.epoch}
        if sampling is None:
            batches = epoch_batches(images, settings.batch_size, **at)
        else:
            batches = sampling.batches(targets["target"], settings.batch_size, **at)
            targets = sampling.sampled_targets(targets)
        self.keys.set(state.epoch, [self._own_share(batch) for batch in batches[state.batch :]])
        self.learner.train()
        done = sum(map(len, batches[: state.batch]))
        self.reporter.start(f"epoch {state.epoch + 1}/{settings.epochs}", images, self.noun, done=done)
        self.time_left.begin_epoch(done / images)
        return len(batches), targets

    def position(self, batches: int) -> BatchPosition:
        """Return where the next batch stands, in an epoch of so many."""
        state, settings = self.state, self.settings
        return BatchPosition(state.epoch, state.batch, batches, settings.epochs, state.step, settings.accumulate)

    def count_images(self, batch: dict[str, Any]) -> list[int]:
        """Count the images that each process has of a batch; refuse those that could not be read, or note each once."""
        failures = batch["failures"]
        counts = [0] * self.group.world_size
        counts[self.group.rank] = len(batch["index"])
        *counts, failed = self.group.all_reduce_max([*counts, len(failures)])
        if failed:
            self.skip(gather_failures(failures, self.group))
        return counts

    def log_step(self, loss: torch.Tensor, images: int, position: BatchPosition) -> None:
        """Count a batch as done, and report the mean loss so far."""
        state = self.state
        self.loss_sum.add(loss, images)
        state.images += images
        state.batch += 1
        state.step += position.ends_step
        if not self.loss_sum.lazy or state.batch % READ_EVERY == 0:
            self.read_loss()
        left = self.time_left.text(state.epoch, state.images / len(self.setup.train))
        text = f"loss {state.loss_sum / max(state.images, 1):.4f}"
        self.reporter.advance(images, f"{text}, run: {left}" if left and self.settings.epochs > 1 else text)

    def read_loss(self) -> None:
        """Update the sum of losses; it must be a number."""
        self.state.loss_sum = self.loss_sum.read()
        if not math.isfinite(self.state.loss_sum):
            self.end_diverged(f"the loss became {self.state.loss_sum}")

    def stop_or_save(self, stopping: StopFlag) -> None:
        """End where a signal has come to any process; save the state where it is time."""
        due = self.checkpointer.due_after_step(self.state, stopping)
        if stopping.requested:
            self.stop(stopping)
        if due:
            self.save()

    def validate(self, stopping: StopFlag) -> tuple[dict[str, float], dict[str, str]]:
        """Compute the metrics of the model on the validation split; and over which classes, where that is not all.

        Raises:
            RunError: outputs or loss are not finite.
            Stopped: a signal came; the epoch's steps are saved, so that resuming begins with the validation.
        """
        try:
            results, failures = evaluate(
                self.learner.evaluated,
                self.task,
                self.setup.valid,
                self.validation_loader,
                context=self.context,
                reporter=self.reporter,
                stopping=stopping,
            )
        except Stopped:
            self.stop(stopping)
        self.skip(failures)
        if broken := broken_outputs(results):
            self.end_diverged(broken)
        metrics = self.task.metrics(results)
        if not math.isfinite(loss := metrics.get("loss", 0.0)):
            self.end_diverged(f"the loss on {results.split.name} became {loss}")
        return metrics, self.task.class_coverage(results.split)

    def end_epoch(self, metrics: dict[str, float], speed: float) -> dict[str, Any]:
        """Record an epoch and go to the next; its checkpoint is the best if its metrics are.

        Args:
            metrics: on the validation split.
            speed: training images per second.

        Returns:
            The epoch's row of the history.
        """
        state, lr = self.state, self.learner.learning_rate
        row = {"epoch": state.epoch + 1, "lr": lr, "train_loss": state.loss_sum / max(state.images, 1)}
        row |= {f"train_{name}": value for name, value in self.learner.end_epoch(state.images).items()}
        row |= {f"valid_{name}": value for name, value in metrics.items()}
        state.history.append(row)
        state.timing.append({"epoch": state.epoch + 1, "train_images_per_second": speed})
        improved = self._observe(metrics.get(self.settings.monitor, math.nan))
        self.checkpointer.end_epoch(state, metrics, improved=improved)
        state.epoch, state.batch, state.loss_sum, state.images = state.epoch + 1, 0, 0.0, 0
        self.loss_sum.set(0.0)
        return row

    def report_epoch(
        self, row: dict[str, Any], metrics: dict[str, float], classes: dict[str, str], speed: float
    ) -> None:
        """Report an epoch in a line."""
        shown = ", ".join(
            f"{name} {metrics[name]:.4f}" + (f" ({classes[name]})" if name in classes else "")
            for name in self.task.headline_metrics
            if name in metrics
        )
        left = "" if self.finished else self.time_left.text(self.state.epoch)
        self.reporter.note(
            f"epoch {row['epoch']}/{self.settings.epochs}: train loss {row['train_loss']:.4f}; valid {shown}"
            f"{'' if self.state.waited else ' (best)'}; lr {row['lr']:.3g}, {speed:.0f} {self.noun}/s"
            f"{'; ' + left if left else ''}"
        )

    def _observe(self, value: float) -> bool:
        """Record an epoch's value of the monitored metric; return whether it is the best so far."""
        state, lower_is_better = self.state, self.task.metric_direction[self.settings.monitor] == "min"
        signed = value if lower_is_better else -value
        self.setup.schedule.observe(signed)
        improved = math.isfinite(value) and (
            state.best is None or signed < (state.best if lower_is_better else -state.best)
        )
        if improved:
            state.best, state.best_epoch, state.waited = value, state.epoch + 1, 0
        else:
            state.waited += 1
        return improved

    def save(self) -> None:
        """Write the state, and the checkpoints that it refers to."""
        self.read_loss()
        self.checkpointer.save(self.state)

    def restore(self, tree: dict[str, Any]) -> None:
        """Continue from a state."""
        self.state = state = self.checkpointer.restore(tree, self.reporter)
        self.loss_sum.set(state.loss_sum)
        if self.finished:
            self.reporter.note("all epochs are done; only the end is left")
        else:
            self.reporter.note(f"resuming in epoch {state.epoch + 1}, batch {state.batch + 1}")

    def skip(self, failures: list[ReadFailure]) -> None:
        """Refuse images that could not be read, or note each once."""
        refuse_failures(failures, self.settings.on_error)
        for failure in failures:
            if failure.name not in self.state.skipped:
                self.state.skipped[failure.name] = failure.reason
                self.reporter.warn(f"skipped: {failure.reason}")

    def stop(self, stopping: StopFlag, *, save: bool = True) -> NoReturn:
        """End for a signal; unless ``save`` is False, after the state has been saved."""
        self.reporter.finish()
        if save:
            self.save()
        error = stopping.error(
            f"the run is saved in {self.run.root}.", f"Resume with: affectkit train --resume {self.run.root}"
        )
        if self.group.is_main:
            self.run.write_status("stopped", epoch=self.state.epoch, batch=self.state.batch, reason=error.message)
        raise error

    def end_diverged(self, what: str) -> NoReturn:
        """End a run whose numbers are no longer finite; checkpoints of the epochs before are kept."""
        self.reporter.finish()
        self.checkpointer.write_waiting()
        state = self.state
        kept = "No epoch was completed before."
        if state.best is not None:
            kept = f"The best epoch before, {state.best_epoch}, is kept in {self.run.best}."
        raise diverged(
            what,
            where=f"epoch {state.epoch + 1}, at or before batch {state.batch} (step {state.step})",
            rate=self.learner.learning_rate,
            lr=self.settings.lr,
            clip_norm=self.settings.clip_norm,
            warmup=self.settings.warmup,
            precision=self.settings.precision,
            kept=kept,
        )

    def draw(self, task: Task, results: Results) -> None:
        """Draw the figures of the best epoch and the training curves."""
        draw_figures(self.run.plots, task, results, reporter=self.reporter)
        plots.training_curves(
            self.run.plots / "curves.png",
            history=self.state.history,
            monitor=self.settings.monitor,
            best_epoch=self.state.best_epoch,
        )
        for file, draw in task.training_curves(self.state.history).items():
            draw(self.run.plots / file)

    def close(self) -> None:
        """End the processes that decode images."""
        close_loader(self.loader)
        if "validation_loader" in vars(self):
            close_loader(self.validation_loader)

    def _own_share(self, batch: np.ndarray) -> np.ndarray:
        """Return this process's share of a batch."""
        return np.array_split(batch, self.group.world_size)[self.group.rank]
