"""CSV tables of images: a ``filename`` column with a ``label``, one column per class, or ratings; or several."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from affectkit.core.csv_tables import csv_reader
from affectkit.core.text import list_some, one_of
from affectkit.data.layouts.class_columns import Choice, check_choice, column_kinds, ignore_columns_hint
from affectkit.data.layouts.class_names import likely_matches
from affectkit.data.layouts.rating_scale import HEADERLESS, RATINGS, Scale
from affectkit.data.layouts.ratings import check_scale
from affectkit.data.layouts.table import Table
from affectkit.data.layouts.table_cells import INDEX_COLUMNS, RESERVED, Cells, column_name
from affectkit.data.layouts.table_checks import refuse_missing_files, refuse_repeated_files
from affectkit.data.split import Split
from affectkit.errors import DataError

# Rows that sum to 1 within this are taken as they are, so that float32 shares survive being written and read.
EXACT_TOLERANCE = 1e-6
TARGETS = (
    "A table needs 'filename' and 'label' (a class a row), 'valence' and 'arousal', or one column for each of two or "
    "more emotions."
)


def read_header(path: Path) -> list[str]:
    """Return column names in the first line of a table.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or is empty.
    """
    with csv_reader(path) as reader:
        for row in reader:
            reader.check_columns(row)
            return [column_name(cell) for cell in row]
    raise DataError(f"table {path} is empty; a header line with 'filename' is needed.")


def read_table(
    path: Path, *, root: Path | None = None, ratings: bool | None = False, choice: Choice | None = None
) -> Table:
    """Return the cells of one table, checked for form; files are not searched for yet.

    Args:
        root: the folder that file names are relative to, of a table that is named apart from it; such a table may
            have no header line (its columns are then ``HEADERLESS``), and its faults name all lines. None: the
            table's own folder.
        ratings: whether the columns of ``RATINGS`` are read; None: where the table has no other target.
        choice: what the user says of the columns; without, see ``class_columns.decide_class_columns``.

    Raises:
        DataError: a header that is not complete, columns of which it is not clear whether they are classes, or rows
            that are malformed, listed by line.
    """
    apart, choice = root is not None, choice or Choice()
    header = read_header(path)
    bare = apart and is_headerless(header)
    header = list(HEADERLESS) if bare else header
    candidates = _check_header(path, header, ratings=ratings, choice=choice)
    places = {name: index for index, name in enumerate(header) if name not in choice.ignored}
    rated = ratings is not False and any(name in places for name in RATINGS)
    rated = rated and bool(ratings or "label" not in places)
    cells = Cells(path, root or path.parent, places, candidates, rated=rated, every=apart)
    with csv_reader(path) as reader:
        for row in reader if bare else itertools.islice(reader, 1, None):
            cells.add(row, reader.line, width=len(header))
    emotions, others, rated = cells.settle(choice, ratings=ratings)
    hint = "Columns that are no classes: --ignore-columns NAME,..." if emotions else ""
    if bare:
        hint = f"Without a header line the columns are {', '.join(HEADERLESS)}."
    cells.errors.check(hint)
    if not cells.ids:
        raise DataError(f"table {path} has a header and no rows.")
    if len(emotions) < 2 and "label" not in places and not rated:
        raise DataError(
            f"table {path} has no label, and no columns that are classes: {'; '.join(others.values())}.", TARGETS
        )
    if choice.classes:
        others |= {name: f"{name}: not in --classes" for name in header if _is_free(name) and name not in emotions}
    return Table(
        path,
        cells.root,
        emotions,
        cells.ids,
        cells.lines,
        cells.labels if "label" in places else None,
        cells.splits if "split" in places else None,
        cells.columns.of(emotions),
        np.array(cells.ratings, dtype=np.float64).reshape(-1, len(RATINGS)) if rated else None,
        cells.sources,
        apart,
        tuple(header),
        {name: why for name, why in others.items() if name not in choice.ignored},
    )


def _is_free(name: str) -> bool:
    """Return whether the column ``name`` may be a class."""
    return name not in RESERVED and name.lower() not in INDEX_COLUMNS


def is_headerless(first: Sequence[str]) -> bool:
    """Return whether a table's first line is a row of ``HEADERLESS`` and not a header: no ``filename``, ratings at its
    end.
    """
    if "filename" in first or len(first) < 2:
        return False
    try:
        float(first[-1])
    except ValueError:
        return False
    return True


def read_tables(
    paths: Mapping[str, Path],
    *,
    root: Path | None = None,
    ratings: bool | None = False,
    scale: Scale | None = None,
    whole: bool = False,
    choice: Choice | None = None,
    follow_links: bool = False,
) -> tuple[dict[str, Split], list[str]]:
    """Return the splits in tables, ``{"train": Path, ...}``; a table that is alone may hold several in a ``split``
    column.

    Rows that all sum to 1 (within 1e-3) are shares; otherwise non-negative whole numbers are votes. Without a
    ``label`` column there are no labels, without columns that are classes no distribution. The classes are the first
    split's columns, or its sorted labels, or those of ``choice``; the other splits are matched to them by name.

    Args:
        root, ratings, choice: see ``read_table``.
        scale: of the ratings; None for the likely one.
        whole: pass over a ``split`` column.
        follow_links: read links that lead out of the table's folder.

    Returns:
        the splits in the order train, valid, test, all; and notes for the user.

    Raises:
        DataError: rows that are malformed (by line), files that are missing, named twice, in two splits, or outside
            the table's folder, classes that do not match, ratings outside their scale.
    """
    choice = choice or Choice()
    wanted, passed = (tuple(map(column_name, names)) for names in (choice.classes, choice.ignored))
    choice = replace(choice, classes=wanted, ignored=passed)
    read = {name: read_table(path, root=root, ratings=ratings, choice=choice) for name, path in paths.items()}
    check_choice(read, choice)
    found: dict[str, Table] = {}
    for name, table in read.items():
        if len(paths) == 1 and table.splits is not None and not whole:
            found.update({part: table.part(part) for part in dict.fromkeys(table.splits)})
        else:
            found[name] = table
    tables = {name: found[name] for name in ("train", "valid", "test", "all") if name in found}
    refuse_repeated_files(tables)
    ways: Counter[str] = Counter()
    for table in tables.values():
        ways += refuse_missing_files(table, follow=follow_links)
    if any(table.ratings is not None for table in tables.values()):
        scale = check_scale(tables.values(), scale)
    held = column_kinds(tables)
    splits: dict[str, Split] = {}
    for name, table in tables.items():
        split = _to_split(name, table, held.get(name), choice.classes)
        if table.ratings is not None:
            split = replace(split, ratings=table.ratings, scale=scale)
        splits[name] = split.matched(next(iter(splits.values())).classes) if splits else split
    notes = [
        f"{table.path.name}: columns that are no classes: {'; '.join(table.others.values())}"
        for table in read.values()
        if table.others
    ]
    if ways:
        listed = ", ".join(f"{count:,} ({way})" for way, count in ways.items())
        notes.append(f"links that lead out of the table's folder are followed: {listed}")
    if len(set(held.values())) > 1:
        notes.append("some tables hold votes and others shares: " + ", ".join(f"{k} {v}" for k, v in held.items()))
    return splits, notes


def _check_header(path: Path, header: list[str], *, ratings: bool | None, choice: Choice) -> tuple[str, ...]:
    """Return the columns that may be classes, or a DataError about the header."""
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        raise DataError(f"table {path}: columns named twice: {list_some(twice)}.")
    if "filename" not in header:
        hint = "The first line names the columns: filename, and label or one column an emotion."
        if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
            hint = "Columns must be separated by commas: this table seems to use semicolons or tabs."
        elif "Image name" in header:
            hint = (
                "This is the label file of FER+: prepare the dataset first: affectkit prep ferplus FOLDER --output NEW."
            )
        elif {"emotion", "pixels"} <= set(header):
            hint = "These are FER-2013's pixels: prepare the dataset first: affectkit prep fer2013 FOLDER --output NEW."
        raise DataError(f"table {path} has no 'filename' column; its columns are {list_some(header)}.", hint)
    there = [name for name in header if name not in choice.ignored]
    candidates = tuple(name for name in there if _is_free(name))
    if choice.classes:
        candidates = tuple(name for name in choice.classes if name in there)
    rated = ratings is not False and any(name in there for name in RATINGS)
    if len(candidates) < 2 and "label" not in there and not rated:
        what = f"one emotion column only, {candidates[0]!r}" if candidates else "neither 'label' nor emotion columns"
        named = [name for name in RATINGS if name in header]
        hint = f"It has ratings ({', '.join(named)}): they are for a model that predicts these." if named else TARGETS
        raise DataError(f"table {path} has {what}; its columns are {list_some(header)}.", hint)
    return candidates


def _to_split(name: str, table: Table, kind: str | None, chosen: tuple[str, ...]) -> Split:
    classes = table.emotions or chosen or tuple(sorted(set(table.labels or ())))
    labels = None
    if table.labels is not None:
        position = {label: index for index, label in enumerate(classes)}
        unknown = [label for label in dict.fromkeys(table.labels) if label not in position]
        if unknown:
            first = unknown[:10]  # looking for what was meant costs a search each
            guesses = [f"{label!r} -> {one_of(near)}" for label in first if (near := likely_matches(label, classes))]
            rows = [row for row, label in enumerate(table.labels) if label not in position]
            columns = bool(table.emotions)
            raise DataError(
                f"table {table.path}: labels {list_some([*map(repr, unknown)])} are not among "
                f"{'the emotion columns' if columns else '--classes'} ({list_some(classes, 30)}): {table.where(rows)}.",
                (f"Did you mean {list_some(guesses)}? " if guesses else "")
                + (
                    f"To go by the labels alone: {ignore_columns_hint(classes)}."
                    if columns
                    else "Name all classes, or none."
                ),
            )
        labels = np.array([position[label] for label in table.labels], dtype=np.int64)
    distribution = votes = None
    if kind is not None:
        sums = table.values.sum(axis=1, keepdims=True)
        divisor = np.where(np.abs(sums - 1) <= EXACT_TOLERANCE, 1.0, sums)
        distribution = (table.values / divisor).astype(np.float32)
        votes = table.values.astype(np.float32) if kind == "votes" else None
    return Split(name, table.root, list(table.ids), classes, labels, distribution, votes, sources=table.sources)
