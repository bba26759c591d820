"""The table of an inference on images: flushed as it grows, continued after a stop, whole under its final name."""

from __future__ import annotations

import contextlib
import csv
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from affectkit.config import value_of
from affectkit.core.files import read_json, sync, whole_file, write_json
from affectkit.core.identity import check_same
from affectkit.core.names import readable
from affectkit.core.shard_parts import (
    PART_RECORD,
    Part,
    Table,
    begin_part,
    damage,
    end_part,
    is_complete,
    read_record,
    refuse_other_counts,
)
from affectkit.core.shards import POSITION, Listing
from affectkit.core.text import counted
from affectkit.data.loading.loaders import ReadFailure
from affectkit.data.media.file_identity import Mark
from affectkit.data.media.file_kinds import PassedOver
from affectkit.data.media.image_formats import read_by
from affectkit.errors import CheckpointError, DataError, UsageError
from affectkit.inference.inputs import Item
from affectkit.inference.journal import INPUTS_COLUMNS, Journal, anew, finished_items, input_values, is_of, read_inputs
from affectkit.inference.resume_plan import Plan, plan
from affectkit.inference.table_files import GROWING, Rows, csv_line, growing_form, open_text, rows_text
from affectkit.settings.inference import InferSettings

NAME = "Image Name"
FACE_COLUMNS = ("Face", "x", "y", "width", "height", "Detector Score")
"""Number of a face in its image, the largest first; its box in pixels of the upright image, as the detector gave it."""
FILM_PLACE = ("Frame", "Time")
ROWS = "inference_results"
INPUTS = "inputs.csv"
JOURNAL = "images.jsonl.part"
SHARED = ("paths", "recursive", "faces_by", "fit")
"""Entries of the record that must be alike for a rerun to resume."""
SKIPPED = "skipped.csv"
SKIPPED_COLUMNS = (NAME, "Reason")
RESULTS_RECORD = "inference.json"
COMMAND = "infer"
FIRST = 20
"""Skipped images that the record names."""


@dataclass
class Counts:
    """What a run came to: images with rows, their faces and rows, images skipped, those with frames not looked at."""

    images: int = 0
    faces: int = 0
    rows: int = 0
    skipped: int = 0
    moving: int = 0
    frames: int = 0

    def told(self, *, faced: bool) -> dict[str, Any]:
        """As records have them."""
        found = {"images": self.images, **({"faces": self.faces} if faced else {}), "skipped": self.skipped}
        if self.moving:
            found["more_frames"] = {"images": self.moving, "frames_not_looked_at": self.frames}
        return found

    def add_frames(self, frames: int) -> None:
        """Count an image that has so many frames, the first of which was looked at."""
        self.moving += frames > 1
        self.frames += frames - 1


