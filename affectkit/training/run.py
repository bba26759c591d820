"""Whole runs: started, resumed or repeated, each in a folder of its own."""

from __future__ import annotations

import contextlib
import math
import os
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affectkit.config import plain, resolve, value_of
from affectkit.core.assets import model_file
from affectkit.core.csv_tables import write_table
from affectkit.core.files import fresh_folder, read_json, write_json
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Reporter
from affectkit.errors import AffectkitError, Stopped, UsageError
from affectkit.metrics.bootstrap import mean_interval
from affectkit.models.external.weights import is_weights_file
from affectkit.models.registry import settings_of_others
from affectkit.runtime.distributed import current_group, init_process_group
from affectkit.runtime.shutdown import StopFlag
from affectkit.runtime.torch_backends import set_up_backends, without_determinism
from affectkit.settings.training import TrainSettings
from affectkit.tasks import TASKS
from affectkit.training.final_evaluation import conclude
from affectkit.training.loaders import Feed, feed
from affectkit.training.loggers import Trackers
from affectkit.training.resume_state import newest_state, read_state
from affectkit.training.run_folder import RunFolder
from affectkit.training.setup import Training, prepare
from affectkit.training.trainer import Trainer

RESUMABLE = ("device", "workers", "max_pixels", "cache", "data", "checkpoint_every", "keep")
"""Settings that ``--resume`` may change: they do not change what is computed."""


def train(settings: TrainSettings, *, given: frozenset[str] = frozenset(), reporter: Reporter) -> dict[str, Any]:
    """Train as ``settings`` say, or go on with the run that ``settings.resume`` names.

    Args:
        given: names of the settings that the user gave, by flag or file.

    Returns:
        The content of the run's ``metrics.json``, with ``"run"`` and, for repeats, ``"repeats"`` added.
    """
    resuming = settings.resume is not None
    if resuming:
        settings = resumed_settings(settings, given)
    else:
        settings = absolute(settings)
        for text in without_effect(settings, given):
            reporter.warn(text)
    with init_process_group(settings.device) as group, pixels_up_to(value_of(settings.max_pixels)):
        resuming = resuming or group.run_on_main(lambda: is_done_or_fresh(settings))
        run = train_repeats if settings.repeat > 1 else train_once
        return run(settings, settings.output, resuming=resuming, reporter=reporter)


def is_done_or_fresh(settings: TrainSettings) -> bool:
    """Whether the output folder holds this very run, complete; an error unless it is that, or fit to be written."""
    root = settings.output
    if not settings.force and is_this_run(RunFolder(root), settings):
        return True
    again = f"Go on with it: affectkit train --resume {root}; or add --force."
    fresh_folder(root, force=settings.force, hint=again if (root / "config.yaml").is_file() else "")
    return False


def is_this_run(run: RunFolder, settings: TrainSettings) -> bool:
    """Whether ``run`` is complete and was made with these very settings, so that there is nothing to do."""
    if run.status().get("state") != "done" or not run.config.is_file():
        return False
    # A run from before there was a setting had its default.
    stored, now = {**plain(TrainSettings()), **run.read_config()["settings"]}, plain(settings)
    free = {"force", "precision", *RESUMABLE}
    return all(stored.get(name) == value for name, value in now.items() if name not in free)


def without_effect(settings: TrainSettings, given: frozenset[str]) -> list[str]:
    """A sentence for each setting that the user gave and that the others leave without effect."""
    schedule, top = settings.schedule, settings.top
    idle = {
        "momentum": settings.optimizer != "sgd" and f"--optimizer {settings.optimizer}",
        "lr_min": schedule not in ("cosine", "plateau", "cyclic_plateau") and f"--schedule {schedule}",
        "lr_patience": schedule != "plateau" and f"--schedule {schedule}",
        "step_size": schedule != "step" and f"--schedule {schedule}",
        "milestones": schedule != "multistep" and f"--schedule {schedule}",
        "gamma": schedule in ("constant", "cosine", "cyclic", "cyclic_plateau") and f"--schedule {schedule}",
        "lr_peak": schedule not in ("cyclic", "cyclic_plateau") and f"--schedule {schedule}",
        "lr_cycle_end": schedule != "cyclic_plateau" and f"--schedule {schedule}",
        "dropout": top.startswith("vgg") and f"--top {top}, whose dropout is 0.5",
        "top_width": top != "mlp" and f"--top {top}",
        "init_key": settings.init is None and "no --init",
        "keep_every": settings.keep_epochs and "--keep-epochs, which keeps them all",
        "teacher_share": not settings.teacher and "no --teacher",
        "pretrained": settings.init is not None and settings.pretrained and "--init",
    }
    if settings.task in TASKS:
        own = TASKS[settings.task].settings
        idle |= dict.fromkeys(TASKS.foreign_settings(own), f"--task {settings.task}")
    idle |= dict.fromkeys(settings_of_others(settings.model), f"--model {settings.model}")
    return [
        f"--{name.replace('_', '-')} has no effect with {why}." for name, why in idle.items() if why and name in given
    ]


