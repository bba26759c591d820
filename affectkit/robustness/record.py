"""Keep the rows of a sweep on the disk as they come, so that a stopped sweep resumes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectkit.core.files import fresh_folder, read_json, write_json
from affectkit.core.forms import Count, check_form
from affectkit.core.limits import MAX_TABLE_NUMBER
from affectkit.core.record_identity import check_same
from affectkit.core.text import list_some
from affectkit.errors import DataError
from affectkit.robustness.summary import Row

FILE = "robustness.json"
PATHS = ("checkpoint", "data")
"""Keys of an identity that are not compared: what lies there is, not where it lies."""

_ROW = {"corruption": str, "severity": Count, "images": Count, "metrics": dict[str, float | None]}
_SKIPPED = {"image": str, "reason": str}
RECORD_FORM = {"rows": list[_ROW], "skipped?": list[_SKIPPED]}
"""What the record holds beside the identity of the sweep; see ``core.forms``."""
HINT = "Name another --results, or add --force to compute its rows again."


def check_rows(rows: Sequence[Row], path: Path, *, metrics: Iterable[str] = ()) -> None:
    """Refuse rows that do not belong together: not of the same metrics, one of ``metrics`` missing, one row twice.

    Raises:
        DataError: the record at ``path`` is damaged.
    """
    wanted, seen = set(metrics), set()
    for number, row in enumerate(rows, 1):
        names, key = set(row["metrics"]), (row["corruption"], row["severity"])
        fault = "stands twice" if key in seen else ""
        if other := sorted((wanted - names) | (names ^ set(rows[0]["metrics"]))):
            fault = f"has other metrics than it must: {list_some(other)}"
        if large := [name for name in names if abs(row["metrics"][name]) > MAX_TABLE_NUMBER]:
            fault = f"has a number above {MAX_TABLE_NUMBER:g}: {list_some(large)}"
        if fault:
            raise DataError(f"{path} is damaged: row {number}, {key[0]} at severity {key[1]}, {fault}.", HINT)
        seen.add(key)


class SweepRecord:
    """Read and write the record of a sweep in its results folder.

    Args:
        folder: of the results.
        identity: what a row follows from, but for its corruption and severity.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder, self.identity = folder, identity
        self.path = folder / FILE

    def read(self, *, force: bool) -> tuple[list[Row], list[dict[str, str]]]:
        """Return the rows and the skipped images that an earlier run of the same identity left; none with ``force``.

        Raises:
            UsageError: the folder holds rows of another evaluation, or something else.
            DataError: the record is damaged.
        """
        if force or not self.path.is_file():
            fresh_folder(self.folder, force=force, name="--results")
            return [], []
        kept = read_json(self.path)
        check_form(kept, RECORD_FORM, f"{self.path} is no record of eval-corruptions", hint=HINT)
        check_same(
            {"engine": "torch", **kept},  # of records from before there were several
            self.identity,
            keys=[key for key in self.identity if key not in PATHS],
            what=f"--results {self.folder} holds rows of another evaluation",
            hint="Name another --results, or add --force to replace them.",
        )
        for row in kept["rows"]:  # JSON has no NaN
            row["metrics"] = {name: math.nan if value is None else value for name, value in row["metrics"].items()}
        check_rows(kept["rows"], self.path)
        return kept["rows"], kept.get("skipped", [])

    def write(self, rows: Sequence[Row], skipped: Sequence[Mapping[str, str]]) -> None:
        """Write all rows that have been computed."""
        write_json(self.path, {**self.identity, "skipped": skipped, "rows": rows})

    def finish(self, rows: Sequence[Row], summary: Mapping[str, Any]) -> None:
        """Write the summary, with all rows that have been computed."""
        write_json(self.path, {**summary, **self.identity, "rows": rows})


def engine_of_rows(folder: Path | None) -> str | None:
    """Return the engine whose rows ``folder`` holds; None where there are none."""
    path = folder / FILE if folder is not None else None
    if path is None or not path.is_file():
        return None
    kept = read_json(path)
    check_form(kept, RECORD_FORM, f"{path} is no record of eval-corruptions", hint=HINT)
    return kept.get("engine", "torch")
