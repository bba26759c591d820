"""A write-ahead journal: what will be done to a folder is on the disk before the first file is touched.

It stands in a hidden folder of the folder that changes: JSON lines, the whole plan written at once (beside, flushed,
renamed), then a line for each stage that ended, each flushed. Whatever the plan says can be done again on top of
itself, so that a run killed at any moment is finished by the same command; and all that it says can be undone.

    {"journal": 2, "command", "identity", ...}     what the result depends on; a second run must agree
    ["o", label, side, source, target, size, hash] an original, where it was and where it belongs
    ["a", label, side, target, source, draw]       a file to be made of the original at ``source``
    ["x", source, reason]                          an original that was left alone
    ["planned", lines]                             the plan ends here
    ["made", [[target, hash], ...]]                these are on the disk now
    ["staged"], ["made all"], ["moved"], ["tables", {name: hash}], ["done"], ["undoing"], ["unstaged"]   stages

Each line ends with a hash of all so far (``core.chained_lines``). ``journal_reader`` reads it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from affectkit.core.chained_lines import link_line
from affectkit.core.contained_paths import refuse_link
from affectkit.core.files import fsync_path, whole_file
from affectkit.core.folder_lock import Output, locked
from affectkit.core.progress import Reporter
from affectkit.errors import AffectkitError, DataError

FORMAT = 2
FOLDER = ".affectkit-{command}"
STAGE = "stage"
_FILE, _OLD_LOCK = "journal.jsonl", "lock"
_LINES = 20_000


class Original(NamedTuple):
    """Name a file of the user's: its class, side, path before, path after (posix, relative), bytes, content hash."""

    label: str
    side: str
    source: str
    target: str
    size: int
    digest: str


class Made(NamedTuple):
    """Name a file to be made: class, side, path, and the ``source`` of the Original and draw number it is made of."""

    label: str
    side: str
    target: str
    source: str
    draw: int


@dataclass
class Journal:
    """Hold what is planned for ``root`` and how far it has come.

    Attributes:
        root: the folder that changes.
        command: "datasplit" or "relabel".
        header: identity and whatever else the command needs to resume.
        originals, made, left: the plan; ``left`` holds (path, reason) of what is not taken.
        digests: content hashes of made files that are known to be on the disk.
        stages: the stages that ended.
        tables: content hashes of tables and manifest, by name.
        chained: whether its lines have the hash of all before; those that earlier versions wrote have none.
        chain: that of the last line.
        end: length of the file in bytes, up to the last whole line.
    """

    root: Path
    command: str
    header: dict[str, Any]
    originals: list[Original] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    stages: set[str] = field(default_factory=set)
    tables: dict[str, str] = field(default_factory=dict)
    chained: bool = True
    chain: str = ""
    end: int = 0

    @property
    def copied_from(self) -> str | None:
        """Return the folder that the originals were copied or linked from; None where they are moved."""
        holder = self.header if self.command == "datasplit" else self.header["identity"]
        return holder["source"]

    @property
    def folder(self) -> Path:
        """Return the hidden folder with the journal and what is moved in two steps."""
        return self.root / FOLDER.format(command=self.command)

    @property
    def path(self) -> Path:
        """Return the file."""
        return self.folder / _FILE

    def write(self) -> None:
        """Put the plan on the disk, whole, in place of an earlier one; no stage has ended."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stages.clear()
        self.chained, self.chain, self.end = True, "", 0
        with whole_file(self.path) as part, part.open("wb") as stream:
            stream.write(self._line({"journal": FORMAT, "command": self.command, **self.header}))
            for letter, rows in (("o", self.originals), ("a", self.made), ("x", self.left)):
                for start in range(0, len(rows), _LINES):
                    stream.write(b"".join(self._line([letter, *row]) for row in rows[start : start + _LINES]))
            stream.write(self._line(["planned", len(self.originals) + len(self.made) + len(self.left)]))
            if self.digests:
                stream.write(self._line(["made", list(self.digests.items())]))
        fsync_path(self.root)

    def add(self, stage: str, value: Any = None) -> None:
        """Add a line and wait until it is on the disk."""
        if stage == "made":
            self.digests.update(value)
        elif stage == "tables":
            self.tables.update(value)
        else:
            self.stages.add(stage)
        with self.path.open("r+b") as stream:
            # A kill or a full disk may have left half a line; the next one must not be glued to it.
            stream.seek(self.end)
            stream.truncate()
            before = self.chain, self.end
            try:
                stream.write(self._line([stage] if value is None else [stage, value]))
                stream.flush()
                os.fsync(stream.fileno())
            except BaseException:
                self.chain, self.end = before
                raise

    def _line(self, value: Any) -> bytes:
        """Return the next line of the file."""
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if self.chained:
            line, self.chain = link_line(line, self.chain)
        else:
            line += "\n"
        data = line.encode()
        self.end += len(data)
        return data

    def note_age(self, reporter: Reporter) -> None:
        """Note that the lines of an earlier version have no chain."""
        if not self.chained:
            reporter.note(
                f"{self.path} was written by an older affectkit, without checksums: what was edited in it shows only "
                "where a path or a hash does not hold."
            )

    def close(self) -> None:
        """Remove the journal: nothing is left to be undone."""
        self.path.unlink(missing_ok=True)
        fsync_path(self.folder)


def journal_folder(root: Path, command: str) -> Path:
    """Return the hidden folder of ``command`` in ``root``, which need not be there; a DataError where it is a link."""
    folder = root / FOLDER.format(command=command)
    refuse_link(folder, "the folder")
    return folder


def remove_unbegun(root: Path, command: str) -> None:
    """Remove the journal's folder of a run that was killed before its plan stood in it, where this process can."""
    if journal_folder(root, command).is_dir():
        with contextlib.suppress(AffectkitError), Lock(root, command):
            pass


def sweep_parts(folder: Path, names: Iterable[str]) -> None:
    """Remove what killed processes left of files in the making that were to become ``names`` (``core.files``)."""
    starts = tuple(f".{name}." for name in names)
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if name.startswith(starts) and name.endswith(".part"):
                (folder / name).unlink(missing_ok=True)


class Lock:
    """Keep other processes from ``root`` while entered, and leave no empty folder of the journal behind.

    Raises:
        LockedError: another one writes there.
        DataError: the folder cannot be written.
    """

    def __init__(self, root: Path, command: str) -> None:
        self._folder = root / FOLDER.format(command=command)
        self._root, self._command, self._stack = root, command, contextlib.ExitStack()

    def __enter__(self) -> Lock:
        journal_folder(self._root, self._command)
        try:
            self._stack.enter_context(locked(Output(self._root)))
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._stack.close()
            raise DataError(
                f"cannot write in {self._root}: {error.strerror or error}. Nothing was changed.",
                "Check the permissions, or give --output a folder that can be written to.",
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            sweep_parts(self._folder, [_FILE])
            with contextlib.suppress(OSError):
                (self._folder / _OLD_LOCK).unlink(missing_ok=True)
                if not (self._folder / _FILE).exists():  # nothing was begun, or all is undone
                    self._folder.rmdir()  # unless it holds anything else
