"""Cross-validation: a run for each fold in one folder, which are resumed and put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from affectkit.config import plain, resolve
from affectkit.core.csv_tables import write_table
from affectkit.core.files import read_json
from affectkit.core.forms import Count
from affectkit.core.progress import Reporter, Silent
from affectkit.core.text import list_some
from affectkit.data.loading.image_or_clip import item_name
from affectkit.errors import DataError, Stopped, UsageError
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import current_group
from affectkit.runtime.shutdown import StopFlag
from affectkit.settings.training import TrainSettings
from affectkit.tasks.base import Task
from affectkit.training.data_setup import find_data, set_up_folds
from affectkit.training.fold_plan import FoldPlan
from affectkit.training.out_of_fold import gather_folds, missing_folds
from affectkit.training.run_folder import FOLD_FILES, SKIPPED_FORM, RunFolder
from affectkit.training.several_runs import train_one_of_several, train_several

COUNTS, ITEMS, METRICS = FOLD_FILES
RESUMABLE = ("device", "workers", "max_pixels", "cache", "data", "checkpoint_every", "keep", "verify", "fold")
"""Settings that ``--resume`` may change: they do not change what is computed."""
FREE = frozenset({"force", "precision", "output", *RESUMABLE})
"""Settings in which a run may differ from what a folder holds, and be the same."""
METRICS_FORM = {
    "folds": list[dict[str, Any]], "items": Count, "out_of_fold_items": Count, "out_of_fold": dict[str, float | None],
    "mean": dict[str, float | None], "sd": dict[str, float | None], "t_interval": dict[str, list[float | None]],
    "corrected_interval": dict[str, list[float | None]], "out_of_fold_intervals": dict[str, list[float | None]],
    "out_of_fold_remarks": list[str], "caveat": str, "skipped": list[SKIPPED_FORM],
    "out_of_fold_over_classes": dict[str, str], "out_of_fold_interval_over": str, "defined": dict[str, Count],
    "grouped_by": str | None, "groups": Count | None,
}  # fmt: skip
"""What stands in ``metrics.json`` of a run whose folds are put together."""


def train_folds(
    settings: TrainSettings,
    choose_context: Callable[[], RunContext],
    *,
    resuming: bool,
    sources: Mapping[str, str] | None = None,
    reporter: Reporter,
) -> dict[str, Any]:
    """Train the folds in ``fold-1``, ... of ``settings.output``, each where it stands, and put them together.

    With ``settings.fold`` that fold alone is trained, beside others of the same folder, and nothing is put together.

    Returns:
        The content of ``metrics.json``, with ``run``; of one fold, that of its run, with ``fold`` and the ``missing``.
    """
    top, group = RunFolder(settings.output), current_group()
    if resuming and settings.fold is None and group.run_on_main(lambda: top.status().get("state")) == "done":
        reporter.note(f"{top.root} is complete; nothing to do.")
        return {"run": str(top.root), **group.run_on_main(lambda: read_folds(top))}
    plan, task = plan_run(settings, reporter=reporter)
    if settings.fold is not None and settings.fold > plan.folds:
        raise UsageError(f"--fold must be at most {plan.folds}, the number of folds; got {settings.fold}.")
    group.run_on_main(lambda: prepare(top, settings, plan, resuming=resuming, sources=sources))
    for text in plan.describe(item_name(task.spec)):
        reporter.note(text)
    reporter.note(
        f"of what is not held out, {settings.val_fraction:g} (--val-fraction), cut the same way, chooses the epoch and "
        "the temperature; what is held out decides nothing"
    )
    for text in plan.warnings():
        reporter.warn(text)
    if settings.fold is not None:
        return _train_alone(settings, plan, choose_context, resuming=resuming, sources=sources, reporter=reporter)
    given = {"sources": sources, "reporter": reporter}
    train_several(
        top,
        plan.folds,
        "folds",
        lambda number, stopping: train_fold(settings, number, plan.folds, choose_context, stopping=stopping, **given),
        reporter=reporter,
    )
    return _gather(top, plan, task, reporter)


def plan_run(settings: TrainSettings, *, reporter: Reporter) -> tuple[FoldPlan, Task]:
    """Plan the folds of a run; returns the task too, which has seen none of the data."""
    group = current_group()
    found = find_data(replace(settings, fold=None), group=group, reporter=reporter)
    return set_up_folds(found, settings, group=group, reporter=reporter), found.task


def train_fold(
    settings: TrainSettings,
    number: int,
    folds: int,
    choose_context: Callable[[], RunContext],
    *,
    stopping: StopFlag,
    reporter: Reporter,
    sources: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Train fold ``number``, from 1, from wherever it stands."""
    reporter.note(f"fold {number}/{folds}")
    one = replace(settings, fold=number, output=settings.output / f"fold-{number}")
    return train_one_of_several(one, choose_context, sources=sources, stopping=stopping, reporter=reporter)


