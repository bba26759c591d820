"""A short run on a part of the data that kills itself where it is told to: what ``verify`` starts in processes.

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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch

from affectkit.core.process import end_with_parent
from affectkit.core.progress import Reporter, Silent
from affectkit.core.randomness import numpy_generator
from affectkit.data.loading.loaders import choose_cache
from affectkit.data.split import Split
from affectkit.errors import AffectkitError
from affectkit.features.extraction import frozen_encoder
from affectkit.runtime.distributed import init_process_group
from affectkit.runtime.shutdown import StopFlag
from affectkit.settings.training import TrainSettings
from affectkit.tasks.base import Results, Task
from affectkit.training.loaders import Feed, no_features
from affectkit.training.run import resumed_settings, train_once
from affectkit.training.run_folder import RunFolder
from affectkit.training.setup import Training, held_splits, hold_splits
from affectkit.training.trainer import Trainer

TRAINER = "affectkit.training.resume_check.killed_run:Rehearsal"


@dataclass(frozen=True)
class Part:
    """What a process does.

    Attributes:
        settings: of the short run. root: its folder, which is resumed where it exists.
        train, valid: how many images of each split. cache, workers: as the user's own run would have them.
        kill_after: optimiser steps after which the process kills itself; None: it ends by itself.
        kernels: also name the kernels that are not deterministic.
        trainer: ``module:Class``, a subclass of ``Rehearsal``. threads: of torch; None: as many as it takes.
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


class Rehearsal(Trainer):
    """A trainer on a part of the data, drawn by the seed."""

    def __init__(
        self,
        training: Training,
        run: RunFolder,
        *,
        reporter: Reporter,
        part: Part,
        told: Connection | None = None,
        fed: Callable[[Training], Feed] = no_features,
    ) -> None:
        self.part, self._told = part, told
        super().__init__(cut(training, part, reporter=reporter), run, reporter=reporter, fed=fed)

    def _stop_or_save(self, stopping: StopFlag) -> None:
        # Before the state of this step is saved, so that the step is lost and must be done again.
        if self.at.step == self.part.kill_after:
            if self._told is not None:
                _tell(self._told, killed=True)
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows ends at once with either
        super()._stop_or_save(stopping)

    def draw(self, task: Task, results: Results) -> None:
        """None: pictures are not compared."""


def cut(training: Training, part: Part, *, reporter: Reporter) -> Training:
    """``training`` with the images of ``part``, decoded ahead and by as many workers as those of the whole would be."""
    settings, spec = training.settings, training.task.spec
    whole = sum(map(len, held_splits(settings, training.train, training.valid).values()))
    train = draw_part(training.train, part.train, settings.seed)
    valid = draw_part(training.valid, part.valid, settings.seed)
    held = (None, None)
    encoded = frozen_encoder(training.model) is not None and settings.views
    stored = training.train.store is not None
    if not encoded and not stored and choose_cache(part.cache, whole, spec):
        held = hold_splits(settings, spec, held_splits(settings, train, valid), reporter=reporter)
    workers, _ = training.context.choose_workers(part.workers, held=held[0] is not None or stored)
    return replace(training, train=train, valid=valid, held=held, workers=workers, test=None)


def draw_part(split: Split, count: int, seed: int) -> Split:
    """``count`` images of ``split``, in their order, drawn by ``seed``."""
    order = numpy_generator(seed, "verify-resume", split.name).permutation(len(split))
    return split.select(np.sort(order[:count]))


def perform(part: Part, told: Connection) -> None:
    """Do ``part`` in this process, and tell how it went: ``{"warnings": ..., "kernels": ...}`` or an error."""
    _prepare_process(part)
    heard = Warnings()
    try:
        make = functools.partial(pkgutil.resolve_name(part.trainer), part=part, told=told)
        resuming = (part.root / "config.yaml").is_file()
        settings = replace(part.settings, output=part.root)
        if resuming:  # as a user would: from what the run recorded
            settings = resumed_settings(replace(settings, resume=part.root), frozenset({"resume"}))
        with named_kernels(part.kernels) as kernels, init_process_group(settings.device):
            train_once(settings, part.root, resuming=resuming, reporter=heard, make=make)
    except (AffectkitError, OSError) as error:
        message = getattr(error, "message", str(error))
        _tell(told, error=type(error).__name__, message=message, hint=getattr(error, "hint", ""))
    else:
        _tell(told, warnings=heard.texts, kernels=kernels)


class Warnings(Silent):
    """A Reporter that keeps what is warned of."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def warn(self, text: str) -> None:
        """Keep ``text``."""
        self.texts.append(text)


@contextmanager
def named_kernels(wanted: bool) -> Iterator[list[str]]:
    """While entered, torch warns of every kernel whose results do not repeat; afterwards the list names them."""
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
    """The kernels that torch's warnings ``texts`` name, each once.

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


def _prepare_process(part: Part) -> None:
    if part.threads is not None:
        torch.set_num_threads(part.threads)
    # In a spawned process multiprocessing would spawn the workers, too, which is slow, and not what a run does.
    multiprocessing.set_start_method(part.decoders, force=True)
    end_with_parent(signal.SIGTERM)


def _tell(told: Connection, **values: object) -> None:
    told.send_bytes(json.dumps(values).encode())
