"""Move files to their corrected classes, as a table of corrections says, by a journal."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from affectkit.core.contained_paths import path_below
from affectkit.core.csv_tables import read_csv
from affectkit.core.files import digest_of, fsync_path
from affectkit.core.folder_lock import LOCK
from affectkit.core.os_errors import read_fault
from affectkit.core.progress import Reporter
from affectkit.core.stopping import Stopping
from affectkit.core.text import count_text
from affectkit.core.version import VERSION
from affectkit.errors import DataError, UsageError
from affectkit.prep.datasplit import file_moves, split
from affectkit.prep.datasplit.class_folders import ignores_case, no_folder
from affectkit.prep.datasplit.journal import Journal, Lock, Original, remove_unbegun
from affectkit.prep.datasplit.journal_reader import find_journal
from affectkit.prep.datasplit.plan import case_folded
from affectkit.prep.datasplit.report import some
from affectkit.prep.datasplit.scan import check_output_place
from affectkit.prep.datasplit.undo import UndoResult, check_staged, undo_journal

COMMAND = "relabel"
COLUMNS = ("pth", "label")
_AGAIN = "Run the same command again: it resumes where it was. --undo puts everything back."
_SAFE = "No file is lost."


@dataclass(frozen=True)
class RelabelReport:
    """Report what a relabelling did, or would do.

    Attributes:
        output: the folder that holds the result.
        moves: files by (old class, new class).
        unchanged: rows whose file has that label already.
        copied: files in ``output`` in all, where it is another folder.
        already_done: whether nothing was left to do.
        dry_run: whether nothing was changed.
    """

    output: Path
    moves: dict[tuple[str, str], int]
    unchanged: int = 0
    copied: int = 0
    already_done: bool = False
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        moves = [{"from": old, "to": new, "files": count} for (old, new), count in self.moves.items()]
        return {**asdict(self), "output": str(self.output), "moves": moves, "moved": sum(self.moves.values())}


def relabel(
    path: Path,
    labels: Path,
    *,
    output: Path | None = None,
    dry_run: bool = False,
    reporter: Reporter,
    stopping: Stopping,
) -> RelabelReport:
    """Move the files that ``labels`` names to their classes, or copy all of ``path`` with them corrected.

    Args:
        path: folder with <label>/<file>, or train/<label>/<file>.
        labels: CSV file with the columns pth (``old_label/file``) and label.
        output: folder to make; None changes ``path``.

    Raises:
        UsageError: the table cannot be read, or a folder holds something else.
        DataError: a row cannot be followed; all such rows are listed, and nothing is changed.
    """
    if not path.is_dir():
        raise no_folder(path)
    if output is not None:
        check_output_place(path, output)
    root = output or path
    identity = {"labels": _digest(labels), "source": str(path.resolve()) if output else None}
    if dry_run:
        return _report(root, *_planned(path, labels, output, identity), dry_run=True)
    with file_moves.explaining_disk_errors(root, _SAFE), Lock(root, COMMAND):
        journal = find_journal(root, COMMAND)
        if journal is None:
            if find_journal(path, split.COMMAND) is not None and output is None:
                raise UsageError(
                    f"{path} holds a split; relabelling it would keep the split from being undone.",
                    f"affectkit datasplit {path} --undo first, and split anew after.",
                )
            names = set(os.listdir(output)) if output is not None and output.is_dir() else set()
            if names := sorted(names - {_folder(root), LOCK}):
                raise UsageError(f"--output {output} is not empty: {some(names)}.", "Name another folder.")
            journal, unchanged = _planned(path, labels, output, identity)
            if journal.originals:
                journal.write()
        elif "undoing" in journal.stages:
            raise UsageError(f"an undo of the relabelling of {root} was interrupted.", "Finish it with --undo.")
        elif journal.header["identity"] != identity:
            raise UsageError(
                f"{root} was relabelled by another table before, {journal.header['labels']}.",
                "Undo that with --undo first, or put both tables into one.",
            )
        else:
            unchanged = journal.header["unchanged"]
            if "done" in journal.stages:
                return _report(root, journal, unchanged, already_done=True)
            check_staged(journal)
        if journal.originals:
            _carry_out(journal, path if output else None, reporter, stopping)
        return _report(root, journal, unchanged)


def undo_relabel(root: Path, *, force: bool, dry_run: bool, reporter: Reporter, stopping: Stopping) -> UndoResult:
    """Put every file back, or remove the copies.

    Raises:
        UsageError: nothing was relabelled.
        DataError: files have changed since; nothing was touched.
    """
    if not dry_run and find_journal(root, COMMAND) is None:
        remove_unbegun(root, COMMAND)
    journal = _found(root)
    if find_journal(root, split.COMMAND) is not None:
        raise UsageError(f"{root} was split after it was relabelled.", f"affectkit datasplit {root} --undo first.")
    source = journal.header["identity"]["source"]
    if dry_run:
        count = len(journal.originals)
        return UndoResult(0, count) if source else UndoResult(count)
    with file_moves.explaining_disk_errors(root, _SAFE), Lock(root, COMMAND):
        return undo_journal(
            _found(root),
            copied=Path(source) if source else None,
            force=force,
            reporter=reporter,
            stopping=stopping,
            hint="Run the same command with --undo again: it resumes.",
        )


def _found(root: Path) -> Journal:
    journal = find_journal(root, COMMAND)
    if journal is None:
        raise UsageError(f"{root} holds no relabelling of affectkit relabel: there is nothing to undo.")
    return journal


def _carry_out(journal: Journal, source: Path | None, reporter: Reporter, stopping: Stopping) -> None:
    root = journal.root
    file_moves.make_folders(root, journal.header["folders"])
    if source is None:
        file_moves.move_staged(journal, reporter, stopping, _AGAIN)
    else:
        file_moves.remove_partial_files(journal)
        reporter.start("copying", len(journal.originals), "files")
        for item in journal.originals:
            if stopping.requested:
                raise stopping.error("the copies made so far are whole.", _AGAIN)
            file_moves.place_file(str(source.resolve() / item.source), str(root / item.target), item.digest, "copy")
            reporter.advance()
        reporter.finish()
    if hasattr(os, "sync"):
        os.sync()
    fsync_path(root)
    journal.add("done")


def _planned(path: Path, labels: Path, output: Path | None, identity: dict[str, Any]) -> tuple[Journal, int]:
    """Plan the journal of what will be done, and count the rows that say what is so already."""
    root = output or path
    base = path / "train" if (path / "train").is_dir() else path
    above = "train/" if base != path else ""
    rows = _rows(labels)
    wanted, faults = _wanted(base, rows)
    if not faults:
        faults = _clashes(base, wanted, ignores_case(base) if output is None and os.access(base, os.W_OK) else False)
    if faults:
        listed = "".join(f"\n  - {fault}" for fault in faults[:10])
        more = f"\n  - and {len(faults) - 10:,} more" if len(faults) > 10 else ""
        raise DataError(
            f"{count_text(len(faults), 'row')} of {labels} cannot be followed; nothing was changed:{listed}{more}",
            "Fix the table; names in pth are old_label/file.",
        )
    changed = {name: label for name, label in wanted.items() if name.split("/")[0] != label}
    chosen = sorted(changed) if output is None else _all_files(base)
    originals = []
    for name in chosen:
        old, file = name.split("/")
        label = wanted.get(name, old)
        digest, size = digest_of(base / name), (base / name).stat().st_size
        originals.append(Original(label, old, above + name, f"{above}{label}/{file}", size, digest))
    header = {
        "affectkit": VERSION,
        "identity": identity,
        "labels": str(labels),
        "unchanged": len(wanted) - len(changed),
        "staged": output is None,
        "folders": file_moves.new_folders(root, [item.target for item in originals]),
    }
    return Journal(root, COMMAND, header, originals), len(wanted) - len(changed)


def _rows(labels: Path) -> list[tuple[int, str, str]]:
    """Read (line, pth, label) of each row."""
    hint = "It needs pth (old_label/file) and label."
    rows = read_csv(labels, *COLUMNS, title=f"--labels {labels}", hint=hint, error=UsageError)
    return [(line, row["pth"], row["label"].strip()) for line, row in rows]


def _wanted(base: Path, rows: Sequence[tuple[int, str, str]]) -> tuple[dict[str, str], list[str]]:
    """Find the corrected label of each file (``old_label/file``), and the faults of rows."""
    wanted: dict[str, str] = {}
    faults: list[str] = []
    links: dict[str, bool] = {}
    for line, given, label in rows:
        name = given.strip().removeprefix("./")
        why = ""
        if not label or label in (".", "..") or label.startswith(".") or "/" in label or "\\" in label or "\0" in label:
            why = f"the label {label!r} is no name of a folder"
        elif name.count("/") != 1 or not all(name.split("/")):
            why = f"pth {given!r} is not old_label/file"
        elif wanted.get(name, label) != label:
            why = f"{name} is to be {label} here and {wanted[name]} before"
        else:
            why = _file_fault(base, name, links)
        if why:
            faults.append(f"line {line}: {why}")
        else:
            wanted[name] = label
    return wanted, faults


def _file_fault(base: Path, name: str, links: dict[str, bool]) -> str:
    """Return why ``name`` (folder/file) is nothing that can be moved, or ""; the file is looked up once.

    Args:
        links: whether a folder is a link, by its name; grows.
    """
    try:
        path = base / path_below(base, name)
    except DataError as error:
        return error.message.rstrip(".")
    folder = name.partition("/")[0]
    if folder not in links:
        links[folder] = os.path.islink(base / folder)
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        mode = 0
    if links[folder] or stat.S_ISLNK(mode):
        return f"{name} is a link, or in a folder that is one"
    return "" if stat.S_ISREG(mode) else f"{name} is not there in {base}"


def _clashes(base: Path, wanted: dict[str, str], no_case: bool) -> list[str]:
    """Find where two files would have one name in a class."""

    def key(name: str) -> str:
        return case_folded(name) if no_case else name

    leaving = {key(name) for name, label in wanted.items() if name.split("/")[0] != label}
    arriving: dict[str, str] = {}
    faults = []
    for name, label in wanted.items():
        old, file = name.split("/")
        if old == label:
            continue
        target = f"{label}/{file}"
        if key(target) in arriving:
            faults.append(f"{name} and {arriving[key(target)]} would both become {target}")
        elif os.path.lexists(base / target) and key(target) not in leaving:
            faults.append(f"{name} would become {target}, which is there already")
        arriving.setdefault(key(target), name)
    return faults


def _all_files(base: Path) -> list[str]:
    from affectkit.core.folders import is_hidden

    names = []
    for folder in sorted(entry for entry in os.listdir(base) if (base / entry).is_dir() and not is_hidden(entry)):
        with os.scandir(base / folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if is_hidden(entry.name):
                    continue
                if entry.is_symlink() or not entry.is_file():
                    raise DataError(f"{folder}/{entry.name} in {base} is no regular file; it cannot be copied.")
                names.append(f"{folder}/{entry.name}")
    return names


def _report(root: Path, journal: Journal, unchanged: int, **how: bool) -> RelabelReport:
    moves: dict[tuple[str, str], int] = {}
    for item in journal.originals:  # ``side`` holds the old class
        if item.side != item.label:
            moves[item.side, item.label] = moves.get((item.side, item.label), 0) + 1
    copied = 0 if journal.header["staged"] else len(journal.originals)
    return RelabelReport(root, dict(sorted(moves.items())), unchanged, copied, **how)


def _digest(labels: Path) -> str:
    try:
        return digest_of(labels)
    except OSError as error:
        raise UsageError(*read_fault(f"--labels {labels}", labels, error)) from error


def _folder(root: Path) -> str:
    return Journal(root, COMMAND, {}).folder.name
