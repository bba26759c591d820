"""The files of an inference: where results go, the growing table, its journal, the record, the skipped list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectkit.core.files import holds_something
from affectkit.core.shards import Shard
from affectkit.data.faces.selection import sum_left_out
from affectkit.errors import UsageError
from affectkit.inference.journal import ENTRY, Journal
from affectkit.inference.table_layout import FIRST, RECORD, ROWS, SKIPPED
from affectkit.inference.table_writer import GROWING, csv_line, growing_form

NO_RESULTS = "Name --results DIR to be able to resume."


class ResultFiles:
    """Name the files of a table, and make room for them.

    Args:
        folder: where they are.
        format: that of the finished table.
        header: columns of the table.
        journal: name of the journal file.
        entry: the form of what it says of an item.

    Attributes:
        final: the finished table.
        part: the growing one.
        record: what is known of the run.
        skipped: the list of inputs without rows.
        journal: the growing table with its journal.
    """

    def __init__(self, folder: Path, *, format: str, header: Sequence[str], journal: str, entry: Any = ENTRY) -> None:
        form = growing_form(format)
        self.folder = folder
        self.final = folder / f"{ROWS}.{format}"
        self.part = folder / f"{ROWS}.{form}.part"
        self.record = folder / RECORD
        self.skipped = folder / SKIPPED
        self.lines = folder / journal
        self.journal = Journal(self.part, self.lines, csv_line(list(header)) if form == "csv" else "", entry)

    @property
    def is_growing(self) -> bool:
        """Return whether a stopped run has left a table and its journal."""
        return self.part.exists() and self.lines.exists()

    def existing(self, others: Iterable[str], options: OutputOptions) -> list[Path]:
        """Return what an earlier run has left of the table in any format, the lists, and the files ``others``.

        Raises:
            UsageError: there is something, and ``options`` neither resume nor replace it.
        """
        parts = [self.folder / f"{ROWS}.{form}.part" for form in GROWING]
        names = (self.final, *parts, self.skipped, self.lines, *(self.folder / name for name in others))
        found = [path for path in names if path.exists()]
        if found and not options.may_replace:
            raise _is_there(found[0])
        return found

    def how_to_resume(self) -> str:
        """Return the next step after a stop."""
        return f"Resume with the same command and --resume; the rows so far are in {self.part}."


def _is_there(path: Path) -> UsageError:
    return UsageError(f"{path} exists.", "Add --resume to resume it, or to bring it up to date; --force replaces it.")


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Say where the outputs of an inference go; made once, by ``inference.infer``.

    Attributes:
        results: folder of the prediction table; None: rows go to standard output.
        format: of the table: ``csv``, ``jsonl`` or ``parquet``.
        shard: which N-th of the images is predicted; None: all.
        resume: whether a table that stands there is continued, or brought up to date.
        force: whether what stands there is replaced.
        annotate: folder, for one video also file, of annotated pictures; None: none are written.
    """

    results: Path | None = None
    format: str = "csv"
    shard: Shard | None = None
    resume: bool = False
    force: bool = False
    annotate: Path | None = None

    @property
    def may_replace(self) -> bool:
        """Return whether files that stand there already are expected."""
        return self.resume or self.force

    def refuse_table(self) -> None:
        """Raise a UsageError where a table is there that may not be replaced; a shard finds its own later."""
        if self.results is None or self.shard is not None or self.may_replace:
            return
        final = self.results / f"{ROWS}.{self.format}"
        for path in (final, final.with_name(f"{ROWS}.{growing_form(self.format)}.part")):
            if path.exists():
                raise _is_there(path)

    def refuse_annotated(self) -> None:
        """Raise a UsageError where ``annotate`` is there, a folder with something in it, and may not be replaced."""
        path = self.annotate
        if path is None or self.may_replace or not path.exists():
            return
        if not path.is_dir():
            raise UsageError(f"--annotate {path} exists.", "Name another file, or add --force to replace it.")
        if holds_something(path):
            raise UsageError(
                f"--annotate {path} is not empty.",
                "Name another folder, or add --force: it replaces files of the same names there and leaves all others.",
            )


@dataclass
class ImageCounts:
    """Count images with rows, their faces and rows, images skipped, those of which only the first frame was read.

    Attributes:
        without_face: images that were searched, and in which no face was found, or none was taken.
        empty: names of the first of these.
        left_out: faces that were found and not taken, by reason.
        abstained: rows without a label, whose confidence was below the threshold.
    """

    images: int = 0
    faces: int = 0
    rows: int = 0
    skipped: int = 0
    moving: int = 0
    frames: int = 0
    without_face: int = 0
    empty: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    abstained: int = 0

    def summary(self, *, with_faces: bool, with_limits: bool = False, with_abstained: bool = False) -> dict[str, Any]:
        """Return the counts as records have them.

        Args:
            with_faces: whether faces were searched.
            with_limits: whether some may have been left out.
            with_abstained: whether labels may have been held back.
        """
        found: dict[str, Any] = {"images": self.images}
        if with_faces:
            found |= {"faces": self.faces, "images_without_face": self.without_face}
            found["images_without_face_first"] = self.empty
        if with_abstained:
            found["abstained"] = self.abstained
        if with_limits:
            found["faces_left_out"] = sum_left_out([self.left_out])
        found["skipped"] = self.skipped
        if self.moving:
            found["more_frames"] = {"images": self.moving, "frames_not_looked_at": self.frames}
        return found

    def add_empty(self, name: str) -> None:
        """Count an image without a face."""
        self.without_face += 1
        if len(self.empty) < FIRST:
            self.empty.append(name)

    def add_frames(self, frames: int) -> None:
        """Count an image that has so many frames, the first of which was read."""
        self.moving += frames > 1
        self.frames += frames - 1


def count_abstained(rows: Iterable[Sequence[Any]]) -> int:
    """Count the rows whose last column, ``ABSTAINED``, is 1, whatever the format they were read from."""
    return sum(str(row[-1]) == "1" for row in rows)
