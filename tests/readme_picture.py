"""By hand: draw the picture that the README begins with, of what ``affectkit infer --annotate`` and its timeline show.

Left a photograph that comes with matplotlib (of the US Navy, in the public domain), right a frame of a film of drawn
faces, below the timeline of that film.

    PYTHONPATH=tests python -m readme_picture [FOLDER]
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from films import write_film
from guide_scene import PHOTOGRAPH
from PIL import Image
from support import invoke

from affectkit.guides import FOLDER
from affectkit.prep.images.schematic_dataset import CLASSES, PROTOTYPES
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face

PICTURE = FOLDER / "first-look.png"
FPS, STEP = 10, 25
"""Frames a second; frames from one expression to the next."""
PEOPLE = (
    ("woman", ("neutral", "happiness", "happiness", "surprise", "neutral")),
    ("man", ("anger", "anger", "sadness", "sadness", "happiness")),
)
"""What each face shows."""
LOOKS = {"woman": 6, "man": 5}
"""Seeds of appearances whose expressions can be told well."""
SHOWN = 55
"""The frame that is seen."""
HEIGHT, GAP = 380, 14
CUT = (95, 40, 435, 420)
"""Of the photograph: left, top, right, bottom."""


def draw_frame(number: int) -> np.ndarray:
    """Draw a frame of the film; uint8 (360, 640, 3)."""
    shapes = dict(zip(CLASSES, PROTOTYPES, strict=True))
    shapes["neutral"] = shapes["neutral"].copy()
    shapes["neutral"][list(PARAMETERS).index("eye_open")] = -0.5  # wide eyes look surprised
    picture = np.full((360, 640, 3), (214, 222, 230), np.uint8)
    for place, (name, plan) in enumerate(PEOPLE):
        looks = replace(draw_appearance(np.random.default_rng(LOOKS[name])), angle=0, glasses=False)
        at = min(number // STEP, len(plan) - 2)
        share = float(np.clip((number / STEP - at - 0.36) / 0.28, 0, 1))
        share = share * share * (3 - 2 * share)
        shape = (1 - share) * shapes[plan[at]] + share * shapes[plan[at + 1]]
        left = 10 + 320 * place
        picture[30:330, left : left + 300] = draw_face(shape, looks, size=300)
    return picture


def make_picture() -> Image.Image:
    """Predict photograph and film in the current folder, and put what was drawn of them together."""
    shutil.copy(PHOTOGRAPH, PHOTOGRAPH.name)
    write_film(Path("film.mp4"), 4 * STEP, fps=FPS, draw=draw_frame)
    for line in (
        f"infer {PHOTOGRAPH.name} --results rows --annotate drawn --force",
        "infer film.mp4 --results film --annotate film-annotated.mp4 --force",
    ):
        done = invoke(*line.split())
        assert done.returncode == 0, done.stderr
    with Image.open(Path("drawn") / PHOTOGRAPH.name) as opened:
        photograph = opened.convert("RGB").crop(CUT)
    with av.open("film-annotated.mp4") as film:
        frame = [frame.to_image() for frame in film.decode(video=0)][SHOWN]
    with Image.open("film/timelines/film.mp4.png") as opened:
        timeline = opened.convert("RGB")
    frame = frame.resize((HEIGHT * frame.width // frame.height, HEIGHT), Image.Resampling.LANCZOS)
    width = photograph.width + GAP + frame.width
    timeline = timeline.resize((width, width * timeline.height // timeline.width), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (width, HEIGHT + GAP + timeline.height), "white")
    sheet.paste(photograph, (0, 0))
    sheet.paste(frame, (photograph.width + GAP, 0))
    sheet.paste(timeline, (0, HEIGHT + GAP))
    return sheet


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "readme-picture")
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    make_picture().quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")
