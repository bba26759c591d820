"""What preparations share: an output folder that a second run finishes or leaves alone, images, tables, the manifest.

The order on disk makes a kill at any moment harmless: a marker first (which preparation this folder is becoming),
then images, tables, and the manifest last. A folder with a marker is finished by the same command, one with a
manifest is done, one with anything else is refused.
"""

from __future__ import annotations

import contextlib
import csv
import filecmp
import io
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from affectkit import __version__
from affectkit.core.files import read_json, sha256, write_json, write_text
from affectkit.core.progress import Reporter
from affectkit.errors import DataError, UsageError

MANIFEST = "manifest.json"
MARKER = ".affectkit-preparing.json"
LINKS = ("copy", "hardlink")
_STEP = 500


@dataclass(frozen=True)
class PrepReport:
    """What a preparation did.

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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "output": str(self.output), "notes": list(self.notes)}


@dataclass
class Output:
    """An output folder in the making.

    Attributes:
        folder: where images/<split>/, the tables and the manifest go.
        identity: what the result depends on (preparation, target, hashes of the input); a second run must agree.
        link: "copy" or "hardlink".
    """

    folder: Path
    identity: dict[str, Any]
    link: str = "copy"
    written: int = 0
    _made: set[Path] = field(default_factory=set)

    def begin(self, reporter: Reporter) -> PrepReport | None:
        """The report of an earlier run if there is nothing left to do; None with the folder ready for writing.

        Raises:
            UsageError: the folder is a file, or holds something else than this preparation.
        """
        if self.link not in LINKS:
            raise UsageError(f"link must be one of {', '.join(LINKS)}, got {self.link!r}.")
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"output {self.folder} is a file; a folder is needed.")
        manifest, marker = self.folder / MANIFEST, self.folder / MARKER
        for path in (manifest, marker):
            if path.is_file():
                self._agree(path)
        if manifest.is_file():
            about = read_json(manifest)
            if self._whole(about):
                marker.unlink(missing_ok=True)
                return PrepReport(
                    **{**about["report"], "output": self.folder, "notes": tuple(about["report"]["notes"])},
                    already_done=True,
                )
            reporter.warn(f"files of the finished preparation in {self.folder} are missing or changed: mending them")
            write_json(marker, {"identity": self.identity})
            manifest.unlink()
        elif not marker.is_file():
            # What an interrupted write of the marker left is hidden and ends in .part.
            if self.folder.is_dir() and any(not _is_part(name) for name in os.listdir(self.folder)):
                raise UsageError(
                    f"output {self.folder} is not empty and holds no preparation of this kind.",
                    "Name another folder, or empty this one.",
                )
            try:
                write_json(marker, {"identity": self.identity})
            except OSError as error:
                raise UsageError(f"output {self.folder} cannot be written: {error.strerror or error}.") from error
        return None

    def _agree(self, path: Path) -> None:
        try:
            about = read_json(path)
        except DataError:
            about = None
        found = about.get("identity") if isinstance(about, dict) else None
        if not isinstance(found, dict):
            raise UsageError(f"{path} is not affectkit's; output {self.folder} is not empty.", "Name another folder.")
        if found != self.identity:
            keys = [key for key in {**found, **self.identity} if found.get(key) != self.identity.get(key)]
            differ = ", ".join(
                f"{key} {_short(found.get(key))} there, {_short(self.identity.get(key))} now" for key in keys
            )
            raise UsageError(
                f"output {self.folder} holds another preparation: {differ}.", "Name another folder, or empty this one."
            )

    def _whole(self, about: dict[str, Any]) -> bool:
        """Whether tables and images are those that the manifest tells of (images by number and size)."""
        try:
            tables = all(sha256(self.folder / name) == value for name, value in about["tables"].items())
            images = all(_census(self.folder / "images" / split) == value for split, value in about["images"].items())
            return tables and images and "report" in about
        except (OSError, KeyError, TypeError, AttributeError):
            return False

    def place(self, split: str, name: str, content: Path | bytes) -> str:
        """Put an image into images/<split>/ unless it is there with these bytes; its path relative to the folder."""
        target = self.folder / "images" / split / name
        if target.parent not in self._made:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(target.parent)
        try:
            self.written += _place(target, content, self.link)
        except OSError as error:
            raise DataError(f"cannot write {target}: {error.strerror or error}.", "Run the command again.") from error
        return f"images/{split}/{name}"

    def place_all(self, split: str, items: Iterable[tuple[str, Path | bytes]], total: int, reporter: Reporter) -> None:
        """``place`` each of ``items`` (name, content), with progress."""
        reporter.start(f"writing {split} images", total, "images")
        done = 0
        for name, content in items:
            self.place(split, name, content)
            done += 1
            if done % _STEP == 0:
                reporter.advance(_STEP)
        reporter.advance(done % _STEP)
        reporter.finish()

    def table(self, split: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write <split>.csv whole."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        path = self.folder / f"{split}.csv"
        if not path.is_file() or path.read_text(encoding="utf-8") != text.getvalue():
            write_text(path, text.getvalue())
            self.written += 1

    def end(self, report: PrepReport, *, about: dict[str, Any]) -> PrepReport:
        """Write the manifest, last; the report with the number of files written."""
        if hasattr(os, "sync"):
            os.sync()  # one flush for all images instead of one each, before the manifest vouches for them
        # Whole numbers and names only, no times and nothing of this run: a rerun after a kill ends with the same bytes.
        stored = {key: value for key, value in report.to_dict().items() if key not in _OF_A_RUN}
        manifest = {
            "affectkit": __version__,
            "identity": self.identity,
            **about,
            "report": stored,
            "tables": {f"{split}.csv": sha256(self.folder / f"{split}.csv") for split in report.kept},
            "images": {split: _census(self.folder / "images" / split) for split in report.kept},
        }
        write_json(self.folder / MANIFEST, manifest)
        (self.folder / MARKER).unlink(missing_ok=True)
        for name in os.listdir(self.folder):
            if _is_part(name):
                (self.folder / name).unlink()
        return PrepReport(**{**report.__dict__, "files_written": self.written})


_OF_A_RUN = ("output", "files_written", "already_done")


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(".part")


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] + "..." if len(text) > 24 else text


def _census(folder: Path) -> dict[str, int]:
    """How many files are in ``folder``, and their bytes."""
    with os.scandir(folder) as entries:
        sizes = [entry.stat().st_size for entry in entries if entry.is_file() and not _is_part(entry.name)]
    return {"files": len(sizes), "bytes": sum(sizes)}


def _place(target: Path, content: Path | bytes, link: str) -> int:
    """1 if ``target`` had to be written, 0 if it holds ``content`` already."""
    if isinstance(content, bytes):
        if target.is_file() and target.read_bytes() == content:
            return 0
    elif target.is_file() and (target.samefile(content) or filecmp.cmp(target, content, shallow=False)):
        return 0
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    if isinstance(content, bytes):
        part.write_bytes(content)
    elif link == "copy" or not _linked(content, part):
        shutil.copyfile(content, part)
    os.replace(part, target)
    return 1


def _linked(source: Path, target: Path) -> bool:
    """Whether a hard link could be made; it cannot across devices, nor on some file systems."""
    with contextlib.suppress(OSError):
        os.link(os.path.realpath(source), target)
        return True
    return False
