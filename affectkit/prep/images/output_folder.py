"""Write an output folder that a second run finishes or leaves alone: images, tables, the manifest.

The order on disk makes a kill at any moment harmless: a marker first (which preparation this folder is becoming),
then images, tables, and the manifest last. A folder with a marker is finished by the same command, one with a
manifest is done, one with anything else is refused.

A shard writes its share of the images into the same folder and its tables into a part of its own there (see
``core.shards``); ``merge`` makes tables and manifest of the parts. Until then the marker names the number of
shards: a run without ``--shard``, or with another number, is refused, for it could not know whether shards still run.
"""

from __future__ import annotations

import contextlib
import csv
import filecmp
import io
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from affectkit.core.contained_paths import ContainedPaths, is_regular
from affectkit.core.files import read_json, sha256, whole_file, write_json, write_text
from affectkit.core.folder_lock import is_lock_name
from affectkit.core.forms import Count
from affectkit.core.progress import Reporter
from affectkit.core.record_identity import check_same
from affectkit.core.shard_parts import Part, Table, begin_part, end_part, read_record
from affectkit.core.shards import POSITION, Listing, Shard
from affectkit.core.text import count_text
from affectkit.core.version import VERSION
from affectkit.data.layouts.duplicates import Copies
from affectkit.errors import DataError, UsageError
from affectkit.prep.images.output_files import (
    MANIFEST,
    MARKER,
    REPORT_FORM,
    count_files,
    count_named_files,
    describe_contents,
    is_leftover,
    manifest_fault,
    part_fault,
    part_is_whole,
    remove_working_files,
)

LINKS = ("copy", "hardlink")
_STEP = 500


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """Choose how images are prepared, whatever the dataset.

    Attributes:
        link: "copy", or "hardlink" to save space (copies where links cannot be made).
        drop_copies: leave images out of valid and test that are exact copies of images in the splits before.
        shard: write this share of the images and a part; ``merge.merge`` makes the tables of all parts.
    """

    link: str = "copy"
    drop_copies: bool = False
    shard: Shard | None = None


@dataclass(frozen=True)
class PrepReport:
    """Report what a preparation did.

    Attributes:
        preparation: its name ("ferplus").
        output: the folder written.
        target: what the tables are for ("distribution", "majority").
        kept: images by split and class (the label, or the class with most votes or the largest share).
        by_rule: rows that the dataset's rule keeps, by split, before repeated and missing images are taken out.
        dropped: rows left out, by split and reason.
        images: image files in ``output`` in all.
        files_written: images and tables written by this run; the rest was there already.
        already_done: whether an earlier run had finished and nothing was done.
        notes: what a user should know.
        copies: exact copies across splits, by split; see ``data.layouts.duplicates.Copies.record``.
        shard: "2/4" where only this share was written; the numbers are those of the whole all the same.
    """

    preparation: str
    output: Path
    target: str
    kept: dict[str, dict[str, int]]
    by_rule: dict[str, int]
    dropped: dict[str, dict[str, int]]
    images: int
    files_written: int = 0
    already_done: bool = False
    notes: tuple[str, ...] = ()
    copies: dict[str, Any] = field(default_factory=dict)
    shard: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "output": str(self.output), "notes": list(self.notes)}


def with_copies(report: PrepReport, copies: Mapping[str, Copies], *, dropped: bool) -> PrepReport:
    """Add to ``report`` what is known of the copies across splits."""
    notes = [text for found in copies.values() if (text := found.describe(dropped=dropped))]
    records = {split: found.record(dropped=dropped) for split, found in copies.items()}
    return replace(report, notes=(*report.notes, *notes), copies=records)


