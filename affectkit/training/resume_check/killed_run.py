"""A short run on a part of the data that kills itself after a given step: what ``verify`` starts in processes.

Pictures are left out; everything else is training's own.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import pkgutil
import re
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch

from affectkit.core.process import end_with_parent
from affectkit.core.progress import Reporter, Silent
from affectkit.core.randomness import numpy_generator
from affectkit.core.streams import escape_output
from affectkit.data.loading.loaders import choose_cache
from affectkit.data.split import Split
from affectkit.errors import AffectkitError
from affectkit.models.family import frozen_encoder
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import init_process_group
from affectkit.runtime.shutdown import StopFlag
from affectkit.settings.training import TrainSettings
from affectkit.tasks.base import Results, Task
from affectkit.training.data_setup import cacheable_splits, decode_splits
from affectkit.training.loaders import FeatureSplits
from affectkit.training.run import resumed_settings
from affectkit.training.run_folder import RunFolder
from affectkit.training.setup import TrainingSetup
from affectkit.training.single_run import train_once
from affectkit.training.trainer import Trainer

TRAINER = "affectkit.training.resume_check.killed_run:KilledRun"


@dataclass(frozen=True)
class ShortRun:
    """Instructions for one process.

    Attributes:
        settings: of the short run.
        root: its folder, which is resumed where it exists.
        train: how many training images.
        valid: how many validation images.
        cache: as the user's own run would have it.
        workers: as the user's own run would have them.
        kill_after: optimizer steps after which the process kills itself; None: it ends by itself.
        kernels: also name the kernels that are not deterministic.
        trainer: ``module:Class``, a subclass of ``KilledRun``.
        threads: of torch; None: as many as it takes.
        decoders: how decoding workers are started; None: as multiprocessing does here.
    """

    settings: TrainSettings
    root: Path
    train: int
    valid: int
    cache: str
    workers: int | None
    kill_after: int | None = None
    kernels: bool = False
    trainer: str = TRAINER
    threads: int | None = None
    decoders: str | None = None


class KilledRun(Trainer):
    """A trainer that kills its process after a step, and draws nothing.

    Args:
        kill_after: optimizer steps after which it kills the process; None: never.
        connection: to the process that waits for what becomes of this one.
    """

    def __init__(
        self,
        setup: TrainingSetup,
        run: RunFolder,
        *,
        features: FeatureSplits,
        reporter: Reporter,
        kill_after: int | None,
        connection: Connection,
    ) -> None:
        self.kill_after, self._connection = kill_after, connection
        super().__init__(setup, run, features=features, reporter=reporter)

    def stop_or_save(self, stopping: StopFlag) -> None:
        """Kill the process before the state of this step is saved, so that the step is lost and must be done again."""
        if self.state.step == self.kill_after:
            _send(self._connection, killed=True)
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows ends at once with either
        super().stop_or_save(stopping)

    def draw(self, task: Task, results: Results) -> None:
        """Draw nothing: pictures are not compared."""


def reduce_setup(setup: TrainingSetup, short: ShortRun, *, reporter: Reporter) -> TrainingSetup:
    """Take a part of the images, decoded ahead and by as many workers as those of the whole would be."""
    settings, spec = setup.settings, setup.task.spec
    splits = {"train": setup.train, "valid": setup.valid}
    whole = sum(map(len, cacheable_splits(splits, settings.augmentation).values()))
    counts = {"train": short.train, "valid": short.valid}
    part = {name: draw_part(split, counts[name], settings.seed) for name, split in splits.items()}
    in_memory = (None, None)
    on_features = frozen_encoder(setup.model) is not None and settings.views
    stored = setup.train.store is not None
    if not on_features and not stored and choose_cache(short.cache, whole, spec):
        chosen = cacheable_splits(part, settings.augmentation)
        in_memory = decode_splits(chosen, spec, on_error=settings.on_error, reporter=reporter)
    workers, _ = setup.context.choose_workers(short.workers, held=in_memory[0] is not None or stored)
    return replace(setup, train=part["train"], valid=part["valid"], in_memory=in_memory, workers=workers, test=None)


def draw_part(split: Split, count: int, seed: int) -> Split:
    """Draw ``count`` images of ``split`` by ``seed``, in their order."""
    order = numpy_generator(seed, "verify-resume", split.name).permutation(len(split))
    return split.select(np.sort(order[:count]))


def run_process(short: ShortRun, connection: Connection) -> None:
    """Run ``short`` in this process, and send its outcome: ``{"warnings": ..., "kernels": ...}`` or an error."""
    _prepare_process(short)
    reporter = Warnings()
    try:
        trainer = pkgutil.resolve_name(short.trainer)
        resuming = (short.root / "config.yaml").is_file()
        settings = replace(short.settings, output=short.root)
        if resuming:  # as a user would: from what the run recorded
            settings = resumed_settings(replace(settings, resume=short.root), frozenset({"resume"}))
        with named_kernels(short.kernels) as kernels, init_process_group(settings.device):
            train_once(
                settings,
                lambda: RunContext.resolve(settings.device, settings.precision),
                resuming=resuming,
                reporter=reporter,
                make_trainer=functools.partial(trainer, kill_after=short.kill_after, connection=connection),
                reduce=functools.partial(reduce_setup, short=short, reporter=reporter),
            )
    except (AffectkitError, OSError) as error:
        message = getattr(error, "message", str(error))
        _send(connection, error=type(error).__name__, message=message, hint=getattr(error, "hint", ""))
    else:
        _send(connection, warnings=reporter.texts, kernels=kernels)


class Warnings(Silent):
    """A Reporter that keeps the warnings."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def warn(self, text: str) -> None:
        """Keep ``text``."""
        self.texts.append(text)


@contextmanager
def named_kernels(wanted: bool) -> Iterator[list[str]]:
    """Make torch warn of every kernel whose results do not repeat; afterwards the list names them."""
    found: list[str] = []
    if not wanted:
        yield found
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield found
        finally:
            torch.use_deterministic_algorithms(False)
            found += kernels_in([str(item.message) for item in caught])


def kernels_in(texts: Sequence[str]) -> list[str]:
    """Name the kernels of torch's warnings ``texts``, each once.

    >>> kernels_in(["grid_sampler_2d_backward_cuda does not have a deterministic implementation, but you set ..."])
    ['grid_sampler_2d_backward_cuda']
    """
    found = set()
    for text in texts:
        if match := re.match(r"\s*(\S+) does not have a deterministic implementation", text):
            found.add(match[1])
        elif "CUBLAS_WORKSPACE_CONFIG" in text:
            found.add("cuBLAS (no fixed workspace: CUBLAS_WORKSPACE_CONFIG=:4096:8 gives it one)")
    return sorted(found)


def _prepare_process(short: ShortRun) -> None:
    escape_output()
    if short.threads is not None:
        torch.set_num_threads(short.threads)
    # In a spawned process multiprocessing would spawn the workers, too, which is slow, and not what a run does.
    multiprocessing.set_start_method(short.decoders, force=True)
    end_with_parent(signal.SIGTERM)


def _send(connection: Connection, **values: object) -> None:
    connection.send_bytes(json.dumps(values).encode())
