"""The part of a page on photographs: what was predicted of each face or picture, the doubtful ones first."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from affectkit.core.text import count_text
from affectkit.data.media.file_kinds import is_video_name
from affectkit.inference.table_layout import FACE_COLUMNS, INPUTS, NAME, SKIPPED
from affectkit.metrics.emotion_norms import DIMENSIONS, mean_column
from affectkit.pages.originals import Originals, count_reasons
from affectkit.pages.page import Source
from affectkit.pages.pictures import Wanted, draw_pictures
from affectkit.pages.tables import Table, class_columns, read_table, to_float

LABEL, CONFIDENCE, SCORE = "Predicted Label", "Confidence", "Detector Score"
NO_LABEL = "no label"
"""Stands where the model abstained."""
MOST_CELLS = 150_000
"""Cells of rows in a page, about 1.6 MB; of more rows the most doubtful."""
MOST_DIGITS = 30
MOST_NAMES = 2_000
"""Names that a list shows."""
RATING = "Predicted "
DERIVED = tuple(map(mean_column, DIMENSIONS))
"""Columns of what follows from the emotions, with ``--valence-arousal``."""


@dataclass(frozen=True)
class Part:
    """A part of the page of ``infer``.

    Attributes:
        title: what it shows, in lower case.
        values: for the template.
        data: for the scripts.
        scripts: that it needs.
        pictures: how many are in it.
        without: rows, or frames, of which there is none.
    """

    title: str
    values: dict[str, Any]
    data: Any
    scripts: tuple[str, ...]
    pictures: int
    without: int


@dataclass(frozen=True)
class Columns:
    """Where a prediction table has what the page shows; None, or nothing, for what it has not."""

    name: int
    face: int | None
    box: tuple[int, ...]
    score: int | None
    label: int | None
    confidence: int | None
    classes: tuple[int, ...]
    ratings: tuple[int, ...]
    derived: tuple[int, ...] = ()

    @classmethod
    def of(cls, table: Table, classes: Sequence[str], name: str = NAME) -> Columns:
        """Find the columns of ``table``, by their names."""
        box = [table.place(column) for column in FACE_COLUMNS[1:5]]
        shares = class_columns(table.columns, classes)
        ratings = [
            place
            for place, column in enumerate(table.columns)
            if column.startswith(RATING) and column != LABEL and column not in shares
        ]
        return cls(
            name=table.columns.index(name),
            face=table.place(FACE_COLUMNS[0]),
            box=tuple(place for place in box if place is not None) if None not in box else (),
            score=table.place(SCORE),
            label=table.place(LABEL),
            confidence=table.place(CONFIDENCE),
            classes=tuple(table.columns.index(column) for column in shares),
            ratings=tuple(ratings),
            derived=tuple(table.columns.index(column) for column in DERIVED if column in table.columns),
        )

    def is_empty(self, row: Sequence[str]) -> bool:
        """Return whether ``row`` stands for a picture in which no face was found."""
        return self.face is not None and not row[self.face]

    def margin(self, row: Sequence[str]) -> float:
        """Return by how much the largest share exceeds the second; NaN without two shares."""
        shares = sorted((to_float(row[place]) for place in self.classes), reverse=True)
        return shares[0] - shares[1] if len(shares) > 1 else math.nan


@dataclass
class Distribution:
    """Add up what was predicted over all rows."""

    columns: Columns
    rows: int = 0
    files: set[str] = field(default_factory=set)
    labels: Counter[str] = field(default_factory=Counter)
    sums: dict[int, float] = field(default_factory=dict)
    squares: dict[int, float] = field(default_factory=dict)
    ends: dict[int, tuple[float, float]] = field(default_factory=dict)
    confidence: dict[str, float] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)

    def add(self, row: Sequence[str]) -> bool:
        """Add a row; return whether it holds a prediction."""
        columns = self.columns
        self.files.add(row[columns.name])
        if columns.is_empty(row):
            self.empty.append(row[columns.name])
            return False
        self.rows += 1
        if columns.label is not None:
            label = row[columns.label] or NO_LABEL
            self.labels[label] += 1
            if columns.confidence is not None:
                self.confidence[label] = self.confidence.get(label, 0.0) + to_float(row[columns.confidence])
        for place in (*columns.classes, *columns.ratings, *columns.derived):
            value = to_float(row[place])
            self.sums[place] = self.sums.get(place, 0.0) + value
            self.squares[place] = self.squares.get(place, 0.0) + value * value
            low, high = self.ends.get(place, (value, value))
            self.ends[place] = (min(low, value), max(high, value))
        return True

    def classes(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return a row a class: how many, their share, mean share of the class, mean confidence where it was chosen."""
        places = {names[place]: place for place in self.columns.classes}
        found = []
        for name in [*places, *(label for label in self.labels if label not in places)]:
            count = self.labels[name]
            found.append({
                "name": name, "count": count, "share": count / self.rows if self.rows else None,
                "mean": self.sums[places[name]] / self.rows if name in places and self.rows else None,
                "confidence": self.confidence[name] / count if count and name in self.confidence else None,
            })  # fmt: skip
        return found

    def ratings(self, names: Sequence[str], places: Sequence[int]) -> list[dict[str, Any]]:
        """Return a row a rating, of the columns ``places``: mean, standard deviation over the rows (n - 1), least and
        greatest."""
        found = []
        for place in places:
            if not self.rows:
                continue
            mean, (low, high) = self.sums[place] / self.rows, self.ends[place]
            spread = max(self.squares[place] - self.rows * mean * mean, 0.0)
            deviation = math.sqrt(spread / (self.rows - 1)) if self.rows > 1 else None
            found.append({"name": names[place], "mean": mean, "sd": deviation, "low": low, "high": high})
        return found


