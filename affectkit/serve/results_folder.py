"""What a job came to as a folder of results, the same that ``infer --results`` writes."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affectkit.data.media.file_identity import file_mark
from affectkit.inference.inputs import Item
from affectkit.inference.prediction_table import PredictionTable
from affectkit.inference.result_files import OutputOptions
from affectkit.inference.table_writer import csv_line, rows_text
from affectkit.inference.video.prediction_table import VideoTable
from affectkit.inference.video.statistics import Columns
from affectkit.pages.make import make_report
from affectkit.serve.jobs import Job
from affectkit.serve.predictions import Predictions
from affectkit.serve.uploads import RequestFolder, Upload

FILES, RESULTS, REPORT = "files", "results", "report.html"


def table_text(job_rows: Sequence[list[Any]], columns: Sequence[str], *, films: bool) -> str:
    """Return rows of ``predictions.Found`` as the CSV that ``infer`` writes."""
    begin = 0 if films else 1
    return csv_line(list(columns)) + rows_text([row[begin:] for row in job_rows], list(columns), "csv")


def write_results(job: Job, predictions: Predictions, folder: Path) -> Path:
    """Write the files of ``job`` under the names that their sender gave them, and its results, into ``folder``.

    Returns:
        the folder of results.
    """
    files = [_placed(one, folder / FILES) for one in job.files]
    (_write_films if job.films else _write_pictures)(job, predictions, files, folder / RESULTS)
    return folder / RESULTS


def report_of(job: Job, predictions: Predictions) -> Path:
    """Return the file of the HTML report of ``job``, which is done; made at the first call."""
    path = job.folder.path / REPORT
    with job.reporting:
        if not path.exists():
            with RequestFolder(job.folder.path) as folder:
                make_report(write_results(job, predictions, folder.path), path)
    return path


def _placed(upload: Upload, folder: Path) -> Item:
    """Make the file of ``upload`` appear in ``folder``, by a link where that can be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / upload.name  # one part: ``uploads.shown_name`` leaves no separator
    if path.parent != folder or path.name != upload.name:
        raise AssertionError(upload.name)
    try:
        os.link(upload.path, path)
    except OSError:
        shutil.copyfile(upload.path, path)
    return Item(upload.name, path)


def _summary(predictions: Predictions, files: Sequence[Item]) -> dict[str, Any]:
    """Return the summary of a run on the folder of ``files``, which names in the tables are relative to."""
    return {**predictions.described(), "paths": [str(files[0].path.parent)], "recursive": False}


def _write_pictures(job: Job, predictions: Predictions, files: Sequence[Item], folder: Path) -> None:
    items = [Item(one.name, one.path, position) for position, one in enumerate(files)]
    table = PredictionTable(
        OutputOptions(results=folder),
        _summary(predictions, files),
        list(predictions.columns(films=False)),
        io.StringIO(),
        items=lambda: items,
    )
    with table:
        table.add(job.found.rows, job.found.failures, job.found.marks, job.found.left_out)
        table.conclude()


def _write_films(job: Job, predictions: Predictions, files: Sequence[Item], folder: Path) -> None:
    asked = {"every": str(job.options.every), "smooth": job.options.smooth, "seconds": None}
    if predictions.predictor.face_detector is not None:
        asked |= {"search_side": job.options.search_side, "track_gap": job.options.track_gap}
    columns = Columns.of(predictions.predictor.task)
    summary = {**_summary(predictions, files), **asked}
    table = VideoTable(OutputOptions(results=folder), summary, columns, io.StringIO(), videos=files)
    with table:
        for item, found in zip(files, job.found.videos, strict=False):
            rows = [row for row in job.found.rows if row[0] == item.name]
            table.add(rows)
            table.end_video(item, found, len(rows), file_mark(item.path))
        table.conclude()
