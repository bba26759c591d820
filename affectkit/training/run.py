"""``affectkit train``: a run or its repeats, started or resumed."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from affectkit.checkpoints.find import find_checkpoint
from affectkit.config import plain, resolve, value_of
from affectkit.core.assets import model_file
from affectkit.core.files import fresh_folder
from affectkit.core.missing_paths import at_home
from affectkit.core.pixels import pixels_up_to
from affectkit.core.progress import Reporter
from affectkit.errors import UsageError
from affectkit.models.external.weights import is_weights_file
from affectkit.models.registry import own_settings, settings_of_others
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import init_process_group
from affectkit.schedules import CYCLIC
from affectkit.settings.training import TrainSettings
from affectkit.tasks import TASKS
from affectkit.training.folds import FREE, RESUMABLE, check_joined, is_folds, train_folds
from affectkit.training.repeats import train_repeats
from affectkit.training.run_folder import FOLD_FILES, RunFolder
from affectkit.training.single_run import train_once

EARLIER = {"cyclic_reach": "next"}
"""What runs did that were recorded before there was the setting, where that is not its default."""


def train(
    settings: TrainSettings,
    *,
    given: frozenset[str] = frozenset(),
    sources: Mapping[str, str] | None = None,
    reporter: Reporter,
) -> dict[str, Any]:
    """Train as ``settings`` say, or resume the run that ``settings.resume`` names.

    Args:
        settings: of the run.
        given: names of the settings that the user gave, by flag or file.
        sources: where the settings come from that are not defaults, for the record of a new run.
        reporter: of progress, notes and warnings.

    Returns:
        The content of the run's ``metrics.json``, with ``"run"`` and, for repeats, ``"repeats"`` added.
    """
    resuming = settings.resume is not None
    if resuming:
        settings = resumed_settings(settings, given)
        for text in earlier_ways(settings):
            reporter.note(text)
    else:
        settings = absolute(settings)
        for name in settings.teacher:
            if model_file(name) is None and not Path(name).exists():
                find_checkpoint(name)  # which says so, before data are read and weights are fetched
        for text in without_effect(settings, given):
            reporter.warn(text)
    with init_process_group(settings.device) as group, pixels_up_to(value_of(settings.max_pixels)):
        resuming = resuming or group.run_on_main(lambda: is_done_or_fresh(settings))
        choose_context = functools.cache(lambda: RunContext.resolve(settings.device, settings.precision))
        run = train_folds if settings.folds is not None else train_repeats if settings.repeat > 1 else train_once
        return run(settings, choose_context, resuming=resuming, sources=sources, reporter=reporter)


def is_done_or_fresh(settings: TrainSettings) -> bool:
    """Return whether the output folder holds this very run, complete; raise an error unless it is that, or fit to be
    written.
    """
    root = settings.output
    if settings.fold is not None:
        check_shared(root, settings)
        return False
    if not settings.force and is_this_run(RunFolder(root), settings):
        return True
    again = f"Resume it: affectkit train --resume {root}; or add --force."
    fresh_folder(root, force=settings.force, hint=again if (root / "config.yaml").is_file() else "")
    return False


def check_shared(root: Path, settings: TrainSettings) -> None:
    """Refuse a folder for a fold beside others, unless it holds folds of the same run, or nothing else."""
    if (root / "config.yaml").is_file():
        if not is_folds(root):
            raise UsageError(f"--output {root} holds a run that is not of folds.", "Name another folder.")
        check_joined(RunFolder(root), settings)
    elif root.is_dir():  # another process may be writing the first files of the run
        strange = [
            path for path in root.iterdir() if path.name not in FOLD_FILES and not path.name.startswith((".", "fold-"))
        ]
        fresh_folder(root, force=settings.force or not strange)
    else:
        fresh_folder(root)


def is_this_run(run: RunFolder, settings: TrainSettings) -> bool:
    """Return whether ``run`` is complete and was made with these very settings, so that there is nothing to do."""
    if run.status().get("state") != "done" or not run.config.is_file():
        return False
    # A run from before there was a setting had its default, but for those of ``EARLIER``.
    stored, now = {**plain(TrainSettings()), **EARLIER, **run.read_config()["settings"]}, plain(settings)
    if settings.schedule not in CYCLIC:
        stored["cyclic_reach"] = now["cyclic_reach"]
    return all(stored.get(name) == value for name, value in now.items() if name not in FREE or name == "output")


def without_effect(settings: TrainSettings, given: frozenset[str]) -> list[str]:
    """Name each setting that the user gave and that the others leave without effect, in a sentence each."""
    schedule, top = settings.schedule, settings.top
    weights = value_of(settings.loss, {"": 1.0})
    finish = settings.finish_epochs == settings.epochs and f"--finish-epochs {settings.epochs}, which are all"
    idle = {
        "momentum": settings.optimizer != "sgd" and f"--optimizer {settings.optimizer}",
        "lr_min": schedule not in ("cosine", "plateau", "cyclic_plateau") and f"--schedule {schedule}",
        "lr_patience": schedule != "plateau" and f"--schedule {schedule}",
        "step_size": schedule != "step" and f"--schedule {schedule}",
        "milestones": schedule != "multistep" and f"--schedule {schedule}",
        "gamma": schedule in ("constant", "cosine", "cyclic", "cyclic_plateau") and f"--schedule {schedule}",
        "cycle_decay": settings.cycles == 1 and "--cycles 1",
        "lr_peak": schedule not in CYCLIC and f"--schedule {schedule}",
        "lr_cycle_end": schedule != "cyclic_plateau" and f"--schedule {schedule}",
        "cyclic_reach": schedule not in CYCLIC and f"--schedule {schedule}",
        "dropout": top.startswith("vgg") and f"--top {top}, whose dropout is 0.5",
        "top_width": top != "mlp" and f"--top {top}",
        "init_key": settings.init is None and "no --init",
        "loss_normalise": math.isclose(math.fsum(weights.values()), 1) and "weights that sum to 1",
        "keep_every": settings.keep_epochs and "--keep-epochs, which keeps them all",
        "teacher_share": not settings.teacher and "no --teacher",
        "grow_until": settings.start_size is None and "no --start-size",
        "finish_epochs": not settings.finishes_otherwise and "no --mixup, --cutmix or --finish-augment",
        "mixup": settings.mixup and finish,
        "cutmix": settings.cutmix and finish,
        "augment": settings.finish_augment is not None and finish,
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
    """Return ``settings`` with absolute paths, so that a run can be resumed from any folder."""
    names = ("data", "labels", "test_data", "test_labels", "groups", "output", "init")
    paths = {name: getattr(settings, name) for name in names}
    changes: dict[str, Any] = {name: path and path.absolute() for name, path in paths.items()}
    changes["teacher"] = tuple(name if model_file(name) else str(at_home(name).absolute()) for name in settings.teacher)
    if settings.init is not None and model_file(settings.init):  # a name, not a path
        changes["init"] = settings.init
    if "clip_weights" in own_settings(settings.model) and is_weights_file(settings.clip_weights):
        changes["clip_weights"] = str(at_home(settings.clip_weights).absolute())
    if settings.clip.endswith(".json"):
        changes["clip"] = str(at_home(settings.clip).absolute())
    return replace(settings, **changes)


def resumed_settings(settings: TrainSettings, given: frozenset[str]) -> TrainSettings:
    """Return the settings that the run was started with, and those of ``given`` that may be changed."""
    root = settings.resume
    changed = sorted(given - {"resume", *RESUMABLE})
    if changed:
        raise UsageError(
            f"--resume keeps the settings of {root}; {', '.join('--' + n.replace('_', '-') for n in changed)} "
            "cannot be changed.",
            f"Only {', '.join('--' + name.replace('_', '-') for name in RESUMABLE)} can.",
        )
    recorded = RunFolder(root).read_config()["settings"]
    stored = resolve(TrainSettings, flags={}, file=root / "config.yaml").settings
    stored = replace(stored, **{name: value for name, value in EARLIER.items() if name not in recorded})
    kept = {name: getattr(settings, name) for name in given & set(RESUMABLE)}
    if stored.folds is None and "fold" in kept:
        raise UsageError(f"--fold: {root} is no cross-validation.", "Leave it out.")
    if stored.fold is not None and is_folds(root.parent):  # the folder of a fold
        root, kept = root.parent, {"fold": stored.fold, **kept}
    return replace(stored, resume=None, output=root, **kept)


def earlier_ways(settings: TrainSettings) -> list[str]:
    """Name what the run that ``settings`` resume does otherwise than one that is started today."""
    recorded = RunFolder(settings.output).read_config()["settings"]
    if settings.schedule not in CYCLIC or "cyclic_reach" in recorded:
        return []
    return [
        f"{settings.output} was started by an earlier version: its {settings.schedule} schedule goes on as it began, "
        "with --cyclic-reach next."
    ]
