"""The persons of EMOTIC, from its annotations in the three forms in which they are shared: see ``data.layouts.emotic``.

``Annotations.mat`` has ``train``, ``val`` and ``test``: pictures with ``folder``, ``filename`` and ``person``, one or
several, each with ``body_bbox`` (left, top, right, bottom). Persons of training have ``annotations_categories`` and
``annotations_continuous`` of one annotator; the others ``combined_categories`` and ``combined_continuous`` of several.
Sources, independent of one another: the README that comes with the data, mat2py.py in Tandon-A/emotic, and the tests of
another reader on GitHub, which fix both conventions.

The tables of mat2py.py are as that file writes them. Of those with arrays, several readers on GitHub agree on
``Crop_name``, ``Valence``, ``Arousal`` and a column for each category, above 0 where it was given.
"""

from __future__ import annotations

import ast
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from affectkit.core.contained_paths import name_fault
from affectkit.core.csv_tables import read_csv
from affectkit.core.table_errors import TableErrors
from affectkit.data.layouts.emotic import SPLITS
from affectkit.errors import DataError

CATEGORIES = (
    "Affection", "Anger", "Annoyance", "Anticipation", "Aversion", "Confidence", "Disapproval", "Disconnection",
    "Disquietment", "Doubt/Confusion", "Embarrassment", "Engagement", "Esteem", "Excitement", "Fatigue", "Fear",
    "Happiness", "Pain", "Peace", "Pleasure", "Sadness", "Sensitivity", "Suffering", "Surprise", "Sympathy", "Yearning",
)  # fmt: skip
"""As the authors order them."""
_MAX_CELL = 4096


@dataclass
class Person:
    """A person: the picture's file, the box in it (None where the file holds the person alone), and what was given.

    Attributes:
        name: of the image to write, without folder and ending; unique in its split.
        path: the picture, or a .npy file.
        box: left, top, right, bottom.
        categories: names, as given.
        valence: from 1 to 10, NaN where it is not known.
        arousal: likewise.
        gender: "" where it is not known.
        age: likewise.
    """

    name: str
    path: Path
    box: tuple[float, ...] | None
    categories: tuple[str, ...]
    valence: float
    arousal: float
    gender: str = ""
    age: str = ""


def persons_of_mat(path: Path, images: Path) -> dict[str, list[Person]]:
    """Return the persons in ``Annotations.mat`` by split.

    Raises:
        DataError: the file cannot be read, or is none of EMOTIC.
    """
    from scipy.io import loadmat

    try:
        # Arrays, text and structures alone: nothing in a file of this kind is run.
        found = loadmat(str(path), simplify_cells=True, variable_names=list(SPLITS.values()))
    except Exception as error:
        hint = "Unpack it again." if not isinstance(error, NotImplementedError) else "In MATLAB: save it with -v7."
        raise DataError(f"cannot read {path}: {error}.", hint) from error
    splits = {}
    for split, name in SPLITS.items():
        if name not in found:
            continue
        counts: Counter[str] = Counter()
        splits[split] = [
            person
            for number, picture in enumerate(_several(found[name]), 1)
            for person in _of_picture(picture, images, counts, f"{path}: {name}({number})")
        ]
    if not splits:
        raise DataError(f"{path} has none of {', '.join(SPLITS.values())}.", "It is not EMOTIC's.")
    return splits


def persons_of_tables(tables: Mapping[str, Path], images: Path) -> dict[str, list[Person]]:
    """Return the persons in tables of mat2py.py by split; faults are a DataError by line."""
    return {split: list(_of_table(path, images)) for split, path in tables.items()}


def persons_of_arrays(tables: Mapping[str, Path], arrays: Path) -> dict[str, list[Person]]:
    """Return the persons in tables with arrays by split; faults are a DataError by line."""
    return {split: list(_of_arrays(path, arrays)) for split, path in tables.items()}


def _several(value: Any) -> Sequence[Any]:
    """Return what MATLAB holds as one thing or an array of them as a sequence."""
    if isinstance(value, np.ndarray):
        return value.reshape(-1).tolist()
    return value if isinstance(value, list) else [value]


