"""``infer`` on pictures and films in one command: pictures first, then films, then what both came to."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from affectkit.core.files import whole_file, write_json
from affectkit.data.media.file_kinds import FILM
from affectkit.errors import UsageError
from affectkit.inference.inputs import Inputs
from affectkit.inference.journal import read_inputs
from affectkit.inference.prediction_table import FIRST, INPUTS, NAME, SKIPPED_COLUMNS, Output
from affectkit.inference.predictor import Means
from affectkit.inference.table_files import FILMS_FOLDER, csv_line, open_text
from affectkit.inference.video.annotated_video import Targets
from affectkit.inference.video.infer import infer_films
from affectkit.settings.inference import InferSettings


def infer_mixed(
    settings: InferSettings, inputs: Inputs, means: Means, output: Output, infer_images: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Predict the pictures with ``infer_images``, then the films; returns the record of both.

    With results, those of films stand in their folder ``films``; ``skipped.csv`` and the record beside the table of
    pictures are of both. On standard output both are in one table, which has the columns of films.

    Raises:
        UsageError: both cannot be drawn as asked. Others: as of ``infer`` on each.
    """
    films = list(inputs.items(FILM))
    targets = None
    if films and settings.annotate is not None:
        targets = Targets(settings, films)
        if targets.is_file:
            raise UsageError(
                f"--annotate {settings.annotate} is a file, and there are pictures and films.", "Name a folder."
            )
    found = infer_images()
    apart = settings if settings.results is None else replace(settings, results=settings.results / FILMS_FOLDER)
    told = infer_films(apart, films, means, table=output.table, targets=targets)
    return _together(found, told, output)


def _together(found: dict[str, Any], told: dict[str, Any], output: Output) -> dict[str, Any]:
    """The record of pictures with that of films in it; ``skipped.csv`` and ``inference.json`` name those of both."""
    own = {key: value for key, value in told.items() if key not in output.summary}
    if output.final is None:
        reasons = [*found["skipped_first"], *told["skipped_first"]][:FIRST]
        skipped = found["skipped"] + told["skipped"]
        return {**found, "skipped": skipped, "skipped_first": reasons, "film_results": own}
    rows = _skipped(output.skips)
    if rows:  # of an earlier run it may name films already
        of_images = {one["name"] for one in read_inputs(output.folder / INPUTS, [NAME]) if not one["rows"]}
        rows = [row for row in rows if row[0] in of_images]
    rows += _skipped(Path(told["skipped_list"])) if "skipped_list" in told else []
    since = {key: found[key] for key in ("since_before",) if key in found}
    record = {key: value for key, value in found.items() if key not in ("since_before", "skipped_list")}
    record |= {
        "skipped": len(rows),
        "skipped_first": [dict(zip(("image", "reason"), row, strict=True)) for row in rows],
    }
    record["skipped_first"] = record["skipped_first"][:FIRST]
    record["film_results"] = {key: value for key, value in own.items() if key != "since_before"}
    if rows:
        record["skipped_list"] = str(output.skips)
        with whole_file(output.skips) as part, open_text(part, "w") as stream:
            stream.writelines(map(csv_line, [list(SKIPPED_COLUMNS), *rows]))
    else:
        output.skips.unlink(missing_ok=True)
    write_json(output.record, record)
    return {**record, **since, "film_results": own}


def _skipped(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with open_text(path, "r") as stream:
        return list(csv.reader(stream))[1:]
