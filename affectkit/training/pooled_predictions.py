"""Predictions of all repeats of a training together, and the quantile analysis of ratings over them.

For each part of the data (``valid``, ``test``) the folder of the repeats gets a folder of that name beside theirs.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affectkit.core.contained_paths import refuse_link
from affectkit.core.csv_tables import csv_reader, write_table
from affectkit.core.files import whole_file
from affectkit.core.progress import Reporter, Silent
from affectkit.core.text import list_some
from affectkit.errors import DataError
from affectkit.evaluation.quantiles import BETTER, analyse

ANALYSES = {"mean_of_analyses": "mean of the repeats' analyses", "pooled": "pooled: all repeats, then bins"}
"""The two quantile analyses over repeats, as records and tables name them."""
TABLE = "repeats_quantiles.csv"


def pool_repeats(root: Path, count: int, *, reporter: Reporter) -> dict[str, Any]:
    """Write the tables of all repeats together; those of ratings are analysed by quantiles.

    Written are ``valid/pooled_valid_results.csv`` (the number of the repeat, then the columns of its own table), and of
    each rating ``valid/pooled_valid_<Rating>_actual_predicted.csv``; the same of ``test``; and ``TABLE``.

    Args:
        root: folder of ``repeat-1``, ``repeat-2``, ...
        count: of repeats.
        reporter: of what cannot be pooled, since a repeat was made by an earlier version or changed since.

    Returns:
        By part and rating the number of items and bins, and r, R2 and RMSE over the bin means, of both ``ANALYSES``.
    """
    found: dict[str, Any] = {}
    for part in ("valid", "test"):
        folders = [root / f"repeat-{number}" / part for number in range(1, count + 1)]
        if not folders[0].is_dir():
            continue
        refuse_link(root / part, "the folder")
        try:
            own = _pool_part(root / part, folders, part)
        except DataError as error:
            reporter.warn(f"{part}: the predictions of the repeats are not pooled: {error.message}")
            continue
        found |= {part: own} if own else {}
    if found:
        _write_analyses(root / TABLE, found, count)
    return found


def _pool_part(target: Path, folders: Sequence[Path], part: str) -> dict[str, Any]:
    """Pool what the ``folders`` of one part hold; returns the analyses of its ratings."""
    names = [f"{part}_results.csv", *sorted(path.name for path in folders[0].glob(f"{part}_*_actual_predicted.csv"))]
    absent = [str(folder / name) for name in names for folder in folders if not (folder / name).is_file()]
    if absent:
        raise DataError(f"missing: {list_some(absent)}.")
    found: dict[str, Any] = {}
    for name in names:
        files = [folder / name for folder in folders]
        _concatenate(target / f"pooled_{name}", files)
        if name.endswith("_actual_predicted.csv"):
            summary = analyse(files, pool=True, reporter=Silent())
            rating = name.removeprefix(f"{part}_").removesuffix("_actual_predicted.csv").lower()
            pooled = summary["pooled"]
            found[rating] = {
                "mean_of_analyses": summary["mean_of_analyses"],
                "pooled": {key: pooled[key] for key in ("n", "bins", *BETTER)},
            }
    return found


def _concatenate(path: Path, files: Sequence[Path]) -> None:
    """Write the rows of tables with one header below each other, the number of the table, from 1, in front."""
    path.parent.mkdir(exist_ok=True)
    header: list[str] = []
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for number, file in enumerate(files, start=1):
            with csv_reader(file) as reader:
                own = reader.header()
                if number == 1:
                    header = own
                    writer.writerow(["Repeat", *header])
                if own != header:
                    raise DataError(f"{file} has other columns than {files[0]}.")
                writer.writerows([number, *row] for row in reader)


def _write_analyses(path: Path, found: dict[str, Any], count: int) -> None:
    names = ("part", "rating", "analysis", "repeats", "n", "bins", *BETTER)
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for part, ratings in found.items():
        for rating, analyses in ratings.items():
            for key, title in ANALYSES.items():
                own = {"part": part, "rating": rating, "analysis": title, "repeats": count, "n": "", "bins": ""}
                for name, value in {**own, **analyses[key]}.items():
                    columns[name].append(value)
    write_table(path, columns)
