"""What the runnable blocks of guides work on: drawn faces in class folders and tables, a photograph, a film."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from films import write_film
from PIL import Image
from support import clip_config, invoke, make_ratings

EMOTIONS = ("neutral", "happiness", "surprise", "sadness")
COUNTS = {"train": 6, "valid": 3, "test": 3}
"""Images of a class."""
PHOTOGRAPH = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
"""Of the US Navy, in the public domain; it comes with matplotlib."""


def make_scene(root: Path) -> Path:
    """Make what guides speak of: faces/ (class folders), people/ (a table with subjects), rated/ (a table of ratings),
    photographs/ (a folder a condition), images/, talk.mp4; and tiny-clip.json, a CLIP small enough for tests.
    """
    drawn = root / "drawn-for-scene"
    done = invoke("prep", "schematic", drawn, "--train", 80, "--valid", 40, "--test", 40)
    assert done.returncode == 0, done.stderr
    chosen: dict[str, dict[str, list[Path]]] = {}
    for split, count in COUNTS.items():
        with (drawn / f"{split}.csv").open(newline="") as stream:
            chosen[split] = _by_class(drawn, list(csv.DictReader(stream)), count)
        for name, paths in chosen[split].items():
            (root / "faces" / split / name).mkdir(parents=True)
            for path in paths:
                shutil.copy(path, root / "faces" / split / name)
    _write_people(root / "people", chosen["train"])
    for name, classes in {"alone": ("neutral", "sadness"), "together": ("happiness", "surprise")}.items():
        (root / "photographs" / name).mkdir(parents=True)
        for one in classes:
            for path in chosen["train"][one]:
                shutil.copy(path, root / "photographs" / name / f"{one}-{path.name}")
    (root / "images").mkdir()
    shutil.copy(PHOTOGRAPH, root / "images")
    shutil.copy(next((drawn / "photos").iterdir()), root / "images" / "drawn.png")
    make_ratings(root / "rated", count=30)
    clip_config(root)
    write_film(root / "talk.mp4", 20, fps=10, draw=moving_face, clicks=[0.5])
    shutil.rmtree(drawn)
    return root


def moving_face(number: int) -> np.ndarray:
    """The photograph on gray, 4 pixels further to the right with each picture; uint8 (240, 320, 3)."""
    picture = Image.new("RGB", (320, 240), (96, 100, 110))
    with Image.open(PHOTOGRAPH) as photograph:
        picture.paste(photograph.resize((188, 220)), (10 + 4 * number, 10))
    return np.asarray(picture)


def _by_class(folder: Path, rows: Sequence[dict[str, str]], count: int) -> dict[str, list[Path]]:
    """The first ``count`` images of each of the emotions, by what most raters chose."""
    found: dict[str, list[Path]] = {name: [] for name in EMOTIONS}
    for row in rows:
        name = max(list(row)[3:], key=lambda key: int(row[key]))
        if name in found and len(found[name]) < count:
            found[name].append(folder / row["filename"])
    assert all(len(paths) == count for paths in found.values())
    return found


def _write_people(folder: Path, images: dict[str, list[Path]]) -> None:
    """Images with labels and subjects in a table: each subject has one image of each class."""
    folder.mkdir()
    rows = []
    for name, paths in images.items():
        for number, path in enumerate(paths):
            shutil.copy(path, folder / f"{name}-{number}.png")
            rows.append([f"{name}-{number}.png", name, f"s{number}"])
    with (folder / "train.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["filename", "label", "subject"], *rows])
