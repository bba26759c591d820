"""Plan what is left to do where an earlier run has left rows, by the content of the files, not by their names alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from affectkit.data.media.file_identity import is_same_file
from affectkit.inference.inputs import Item


@dataclass
class ResumePlan:
    """Hold what an earlier run has done, and what is left.

    Attributes:
        kept: names of items whose rows stand.
        new: how many it has not seen.
        changed: names whose content has changed since.
        gone: names that are not listed any more.
        unread: how many could not be read then.
        again: how many of these are tried again.
        moved: whether those that stand are listed in another order now.
        finished: whether it had come to its end.
    """

    kept: set[str] = field(default_factory=set)
    new: int = 0
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    again: int = 0
    unread: int = 0
    moved: bool = False
    finished: bool = False

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is left to do."""
        return not (self.new or self.changed or self.gone or self.again or self.moved)

    @property
    def described(self) -> str:
        """Describe what has changed since then; empty where nothing has."""
        changes = [f"{self.new:,} new"] if self.new and self.finished else []
        changes += [f"{_some(self.changed)} changed"] if self.changed else []
        changes += [f"{_some(self.gone)} gone"] if self.gone else []
        changes += ["the order has changed"] if self.moved and not changes else []
        changes += [f"{self.again:,} to be tried again"] if self.again and self.finished else []
        return ", ".join(changes)

    @property
    def is_as_it_was(self) -> bool:
        """Return whether nothing has changed since that run came to its end."""
        return self.finished and not (self.new or self.changed or self.gone or self.moved)

    def summary(self) -> dict[str, Any]:
        """Return the entries of a summary; none where there was no earlier run, or nothing has changed."""
        if not (self.changed or self.gone or (self.finished and self.new)):
            return {}
        counts = {"new": self.new} if self.finished else {}
        return {"since_before": {**counts, "kept": len(self.kept), "changed": self.changed, "gone": self.gone}}


def plan_resume(
    items: Iterable[Item], known: Mapping[str, Any], *, finished: bool, retry: bool = False, positions: bool = False
) -> ResumePlan:
    """Compare ``items`` with what an earlier run has done of them.

    What could not be opened then is tried again: what was in the way may have been put right beside the file.

    Args:
        items: all that are listed now.
        known: what an earlier run says of each that it has done: ``mark``, ``rows`` and ``position``; in its order
            where it is ``finished``.
        finished: whether that run came to its end.
        retry: whether what was opened and could not be read is tried again, too.
        positions: rows stand for a place in the listing, and are of no use at another one.
    """
    found = ResumePlan(finished=finished)
    listed = set()
    order = iter(known) if finished else None
    for item in items:
        listed.add(item.name)
        before = known.get(item.name)
        found.unread += before is not None and not before["rows"]
        if order is not None and next(order, None) != item.name:
            found.moved = True
        if before is None or (positions and before["position"] != item.position):
            found.new += 1
        elif before["mark"] is None:
            found.again += 1
        elif not is_same_file(before["mark"], item.path):
            found.changed.append(item.name)
        elif retry and not before["rows"]:
            found.again += 1
        else:
            found.kept.add(item.name)
    found.gone = [name for name in known if name not in listed]
    return found


def _some(names: list[str], most: int = 3) -> str:
    shown = ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
    return f"{len(names):,} ({shown})"
