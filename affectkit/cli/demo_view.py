"""What the built-in model saw in the demo's picture and film, on the terminal: a line a face, and a timeline."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from affectkit.cli.console import Console
from affectkit.core.text import percent

BLOCKS, DIGITS = " ▁▂▃▄▅▆▇█", " 12345678"
"""Shares from none to all in eighths; digits where the terminal's encoding has no blocks."""
SHOWN = 0.25
"""The largest share of a class from which it has a line in a timeline."""


def show_faces(results: Path, console: Console) -> None:
    """Print the label of each face in the picture, and the shares of the film's classes over its time.

    Args:
        results: of ``infer`` on both.
        console: of the command.
    """
    faces, frames = (_rows(results / folder / "inference_results.csv") for folder in ("", "videos"))
    console.line()
    for row in faces:
        label = f"{row['Predicted Label']} {percent(float(row['Confidence']))}" if row["Face"] else "no face found"
        console.line(f"  {row['Image Name']}, face {row['Face'] or '-'}: {label}")
    seen = [row for row in frames if row["Face"]]
    if not seen:
        return
    classes = json.loads((results / "inference.json").read_text(encoding="utf-8"))["classes"]
    console.line(f"  {seen[0]['Video Name']}, from {float(seen[0]['Time']):.0f} to {float(seen[-1]['Time']):.0f} s:")
    for text in timeline({name: [float(row[name]) for row in seen] for name in classes}, blocks=_has_blocks()):
        console.line(f"    {text}")


def timeline(shares: dict[str, Sequence[float]], *, blocks: bool = True) -> list[str]:
    """Return a line for each class that has a share worth a line at any time, a character a moment.

    >>> timeline({"calm": [1.0, 0.5, 0.0], "tense": [0.0, 0.5, 1.0], "bored": [0.0, 0.1, 0.0]}, blocks=False)
    ['calm   84', 'tense   48']
    """
    marks = BLOCKS if blocks else DIGITS
    shown = {name: values for name, values in shares.items() if max(values, default=0) >= SHOWN}
    width = max(map(len, shown), default=0)
    lines = ["".join(marks[round(8 * value)] for value in values) for values in shown.values()]
    return [f"{name:<{width}}  {line}".rstrip() for name, line in zip(shown, lines, strict=True)]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _has_blocks() -> bool:
    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
