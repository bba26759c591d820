"""Combine the record of images with that of the videos that came with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectkit.core.files import whole_file, write_json
from affectkit.inference.journal import read_inputs
from affectkit.inference.prediction_table import PredictionTable
from affectkit.inference.table_layout import FIRST, INPUTS, NAME, SKIPPED, SKIPPED_COLUMNS, VIDEOS_FOLDER
from affectkit.inference.table_reader import CsvRows
from affectkit.inference.table_writer import csv_line, open_text


def combine_records(images: dict[str, Any], videos: dict[str, Any], table: PredictionTable) -> dict[str, Any]:
    """Return the record of images with that of videos in it; ``skipped.csv`` and the record name those of both.

    With results, those of videos stand in their folder ``videos``. On standard output both are in one table.

    Args:
        images: record of the images.
        videos: record of the videos.
        table: of the images.
    """
    own = {key: value for key, value in videos.items() if key not in table.summary}
    files = table.files
    if files is None:
        reasons = [*images["skipped_first"], *videos["skipped_first"]][:FIRST]
        skipped = images["skipped"] + videos["skipped"]
        return {**images, "skipped": skipped, "skipped_first": reasons, "video_results": own}
    rows = _skipped(files.skipped)
    if rows:  # of an earlier run it may name videos already
        of_images = {one["name"] for one in read_inputs(files.folder / INPUTS, [NAME]) if not one["rows"]}
        rows = [row for row in rows if row[0] in of_images]
    # Its own place, whatever path the record of an earlier run names.
    rows += _skipped(files.folder / VIDEOS_FOLDER / SKIPPED) if "skipped_list" in videos else []
    since = {key: images[key] for key in ("since_before",) if key in images}
    record = {key: value for key, value in images.items() if key not in ("since_before", "skipped_list")}
    record |= {
        "skipped": len(rows),
        "skipped_first": [dict(zip(("image", "reason"), row, strict=True)) for row in rows[:FIRST]],
    }
    record["video_results"] = {key: value for key, value in own.items() if key != "since_before"}
    if rows:
        record["skipped_list"] = str(files.skipped)
        with whole_file(files.skipped) as part, open_text(part, "w") as stream:
            stream.writelines(map(csv_line, [list(SKIPPED_COLUMNS), *rows]))
    else:
        files.skipped.unlink(missing_ok=True)
    write_json(files.record, record)
    return {**record, **since, "video_results": own}


def _skipped(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    return [row for row in CsvRows(path, len(SKIPPED_COLUMNS))][1:]
