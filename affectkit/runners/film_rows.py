"""The growing table of films: rows as they are made, and a journal of finished films, from which a rerun goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from affectkit.core.files import inner_path, read_json, to_json, whole_file, write_json
from affectkit.errors import CheckpointError, UsageError
from affectkit.runners.film_sums import Columns
from affectkit.runners.rows import (
    FACE_COLUMNS,
    FIRST,
    RESULTS_RECORD,
    ROWS,
    SKIPPED,
    Rows,
    csv_line,
    end_table,
    open_text,
)
from affectkit.runners.settings_tested import InferSettings
from affectkit.runners.tables import number

VIDEO = "Video Name"
FILM_COLUMNS = (VIDEO, "Frame", "Time", *FACE_COLUMNS)
"""Frame from 0, seconds since the first one, then the face's number in the film and its box in the upright picture."""
FILMS = "films.csv"
JOURNAL = "films.jsonl.part"
TIMELINES = "timelines"
SHARED = ("paths", "recursive", "faces_by", "every", "smooth", "seconds")
"""Entries of the record that must be alike for a rerun to go on."""


class FilmOutput:
    """Where the rows of films go, and what is known of those films.

    The journal has a line a film that is done, with the length of the table after it: a rerun cuts the table there.

    Args:
        summary: what the record says from the start. columns: the task's.

    Attributes:
        done: names of the films that an earlier run has done, after entering; None where everything is, and ``before``
            is its record then.
    """

    def __init__(self, settings: InferSettings, summary: dict[str, Any], columns: Columns, stdout: IO[str]) -> None:
        self.settings, self.summary, self.columns, self.stdout = settings, summary, columns, stdout
        self.header = [*FILM_COLUMNS, *columns.names]
        self.form = "jsonl" if settings.format == "parquet" else settings.format
        self.totals = dict.fromkeys(("films", "looks", "faces", "rows", "skipped"), 0)
        self.first: list[dict[str, Any]] = []
        self.reasons: list[dict[str, str]] = []
        self.done: set[str] | None = set()
        self.before: dict[str, Any] = {}
        self.folder = settings.results
        self.final = self.part = None
        if self.folder is not None:
            self.final = self.folder / f"{ROWS}.{settings.format}"
            self.part = self.folder / f"{ROWS}.{self.form}.part"
            self.journal, self.record = self.folder / JOURNAL, self.folder / RESULTS_RECORD

    def __enter__(self) -> FilmOutput:
        if self.final is None:
            self.table = Rows(self.stdout, self.header, self.form, begun=False)
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.settings.resume and self.final.exists():
            self._check_record()
            self.done, self.before = None, read_json(self.record)
            self.journal.unlink(missing_ok=True)
            return self
        if self.settings.resume and self.part.exists():
            self._check_record()
            self._recover()
        else:
            self._clear()
            write_json(self.record, self.summary)
        self.stream, self.lines = open_text(self.part, "a"), open_text(self.journal, "a")
        self.table = Rows(self.stream, self.header, self.form, begun=self.part.stat().st_size > 0)
        return self

    def __exit__(self, *error: object) -> None:
        if self.final is not None and self.done is not None:
            self.stream.close()
            self.lines.close()

    def add(self, rows: list[list[Any]]) -> None:
        """Append rows of a film."""
        self.table.add(rows)

    def end_film(self, told: dict[str, Any], rows: int) -> None:
        """A film is done: ``told`` of it, which has a ``reason`` where it broke, and how many rows it has."""
        if self.final is not None:
            self.stream.flush()
            length = os.fstat(self.stream.fileno()).st_size
            self.lines.write(to_json({"bytes": length, "rows": rows, "film": told}, indent=None) + "\n")
            self.lines.flush()
        self._count(told, rows)

    def timeline(self, name: str) -> Path | None:
        """Where the timeline of the film ``name`` stands; None without results."""
        return None if self.folder is None else self.folder / TIMELINES / inner_path(name, (".png",), ".png")

    def conclude(self) -> dict[str, Any]:
        """Write the table of films and the record, give the table of rows its final name; returns the record."""
        record = {**self.summary, **self.totals, "skipped_first": self.reasons, "films_first": self.first}
        if self.final is None:
            return record
        self.table.add([])  # the header, where no film had a picture
        with whole_file(self.folder / FILMS) as part, open_text(part, "w") as stream:
            stream.writelines(csv_line([number(value) for value in row]) for row in self._film_rows())
        record |= {"results": str(self.final), "films_table": str(self.folder / FILMS)}
        record |= {"timelines": str(self.folder / TIMELINES)} if (self.folder / TIMELINES).is_dir() else {}
        if self.totals["skipped"]:
            self._write_skipped()
            record["skipped_list"] = str(self.folder / SKIPPED)
        # The record first: once the table has its final name, a rerun reads the record and does nothing.
        write_json(self.record, record)
        end_table(self.part, self.final)
        self.journal.unlink()
        return record

    def how_to_go_on(self) -> str:
        """The next step after a stop."""
        if self.final is None:
            return "Name --results DIR to be able to go on with --resume."
        return f"Go on with the same command and --resume; the rows so far are in {self.part}."

    def _count(self, told: dict[str, Any], rows: int) -> None:
        found = {"films": 1, "looks": told["looks"], "faces": told["faces"], "rows": rows}
        for name, value in {**found, "skipped": "reason" in told}.items():
            self.totals[name] += int(value)
        name = readable(told["film"])
        if len(self.first) < FIRST:
            self.first.append({**told, "film": name, "by_face": longest(told["by_face"])})
        if "reason" in told and len(self.reasons) < FIRST:
            self.reasons.append({"image": name, "reason": readable(told["reason"])})

    def _clear(self) -> None:
        names = (self.final, self.part, self.journal, self.folder / FILMS, self.folder / SKIPPED)
        before = [path for path in names if path.exists()]
        if before and not self.settings.force:
            raise UsageError(f"{before[0]} exists.", "Add --resume to go on with it, or --force to replace it.")
        for path in before:
            path.unlink()
        for path in (self.folder / TIMELINES).rglob("*.png"):
            path.unlink()

    def _check_record(self) -> None:
        before = read_json(self.record) if self.record.exists() else {}
        if before.get("checkpoint_sha256") != self.summary["checkpoint_sha256"]:
            raise CheckpointError(
                f"the rows in {self.folder} were made with another checkpoint.",
                "Name that checkpoint, another --results folder, or --force.",
            )
        now = json.loads(to_json(self.summary))
        if other := [key for key in SHARED if before.get(key) != now.get(key)]:
            said = ", ".join(f"{key} {before.get(key)} there, {now.get(key)} now" for key in other)
            raise UsageError(
                f"the rows in {self.folder} were made otherwise: {said}.",
                "Give the same options, another --results folder, or --force.",
            )

    def _recover(self) -> None:
        """Take in the films of the journal, and cut the table after the last of them."""
        whole = self.journal.read_bytes() if self.journal.exists() else b""
        whole = whole[: whole.rfind(b"\n") + 1]
        self.journal.write_bytes(whole)
        length = 0
        for entry in self._entries():
            length = entry["bytes"]
            self.done.add(entry["film"]["film"])
            self._count(entry["film"], entry["rows"])
        with self.part.open("r+b") as stream:
            stream.truncate(length)

    def _entries(self) -> Iterator[dict[str, Any]]:
        with open_text(self.journal, "r") as stream:
            for line in stream:
                yield json.loads(line)

    def _film_rows(self) -> Iterator[list[Any]]:
        """The header and rows of ``films.csv``: one a film, then one for each of its faces."""
        names: dict[str, None] = {}
        for entry in self._entries():
            names |= dict.fromkeys(entry["film"]["mean"])
        labels = [self.columns.names[place] for place in self.columns.shares]
        yield [
            *(VIDEO, "Face", "From", "To", "Seconds Seen", "Looks", "Looks Without Face", "Faces", "Reason"),
            *(f"mean {name}" for name in names),
            *(f"time {name}" for name in labels),
        ]
        for entry in self._entries():
            film = entry["film"]
            for one in (film, *film["by_face"]):
                whole = one is film
                time = one.get("time", {})
                yield [
                    film["film"],
                    *(None if whole else one["face"], 0.0 if whole else one["from"]),
                    *(film["seconds"] if whole else one["to"], one["seconds_seen"], one["looks"]),
                    *([film["looks_without_face"], film["faces"], film.get("reason")] if whole else [None] * 3),
                    *(one["mean"].get(name) for name in names),
                    *(time.get(label, 0.0) if time else None for label in labels),
                ]

    def _write_skipped(self) -> None:
        with whole_file(self.folder / SKIPPED) as part, open_text(part, "w") as stream:
            stream.write(csv_line([VIDEO, "Reason"]))
            for entry in self._entries():
                if "reason" in entry["film"]:
                    stream.write(csv_line([entry["film"]["film"], entry["film"]["reason"]]))


def longest(faces: list[dict[str, Any]], most: int = FIRST) -> list[dict[str, Any]]:
    """Those of ``faces`` that were seen the longest, in the order of their numbers."""
    return sorted(sorted(faces, key=lambda one: -one["seconds_seen"])[:most], key=lambda one: one["face"])


def readable(text: str) -> str:
    """``text`` for a record in JSON: what is not UTF-8 of a file's name is replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