class Output:
    """Where the rows of a run go, and what is known of it: the table, the skipped images, the record.

    The tables of a shard carry positions and stand in a folder of their own, in CSV or JSON lines (``affectkit merge``
    alone writes Parquet); its record is joined by that of the part, which is written last.

    Args:
        summary: what the record says from the start. header: columns of the table, the image name first.
        items: gives all images of this run, in order, anew each time; ``listing`` those of all shards.
        precision: the number format of the forward pass, which all shards must share.
        passed: files that were neither pictures nor films.
        wide: rows leave room for the columns of films, which come into the same table.

    Attributes:
        notes: what a user should know, after entering.
        plan: what an earlier run has done of ``items`` and what is left, after entering; None where nothing is.
    """

    def __init__(
        self,
        settings: InferSettings,
        summary: dict[str, Any],
        header: list[str],
        stdout: IO[str],
        *,
        items: Callable[[], Iterable[Item]] = tuple,
        listing: Callable[[], Listing] = Listing,
        precision: str = "fp32",
        passed: PassedOver | None = None,
        wide: bool = False,
    ) -> None:
        self.settings, self.summary, self.stdout = settings, summary, stdout
        self.items, self.listing = items, listing
        self.shard = value_of(settings.shard)
        self.faced, self.wide = FACE_COLUMNS[0] in header, wide
        if wide:
            header = [NAME, *FILM_PLACE, *FACE_COLUMNS, *header[1 + len(FACE_COLUMNS) * self.faced :]]
        self.columns = header
        self.header = header if self.shard is None else [POSITION, *header]
        self.identity = {**summary, "format": settings.format, "precision": precision}
        del self.identity["checkpoint"]  # the path; its hash stays
        told = {"passed_over": dict(passed.endings)} if passed is not None and passed.count else {}
        self.beside = {"read_by": read_by(), **told}
        self.form = growing_form(settings.format)
        self.counts = Counts()
        self.reasons: list[dict[str, str]] = []
        self.notes: list[str] = []
        self.plan: Plan | None = Plan()
        self.final = None
        self.table = Rows(stdout, self.header, self.form, begun=False)
        if settings.results is not None:
            self.folder = settings.results / (self.shard.folder if self.shard else "")
            self.final = self.folder / f"{ROWS}.{self.form if self.shard else settings.format}"
            self.record, self.skips = self.folder / RESULTS_RECORD, self.folder / SKIPPED
            self.part = self.folder / f"{ROWS}.{self.form}.part"
            line = csv_line(self.header) if self.form == "csv" else ""
            self.journal = Journal(self.part, self.folder / JOURNAL, line)

    @property
    def count(self) -> int:
        """Images accounted for, by earlier runs too."""
        return self.counts.images + self.counts.skipped + (len(self.plan.kept) if self.plan is not None else 0)

    def has(self, item: Item) -> bool:
        """Whether the rows of an image stand already."""
        return item.name in self.plan.kept

    def __enter__(self) -> Output:
        if self.final is None:
            return self
        if self.shard is not None:
            refuse_other_counts(self.settings.results, self.shard)
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._go_on():
            return self
        self.journal.open()
        return self

    def __exit__(self, *error: object) -> None:
        if self.final is not None and self.plan is not None:
            self.journal.close()

    def add(
        self,
        rows: list[list[Any]],
        failures: list[ReadFailure],
        marks: Mapping[int, tuple[Mark | None, int]] | None = None,
    ) -> None:
        """Write a batch: rows as ``predict`` gives them, position first, and images that failed.

        Args:
            marks: by position, what marks the file and how many frames it has.
        """
        marks = marks or {}
        done = [(own[0][0], own[0][1], own, "") for own in _images(rows)]
        done += [(f.index, f.name, [], readable(f.reason)) for f in failures]
        for position, name, own, reason in sorted(done, key=itemgetter(0)):
            mark, frames = marks.get(position, (None, 1))
            faces = sum(row[2] not in ("", None) for row in own) if self.faced else 0
            self._count(name, len(own), faces, frames, reason)
            if self.final is None:
                continue
            written = self._written(own) if self.shard else [row[1:] for row in self._written(own)]
            self.journal.write(rows_text(written, self.header, self.form))
            told = {"rows": len(own), "mark": mark, "frames": frames, "position": position}
            told |= {"faces": faces} if self.faced else {}
            self.journal.end(name, {**told, **({"reason": reason} if reason else {})})
        if self.final is None:
            self.table.add([row[1:] for row in self._written(rows)])
        else:
            self.journal.flush()

    def conclude(self) -> dict[str, Any]:
        """Write the record and give the table its final name; returns the record, and what had changed since before."""
        if self.final is None:
            return self._told()
        self.counts, self.reasons = Counts(), []
        with whole_file(self.folder / INPUTS) as part, whole_file(self.skips) as skips:
            self._write_lists(part, skips)
        if not self.counts.skipped:
            self.skips.unlink(missing_ok=True)
        record = self._told() | {"format": self.settings.format, "results": str(self.final)}
        record |= {"skipped_list": str(self.skips)} if self.counts.skipped else {}
        listing = self.listing() if self.shard is not None else None
        if listing is not None:
            record |= {"shard": str(self.shard), "listed": listing.count, "fingerprint": listing.fingerprint}
        # The record first: a table under its final name is never without it.
        write_json(self.record, record)
        self.journal.finish(self._names(), self.final)
        if listing is not None:
            self._end_part(listing)
        return record | self.plan.told()

    def discard(self) -> None:
        """Remove what was begun, where there turned out to be nothing to do."""
        if self.final is None:
            return
        self.journal.close()
        self.plan = None
        for path in (self.part, self.folder / JOURNAL, self.record):
            path.unlink(missing_ok=True)
        if self.shard is not None:
            (self.folder / PART_RECORD).unlink(missing_ok=True)
            self.folder.rmdir()

    def how_to_go_on(self) -> str:
        """The next step after a stop."""
        if self.final is None:
            return "Name --results DIR to be able to go on with --resume."
        return f"Go on with the same command and --resume; the rows so far are in {self.part}."

    def _names(self) -> Iterator[str]:
        return (item.name for item in self.items())

    def _told(self) -> dict[str, Any]:
        return {**self.summary, **self.beside, **self.counts.told(faced=self.faced), "skipped_first": self.reasons}

    def _written(self, rows: Sequence[list[Any]]) -> list[list[Any]]:
        """``rows`` as the table has them, position first."""
        if not self.wide:
            return list(rows)
        place = 2 + len(FACE_COLUMNS) * self.faced
        none = [None] * len(FACE_COLUMNS)
        return [[*row[:2], None, None, *(row[2:place] or none), *row[place:]] for row in rows]

    def _count(self, name: str, rows: int, faces: int, frames: int, reason: str) -> None:
        counts = self.counts
        counts.rows += rows
        counts.faces += faces
        if reason:
            counts.skipped += 1
            self.reasons += [{"image": name, "reason": reason}] if len(self.reasons) < FIRST else []
        else:
            counts.images += 1
            counts.add_frames(frames)

    def _write_lists(self, inputs: Path, skips: Path) -> None:
        """What marks each file, and what was skipped, in the order of the images; counts them."""
        begin = self.header[: self.header.index(NAME)]
        with open_text(inputs, "w") as listed, open_text(skips, "w") as skipped:
            listed.write(csv_line([*begin, NAME, *INPUTS_COLUMNS]))
            skipped.write(csv_line([*begin, *SKIPPED_COLUMNS]))
            for told in self.journal.told(self._names()):
                reason = told.get("reason", "")
                self._count(told["name"], told["rows"], told.get("faces", 0), told["frames"], reason)
                name = [told["position"], told["name"]] if begin else [told["name"]]
                listed.write(csv_line([*name, *input_values(told)]))
                if reason:
                    skipped.write(csv_line([*name, reason]))

    def _end_part(self, listing: Listing) -> None:
        tables = [Table(self.final.name, self.columns, self.counts.rows)]
        if self.counts.skipped:
            sync(self.skips)
            tables.append(Table(SKIPPED, SKIPPED_COLUMNS, self.counts.skipped))
        end_part(
            self.folder,
            self.shard,
            command=COMMAND,
            identity=self.identity,
            listing=listing,
            tables=tables,
            more={"summary": {**self.summary, **self.beside}},
        )

    def _go_on(self) -> bool:
        """Make the journal ready, with what an earlier run has done in it; False where that was everything."""
        whole = self.shard is not None and not self.settings.force and self._is_whole()
        if whole:
            self._check_record()
        if self.settings.resume or whole:
            grown = is_of(self.record, self.settings.format, growing=True)
            if grown and self.part.exists() and (self.folder / JOURNAL).exists():
                self._check_record()
                self.journal.recover()
                with contextlib.closing(self.journal.known()) as known:
                    return self._goes_on(known, finished=False)
            own = self.shard is not None or is_of(self.record, self.settings.format)
            if own and self.final.exists() and (self.folder / INPUTS).exists():
                self._check_record()
                columns = [*self.header[: self.header.index(NAME)], NAME]
                known = {told["name"]: told for told in read_inputs(self.folder / INPUTS, columns)}
                return self._goes_on(known, finished=True, whole=whole or self.shard is None)
        self._begin()
        return True

    def _goes_on(self, known: Mapping[str, dict[str, Any]], *, finished: bool, whole: bool = False) -> bool:
        """``_go_on`` where an earlier run has done the images ``known``; ``whole``: its record says that it ended."""
        retry = read_json(self.record).get("read_by") != self.beside["read_by"]
        self.plan = plan(self.items(), known, finished=finished, retry=retry, positions=self.shard is not None)
        nothing = self.plan.is_idle or (self.plan.is_as_it_was and not self.settings.resume)
        if finished and whole and nothing:
            self.journal.clear()
            self.plan = None
            return False
        if finished and not self.settings.resume:
            raise UsageError(
                f"{self.folder} is complete, but {self.plan.described}.",
                "Add --resume to bring it up to date, or --force to run this shard again.",
            )
        if finished and self.plan.described:
            self.notes.append(f"since {self.final} was written: {self.plan.described}")
        elif not finished:
            said = f"; since then: {self.plan.described}" if self.plan.described else ""
            self.notes.append(f"going on after {counted(len(self.plan.kept), 'image')}{said}")
        if self.shard is not None:  # first, so that no record ever tells of other files than stand beside it
            begin_part(self.folder, self.shard, command=COMMAND, identity=self.identity)
        if finished:
            place = self.header.index(NAME)
            items = finished_items(self.final, self.header, known.values(), place)
            reasons = self._reasons()
            self.journal.rebuild(
                (self._told_of(told, rows, place, reasons), raw)
                for told, rows, raw in items
                if told["name"] in self.plan.kept
            )
        return True

    def _reasons(self) -> dict[str, str]:
        """Why images were skipped, by name, as the finished list says."""
        if not self.skips.exists():
            return {}
        with open_text(self.skips, "r") as stream:
            return {row[-2]: row[-1] for row in csv.reader(stream)}

    def _told_of(
        self, told: dict[str, Any], rows: list[list[Any]], place: int, reasons: Mapping[str, str]
    ) -> dict[str, Any]:
        """What the journal says of an image of a finished table."""
        if not rows:
            return {**told, "reason": reasons.get(told["name"], "could not be read")}
        faces = {"faces": sum(row[place + 1] not in ("", None) for row in rows)} if self.faced else {}
        return {**told, **faces}

    def _begin(self) -> None:
        """Start afresh, where that is allowed."""
        parts = [self.folder / f"{ROWS}.{form}.part" for form in GROWING]
        names = (self.final, *parts, self.skips, self.folder / JOURNAL, self.folder / INPUTS)
        before = [path for path in names if path.exists()]
        if before and not (self.settings.force or self.settings.resume):
            raise UsageError(
                f"{before[0]} exists.", "Add --resume to go on with it, or to bring it up to date; --force replaces it."
            )
        if before and not self.settings.force:
            self._check_record()
            self.notes.append(anew(self.record, self.settings.format, str(before[0])))
        if self.shard is not None:  # first, so that no record ever tells of other files than stand beside it
            (self.folder / PART_RECORD).unlink(missing_ok=True)
        for path in before:
            path.unlink()
        if self.shard is not None:
            begin_part(self.folder, self.shard, command=COMMAND, identity=self.identity)
        write_json(self.record, {**self.summary, **self.beside, "format": self.settings.format})
        self.journal.begin()

    def _is_whole(self) -> bool:
        """Whether the part of this shard says that it is complete.

        Raises:
            DataError: it is damaged.
        """
        if not is_complete(self.folder):
            return False
        if lost := damage(Part(self.shard, self.folder, read_record(self.folder))):
            raise DataError(
                f"{self.folder} is complete, but damaged: {', '.join(lost)} missing or not as written.",
                "Add --force to run this shard again.",
            )
        return True

    def _check_record(self) -> None:
        before = read_json(self.record) if self.record.exists() else {}
        if before.get("checkpoint_sha256") != self.summary["checkpoint_sha256"]:
            raise CheckpointError(
                f"the rows in {self.folder} were made with another checkpoint.",
                "Name that checkpoint, another --results folder, or --force.",
            )
        if "every" in before:
            why = f"the rows in {self.folder} are those of films alone, and now there are pictures, too."
            raise UsageError(why, "Name another --results folder.")
        check_same(
            before,
            self.summary,
            keys=SHARED,
            what=f"the rows in {self.folder} were made otherwise",
            hint="Name the same images, another --results folder, or --force.",
        )
        if self.shard is None:
            return
        found = (read_record(self.folder) or {}).get("identity", {})
        check_same(
            found,
            self.identity,
            keys=self.identity,
            what=f"the rows in {self.folder} were made otherwise",
            hint="Add --force to run this shard again.",
        )


def _images(rows: Iterable[list[Any]]) -> Iterator[list[list[Any]]]:
    """The rows of each image together."""
    return (list(own) for _, own in itertools.groupby(rows, key=itemgetter(0)))
