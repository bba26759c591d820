"""The growing table of an inference: flushed as it is made, continued after a stop, whole under its final name."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from affectkit.core.files import read_json, sync, whole_file, write_json
from affectkit.core.shards import (
    PART_RECORD,
    POSITION,
    Listing,
    Part,
    Shard,
    Table,
    begin_part,
    damage,
    end_part,
    is_complete,
    read_record,
    refuse_other_counts,
)
from affectkit.data.loading import Failure
from affectkit.errors import CheckpointError, DataError, UsageError
from affectkit.runners.settings_tested import InferSettings
from affectkit.runners.tables import number

NAME = "Image Name"
FACE_COLUMNS = ("Face", "x", "y", "width", "height", "Detector Score")
"""Number of a face in its image, the largest first; its box in pixels of the upright image, as the detector gave it."""
ROWS = "inference_results"
SKIPPED = "skipped.csv"
SKIPPED_COLUMNS = (NAME, "Reason")
RESULTS_RECORD = "inference.json"
COMMAND = "infer"
FIRST = 20
"""Skipped images that the record names."""


class Rows:
    """A growing table in CSV or JSON lines: what is flushed stays, a torn last line is cut when it is continued.

    Args:
        stream: where text goes. header: column names. form: ``csv`` or ``jsonl``.
        begun: whether the header line stands already; it is written with the first rows, so that a command that
            fails before them has printed nothing.
    """

    def __init__(self, stream: IO[str], header: list[str], form: str, *, begun: bool) -> None:
        self.stream, self.header, self.form = stream, header, form
        self.begun = begun or form != "csv"

    def add(self, rows: list[list[Any]]) -> None:
        """Append ``rows`` and flush."""
        if not self.begun:
            self.stream.write(csv_line(self.header))
            self.begun = True
        if self.form == "csv":
            self.stream.writelines(csv_line([number(value) for value in row]) for row in rows)
        else:
            self.stream.writelines(
                json.dumps(
                    {
                        key: round(value, 6) if isinstance(value, float) else value
                        for key, value in zip(self.header, row, strict=True)
                    },
                    ensure_ascii=False,
                )
                + "\n"
                for row in rows
            )
        self.stream.flush()


class Output:
    """Where the rows of a run go, and what is known of it: the table, the skipped images, the record.

    The tables of a shard carry positions and stand in a folder of their own, in CSV or JSON lines (``affectkit merge``
    alone writes Parquet); its record is joined by that of the part, which is written last.

    Args:
        summary: what the record says from the start. header: columns of the table, the image name first.
        precision: the number format of the forward pass, which all shards must share.

    Attributes:
        done: what an earlier run has accounted for, after entering: names, or for a shard names by position; None
            where the table is complete.
    """

    def __init__(
        self,
        settings: InferSettings,
        summary: dict[str, Any],
        header: list[str],
        stdout: IO[str],
        *,
        precision: str = "fp32",
    ) -> None:
        self.settings, self.summary, self.stdout = settings, summary, stdout
        self.shard = Shard.parse(settings.shard) if settings.shard else None
        self.columns = header
        self.header = header if self.shard is None else [POSITION, *header]
        self.identity = {**summary, "format": settings.format, "precision": precision}
        del self.identity["checkpoint"]  # the path; its hash stays
        self.form = "jsonl" if settings.format == "parquet" else settings.format
        self.faced = FACE_COLUMNS[0] in header
        self.rows = self.images = self.faces = self.skipped = 0
        self.reasons: list[dict[str, str]] = []
        self.done: set[str] | dict[int, str] | None = set()
        self.final = self.record = self.part = self.skips = None
        if settings.results is not None:
            self.folder = settings.results / (self.shard.folder if self.shard else "")
            self.final = self.folder / f"{ROWS}.{self.form if self.shard else settings.format}"
            self.record = self.folder / RESULTS_RECORD
            self.part = self.folder / f"{ROWS}.{self.form}.part"
            self.skips = self.folder / SKIPPED

    @property
    def count(self) -> int:
        """Images accounted for."""
        return self.images + self.skipped

    def has(self, position: int, name: str) -> bool:
        """Whether an earlier run has accounted for an image.

        Raises:
            DataError: in a shard, that run saw another image at this position.
        """
        if self.shard is None:
            return name in self.done
        before = self.done.get(position) if self.done else None
        if before not in (None, name):
            raise self._changed(f"image {position} was {before!r} then and is {name!r} now")
        return before is not None

    def __enter__(self) -> Output:
        if self.final is None:
            self._open(self.stdout, None)
            return self
        if self.shard is not None:
            refuse_other_counts(self.settings.results, self.shard)
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._is_complete():
            self._check_record()
            self.done = None
            return self
        if self.settings.resume:
            if self.shard is not None and self.final.exists():  # ended before the part's record was written
                os.replace(self.final, self.part)
            if self.part.exists():
                self._check_record()
                self.done = self._recover()
                self._open(open_text(self.part, "a"), open_text(self.skips, "a"))
                return self
        before = [path for path in (self.final, self.part, self.skips) if path.exists()]
        if before and not self.settings.force:
            raise UsageError(f"{before[0]} exists.", "Add --resume to go on with it, or --force to replace it.")
        if self.shard is not None:  # first, so that no record ever tells of other files than stand beside it
            (self.folder / PART_RECORD).unlink(missing_ok=True)
        for path in before:
            path.unlink()
        if self.shard is not None:
            begin_part(self.folder, self.shard, command=COMMAND, identity=self.identity)
        write_json(self.record, self.summary)
        self._open(open_text(self.part, "w"), open_text(self.skips, "w"))
        return self

    def __exit__(self, *error: object) -> None:
        if self.final is not None and self.done is not None:
            self.stream.close()
            self.skip_stream.close()

    def add(self, rows: list[list[Any]], failures: list[Failure]) -> None:
        """Write a batch: rows as ``predict`` gives them, position first, and images that failed."""
        self.table.add(rows if self.shard else [row[1:] for row in rows])
        self._count([row[1:] for row in rows])
        self.skipped += len(failures)
        self.reasons += [{"image": f.name, "reason": f.reason} for f in failures[: max(0, FIRST - len(self.reasons))]]
        if self.skip_stream is not None and failures:
            placed = ([f.index, f.name, f.reason] for f in failures)
            self.skip_stream.writelines(csv_line(row if self.shard else row[1:]) for row in placed)
            self.skip_stream.flush()

    def _count(self, rows: list[list[Any]]) -> None:
        """Take in ``rows``, name first, as many images whole."""
        self.rows += len(rows)
        self.images += sum(1 for _ in itertools.groupby(rows, key=itemgetter(0)))
        if self.faced:
            self.faces += sum(row[1] not in ("", None) for row in rows)

    def conclude(self, listing: Listing) -> dict[str, Any]:
        """Write the record and give the table its final name; returns the record.

        Args:
            listing: all images, those of other shards too.
        """
        counts = {"images": self.images, **({"faces": self.faces} if self.faced else {}), "skipped": self.skipped}
        record = {**self.summary, **counts, "skipped_first": self.reasons}
        if self.final is None:
            return record
        if self.shard is not None and self.done and max(self.done) >= listing.count:
            raise self._changed(f"there were more than {max(self.done)} images then and are {listing.count} now")
        if not self.skipped:
            self.skips.unlink(missing_ok=True)
        record |= {"results": str(self.final)} | ({"skipped_list": str(self.skips)} if self.skipped else {})
        if self.shard is not None:
            record |= {"shard": str(self.shard), "listed": listing.count, "fingerprint": listing.fingerprint}
        # The record first: once the table has its final name, a rerun reads the record and does nothing.
        write_json(self.record, record)
        end_table(self.part, self.final)
        if self.shard is not None:
            self._end_part(listing)
        return record

    def _end_part(self, listing: Listing) -> None:
        tables = [Table(self.final.name, self.columns, self.rows)]
        if self.skipped:
            sync(self.skips)
            tables.append(Table(SKIPPED, SKIPPED_COLUMNS, self.skipped))
        end_part(
            self.folder,
            self.shard,
            command=COMMAND,
            identity=self.identity,
            listing=listing,
            tables=tables,
            more={"summary": self.summary},
        )

    def discard(self) -> None:
        """Remove what was begun, where there turned out to be nothing to do."""
        for path in filter(None, (self.part, self.skips, self.record)):
            path.unlink(missing_ok=True)
        if self.final is not None and self.shard is not None:
            (self.folder / PART_RECORD).unlink(missing_ok=True)
            self.folder.rmdir()

    def how_to_go_on(self) -> str:
        """The next step after a stop."""
        if self.final is None:
            return "Name --results DIR to be able to go on with --resume."
        return f"Go on with the same command and --resume; the rows so far are in {self.part}."

    def _open(self, stream: IO[str], skips: IO[str] | None) -> None:
        self.stream, self.skip_stream = stream, skips
        begun = self.part is not None and self.part.stat().st_size > 0
        if self.skips is not None and self.skips.stat().st_size == 0:
            skips.write(csv_line([*self.header[: self.header.index(NAME)], *SKIPPED_COLUMNS]))
            skips.flush()
        self.table = Rows(stream, self.header, self.form, begun=begun)
        if self.shard is not None:
            self.table.add([])  # the header, for a shard may have no image

    def _is_complete(self) -> bool:
        """Whether there is nothing to do; of a shard also without ``--resume``, for it is known what belongs there."""
        if self.shard is None:
            return self.settings.resume and self.final.exists()
        if self.settings.force or not is_complete(self.folder):
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
        same = ("paths", "recursive", "faces_by", "fit")
        if [before.get(key) for key in same] != [self.summary.get(key) for key in same]:
            was = " ".join(before["paths"]) + (" --recursive" if before["recursive"] else "")
            was += f" --faces {before['faces_by']}" if before.get("faces_by") else ""
            if "fit" in self.summary:
                was += f" --fit {before['fit']}" if "fit" in before else ", made before the fit was recorded"
            raise UsageError(
                f"the rows in {self.folder} are those of: {was}.",
                "Name the same images, another --results folder, or --force.",
            )
        if self.shard is None:
            return
        found = (read_record(self.folder) or {}).get("identity", {})
        if other := [key for key, value in self.identity.items() if found.get(key) != value]:
            said = ", ".join(f"{key} {found.get(key)} there, {self.identity[key]} now" for key in other)
            raise UsageError(
                f"the rows in {self.folder} were made otherwise: {said}.", "Add --force to run this shard again."
            )

    def _without_last(self, rows: list[list[Any]], whole: bytes) -> list[list[Any]]:
        """Cut the rows of the last image off the table, whose bytes are ``whole``; returns those before them."""
        place = self.header.index(NAME)
        kept = list(itertools.takewhile(lambda row: row[place] != rows[-1][place], rows))
        if self.form == "csv":
            lost = len("".join(map(csv_line, rows[len(kept) :])).encode("utf-8", "surrogateescape"))
        else:
            lost = sum(len(line) for line in whole.splitlines(keepends=True)[len(kept) :])
        self.part.write_bytes(whole[: len(whole) - lost])
        return kept

    def _changed(self, how: str) -> DataError:
        return DataError(
            f"the images have changed since {self.folder} was begun: {how}.",
            "Add --force to run this shard again; affectkit merge will say whether others must be too.",
        )

    def _recover(self) -> set[str] | dict[int, str]:
        """Cut a torn last line off the table and the skipped list, and return what is accounted for."""
        found: list[list[Any]] = []
        for path, form, kind in ((self.part, self.form, "rows"), (self.skips, "csv", "skipped")):
            whole = path.read_bytes() if path.exists() else b""
            whole = whole[: whole.rfind(b"\n") + 1]
            while form == "csv" and whole.count(b'"') % 2:  # torn at the end of a line that a name holds
                whole = whole[: whole.rfind(b"\n", 0, -1) + 1]
            with path.open("wb") as stream:
                stream.write(whole)
            # Not splitlines: names may hold what Unicode counts as the end of a line.
            lines = whole.decode("utf-8", "surrogateescape").split("\n")[:-1]
            if form == "csv":
                rows = list(csv.reader(line + "\n" for line in lines))[1:]
            else:
                rows = [list(json.loads(line).values()) for line in lines]
            if kind == "rows":
                if self.faced and rows:  # of the last image rows may be missing: it is done anew
                    rows = self._without_last(rows, whole)
                self._count([row[self.shard is not None :] for row in rows])
            found += rows
            if kind == "skipped":
                self.skipped = len(rows)
                self.reasons = [{"image": row[-2], "reason": row[-1]} for row in rows[:FIRST]]
        if self.shard is None:
            return {row[0] for row in found}
        return {int(row[0]): row[1] for row in found}


def open_text(path: Path, mode: str) -> IO[str]:
    """A table file; names that are not UTF-8 go through it unchanged."""
    return path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")


def csv_line(values: list[Any]) -> str:
    """One line; where a value holds the end of one, all are quoted."""
    odd = any(isinstance(value, str) and ("\r" in value or "\n" in value) for value in values)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL).writerow(values)
    return buffer.getvalue()


def end_table(part: Path, final: Path) -> None:
    """Give a growing table that is complete its final name, and form."""
    if final.suffix == ".parquet":
        to_parquet(part, final)
        part.unlink()
    else:
        sync(part)
        os.replace(part, final)


def to_parquet(source: Path, target: Path, rows: int = 50_000) -> None:
    """Rewrite a JSON-lines table as Parquet, a row group at a time, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    with whole_file(target) as part:
        for group in _groups(source, rows):
            table = pa.Table.from_pylist(group, schema=writer.schema if writer else None)
            empty = [name for name in table.column_names if pa.types.is_null(table.schema.field(name).type)]
            if writer is None and empty:  # what a column holds shows further down, where a face was found
                table = table.cast(_typed(pa, table.schema, source, empty, rows))
            writer = writer or pq.ParquetWriter(part, table.schema)
            writer.write_table(table)
        writer.close()


def _groups(source: Path, rows: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of a JSON-lines table, ``rows`` at a time; one group without any where there are none."""
    with open_text(source, "r") as stream:
        lines = map(json.loads, stream)
        first = True
        while (group := list(itertools.islice(lines, rows))) or first:
            first = False
            yield group


def _typed(pa: Any, schema: Any, source: Path, names: list[str], rows: int) -> Any:
    """``schema`` with the types that the columns ``names`` have anywhere in the table; null where nowhere."""
    left = set(names)
    for group in _groups(source, rows):
        for name in sorted(left):
            values = [row[name] for row in group if row[name] is not None]
            if values:
                place = schema.get_field_index(name)
                schema = schema.set(place, pa.field(name, pa.array(values).type))
                left.remove(name)
        if not left:
            break
    return schema
