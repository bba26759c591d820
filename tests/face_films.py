"""Films made for tests of tracking, with known faces: who is where in each picture, and what a detector would report.

People move on smooth paths and turn, nod and change their expression; light changes; each shot has its background and
its exposure. A film is a function of time, so that it can be sampled as often as wanted, and of a seed alone.
"""

from __future__ import annotations

import csv
import functools
import io
import math
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from affectkit.core.boxes import Box
from affectkit.prep.images.schematic_face import PARAMETERS, draw_appearance, draw_face

SIZE = (480, 360)
"""Width and height."""
BESIDE = [folder / "shared" / "data" / "ferplus" for folder in Path(__file__).parents[2:5]]
FERPLUS = next((folder for folder in BESIDE if folder.is_dir()), BESIDE[0])
TINTS = ((255, 214, 186), (236, 178, 140), (198, 140, 104), (150, 102, 72), (112, 76, 56))
BOX = (0.16, 0.14, 0.68, 0.72)
"""Where a detector's box lies in a drawn schematic face: left, top, width and height; shares of its side."""
HEAD = (0.5, 0.47, 0.37, 0.46)
"""Ellipse of a schematic face that is pasted: centre, and half its width and height."""
SEEN = 0.7
"""Share of a face that must be in sight for a detector to find it."""

Place = tuple[float, float, float]
"""Centre and side of a face's box."""


@dataclass(frozen=True)
class Person:
    """A person: number, drawings of the face with several expressions, and how it moves by itself."""

    number: int
    drawings: tuple[np.ndarray, ...]
    box: tuple[float, float, float, float]
    ellipse: tuple[float, float, float, float]
    phases: np.ndarray

    def wave(self, place: int, time: float) -> float:
        """A smooth course in [-1, 1] of its own."""
        one, other, rate, quick = self.phases[place]
        return 0.6 * math.sin(rate * time + one) + 0.4 * math.sin(quick * time + other)


@dataclass(frozen=True)
class Part:
    """A person in a shot: when, and on which path.

    Attributes:
        path: place at a time of the film; the drawing order is that of ``parts``, later ones hide earlier ones.
        turn: yaw that the shot adds: another camera sees another side.
    """

    person: int
    path: Callable[[float], Place]
    since: float = 0.0
    until: float = math.inf
    turn: float = 0.0


@dataclass(frozen=True)
class Shot:
    """What is filmed from ``since`` until the next shot begins: people before a background, and what hides them.

    Attributes:
        screens: left, top, width and height of boards in front of all.
        light: factor of all values.
        shake: amplitude in pixels of the camera's shaking.
    """

    since: float
    scene: int
    parts: tuple[Part, ...]
    screens: tuple[Box, ...] = ()
    light: float = 1.0
    shake: float = 0.0


