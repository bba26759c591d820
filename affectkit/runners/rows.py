"""The growing table of an inference: flushed as it is made, continued after a stop, whole under its final name."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import IO, Any

from affectkit.core.files import read_json, sync, whole_file, write_json
from affectkit.data.loading import Failure
from affectkit.errors import CheckpointError, UsageError
from affectkit.runners.settings import InferSettings
from affectkit.runners.tables import number

NAME = "Image Name"
ROWS = "inference_results"


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
            self.stream.write(_csv_line(self.header))
            self.begun = True
        if self.form == "csv":
            self.stream.writelines(_csv_line([number(value) for value in row]) for row in rows)
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
    """Where the rows of a run go, and what is known of it: the table, the skipped images, the record."""

    def __init__(self, settings: InferSettings, summary: dict[str, Any], header: list[str], stdout: IO[str]) -> None:
        self.settings, self.summary, self.header, self.stdout = settings, summary, header, stdout
        self.form = "jsonl" if settings.format == "parquet" else settings.format
        self.rows = self.skipped = 0
        self.reasons: list[dict[str, str]] = []
        self.done: set[str] | None = set()
        self.final = self.record = self.part = self.skips = None
        if settings.results is not None:
            self.final = settings.results / f"{ROWS}.{settings.format}"
            self.record = settings.results / "inference.json"
            self.part = settings.results / f"{ROWS}.{self.form}.part"
            self.skips = settings.results / "skipped.csv"

    @property
    def count(self) -> int:
        """Images accounted for."""
        return self.rows + self.skipped

    def __enter__(self) -> Output:
        if self.final is None:
            self._open(self.stdout, None)
            return self
        self.settings.results.mkdir(parents=True, exist_ok=True)
        if self.settings.resume and self.final.exists():
            self._check_record()
            self.done = None
            return self
        if self.settings.resume and self.part.exists():
            self._check_record()
            self.done = self._recover()
            self._open(_text(self.part, "a"), _text(self.skips, "a"))
            return self
        for old in (self.final, self.part, self.skips):
            if old.exists() and not self.settings.force:
                raise UsageError(f"{old} exists.", "Add --resume to go on with it, or --force to replace it.")
            old.unlink(missing_ok=True)
        write_json(self.record, self.summary)
        self._open(_text(self.part, "w"), _text(self.skips, "w"))
        return self

    def __exit__(self, *error: object) -> None:
        if self.final is not None and self.done is not None:
            self.stream.close()
            self.skip_stream.close()

    def add(self, rows: list[list[Any]], failures: list[Failure]) -> None:
        """Write a batch's rows and reasons."""
        self.table.add(rows)
        self.rows += len(rows)
        self.skipped += len(failures)
        self.reasons += [{"image": f.name, "reason": f.reason} for f in failures[: max(0, 20 - len(self.reasons))]]
        if self.skip_stream is not None and failures:
            self.skip_stream.writelines(_csv_line([f.name, f.reason]) for f in failures)
            self.skip_stream.flush()

    def conclude(self) -> dict[str, Any]:
        """Write the record and give the table its final name; returns the record."""
        record = {**self.summary, "images": self.rows, "skipped": self.skipped, "skipped_first": self.reasons}
        if self.final is None:
            return record
        if not self.skipped:
            self.skips.unlink(missing_ok=True)
        record |= {"results": str(self.final)} | ({"skipped_list": str(self.skips)} if self.skipped else {})
        # The record first: once the table has its final name, a rerun reads the record and does nothing.
        write_json(self.record, record)
        if self.settings.format == "parquet":
            _to_parquet(self.part, self.final)
            self.part.unlink()
        else:
            sync(self.part)
            os.replace(self.part, self.final)
        return record

    def discard(self) -> None:
        """Remove what was begun, where there turned out to be nothing to do."""
        for path in filter(None, (self.part, self.skips, self.record)):
            path.unlink(missing_ok=True)

    def how_to_go_on(self) -> str:
        """The next step after a stop."""
        if self.final is None:
            return "Name --results DIR to be able to go on with --resume."
        return f"Go on with the same command and --resume; the rows so far are in {self.part}."

    def _open(self, stream: IO[str], skips: IO[str] | None) -> None:
        self.stream, self.skip_stream = stream, skips
        begun = self.part is not None and self.part.stat().st_size > 0
        if self.skips is not None and self.skips.stat().st_size == 0:
            skips.write(_csv_line([NAME, "Reason"]))
            skips.flush()
        self.table = Rows(stream, self.header, self.form, begun=begun)

    def _check_record(self) -> None:
        before = read_json(self.record) if self.record.exists() else {}
        if before.get("checkpoint_sha256") != self.summary["checkpoint_sha256"]:
            raise CheckpointError(
                f"the rows in {self.settings.results} were made with another checkpoint.",
                "Name that checkpoint, another --results folder, or --force.",
            )
        if (before["paths"], before["recursive"]) != (self.summary["paths"], self.summary["recursive"]):
            was = " ".join(before["paths"]) + (" --recursive" if before["recursive"] else "")
            raise UsageError(
                f"the rows in {self.settings.results} are those of: {was}.",
                "Name the same images, another --results folder, or --force.",
            )

    def _recover(self) -> set[str]:
        """Cut a torn last line off the table and the skipped list, and return the names that are accounted for."""
        names = set()
        for path, form, kind in ((self.part, self.form, "rows"), (self.skips, "csv", "skipped")):
            whole = path.read_bytes() if path.exists() else b""
            whole = whole[: whole.rfind(b"\n") + 1]
            with path.open("wb") as stream:
                stream.write(whole)
            # Not splitlines: names may hold what Unicode counts as the end of a line.
            lines = whole.decode("utf-8", "surrogateescape").split("\n")[:-1]
            if form == "csv":
                found = [row[0] for row in csv.reader(line + "\n" for line in lines)][1:]
            else:
                found = [json.loads(line)[NAME] for line in lines]
            setattr(self, kind, len(found))
            names.update(found)
        return names


def _text(path: Path, mode: str) -> IO[str]:
    """A table file; names that are not UTF-8 go through it unchanged."""
    return path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")


def _csv_line(values: list[Any]) -> str:
    """One line; where a value holds the end of one, all are quoted."""
    odd = any(isinstance(value, str) and ("\r" in value or "\n" in value) for value in values)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL).writerow(values)
    return buffer.getvalue()


def _to_parquet(source: Path, target: Path, rows: int = 50_000) -> None:
    """Rewrite a JSON-lines table as Parquet, a row group at a time, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with whole_file(target) as part, _text(source, "r") as stream:
        writer = None
        group: list[dict[str, Any]] = []
        for line in stream:
            group.append(json.loads(line))
            if len(group) == rows:
                writer = _write_group(pa, pq, writer, part, group)
                group = []
        if group or writer is None:
            writer = _write_group(pa, pq, writer, part, group)
        writer.close()


def _write_group(pa: Any, pq: Any, writer: Any, path: Path, group: list[dict[str, Any]]) -> Any:
    table = pa.Table.from_pylist(group, schema=writer.schema if writer else None)
    writer = writer or pq.ParquetWriter(path, table.schema)
    writer.write_table(table)
    return writer
