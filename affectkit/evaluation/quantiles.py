"""Quantile analysis of tables: two columns of a CSV, actual and predicted, into means of bins."""

from __future__ import annotations

import math
import warnings
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.csv_tables import CsvReader, csv_reader, write_table
from affectkit.core.files import fresh_folder, write_json
from affectkit.core.limits import MAX_TABLE_NUMBER
from affectkit.core.progress import Reporter
from affectkit.core.registry import nearest_names
from affectkit.core.table_errors import TableErrors
from affectkit.core.text import count_text, list_some
from affectkit.core.version import VERSION
from affectkit.errors import DataError, UsageError
from affectkit.evaluation.thresholds import check_thresholds, missed_thresholds
from affectkit.metrics.quantiles import Quantiles, quantile_means
from affectkit.metrics.ratings import ConstantWarning, agreement

BETTER = {"r": "max", "r2": "max", "rmse": "min"}
"""The measures over the bin means, which ``--fail-under`` bounds."""
ITEMS = ("r", "ccc", "rmse")
"""The measures of the single items beside them."""
POOLED = "all files, pooled"
"""What stands for the file in rows of ``quantiles.csv`` about the items of all files together."""
EMPTY = frozenset({"", "nan", "na", "n/a", "null", "none"})
"""Cells that say that there is no value, in any case."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Two columns of a table.

    Attributes:
        actual, predicted: float64 (N,), finite.
        left_out: line numbers of the rows in which one of the two is empty or NaN, the header being line 1.
    """

    path: Path
    actual: np.ndarray = field(repr=False)
    predicted: np.ndarray = field(repr=False)
    left_out: list[int] = field(repr=False)


def read_pairs(path: Path, *, actual: str = "Actual", predicted: str = "Predicted") -> Pairs:
    """Read the columns ``actual`` and ``predicted`` of a CSV, row by row; rows without one of the values are left out.

    Raises:
        DataError: the file cannot be read, has not these columns (the nearest are named) or one of them twice, or has
            no pair of values; cells that are not finite numbers and rows of another length, by line.
    """
    with csv_reader(path) as reader:
        header = reader.header()
        places = [_place(path, header, name) for name in _found(path, header, (actual, predicted))]
        found = _read_rows(path, reader, places, width=len(header))
    if not len(found.actual):
        why = f": of {len(found.left_out):,}, none has both values" if found.left_out else ""
        raise DataError(f"table {path} has no row with numbers in {actual!r} and {predicted!r}{why}.")
    return found


def analyse(
    files: Sequence[str | Path],
    *,
    actual: str = "Actual",
    predicted: str = "Predicted",
    bins: int = 25,
    pool: bool = False,
    results: Path | None = None,
    force: bool = False,
    thresholds: Mapping[str, float] | None = None,
    reporter: Reporter,
) -> dict[str, Any]:
    """Analyse each file by quantiles; writes tables and a figure where ``results`` is given.

    Args:
        files: CSV files.
        actual, predicted: names of their columns.
        bins: of equal count, in each file.
        pool: also concatenate the items of all files, then bin; another number than the mean of the files' analyses.
        results: folder for ``quantiles.csv``, ``quantiles.png`` and ``summary.json``.
        force: write into a folder that holds something.
        thresholds: bounds by measure of ``BETTER``, over the bin means: of each file or, with ``pool``, of the pooled
            analysis alone.

    Returns:
        ``"files"``, a dict per file: ``file``, ``n`` (rows with both values), ``left_out`` (rows without),
        ``left_out_lines``, ``bins`` (that are left), ``r``, ``r2`` and ``rmse`` over the bin means, and ``items``,
        those of the single items; and ``"missed"``, a sentence for each threshold that was missed. With ``pool`` also
        ``"pooled"``, such a dict of all items together, and ``"mean_of_analyses"``, the mean of each measure over the
        files.

    Raises:
        UsageError: a file is named twice, there is one to pool, or ``results`` or ``thresholds`` is not as above.
        DataError: files cannot be used; all are named.
    """
    thresholds = check_thresholds(thresholds or {}, BETTER)
    paths = [Path(file) for file in files]
    twice = [str(path) for index, path in enumerate(paths) if path in paths[:index]]
    if twice:
        raise UsageError(f"files are named twice: {list_some(list(dict.fromkeys(twice)))}.")
    if pool and len(paths) < 2:
        raise UsageError("--pool is for two files or more.", "Name those whose items are to be put together.")
    if results is not None:
        fresh_folder(results, force=force, name="--results")
    analyses: dict[str, Quantiles] = {}
    rows: list[dict[str, Any]] = []
    read = _read_all(paths, actual=actual, predicted=predicted)
    for pairs in read:
        _say_left_out(pairs, reporter)
        found, row = _analyse(pairs, bins, reporter)
        analyses[str(pairs.path)] = found
        rows.append(row)
    summary = {"affectkit": VERSION, "actual": actual, "predicted": predicted, "bins": bins, "files": rows}
    bounded = rows
    if pool:
        analyses[POOLED], summary["pooled"] = _analyse(_concatenated(read), bins, reporter)
        summary["mean_of_analyses"] = {name: float(np.mean([row[name] for row in rows])) for name in BETTER}
        bounded = [summary["pooled"]]
    summary["missed"] = [
        f"{row['file']}: {text}"
        for row in bounded
        for text in missed_thresholds(thresholds, row, BETTER, reporter=reporter)
    ]
    if results is not None:
        _write(results, analyses, summary)
    return summary


