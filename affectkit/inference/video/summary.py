"""What a film comes to: looks, faces, mean predictions and shares of time; and all that was seen, on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from affectkit.core.boxes import Box
from affectkit.inference.video.sampled_frames import Seen
from affectkit.tasks.base import Task

PLACES = 6
"""Numbers of a record before the task's columns: time, face (0: none was seen), left, top, width, height."""
CHUNK = 4096


@dataclass(frozen=True)
class Columns:
    """The task's columns: all ``names``, and the places of those that are ``shares`` of classes (none where it has
    no class a column). Of a row with shares the label is the class with the largest."""

    names: tuple[str, ...]
    shares: tuple[int, ...]

    @classmethod
    def of(cls, task: Task) -> Columns:
        """Those of ``task``."""
        names = task.columns()
        classes = task.spec.classes
        return cls(tuple(names), tuple(names.index(name) for name in classes) if set(classes) <= set(names) else ())

    def label(self, row: Sequence[Any]) -> str | None:
        """The class of ``row``; None where there are none."""
        return self.names[max(self.shares, key=lambda place: row[place])] if self.shares else None


@dataclass
class Sum:
    """What was seen of one face, or of all together: when first and last, in how many looks (each face of one counts),
    seconds, sums of the columns, seconds by label."""

    first: float
    last: float = 0.0
    looks: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    labels: dict[str, float] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """Means over looks, and shares of the time, the largest first."""
        total = sum(self.labels.values())
        shares = sorted(self.labels.items(), key=lambda item: -item[1])
        found: dict[str, Any] = {
            "seconds_seen": self.seconds,
            "mean": {k: v / self.looks for k, v in self.sums.items()},
        }
        return found | ({"time": {name: value / total for name, value in shares}} if total else {})


class Sums:
    """Counts of a film, taken in look by look.

    A look stands for the time until the next one, the last one for that until the end of the film. Means are over all
    faces of all looks.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.looks = self.empty = 0
        self.all, self.faces = Sum(0.0), dict[int, Sum]()
        self._before: tuple[float, list[Seen]] | None = None

    def add(self, time: float, found: list[Seen]) -> None:
        """A look at ``time``."""
        self._account(time)
        self._before = (time, found)
        self.looks += 1
        self.empty += not found
        for one in found:
            own = self.faces.setdefault(one.number, Sum(time))
            for entry in (own, self.all):
                entry.looks += 1
                entry.last = time
                for name, value in zip(self.columns.names, one.row, strict=True):
                    if not isinstance(value, str):
                        entry.sums[name] = entry.sums.get(name, 0.0) + value

    def told(self, end: float) -> dict[str, Any]:
        """The summary of the film, which ends at ``end`` seconds."""
        self._account(end)
        self._before = None
        by_face = [
            {"face": number, "looks": one.looks, "from": one.first, "to": one.last, **one.told()}
            for number, one in sorted(self.faces.items())
        ]
        counts = {"looks": self.looks, "looks_without_face": self.empty, "faces": len(by_face), "seconds": end}
        return {**counts, **self.all.told(), "by_face": by_face}

    def _account(self, until: float) -> None:
        """Give the time from the last look to ``until`` to what was seen in it."""
        if self._before is None:
            return
        passed = max(until - self._before[0], 0.0)
        self.all.seconds += passed if self._before[1] else 0.0
        for one in self._before[1]:
            label = self.columns.label(one.row)
            self.faces[one.number].seconds += passed
            for entry in (self.faces[one.number], self.all):
                if label is not None:
                    entry.labels[label] = entry.labels.get(label, 0.0) + passed


def without_times(told: dict[str, Any]) -> dict[str, Any]:
    """``Sums.told`` of pages, which have no times: shares are of looks."""
    empty = {"seconds": None, "seconds_seen": None}
    faces = [{**one, "seconds_seen": None, "from": None, "to": None} for one in told["by_face"]]
    return {**told, **empty, "by_face": faces}


class Log:
    """All that was seen of a film, in a file that is gone when this is closed: memory does not grow with the film."""

    def __init__(self, columns: Columns) -> None:
        self.width = PLACES + len(columns.names)
        self._file = tempfile.TemporaryFile(prefix="affectkit-film-")  # noqa: SIM115 - closed with this
        self._words: dict[str, int] = {}
        self._texts: set[int] = set()
        self.faces: set[int] = set()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, time: float, found: Sequence[Seen]) -> None:
        """A look at ``time``."""
        records = np.full((max(len(found), 1), self.width), np.nan)
        records[:, :2] = time, 0
        for record, one in zip(records, found, strict=False):
            record[1:PLACES] = one.number, *one.face.box
            record[PLACES:] = [self._coded(place, value) for place, value in enumerate(one.row)]
            self.faces.add(one.number)
        self._file.write(records.tobytes())

    def records(self) -> np.ndarray:
        """All of it, float64 (n, PLACES + columns); text as numbers."""
        self._file.seek(0)
        return np.frombuffer(self._file.read(), np.float64).reshape(-1, self.width)

    def looks(self) -> Iterator[tuple[float, list[tuple[int, Box, list[Any]]]]]:
        """Time of each look, and number, box and row of each face in it; a part of the file at a time."""
        words = list(self._words)
        self._file.seek(0)
        held: tuple[float, list[tuple[int, Box, list[Any]]]] | None = None
        while raw := self._file.read(CHUNK * self.width * 8):
            for record in np.frombuffer(raw, np.float64).reshape(-1, self.width).tolist():
                if held is None or record[0] != held[0]:
                    if held is not None:
                        yield held
                    held = (record[0], [])
                if record[1]:
                    row = [
                        words[int(value)] if place in self._texts else value
                        for place, value in enumerate(record[PLACES:])
                    ]
                    held[1].append((int(record[1]), tuple(record[2:PLACES]), row))
        if held is not None:
            yield held

    def _coded(self, place: int, value: Any) -> float:
        if not isinstance(value, str):
            return float(value)
        self._texts.add(place)
        return float(self._words.setdefault(value, len(self._words)))