@dataclass(frozen=True)
class Film:
    """A film: shots in order, and people."""

    name: str
    people: tuple[Person, ...]
    shots: tuple[Shot, ...]
    seconds: float
    gray: bool = False
    size: tuple[int, int] = SIZE
    seed: int = 0

    def picture(self, time: float) -> tuple[np.ndarray, dict[int, Box]]:
        """The picture at ``time``, uint8 (H, W, 3), and the box of each person whose face is in sight."""
        shot = [one for one in self.shots if one.since <= time + 1e-9][-1]
        shift = shot.shake * np.array([math.sin(23.1 * time) + math.sin(37.7 * time + 1), math.sin(29.3 * time + 2)])
        canvas = background(shot.scene, self.size, tuple(np.round(shift).astype(int))).copy()
        owner = np.zeros(canvas.shape[:2], np.int16)
        wanted = {}
        for part in shot.parts:
            if part.since <= time < part.until:
                x, y, side = part.path(time)
                place = (x + shift[0], y + shift[1], side)
                wanted[part.person] = paste(canvas, owner, self.people[part.person], place, time, part.turn)
        for left, top, width, height in shot.screens:
            inner = slice(round(top), round(top + height)), slice(round(left), round(left + width))
            canvas[inner], owner[inner] = (70, 84, 92), -1
        grain = np.random.default_rng([self.seed, round(time * 1000)]).integers(-4, 5, (*canvas.shape[:2], 1))
        canvas = np.clip(canvas * shot.light + grain, 0, 255).astype(np.uint8)
        if self.gray:
            canvas = np.repeat(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
        seen = {}
        for number, (box, pixels) in wanted.items():
            if pixels and np.count_nonzero(owner == number + 1) >= SEEN * pixels:
                seen[number] = box
        return canvas, seen

    def sampled(self, rate: float) -> Iterator[tuple[float, np.ndarray, dict[int, Box]]]:
        """The pictures at ``rate`` a second: time, pixels, boxes by person."""
        for number in range(round(self.seconds * rate)):
            yield number / rate, *self.picture(number / rate)


@dataclass
class Detected:
    """What a detector that errs reports of a film: see ``detect``."""

    times: list[float] = field(default_factory=list)
    truth: list[dict[int, Box]] = field(default_factory=list)
    boxes: list[list[Box]] = field(default_factory=list)
    pixels: list[np.ndarray] = field(default_factory=list)


def detect(
    film: Film, rate: float, *, jitter: float = 0.04, missed: float = 0.05, false: float = 0.02, seed: int = 0
) -> Detected:
    """True boxes of ``film``, moved and scaled by normal noise of ``jitter`` sides, some missed, some false ones."""
    found = Detected()
    for number, (time, pixels, boxes) in enumerate(film.sampled(rate)):
        rng = np.random.default_rng([seed, film.seed, number])
        own = []
        for left, top, width, height in boxes.values():
            across, down, larger = rng.normal(0, jitter, 3)
            scale = math.exp(larger)
            centre = left + width * (0.5 + across), top + height * (0.5 + down)
            if rng.random() >= missed:
                own.append(
                    (centre[0] - width * scale / 2, centre[1] - height * scale / 2, width * scale, height * scale)
                )
        if rng.random() < false:
            side = rng.uniform(24, 90)
            own.append((rng.uniform(0, film.size[0] - side), rng.uniform(0, film.size[1] - side), side, side))
        order = rng.permutation(len(own))
        found.times.append(time)
        found.truth.append(boxes)
        found.boxes.append([own[place] for place in order])
        found.pixels.append(pixels)
    return found


# --- people ----------------------------------------------------------------------------------------------------------


def schematic_people(count: int, seed: int = 0) -> tuple[Person, ...]:
    """People whose schematic faces have all expressions."""
    people = []
    for number in range(count):
        rng = np.random.default_rng([seed, number, 7])
        look = draw_appearance(rng)
        low, high = np.array(list(PARAMETERS.values())).T
        faces = [draw_face(np.clip(rng.normal(0, 0.35, len(low)), low, high), look, size=112) for _ in range(6)]
        people.append(Person(number, tuple(faces), BOX, HEAD, phases(rng)))
    return tuple(people)


def ferplus_people(count: int, seed: int = 0) -> tuple[Person, ...]:
    """People with faces of FER+'s validation images, in skin tones; see ``has_ferplus``."""
    names = ferplus_names()
    people = []
    for number in range(count):
        rng = np.random.default_rng([seed, number, 8])
        name = names[np.random.default_rng([seed, 9]).permutation(len(names))[number]]
        with zipfile.ZipFile(FERPLUS / "ferplus-train-valid.zip") as archive:
            face = np.asarray(Image.open(io.BytesIO(archive.read(f"valid/images/{name}"))).convert("L"))
        face = cv2.resize(face, (96, 96), interpolation=cv2.INTER_CUBIC)
        tint = np.array(TINTS[rng.integers(len(TINTS))]) * rng.uniform(0.95, 1.05, 3) / 235
        drawn = np.clip(face[:, :, None] * tint, 0, 255).astype(np.uint8)
        people.append(Person(number, (drawn,), (0.02, 0.02, 0.96, 0.96), (0.5, 0.5, 0.47, 0.5), phases(rng)))
    return tuple(people)


def has_ferplus() -> bool:
    """Whether FER+ lies beside the checkout."""
    return (FERPLUS / "ferplus-train-valid.zip").is_file() and (FERPLUS / "fer2013new.csv").is_file()


@functools.cache
def ferplus_names() -> tuple[str, ...]:
    """Validation images in which raters saw a face."""
    with (FERPLUS / "fer2013new.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return tuple(
        row["Image name"]
        for row in rows
        if row["Usage"] == "PublicTest" and row["Image name"] and int(row["NF"]) + int(row["unknown"]) == 0
    )


def phases(rng: np.random.Generator) -> np.ndarray:
    """Courses of ``Person.wave``."""
    return np.column_stack([*rng.uniform(0, 2 * math.pi, (2, 8)), rng.uniform(0.8, 2.0, 8), rng.uniform(2.5, 4.5, 8)])


def posed(person: Person, time: float, turn: float) -> np.ndarray:
    """The face at ``time``, as it is turned, nods, tilts its head and is lit: float32 (S, S, 4), opacity last."""
    count = len(person.drawings)
    place = (0.5 + 0.5 * person.wave(0, time)) * (count - 1)
    low, share = int(place), place - int(place)
    # Expressions are not mixed, which would make ghosts: the nearer one is seen.
    drawn = person.drawings[min(low + (share > 0.5), count - 1)].astype(np.float32)
    size = drawn.shape[0]
    yaw, nod, roll = turn + 0.3 * person.wave(1, time), 0.12 * person.wave(2, time), 0.14 * person.wave(3, time)
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    across, down, wide, high = person.ellipse
    u, v = (x - across) / wide, (y - down) / high
    u, v = u * math.cos(roll) - v * math.sin(roll), u * math.sin(roll) + v * math.cos(roll)
    opacity = np.clip((1 - np.hypot(u, v)) * 12, 0, 1)
    # A head is round: turned, what lies in its middle moves most.
    bulge = np.clip(1 - u * u - v * v, 0, 1)
    source = [((u + yaw * bulge) * wide + across) * size - 0.5, ((v + nod * bulge) * high + down) * size - 0.5]
    turned = cv2.remap(
        drawn, *(one.astype(np.float32) for one in source), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    light = 1 + 0.12 * person.wave(4, time) + 0.15 * person.wave(5, time) * u + 0.08 * person.wave(6, time) * v
    return np.dstack([np.clip(turned * light[:, :, None], 0, 255), opacity]).astype(np.float32)


def paste(
    canvas: np.ndarray, owner: np.ndarray, person: Person, place: Place, time: float, turn: float
) -> tuple[Box, int]:
    """Draw ``person`` on ``canvas``; return the box of the face and how many pixels it takes, in sight or not."""
    x, y, side = place
    across, down, wide, high = person.box
    whole = side / wide
    size = max(round(whole), 8)
    corner = round(x - whole * (across + wide / 2)), round(y - whole * (down + high / 2))
    face = cv2.resize(posed(person, time, turn), (size, size), interpolation=cv2.INTER_AREA)
    pixels = int(np.count_nonzero(face[:, :, 3] > 0.5))
    top, left = max(corner[1], 0), max(corner[0], 0)
    bottom, right = min(corner[1] + size, canvas.shape[0]), min(corner[0] + size, canvas.shape[1])
    if bottom > top and right > left:
        part = face[top - corner[1] : bottom - corner[1], left - corner[0] : right - corner[0]]
        opacity = part[:, :, 3:]
        inner = canvas[top:bottom, left:right]
        inner[:] = inner * (1 - opacity) + part[:, :, :3] * opacity
        owner[top:bottom, left:right][opacity[:, :, 0] > 0.5] = person.number + 1
    return (x - side / 2, y - side * high / wide / 2, side, side * high / wide), pixels


@functools.lru_cache(64)
def background(scene: int, size: tuple[int, int], shift: tuple[int, int]) -> np.ndarray:
    """Walls and things of a scene, moved by ``shift``: float32 (H, W, 3)."""
    if shift != (0, 0):
        return np.roll(background(scene, size, (0, 0)), shift[::-1], axis=(0, 1))
    rng = np.random.default_rng([scene, 11])
    rough = rng.uniform(0, 1, (5, 6, 3)) * rng.uniform(40, 120) + rng.uniform(10, 110, 3)
    ground = cv2.resize(rough.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        left, top = rng.integers(0, size[0]), rng.integers(0, size[1])
        wide, high = rng.integers(10, size[0] // 3), rng.integers(10, size[1] // 2)
        ground[top : top + high, left : left + wide] += rng.uniform(-45, 45, 3).astype(np.float32)
    return np.clip(ground, 0, 255)