def absolute(settings: TrainSettings) -> TrainSettings:
    """``settings`` with absolute paths, so that a run can be resumed from any folder."""
    names = ("data", "labels", "test_data", "test_labels", "output", "init")
    paths = {name: getattr(settings, name) for name in names}
    changes: dict[str, Any] = {name: path and path.absolute() for name, path in paths.items()}
    changes["teacher"] = tuple(
        name if model_file(name) else str(Path(name).expanduser().absolute()) for name in settings.teacher
    )
    if settings.init is not None and model_file(settings.init):  # a name, not a path
        changes["init"] = settings.init
    if is_weights_file(settings.clip_weights):
        changes["clip_weights"] = str(Path(settings.clip_weights).expanduser().absolute())
    if settings.clip.endswith(".json"):
        changes["clip"] = str(Path(settings.clip).expanduser().absolute())
    return replace(settings, **changes)


def resumed_settings(settings: TrainSettings, given: frozenset[str]) -> TrainSettings:
    """The settings that the run was started with, and those of ``given`` that may be changed."""
    root = settings.resume
    changed = sorted(given - {"resume", *RESUMABLE})
    if changed:
        raise UsageError(
            f"--resume goes on with the settings of {root}; {', '.join('--' + n.replace('_', '-') for n in changed)} "
            "cannot be changed.",
            f"Only {', '.join('--' + name.replace('_', '-') for name in RESUMABLE)} can.",
        )
    RunFolder(root).read_config()
    stored = resolve(TrainSettings, flags={}, file=root / "config.yaml").settings
    kept = {name: getattr(settings, name) for name in given & set(RESUMABLE)}
    return replace(stored, resume=None, output=root, **kept)


def train_once(
    settings: TrainSettings,
    root: Path,
    *,
    resuming: bool,
    reporter: Reporter,
    make: type[Trainer] = Trainer,
    stopping: StopFlag | None = None,
) -> dict[str, Any]:
    """One run in ``root``, which appears once everything has been found to be in order.

    Args:
        make: the trainer. stopping: entered while there is something to be saved; the caller's, to be asked afterwards.
    """
    run, group = RunFolder(root), current_group()
    if resuming and group.run_on_main(lambda: run.status().get("state")) == "done":
        reporter.note(f"{root} is complete; nothing to do.")
        return {"run": str(root), **group.run_on_main(lambda: read_json(run.metrics))}
    tree = find_state(run, reporter) if resuming else None
    training = prepare(settings, reporter=reporter, restored=tree is not None)
    # From here on a signal saves; before, there is nothing to be saved.
    with contextlib.ExitStack() as stack:
        stopping = stack.enter_context(stopping or StopFlag(reporter))
        group.run_on_main(lambda: begin(run, training, stack, resuming=resuming))
        context = training.context
        stack.enter_context(set_up_backends(context.device, context.precision, deterministic=settings.deterministic))
        trainer = make(training, run, reporter=reporter, fed=partial(fed_or_stopped, run, stopping, reporter))
        stack.callback(trainer.close)
        if tree is not None:
            trainer.restore(tree)
        trackers = start_trackers(trainer, settings)
        stack.callback(trackers.close)
        try:
            trainer.fit(stopping, trackers)
            return {"run": str(root), **conclude(trainer, stopping)}
        except RuntimeError as error:
            if told := without_determinism(error):
                raise told from error
            raise
        except (AffectkitError, OSError) as error:
            if group.is_main and not isinstance(error, Stopped):
                with contextlib.suppress(OSError):  # on a full disk that error would hide the one that says so
                    run.write_status("failed", reason=getattr(error, "message", str(error)))
            raise


def fed_or_stopped(run: RunFolder, stopping: StopFlag, reporter: Reporter, training: Training) -> Feed:
    """The features of a run whose encoder is frozen; a stop on the way leaves a run that can be resumed."""
    try:
        return feed(training, stopping=stopping, reporter=reporter)
    except Stopped as error:
        error.hint = f"Go on with: affectkit train --resume {run.root}"
        if training.context.group.is_main:
            run.write_status("stopped", epoch=0, batch=0, reason=error.message)
        raise


def begin(run: RunFolder, training: Training, stack: contextlib.ExitStack, *, resuming: bool) -> None:
    """Take the folder for this run, until ``stack`` is closed; a new run is recorded in it."""
    stack.enter_context(run.locked())
    if not resuming:
        run.clear()
        run.write_config(training.record())
    run.write_status("running", host=socket.gethostname(), pid=os.getpid())


def start_trackers(trainer: Trainer, settings: TrainSettings) -> Trackers:
    """Where numbers are logged, by the first process alone."""
    done = trainer.at.epoch
    return Trackers(
        trainer.run.events if trainer.group.is_main else None,
        first_epoch=done + 1 if done else 0,
        service=settings.track,
        name=trainer.run.root.name,
        settings=plain(settings),
    )


