"""The growing table of films: rows as they are made, and a journal of finished films, from which a rerun goes on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from affectkit.core.csv_tables import number
from affectkit.core.files import inner_path, read_json, to_json, whole_file, write_json
from affectkit.core.identity import check_same
from affectkit.core.names import readable
from affectkit.core.text import counted
from affectkit.data.media.file_identity import Mark
from affectkit.errors import CheckpointError, UsageError
from affectkit.inference.inputs import Item
from affectkit.inference.journal import Journal, anew, finished_items, is_of
from affectkit.inference.prediction_table import FACE_COLUMNS, FILM_PLACE, FIRST, RESULTS_RECORD, ROWS, SKIPPED
from affectkit.inference.resume_plan import Plan, plan
from affectkit.inference.table_files import GROWING, Rows, csv_line, growing_form, open_text, rows_text
from affectkit.inference.video.summary import Columns
from affectkit.settings.inference import InferSettings

VIDEO = "Video Name"
FILM_COLUMNS = (VIDEO, *FILM_PLACE, *FACE_COLUMNS)
"""Frame from 0, seconds since the first one (empty for pages), then the face's number in the film and its box in the
upright picture."""
FILMS = "films.csv"
KEPT = "films.jsonl"
"""What is known of each film: its counts, means and shares, and what marks its file."""
JOURNAL = "films.jsonl.part"
TIMELINES = "timelines"
SHARED = ("paths", "recursive", "faces_by", "every", "smooth", "seconds")
"""Entries of the record that must be alike for a rerun to go on."""


class FilmOutput:
    """Where the rows of films go, and what is known of those films.

    Args:
        summary: what the record says from the start. columns: the task's. films: all of them, in order.
        table: where rows go without results, after those of images; None: a table of their own on ``stdout``.

    Attributes:
        plan: what an earlier run has done and what is left, after entering; None where nothing is, and ``before`` is
            its record then.
        notes: what a user should know, after entering.
    """

    def __init__(
        self,
        settings: InferSettings,
        summary: dict[str, Any],
        columns: Columns,
        stdout: IO[str],
        *,
        films: Sequence[Item] = (),
        table: Rows | None = None,
    ) -> None:
        self.settings, self.summary, self.columns, self.films = settings, summary, columns, films
        self.header = [*FILM_COLUMNS, *columns.names]
        self.form = growing_form(settings.format)
        self._clear_counts()
        self.plan: Plan | None = Plan()
        self.before: dict[str, Any] = {}
        self.notes: list[str] = []
        self.folder = settings.results
        self.final = self.part = None
        self.table = table or Rows(stdout, self.header, self.form, begun=False)
        if self.folder is not None:
            self.final = self.folder / f"{ROWS}.{settings.format}"
            self.part = self.folder / f"{ROWS}.{self.form}.part"
            self.record = self.folder / RESULTS_RECORD
            line = csv_line(self.header) if self.form == "csv" else ""
            self.journal = Journal(self.part, self.folder / JOURNAL, line)

    def __enter__(self) -> FilmOutput:
        if self.final is None:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.settings.resume or not self._goes_on():
            self._clear()
            write_json(self.record, {**self.summary, "format": self.settings.format})
            self.journal.begin()
        if self.plan is not None:
            self.journal.open()
        return self

    def __exit__(self, *error: object) -> None:
        if self.final is not None and self.plan is not None:
            self.journal.close()

    def has(self, film: Item) -> bool:
        """Whether the rows of ``film`` stand already."""
        return film.name in self.plan.kept

    def add(self, rows: list[list[Any]]) -> None:
        """Append rows of a film."""
        if self.final is None:
            self.table.add(rows)
        else:
            self.journal.write(rows_text(rows, self.header, self.form))
            self.journal.rows.flush()

    def end_film(self, film: Item, told: dict[str, Any], rows: int, mark: Mark | None = None) -> None:
        """A film is done: ``told`` of it, which has a ``reason`` where it broke, how many rows it has, and what marked
        its file before it was read."""
        if "reason" in told:
            told = {**told, "reason": readable(told["reason"])}
        if self.final is not None:
            self.journal.end(film.name, {"rows": rows, "mark": mark, "film": told})
            self.journal.flush()
        self._count(told, rows)

    def timeline(self, name: str) -> Path | None:
        """Where the timeline of the film ``name`` stands; None without results."""
        return None if self.folder is None else self.folder / TIMELINES / inner_path(name, (".png",), ".png")

    def conclude(self) -> dict[str, Any]:
        """Write the table of films and the record, give the table of rows its final name; returns the record."""
        if self.final is None:
            return self._told()
        self.journal.close()
        self._clear_counts()
        for entry in self._entries():
            self._count(entry["film"], entry["rows"])
        with whole_file(self.folder / FILMS) as part, open_text(part, "w") as stream:
            stream.writelines(csv_line([number(value) for value in row]) for row in self._film_rows())
        with whole_file(self.folder / KEPT) as part, open_text(part, "w") as stream:
            kept = ({key: value for key, value in entry.items() if key != "end"} for entry in self._entries())
            stream.writelines(to_json(entry, indent=None) + "\n" for entry in kept)
        record = self._told() | {"format": self.settings.format, "results": str(self.final)}
        record |= {"films_table": str(self.folder / FILMS)}
        record |= {"timelines": str(self.folder / TIMELINES)} if (self.folder / TIMELINES).is_dir() else {}
        if self.totals["skipped"]:
            self._write_skipped()
            record["skipped_list"] = str(self.folder / SKIPPED)
        else:
            (self.folder / SKIPPED).unlink(missing_ok=True)
        # The record first: a table under its final name is never without it.
        write_json(self.record, record)
        self.journal.finish(self._names(), self.final)
        return record | self.plan.told()

    def how_to_go_on(self) -> str:
        """The next step after a stop."""
        if self.final is None:
            return "Name --results DIR to be able to go on with --resume."
        return f"Go on with the same command and --resume; the rows so far are in {self.part}."

    def _names(self) -> Iterator[str]:
        return (film.name for film in self.films)

    def _entries(self) -> Iterator[dict[str, Any]]:
        return self.journal.told(self._names())

    def _told(self) -> dict[str, Any]:
        return {**self.summary, **self.totals, "skipped_first": self.reasons, "films_first": self.first}

    def _clear_counts(self) -> None:
        self.totals = dict.fromkeys(("films", "looks", "faces", "rows", "skipped"), 0)
        self.first: list[dict[str, Any]] = []
        self.reasons: list[dict[str, str]] = []

    def _count(self, told: dict[str, Any], rows: int) -> None:
        found = {"films": 1, "looks": told["looks"], "faces": told["faces"], "rows": rows}
        for name, value in {**found, "skipped": "reason" in told}.items():
            self.totals[name] += int(value)
        if len(self.first) < FIRST:
            self.first.append({**told, "by_face": longest(told["by_face"])})
        if "reason" in told and len(self.reasons) < FIRST:
            self.reasons.append({"image": told["film"], "reason": told["reason"]})

    def _goes_on(self) -> bool:
        """Take in what an earlier run has done; False where there is none."""
        grown = is_of(self.record, self.settings.format, growing=True)
        own = is_of(self.record, self.settings.format)
        if grown and self.part.exists() and (self.folder / JOURNAL).exists():
            self._check_record()
            self.journal.recover()
            with contextlib.closing(self.journal.known()) as known:
                self.plan = plan(self.films, known, finished=False)
            said = f"; since then: {self.plan.described}" if self.plan.described else ""
            self.notes.append(f"going on after {counted(len(self.plan.kept), 'film')}{said}")
        elif own and self.final.exists() and (self.folder / KEPT).exists():
            self._check_record()
            with open_text(self.folder / KEPT, "r") as stream:
                known = {told["name"]: told for told in map(json.loads, stream)}
            self.plan = plan(self.films, known, finished=True)
            if self.plan.is_idle:
                self.journal.clear()
                self.plan, self.before = None, read_json(self.record)
                return True
            self.notes.append(f"since {self.final} was written: {self.plan.described}")
            items = finished_items(self.final, self.header, known.values(), 0)
            self.journal.rebuild((told, raw) for told, _, raw in items if told["name"] in self.plan.kept)
            for name in self.plan.gone:
                self.timeline(name).unlink(missing_ok=True)
        else:
            if self.final.exists() or self.part.exists() or not own:
                self._check_record()
                self.notes.append(anew(self.record, self.settings.format, str(self.folder)))
            return False
        return True

    def _clear(self) -> None:
        parts = [self.folder / f"{ROWS}.{form}.part" for form in GROWING]
        names = (self.final, *parts, *(self.folder / name for name in (JOURNAL, KEPT, FILMS, SKIPPED)))
        before = [path for path in names if path.exists()]
        if before and not (self.settings.force or self.settings.resume):
            raise UsageError(
                f"{before[0]} exists.", "Add --resume to go on with it, or to bring it up to date; --force replaces it."
            )
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
        if "every" not in before:
            raise UsageError(
                f"the rows in {self.folder} are those of pictures, and now there are films alone.",
                "Name another --results folder.",
            )
        check_same(
            before,
            self.summary,
            keys=SHARED,
            what=f"the rows in {self.folder} were made otherwise",
            hint="Give the same options, another --results folder, or --force.",
        )

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
                begin = (0.0 if film["seconds"] is not None else None) if whole else one["from"]
                time = one.get("time", {})
                yield [
                    film["film"],
                    *(None if whole else one["face"], begin),
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
    return sorted(
        sorted(faces, key=lambda one: -(one["seconds_seen"] or one["looks"]))[:most], key=lambda one: one["face"]
    )
