"""Picture sets with mean ratings of what they make people feel, as they are distributed: OASIS and IAPS.

    OASIS.csv                   "", Theme, Category, Source, Valence_mean, Valence_SD, Valence_N, Arousal_mean, ...
    images/<Theme>.jpg          ratings from 1 to 7

    AllSubjects_1-20.txt        desc, IAPS, valmn, valsd, aromn, arosd, dom1mn, ... between tabs, below lines of prose
    images/<number>.jpg         ratings from 1 to 9; numbers such as 1050 and 2055.1

Pictures lie beside the table or in any one folder below it. Neither set has published splits.

OASIS: Kurdi, Lozano and Banaji, "Introducing the Open Affective Standardized Image Set (OASIS)", Behavior Research
Methods 2017. Columns and names agree in the authors' own script (osf.io/6pnd7), in the file as elkhand/
human-emotions-classifier keeps it, and in readers such as SalehiIman/OASIS-filter, which also knows that blanks in some
names differ between table and files.

IAPS: Lang, Bradley and Cuthbert, "International Affective Picture System: Affective ratings of pictures and instruction
manual", Technical Report A-8, University of Florida 2008. Columns and the prose above them agree in OASIS' script and
in several readers on GitHub, which keep the first row of a picture that was rated in two sets; so does this one, and
says how many there are.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from affectkit.core.csv_tables import csv_reader
from affectkit.core.folders import is_folder, visible_names
from affectkit.core.table_errors import TableErrors
from affectkit.data.layouts.class_folders import TABLE_NAMES
from affectkit.data.layouts.left_out import LeftOut
from affectkit.data.layouts.rating_scale import SAM, Scale, scale_text
from affectkit.data.media.images import is_image_name
from affectkit.data.split import Split
from affectkit.errors import DataError

OASIS_SCALE = (1.0, 7.0)
NO_IMAGE = "image not there"
NO_RATING = "no rating"
OUT_OF_RANGE = "rating out of range"
RATED_AGAIN = "rated in another set, too: the first row counts"
_IAPS_TABLE = re.compile(r"AllSubjects.*\.txt", re.IGNORECASE)
_MAX_TEXT = 1 << 22


@dataclass(frozen=True)
class Stimuli:
    """One picture set.

    Attributes:
        name: of it.
        table: finds its table in a folder; None where there is none.
        rows: yields line, name of the picture without ending, cells of valence and of arousal.
        scale: of the ratings.
    """

    name: str
    table: Callable[[Path], Path | None]
    rows: Callable[[Path], Iterator[tuple[int, str, str, str]]]
    scale: Scale


def stimuli_in(root: Path) -> Stimuli | None:
    """Return the picture set that ``root`` holds; None where it holds none, or tables of one's own."""
    return next((one for one in (OASIS, IAPS) if one.table(root) is not None), None) if not _own(root) else None


def read_stimuli(root: Path, stimuli: Stimuli) -> tuple[dict[str, Split], list[str]]:
    """Return the pictures with their mean arousal and valence, all in one split, and notes.

    Raises:
        DataError: rows are malformed (listed by line), or no picture of the table is there.
    """
    path = stimuli.table(root)
    images, place = _images(root, {_plain(name) for _, name, *_ in stimuli.rows(path)})
    errors, left_out, seen = TableErrors(path), LeftOut(), set()
    ids: list[str] = []
    ratings: list[tuple[float, float]] = []
    for line, name, *cells in stimuli.rows(path):
        valence, arousal = (_rating(cell) for cell in cells)
        if not name or valence is None or arousal is None:
            errors.add("rows must name a picture, and ratings be numbers", line, repr(", ".join((name, *cells))[:60]))
            continue
        image = images.get(name) or images.get(_plain(name))
        why = _fault(valence, arousal, stimuli.scale) or ("" if image else NO_IMAGE)
        why = RATED_AGAIN if name in seen else why
        seen.add(name)
        if why:
            left_out.add("all", why, name)
        else:
            ids.append(f"{place}{image}")
            ratings.append((arousal, valence))
    errors.check("Download the table again.")
    if not ids:
        raise DataError(
            f"none of the pictures that {path} names is in {root}, or in one folder of it.",
            "Put the pictures beside the table, or into a folder there.",
        )
    values = np.array(ratings, dtype=np.float64)
    return {"all": Split("all", root, ids, (), ratings=values, scale=stimuli.scale)}, left_out.notes()


