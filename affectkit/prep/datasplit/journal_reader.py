"""Read a journal that may come from others: every line, its form and every path in it, before anything is touched.

What a journal says is what a later run moves and removes, so that one that does not hold is refused as a whole, by
line. Of a run that was killed the last line may be cut short; it is passed over. Journals of format 1, which earlier
versions wrote, have no chain of hashes; their lines are judged alike.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal

from affectkit.core.chained_lines import unlink_line
from affectkit.core.contained_paths import ContainedPaths, name_fault, refuse_link
from affectkit.core.forms import Count, Hash, form_faults, matcher
from affectkit.core.json_lines import LineFault, bounded_lines, parse_line
from affectkit.errors import DataError
from affectkit.prep.datasplit.journal import FORMAT, STAGE, Journal, Made, Original, journal_folder

_HINT = "Nothing was touched; restore the file, or remove it if nothing is to be undone."
_UNCHAINED = 1
_SIDES = ("train", "test")
_STAGES = {
    "datasplit": {"made all", "moved", "done", "undoing"},
    "relabel": {"staged", "unstaged", "done", "undoing"},
}
_HEADERS = {
    "datasplit": {
        "identity": {"label_col": str, "filename_col": str, "plain_csv": bool, "source?": str | None},
        "source": str | None, "base": Literal["", "train/"], "pipeline?": dict | None,
        "link": Literal["copy", "hardlink", "symlink", "reflink"] | None,
        "notes": list[str], "folders": list[str], "tables": list[Literal["train.csv", "test.csv", "manifest.json"]],
    },
    "relabel": {
        "identity": {"source": str | None, "labels": str}, "labels": str, "unchanged": Count, "staged": bool,
        "folders": list[str],
    },
}  # fmt: skip
"""Forms of the first line; see ``core.forms``."""
_ROWS = {
    "o": {"label": str, "side": str, "source": str, "target": str, "size": Count, "hash": Hash},
    "a": {"label": str, "side": str, "target": str, "source": str, "draw": Count},
    "x": {"file": str, "reason": str},
    "planned": {"count": Count},
    "made": {"files": list[tuple[str, Hash]]},
    "tables": {"tables": dict[str, Hash]},
}
"""Forms of the values of the other lines, by their first word, in order."""
_HOLDS = {word: matcher(tuple[tuple(forms.values())]) for word, forms in _ROWS.items()}


class _Damage(Exception):
    """Say what is wrong with a line."""


def find_journal(root: Path, command: str) -> Journal | None:
    """Read the journal that an earlier run of ``command`` left in ``root``; None where there is none.

    Raises:
        DataError: the journal is damaged or edited, of a newer format, or names what lies outside ``root``.
    """
    journal = Journal(root, command, {})
    journal_folder(root, command)
    refuse_link(journal.path, "the journal")
    refuse_link(journal.folder / STAGE, "the folder")
    try:
        if not journal.path.is_file():
            return None
        with journal.path.open("rb") as stream:
            _Reader(journal).read(stream)
    except OSError as error:
        raise DataError(f"cannot read the journal {journal.path}: {error.strerror or error}.") from error
    return journal


class _Reader:
    """Fill a journal from its lines."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.planned = journal, False
        self.inside = ContainedPaths(journal.root)
        self.sources: set[str] = set()
        self.targets: set[str] = set()
        self.made: set[str] = set()
        self.takers: dict[str, Callable[[list[Any]], None]] = {
            "o": self._original, "x": self._left, "planned": self._planned, "made": self._digests,
        }  # fmt: skip
        if journal.command == "datasplit":
            self.takers |= {"a": self._made, "tables": self._tables}

    def read(self, stream: BinaryIO) -> None:
        """Read all lines; a DataError names the first that cannot be taken."""
        number = 0
        for number, line in enumerate(bounded_lines(stream), start=1):
            if self.planned and self._is_cut(line, stream):
                break
            try:
                self._line(line, number)
            except _Damage as damage:
                raise DataError(
                    f"the journal {self.journal.path} is damaged at line {number:,}: {damage}.", _HINT
                ) from None
            self.journal.end += len(line)
        if not self.planned:
            raise DataError(f"the journal {self.journal.path} is cut short after line {number:,}.", _HINT)

    def _is_cut(self, line: bytes, stream: BinaryIO) -> bool:
        """Return whether a line is what a kill or a loss of power left of the last one."""
        return not line.endswith(b"\n") or (b"\0" in line and not stream.read(1))

    def _line(self, line: bytes, number: int) -> None:
        if number > 1 and self.journal.chained:
            linked = unlink_line(line, self.journal.chain)
            if linked is None:
                raise _Damage("it does not follow the line before; it, or one before, was edited, moved, added or lost")
            line, self.journal.chain = linked
        try:
            row = parse_line(line)
        except LineFault as fault:
            raise _Damage(str(fault)) from None
        if number == 1:
            self._header(row, line)
            return
        if not isinstance(row, list) or not row or not isinstance(row[0], str):
            raise _Damage("a list that begins with a word is needed")
        word, stages = row[0], _STAGES[self.journal.command]
        if word not in self.takers and (word not in stages or len(row) > 1):
            raise _Damage(f"affectkit {self.journal.command} writes no such line, {_short(row)}")
        if (word in ("o", "a", "x", "planned")) == self.planned:
            raise _Damage(f"{word!r} does not belong {'after' if self.planned else 'into'} the plan")
        if word in stages:
            self.journal.stages.add(word)
        else:
            self.takers[word](_fields(row))

    # --- the header --------------------------------------------------------------------------------------------------

    def _header(self, row: Any, line: bytes) -> None:
        journal = self.journal
        known = row.get("journal") if isinstance(row, dict) else None
        if type(known) is not int or known not in (FORMAT, _UNCHAINED):
            raise DataError(
                f"the journal {journal.path} is not of format {FORMAT}.", "Use the affectkit that wrote it."
            )
        journal.chained = known == FORMAT
        if journal.chained:
            linked = unlink_line(line, "")
            if linked is None:
                raise _Damage("it is not as it was written")
            journal.chain = linked[1]
        if row.get("command") != journal.command:
            raise _Damage(f"it is of {_short(row.get('command'))}, not of {journal.command}")
        if why := "; ".join(itertools.islice(form_faults(row, _HEADERS[journal.command]), 3)):
            raise _Damage(why)
        journal.header = {key: value for key, value in row.items() if key not in ("journal", "command", "chain")}
        (self._split_header if journal.command == "datasplit" else self._relabel_header)(journal.header)
        for name in journal.header["folders"]:
            self._entry(name, "folder")

    def _split_header(self, header: dict[str, Any]) -> None:
        if header["source"] != header["identity"].get("source", header["source"]):
            raise _Damage("its two sources differ")
        self._source(header["source"])
        if (header["link"] is None) != (header["source"] is None):
            raise _Damage(f"link is {_short(header['link'])}, and source {_short(header['source'])}")
        header.setdefault("pipeline", None)

    def _relabel_header(self, header: dict[str, Any]) -> None:
        source = header["identity"]["source"]
        self._source(source)
        if header["staged"] != (source is None):
            raise _Damage("staged and source do not agree")

    def _source(self, source: str | None) -> None:
        """Refuse a folder of originals in the folder of their copies: these would be taken for the originals."""
        if source is None:
            return
        if not Path(source).is_absolute() or "\0" in source:
            raise _Damage(f"source is {_short(source)}")
        if self.inside.holds(source):
            raise _Damage(f"its source {source} lies in the folder of the copies")

    # --- rows --------------------------------------------------------------------------------------------------------

    def _original(self, values: list[Any]) -> None:
        label, side, source, target, size, digest = values
        self._entry(target, "file")
        if self.journal.copied_from is None:
            self._entry(source, "file")
        elif why := name_fault(source):
            raise _Damage(f"{_short(source)} {why}")
        name = source.rpartition("/")[2]
        if self.journal.command == "datasplit":
            if side not in _SIDES:
                raise _Damage(f"the side is {_short(side)}")
            belongs = (f"{self.journal.header['base']}{label}/{name}", f"{side}/{label}/{name}")
            fits = (source, target) == belongs
        else:
            tops = ("", "train/")
            fits = any((source, target) == (f"{top}{side}/{name}", f"{top}{label}/{name}") for top in tops)
        if not fits or not _is_part(label) or not _is_part(side) or not _is_part(name):
            raise _Damage(f"{_short(source)} does not become {_short(target)}")
        if source in self.sources or target in self.targets:
            raise _Damage(f"{_short(source if source in self.sources else target)} stands twice")
        self.sources.add(source)
        self.targets.add(target)
        self.journal.originals.append(Original(label, side, source, target, size, digest))

    def _made(self, values: list[Any]) -> None:
        label, side, target, source, draw = values
        self._entry(target, "file")
        if source not in self.sources:
            raise _Damage(f"{_short(source)} is no original")
        name = target.rpartition("/")[2]
        named = re.search(rf"-aug{draw}-[0-9a-f]{{8}}(\.[^.]*)?$", name)
        if side not in _SIDES or not _is_part(label) or target != f"{side}/{label}/{name}" or named is None:
            raise _Damage(f"{_short(target)} is no name of an augmented file")
        if target in self.targets or target in self.sources:
            raise _Damage(f"{_short(target)} stands twice")
        self.targets.add(target)
        self.made.add(target)
        self.journal.made.append(Made(label, side, target, source, draw))

    def _left(self, values: list[Any]) -> None:
        name, why = values
        self.journal.left.append((name, why))

    def _planned(self, values: list[Any]) -> None:
        (count,) = values
        found = len(self.journal.originals) + len(self.journal.made) + len(self.journal.left)
        if count != found:
            raise _Damage(f"the plan has {found:,} lines, not {_short(count)}")
        self.planned = True

    def _digests(self, values: list[Any]) -> None:
        (pairs,) = values
        for name, digest in pairs:
            if name not in self.made:
                raise _Damage(f"{_short(name)} is not in the plan")
            self.journal.digests[name] = digest

    def _tables(self, values: list[Any]) -> None:
        (tables,) = values
        for name, digest in tables.items():
            if name not in self.journal.header["tables"]:
                raise _Damage(f"{_short(name)} is no table of a split")
            self.journal.tables[name] = digest

    def _entry(self, name: Any, what: str) -> None:
        """Refuse what is no entry of the folder, or one of affectkit's own in it."""
        if why := self.inside.fault(name):
            raise _Damage(f"the {what} {_short(name)} {why}")
        if name.startswith(".affectkit-"):
            raise _Damage(f"the {what} {_short(name)} is affectkit's own")


def _fields(row: list[Any]) -> list[Any]:
    """Return the values of a row behind its word, which have the forms of ``_ROWS``."""
    values, names = row[1:], _ROWS[row[0]]
    if _HOLDS[row[0]](values):
        return values
    if len(values) != len(names):
        raise _Damage(f"it has {len(values)} values, not {len(names)}")
    raise _Damage(next(form_faults(dict(zip(names, values, strict=True)), names)))


def _is_part(name: Any) -> bool:
    return isinstance(name, str) and bool(name) and "/" not in name


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:
        text = "nested too deep"
    return text if len(text) <= 60 else f"{text[:40]}...{text[-15:]}"