def _found(path: Path, header: list[str], names: tuple[str, str]) -> tuple[str, str]:
    """Return ``names`` if the header has both, else raise a DataError that suggests others."""
    missing = [name for name in names if name not in header]
    if not missing:
        return names
    if not any(header):
        raise DataError(f"table {path} is empty; a header line with {names[0]!r} and {names[1]!r} is needed.")
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        hint = "Columns must be separated by commas: this table seems to use semicolons or tabs."
    else:
        hint = _suggestion(header, names)
    what = f"no column {missing[0]!r}" if len(missing) == 1 else f"neither {missing[0]!r} nor {missing[1]!r}"
    raise DataError(f"table {path} has {what}; its columns are {list_some([*map(repr, header)], 20)}.", hint)


def _suggestion(header: list[str], names: tuple[str, str]) -> str:
    """Return the options that name columns which look like ``names``, those of one kind side by side."""
    there = {word for name in names if name in header for word in name.lower().split()}
    options = []
    for name, option in zip(names, ("--actual", "--predicted"), strict=True):
        if name in header:
            continue
        like = [column for column in header if name.lower() in column.lower()] or nearest_names(name, header)
        like.sort(key=lambda column: -len(there & set(column.lower().split())))
        options.append([f'{option} "{column}"' for column in like[:2]])
    if not all(options):
        return "Name the columns with --actual and --predicted."
    return f"Did you mean {', or '.join(' '.join(pair) for pair in zip(*options, strict=False))}?"


def _place(path: Path, header: list[str], name: str) -> int:
    if header.count(name) > 1:
        raise DataError(
            f"table {path} has {header.count(name)} columns called {name!r}.", "Rename them: one must be meant."
        )
    return header.index(name)


def _read_rows(path: Path, reader: CsvReader, places: list[int], *, width: int) -> Pairs:
    """Read the rows after the header and keep two numbers of each."""
    faults = TableErrors(path, every=True)
    columns, left_out = (array("d"), array("d")), []
    for row in reader:
        line = reader.line
        if len(row) != width:
            faults.add(f"rows must have {width} columns", line, str(len(row)))
            continue
        cells = [row[place].strip() for place in places]
        values = [_number(cell, faults, line) for cell in cells]
        if any(math.isnan(value) for value in values):
            left_out.append(line)
            continue
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    faults.check("Cells must be numbers such as 4.25; empty cells and NaN are left out, with a note.")
    actual, predicted = (np.frombuffer(column) if column else np.empty(0) for column in columns)
    return Pairs(path, actual, predicted, left_out)


