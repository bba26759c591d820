"""Undo what a journal lists: originals put back, what was made removed, and nothing touched that has changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from affectkit.core.contained_paths import ContainedPaths, digest_inside, is_regular
from affectkit.core.files import digest_of
from affectkit.core.progress import Reporter
from affectkit.core.stopping import Stopping
from affectkit.core.text import count_text
from affectkit.errors import DataError
from affectkit.prep.datasplit.file_moves import count_file, is_beginning, move_file, remove_partial_files
from affectkit.prep.datasplit.journal import STAGE, Journal, Original

_STEP = 500
_Row = TypeVar("_Row")


@dataclass
class UndoResult:
    """Report what an undo did: originals put back, copies and made files removed, files that it would not touch."""

    restored: int = 0
    removed: int = 0
    kept: list[tuple[str, str]] = field(default_factory=list)


def undo_journal(
    journal: Journal, *, copied: Path | None, force: bool, reporter: Reporter, stopping: Stopping, hint: str
) -> UndoResult:
    """Put every original back and remove what was made, after all of it was compared with the journal.

    Nothing is removed but files whose content is that of which the journal holds the hash.

    Args:
        copied: the folder that the originals were copied or linked from; None where they were moved.
        force: undo the rest where files have changed; those that were made or copied then stay, and are named.

    Raises:
        DataError: files are not what the journal says; nothing was touched.
    """
    journal.note_age(reporter)
    staged = bool(journal.header.get("staged"))
    odd = _examine(journal, copied, staged, reporter)
    if odd and not force:
        listed = "".join(f"\n  - {name}: {why}" for name, why in list(odd.items())[:5])
        more = f"\n  - and {len(odd) - 5:,} more" if len(odd) > 5 else ""
        raise DataError(
            f"in {journal.root} {count_text(len(odd), 'file is', 'files are')} not what the journal says; nothing was "
            f"touched:{listed}{more}",
            "Add --force to undo the rest: changed originals are put back as they are, other changed files stay.",
        )
    result = UndoResult(kept=list(odd.items()))
    if "undoing" not in journal.stages:
        journal.add("undoing")
    names = [name for name in (*journal.tables, *journal.digests) if name not in odd]
    if copied is not None:
        names += [item.target for item in journal.originals if item.target not in odd]
    reporter.start("removing", len(names), "files")
    for number, name in enumerate(names):
        count_file(number, reporter, stopping, hint)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(journal.root / name)
            result.removed += 1
    reporter.finish()
    if copied is None:
        back = _unstage if staged else _move_back
        result.restored = back(journal, odd, reporter, stopping, hint)
    remove_partial_files(journal)
    for name in sorted(journal.header.get("folders", ()), key=len, reverse=True):
        with contextlib.suppress(OSError):
            (journal.root / name).rmdir()
    journal.close()
    return result


def _examine(journal: Journal, copied: Path | None, staged: bool, reporter: Reporter) -> dict[str, str]:
    """Find files that are not what the journal says, with why."""
    odd: dict[str, str] = {}
    root, inside = journal.root, ContainedPaths(journal.root)
    reporter.start("comparing", len(journal.originals) + len(journal.made), "images")
    for name, digest in journal.tables.items():
        if os.path.lexists(root / name) and digest_inside(root / name) != digest:
            odd[name] = "changed since it was written"
    for made in _stepped(journal.made, reporter):
        if os.path.lexists(root / made.target) and made.target not in journal.digests:
            odd[made.target] = "the journal has no hash of it, so it may be another file"
        elif os.path.lexists(root / made.target) and digest_inside(root / made.target) != journal.digests[made.target]:
            odd[made.target] = "changed since it was made"
    for number, item in enumerate(_stepped(journal.originals, reporter)):
        if copied is not None:
            why = _odd_copy(root / item.target, copied / item.source, item, inside)
        elif staged:
            why = _odd_staged(journal, number, item)
        else:
            why = _odd_move(root, item) if item.source != item.target else ""
        if why:
            odd[item.target] = why
    reporter.finish()
    return odd


def _stepped(rows: Sequence[_Row], reporter: Reporter) -> Iterator[_Row]:
    for number, row in enumerate(rows, start=1):
        yield row
        if number % _STEP == 0:
            reporter.advance(_STEP)
    reporter.advance(len(rows) % _STEP)


def _odd_move(root: Path, item: Original) -> str:
    source, target = os.path.lexists(root / item.source), os.path.lexists(root / item.target)
    if source and not target:
        return ""
    if not target:
        return "gone, and not in its old place either"
    if digest_inside(root / item.target) != item.digest:
        return "changed since it was moved"
    return "another file is in its old place" if source and digest_inside(root / item.source) != item.digest else ""


def _odd_staged(journal: Journal, number: int, item: Original) -> str:
    # Where it is: aside, in its new place once all have stepped aside, or still (or again) in its old one.
    places = [journal.folder / STAGE / str(number)]
    home = "staged" not in journal.stages or "unstaged" in journal.stages
    places.append(journal.root / (item.source if home else item.target))
    found = next((path for path in places if os.path.lexists(path)), None)
    if found is None:
        return "gone"
    return "changed since it was moved" if digest_inside(found) != item.digest else ""


def check_staged(journal: Journal) -> None:
    """Refuse to resume moves in two steps where a file is not where the journal says, or not what it was.

    Raises:
        DataError: one is not; nothing was touched.
    """
    if journal.header["staged"]:
        for number, item in enumerate(journal.originals):
            if why := _odd_staged(journal, number, item):
                raise DataError(
                    f"{item.source} in {journal.root} is not what the journal says: {why}. Nothing was touched.",
                    f"Put the file back, or see the plan in {journal.path}.",
                )


def _odd_copy(target: Path, source: Path, item: Original, inside: ContainedPaths) -> str:
    if not os.path.lexists(target):
        return ""
    if not source.is_file():
        return f"its source {source} is gone, so this may be the only copy"
    if inside.holds(source):
        return f"its source {source} is a link to a file here, so this may be the only copy"
    if target.is_symlink():
        return "" if target.exists() and os.path.samefile(source, target) else "the link leads elsewhere"
    if not is_regular(target):
        return "it is no regular file"
    if os.path.samefile(source, target):
        return ""
    if digest_of(target) != item.digest:
        return "" if is_beginning(str(target), str(source)) else "changed since it was copied"
    return "its source has changed, so this is the only copy" if digest_of(source) != item.digest else ""


def _move_back(journal: Journal, odd: dict[str, str], reporter: Reporter, stopping: Stopping, hint: str) -> int:
    root, count = journal.root, 0
    reporter.start("putting back", len(journal.originals), "images")
    for number, item in enumerate(journal.originals):
        count_file(number, reporter, stopping, hint)
        source, target = root / item.source, root / item.target
        if item.source == item.target or not os.path.lexists(target):
            continue
        if os.path.lexists(source):
            if item.target not in odd:  # equal to the one in the old place
                target.unlink()
            continue
        if (digest := digest_inside(target)) is None:  # no file of ours
            continue
        move_file(target, source, digest)
        count += 1
    reporter.finish()
    return count


def _unstage(journal: Journal, odd: dict[str, str], reporter: Reporter, stopping: Stopping, hint: str) -> int:
    root, stage, count = journal.root, journal.folder / STAGE, 0
    stage.mkdir(exist_ok=True)
    steps = list(enumerate(journal.originals))
    out = "staged" in journal.stages and "unstaged" not in journal.stages
    reporter.start("putting back", len(steps) * (1 + out), "images")
    if out:
        for number, item in steps:
            count_file(number, reporter, stopping, hint)
            aside, target = stage / str(number), root / item.target
            if not os.path.lexists(aside) and (digest := digest_inside(target)) is not None:
                move_file(target, aside, digest)
        journal.add("unstaged")
    for number, item in steps:
        count_file(number, reporter, stopping, hint)
        aside = stage / str(number)
        if (digest := digest_inside(aside)) is not None:
            move_file(aside, root / item.source, digest)
            count += 1
    reporter.finish()
    with contextlib.suppress(OSError):  # holds what is no file of ours
        stage.rmdir()
    return count
