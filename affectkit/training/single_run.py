"""One training run in a folder of its own: started, or resumed from its newest state."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from affectkit.config import plain
from affectkit.core.progress import Reporter
from affectkit.errors import AffectkitError, Stopped
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import current_group
from affectkit.runtime.shutdown import StopFlag
from affectkit.runtime.torch_backends import set_up_backends, without_determinism
from affectkit.settings.training import TrainSettings
from affectkit.training.final_evaluation import evaluate_best
from affectkit.training.loaders import FeatureSplits, encode_splits
from affectkit.training.loggers import Loggers
from affectkit.training.resume_state import newest_state, read_state
from affectkit.training.run_folder import RunFolder
from affectkit.training.setup import TrainingSetup, set_up_training
from affectkit.training.trainer import Trainer


def train_once(
    settings: TrainSettings,
    choose_context: Callable[[], RunContext],
    *,
    resuming: bool,
    sources: Mapping[str, str] | None = None,
    reporter: Reporter,
    stopping: StopFlag | None = None,
    make_trainer: Callable[..., Trainer] = Trainer,
    reduce: Callable[[TrainingSetup], TrainingSetup] | None = None,
    check: Callable[[TrainingSetup], None] | None = None,
) -> dict[str, Any]:
    """Train one run in ``settings.output``, which appears once everything has been found to be in order.

    Args:
        settings: of the run.
        choose_context: returns the device, number format and processes; asked only if there is something to do.
        resuming: whether to continue what the folder holds.
        sources: where settings come from that are not defaults, for the record.
        reporter: of progress.
        stopping: entered while there is something to be saved; None: one of its own.
        make_trainer: makes the trainer.
        reduce: makes a smaller set-up of the one that was found; None: that one.
        check: raises an error before anything is written, where the set-up may not be trained; None: it may.
    """
    run, group = RunFolder(settings.output), current_group()
    if resuming and group.run_on_main(lambda: run.status().get("state")) == "done":
        reporter.note(f"{run.root} is complete; nothing to do.")
        return {"run": str(run.root), **group.run_on_main(run.read_metrics)}
    group.run_on_main(run.refuse_links)
    tree = find_state(run, reporter) if resuming else None
    shared = choose_context()
    shared.warn_if_slow(reporter)
    context = replace(shared)  # what this run learns of the memory is its own
    setup = set_up_training(settings, context, reporter=reporter, restored=tree is not None)
    if reduce is not None:
        setup = reduce(setup)
    if check is not None:
        check(setup)
    # From here on a signal saves; before, there is nothing to be saved.
    with contextlib.ExitStack() as stack:
        stopping = stack.enter_context(stopping or StopFlag(reporter))
        group.run_on_main(lambda: begin(run, setup, stack, resuming=resuming, sources=sources))
        stack.enter_context(set_up_backends(context.device, context.precision, deterministic=settings.deterministic))
        features = encode_or_stop(run, setup, stopping, reporter)
        trainer = make_trainer(setup, run, features=features, reporter=reporter)
        stack.callback(trainer.close)
        if tree is not None:
            trainer.restore(tree)
        loggers = open_loggers(trainer, settings)
        stack.callback(loggers.close)
        try:
            trainer.fit(stopping, loggers)
            return {"run": str(run.root), **evaluate_best(trainer, stopping)}
        except RuntimeError as error:
            if explained := without_determinism(error):
                raise explained from error
            raise
        except (AffectkitError, OSError) as error:
            if group.is_main and not isinstance(error, Stopped):
                with contextlib.suppress(OSError):  # on a full disk that error would hide the one that says so
                    run.write_status("failed", reason=getattr(error, "message", str(error)))
            raise


def encode_or_stop(run: RunFolder, setup: TrainingSetup, stopping: StopFlag, reporter: Reporter) -> FeatureSplits:
    """Find the features of a run whose encoder is frozen; a stop on the way leaves a run that can be resumed."""
    try:
        return encode_splits(setup, stopping=stopping, reporter=reporter)
    except Stopped as error:
        error.hint = f"Resume with: affectkit train --resume {run.root}"
        if setup.context.group.is_main:
            run.write_status("stopped", epoch=0, batch=0, reason=error.message)
        raise


def begin(
    run: RunFolder,
    setup: TrainingSetup,
    stack: contextlib.ExitStack,
    *,
    resuming: bool,
    sources: Mapping[str, str] | None = None,
) -> None:
    """Claim the folder for this run, until ``stack`` is closed; a new run is recorded in it."""
    stack.enter_context(run.locked())
    if not resuming:
        run.clear()
        run.write_config({**setup.record(), **({"sources": dict(sources)} if sources else {})})
    run.write_status("running", host=socket.gethostname(), pid=os.getpid())


def open_loggers(trainer: Trainer, settings: TrainSettings) -> Loggers:
    """Open what logs the numbers of each epoch, in the first process alone."""
    done = trainer.state.epoch
    return Loggers(
        trainer.run.events if trainer.group.is_main else None,
        first_epoch=done + 1 if done else 0,
        service=settings.track,
        name=trainer.run.root.name,
        settings=plain(settings),
    )


def find_state(run: RunFolder, reporter: Reporter) -> dict[str, Any] | None:
    """Read the newest state that verifies; note which were passed over, and where there is none."""
    found: list[dict[str, Any]] = []

    def find() -> list[Any]:
        path, tree, damaged = newest_state(run.state)
        found.append(tree)
        return [str(path or ""), damaged]

    path, damaged = current_group().run_on_main(find)
    for text in damaged:
        reporter.warn(f"passed over a damaged state: {text}")
    if not path:
        reason = "every saved state is damaged" if damaged else "no state was saved yet"
        reporter.note(f"{reason}; starting from the beginning")
        return None
    return found[0] if found else read_state(Path(path))
