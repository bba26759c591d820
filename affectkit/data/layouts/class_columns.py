"""Recognition of the class columns of a table by their values: shares that sum to 1 in every row, or raters' votes.

A column is not taken for a class because it is there: ages, frame numbers, weights and boxes stand in tables too. Where
the contents do not settle it, nothing is guessed: the columns in doubt are named, with the options that settle it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from affectkit.core.registry import did_you_mean
from affectkit.core.text import list_some
from affectkit.data.layouts.class_words import EMOTIONS, OTHERS, is_emotion, name_words
from affectkit.errors import DataError

if TYPE_CHECKING:
    from affectkit.data.layouts.table import Table

SUM_TOLERANCE = 1e-3
FEW, SEVERAL = 5, 10
"""Rows from which on what holds in all of them is no accident."""
TORN = 0.2
"""Share of cells without a number up to which a column is taken for one of numbers with slips in it."""
SOLVED = 4000
"""Rows among which columns that sum to one number are searched for; all are then checked."""


@dataclass(frozen=True)
class Choice:
    """A user's choice of the columns of tables.

    Attributes:
        classes: the classes, ``--classes``: columns, or labels.
        ignored: columns that are passed over.
        known: class names that are known otherwise, as those of a checkpoint.
        strict: a name that no table has is a fault.
    """

    classes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    strict: bool = True


@dataclass(frozen=True)
class Decision:
    """The kinds of the columns of a table.

    Attributes:
        classes: those that are classes, in their order.
        others: those that are not, with a few words on why.
        doubtful: those that may be either, with a few words; where there are some, nothing is decided.
    """

    classes: tuple[str, ...] = ()
    others: dict[str, str] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a table that may be classes.

    Attributes:
        names: in their order, E of them.
        values: float64 (N, E), NaN where a cell is no number of at least 0.
        bad: the first such cells of each column that has some, as text.
        count: how many, by column.
        labels: the labels (N,) beside them; None without.
    """

    names: tuple[str, ...]
    values: np.ndarray
    bad: Mapping[str, Sequence[str]]
    count: Mapping[str, int]
    labels: Sequence[str] | None = None

    def of(self, names: Sequence[str]) -> np.ndarray:
        """Return the values (N, k) of some columns."""
        if tuple(names) == self.names:
            return self.values
        return self.values[:, [self.names.index(name) for name in names]]

    def samples(self, name: str) -> str:
        """Return the first values of a column that differ, as text."""
        cells = self.bad.get(name, ()) if 2 * self.count.get(name, 0) > len(self.values) else ()
        shown = [repr(cell) for cell in cells[:3]]
        if not shown:
            column = self.values[:, self.names.index(name)]
            shown = [f"{value:g}" for value in dict.fromkeys(column[~np.isnan(column)][:200].tolist())][:3]
        return f"{name} ({', '.join(shown)}, ...)" if shown else name


def decide_class_columns(columns: Columns, known: Sequence[str] = ()) -> Decision:
    """Decide which of ``columns`` are classes.

    All, where all rows sum to 1, or where all hold whole numbers and are called after emotions or all rows sum to the
    same number. Else those that do so without the others; ``known`` are names of classes. Votes by numbers of raters
    that vary can be distinguished from other whole numbers by names and sizes alone: a column that stands out is in
    doubt. So are columns that have the emotions of others once more, as votes and intensities have.
    """
    names = columns.names
    if len(names) < 2:
        return Decision((), {name: "one column alone" for name in names})
    if columns.labels is not None:
        named = set(columns.labels) & set(names)
        if not named and not _convincing(columns, known):
            return Decision((), {name: "no label is called so, nor do rows sum to 1" for name in names})
        known = (*known, *named)
    if idle := _idle(columns, known):
        rest = [name for name in names if name not in idle]
        inner = replace(columns, names=tuple(rest), values=columns.of(rest))
        found = decide_class_columns(inner, known)
        return replace(found, others=found.others | dict.fromkeys(idle, "0 in every row, and by its name no class"))
    if not columns.bad and are_shares(columns.values).all():
        return Decision(names)
    if twice := _once_more(columns, known):
        return Decision((), {}, twice)
    if not columns.bad and _votes_of_emotions(columns, names, known):
        return Decision(names)
    return _sifted(columns, known)


def are_shares(values: np.ndarray) -> np.ndarray:
    """Return bool (N,): rows of shares."""
    return np.abs(values.sum(axis=1) - 1) <= SUM_TOLERANCE


