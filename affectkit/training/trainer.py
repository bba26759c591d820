"""Training: one visible loop, a state from which it goes on exactly, and the best epoch kept."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from affectkit.checkpoints.checkpoint import (
    Header,
    save_checkpoint,
    save_tensors,
    state_copy,
)
from affectkit.config import value_of
from affectkit.core.csv_tables import write_table
from affectkit.core.files import write_text
from affectkit.core.progress import Reporter
from affectkit.data.loading.loaders import (
    ReadFailure,
    TrainingKeys,
    batch_count,
    close_loader,
    epoch_batches,
    refuse_failures,
)
from affectkit.data.loading.modality import item_name
from affectkit.errors import CheckpointError, Stopped
from affectkit.evaluation.evaluate import draw_figures, evaluate
from affectkit.features.extraction import frozen_encoder_hash
from affectkit.reports import plots
from affectkit.runtime.context import gather_failures
from affectkit.runtime.shutdown import StopFlag
from affectkit.schedules.curves import Plateau
from affectkit.tasks.base import Results, Task
from affectkit.training.divergence import broken_outputs, diverged
from affectkit.training.loaders import Feed, no_features, training_loader, validation_loader
from affectkit.training.loggers import Trackers
from affectkit.training.resume_state import save_state
from affectkit.training.run_folder import RunFolder
from affectkit.training.setup import Training
from affectkit.training.training_step import Learner, LossSum

SHORT = 20.0
"""Seconds between two states of a run on features, whose epochs may take less time than saving."""
READ_EVERY = 20
"""Batches between two readings of the loss where reading it makes the processor wait for the device."""


@dataclass
class Position:
    """Where a run stands.

    Attributes:
        epoch: the current epoch, from 0. batch: batches of it that are done. step: optimiser steps in all.
        loss_sum, images: of the current epoch so far. best, best_epoch, waited: of the monitored metric.
        history: a row an epoch. timing: the same for what differs from run to run.
        skipped: images that could not be read, with the reason.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    images: int = 0
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    timing: list[dict[str, Any]] = field(default_factory=list)


