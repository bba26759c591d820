"""Training: one visible loop, a state from which it goes on exactly, and the best epoch kept."""

from __future__ import annotations

import csv
import io
import math
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from timm.utils import ModelEmaV3
from torch import nn

from affectkit.config import plain
from affectkit.core.files import write_json, write_text
from affectkit.core.progress import Reporter
from affectkit.core.randomness import address, numpy_generator
from affectkit.data.loading import (
    Failure,
    SplitImages,
    TrainingKeys,
    batch_count,
    close_loader,
    epoch_batches,
    evaluation_keys,
    make_loader,
    refuse_failures,
)
from affectkit.errors import CheckpointError, RunError, Stopped, UsageError
from affectkit.reports import plots
from affectkit.runners.checkpoint import load_tensors, make_task, read_header, save_checkpoint
from affectkit.runners.evaluate import draw_figures, evaluate
from affectkit.runners.runfolder import RunFolder
from affectkit.runners.signals import StopFlag
from affectkit.runners.state import save_state
from affectkit.runners.tables import write_table
from affectkit.runners.tracking import Trackers
from affectkit.runners.training import Training
from affectkit.schedules.curves import Plateau


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

    def __init__(self, training: Training, run: RunFolder, *, reporter: Reporter) -> None:
        self.training = training
        self.settings = training.settings
        self.task = training.task
        self.model = training.model
        self.run = run
        self.reporter = reporter
        self.at = Position()
        self.ema = ModelEmaV3(self.model, decay=self.settings.ema, use_warmup=True) if self.settings.ema else None
        self.scaler = training.place.precision.grad_scaler()
        pin = training.place.device.kind == "cuda"
        held_train, held_valid = training.held
        images = SplitImages(
            training.train, self.task.spec, augment=self.settings.augment, seed=self.settings.seed, held=held_train
        )
        self.keys = TrainingKeys()
        self.loader = make_loader(images, self.keys, workers=training.workers, pin=pin, seed=self.settings.seed)
        self.valid_loader = make_loader(
            SplitImages(training.valid, self.task.spec, held=held_valid),
            evaluation_keys(len(training.valid), self.settings.batch_size),
            workers=training.workers,
            pin=pin,
            seed=self.settings.seed,
        )

    @property
    def evaluated(self) -> nn.Module:
        """The model that is validated and kept: the averaged weights where there are some."""
        return self.ema.module if self.ema is not None else self.model

    def close(self) -> None:
        """End the processes that decode images."""
        close_loader(self.loader)
        close_loader(self.valid_loader)

    def fit(self, stopping: StopFlag, trackers: Trackers) -> None:
        """The loop: batch, forward, loss, step, log; then validate, keep the best, save."""
        settings, at = self.settings, self.at
        while at.epoch < settings.epochs and not (settings.early_stop and at.waited >= settings.early_stop):
            batches = epoch_batches(len(self.training.train), settings.batch_size, seed=settings.seed, epoch=at.epoch)
            self.keys.set(at.epoch, batches[at.batch :])
            targets = self.task.targets(self.training.train, epoch=at.epoch)
            self.model.train()
            self.reporter.start(f"epoch {at.epoch + 1}/{settings.epochs}", len(self.training.train), "images")
            if at.batch:
                self.reporter.advance(sum(map(len, batches[: at.batch])))
            began, seen = time.monotonic(), 0
            for raw in self.loader:
                self._skip(raw["failures"])
                if at.batch % settings.accumulate == 0:
                    self._set_rate(at.epoch + at.batch / len(batches))
                if len(raw["index"]):
                    batch = {**raw, **{name: values[raw["index"]] for name, values in targets.items()}}
                    loss = self._backward(batch, group=self._group(at.batch, len(batches)))
                    at.loss_sum += loss * len(raw["index"])
                    at.images += len(raw["index"])
                    seen += len(raw["index"])
                at.batch += 1
                if at.batch % settings.accumulate == 0 or at.batch == len(batches):
                    self._step()
                    if stopping.requested and at.batch < len(batches):
                        self._stop(stopping)
                self.reporter.advance(len(raw["index"]), f"loss {at.loss_sum / max(at.images, 1):.4f}")
            self.reporter.finish()
            if stopping.requested:
                self._stop(stopping)
            self._end_epoch(seen / max(time.monotonic() - began, 1e-9), trackers, stopping)

    def _skip(self, failures: list[Failure]) -> None:
        """Refuse images that could not be read, or note each once."""
        refuse_failures(failures, self.settings.on_error)
        for failure in failures:
            if failure.name not in self.at.skipped:
                self.at.skipped[failure.name] = failure.reason
                self.reporter.warn(f"skipped: {failure.reason}")

    def _backward(self, raw: dict[str, Any], *, group: int) -> float:
        """Gradients of one batch, added to those of its group; returns its mean loss."""
        at, place = self.at, self.training.place
        # Dropout and the like are addressed by the batch, so a resumed run draws what the first would have drawn.
        torch.manual_seed(address(self.settings.seed, "batch", at.epoch, at.batch))
        batch = place.images(raw, self.task.spec)
        if self.settings.mixup:
            batch = mixup(batch, self.settings.mixup, seed=self.settings.seed, epoch=at.epoch, number=at.batch)
        try:
            with place.precision.autocast():
                outputs = self.model(*self.task.inputs(batch))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise UsageError(
                f"{self.settings.model} normalises over the batch, and a batch of {len(batch['index'])} at "
                f"{self.task.spec.height}x{self.task.spec.width} leaves it one value.",
                "Choose a larger --batch-size.",
            ) from error
        progress = (at.epoch + at.batch / max(self._batches, 1)) / self.settings.epochs
        loss = self.task.loss(outputs.float(), batch, progress)["loss"]
        self.scaler.scale(loss / group).backward()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise RunError(
                f"the loss became {value} in epoch {at.epoch + 1}, batch {at.batch + 1}.",
                f"Lower --lr (now {self.settings.lr:g}), or add --clip-norm 1. Saved states: {self.run.state}.",
            )
        return value

    @property
    def _batches(self) -> int:
        return batch_count(len(self.training.train), self.settings.batch_size)

    def _group(self, number: int, count: int) -> int:
        """How many batches make the optimiser step that batch ``number`` belongs to (the last group may be short)."""
        first = number - number % self.settings.accumulate
        return min(self.settings.accumulate, count - first)

    def _set_rate(self, epoch: float) -> None:
        for group in self.training.optimizer.param_groups:
            group["lr"] = self.training.schedule.rate(epoch)

    def _step(self) -> None:
        optimizer = self.training.optimizer
        if self.settings.clip_norm is not None:
            self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        optimizer.zero_grad(set_to_none=True)
        self.at.step += 1
        if self.ema is not None:
            self.ema.update(self.model, step=self.at.step)

    def _end_epoch(self, rate: float, trackers: Trackers, stopping: StopFlag) -> None:
        """Validate, record, keep the best, and save the state."""
        at, settings = self.at, self.settings
        try:
            results, failures = evaluate(
                self.evaluated,
                self.task,
                self.training.valid,
                self.valid_loader,
                place=self.training.place,
                reporter=self.reporter,
                stopping=stopping,
            )
        except Stopped:  # the epoch's steps are done: resuming validates and goes on
            self._stop(stopping)
        self._skip(failures)
        metrics = self.task.metrics(results)
        lr = self.training.optimizer.param_groups[0]["lr"]
        row = {"epoch": at.epoch + 1, "lr": lr, "train_loss": at.loss_sum / max(at.images, 1)}
        row |= {f"valid_{name}": value for name, value in metrics.items()}
        at.history.append(row)
        at.timing.append({"epoch": at.epoch + 1, "train_images_per_second": rate})
        better = self.task.better[settings.monitor]
        value = metrics[settings.monitor]
        signed = value if better == "min" else -value
        self.training.schedule.observe(signed)
        if math.isfinite(value) and (at.best is None or signed < (at.best if better == "min" else -at.best)):
            at.best, at.best_epoch, at.waited = value, at.epoch + 1, 0
            save_checkpoint(self.run.best, self.evaluated, self._header(metrics))
        else:
            at.waited += 1
        save_checkpoint(self.run.last, self.evaluated, self._header(metrics))
        at.epoch, at.batch, at.loss_sum, at.images = at.epoch + 1, 0, 0.0, 0
        write_history(self.run.history, at.history)
        write_table(self.run.timing, {key: [row[key] for row in at.timing] for key in at.timing[0]})
        trackers.log(at.epoch, {key: float(value) for key, value in row.items() if key != "epoch"})
        self._save()
        told = ", ".join(f"{name} {metrics[name]:.4f}" for name in self.task.headline)
        mark = " (best)" if at.waited == 0 else ""
        self.reporter.note(
            f"epoch {at.epoch}/{settings.epochs}: train loss {row['train_loss']:.4f}; valid {told}{mark}; "
            f"lr {lr:.3g}, {rate:.0f} images/s"
        )

    def _header(self, metrics: dict[str, float]) -> Any:
        return self.training.header(
            epoch=self.at.epoch + 1,
            monitor=self.settings.monitor,
            valid=metrics,
        )

    def _save(self) -> None:
        at = self.at
        tree = {
            "position": asdict(at),
            "model": self.model.state_dict(),
            "ema": self.ema.module.state_dict() if self.ema is not None else None,
            "optimizer": self.training.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "plateau": asdict(self.training.schedule.observed),
            "data": [self.training.train.fingerprint(), self.training.valid.fingerprint()],
        }
        save_state(self.run.state, tree, step=at.epoch * (self._batches + 1) + at.batch)

    def restore(self, tree: dict[str, Any]) -> None:
        """Go on from a state."""
        if tree["data"] != [self.training.train.fingerprint(), self.training.valid.fingerprint()]:
            raise CheckpointError(
                f"the data in {self.settings.data} has changed since {self.run.root} was started.",
                "Resuming on other data would mix two runs: restore the data, or start a new run.",
            )
        self.at = Position(**tree["position"])
        self.model.load_state_dict(tree["model"])
        if self.ema is not None:
            self.ema.module.load_state_dict(tree["ema"])
        self.training.optimizer.load_state_dict(tree["optimizer"])
        if tree["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(tree["scaler"])
        self.training.schedule.observed = Plateau(**tree["plateau"])
        self.reporter.note(f"going on in epoch {self.at.epoch + 1}, batch {self.at.batch + 1}")

    def _stop(self, stopping: StopFlag) -> NoReturn:
        self.reporter.finish()
        self._save()
        error = stopping.error(
            f"the run is saved in {self.run.root}.", f"Go on with: affectkit train --resume {self.run.root}"
        )
        self.run.write_status("stopped", epoch=self.at.epoch, batch=self.at.batch, reason=error.message)
        raise error

    def conclude(self) -> dict[str, Any]:
        """Fit what is fitted on validation results of the best epoch, and write metrics and pictures."""
        if self.at.best is None:
            raise RunError(
                f"--monitor {self.settings.monitor} was never a finite number; no epoch could be kept.",
                f"See {self.run.history}, or monitor loss.",
            )
        load_tensors(self.evaluated, self.run.best)
        header = read_header(self.run.best)
        task = make_task(header.spec.with_(temperature=1.0), plain(self.settings))
        results, _ = evaluate(
            self.evaluated,
            task,
            self.training.valid,
            self.valid_loader,
            place=self.training.place,
            reporter=self.reporter,
        )
        task.spec = task.calibrated(results, self.settings.calibrate)
        metrics = task.metrics(results)
        header = replace(header, spec=task.spec, training={**header.training, "valid": metrics})
        save_checkpoint(self.run.best, self.evaluated, header)
        draw_figures(self.run.plots, task, results, reporter=self.reporter)
        plots.training_curves(
            self.run.plots / "curves.png",
            history=self.at.history,
            monitor=self.settings.monitor,
            best_epoch=self.at.best_epoch,
        )
        summary = {
            "best_epoch": self.at.best_epoch,
            "epochs": self.at.epoch,
            "monitor": self.settings.monitor,
            "seed": self.settings.seed,
            "temperature": task.spec.temperature,
            "valid": metrics,
            "skipped": [{"image": name, "reason": reason} for name, reason in self.at.skipped.items()],
        }
        write_json(self.run.metrics, summary)
        self.run.write_status("done", **summary)
        return summary


def mixup(batch: dict[str, Any], alpha: float, *, seed: int, epoch: int, number: int) -> dict[str, Any]:
    """Images and targets mixed with a shuffled copy, one Beta(alpha, alpha) weight a batch (Zhang et al. 2018)."""
    rng = numpy_generator(seed, "mixup", epoch, number)
    weight = float(rng.beta(alpha, alpha))
    order = torch.from_numpy(rng.permutation(len(batch["index"]))).to(batch["image"].device)
    mixed = {name: weight * batch[name] + (1 - weight) * batch[name][order] for name in ("image", "target")}
    return {**batch, **mixed}


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """One row an epoch, numbers with all their digits."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, buffer.getvalue())