def _of_picture(picture: Any, images: Path, counts: Counter[str], place: str) -> Iterator[Person]:
    if not isinstance(picture, dict) or not {"folder", "filename", "person"} <= picture.keys():
        raise DataError(f"{place} has no folder, filename and person.", "It is not EMOTIC's.")
    name = f"{picture['folder']}/{picture['filename']}"
    if why := name_fault(name):
        raise DataError(f"{place}: the path {name[:60]!r} {why}.")
    for person in _several(picture["person"]):
        if not isinstance(person, dict) or "body_bbox" not in person:
            raise DataError(f"{place} has a person without body_bbox.", "It is not EMOTIC's.")
        box = tuple(_number(value) for value in _several(person["body_bbox"]))
        if len(box) != 4:
            raise DataError(f"{place}: body_bbox must have four numbers, got {len(box)}.")
        counts[name] += 1
        yield Person(
            _name(name, counts[name]), images / name, box, _categories(person), *_ratings(person),
            _text(person, "gender"), _text(person, "age"),
        )  # fmt: skip


def _categories(person: dict[str, Any]) -> tuple[str, ...]:
    found = person.get("combined_categories")
    if found is None:
        found = [one.get("categories", ()) for one in _dicts(person.get("annotations_categories"))]
        found = [name for names in found for name in _several(names)]
    return tuple(dict.fromkeys(str(name).strip() for name in _several(found) if str(name).strip()))


def _ratings(person: dict[str, Any]) -> tuple[float, float]:
    """Return valence and arousal; the mean of several annotators where their combination is not given."""
    found = _dicts(person.get("combined_continuous")) or _dicts(person.get("annotations_continuous"))
    pairs = [[_number(one.get(key)) for key in ("valence", "arousal")] for one in found]
    if not pairs:
        return math.nan, math.nan
    valence, arousal = np.mean(np.array(pairs, dtype=np.float64), axis=0).tolist()
    return valence, arousal


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in _several(value) if isinstance(one, dict)] if value is not None else []


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _text(person: dict[str, Any], key: str) -> str:
    value = person.get(key, person.get(f"annotations_{key}"))
    value = value.get(key, "") if isinstance(value, dict) else value
    return value.strip() if isinstance(value, str) else ""


def _of_table(path: Path, images: Path) -> Iterator[Person]:
    errors, counts = TableErrors(path), Counter()
    needed = ("Folder", "Filename", "BBox", "Categorical_Labels", "Continuous_Labels")
    for line, row in read_csv(path, *needed):
        name = f"{row['Folder'].strip()}/{row['Filename'].strip()}"
        box, categories, ratings = (_listed(row[key]) for key in needed[2:])
        if why := name_fault(name):
            errors.add(f"a path {why}", line, repr(name[:60]))
        elif categories is None or not _numbers(box, 4) or not _numbers(ratings, 3):
            errors.add("BBox must be four numbers, Continuous_Labels three, Categorical_Labels a list", line)
        else:
            counts[name] += 1
            yield Person(
                _name(name, counts[name]), images / name, tuple(map(float, box)),
                tuple(dict.fromkeys(str(one).strip() for one in categories)), float(ratings[0]), float(ratings[1]),
                row.get("Gender", "").strip(), row.get("Age", "").strip(),
            )  # fmt: skip
    errors.check("Make the tables again with mat2py.py.")


def _of_arrays(path: Path, arrays: Path) -> Iterator[Person]:
    errors, counts = TableErrors(path), Counter()
    for line, row in read_csv(path, "Crop_name", "Valence", "Arousal", *CATEGORIES):
        name = row["Crop_name"].strip().replace("\\", "/")
        values = {key: _number(row[key] or "nan") for key in CATEGORIES}
        if why := name_fault(name):
            errors.add(f"a path {why}", line, repr(name[:60]))
            continue
        counts[name] += 1
        yield Person(
            _name(name, counts[name]), arrays / name, None,
            tuple(key for key, value in values.items() if value > 0),
            _number(row["Valence"] or "nan"), _number(row["Arousal"] or "nan"),
            row.get("Gender", "").strip(), row.get("Age", "").strip(),
        )  # fmt: skip
    errors.check("Download the tables again.")


def _listed(cell: str) -> list[Any] | None:
    """Return the list that Python wrote into a cell; None where it is none."""
    if len(cell) > _MAX_CELL:
        return None
    try:
        value = ast.literal_eval(cell.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return list(value) if isinstance(value, list | tuple) else None


def _numbers(values: list[Any] | None, count: int) -> bool:
    """Return whether ``values`` are so many numbers that a float can hold."""
    if values is None or len(values) != count:
        return False
    return all(isinstance(one, int | float) and abs(one) <= sys.float_info.max for one in values)


def _name(path: str, number: int) -> str:
    """Return the name of a person's image: database, picture, and which of the persons in it."""
    parts = PurePosixPath(path)
    return "_".join((*(part for part in parts.parts[:-1] if part != "images"), parts.stem, str(number)))