class Trainer:
    """Runs a ``Training`` in a ``RunFolder``, from the beginning or from the folder's state."""

    def __init__(
        self, training: Training, run: RunFolder, *, reporter: Reporter, fed: Callable[[Training], Feed] = no_features
    ) -> None:
        self.training = training
        self.settings = training.settings
        self.task = training.task
        self.context = training.context
        self.group = training.context.group
        self.run = run
        self.reporter = reporter
        self.at = Position()
        self.learner = Learner(training, reporter=reporter)
        self.noun = item_name(training.task.spec)
        self.losses = LossSum(self.context.device.torch_name)
        self.every = value_of(self.settings.checkpoint_every, (0, 0.0))
        self._saved = (0, time.monotonic())
        self.keys = TrainingKeys()
        self.fed = fed(training)
        self._waiting: dict[Path, tuple[dict[str, torch.Tensor], Header]] = {}
        self.loader = training_loader(training, self.fed, self.keys)
        self.valid_loader = validation_loader(training, self.fed)

    def close(self) -> None:
        """End the processes that decode images."""
        close_loader(self.loader)
        close_loader(self.valid_loader)

    def fit(self, stopping: StopFlag, trackers: Trackers) -> None:
        """The loop: batch, forward, loss, step, log; then validate, keep the best, save."""
        settings, at, learner = self.settings, self.at, self.learner
        if settings.keeps(0) and at.step == 0:
            self.group.run_on_main(lambda: self._keep_epoch(0))
        while not self._ended:
            batches = epoch_batches(len(self.training.train), settings.batch_size, seed=settings.seed, epoch=at.epoch)
            self.keys.set(at.epoch, [self._own(batch) for batch in batches[at.batch :]])
            targets = self.training.targets(at.epoch)
            learner.train()
            self.reporter.start(f"epoch {at.epoch + 1}/{settings.epochs}", len(self.training.train), self.noun)
            self.reporter.advance(sum(map(len, batches[: at.batch])))
            began, seen = time.monotonic(), 0
            for raw in self.loader:
                counts = self._take(raw)
                if at.batch % settings.accumulate == 0:
                    learner.set_rate(at.epoch + at.batch / len(batches))
                if sum(counts):
                    loss = learner.add(
                        {**raw, **{name: values[raw["index"]] for name, values in targets.items()}},
                        counts,
                        epoch=at.epoch,
                        number=at.batch,
                        progress=(at.epoch + at.batch / len(batches)) / settings.epochs,
                        share=self._group_size(at.batch, len(batches)),
                    )
                    self.losses.add(loss, sum(counts))
                    at.images += sum(counts)
                    seen += sum(counts)
                at.batch += 1
                if at.batch % settings.accumulate == 0 or at.batch == len(batches):
                    at.step += 1
                    learner.step(at.step)
                    self._stop_or_save(stopping)
                if not self.losses.lazy or at.batch % READ_EVERY == 0:
                    self._read_loss()
                self.reporter.advance(sum(counts), f"loss {at.loss_sum / max(at.images, 1):.4f}")
            self._read_loss()
            self.reporter.finish()
            self._end_epoch(seen / max(time.monotonic() - began, 1e-9), trackers, stopping)

    @property
    def _ended(self) -> bool:
        """Whether no epoch is left, or none has been better for too long."""
        early = self.settings.early_stop
        return self.at.epoch >= self.settings.epochs or bool(early and self.at.waited >= early)

    def _own(self, batch: np.ndarray) -> np.ndarray:
        """This process's share of a batch."""
        return np.array_split(batch, self.group.world_size)[self.group.rank]

    def _take(self, raw: dict[str, Any]) -> list[int]:
        """How many images each process has of a batch; those that could not be read are refused, or noted once."""
        failures = raw["failures"]
        counts = [0] * self.group.world_size
        counts[self.group.rank] = len(raw["index"])
        *counts, failed = self.group.all_reduce_max([*counts, len(failures)])
        if failed:
            self.skip(gather_failures(failures, self.group))
        return counts

    def skip(self, failures: list[ReadFailure]) -> None:
        """Refuse images that could not be read, or note each once."""
        refuse_failures(failures, self.settings.on_error)
        for failure in failures:
            if failure.name not in self.at.skipped:
                self.at.skipped[failure.name] = failure.reason
                self.reporter.warn(f"skipped: {failure.reason}")

    def _group_size(self, number: int, count: int) -> int:
        """How many batches make the optimiser step that batch ``number`` belongs to (the last group may be short)."""
        first = number - number % self.settings.accumulate
        return min(self.settings.accumulate, count - first)

    def _read_loss(self) -> None:
        """Bring the sum of losses up to date; it must be a number."""
        self.at.loss_sum = self.losses.read()
        if not math.isfinite(self.at.loss_sum):
            self._end_diverged(f"the loss became {self.at.loss_sum}")

    def _end_diverged(self, what: str) -> NoReturn:
        """End a run whose numbers are no longer finite; checkpoints of the epochs before are kept."""
        self.reporter.finish()
        self.group.run_on_main(self._write_waiting)
        at = self.at
        kept = "No epoch was completed before."
        if at.best is not None:
            kept = f"The best epoch before, {at.best_epoch}, is kept in {self.run.best}."
        raise diverged(
            what,
            where=f"epoch {at.epoch + 1}, at or before batch {at.batch} (step {at.step})",
            rate=self.learner.optimizer.param_groups[0]["lr"],
            settings=self.settings,
            kept=kept,
        )

    def _stop_or_save(self, stopping: StopFlag) -> None:
        """After an optimiser step: end where a signal has come to any process, save where it is time."""
        steps, seconds = self.every
        due = bool(steps and self.at.step - self._saved[0] >= steps)
        # The clock of the first process counts: those of others may differ.
        due |= bool(seconds and self.group.is_main and time.monotonic() - self._saved[1] >= seconds)
        if self.group.is_distributed:
            number, due_anywhere = self.group.all_reduce_max([stopping.number or 0, int(due)])
            stopping.number, due = number or None, bool(due_anywhere)
        if stopping.requested:
            self.stop(stopping)
        if due:
            self._save()

    def _end_epoch(self, rate: float, trackers: Trackers, stopping: StopFlag) -> None:
        """Validate, record, keep the best, and save the state."""
        at, settings = self.at, self.settings
        try:
            results, failures = evaluate(
                self.learner.evaluated,
                self.task,
                self.training.valid,
                self.valid_loader,
                context=self.context,
                reporter=self.reporter,
                stopping=stopping,
            )
        except Stopped:  # the epoch's steps are done: resuming validates and goes on
            self.stop(stopping)
        self.skip(failures)
        if broken := broken_outputs(results):
            self._end_diverged(broken)
        metrics = self.task.metrics(results)
        if not math.isfinite(loss := metrics.get("loss", 0.0)):
            self._end_diverged(f"the loss on {results.split.name} became {loss}")
        lr = self.learner.optimizer.param_groups[0]["lr"]
        row = {"epoch": at.epoch + 1, "lr": lr, "train_loss": at.loss_sum / max(at.images, 1)}
        row |= {f"train_{name}": total.read() / max(at.images, 1) for name, total in self.learner.parts.items()}
        row |= {f"valid_{name}": value for name, value in metrics.items()}
        at.history.append(row)
        at.timing.append({"epoch": at.epoch + 1, "train_images_per_second": rate})
        better = self.task.metric_direction[settings.monitor]
        value = metrics.get(settings.monitor, math.nan)
        signed = value if better == "min" else -value
        self.training.schedule.observe(signed)
        improved = math.isfinite(value) and (at.best is None or signed < (at.best if better == "min" else -at.best))
        if improved:
            at.best, at.best_epoch, at.waited = value, at.epoch + 1, 0
        else:
            at.waited += 1
        self.group.run_on_main(lambda: self._write_epoch(metrics, improved))
        at.epoch, at.batch, at.loss_sum, at.images = at.epoch + 1, 0, 0.0, 0
        for total in (self.losses, *self.learner.parts.values()):
            total.set(0.0)
        trackers.log(at.epoch, {key: float(value) for key, value in row.items() if key != "epoch"})
        if self._due_at_epoch():
            self._save()
        over = self.task.class_coverage(results.split)
        told = ", ".join(
            f"{name} {metrics[name]:.4f}" + (f" ({over[name]})" if name in over else "")
            for name in self.task.headline_metrics
            if name in metrics
        )
        mark = " (best)" if at.waited == 0 else ""
        self.reporter.note(
            f"epoch {at.epoch}/{settings.epochs}: train loss {row['train_loss']:.4f}; valid {told}{mark}; "
            f"lr {lr:.3g}, {rate:.0f} {self.noun}/s"
        )

    def _write_epoch(self, metrics: dict[str, float], improved: bool) -> None:
        """The checkpoints and tables of an epoch."""
        header = self.training.header(epoch=self.at.epoch + 1, monitor=self.settings.monitor, valid=metrics)
        tensors = state_copy(self.learner.evaluated)
        self._waiting |= {path: (tensors, header) for path in ([self.run.best] * improved + [self.run.last])}
        if self.settings.keeps(self.at.epoch + 1):
            self._keep_epoch(self.at.epoch + 1, valid=metrics)
        write_history(self.run.history, self.at.history)
        timing = self.at.timing
        write_table(self.run.timing, {key: [row[key] for row in timing] for key in timing[0]})

    def _write_waiting(self) -> None:
        for path, (tensors, header) in self._waiting.items():
            save_tensors(path, tensors, header)
        self._waiting.clear()

    def _keep_epoch(self, epoch: int, **summary: Any) -> None:
        """The checkpoint of an epoch, under its number; 0 is before training."""
        header = self.training.header(epoch=epoch, monitor=self.settings.monitor, **summary)
        save_checkpoint(self.run.epochs / f"epoch-{epoch:03}.safetensors", self.learner.evaluated, header)

    def _due_at_epoch(self) -> bool:
        """Whether the state is saved now that an epoch has ended: always, unless epochs are shorter than saving."""
        if self.fed.train is None or self._ended:
            return True
        # The clock of the first process counts.
        waited = time.monotonic() - self._saved[1] if self.group.is_main else 0
        return bool(self.group.all_reduce_max([int(waited >= SHORT)])[0])

    def _save(self) -> None:
        """The checkpoints that wait, then the state, which refers to their epochs."""
        self._read_loss()
        self.group.run_on_main(self._write_waiting)
        at = self.at
        tree = {
            "position": asdict(at),
            **self.learner.state(),
            "plateau": asdict(self.training.schedule.observed),
            "data": [self.training.train.fingerprint(), self.training.valid.fingerprint()],
            "processes": self.group.world_size,
            "device": self.context.device.description,
            "encoder": frozen_encoder_hash(self.training.model),
        }
        step = at.epoch * (batch_count(len(self.training.train), self.settings.batch_size) + 1) + at.batch
        self.group.run_on_main(lambda: str(save_state(self.run.state, tree, step=step, keep=self.settings.keep)))
        self._saved = (at.step, time.monotonic())

    def restore(self, tree: dict[str, Any]) -> None:
        """Go on from a state."""
        if tree["data"] != [self.training.train.fingerprint(), self.training.valid.fingerprint()]:
            raise CheckpointError(
                f"the data in {self.settings.data} has changed since {self.run.root} was started.",
                "Resuming on other data would mix two runs: restore the data, or start a new run.",
            )
        if tree.get("encoder", "") != frozen_encoder_hash(self.training.model):
            raise CheckpointError(
                f"the frozen encoder has other weights than when {self.run.root} was started.",
                "Restore the weights that config.yaml names.",
            )
        self.at = Position(**tree["position"])
        self.learner.restore(tree)
        self.losses.set(self.at.loss_sum)
        self.training.schedule.observed = Plateau(**tree["plateau"])
        self._saved = (self.at.step, time.monotonic())
        if self._ended:
            self.reporter.note("all epochs are done; only the end is left")
        else:
            self.reporter.note(f"going on in epoch {self.at.epoch + 1}, batch {self.at.batch + 1}")
        before, now = tree.get("device"), self.context.device.description
        if tree["processes"] != self.group.world_size:
            before, now = f"{tree['processes']} process(es)", str(self.group.world_size)
        if before and before != now:
            self.reporter.warn(
                f"the run had {before} and has {now} now: it goes on with the same batches and learning rates, but not "
                "to the same last digit."
            )

    def stop(self, stopping: StopFlag, *, save: bool = True) -> NoReturn:
        """End for a signal; unless ``save`` is False, after the state has been saved."""
        self.reporter.finish()
        if save:
            self._save()
        error = stopping.error(
            f"the run is saved in {self.run.root}.", f"Go on with: affectkit train --resume {self.run.root}"
        )
        if self.group.is_main:
            self.run.write_status("stopped", epoch=self.at.epoch, batch=self.at.batch, reason=error.message)
        raise error

    def draw(self, task: Task, results: Results) -> None:
        """The pictures of the best epoch and of the course."""
        draw_figures(self.run.plots, task, results, reporter=self.reporter)
        plots.training_curves(
            self.run.plots / "curves.png",
            history=self.at.history,
            monitor=self.settings.monitor,
            best_epoch=self.at.best_epoch,
        )
        for file, draw in task.training_curves(self.at.history).items():
            draw(self.run.plots / file)


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """One row an epoch, numbers with all their digits."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, buffer.getvalue())
