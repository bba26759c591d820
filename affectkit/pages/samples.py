"""The labelled samples of a test: confusion, recall by class, reliability, and each sample with its picture."""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affectkit.core.text import count_text
from affectkit.inference.table_layout import NAME
from affectkit.metrics.calibration import expected_calibration_error, reliability
from affectkit.pages.originals import Originals
from affectkit.pages.page import Source
from affectkit.pages.photographs import CONFIDENCE, LABEL, draw_rows, most_rows
from affectkit.pages.tables import Table, find_table, read_table, to_float

TRUTH = "True Label"
TABLES = ("test_results", "valid_results", "out_of_fold_results")
WORST = 24
"""Mistakes that a page shows where it has no grid of all samples."""


@dataclass(frozen=True)
class SampleColumns:
    """Where a table of samples has what the page shows.

    Attributes:
        names: classes.
        predicted, true: columns of their shares, in the same order.
        rated: names of ratings.
        ratings, actuals: columns of predicted and actual ratings, in the same order.
    """

    name: int
    truth: int | None
    label: int | None
    confidence: int | None
    names: tuple[str, ...]
    predicted: tuple[int, ...]
    true: tuple[int, ...]
    rated: tuple[str, ...]
    ratings: tuple[int, ...]
    actuals: tuple[int, ...]

    @classmethod
    def of(cls, table: Table) -> SampleColumns:
        """Find the columns of ``table``, by their names."""
        columns = table.columns
        names = [name[10:] for name in columns if name.startswith("predicted ")]
        rated = [name[7:] for name in columns if name.startswith("Actual ") and f"Predicted {name[7:]}" in columns]
        return cls(
            name=columns.index(NAME),
            truth=table.place(TRUTH),
            label=table.place(LABEL),
            confidence=table.place(CONFIDENCE),
            names=tuple(names),
            predicted=tuple(columns.index(f"predicted {name}") for name in names),
            true=tuple(columns.index(f"true {name}") for name in names if f"true {name}" in columns),
            rated=tuple(rated),
            ratings=tuple(columns.index(f"Predicted {name}") for name in rated),
            actuals=tuple(columns.index(f"Actual {name}") for name in rated),
        )

    def error(self, row: Sequence[str]) -> float:
        """Return how bad a row is: of a mistake 1 and its confidence, of ratings the mean squared error."""
        if self.ratings:
            pairs = zip(self.ratings, self.actuals, strict=True)
            return float(np.mean([(to_float(row[p]) - to_float(row[a])) ** 2 for p, a in pairs]))
        if self.truth is None or self.label is None:
            return 0.0
        confidence = to_float(row[self.confidence]) if self.confidence is not None else 0.0
        return 1 + confidence if row[self.truth] != row[self.label] else -confidence


@dataclass(frozen=True)
class Samples:
    """What a page shows of the samples of a split.

    Attributes:
        values: for the template.
        grid: for ``grid.js``, with all rows that fit.
        charts: for ``charts_of_page.js``.
        pictures, without: rows with and without a picture.
    """

    values: dict[str, Any]
    grid: dict[str, Any]
    charts: list[dict[str, Any]]
    pictures: int
    without: int


def read_samples(
    source: Source, folder: Path, record: dict[str, Any], *, data: str | None, whole: bool, part: str
) -> Samples | None:
    """Return what is to be shown of the table of samples in ``folder``; None where there is none.

    Args:
        source: of the page.
        folder: with ``test_results.csv`` or ``valid_results.csv``, and the tables beside.
        record: of the test.
        data: folder of the data set, which names of samples are relative to.
        whole: whether pictures of all samples are wanted, as far as they fit; else those of the worst mistakes.
        part: of what data, in titles.
    """
    table = next((found for stem in TABLES if (found := find_table(folder, stem)) is not None), None)
    if table is None or NAME not in table.columns:
        return None
    columns = SampleColumns.of(table)
    rows = list(table.rows())
    shown = heapq.nlargest(min(most_rows(table), len(rows)) if whole else WORST, rows, key=columns.error)
    if not whole:
        shown = [row for row in shown if columns.ratings or columns.error(row) > 0]
    originals = Originals([data] if data else [], results=source.folder, images=source.images)
    if any(os.path.isdir(root / "store") for root in originals.roots):
        pictures: list[str | None] = [None] * len(shown)
        notes = ["Prepared clips have no pictures that are shown here: the figures of the run have some."]
    else:
        pictures = draw_rows(source, shown, originals, name=columns.name)
        notes = originals.described()
    if whole and len(shown) < len(rows):
        notes.append(f"Of {count_text(len(rows), 'sample')} the {len(shown):,} worst are listed; tables are over all.")
    for note in notes:
        source.reporter.note(note)
    classes = [str(name) for name in record.get("classes", [])] or list(columns.names)
    confusion = _confusion(columns, rows, classes) if columns.truth is not None and columns.label is not None else None
    bins = _reliability(columns, rows, part)
    values = {
        "part": part, "split": part, "n": len(rows), "notes": notes, "confusion": confusion,
        "reliability": bins, "quantiles": read_table(folder / "quantiles.csv"),
        "worst": [_worst(columns, row, address) for row, address in zip(shown, pictures, strict=True)][:WORST],
        "mistakes": None if confusion is None else confusion["mistakes"], "table": table.path.name,
        "is_labelled": columns.label is not None, "columns": table.columns,
    }  # fmt: skip
    grid = {
        "columns": table.columns, "rows": shown, "pictures": pictures, "what": "sample",
        "table": table.path.stem, "name": columns.name, "face": None, "score": None, "label": columns.label,
        "truth": columns.truth, "confidence": columns.confidence, "classes": columns.predicted,
        "names": columns.names, "true": columns.true, "ratings": columns.ratings, "actuals": columns.actuals,
    }  # fmt: skip
    found = sum(address is not None for address in pictures)
    return Samples(values, grid, _charts(columns, rows, table, values, part), found, len(shown) - found)


