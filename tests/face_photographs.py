"""Photographs whose faces are marked by eye, as scenes. The pictures are others' and not part of the project."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from face_judge import Mark
from face_scenes import Scene

MARKS = Path(__file__).parent / "benchmarks" / "marked_photographs.json"
"""``pictures``: of each ``name``, ``source``, ``path`` in it, ``sha256``, ``faces`` with ``box`` and maybe ``eyes``."""
TURNS = (15, 30, 45, 60)
"""Degrees by which photographs are turned, either way."""
FILLED = 0.45
"""Share of a photograph that its face covers from which on it is a crop."""
EDGE = 2
"""Pixels beyond the edge that the box of a face may reach for its picture to be turned."""


def entries() -> list[dict]:
    """Return the entries of the marked photographs."""
    return json.loads(MARKS.read_text())["pictures"]


def files_by_hash(folder: Path) -> dict[str, Path]:
    """Return the pictures in ``folder`` and below it by their SHA-256: names do not count."""
    endings = (".jpg", ".jpeg", ".png")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings and path.is_file())
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}


def marks_of(entry: dict) -> tuple[Mark, ...]:
    """Return the marks of an entry."""
    return tuple(
        Mark(
            tuple(map(float, face["box"])),
            tuple(tuple(map(float, eye)) for eye in face.get("eyes", ())),
            roll=_roll(face.get("eyes", ())),
            kind="ignore" if face.get("ignore") else "photograph",
            ignore=bool(face.get("ignore")),
        )
        for face in entry["faces"]
    )


def _roll(eyes: list) -> float:
    if not eyes:
        return 0.0
    (right_x, right_y), (left_x, left_y) = eyes
    return math.degrees(math.atan2(left_y - right_y, left_x - right_x))


def group_of(marks: tuple[Mark, ...], shape: tuple[int, ...]) -> str:
    """Return the group of a photograph of ``shape`` (H, W, ...).

    Returns:
        ``no face``; ``groups`` of several faces; ``crops`` that one face nearly fills; ``portraits`` for the others.
    """
    sides = [mark.side for mark in marks if not mark.ignore]
    if len(sides) != 1:
        return "groups" if sides else "no face"
    return "crops" if sides[0] ** 2 > FILLED * shape[0] * shape[1] else "portraits"


def turned(scene: Scene, degrees: float) -> Scene:
    """Turn a picture clockwise on an enlarged canvas of its mean colour; boxes keep their sides."""
    height, width = scene.picture.shape[:2]
    turn = math.radians(degrees)
    cosine, sine = math.cos(turn), math.sin(turn)
    size = (
        math.ceil(abs(cosine) * width + abs(sine) * height),
        math.ceil(abs(sine) * width + abs(cosine) * height),
    )

    def place(x: float, y: float) -> tuple[float, float]:
        x, y = x - width / 2, y - height / 2
        return cosine * x - sine * y + size[0] / 2, sine * x + cosine * y + size[1] / 2

    # OpenCV's coordinates are of pixel centres.
    origin = place(0.5, 0.5)
    matrix = np.array([[cosine, -sine, origin[0] - 0.5], [sine, cosine, origin[1] - 0.5]])
    mean = tuple(float(value) for value in scene.picture.reshape(-1, 3).mean(0))
    picture = cv2.warpAffine(scene.picture, matrix, size, flags=cv2.INTER_LINEAR, borderValue=mean)
    marks = []
    for mark in scene.marks:
        left, top, across, down = mark.box
        x, y = place(left + across / 2, top + down / 2)
        # A face keeps its size; a tall box turned by 90 degrees would be a wide one.
        share = abs(sine) / (abs(sine) + abs(cosine))
        wide, tall = across + share * (down - across), down + share * (across - down)
        eyes = tuple(place(*eye) for eye in mark.eyes)
        box = (x - wide / 2, y - tall / 2, wide, tall)
        marks.append(Mark(box, eyes, mark.roll + degrees, mark.kind, mark.ignore))
    name = f"{scene.name} turned {degrees:+g}"
    return Scene(name, picture, tuple(marks), scene.crops, f"turned {abs(round(degrees))}")


def can_turn(scene: Scene) -> bool:
    """Return whether all of a picture's faces lie in it; not where some are ignored, whose regions cannot be turned."""
    height, width = scene.picture.shape[:2]
    if not scene.marks or any(mark.ignore for mark in scene.marks):
        return False
    return all(
        left >= -EDGE and top >= -EDGE and left + across <= width + EDGE and top + down <= height + EDGE
        for left, top, across, down in (mark.box for mark in scene.marks)
    )


def scenes(folder: Path, *, turned: int = 20) -> Iterator[Scene]:
    """Yield the marked photographs that ``folder`` holds, and the first ``turned`` portraits that can be turned.

    Raises:
        FileNotFoundError: none of them is there.
    """
    there = files_by_hash(folder)
    found = [entry for entry in entries() if entry["sha256"] in there]
    if not found:
        raise FileNotFoundError(f"{folder} holds none of the {len(entries())} photographs of {MARKS.name}.")
    left = turned
    for entry in found:
        pixels = cv2.imread(str(there[entry["sha256"]]), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        marks = marks_of(entry)
        group = group_of(marks, pixels.shape)
        scene = Scene(entry["name"], cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), marks, ("",) * len(marks), group)
        yield scene
        if left and scene.group == "portraits" and can_turn(scene):
            left -= 1
            yield from all_turns(scene)


def all_turns(scene: Scene) -> Iterator[Scene]:
    """Yield a photograph turned either way by each of ``TURNS``."""
    for degrees in TURNS:
        yield turned(scene, degrees)
        yield turned(scene, -degrees)
