"""Measure what is lost between a given crop of a face and the crop that a detector and ``crop_face`` make of it.

    PYTHONPATH=tests python -m benchmarks.judge_crops haar yunet:FILE.onnx package.module:function --faces 600

FER+ validation faces are pasted into scenes, at sizes from 48 to 200 pixels and each angle, are found, cut out, and go
through the built-in model: the share that it gives the label of most votes, against that on the same faces as given.
``marked box`` and ``marked eyes`` cut out by the marks: what a detector without landmarks, or with them, could reach at
most. Faces that are not found count apart. Detectors are named as for ``judge_detector``.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import face_scenes
import numpy as np
from benchmarks.judge_detector import detector
from face_judge import Mark, judge
from face_scenes import Crop, Maker

import affectkit
from affectkit.data.faces import DETECTORS
from affectkit.data.faces.alignment import align_square
from affectkit.data.faces.detection import Face, FaceDetector, crop_face, first_square
from affectkit.data.faces.squares import Square

SIZES = (48, 72, 110, 150, 200)
ANGLES = (0, 15, 30, 45)
BATCH = 128

Finder = Callable[[np.ndarray, Sequence[Mark]], list[Face]]
"""From a picture (and its marks, for the references) to faces."""


def finder(name: str) -> Finder:
    """Return what finds faces: a detector as affectkit frames its faces, or ``marked box`` or ``marked eyes``."""
    if name.startswith("marked "):
        frame = marked_square if name == "marked box" else lambda mark: first_square(mark.box, mark.eyes)
        return lambda picture, marks: [Face(mark.box, 1.0, mark.eyes, frame(mark)) for mark in marks]
    how, _, file = name.partition(":")
    if how in DETECTORS:
        framed = FaceDetector(how, Path(file) if file else None)
        return lambda picture, marks: framed(picture)
    detect = detector(name)
    return lambda picture, marks: [
        Face(box, score, points, align_square(picture, first_square(box, points)))
        for box, score, points in detect(picture)
    ]


def marked_square(mark: Mark) -> Square:
    """Return the square of a mark, which is where the crop was pasted, but level."""
    left, top, width, height = mark.box
    return left + width / 2, top + height / 2, max(width, height), 0.0


@dataclass
class Cell:
    """Faces of one angle: whether each was found, and right as given and as found; 1 or 0."""

    missed: int = 0
    given: list[bool] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)

    def add(self, right: bool, right_now: bool, moved: float) -> None:
        """Count a face that was found; ``moved`` is half the sum of the differences of its probabilities."""
        self.given.append(right)
        self.found.append(right_now)
        self.moved.append(moved)

    @property
    def loss(self) -> tuple[float, float]:
        """Return the loss of accuracy in points, and half the width of its 95% interval, of pairs (McNemar)."""
        count = len(self.given)
        if not count:
            return math.nan, math.nan
        lost = sum(one and not other for one, other in zip(self.given, self.found, strict=True)) / count
        won = sum(other and not one for one, other in zip(self.given, self.found, strict=True)) / count
        return 100 * (lost - won), 196 * math.sqrt(max(lost + won - (lost - won) ** 2, 0.0) / count)


def labelled(count: int) -> list[tuple[Crop, int]]:
    """Return crops with the place of the label that most raters gave; without those of no single such label."""
    kept = [(crop, int(np.argmax(crop.votes))) for crop in face_scenes.crops()]
    kept = [(crop, label) for crop, label in kept if sorted(crop.votes)[-1] > sorted(crop.votes)[-2]]
    order = np.random.default_rng(0).permutation(len(kept))
    return [kept[place] for place in order[:count]]


def probabilities(model, images: Sequence[np.ndarray]) -> np.ndarray:
    """Return the model's probabilities of ``images`` at its input size, (N, classes) in the order of VOTES."""
    given = [np.asarray(model(np.stack(images[at : at + BATCH]))) for at in range(0, len(images), BATCH)]
    logits = np.concatenate(given).astype(np.float64) / model.spec.temperature
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return (raised / raised.sum(1, keepdims=True))[:, [model.spec.classes.index(name) for name in face_scenes.VOTES]]


def pasted(faces: Sequence[Crop], angle: int, seed: int) -> Iterator[tuple[face_scenes.Scene, list[int]]]:
    """Yield scenes that hold each face once, turned by ``angle`` either way, and the faces' places."""
    by_size: dict[int, list[int]] = {size: [] for size in SIZES}
    for place in range(len(faces)):
        by_size[SIZES[place % len(SIZES)]].append(place)
    for size, waiting in by_size.items():
        number = 0
        while waiting:
            maker = Maker([faces[place] for place in waiting], seed)
            turns = [angle * (-1) ** place for place in waiting]
            scene = maker.scene(f"crops-{angle}-{size}-{number}", size, turns, "plain", "plain", in_order=True)
            yield scene, waiting[: len(scene.marks)]
            del waiting[: len(scene.marks)]
            number += 1


def measure(names: Sequence[str], *, faces: int, angles: Sequence[int] = ANGLES, seed: int = 0) -> dict:
    """Return a ``Cell`` for each (name, angle)."""
    model = affectkit.load("builtin")
    chosen = labelled(faces)
    labels = np.array([label for _, label in chosen])
    crops = [crop for crop, _ in chosen]
    whole = Face((0, 0, 48, 48))
    given = probabilities(model, [crop_face(crop.pixels[:, :, None], whole, model.spec) for crop in crops])
    finders = {name: finder(name) for name in names}
    cells = {}
    for angle in angles:
        scenes = list(pasted(crops, angle, seed))
        for name, find in finders.items():
            cell = cells[name, angle] = Cell()
            images, places = [], []
            for scene, theirs in scenes:
                found = find(scene.picture, scene.marks)
                matched = judge(scene.marks, [face.box for face in found], [face.score or 0.0 for face in found]).found
                for place, box in zip(theirs, matched, strict=True):
                    if box is None:
                        cell.missed += 1
                    else:
                        images.append(crop_face(scene.picture, found[box], model.spec))
                        places.append(place)
            if not images:
                continue
            now = probabilities(model, images)
            for place, row in zip(places, now, strict=True):
                moved = 0.5 * float(np.abs(row - given[place]).sum())
                cell.add(given[place].argmax() == labels[place], row.argmax() == labels[place], moved)
    return cells


def table(cells: dict) -> str:
    """Return rows of: detector, angle, faces found, accuracy as given and as found, loss with interval, moved."""
    lines = [
        "| detector | angle | found | given, % | found, % | loss, points | distribution moves |",
        "|---|---|---|---|---|---|---|",
    ]
    for (name, angle), cell in cells.items():
        loss, half = cell.loss
        count = len(cell.given)
        shares = [100 * float(np.mean(rows)) if rows else math.nan for rows in (cell.given, cell.found)]
        moved = float(np.mean(cell.moved)) if cell.moved else math.nan
        lines.append(
            f"| {name} | {angle} | {count} of {count + cell.missed} | {shares[0]:.1f} | {shares[1]:.1f} "
            f"| {loss:+.1f} ± {half:.1f} | {moved:.3f} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Measure what the command line names, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="*", metavar="NAME or module:name")
    parser.add_argument("--faces", type=int, default=600)
    parser.add_argument("--angles", type=int, nargs="+", default=ANGLES)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    names = ["marked box", "marked eyes", *given.detectors]
    print(table(measure(names, faces=given.faces, angles=given.angles, seed=given.seed)))


if __name__ == "__main__":
    main(sys.argv[1:])