def find_state(run: RunFolder, reporter: Reporter) -> dict[str, Any] | None:
    """The newest state that verifies; what was passed over, and that there is none, is said."""
    found: list[dict[str, Any]] = []

    def find() -> list[Any]:
        path, tree, damaged = newest_state(run.state)
        found.append(tree)
        return [str(path or ""), damaged]

    path, damaged = current_group().run_on_main(find)
    for text in damaged:
        reporter.warn(f"passed over a damaged state: {text}")
    if not path:
        told = "every saved state is damaged" if damaged else "no state was saved yet"
        reporter.note(f"{told}; starting from the beginning")
        return None
    return found[0] if found else read_state(Path(path))


def train_repeats(settings: TrainSettings, root: Path, *, resuming: bool, reporter: Reporter) -> dict[str, Any]:
    """Several runs in ``root/repeat-1``, ...; a row each, their mean, standard deviation and the 95% bootstrap
    interval of the mean in ``repeats.csv``.

    Each has a seed of its own; where validation images are held out of the training images, these differ too.
    """
    top, group = RunFolder(root), current_group()
    if not resuming:
        group.run_on_main(top.clear)
        group.run_on_main(lambda: top.write_config({"settings": plain(settings)}))
    rows: list[dict[str, Any]] = []
    group.run_on_main(lambda: top.write_status("running", host=socket.gethostname(), pid=os.getpid()))
    try:
        while len(rows) < settings.repeat:
            stopping = StopFlag(reporter)
            rows.append(train_repeat(settings, root, len(rows) + 1, stopping=stopping, reporter=reporter))
            # A signal that came while the last files of a repeat were written has not been answered.
            if len(rows) < settings.repeat and stopping.requested_anywhere(group):
                raise stopping.error(f"{len(rows)} of {settings.repeat} repeats are done.", "")
    except (AffectkitError, OSError) as error:
        if isinstance(error, Stopped):  # of this repeat it named the folder
            error.hint = f"Go on with: affectkit train --resume {root}"
        if group.is_main:
            with contextlib.suppress(OSError):
                state = "stopped" if isinstance(error, Stopped) else "failed"
                top.write_status(state, done=len(rows), reason=getattr(error, "message", str(error)))
        raise
    skipped = {item["image"]: item for row in rows for item in row["skipped"]}
    result = {"run": str(root), "repeats": rows, **summarise(rows, "valid"), "skipped": list(skipped.values())}
    if "test" in rows[0]:
        result |= {f"test_{name}" if name != "test" else name: value for name, value in summarise(rows, "test").items()}
    group.run_on_main(lambda: write_repeats(top, result))
    return result


def train_repeat(
    settings: TrainSettings, root: Path, number: int, *, stopping: StopFlag, reporter: Reporter
) -> dict[str, Any]:
    """The ``number``-th repeat, from 1, from wherever it stands."""
    folder = root / f"repeat-{number}"
    reporter.note(f"repeat {number}/{settings.repeat}")
    one = replace(settings, repeat=1, seed=settings.seed + number - 1, output=folder)
    begun = current_group().run_on_main((folder / "config.yaml").is_file)
    return train_once(one, folder, resuming=begun, reporter=reporter, stopping=stopping)


def write_repeats(top: RunFolder, result: dict[str, Any]) -> None:
    """The table of the repeats and their record."""
    rows = result["repeats"]
    columns: dict[str, list[Any]] = {
        "repeat": [*range(1, len(rows) + 1), "mean", "sd", "ci_low", "ci_high"],
        "seed": [*(row["seed"] for row in rows), *[""] * 4],
        "best_epoch": [*(row["best_epoch"] for row in rows), *[""] * 4],
    }
    for part, prefix in (("valid", ""), ("test", "test_")):
        if part not in result:
            continue
        mean, sd, interval = result[part], result[f"{prefix}sd"], result[f"{prefix}interval"]
        columns |= {
            f"{prefix}{name}": [*(row[part][name] for row in rows), mean[name], sd[name], *interval[name]]
            for name in mean
        }
    write_table(top.root / "repeats.csv", columns)
    write_json(top.metrics, result)
    top.write_status("done")


def summarise(rows: list[dict[str, Any]], part: str) -> dict[str, dict[str, Any]]:
    """Mean (under ``part``), sample standard deviation (n - 1, ``sd``) and 95% bootstrap interval of the mean over
    repeats (``interval``) of each metric in ``part`` of ``rows``."""
    found: dict[str, dict[str, Any]] = {part: {}, "sd": {}, "interval": {}}
    for name in rows[0][part]:
        # What was not a number is null in metrics.json, which a resumed repeat is read from.
        found_values = [math.nan if row[part][name] is None else row[part][name] for row in rows]
        values = torch.tensor(found_values, dtype=torch.float64)
        found[part][name], found["sd"][name] = float(values.mean()), float(values.std())
        found["interval"][name] = list(mean_interval(np.array(found_values)))
    return found