def read_photographs(source: Source, record: dict[str, Any], table: Table) -> Part:
    """Return the part on the photographs of ``table``."""
    columns = Columns.of(table, record.get("classes", []))
    distribution = Distribution(columns)
    rows = _most_doubtful(columns, (row for row in table.rows() if distribution.add(row)), most_rows(table))
    skipped = [(row.get(NAME, ""), row.get("Reason", "")) for row in read_table(source.folder / SKIPPED)]
    originals = _originals(source, record)
    pictures = draw_rows(source, rows, originals, name=columns.name, box=columns.box)
    shown = sum(address is not None for address in pictures)
    clips = bool(rows) and is_video_name(rows[0][columns.name])
    what = "face" if columns.face is not None else "clip" if clips else "picture"
    notes = _notes(distribution, rows, pictures, originals, what)
    if not table.finished:
        notes.insert(0, "The run was stopped: the rows so far are shown. The same command with --resume continues it.")
    for note in notes:
        source.reporter.note(note)
    values = {
        "what": what, "rows": distribution.rows, "files": len(distribution.files), "notes": notes,
        "table": table.path.name, "classes": distribution.classes(table.columns),
        "ratings": distribution.ratings(table.columns, columns.ratings),
        "derived": distribution.ratings(table.columns, columns.derived),
        "columns": table.columns, "shown_rows": rows[:500],
        "empty": distribution.empty[:MOST_NAMES], "empty_count": len(distribution.empty),
        "skipped": skipped[:MOST_NAMES], "skipped_count": max(len(skipped), int(record.get("skipped") or 0)),
        "reasons": count_reasons([_general(reason, name) for name, reason in skipped])[:10],
        "has_score": columns.score is not None, "has_faces": columns.face is not None,
        "is_labelled": columns.label is not None,
    }  # fmt: skip
    data = {
        "columns": table.columns, "rows": rows, "pictures": pictures, "what": what, "table": table.path.stem,
        "name": columns.name, "face": columns.face, "score": columns.score, "label": columns.label,
        "confidence": columns.confidence, "classes": columns.classes, "ratings": columns.ratings, "truth": None,
        "actuals": [], "names": [table.columns[place] for place in columns.classes],
    }  # fmt: skip
    scripts = ("grid.js",) if columns.label is not None else ("chart.js", "grid.js")
    title = "faces in photographs" if columns.face is not None else "clips" if clips else "photographs"
    return Part(title, values, data, scripts, shown, len(rows) - shown)