def are_whole_numbers(values: np.ndarray) -> np.ndarray:
    """Return bool (N,): rows of whole numbers."""
    return (values == np.floor(values)).all(axis=1)


def refuse_doubtful(path: Path, columns: Columns, decision: Decision) -> None:
    """Raise a DataError on columns that are in doubt: their values, and the options that settle it."""
    doubtful = list(decision.doubtful)
    rest = [name for name in columns.names if name not in decision.doubtful and name not in decision.others]
    listed = "; ".join(f"{columns.samples(name)}: {decision.doubtful[name]}" for name in doubtful[:6])
    more = f"; and {len(doubtful) - 6} more" if len(doubtful) > 6 else ""
    either = ignore_columns_hint(doubtful)
    raise DataError(
        f"table {path}: which of its columns are classes cannot be seen from what they hold. In doubt: {listed}{more}.",
        (f"If these are no classes: {either}, or --classes {_listed(rest)}. " if len(rest) > 1 else "")
        + f"If all are classes: --classes {_listed((*rest, *doubtful))}."
        + (
            ""
            if len(rest) > 1
            else f" Those that are none are passed over by --ignore-columns, as {either}."
            " A column that holds a class in each row must be called 'label'."
        ),
    )


def check_choice(tables: Mapping[str, Table], choice: Choice) -> None:
    """Refuse names of ``choice`` that no table has, and a column that is a class in one table and not in another."""
    there = list(dict.fromkeys(name for table in tables.values() for name in table.columns))
    labels = {label for table in tables.values() for label in table.labels or ()}
    if choice.strict:
        by_column = any(table.emotions for table in tables.values()) or not labels
        wanted = [("--ignore-columns", name, there) for name in choice.ignored]
        wanted += [("--classes", name, there) for name in choice.classes if by_column and name not in labels]
        for option, name, known in wanted:
            if name not in known:
                raise DataError(
                    f"{option}: no table has a column {name!r}; they have {list_some(there, 20)}.",
                    _meant(option, name, known),
                )
    for name, table in tables.items():
        for other, second in tables.items():
            both = [one for one in table.emotions if one in second.others]
            if both:
                raise DataError(
                    f"the column {both[0]!r} is a class in {table.path} ({name}) and not in {second.path} ({other}): "
                    f"{second.others[both[0]]}.",
                    f"Say what it is: --ignore-columns {','.join(both)}, or --classes with all classes.",
                )


def _meant(option: str, name: str, known: Sequence[str]) -> str:
    """Return the next step for a ``name`` that is no column: a list without commas, or the nearest."""
    parts = re.split(r"[\s;|]+", name.strip())
    if len(parts) > 1 and set(parts) <= set(known):
        return f"Write commas between names: {option} {_listed(parts)}"
    return did_you_mean(name, known)


def column_kinds(tables: Mapping[str, Table]) -> dict[str, str]:
    """Return whether each table with emotion columns holds "shares" or "votes"; a DataError lists rows that are
    neither.
    """
    found, integral = {}, {}
    for name, table in tables.items():
        if not table.emotions:
            continue
        is_share, is_whole = are_shares(table.values), are_whole_numbers(table.values)
        integral[name] = bool(is_whole.all())
        if is_share.all():
            found[name] = "shares"
            continue
        if not integral[name]:
            by_share = is_share.sum() >= is_whole.sum()
            rule = "rows of shares must sum to 1 (within 0.001)" if by_share else "votes must be whole numbers"
            rows = np.flatnonzero(~(is_share if by_share else is_whole))
            raise DataError(
                f"table {table.path}: {rule}: {table.where(rows)}.",
                f"The classes ({list_some(table.emotions)}) hold either shares that sum to 1 in every row, or raters' "
                "counts. Columns that are no classes: --ignore-columns NAME,...",
            )
        if (none := table.values.sum(axis=1) == 0).any():
            raise DataError(
                f"table {table.path}: a row needs at least one vote: {table.where(np.flatnonzero(none))}.",
                "Leave out items that no rater gave an emotion.",
            )
        found[name] = "votes"
    if "votes" in found.values():  # single votes sum to 1 as well: next to a table of votes they are votes
        found = {name: "votes" if integral[name] else kind for name, kind in found.items()}
    return found


