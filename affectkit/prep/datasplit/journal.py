"""A write-ahead journal: what will be done to a folder is on the disk before the first file is touched.

It stands in a hidden folder of the folder that changes: JSON lines, the whole plan written at once (beside, flushed,
renamed), then a line for each stage that ended, each flushed. Whatever the plan says can be done again on top of
itself, so that a run killed at any moment is finished by the same command; and all that it says can be undone.

    {"journal": 1, "command", "identity", ...}     what the result depends on; a second run must agree
    ["o", label, side, source, target, size, hash] an original, where it was and where it belongs
    ["a", label, side, target, source, draw]       a file to be made of the original at ``source``
    ["x", source, reason]                          an original that was left alone
    ["planned", lines]                             the plan ends here
    ["made", [[target, hash], ...]]                these are on the disk now
    ["staged"], ["made all"], ["moved"], ["tables", {name: hash}], ["done"], ["undoing"], ["unstaged"]   stages
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from affectkit.core.files import fsync_path, whole_file
from affectkit.errors import DataError, UsageError

FORMAT = 1
FOLDER = ".affectkit-{command}"
_FILE, _LOCK = "journal.jsonl", "lock"
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
        with whole_file(self.path) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(_line({"journal": FORMAT, "command": self.command, **self.header}))
            for letter, rows in (("o", self.originals), ("a", self.made), ("x", self.left)):
                for start in range(0, len(rows), _LINES):
                    stream.write("".join(_line([letter, *row]) for row in rows[start : start + _LINES]))
            stream.write(_line(["planned", len(self.originals) + len(self.made) + len(self.left)]))
            if self.digests:
                stream.write(_line(["made", list(self.digests.items())]))
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
            end = _end_of_lines(stream)
            stream.seek(end)
            stream.truncate()
            stream.write(_line([stage] if value is None else [stage, value]).encode())
            stream.flush()
            os.fsync(stream.fileno())

    def close(self) -> None:
        """Remove the journal: nothing is left to be undone."""
        self.path.unlink(missing_ok=True)
        fsync_path(self.folder)


def find_journal(root: Path, command: str) -> Journal | None:
    """Read the journal that an earlier run of ``command`` left in ``root``; None where there is none.

    Raises:
        DataError: the journal is damaged, or of a newer format.
    """
    path = root / FOLDER.format(command=command) / _FILE
    try:
        stream = path.open(encoding="utf-8", newline="\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"cannot read the journal {path}: {error.strerror or error}.") from error
    with stream:
        return _read(stream, root, command, path)


def _read(stream: Iterable[str], root: Path, command: str, path: Path) -> Journal:
    journal, planned = Journal(root, command, {}), False
    hint = "Nothing was touched; restore the file, or remove it if nothing is to be undone."
    for number, line in enumerate(stream, start=1):
        row = _row(line)
        if row is None:
            if planned:  # what a kill left of the last line
                break
            raise DataError(f"the journal {path} is damaged at line {number:,}.", hint)
        if number == 1:
            if not isinstance(row, dict) or row.get("journal") != FORMAT:
                raise DataError(f"the journal {path} is not of format {FORMAT}.", "Use the affectkit that wrote it.")
            journal.header = {key: value for key, value in row.items() if key not in ("journal", "command")}
        elif row[0] == "planned":
            planned = row[1] == len(journal.originals) + len(journal.made) + len(journal.left)
        else:
            _take(journal, row)
    if not planned:
        raise DataError(f"the journal {path} is cut short.", hint)
    return journal


def _row(line: str) -> Any:
    """Read the value of a whole line; None for a part of one."""
    try:
        return json.loads(line) if line.endswith("\n") else None
    except ValueError:
        return None


def _take(journal: Journal, row: list[Any]) -> None:
    kind = row[0]
    if kind == "o":
        journal.originals.append(Original(*row[1:]))
    elif kind == "a":
        journal.made.append(Made(*row[1:]))
    elif kind == "x":
        journal.left.append((row[1], row[2]))
    elif kind == "made":
        journal.digests.update(row[1])
    elif kind == "tables":
        journal.tables.update(row[1])
    else:
        journal.stages.add(kind)


def sweep_parts(folder: Path, names: Iterable[str]) -> None:
    """Remove what killed processes left of files in the making that were to become ``names`` (``core.files``)."""
    starts = tuple(f".{name}." for name in names)
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if name.startswith(starts) and name.endswith(".part"):
                (folder / name).unlink(missing_ok=True)


class Lock:
    """Keep other processes of the same command from ``root`` while entered.

    Raises:
        UsageError: another one does.
        DataError: the folder cannot be written.
    """

    def __init__(self, root: Path, command: str) -> None:
        self._folder = root / FOLDER.format(command=command)
        self._root, self._command, self._new = root, command, not root.exists()
        self._stream: Any = None

    def __enter__(self) -> Lock:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._stream = (self._folder / _LOCK).open("a")
        except OSError as error:
            raise DataError(
                f"cannot write in {self._root}: {error.strerror or error}. Nothing was changed.",
                "Check the permissions, or give --output-path a folder that can be written to.",
            ) from error
        try:
            import fcntl

            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows
            pass
        except BlockingIOError:
            self._stream.close()
            raise UsageError(f"another {self._command} is at work in {self._root}.", "Wait until it ends.") from None
        except OSError:  # some network file systems have no locks
            pass
        return self

    def __exit__(self, *_: object) -> None:
        sweep_parts(self._folder, [_FILE])
        if not (self._folder / _FILE).exists():  # nothing was begun, or all is undone
            # File by file: a folder that holds anything else stays.
            with contextlib.suppress(OSError):
                (self._folder / _LOCK).unlink()
                self._folder.rmdir()
                if self._new:
                    self._root.rmdir()
        self._stream.close()


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _end_of_lines(stream: Any) -> int:
    """Find the position behind the last line break."""
    end = stream.seek(0, os.SEEK_END)
    step = 4096
    place = end
    while place > 0:
        start = max(0, place - step)
        stream.seek(start)
        found = stream.read(place - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        place = start
    return 0
