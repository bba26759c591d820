"""Files that a run keeps: checkpoints of the best, the last and chosen epochs, the history, and the state for
resuming.
"""

from __future__ import annotations

import csv
import io
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from affectkit.checkpoints.checkpoint import Header, save_checkpoint, save_tensors, state_copy
from affectkit.config import value_of
from affectkit.core.csv_tables import write_table
from affectkit.core.files import write_text
from affectkit.core.forms import Count, Number, check_form
from affectkit.core.progress import Reporter
from affectkit.core.text import count_text
from affectkit.data.loading.loaders import batch_count
from affectkit.errors import CheckpointError
from affectkit.features.extractor import frozen_encoder_hash
from affectkit.runtime.shutdown import StopFlag
from affectkit.schedules.curves import Plateau
from affectkit.training.resume_state import save_state
from affectkit.training.run_folder import RunFolder
from affectkit.training.setup import TrainingSetup
from affectkit.training.training_step import Learner

SHORT = 20.0
"""Seconds between two states of a run on features, whose epochs may take less time than saving."""


@dataclass
class TrainState:
    """Progress of a run.

    Attributes:
        epoch: the current epoch, from 0.
        batch: batches of it that are done.
        step: optimizer steps in all.
        loss_sum: of the current epoch so far.
        images: of the current epoch so far.
        best: value of the monitored metric in the best epoch; None before there is one.
        best_epoch: from 1; 0 before there is one.
        waited: epochs since.
        history: a row per epoch.
        timing: a row per epoch of what differs from run to run.
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


POSITION_FORM = {
    "epoch": Count, "batch": Count, "step": Count, "loss_sum?": Number, "images?": Count, "best?": Number | None,
    "best_epoch?": Count, "waited?": Count, "history?": list[dict[str, Any]], "skipped?": dict[str, str],
    "timing?": list[dict[str, Any]],
}  # fmt: skip
PLATEAU_FORM = {"best": Number, "waited": Count, "reductions": Count}
STATE_FORM = {
    "position": POSITION_FORM, "plateau": PLATEAU_FORM, "data": list[str], "processes": Count, "device?": str,
    "encoder?": str,
}  # fmt: skip
"""What a state holds beside that of the learner; see ``core.forms``."""


class Checkpointer:
    """Writes checkpoints and states of a run into its folder.

    Args:
        short_epochs: whether epochs may take less time than saving a state; they are then not all saved.
    """

    def __init__(self, setup: TrainingSetup, run: RunFolder, learner: Learner, *, short_epochs: bool) -> None:
        self.setup, self.run, self.learner = setup, run, learner
        self.settings, self.group = setup.settings, setup.context.group
        self.short_epochs = short_epochs
        self.every_steps, self.every_seconds = value_of(self.settings.checkpoint_every, (0, 0.0))
        self._saved_step, self._saved_time = 0, time.monotonic()
        self._waiting: dict[Path, tuple[dict[str, torch.Tensor], Header]] = {}

    def keep_untrained(self) -> None:
        """Write the checkpoint of epoch 0 where epochs are kept."""
        if self.settings.keeps(0):
            self.group.run_on_main(lambda: self._keep_epoch(0))

    def end_epoch(self, state: TrainState, metrics: dict[str, float], *, improved: bool) -> None:
        """Write the tables of an epoch and its own checkpoint, and take copies for ``best`` and ``last``.

        Those are written with the next state, which refers to their epochs.
        """
        self.group.run_on_main(lambda: self._write_epoch(state, metrics, improved=improved))

    def due_after_step(self, state: TrainState, stopping: StopFlag) -> bool:
        """Return whether it is time to save; the processes agree on it, and on whether a signal has come to any of
        them.
        """
        due = bool(self.every_steps and state.step - self._saved_step >= self.every_steps)
        if self.every_seconds and self.group.is_main:  # its clock counts: those of others may differ
            due |= time.monotonic() - self._saved_time >= self.every_seconds
        if self.group.is_distributed:
            number, due_anywhere = self.group.all_reduce_max([stopping.number or 0, int(due)])
            stopping.number, due = number or None, bool(due_anywhere)
        return due

    def due_after_epoch(self, *, finished: bool) -> bool:
        """Return whether the state is saved now that an epoch has ended: always,
        unless epochs are shorter than saving.
        """
        if not self.short_epochs or finished:
            return True
        # The clock of the first process counts.
        waited = time.monotonic() - self._saved_time if self.group.is_main else 0
        return bool(self.group.all_reduce_max([int(waited >= SHORT)])[0])

    def save(self, state: TrainState) -> None:
        """Write the checkpoints that wait, then the state."""
        self.write_waiting()
        tree = {
            "position": asdict(state),
            **self.learner.state(),
            "plateau": asdict(self.setup.schedule.observed),
            "data": self._fingerprints(),
            "processes": self.group.world_size,
            "device": self.setup.context.device.description,
            "encoder": frozen_encoder_hash(self.setup.model),
        }
        step = state.epoch * (batch_count(len(self.setup.train), self.settings.batch_size) + 1) + state.batch
        self.group.run_on_main(lambda: str(save_state(self.run.state, tree, step=step, keep=self.settings.keep)))
        self._saved_step, self._saved_time = state.step, time.monotonic()

    def restore(self, tree: dict[str, Any], reporter: Reporter) -> TrainState:
        """Restore learner and schedule to where ``save`` found them, and return where the run stands.

        Raises:
            CheckpointError: the data or a frozen encoder is another than when the run was started, or the state is not
                one of this run.
        """
        title, hint = f"the newest state in {self.run.state}", "Remove it: the one before is then resumed."
        check_form(tree, STATE_FORM, title, hint=hint, error=CheckpointError)
        if tree["data"] != self._fingerprints():
            raise CheckpointError(
                f"the data in {self.settings.data} has changed since {self.run.root} was started.",
                "Resuming on other data would mix two runs: restore the data, or start a new run.",
            )
        if tree.get("encoder", "") != frozen_encoder_hash(self.setup.model):
            raise CheckpointError(
                f"the frozen encoder has other weights than when {self.run.root} was started.",
                "Restore the weights that config.yaml names.",
            )
        known = {entry.name for entry in fields(TrainState)}
        state = TrainState(**{key: value for key, value in tree["position"].items() if key in known})
        try:
            self.learner.restore(tree)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{title} does not go with the run: {str(error).splitlines()[0]}.", hint) from error
        self.setup.schedule.observed = Plateau(**{key: tree["plateau"][key] for key in PLATEAU_FORM})
        self._saved_step, self._saved_time = state.step, time.monotonic()
        before, now = tree.get("device"), self.setup.context.device.description
        if tree["processes"] != self.group.world_size:
            before, now = count_text(tree["processes"], "process", "processes"), str(self.group.world_size)
        if before and before != now:
            reporter.warn(
                f"the run had {before} and has {now} now: it resumes with the same batches and learning rates, but not "
                "to the same last digit."
            )
        return state

    def write_waiting(self) -> None:
        """Write ``best`` and ``last`` of the last epoch that has ended."""
        self.group.run_on_main(self._write_waiting)

    def _write_waiting(self) -> None:
        for path, (tensors, header) in self._waiting.items():
            save_tensors(path, tensors, header)
        self._waiting.clear()

    def _write_epoch(self, state: TrainState, metrics: dict[str, float], *, improved: bool) -> None:
        header = self.setup.header(epoch=state.epoch + 1, monitor=self.settings.monitor, valid=metrics)
        tensors = state_copy(self.learner.evaluated)
        self._waiting |= {path: (tensors, header) for path in ([self.run.best] * improved + [self.run.last])}
        if self.settings.keeps(state.epoch + 1):
            self._keep_epoch(state.epoch + 1, valid=metrics)
        write_history(self.run.history, state.history)
        write_table(self.run.timing, {key: [row[key] for row in state.timing] for key in state.timing[0]})

    def _keep_epoch(self, epoch: int, **summary: Any) -> None:
        """Write the checkpoint of an epoch under its number; 0 is before training."""
        header = self.setup.header(epoch=epoch, monitor=self.settings.monitor, **summary)
        save_checkpoint(self.run.epochs / f"epoch-{epoch:03}.safetensors", self.learner.evaluated, header)

    def _fingerprints(self) -> list[str]:
        return [self.setup.train.fingerprint(), self.setup.valid.fingerprint()]


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write one row per epoch, numbers with all their digits."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, buffer.getvalue())