def _number(cell: str, faults: TableErrors, line: int) -> float:
    """Parse the number in a cell; NaN where it is empty, and where it is a fault."""
    if cell.lower() in EMPTY:
        return math.nan
    try:
        value = float(cell) if "_" not in cell else math.inf
    except ValueError:
        value = math.inf
    if abs(value) > MAX_TABLE_NUMBER:
        size = f"cells must be at most {MAX_TABLE_NUMBER:g} in size"
        faults.add("cells must be finite numbers" if math.isinf(value) else size, line, repr(cell[:40]))
        return math.nan
    return value


def _read_all(paths: Sequence[Path], *, actual: str, predicted: str) -> list[Pairs]:
    """Read the columns of all files; faults of several files are reported together."""
    found, faults = [], []
    for path in paths:
        try:
            found.append(read_pairs(path, actual=actual, predicted=predicted))
        except DataError as error:
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        texts = "\n".join(f"  - {fault.message}" for fault in faults)
        hints = "\n".join(dict.fromkeys(fault.hint for fault in faults if fault.hint))
        raise DataError(f"{len(faults)} of {len(paths)} tables cannot be used:\n{texts}", hints)
    return found


def _concatenated(read: Sequence[Pairs]) -> Pairs:
    """Return the items of several tables as those of one; left-out lines are those of their own tables."""
    actual, predicted = (np.concatenate([getattr(one, name) for one in read]) for name in ("actual", "predicted"))
    return Pairs(Path(POOLED), actual, predicted, [line for one in read for line in one.left_out])


def _say_left_out(pairs: Pairs, reporter: Reporter) -> None:
    lines = pairs.left_out
    if lines:
        reporter.warn(
            f"{pairs.path}: {len(lines):,} of {count_text(len(lines) + len(pairs.actual), 'row')} "
            f"left out, with an empty or NaN "
            f"value: line{'s' * (len(lines) > 1)} {list_some(lines, 20)}."
        )


def _analyse(pairs: Pairs, bins: int, reporter: Reporter) -> tuple[Quantiles, dict[str, Any]]:
    """Analyse one file and return its row too; what is not defined is reported."""
    with warnings.catch_warnings(record=True, action="always", category=ConstantWarning) as caught:
        items = agreement(pairs.predicted, pairs.actual)
        found = quantile_means(pairs.actual, pairs.predicted, bins)
    constant = [warning for warning in caught if issubclass(warning.category, ConstantWarning)]
    if constant:  # what is constant item by item is so over the bins, and need not be reported twice
        reporter.warn(f"{pairs.path}: {constant[0].message}")
    left = len(found.count)
    if left < bins:
        distinct = len(np.unique(pairs.actual))
        why = f"there are only {distinct:,} different actual values" if distinct < bins else "actual values repeat"
        reporter.note(f"{pairs.path}: {left} of {bins} bins are left, since {why}.")
    return found, {
        "file": str(pairs.path),
        "n": len(pairs.actual),
        "left_out": len(pairs.left_out),
        **({"left_out_lines": pairs.left_out} if str(pairs.path) != POOLED else {}),
        "bins": left,
        **{name: getattr(found, name) for name in BETTER},
        "items": {name: items[name] for name in ITEMS},
    }


def _write(folder: Path, analyses: dict[str, Quantiles], summary: dict[str, Any]) -> None:
    """Write the bins and the figure, and the summary last."""
    from affectkit.reports.ratings import quantile_figure

    names = ("file", "bin", "low", "high", "count", "actual_mean", "predicted_mean")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for file, found in analyses.items():
        left = len(found.count)
        parts = (found.edges[:-1], found.edges[1:], found.count, found.actual, found.predicted)
        for values in zip([file] * left, range(1, left + 1), *parts, strict=True):
            for name, value in zip(names, values, strict=True):
                columns[name].append(value)
    write_table(folder / "quantiles.csv", columns)
    pooled = {POOLED: analyses[POOLED]} if POOLED in analyses else {}  # first, since not all panels may be drawn
    quantile_figure(folder / "quantiles.png", quantiles={**pooled, **analyses})
    write_json(folder / "summary.json", summary)
