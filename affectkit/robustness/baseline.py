"""Read another model's errors under corruptions from a results table, for mCE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from affectkit.core.csv_tables import csv_reader, read_csv
from affectkit.core.text import list_some
from affectkit.errors import DataError, UsageError

PUBLISHED = ("corruption_type", "difficulty", "valid_acc")
OWN = ("corruption", "severity")
CLEAN = "clean"
_ADVICE = "Name the corruptions.csv of an eval-corruptions run, or a tinyimagenetc_results.csv."


@dataclass(frozen=True)
class Baseline:
    """Hold errors by corruption, in the order of the severities asked for.

    Attributes:
        path: the table.
        errors: a list per corruption.
        clean: the error on images as they are; None where the table has none.
    """

    path: Path
    errors: dict[str, list[float]]
    clean: float | None


def read_baseline(path: Path, wanted: Sequence[tuple[str, int]], *, accuracy: str) -> Baseline:
    """Read the errors of the ``wanted`` (corruption, severity) in a table.

    Args:
        path: a ``corruptions.csv`` (columns corruption, severity and ``accuracy``; the clean row has severity 0), or a
            published ``tinyimagenetc_results.csv`` (corruption_type, difficulty, valid_acc), which has no clean row.
            Accuracies are shares; where one is above 1, all are percent.
        accuracy: the column that is compared.

    Raises:
        UsageError: the file is not there.
        DataError: it is no such table, a cell is not a number in range, or rows are missing or stand twice.
    """
    if not path.is_file():
        raise UsageError(f"--baseline {path} is not a file.", _ADVICE)
    cells = _cells(path, accuracy)
    percent = any(value > 1 for value in cells.values())
    if any(not 0 <= value <= (100 if percent else 1) for value in cells.values()):
        raise DataError(f"--baseline {path}: accuracies must be shares in [0, 1], or percent.", _ADVICE)
    missing = [f"{name} {level}" for name, level in wanted if (name, level) not in cells]
    if missing:
        raise DataError(
            f"--baseline {path} lacks {len(missing)} of the {len(wanted)} rows that are compared: "
            f"{list_some(missing, 5)}.",
            "Evaluate the baseline on the same --corruptions and --severities.",
        )
    errors: dict[str, list[float]] = {}
    unit = 100 if percent else 1
    for name, level in wanted:
        errors.setdefault(name, []).append(1 - cells[name, level] / unit)
    clean = cells.get((CLEAN, 0))
    return Baseline(path, errors, None if clean is None else 1 - clean / unit)


def _cells(path: Path, accuracy: str) -> dict[tuple[str, int], float]:
    title = f"--baseline {path}"
    with csv_reader(path, title=title, hint=_ADVICE) as reader:
        columns = PUBLISHED if set(PUBLISHED) <= set(reader.header()) else (*OWN, accuracy)
    found: dict[tuple[str, int], float] = {}
    for line, row in read_csv(path, *columns, title=title, hint=_ADVICE):
        name, level, value = (row[column] for column in columns)
        try:
            key, number = (name.strip(), int(level)), float(value)
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(
                f"--baseline {path}, line {line}: {name!r}, {level!r}, {value!r} are not a corruption, a whole number "
                "and an accuracy."
            ) from error
        if not math.isfinite(number):
            raise DataError(f"--baseline {path}, line {line}: the accuracy is {value!r}.")
        if key in found:
            raise DataError(f"--baseline {path}, line {line}: {key[0]} {key[1]} stands there twice.")
        found[key] = number
    return found
