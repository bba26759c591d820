"""The prediction table of images: flushed as it grows, continued after a stop, whole under its final name."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from affectkit.core.contained_paths import refuse_link
from affectkit.core.files import fsync_path, whole_file, write_json
from affectkit.core.forms import Count
from affectkit.core.shard_parts import (
    PART_RECORD,
    Part,
    Table,
    begin_part,
    damaged_tables,
    end_part,
    is_complete,
    list_anew,
    read_record,
    refuse_other_counts,
)
from affectkit.core.shards import POSITION, Listing
from affectkit.core.text import count_text, readable
from affectkit.data.loading.read_failures import ReadFailure
from affectkit.data.media.file_identity import Mark
from affectkit.data.media.file_kinds import PassedOver
from affectkit.data.media.image_formats import decoder_of
from affectkit.errors import DataError, UsageError
from affectkit.inference.inputs import Item
from affectkit.inference.journal import (
    ENTRY,
    input_columns,
    input_values,
    is_of,
    read_inputs,
    reason_to_restart,
)
from affectkit.inference.result_files import NO_RESULTS, ImageCounts, OutputOptions, ResultFiles, count_abstained
from affectkit.inference.resume_check import (
    check_columns,
    check_images,
    check_shard,
    describe_settled,
    settled_columns,
)
from affectkit.inference.resume_plan import ResumePlan, plan_resume
from affectkit.inference.run_record import read_run_record
from affectkit.inference.table_layout import (
    FACE_COLUMNS,
    FIRST,
    FRAME_COLUMNS,
    INPUTS,
    NAME,
    SKIPPED,
    SKIPPED_COLUMNS,
    has_limits,
)
from affectkit.inference.table_reader import CsvRows, finished_items
from affectkit.inference.table_writer import TableWriter, csv_line, growing_form, open_text, rows_text
from affectkit.tasks.decision import ABSTAINED

JOURNAL = "images.jsonl.part"
COMMAND = "infer"
IMAGE_ENTRY = {**ENTRY, "frames": Count, "position": Count}
"""What the journal says of an image, beside its ``end``."""


class PredictionTable:
    """Write the rows of images, and keep what is known of them: the table, the skipped images, the record.

    The tables of a shard carry positions and stand in a folder of their own, in CSV or JSON lines (``affectkit merge``
    alone writes Parquet); its record is joined by that of the part, which is written last.

    Args:
        options: where all of it goes.
        summary: what the record says from the start.
        header: columns of the table, the image name first.
        stdout: where rows go without results.
        items: gives all images of this run, in order; each call starts at the first.
        listing: gives the names of those of all shards.
        precision: the number format of the forward pass, which all shards must share.
        passed: files that were neither images nor videos.
        with_videos: rows leave room for the columns of videos, which come into the same table.

    Attributes:
        notes: what a user should know, after entering.
        plan: what an earlier run has done of ``items`` and what is left, after entering; None where nothing is.
    """

    def __init__(
        self,
        options: OutputOptions,
        summary: dict[str, Any],
        header: list[str],
        stdout: IO[str],
        *,
        items: Callable[[], Iterable[Item]] = tuple,
        listing: Callable[[], Listing] = Listing,
        precision: str = "fp32",
        passed: PassedOver | None = None,
        with_videos: bool = False,
    ) -> None:
        self.options, self.summary, self.items, self.listing = options, summary, items, listing
        self.shard, self.form = options.shard, growing_form(options.format)
        self.with_faces, self.with_videos = FACE_COLUMNS[0] in header, with_videos
        self.with_limits, self.with_abstained = has_limits(summary), header[-1] == ABSTAINED
        if with_videos:
            header = [NAME, *FRAME_COLUMNS, *FACE_COLUMNS, *header[1 + len(FACE_COLUMNS) * self.with_faces :]]
        self.columns = header
        self.header = header if self.shard is None else [POSITION, *header]
        self.identity = {**summary, "format": options.format, "precision": precision}
        del self.identity["checkpoint"]  # the path; its hash stays
        passed_over = {"passed_over": dict(passed.endings)} if passed is not None and passed.count else {}
        self.beside = {"read_by": decoder_of(), **passed_over}
        self.counts = ImageCounts()
        self.reasons: list[dict[str, str]] = []
        self.notes: list[str] = []
        self.plan: ResumePlan | None = ResumePlan()
        self.writer = TableWriter(stdout, self.header, self.form, begun=False)
        self.files: ResultFiles | None = None
        self._places: list[int] | None = None
        if options.results is not None:
            self.files = self._result_files()

    def _result_files(self) -> ResultFiles:
        folder = self.options.results / (self.shard.folder if self.shard else "")
        form = self.form if self.shard else self.options.format
        if self.shard:
            refuse_link(folder, "the folder")
        return ResultFiles(folder, format=form, header=self.header, journal=JOURNAL, entry=IMAGE_ENTRY)

    @property
    def count(self) -> int:
        """Return how many images are accounted for, by earlier runs too."""
        return self.counts.images + self.counts.skipped + (len(self.plan.kept) if self.plan is not None else 0)

    @property
    def final(self) -> Path | None:
        """Return the path of the finished table; None without results."""
        return self.files.final if self.files else None

    @property
    def is_as_it_was(self) -> bool:
        """Return whether the table, once written again, is the one that stood there."""
        return self.plan is not None and self.plan.is_as_it_was and self.counts.skipped == self.plan.unread

    def remaining(self) -> Iterator[Item]:
        """Yield the images whose rows do not stand yet."""
        return (item for item in self.items() if item.name not in self.plan.kept)

    def __enter__(self) -> PredictionTable:
        if self.files is None:
            return self
        if self.shard is not None:
            refuse_other_counts(self.options.results, self.shard)
        self.files.folder.mkdir(parents=True, exist_ok=True)
        if self._find_earlier_run():
            self.files.journal.open()
        return self

    def __exit__(self, *error: object) -> None:
        if self.files is not None and self.plan is not None:
            self.files.journal.close()

    def add(
        self,
        rows: list[list[Any]],
        failures: list[ReadFailure],
        marks: Mapping[int, tuple[Mark | None, int]] | None = None,
        left_out: Mapping[int, Mapping[str, int]] | None = None,
    ) -> None:
        """Write a batch.

        Args:
            rows: as ``inference.images.Batch`` has them, position first.
            failures: images that could not be read.
            marks: by position, what marks the file and how many frames it has.
            left_out: by position, how many faces were left out by reason.
        """
        marks, left_out = marks or {}, left_out or {}
        done = [(own[0][0], own[0][1], own, "") for own in _by_image(rows)]
        done += [(f.index, f.name, [], readable(f.reason)) for f in failures]
        for position, name, own, reason in sorted(done, key=itemgetter(0)):
            mark, frames = marks.get(position, (None, 1))
            faces = sum(row[2] not in ("", None) for row in own) if self.with_faces else 0
            entry = {"rows": len(own), "faces": faces, "frames": frames, "left_out": dict(left_out.get(position, {}))}
            abstained = {"abstained": count_abstained(own)} if self.with_abstained else {}
            entry |= abstained
            self._count(name, entry, reason)
            if self.files is None:
                continue
            written = self._written(own) if self.shard else [row[1:] for row in self._written(own)]
            self.files.journal.write(rows_text(written, self.header, self.form))
            values = {"rows": len(own), "mark": mark, "frames": frames, "position": position}
            values |= {"faces": faces} if self.with_faces else {}
            values |= abstained
            values |= {"left_out": entry["left_out"]} if entry["left_out"] else {}
            self.files.journal.end(name, {**values, **({"reason": reason} if reason else {})})
        if self.files is None:
            self.writer.add([row[1:] for row in self._written(rows)])
        else:
            self.files.journal.flush()

    def conclude(self) -> dict[str, Any]:
        """Write the record and give the table its final name; return the record, and what had changed since before.

        Raises:
            DataError: no shard had an image; nothing is left behind.
        """
        if not self.count and not any(True for _ in self.items()) and not self.listing().count:
            self._discard()
            raise DataError("there was no image to predict.", "A list on standard input has a path a line: - < LIST.")
        if self.files is None:
            return self._record()
        files = self.files
        self.counts, self.reasons = ImageCounts(), []
        with whole_file(files.folder / INPUTS) as inputs, whole_file(files.skipped) as skipped:
            self._write_lists(inputs, skipped)
        if not self.counts.skipped:
            files.skipped.unlink(missing_ok=True)
        record = self._record() | {"format": self.options.format, "results": str(files.final)}
        record |= {"skipped_list": str(files.skipped)} if self.counts.skipped else {}
        listing = self.listing() if self.shard is not None else None
        if listing is not None:
            record |= {"shard": str(self.shard), "listed": listing.count, "fingerprint": listing.fingerprint}
        # The record first: a table under its final name is never without it.
        write_json(files.record, record)
        files.journal.finish(self._names(), files.final)
        if listing is not None:
            self._end_part(listing)
        return record | self.plan.summary()

    def how_to_resume(self) -> str:
        """Return the next step after a stop."""
        return NO_RESULTS if self.files is None else self.files.how_to_resume()

    def _discard(self) -> None:
        """Remove what was begun, where there turned out to be nothing to do."""
        if self.files is None:
            return
        self.files.journal.close()
        self.plan = None
        for path in (self.files.part, self.files.lines, self.files.record):
            path.unlink(missing_ok=True)
        if self.shard is not None:
            (self.files.folder / PART_RECORD).unlink(missing_ok=True)
            self.files.folder.rmdir()

    def _names(self) -> Iterator[str]:
        return (item.name for item in self.items())

    def _record(self) -> dict[str, Any]:
        given = {"with_limits": self.with_limits, "with_abstained": self.with_abstained}
        counts = self.counts.summary(with_faces=self.with_faces, **given)
        return {**self.summary, **self.beside, **counts, "skipped_first": self.reasons}

    def _written(self, rows: Sequence[list[Any]]) -> list[list[Any]]:
        """Return ``rows`` as the table has them, position first."""
        if self._places is not None:
            return [[row[0], *(row[place] for place in self._places)] for row in rows]
        if not self.with_videos:
            return list(rows)
        end = 2 + len(FACE_COLUMNS) * self.with_faces
        none = [None] * len(FACE_COLUMNS)
        return [[*row[:2], None, None, *(row[2:end] or none), *row[end:]] for row in rows]

    def _count(self, name: str, entry: Mapping[str, Any], reason: str) -> None:
        """Count an image: ``rows``, ``frames`` and where there are any ``faces`` and ``left_out`` of its entry."""
        counts, faces = self.counts, entry.get("faces", 0)
        counts.rows += entry["rows"]
        counts.faces += faces
        counts.abstained += entry.get("abstained", 0)
        counts.left_out.update(entry.get("left_out", {}))
        if reason:
            counts.skipped += 1
            # Without a results folder there is no list of them, so that all are told here.
            told = self.files is None or len(self.reasons) < FIRST
            self.reasons += [{"image": name, "reason": reason}] if told else []
        else:
            counts.images += 1
            if self.with_faces and not faces:
                counts.add_empty(name)
            counts.add_frames(entry["frames"])

    def _write_lists(self, inputs: Path, skips: Path) -> None:
        """Write what marks each file, and what was skipped, in the order of the images; count them."""
        begin = self.header[: self.header.index(NAME)]
        with open_text(inputs, "w") as listed, open_text(skips, "w") as skipped:
            listed.write(csv_line([*begin, NAME, *input_columns(self.with_limits)]))
            skipped.write(csv_line([*begin, *SKIPPED_COLUMNS]))
            for entry in self.files.journal.read(self._names()):
                reason = entry.get("reason", "")
                self._count(entry["name"], entry, reason)
                name = [entry["position"], entry["name"]] if begin else [entry["name"]]
                listed.write(csv_line([*name, *input_values(entry, self.with_limits)]))
                if reason:
                    skipped.write(csv_line([*name, reason]))

    # --- shards ---

    def _begin_part(self) -> None:
        if self.shard is not None:
            begin_part(self.files.folder, self.shard, command=COMMAND, identity=self.identity)

    def _end_part(self, listing: Listing) -> None:
        tables = [Table(self.files.final.name, self.columns, self.counts.rows)]
        if self.counts.skipped:
            fsync_path(self.files.skipped)
            tables.append(Table(SKIPPED, SKIPPED_COLUMNS, self.counts.skipped))
        more = {"summary": {**self.summary, **self.beside}}
        named = {"command": COMMAND, "identity": self.identity, "listing": listing}
        end_part(self.files.folder, self.shard, tables=tables, more=more, **named)

    def _list_anew(self) -> None:
        """Record that images of other shards have come or gone, which leaves the rows of this one as they are."""
        listing = self.listing() if self.shard is not None else None
        if listing is None or not list_anew(self.files.folder, self.shard, listing):
            return
        seen = {"listed": listing.count, "fingerprint": listing.fingerprint}
        write_json(self.files.record, {**read_run_record(self.files.record), **seen})
        self.notes.append(f"{count_text(listing.count, 'image is', 'images are')} listed now; its own are as they were")

    def _is_whole(self) -> bool:
        """Return whether the part of this shard says that it is complete.

        Raises:
            DataError: it is damaged.
        """
        folder = self.files.folder
        if not is_complete(folder):
            return False
        if lost := damaged_tables(Part(self.shard, folder, read_record(folder))):
            raise DataError(
                f"{folder} is complete, but damaged: {', '.join(lost)} missing or not as written.",
                "Add --force to run this shard again.",
            )
        return True

    # --- earlier runs ---

    def _check(self) -> None:
        check_images(self.files.record, self.summary)
        if self.shard is not None:
            check_shard(self.files.folder, self.identity)

    def _settle_columns(self, table: Path) -> ResultFiles:
        """Take the columns of a ``table`` of an earlier version that lacks nothing but what can be left out; refuse one
        that lacks more. Return the files of the table with these columns."""
        settled = settled_columns(table, self.header, searched=self.with_faces)
        if settled != self.header:
            self.notes += describe_settled(table, self.header, settled)
            kept = settled[settled.index(NAME) :]
            self._places = [1 + self.columns.index(name) for name in kept]
            self.header, self.columns = settled, kept
            self.files = self._result_files()
        check_columns(table, self.header)
        return self.files

    def _find_earlier_run(self) -> bool:
        """Make the journal ready, with what an earlier run has done in it; False where that was everything."""
        files, form = self.files, self.options.format
        whole = self.shard is not None and not self.options.force and self._is_whole()
        if whole:
            check_columns(files.final, self.header)
            self._check()
        if self.options.resume or whole:
            if is_of(files.record, form, growing=True) and files.is_growing:
                files = self._settle_columns(files.part)
                self._check()
                files.journal.recover()
                with contextlib.closing(files.journal.known()) as known:
                    return self._resume(known, finished=False)
            own = self.shard is not None or is_of(files.record, form)
            if own and files.final.exists() and (files.folder / INPUTS).exists():
                files = self._settle_columns(files.final)
                self._check()
                columns = [*self.header[: self.header.index(NAME)], NAME]
                known = {entry["name"]: entry for entry in read_inputs(files.folder / INPUTS, columns)}
                return self._resume(known, finished=True, whole=whole or self.shard is None)
        self._begin()
        return True

    def _resume(self, known: Mapping[str, dict[str, Any]], *, finished: bool, whole: bool = False) -> bool:
        """Read the images ``known``, which an earlier run has done; return False where nothing is left.

        Args:
            known: entries by name.
            finished: whether that run has given the table its final name.
            whole: whether its record says that it ended.
        """
        files = self.files
        retry = read_run_record(files.record).get("read_by") != self.beside["read_by"]
        self.plan = plan_resume(self.items(), known, finished=finished, retry=retry, positions=self.shard is not None)
        nothing = self.plan.is_idle or (self.plan.is_as_it_was and not self.options.resume)
        if finished and whole and nothing:
            files.journal.clear()
            self._list_anew()
            self.plan = None
            return False
        if finished and not self.options.resume:
            raise UsageError(
                f"{files.folder} is complete, but {self.plan.described}.",
                "Add --resume to bring it up to date, or --force to run this shard again.",
            )
        if finished and self.plan.described:
            self.notes.append(f"since {files.final} was written: {self.plan.described}")
        elif not finished:
            changes = f"; since then: {self.plan.described}" if self.plan.described else ""
            self.notes.append(f"resuming after {count_text(len(self.plan.kept), 'image')}{changes}")
        self._begin_part()  # first, so that no record ever names other files than stand beside it
        if finished:
            column, reasons = self.header.index(NAME), self._earlier_reasons()
            items = finished_items(files.final, self.header, known.values(), column)
            kept = ((entry, rows, raw) for entry, rows, raw in items if entry["name"] in self.plan.kept)
            files.journal.rebuild((self._completed(entry, rows, column, reasons), raw) for entry, rows, raw in kept)
        return True

    def _earlier_reasons(self) -> dict[str, str]:
        """Return why images were skipped, by name, as the finished list says."""
        if not self.files.skipped.exists():
            return {}
        width = len(self.header[: self.header.index(NAME)]) + len(SKIPPED_COLUMNS)
        return {row[-2]: row[-1] for row in CsvRows(self.files.skipped, width)}

    def _completed(
        self, entry: dict[str, Any], rows: list[list[Any]], column: int, reasons: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return the journal's entry of an image of a finished table."""
        if not rows:
            return {**entry, "reason": reasons.get(entry["name"], "could not be read")}
        faces = {"faces": sum(row[column + 1] not in ("", None) for row in rows)} if self.with_faces else {}
        return {**entry, **faces, **({"abstained": count_abstained(rows)} if self.with_abstained else {})}

    def _begin(self) -> None:
        """Start afresh, where that is allowed."""
        files, form = self.files, self.options.format
        before = files.existing([INPUTS], self.options)
        if before and not self.options.force:
            self._check()
            self.notes.append(reason_to_restart(files.record, form, str(before[0])))
        if self.shard is not None:  # first, so that no record ever names other files than stand beside it
            (files.folder / PART_RECORD).unlink(missing_ok=True)
        for path in before:
            path.unlink()
        self._begin_part()
        write_json(files.record, {**self.summary, **self.beside, "format": form})
        files.journal.begin()


def _by_image(rows: Iterable[list[Any]]) -> Iterator[list[list[Any]]]:
    """Yield the rows of each image together."""
    return (list(own) for _, own in itertools.groupby(rows, key=itemgetter(0)))
