"""Repeats: the same training with several seeds, and the mean and spread of its metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from affectkit.config import plain
from affectkit.core.csv_tables import write_table
from affectkit.core.files import write_json
from affectkit.core.progress import Reporter
from affectkit.errors import DataError
from affectkit.runtime.context import RunContext
from affectkit.runtime.distributed import current_group
from affectkit.runtime.shutdown import StopFlag
from affectkit.settings.training import TrainSettings
from affectkit.statistics.students_t import t_interval
from affectkit.training.pooled_predictions import pool_repeats
from affectkit.training.run_folder import RunFolder
from affectkit.training.setup import TrainingSetup
from affectkit.training.several_runs import train_one_of_several, train_several


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
    given = {"sources": sources, "reporter": reporter}
    rows = train_several(
        top,
        settings.repeat,
        "repeats",
        lambda number, stopping: train_repeat(settings, number, choose_context, stopping=stopping, **given),
        reporter=reporter,
    )
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
    reporter.note(f"repeat {number}/{settings.repeat}")
    top = RunFolder(settings.output)
    one = replace(settings, repeat=1, seed=settings.seed + number - 1, output=top.root / f"repeat-{number}")
    return train_one_of_several(
        one,
        choose_context,
        sources=sources,
        stopping=stopping,
        check=lambda setup: current_group().run_on_main(lambda: check_data(top, setup)),
        reporter=reporter,
    )


def check_data(top: RunFolder, setup: TrainingSetup) -> None:
    """Record the data of the first repeat in ``top``; refuse a repeat of others: its mean with them is of nothing.

    What is compared is not cut by a seed: a validation split that repeats hold out of the training images is in these.

    Raises:
        DataError: items, labels or sizes of files differ.
    """
    splits = {name: setup.source.splits[name] for name in ("train", "all", "valid") if name in setup.source.splits}
    if setup.test is not None:
        splits["test"] = setup.test
    now = {name: {"images": len(split), "fingerprint": split.fingerprint()} for name, split in splits.items()}
    config = top.read_config()
    if "data" not in config:
        top.write_config({**config, "data": now})
    elif (began := config["data"]) != now:
        began = began if isinstance(began, dict) else {}
        differing = [name for name in {**began, **now} if began.get(name) != now.get(name)]
        raise DataError(
            f"the items, the labels or the sizes of the files of {' and '.join(differing)} in {setup.source.root} are "
            f"not those that {top.config} records: the data have changed since the repeats began.",
            "Restore the data, or train anew into another folder.",
        )


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