def _confusion(columns: SampleColumns, rows: Sequence[Sequence[str]], classes: list[str]) -> dict[str, Any]:
    """Count true against predicted labels; recall and precision by class."""
    counts = Counter((row[columns.truth], row[columns.label]) for row in rows)
    names = [*classes, *sorted({name for pair in counts for name in pair} - set(classes))]
    matrix = [[counts[true, predicted] for predicted in names] for true in names]
    by_class = []
    for k, name in enumerate(names):
        support, chosen, right = sum(matrix[k]), sum(row[k] for row in matrix), matrix[k][k]
        by_class.append({
            "name": name, "support": support, "recall": right / support if support else None,
            "precision": right / chosen if chosen else None, "predicted": chosen,
        })  # fmt: skip
    shares = [[value / max(sum(row), 1) for value in row] for row in matrix]
    return {
        "names": names, "matrix": matrix,
        "levels": [[min(int(5 * share + 0.999), 5) for share in row] for row in shares],
        "by_class": by_class, "mistakes": len(rows) - sum(matrix[k][k] for k in range(len(names))),
    }  # fmt: skip


def _reliability(columns: SampleColumns, rows: Sequence[Sequence[str]], part: str) -> dict[str, Any] | None:
    """Return the bins of ``metrics.calibration.reliability``: confidence, and the target's share that it should be."""
    if columns.confidence is None or columns.label is None or len(columns.true) != len(columns.names) or not rows:
        return None
    places = dict(zip(columns.names, columns.true, strict=True))
    pairs = [
        (to_float(row[columns.confidence]), to_float(row[places[row[columns.label]]]))
        for row in rows
        if row[columns.label] in places
    ]
    values = np.array(pairs, dtype=np.float64).clip(0, 1)
    if not len(values) or np.isnan(values).any():
        return None
    bins = reliability(values[:, 0], values[:, 1])
    listed = [
        {
            "low": float(low),
            "high": float(high),
            "count": int(count),
            "confidence": float(mean),
            "agreement": float(share),
        }
        for low, high, count, mean, share in zip(
            bins.edges[:-1], bins.edges[1:], bins.count, bins.confidence, bins.agreement, strict=True
        )
        if count
    ]
    return {"bins": listed, "ece": expected_calibration_error(values[:, 0], values[:, 1]), "part": part}


def _worst(columns: SampleColumns, row: Sequence[str], address: str | None) -> dict[str, Any]:
    ratings = [
        {"name": name, "predicted": to_float(row[p]), "actual": to_float(row[a])}
        for name, p, a in zip(columns.rated, columns.ratings, columns.actuals, strict=True)
    ]
    return {
        "name": row[columns.name], "picture": address, "ratings": ratings,
        "truth": row[columns.truth] if columns.truth is not None else "",
        "label": row[columns.label] if columns.label is not None else "",
        "confidence": to_float(row[columns.confidence]) if columns.confidence is not None else None,
    }  # fmt: skip


def _charts(
    columns: SampleColumns, rows: Sequence[Sequence[str]], table: Table, values: dict[str, Any], part: str
) -> list[dict[str, Any]]:
    """Return the charts of the part: reliability; actual over predicted ratings, and means of quantile bins."""
    charts: list[dict[str, Any]] = []
    if values["reliability"]:
        points = [
            {"x": one["confidence"], "y": one["agreement"], "name": f"n = {one['count']:,}"}
            for one in values["reliability"]["bins"]
        ]
        charts.append({
            "kind": "scatter", "into": f"reliability-{part}", "title": "Reliability", "x": "mean confidence",
            "y": "target's share", "identity": True, "joined": True, "points": points, "ends": [0, 1],
        })  # fmt: skip
    most = rows[:: max(len(rows) // 4000, 1)]
    for p, a in zip(columns.ratings, columns.actuals, strict=True):
        name = table.columns[a][7:]
        charts.append({
            "kind": "scatter", "into": f"ratings-{part}", "title": f"{name}: actual over predicted", "x": "predicted",
            "y": "actual", "identity": True,
            "points": [{"x": to_float(row[p]), "y": to_float(row[a]), "name": row[columns.name]} for row in most],
        })  # fmt: skip
    for name in dict.fromkeys(row["dimension"] for row in values["quantiles"] if "dimension" in row):
        points = [
            {"x": to_float(row["actual"]), "y": to_float(row["predicted"]), "name": f"n = {row['count']}"}
            for row in values["quantiles"]
            if row["dimension"] == name
        ]
        charts.append({
            "kind": "scatter", "into": f"ratings-{part}", "title": f"{name}: means of quantile bins",
            "x": "mean actual", "y": "mean predicted", "identity": True, "joined": True, "points": points,
        })  # fmt: skip
    return charts
