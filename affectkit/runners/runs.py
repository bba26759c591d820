"""Whole runs: started, resumed or repeated, each in a folder of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from affectkit.config import plain, resolve
from affectkit.core.files import fresh_folder, read_json, write_json
from affectkit.core.progress import Reporter
from affectkit.errors import UsageError
from affectkit.runners.runfolder import RunFolder
from affectkit.runners.settings import TrainSettings
from affectkit.runners.signals import StopFlag
from affectkit.runners.tables import write_table
from affectkit.runners.tracking import Trackers
from affectkit.runners.train import Trainer
from affectkit.runners.training import prepare

RESUMABLE = ("device", "workers", "cache", "data")
"""Settings that ``--resume`` may change: they do not change what is computed."""


def train(settings: TrainSettings, *, given: frozenset[str] = frozenset(), reporter: Reporter) -> dict[str, Any]:
    """Train as ``settings`` say, or go on with the run that ``settings.resume`` names.

    Args:
        given: names of the settings that the user gave, which matter when resuming.

    Returns:
        The content of the run's ``metrics.json``, with ``"run"`` and, for repeats, ``"repeats"`` added.
    """
    resuming = settings.resume is not None
    if resuming:
        settings = resumed_settings(settings, given)
        root = settings.output
    else:
        settings = absolute(settings)
        root = fresh_folder(
            settings.output,
            force=settings.force,
            hint=f"Go on with it: affectkit train --resume {settings.output}; or add --force.",
        )
    if settings.repeat > 1:
        return train_repeats(settings, root, reporter=reporter)
    return train_once(settings, root, resuming=resuming, reporter=reporter)


def absolute(settings: TrainSettings) -> TrainSettings:
    """``settings`` with absolute paths, so that a run can be resumed from any folder."""
    paths = {name: getattr(settings, name) for name in ("data", "output", "init")}
    return replace(settings, **{name: path and path.absolute() for name, path in paths.items()})


def resumed_settings(settings: TrainSettings, given: frozenset[str]) -> TrainSettings:
    """The settings that the run was started with, and those of ``given`` that may be changed."""
    root = settings.resume
    changed = sorted(given - {"resume", *RESUMABLE})
    if changed:
        raise UsageError(
            f"--resume goes on with the settings of {root}; {', '.join('--' + n.replace('_', '-') for n in changed)} "
            "cannot be changed.",
            f"Only {', '.join('--' + name for name in RESUMABLE)} can.",
        )
    RunFolder(root).read_config()
    stored = resolve(TrainSettings, flags={}, file=root / "config.yaml").settings
    kept = {name: getattr(settings, name) for name in given & set(RESUMABLE)}
    return replace(stored, resume=None, output=root, **kept)


def train_once(settings: TrainSettings, root: Path, *, resuming: bool, reporter: Reporter) -> dict[str, Any]:
    """One run in ``root``, which appears once everything has been found to be in order."""
    run = RunFolder(root)
    if resuming and run.status().get("state") == "done":
        reporter.note(f"{root} is complete; nothing to do.")
        return {"run": str(root), **read_json(run.metrics)}
    with StopFlag() as stopping:
        training = prepare(settings, reporter=reporter)
        with run.locked():
            if not resuming:
                run.write_config(training.record())
            trainer = Trainer(training, run, reporter=reporter)
            if resuming:
                trainer.restore()
            run.write_status("running")
            trackers = Trackers(
                run.events,
                first_epoch=trainer.at.epoch,
                service=settings.track,
                name=root.name,
                settings=plain(settings),
            )
            try:
                trainer.fit(stopping, trackers)
                return {"run": str(root), **trainer.conclude()}
            finally:
                trackers.close()
                trainer.close()


def train_repeats(settings: TrainSettings, root: Path, *, reporter: Reporter) -> dict[str, Any]:
    """Several runs in ``root/repeat-1``, ...; a row each and their mean and standard deviation in ``repeats.csv``."""
    top = RunFolder(root)
    if not top.config.is_file():
        top.write_config({"settings": plain(settings)})
    rows = []
    for number in range(1, settings.repeat + 1):
        folder = root / f"repeat-{number}"
        reporter.note(f"repeat {number}/{settings.repeat}")
        one = replace(settings, repeat=1, seed=settings.seed + number - 1, output=folder)
        rows.append(train_once(one, folder, resuming=(folder / "config.yaml").is_file(), reporter=reporter))
    summary = summarise(rows)
    names = list(rows[0]["valid"])
    write_table(root / "repeats.csv", {
        "repeat": [*range(1, len(rows) + 1), "mean", "sd"],
        "seed": [*(row["seed"] for row in rows), "", ""],
        "best_epoch": [*(row["best_epoch"] for row in rows), "", ""],
        **{name: [*(row["valid"][name] for row in rows), summary["mean"][name], summary["sd"][name]] for name in names},
    })  # fmt: skip
    result = {"run": str(root), "repeats": rows, "valid": summary["mean"], "sd": summary["sd"]}
    write_json(top.metrics, result)
    top.write_status("done")
    return result


def summarise(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and sample standard deviation (n - 1) of each validation metric over repeats."""
    found: dict[str, dict[str, float]] = {"mean": {}, "sd": {}}
    for name in rows[0]["valid"]:
        values = torch.tensor([row["valid"][name] for row in rows], dtype=torch.float64)
        found["mean"][name], found["sd"][name] = float(values.mean()), float(values.std())
    return found
