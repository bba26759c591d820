"""Spread the folds of a cross-validation over a job array: a task a fold, and a job that puts them together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from affectkit.core.csv_tables import read_csv
from affectkit.core.progress import Reporter
from affectkit.errors import UsageError
from affectkit.training.run_folder import FOLD_FILES, RunFolder


def folds_to_submit(settings: Any, *, reporter: Reporter) -> tuple[Path, list[int]] | None:
    """Return the folder of a cross-validation and the folds that are to be trained; None where there is nothing to
    spread.

    That is any other training, and one fold that was asked for by itself.

    Args:
        settings: of ``train``, resolved and checked.
        reporter: of the reading of the data, where their groups say how many folds there are.

    Raises:
        UsageError: all folds of the run are done.
    """
    if settings.fold is not None:
        return None
    if settings.resume is not None:
        root = settings.resume
        if not (root / FOLD_FILES[0]).is_file():
            return None
        numbers = [int(row["fold"]) for _, row in read_csv(root / FOLD_FILES[0], "fold")]
        left = [number for number in numbers if RunFolder(root / f"fold-{number}").status().get("state") != "done"]
        if not left:
            raise UsageError(f"all folds in {root} are done.", f"Put them together: affectkit merge {root}")
        return root, left
    if settings.folds is None:
        return None
    if settings.force and (settings.output / "config.yaml").is_file():
        raise UsageError(
            f"--slurm --folds: {settings.output} holds a run, in which the tasks of the array would meet.",
            "Remove it, or name another --output.",
        )
    number = settings.folds.value
    if not number:
        from affectkit.training.folds import plan_run  # which loads torch

        number = plan_run(replace(settings, resume=None), reporter=reporter)[0].folds
    return settings.output, list(range(1, number + 1))


def with_fold(argv: tuple[str, ...], name: str, number: int) -> tuple[str, ...]:
    """Return the arguments ``argv`` of the command ``name`` with the option for one fold."""
    at = argv.index(name) + 1
    return (*argv[:at], "--fold", str(number), *argv[at:])