def merge_folds(root: Path, *, reporter: Reporter) -> dict[str, Any]:
    """Put the folds in ``root`` together, which is done already where nothing has changed since.

    Raises:
        DataError: folds are missing, which are named.
    """
    top = RunFolder(root)
    if top.status().get("state") == "done":
        reporter.note(f"{root} is put together; nothing to do.")
        return {"run": str(root), **read_folds(top)}
    settings = replace(resolve(TrainSettings, flags={}, file=top.config).settings, output=root, resume=None, fold=None)
    plan, task = plan_run(settings, reporter=Silent())
    check_data(top, plan)
    missing = missing_folds(root, plan.folds)
    if missing:
        raise DataError(
            f"{len(missing)} of {plan.folds} folds in {root} are not done: {list_some(missing, 30)}.",
            f"Train them: affectkit train --resume {root} (all, one after the other), or with --fold {missing[0]} "
            "beside others.",
        )
    return _gather(top, plan, task, reporter)


def is_folds(root: Path) -> bool:
    """Return whether ``root`` is the folder of a cross-validation."""
    return (root / ITEMS).is_file() and (root / "config.yaml").is_file()


def read_folds(top: RunFolder) -> dict[str, Any]:
    """Read the record of a cross-validation that is done."""
    hint = f"Remove {top.status_file}: affectkit train --resume {top.root} then puts the folds together again."
    return read_json(top.metrics, METRICS_FORM, hint=hint)


def prepare(
    top: RunFolder, settings: TrainSettings, plan: FoldPlan, *, resuming: bool, sources: Mapping[str, str] | None
) -> None:
    """Record a new run, or compare the plan with that of the run that is there.

    Several processes that begin with a fold each may come here at once: all write the same, and each file appears
    whole.
    """
    if not resuming and settings.fold is None:
        top.clear()
    if not top.config.is_file():
        chosen = plain(replace(settings, fold=None, force=False))
        write_table(top.root / COUNTS, plan.table())
        write_table(top.root / ITEMS, plan.items())
        data = {"items": len(plan.split), "fingerprint": plan.split.fingerprint()}
        top.write_config({"settings": chosen, "data": data, **({"sources": dict(sources)} if sources else {})})
    elif not resuming:
        check_joined(top, settings)
    check_data(top, plan)


def check_data(top: RunFolder, plan: FoldPlan) -> None:
    """Refuse data that are not those with which the run began: folds of two datasets are no cross-validation.

    Raises:
        DataError: items, groups, folds, labels or sizes of files differ.
    """
    plan.check(top.root / ITEMS)
    began = top.read_config().get("data")
    if isinstance(began, dict) and began.get("fingerprint") != plan.split.fingerprint():
        raise DataError(
            f"the labels, or the sizes of the files, in {plan.split.root} are not those that {top.config} records: the "
            "data have changed since the run began.",
            "Restore the data, or train anew into another folder.",
        )


def check_joined(top: RunFolder, settings: TrainSettings) -> None:
    """Refuse a fold with other settings than those of the run that it would join.

    Raises:
        UsageError: settings differ that change what is computed.
    """
    stored, now = {**plain(TrainSettings()), **top.read_config()["settings"]}, plain(settings)
    differing = [name for name, value in now.items() if name not in FREE and stored.get(name) != value]
    if differing:
        shown = ", ".join(f"--{name.replace('_', '-')} ({stored.get(name)}, now {now[name]})" for name in differing)
        raise UsageError(
            f"{top.root} holds a run with other settings: {shown}.",
            f"Go on with its own: affectkit train --resume {top.root} --fold {settings.fold}; or name another folder.",
        )


def _train_alone(
    settings: TrainSettings,
    plan: FoldPlan,
    choose_context: Callable[[], RunContext],
    *,
    resuming: bool,
    sources: Mapping[str, str] | None,
    reporter: Reporter,
) -> dict[str, Any]:
    """Train ``settings.fold`` alone; what another process does in its fold is left alone."""
    number, root, group = settings.fold, settings.output, current_group()
    folder = root / f"fold-{number}"
    state = group.run_on_main(lambda: RunFolder(folder).status().get("state"))
    begun = group.run_on_main((folder / "config.yaml").is_file)
    if begun and settings.force and not resuming:
        group.run_on_main(RunFolder(folder).clear)
    elif begun and not resuming and state != "done":
        raise UsageError(
            f"fold {number} in {root} has been begun.",
            f"Resume it: affectkit train --resume {root} --fold {number}; or add --force.",
        )
    if state != "done" or (settings.force and not resuming):  # what was put together before no longer holds
        group.run_on_main(lambda: RunFolder(root).status_file.unlink(missing_ok=True))
    try:
        shared = {"sources": sources, "stopping": StopFlag(reporter), "reporter": reporter}
        found = train_fold(settings, number, plan.folds, choose_context, **shared)
    except Stopped as error:
        error.hint = f"Resume with: affectkit train --resume {root} --fold {number}"
        raise
    missing = group.run_on_main(lambda: missing_folds(root, plan.folds))
    together = f"affectkit merge {root}"
    if missing:
        reporter.note(f"folds that are not done: {list_some(missing, 30)}; once they are: {together}")
    else:
        reporter.note(f"all {plan.folds} folds are done; put them together: {together}")
    return {**found, "fold": number, "missing": missing}


def _gather(top: RunFolder, plan: FoldPlan, task: Task, reporter: Reporter) -> dict[str, Any]:
    def gather() -> dict[str, Any]:
        record = gather_folds(top, plan, task, reporter=reporter)
        top.write_status("done")
        return record

    record = current_group().run_on_main(gather)
    for text in record["out_of_fold_remarks"]:
        reporter.warn(f"out of fold: {text}")
    return {"run": str(top.root), **record}
