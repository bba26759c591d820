"""Repeats: the same training with several seeds, and the mean and spread of its metrics."""

from __future__ import annotations

import contextlib
import math
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from affectkit.config import plain
from affectkit.core.contained_paths import refuse_link
from affectkit.core.csv_tables import write_table
from affectkit.core.files import write_json
from affectkit.core.progress import Reporter
from affectkit.errors import AffectkitError, Stopped
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import current_group
from affectkit.runtime.shutdown import StopFlag
from affectkit.settings.training import TrainSettings
from affectkit.statistics.students_t import t_interval
from affectkit.training.pooled_predictions import pool_repeats
from affectkit.training.run_folder import RunFolder
from affectkit.training.single_run import train_once


def train_repeats(
    settings: TrainSettings,
    choose_context: Callable[[], RunContext],
    *,
    resuming: bool,
    sources: Mapping[str, str] | None = None,
    reporter: Reporter,
) -> dict[str, Any]:
    """Train several runs in ``repeat-1``, ... of ``settings.output``, and summarise them in its ``repeats.csv``.

    That has a row each, their mean, standard deviation and the 95% interval of the mean by Student's t. Their
    predictions are put together, see ``pooled_predictions``. Each run has a seed of its own; where validation images
    are held out of the training images, these differ too.
    """
    root = settings.output
    top, group = RunFolder(root), current_group()
    if not resuming:
        group.run_on_main(top.clear)
        group.run_on_main(
            lambda: top.write_config({"settings": plain(settings), **({"sources": dict(sources)} if sources else {})})
        )
    rows: list[dict[str, Any]] = []
    group.run_on_main(lambda: top.write_status("running", host=socket.gethostname(), pid=os.getpid()))
    try:
        while len(rows) < settings.repeat:
            stopping = StopFlag(reporter)
            shared = {"sources": sources, "stopping": stopping, "reporter": reporter}
            rows.append(train_repeat(settings, len(rows) + 1, choose_context, **shared))
            # A signal that came while the last files of a repeat were written has not been answered.
            if len(rows) < settings.repeat and stopping.requested_anywhere(group):
                raise stopping.error(f"{len(rows)} of {settings.repeat} repeats are done.", "")
    except (AffectkitError, OSError) as error:
        if isinstance(error, Stopped):  # it named the folder of this repeat
            error.hint = f"Resume with: affectkit train --resume {root}"
        if group.is_main:
            with contextlib.suppress(OSError):
                state = "stopped" if isinstance(error, Stopped) else "failed"
                top.write_status(state, done=len(rows), reason=getattr(error, "message", str(error)))
        raise
    skipped = {item["image"]: item for row in rows for item in row["skipped"]}
    result = {"run": str(root), "repeats": rows, **summarise(rows, "valid"), "skipped": list(skipped.values())}
    if "test" in rows[0]:
        result |= {f"test_{name}" if name != "test" else name: value for name, value in summarise(rows, "test").items()}
    if quantiles := group.run_on_main(lambda: pool_repeats(root, len(rows), reporter=reporter)):
        result["quantiles"] = quantiles
    group.run_on_main(lambda: write_repeats(top, result))
    return result


def train_repeat(
    settings: TrainSettings,
    number: int,
    choose_context: Callable[[], RunContext],
    *,
    stopping: StopFlag,
    reporter: Reporter,
    sources: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Train the ``number``-th repeat, from 1, from wherever it stands."""
    folder = settings.output / f"repeat-{number}"
    reporter.note(f"repeat {number}/{settings.repeat}")
    one = replace(settings, repeat=1, seed=settings.seed + number - 1, output=folder)
    current_group().run_on_main(lambda: refuse_link(folder, "the folder"))
    begun = current_group().run_on_main((folder / "config.yaml").is_file)
    shared = {"sources": sources, "reporter": reporter, "stopping": stopping}
    return train_once(one, choose_context, resuming=begun, **shared)


def write_repeats(top: RunFolder, result: dict[str, Any]) -> None:
    """Write the table of the repeats and their record."""
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
    """Summarise each metric in ``part`` of ``rows`` over the repeats.

    Returns:
        The mean under ``part``, the sample standard deviation (n - 1) under ``sd``, and the 95% interval of the
        mean by Student's t under ``interval``.
    """
    found: dict[str, dict[str, Any]] = {part: {}, "sd": {}, "interval": {}}
    for name in rows[0][part]:
        # What was not a number is null in metrics.json, which a resumed repeat is read from.
        found_values = [math.nan if row[part][name] is None else row[part][name] for row in rows]
        values = torch.tensor(found_values, dtype=torch.float64)
        found[part][name], found["sd"][name] = float(values.mean()), float(values.std())
        found["interval"][name] = list(t_interval(found_values))
    return found