@dataclass
class OutputFolder:
    """Write an output folder, resumed or left alone by a second run.

    Attributes:
        folder: where images, the tables and the manifest go.
        command: as a user types it ("prep ferplus").
        identity: what the result depends on (preparation, target, hashes of the input); a second run must agree.
        link: "copy" or "hardlink".
        shard: the share of a run among several; None for all.
        key: under which the manifest holds the identity.
        counts: images by folder, by which a finished output is known; None: by the hashes and sizes in its manifest.
    """

    folder: Path
    command: str
    identity: dict[str, Any]
    link: str = "copy"
    shard: Shard | None = None
    key: str = "identity"
    counts: Mapping[str, int] | None = None
    written: int = 0
    _listing: Listing = field(default_factory=Listing)
    _positions: dict[str, list[int]] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)
    _tables: list[Table] = field(default_factory=list)

    def begin(self, reporter: Reporter) -> dict[str, Any] | None:
        """Make the folder ready for writing, unless an earlier run has left nothing to do.

        Returns:
            The manifest of that run, with ``"shard"`` where only that is complete; else None.

        Raises:
            UsageError: the folder is a file, or holds something else than this preparation, or it in other shards.
        """
        if self.link not in LINKS:
            raise UsageError(f"link must be one of {', '.join(LINKS)}, got {self.link!r}.")
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"output {self.folder} is a file; a folder is needed.")
        manifest, marker = self.folder / MANIFEST, self.folder / MARKER
        if manifest.is_file():
            about = self._agree(manifest, self.key)
            if self._whole(about):
                if self.shard is None:
                    remove_working_files(self.folder)
                return about
            if self.shard is not None:
                raise UsageError(
                    f"files of the finished preparation in {self.folder} are missing or changed.",
                    "Run the same command without --shard: it makes them again.",
                )
            reporter.warn(
                f"files of the finished preparation in {self.folder} are missing or changed: they are made again"
            )
            self._mark()
            manifest.unlink()
        elif not marker.is_file():
            # What an interrupted write of the marker left is hidden and ends in .part.
            names = os.listdir(self.folder) if self.folder.is_dir() else []
            # Another shard's marker may have come since; it comes before anything else.
            if not marker.is_file() and not all(is_leftover(name) or is_lock_name(name) for name in names):
                raise UsageError(
                    f"output {self.folder} is not empty and holds no preparation of this kind.",
                    "Name another folder, or empty this one.",
                )
            if not marker.is_file():
                self._mark()
        self._check_marker()
        return None if self.shard is None else self._begin_part(reporter)

    def report(self, manifest: dict[str, Any]) -> PrepReport:
        """Return the report of an earlier run, from the manifest that ``begin`` gave."""
        own = {key: value for key, value in manifest["report"].items() if key in REPORT_FORM or key == "copies"}
        stored = {**own, "output": self.folder, "notes": tuple(manifest["report"]["notes"])}
        return PrepReport(**stored, already_done=True, shard=manifest.get("shard"))

    def _mark(self) -> None:
        shards = {} if self.shard is None else {"shards": self.shard.count}
        try:
            write_json(self.folder / MARKER, {"identity": self.identity, **shards})
        except OSError as error:
            raise UsageError(f"output {self.folder} cannot be written: {error.strerror or error}.") from error

    def _check_marker(self) -> None:
        """Refuse a marker of another preparation or, for whatever of both is asked now, of other shards."""
        count = self._agree(self.folder / MARKER, "identity").get("shards")
        if count == (self.shard.count if self.shard else None):
            return
        if count is None:
            raise UsageError(
                f"output {self.folder} holds a preparation that was begun without shards.",
                "Finish it by the same command without --shard, or empty the folder.",
            )
        asked = (
            f"--shard {self.shard} is of another number" if self.shard else "a run without --shard would be in the way"
        )
        raise UsageError(
            f"output {self.folder} is being prepared in {count} shards; {asked}.",
            f"Run those that lack (--shard 1/{count} to {count}/{count}), then affectkit merge {self.folder}; "
            "or empty the folder.",
        )

    def _agree(self, path: Path, key: str) -> dict[str, Any]:
        """Read the manifest or marker in ``path``; a UsageError where it is of another preparation."""
        try:
            about = read_json(path, {"shards?": Count})
        except DataError:
            about = None
        found = about.get(key) if isinstance(about, dict) else None
        if not isinstance(found, dict):
            ours = isinstance(about, dict) and any(isinstance(about.get(k), dict) for k in ("identity", "settings"))
            whose = "that of another preparation" if ours else "not affectkit's"
            raise UsageError(f"{path} is {whose}; output {self.folder} is not empty.", "Name another folder.")
        check_same(
            found,
            self.identity,
            what=f"output {self.folder} holds another preparation",
            hint="Name another folder, or empty this one.",
        )
        return about

    def _whole(self, about: dict[str, Any]) -> bool:
        """Return whether tables and images are those that the manifest lists."""
        inside = ContainedPaths(self.folder)
        if manifest_fault(inside, about):
            return False
        try:
            if self.counts is not None:
                tables = all((self.folder / f"{split}.csv").is_file() for split in SPLITS)
                return tables and all(count_files(self.folder / key)["files"] >= n for key, n in self.counts.items())
            tables = all(
                is_regular(self.folder / name) and sha256(self.folder / name) == value
                for name, value in about["tables"].items()
            )
            images = all(
                count_files(self.folder / "images" / split) == value for split, value in about["images"].items()
            )
            return tables and images and "report" in about
        except (OSError, KeyError):
            return False

    def share(self, table: str, names: Sequence[str]) -> list[int]:
        """Choose the rows of a table that this run writes, by their indices; once for each table, in order.

        Args:
            names: the file of every row, relative to the folder.
        """
        positions = [self._listing.add(name) for name in names]
        if self.shard is None:
            return list(range(len(names)))
        own = [index for index, position in enumerate(positions) if self.shard.mine(position)]
        self._positions[table] = [positions[index] for index in own]
        self._names += [names[index] for index in own]
        return own

    def place(self, name: str, content: Path | bytes) -> None:
        """Put an image into the folder under ``name`` ("images/train/a.png") unless it is there with these bytes."""
        target = self.folder / name
        try:
            self.written += _place(target, content, self.link)
        except OSError as error:
            raise DataError(f"cannot write {target}: {error.strerror or error}.", "Run the command again.") from error

    def place_all(self, label: str, items: Iterable[tuple[str, Path | bytes]], total: int, reporter: Reporter) -> None:
        """Call ``place`` for each of ``items`` (name, content), with progress."""
        reporter.start(f"writing {label} images", total, "images")
        done = 0
        for name, content in items:
            self.place(name, content)
            done += 1
            if done % _STEP == 0:
                reporter.advance(_STEP)
        reporter.advance(done % _STEP)
        reporter.finish()

    def table(self, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write <name>.csv whole: the rows that ``share`` gave, the file's name first in each."""
        place, top = self.folder, list(header)
        rows = list(rows)
        if self.shard is not None:
            place, top = place / self.shard.folder, [POSITION, *header]
            self._tables.append(Table(f"{name}.csv", list(header), len(rows)))
            rows = [[position, *row] for position, row in zip(self._positions[name], rows, strict=True)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(top)
        writer.writerows(rows)
        path = place / f"{name}.csv"
        if not path.is_file() or path.read_text(encoding="utf-8") != text.getvalue():
            write_text(path, text.getvalue())
            self.written += 1

    def end(self, report: PrepReport, *, about: dict[str, Any]) -> PrepReport:
        """Write the manifest, last; the report with the number of files written."""
        # Whole numbers and names only, no times and nothing of this run: a rerun after a kill ends with the same bytes.
        stored = {key: value for key, value in report.to_dict().items() if key not in _OF_A_RUN}
        manifest = {"affectkit": VERSION, "identity": self.identity, **about, "report": stored}
        self.finish(manifest, seals=tuple(report.kept))
        if self.shard is None:
            return replace(report, files_written=self.written)
        note = (
            f"shard {self.shard}: {len(self._names):,} of {count_text(report.images, 'image')}; "
            f"once all are done: affectkit merge {self.folder}"
        )
        return replace(report, files_written=self.written, shard=str(self.shard), notes=(*report.notes, note))

    def finish(self, manifest: dict[str, Any], *, seals: Sequence[str] = (), inner: Sequence[str] = ()) -> None:
        """Write ``manifest`` or, of a shard, the record of its part, last of all.

        Args:
            seals: splits of whose table and images the manifest shall hold hash, number and size.
            inner: tables that parts alone have, to name images that no other table names.
        """
        if hasattr(os, "sync"):
            os.sync()  # one flush for all images instead of one each, before the manifest vouches for them
        if self.shard is None:
            write_json(self.folder / MANIFEST, manifest | describe_contents(self.folder, seals))
            remove_working_files(self.folder)
            return
        folder = self.folder / self.shard.folder
        end_part(
            folder,
            self.shard,
            command=self.command,
            identity=self._part_identity(),
            listing=self._listing,
            tables=self._tables,
            more={
                "manifest": manifest,
                "seals": list(seals),
                "inner": [f"{name}.csv" for name in inner],
                "images": count_named_files(self.folder, self._names),
            },
        )

    def _part_identity(self) -> dict[str, Any]:
        return {"affectkit": VERSION, **self.identity}

    def _begin_part(self, reporter: Reporter) -> dict[str, Any] | None:
        """Begin a part; give the manifest that it carries where it is complete, else None."""
        folder = self.folder / self.shard.folder
        record = read_record(folder)
        if record is not None and record["complete"]:
            same = record["identity"] == self._part_identity() and not part_fault(ContainedPaths(self.folder), record)
            if same and part_is_whole(self.folder, Part(self.shard, folder, record)):
                return {**record["manifest"], "shard": str(self.shard)}
            reporter.warn(f"files of shard {self.shard} in {self.folder} are missing or changed: they are made again")
        begin_part(folder, self.shard, command=self.command, identity=self._part_identity())
        return None


SPLITS = ("train", "valid", "test")
_OF_A_RUN = ("output", "files_written", "already_done", "shard")


def _place(target: Path, content: Path | bytes, link: str) -> int:
    """Put ``content`` at ``target``; 1 if it had to be written, 0 if it was there already."""
    if isinstance(content, bytes):
        if target.is_file() and target.read_bytes() == content:
            return 0
    elif target.is_file() and (target.samefile(content) or filecmp.cmp(target, content, shallow=False)):
        return 0
    with whole_file(target, alone=True, durable=False) as part:
        if isinstance(content, bytes):
            part.write_bytes(content)
        elif link == "copy" or not _linked(content, part):
            shutil.copyfile(content, part)
    return 1


def _linked(source: Path, target: Path) -> bool:
    """Make a hard link where that can be; it cannot across devices, nor on some file systems."""
    with contextlib.suppress(OSError):
        os.link(os.path.realpath(source), target)
        return True
    return False
