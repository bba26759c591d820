"""The kinds of result folders of which a page is made, known by their files. Import is light.

A new kind is a module with ``build(source) -> Page``, a template, and a line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affectkit.core.missing_paths import instead_of
from affectkit.core.registry import Entry, Registry
from affectkit.errors import DataError, UsageError


@dataclass(frozen=True)
class KindEntry(Entry):
    """A kind of result folder.

    Attributes:
        marks: names of files, one of which every such folder holds, also where its run was stopped.
    """

    marks: tuple[str, ...] = ()


KINDS = Registry("kind of report", entry=KindEntry)
for _name, _summary, _marks in (
    ("inference", "photographs and videos that infer has predicted", ("inference.json",)),
    ("training", "a run folder of train, or its repeats or folds", ("config.yaml", "history.csv", "repeats.csv")),
    ("test", "a checkpoint on labelled data, of test or infer --labels", ("results.json",)),
    ("corruptions", "a checkpoint under corruptions, of eval-corruptions", ("robustness.json", "corruptions.csv")),
    ("compare", "differences of models on the same items, of compare", ("comparison.json",)),
    ("matrix", "several models on several data sets, of matrix", ("matrix.json",)),
    ("describe", "what a dataset holds, of describe", ("describe.json",)),
    ("quantiles", "means of quantile bins, of quantiles", ("summary.json",)),
):
    KINDS.add(_name, f"affectkit.pages.{_name}:build", _summary, marks=_marks)


def kind_of(folder: Path) -> str:
    """Return the name of the kind of ``folder``.

    Raises:
        UsageError: it is no folder.
        DataError: it holds the results of no command that is known.
    """
    if not folder.is_dir():
        what, hint = "does not exist", instead_of(folder)
        if folder.exists():
            what, hint = "is a file", "Name the folder, which --results named."
        raise UsageError(f"{folder} {what}; a report is made of a folder of results.", hint)
    for name, entry in KINDS.items():
        if any((folder / mark).is_file() for mark in entry.marks):
            return name
    below = sorted(path.parent for entry in KINDS.values() for mark in entry.marks for path in folder.glob(f"*/{mark}"))
    known = "; ".join(f"{entry.marks[0]}: {entry.summary}" for entry in KINDS.values())
    hint = f"Did you mean {below[0]}?" if below else f"Such a folder holds one of these. {known}."
    if any(folder.glob("shard-*-of-*/inference.json")):
        hint = f"It holds shards: affectkit merge {folder} puts them together."
    raise DataError(f"{folder} holds no results that a report can be made of.", hint)
