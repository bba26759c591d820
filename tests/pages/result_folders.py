"""Result folders as commands leave them, written by hand, and what stands in a page."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
FACE = ("Face", "x", "y", "width", "height", "Detector Score")


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    return path


def write_picture(path: Path, seed: int = 0, size: tuple[int, int] = (80, 60)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def shares(count: int, classes: int = len(CLASSES), seed: int = 0) -> list[list[str]]:
    """``count`` rows of shares as tables hold them."""
    drawn = np.random.default_rng(seed).dirichlet(np.full(classes, 0.6), count)
    return [[f"{value:.6f}" for value in row] for row in drawn]


def predicted(row: Sequence[str], classes: Sequence[str] = CLASSES) -> list[str]:
    """Label, confidence and shares."""
    best = max(range(len(row)), key=lambda k: float(row[k]))
    return [classes[best], row[best], *row]


def photographs(
    root: Path,
    names: Sequence[str],
    *,
    classes: Sequence[str] = CLASSES,
    marks: bool = True,
    more: Sequence[str] = (),
    form: str = "csv",
    empty: Sequence[str] = (),
    pictures: bool = True,
) -> tuple[Path, list[str], list[list[str]]]:
    """A folder ``results`` of photographs in ``photos``; header and rows of its table.

    Args:
        more: further columns behind the detector's.
        empty: photographs without a face.
    """
    photos, folder = root / "photos", root / "results"
    header = ["Image Name", *FACE, *more, "Predicted Label", "Confidence", *classes]
    rows, inputs = [], []
    for k, (name, row) in enumerate(zip(names, shares(len(names), len(classes)), strict=True)):
        if pictures:
            write_picture(photos / name, k)
        rows.append(
            [name, "1", "10", "8", "40", "40", "55.500000", *["7.000000"] * len(more), *predicted(row, classes)]
        )
    for name in empty:
        write_picture(photos / name, 99)
        rows.append([name, *[""] * (len(header) - 1)])
    for name in (*names, *empty):
        path = photos / name
        if path.is_file():
            status = path.stat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            inputs.append([name, status.st_size, status.st_mtime_ns, status.st_ctime_ns, digest, 1, 1])
    folder.mkdir(parents=True, exist_ok=True)
    if form == "csv":
        write_csv(folder / "inference_results.csv", header, rows)
    elif form == "jsonl":
        lines = [json.dumps(dict(zip(header, map(_value, row), strict=True))) + "\n" for row in rows]
        (folder / "inference_results.jsonl").write_text("".join(lines))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {name: [_value(row[k]) for row in rows] for k, name in enumerate(header)}
        pq.write_table(pa.table(columns), folder / "inference_results.parquet")
    if marks:
        head = ["Image Name", "Size", "Modified", "Changed", "SHA-256", "Frames", "Rows"]
        write_csv(folder / "inputs.csv", head, inputs)
    record = {"checkpoint": "builtin", "task": "distribution", "classes": list(classes), "paths": [str(photos)],
              "images": len(names), "skipped": 0, "format": form}  # fmt: skip
    (folder / "inference.json").write_text(json.dumps(record))
    return folder, header, rows


def _value(text: str) -> Any:
    if text == "":
        return None
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def data_of(page: Path) -> Any:
    """What the scripts of a page read."""
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL
    )
    return json.loads(text)


def text_of(page: Path) -> str:
    """The page without style, scripts and data."""
    return re.sub(r"<(script|style)[^>]*>.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