def _most_doubtful(columns: Columns, rows: Iterator[list[str]], most: int) -> list[list[str]]:
    """Return ``rows`` by their margin, the smallest first; without one as they come. At most ``most``."""

    def doubt(row: list[str]) -> float:
        margin = columns.margin(row)
        return math.inf if math.isnan(margin) else margin

    return heapq.nsmallest(most, rows, key=doubt)


def most_rows(table: Table) -> int:
    """Return how many rows of ``table`` a page holds at most."""
    return max(MOST_CELLS // len(table.columns), 1)


def _originals(source: Source, record: dict[str, Any]) -> Originals:
    paths = [str(path) for path in record.get("paths", [])]
    marks = {}
    for row in read_table(source.folder / INPUTS):
        if row.get("SHA-256"):
            size, *times = (row.get(name, "") for name in ("Size", "Modified", "Changed"))
            # Nanoseconds have more digits than a float.
            known = all(time.isdigit() and len(time) < MOST_DIGITS for time in (size, *times))
            marks[row.get(NAME, "")] = (*(int(one) if known else -1 for one in (size, *times)), row["SHA-256"])
    return Originals(paths, results=source.folder, marks=marks, images=source.images)


def draw_rows(
    source: Source, rows: Sequence[Sequence[str]], originals: Originals, *, name: int, box: Sequence[int] = ()
) -> list[str | None]:
    """Return a data address a row; None where there is no picture.

    Args:
        source: hears of the progress.
        rows: of a table, those first that need a picture most.
        originals: finds their files.
        name: the column that names them.
        box: the columns of a face's box; none: pictures whole.
    """
    paths: dict[str, Any] = {}

    def wanted() -> Iterator[Wanted]:
        for number, row in enumerate(rows):
            if row[name] not in paths:
                paths[row[name]] = originals.find(row[name])
            if paths[row[name]] is not None:
                edges = tuple(to_float(row[place]) for place in box)
                known = len(edges) == 4 and not any(map(math.isnan, edges))
                yield Wanted(number, paths[row[name]], edges if known else None)

    found: list[str | None] = [None] * len(rows)
    source.reporter.start("pictures", len(rows), "pictures")
    for number, address in draw_pictures(wanted()):
        found[number] = address
        source.reporter.advance()
    source.reporter.finish()
    return found


def _notes(
    distribution: Distribution,
    rows: Sequence[Sequence[str]],
    pictures: Sequence[str | None],
    originals: Originals,
    what: str,
) -> list[str]:
    notes = originals.described()
    if distribution.rows > len(rows):
        by_margin = len(distribution.columns.classes) > 1
        listed = f"the {len(rows):,} most doubtful are listed; distributions are over all"
        if not by_margin:
            listed = f"the first {len(rows):,} are listed and in the charts; means are over all"
        notes.append(f"Of {count_text(distribution.rows, what)} {listed}, and the table has all rows.")
    gone = set(originals.missing) | set(originals.changed)
    left = sum(address is None and row[distribution.columns.name] not in gone for row, address in
               zip(rows, pictures, strict=True))  # fmt: skip
    if left:
        notes.append(
            f"{count_text(left, what)} shown without a picture: the page holds as many as fit, the doubtful first, or "
            "the file cannot be read as a picture."
        )
    return notes


def _general(reason: str, name: str) -> str:
    """Return a reason without the name of the file, so that alike ones are counted together."""
    tail = reason.partition(f"{name}: ")[2] if name else ""
    return tail or reason
