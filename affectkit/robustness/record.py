"""Keep the rows of a sweep on the disk as they come, so that a stopped sweep resumes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectkit.core.files import fresh_folder, read_json, write_json
from affectkit.core.record_identity import check_same
from affectkit.errors import DataError
from affectkit.robustness.summary import Row

FILE = "robustness.json"
PATHS = ("checkpoint", "data")
"""Keys of an identity that are not compared: what lies there is, not where it lies."""


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
        if not isinstance(kept, dict) or not isinstance(kept.get("rows"), list):
            raise DataError(f"{self.path} is no record of eval-corruptions.", "Name another --results, or add --force.")
        check_same(
            kept,
            self.identity,
            keys=[key for key in self.identity if key not in PATHS],
            what=f"--results {self.folder} holds rows of another evaluation",
            hint="Name another --results, or add --force to replace them.",
        )
        for row in kept["rows"]:  # JSON has no NaN
            row["metrics"] = {name: math.nan if value is None else value for name, value in row["metrics"].items()}
        return kept["rows"], kept.get("skipped", [])

    def write(self, rows: Sequence[Row], skipped: Sequence[Mapping[str, str]]) -> None:
        """Write all rows that have been computed."""
        write_json(self.path, {**self.identity, "skipped": skipped, "rows": rows})

    def finish(self, rows: Sequence[Row], summary: Mapping[str, Any]) -> None:
        """Write the summary, with all rows that have been computed."""
        write_json(self.path, {**summary, **self.identity, "rows": rows})