def _own(root: Path) -> bool:
    """Return whether tables as ``tables`` reads them stand in ``root``."""
    return any((root / f"{name}.csv").is_file() for names in TABLE_NAMES.values() for name in names)


def _fault(valence: float, arousal: float, scale: Scale) -> str:
    if math.isnan(valence) or math.isnan(arousal):
        return NO_RATING
    low, high = scale
    inside = low <= valence <= high and low <= arousal <= high
    return "" if inside else f"{OUT_OF_RANGE}, which is {scale_text(scale)}"


def _rating(cell: str) -> float | None:
    """Return a rating; NaN for a cell that says that there is none, None for one that is malformed."""
    if cell.strip() in ("", ".", "NA"):
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _plain(name: str) -> str:
    """Return a name as it is compared where files are called otherwise: without blanks, in small letters."""
    return re.sub(r"\s+", "", name).casefold()


def _images(root: Path, wanted: set[str]) -> tuple[dict[str, str], str]:
    """Return names of pictures by their stems, and by these in plain form where that is of one alone; and their folder,
    with a slash behind: the one with most of those ``wanted``.
    """
    best: tuple[int, dict[str, str], str] = (0, {}, "")
    for folder in ("", *visible_names(root, is_folder)):
        names = visible_names(root / folder, lambda entry: is_image_name(entry.name))
        stems = {os.path.splitext(name)[0]: name for name in names}
        plain: dict[str, list[str]] = {}
        for stem, name in stems.items():
            plain.setdefault(_plain(stem), []).append(name)
        found = {stem: those[0] for stem, those in plain.items() if len(those) == 1}
        count = len(wanted & found.keys())
        if count > best[0]:
            best = (count, found | {stem.strip(): name for stem, name in stems.items()}, f"{folder}/" if folder else "")
    return best[1], best[2]


def _oasis_table(root: Path) -> Path | None:
    path = root / "OASIS.csv"
    if not path.is_file():
        return None
    try:
        with csv_reader(path) as reader:
            return path if {"Theme", "Valence_mean", "Arousal_mean"} <= set(reader.header()) else None
    except DataError:
        return None


def _oasis_rows(path: Path) -> Iterator[tuple[int, str, str, str]]:
    with csv_reader(path) as reader:
        header = reader.header("Theme", "Valence_mean", "Arousal_mean")
        places = [header.index(name) for name in ("Theme", "Valence_mean", "Arousal_mean")]
        for row in reader:
            cells = [row[place].strip() if place < len(row) else "none" for place in places]
            yield reader.line, cells[0], cells[1], cells[2]


def _iaps_table(root: Path) -> Path | None:
    try:
        found = [root / name for name in visible_names(root, lambda entry: bool(_IAPS_TABLE.fullmatch(entry.name)))]
    except DataError:
        return None
    return next((path for path in found if path.is_file() and _iaps_header(path)[0]), None)


def _iaps_header(path: Path) -> tuple[list[str], list[str]]:
    """Return the names of the columns, and the lines from that on; empty where no line has them."""
    try:
        with path.open(encoding="latin-1") as stream:  # the prose is not UTF-8 everywhere, and all else is ASCII
            lines = stream.read(_MAX_TEXT).splitlines()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    for number, line in enumerate(lines):
        cells = [cell.strip() for cell in line.split("\t")]
        if {"IAPS", "valmn", "aromn"} <= set(cells):
            return cells, lines[number:]
    return [], []


def _iaps_rows(path: Path) -> Iterator[tuple[int, str, str, str]]:
    header, lines = _iaps_header(path)
    with path.open(encoding="latin-1") as stream:
        above = len(stream.read(_MAX_TEXT).splitlines()) - len(lines)
    places = [header.index(name) for name in ("IAPS", "valmn", "aromn")]
    for number, line in enumerate(lines[1:], above + 2):
        if not line.strip():
            continue
        cells = line.split("\t")
        number_of, valence, arousal = (cells[place].strip() if place < len(cells) else "none" for place in places)
        yield number, re.sub(r"\.0+$", "", number_of), valence, arousal


OASIS = Stimuli("OASIS", _oasis_table, _oasis_rows, OASIS_SCALE)
IAPS = Stimuli("IAPS", _iaps_table, _iaps_rows, SAM)
