"""Settings of ``affectkit train``: cross-validation."""

from __future__ import annotations

from pathlib import Path

from affectkit.config import Parsed, option_group, setting
from affectkit.core.limits import MAX_INTEGER
from affectkit.errors import UsageError

FOLDS = "Cross-validation"
MOST_FOLDS = 1000
LOSO = "loso"
"""Each group is held out once: leave one subject out."""


def parse_folds(text: str) -> int:
    """Read ``"5"`` as that many folds, and ``"loso"`` as 0: as many as there are groups.

    Raises:
        UsageError: something else.
    """
    word = text.strip().lower()
    if word == LOSO:
        return 0
    if not (word.isascii() and word.isdigit() and len(word) < len(str(MAX_INTEGER)) and 2 <= int(word) <= MOST_FOLDS):
        raise UsageError(
            f"must be a number of folds from 2 to {MOST_FOLDS:,}, or {LOSO} to hold out each group once; got {text!r}."
        )
    return int(word)


@option_group
class FoldOptions:
    """Settings of cross-validation: how many folds, what stays together, and which fold is trained now."""

    folds: Parsed[int] | None = setting(
        None,
        "Cross-validate: train this many times, each time on all but one fold of the training and validation data, "
        "and test on that. loso: each group of --group-by is held out once (leave one subject out).",
        parse=parse_folds,
        group=FOLDS,
        metavar="N|loso",
        default_text="none",
    )
    group_by: str | None = setting(
        None,
        "What stays in one fold: items with one value in a column of the tables, or with one text in the groups of a "
        "regular expression over file names, as 'file:subject(\\d+)_'. none: nothing but copies.",
        group=FOLDS,
        metavar="COLUMN|file:REGEX",
        default_text="actors or speakers of prepared clips, else none",
    )
    groups: Path | None = setting(
        None, "Table with the column of --group-by, if the data's own has it not.", group=FOLDS, metavar="TABLE"
    )
    fold: int | None = setting(
        None,
        "Train this fold alone, beside others in the same folder; merge puts them together.",
        low=1,
        high=MOST_FOLDS,
        group=FOLDS,
        metavar="K",
        default_text="all, one after the other",
    )

    def fold_faults(self, *, repeat: int, resume: Path | None, tested_apart: bool, halved: bool) -> list[str]:
        """Name the faults between settings of folds and others.

        Args:
            repeat: ``--repeat``.
            resume: ``--resume``.
            tested_apart: whether test data are named.
            halved: whether half of a validation split is to choose.
        """
        if self.folds is None:
            idle = [name for name in ("group_by", "groups") if getattr(self, name) is not None]
            idle += ["fold"] if self.fold is not None and resume is None else []
            return [f"--{name.replace('_', '-')} needs --folds." for name in idle]
        faults = []
        if repeat > 1:
            faults.append(
                "--folds and --repeat exclude each other: for several divisions into folds, train with several --seed, "
                "an --output each."
            )
        if tested_apart:
            faults.append(
                "--folds tests each model on the fold that it has not seen; leave --test-data and --test-labels out, "
                "and test a fold's model on them after training: affectkit test --checkpoint RUN/fold-1."
            )
        if halved:
            faults.append(
                "--folds has no validation split of its own: part of each fold's training items chooses; leave "
                "--valid-half out."
            )
        if self.fold is not None and self.fold > (self.folds.value or MOST_FOLDS):
            faults.append(f"--fold must be at most --folds ({self.folds}); got {self.fold}.")
        if self.groups is not None and self.group_by is None:
            faults.append("--groups needs --group-by: the column of that table.")
        return faults