def ignore_columns_hint(names: Sequence[str]) -> str:
    """Return the option that has columns passed over."""
    return f"--ignore-columns {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    """Return names as an option takes them."""
    return shlex.quote(",".join(names))


def _convincing(columns: Columns, known: Sequence[str]) -> bool:
    """Return whether columns are classes although no label is called as they are."""
    clean = [name for name in columns.names if name not in columns.bad]
    emotions = [name for name in clean if is_emotion(name, known)]
    if len(emotions) > 1 and (are_shares(columns.of(emotions)).all() or are_whole_numbers(columns.of(emotions)).all()):
        return True
    return len(clean) > 1 and bool(are_shares(columns.of(clean)).all())


def _idle(columns: Columns, known: Sequence[str]) -> list[str]:
    """Return columns of zeros whose name is a word for another thing, beside two or more whose name is not."""
    named = [name for name in columns.names if name in known or not name_words(name) <= OTHERS or len(name) == 1]
    if len(named) < 2:
        return []
    return [
        name
        for name, filled in zip(columns.names, columns.values.any(axis=0), strict=True)
        if not filled and name not in named
    ]


def _once_more(columns: Columns, known: Sequence[str]) -> dict[str, str]:
    """Return columns of two or more emotions that others are of too, as votes and intensities are: those that come
    later.

    Of happy_votes, sad_votes, happy_intensity and sad_intensity the last two; what is ``known`` comes first.
    """
    groups: dict[frozenset[str], dict[frozenset[str], str]] = {}
    for name in sorted(columns.names, key=lambda name: name not in known):
        words = name_words(name)
        if is_emotion(name) and 2 * columns.count.get(name, 0) <= len(columns.values):
            groups.setdefault(frozenset(words - EMOTIONS), {})[frozenset(words & EMOTIONS)] = name
    found: dict[str, str] = {}
    kept: list[dict[frozenset[str], str]] = []
    for group in groups.values():
        same = next((first for first in kept if len(first.keys() & group.keys()) > 1), None)
        if same is None:
            kept.append(group)
            continue
        both = next(emotion for emotion in group if emotion in same)
        why = f"{same[both]} and {group[both]} are of one emotion"
        found |= {name: why for name in group.values() if name not in known}
    return found


def _votes_of_emotions(columns: Columns, names: Sequence[str], known: Sequence[str]) -> bool:
    return all(is_emotion(name, known) for name in names) and bool(are_whole_numbers(columns.of(names)).all())


def _sifted(columns: Columns, known: Sequence[str]) -> Decision:
    """Return the decision where not all columns are classes at first sight."""
    count = len(columns.values)
    others = {
        name: "not numbers of at least 0"
        for name in columns.names
        if 2 * columns.count.get(name, 0) > count and not is_emotion(name, known)
    }
    rest = [name for name in columns.names if name not in others]
    clean = [name for name in rest if name not in columns.bad]
    emotions = [name for name in rest if is_emotion(name, known)]
    found = _consistent(columns, clean, emotions) if set(emotions) <= set(clean) else None
    if found:
        why = "the others are shares or votes without it"
        return Decision(
            tuple(name for name in columns.names if name in found),
            others | {name: why for name in rest if name not in found},
        )
    beside = [name for name in rest if name not in emotions]
    several = len(emotions) > 1
    if len(clean) < len(rest) or len(rest) < 2:
        torn = {name: columns.count[name] for name in beside if name in columns.bad}
        doubtful = {
            name: f"{number:,} of {count:,} cells are no numbers of at least 0"
            for name, number in torn.items()
            if several or number > TORN * count
        }
        if not doubtful:
            return Decision(tuple(rest), others)  # reported by line
        whole_ones = [name for name in clean if name in beside]
        return Decision((), others, doubtful | _standing_out(columns, clean, whole_ones))
    values = columns.of(rest)
    fitting = max(are_shares(values).mean(), are_whole_numbers(values).mean())
    doubtful = _standing_out(columns, rest, beside)
    if not doubtful and np.ptp(values.sum(axis=1)) == 0 and _several(values):
        doubtful = dict.fromkeys(beside, "more than one group of columns sums to one number")
    if not doubtful and several and not are_shares(values).mean() > 0.5:
        doubtful = {name: "votes, or numbers of another kind" for name in beside}
    if doubtful or (beside and fitting < 0.5):
        return Decision((), others, doubtful or {name: "rows sum to neither 1 nor whole votes" for name in beside})
    return Decision(tuple(rest), others)


def _consistent(columns: Columns, clean: list[str], emotions: list[str]) -> set[str]:
    """Return those of the columns ``clean`` that are shares or votes in every row, where only one set of them is."""
    if len(clean) < 2:
        return set()
    values = columns.of(clean)
    sums = values.sum(axis=1)
    steady = (np.ptp(values, axis=0) == 0) & (values[0] > 0)  # no class has the same votes in every row
    same_raters = len(values) >= FEW and np.ptp(sums) == 0 and sums[0] >= 1 and not steady.any()
    if are_shares(values).all():
        return set(clean)
    own = columns.of(emotions)
    if len(emotions) > 1 and are_shares(own).all():
        return set(emotions)
    if same_raters and are_whole_numbers(values).all() and not _several(values):
        return set(clean)
    if len(emotions) > 1:
        fractional = {name for name in clean if not are_whole_numbers(columns.of([name])).all()}
        if are_whole_numbers(own).all() and set(clean) - set(emotions) == fractional:
            return set(emotions)
    return _solved(columns, clean, emotions)


def _several(values: np.ndarray) -> bool:
    """Return whether of columns whose rows all sum to one number some may do so alone, as of two groups of one-hot
    ones.
    """
    rows = np.unique(np.linspace(0, len(values) - 1, min(len(values), SOLVED)).astype(int))
    moving = values[rows][:, values.any(axis=0)]
    return len(moving) >= moving.shape[1] + FEW and np.linalg.matrix_rank(moving) < moving.shape[1]


def _solved(columns: Columns, clean: list[str], emotions: list[str]) -> set[str]:
    """Return the one set of columns whose rows all sum to 1, or as whole numbers to one number of raters; empty without
    one.

    V a = 1 has one solution where the columns of V are independent; it is such a set if every a is 0 or 1 / raters.
    """
    values = columns.of(clean)
    moving = [name for name, spread in zip(clean, np.ptp(values, axis=0), strict=True) if spread > 0]
    if len(moving) < 2 or len(values) < len(moving) + FEW:
        return set()
    matrix = columns.of(moving)
    size = np.abs(matrix).max(axis=0)
    rows = np.unique(np.linspace(0, len(matrix) - 1, min(len(matrix), SOLVED)).astype(int))
    found, _, rank, _ = np.linalg.lstsq(matrix[rows] / size, np.ones(len(rows)), rcond=1e-9)
    if rank < len(moving):
        return set()
    shares = found / size
    one = float(shares.max())
    raters = 1 / one if one > 0 else 0.0
    taken = np.abs(shares * raters - 1) < 0.01
    chosen = [name for name, flag in zip(moving, taken, strict=True) if flag]
    idle = np.abs(found[~taken]) < 0.01
    if raters < 0.99 or len(chosen) < 2 or not idle.all() or not set(emotions) & set(moving) <= set(chosen):
        return set()
    own, still = columns.of(chosen), [name for name in emotions if name not in moving]
    same = np.ptp(own.sum(axis=1)) == 0 and are_whole_numbers(own).all()
    return set(chosen) | set(still) if (same or are_shares(own).all()) and not columns.of(still).any() else set()


def _standing_out(columns: Columns, names: Sequence[str], beside: Sequence[str]) -> dict[str, str]:
    """Return those of the columns ``beside`` that hold what votes of one class among ``names`` would hardly be, and
    why.
    """
    values = columns.of(names)
    count, sums = len(values), values.sum(axis=1)
    shares = are_shares(values).mean() > 0.5
    found = {}
    for name in beside:
        own = values[:, list(names).index(name)]
        rest = sums - own
        if shares:
            continue
        if are_whole_numbers(own[:, None]).mean() < 0.5:
            why = "fractions, and rows do not sum to 1"
        elif count >= FEW and np.ptp(own) == 0 and own[0] > 0:
            why = "the same in every row"
        elif count >= FEW and own.max() > 5 * max(rest.max(), 1):
            why = "far larger than the others"
        elif count > 1 and len(names) > 2 and np.array_equal(own, rest):
            why = "the sum of the others"
        elif count >= SEVERAL and len(np.unique(own)) == count:
            why = "another value in every row"
        elif count >= SEVERAL and own.min() > 0:
            why = "never 0, while rows sum to different numbers"
        elif name_words(name) <= OTHERS and len(name) > 1:
            why = "by its name no class"
        else:
            continue
        found[name] = why
    return found
