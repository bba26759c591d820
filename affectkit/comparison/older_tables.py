"""Results of versions that wrote no ``outputs.safetensors``: outputs from the six decimals of a table of items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.csv_tables import csv_reader
from affectkit.core.spec import InputSpec
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import list_some, read_name
from affectkit.data.split import Split
from affectkit.errors import AffectkitError, DataError
from affectkit.tasks import TASKS, choose_task, make_task
from affectkit.tasks.base import Results, Task

NAME, TRUTH, LABEL = "Image Name", "True Label", "Predicted Label"
LEAST = 5e-7
"""What a share of 0.000000 is taken as: the most that it can have been."""
RATED = ("arousal", "valence")
"""In the order of ``Split.ratings``."""


def read_older(table: Path, record: Mapping[str, Any]) -> tuple[Task, Results]:
    """Return the task and the results that ``table`` is of, as far as its six decimals hold them.

    Args:
        table: ``test_results.csv`` or ``valid_results.csv``.
        record: of the test: ``task``, ``classes`` and ``temperature``, where it has them.

    Raises:
        DataError: a column is missing, or a cell is no number, by line.
    """
    header, rows = _cells(table)
    places = {name: place for place, name in enumerate(header)}
    if NAME not in places:
        raise DataError(f"{table} has no column {NAME!r}; its columns are {list_some(header)}.")
    ids = [read_name(row[places[NAME]]) for row in rows]
    if len(set(ids)) != len(ids):
        twice = [name for name, count in Counter(ids).items() if count > 1]
        raise DataError(f"{table}: items are named twice: {list_some(twice, 3)}.")
    read = _ratings if f"Actual {RATED[0].title()}" in places or f"Actual {RATED[1].title()}" in places else _shares
    return read(table, record, places, ids, rows)


def _cells(table: Path) -> tuple[list[str], list[list[str]]]:
    with csv_reader(table) as reader:
        header = reader.header()
        errors, rows = TableErrors(table), []
        for row in reader:
            if len(row) == len(header):
                rows.append(row)
            else:
                errors.add(f"rows must have {len(header)} columns", reader.line, str(len(row)))
    errors.check()
    if not rows:
        raise DataError(f"{table} has a header and no rows.")
    return header, rows


def _column(table: Path, rows: Sequence[Sequence[str]], place: int, name: str) -> np.ndarray:
    try:
        values = np.array([row[place] for row in rows], dtype=np.float64)
    except ValueError:
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        errors = TableErrors(table)
        for line, row in enumerate(rows, 2):
            try:
                fine = bool(np.isfinite(float(row[place])))
            except ValueError:
                fine = False
            if not fine:
                errors.add(f"{name!r} must be a number", line, repr(row[place][:40]))
        errors.check("An item without a prediction cannot be compared: test the model again.")
    return values


def _ratings(
    table: Path, record: Mapping[str, Any], places: Mapping[str, int], ids: list[str], rows: list[list[str]]
) -> tuple[Task, Results]:
    names = [name for name in RATED if f"Actual {name.title()}" in places and f"Predicted {name.title()}" in places]
    if not names:
        raise DataError(f"{table} has no column of predicted ratings.")
    ratings = np.full((len(ids), 2), np.nan)
    outputs = np.empty((len(ids), len(names)), np.float32)
    for place, name in enumerate(names):
        column = f"Actual {name.title()}"
        ratings[:, RATED.index(name)] = _column(table, rows, places[column], column)
        column = f"Predicted {name.title()}"
        outputs[:, place] = _column(table, rows, places[column], column)
    task = next(one for one in map(TASKS.resolve, TASKS) if one.predicts_ratings)
    made = _task(table, task.name, names, 1.0)
    split = _split(record, ids, tuple(names), ratings=ratings)
    fields = {name: values.numpy() for name, values in made.targets(split).items()}
    return made, Results(split, outputs, fields)


def _shares(
    table: Path, record: Mapping[str, Any], places: Mapping[str, int], ids: list[str], rows: list[list[str]]
) -> tuple[Task, Results]:
    names = [name.removeprefix("predicted ") for name in places if name.startswith("predicted ")]
    lacking = [f"true {name}" for name in names if f"true {name}" not in places]
    lacking += [name for name in (TRUTH, LABEL) if name not in places]
    if not names or lacking:
        what = list_some(lacking) if names else "'predicted CLASS' of any class"
        raise DataError(f"{table} lacks the columns {what}: it is no table of a test with its targets.")
    known = {name: place for place, name in enumerate(names)}
    target, predicted = (
        np.stack([_column(table, rows, places[f"{kind} {name}"], f"{kind} {name}") for name in names], axis=1)
        for kind in ("true", "predicted")
    )
    chosen = np.array([known.get(row[places[LABEL]], -1) for row in rows])
    if (chosen < 0).any():
        raise DataError(f"{table}: {LABEL} holds what is no class, as {rows[int(chosen.argmin())][places[LABEL]]!r}.")
    temperature = float(record.get("temperature") or 1.0)
    outputs = np.log(np.maximum(predicted, LEAST)) * temperature
    # The label was chosen before the shares were rounded: it stays the largest.
    at = np.arange(len(ids)), chosen
    outputs[at] = np.maximum(outputs[at], outputs.max(axis=1) + 1e-6)
    labelled = bool(((target == 1).sum(1) == 1).all() and ((target == 0).sum(1) == len(names) - 1).all())
    sums = target.sum(1, keepdims=True)
    shares = np.divide(target, sums, out=target.copy(), where=sums > 0).astype(np.float32)
    labels = target.argmax(1).astype(np.int64) if labelled else None
    split = _split(record, ids, tuple(names), labels=labels, distribution=None if labelled else shares)
    task = _task(table, record.get("task") or choose_task(split), names, temperature)
    return task, Results(split, outputs.astype(np.float32), {"target": shares})


def _task(table: Path, name: str, classes: Sequence[str], temperature: float) -> Task:
    if name not in TASKS:
        raise DataError(f"{table}: its task {name!r} is not known here.")
    try:
        spec = InputSpec(name, 1, 1, classes=tuple(classes), temperature=temperature)
        spec.check()
        return make_task(spec)
    except AffectkitError as error:
        raise DataError(f"{table}: its record does not go with it: {error.message}") from error


def _split(record: Mapping[str, Any], ids: list[str], classes: tuple[str, ...], **held: Any) -> Split:
    return Split(str(record.get("split", "test")), Path(str(record.get("data", ""))), ids, classes, **held)
