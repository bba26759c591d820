"""Scenes with exactly marked faces: validation faces of FER+ pasted into backgrounds, at known places, sizes and turns.

A crop of FER-2013 ends at forehead and chin, and no detector was trained on cut heads: the crop's edges are continued
outwards, ever softer, to a head of about 1.5 sides, and fade into the background there. So pasted, upright faces are
found as portraits of that size are (YuNet, of 20, 24, 32, 48 and 72 pixels: 42, 52, 78, 95 and 98% of 60 pasted faces,
44, 45, 60, 96 and 100% of 80 portraits reduced). Eyes are marked where those of FER-2013 lie in the median
(``affectkit.data.faces.detection``), so to about 3% of the side, and the roll is that of the pasting: the faces
themselves lean by up to ten degrees in their crops.

Too hard by construction: a crop has 48 pixels a side, so that faces of 240 pixels and more are as soft as one out of
focus, and some crops show a profile, a hand before the face, or half a face.
"""

from __future__ import annotations

import csv
import functools
import math
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import face_backgrounds
import numpy as np
from face_judge import Mark

SIZES = (20, 24, 32, 48, 72, 110, 160, 240, 400, 600)
"""Sides of faces in pixels: of the crop as FER-2013 frames it."""
ANGLES = (0, 15, -15, 30, -30, 45, -45, 60, -60)
"""Degrees, clockwise."""
KINDS = ("blur", "noise", "jpeg", "occluded", "dark", "touching", "cut")
"""What else may be wrong with a face, beside ``plain``."""
VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
EYES = ((0.30, 0.38), (0.68, 0.38))
"""Of the right and the left eye: across and down in shares of the crop."""
HEAD = 1.6
"""Side of what is pasted, in sides of the crop."""
PIECE = 48
"""Pixels of a crop's side."""


class NoFaces(Exception):
    """FER+'s files are not there; says where they are looked for."""


@dataclass(frozen=True)
class Crop:
    """A face of FER+: name, uint8 (48, 48) gray, and its votes in the order of ``VOTES``."""

    name: str
    pixels: np.ndarray
    votes: tuple[int, ...]


@dataclass(frozen=True)
class Scene:
    """A picture, uint8 (H, W, 3) RGB, with its marks; ``crops`` names the face of each mark, ``group`` the scene."""

    name: str
    picture: np.ndarray
    marks: tuple[Mark, ...]
    crops: tuple[str, ...]
    group: str


def ferplus_folder() -> Path:
    """Return the folder of FER+'s archive and labels: AFFECTKIT_FERPLUS_ARCHIVE, or shared/ beside the checkout.

    Raises:
        NoFaces: neither is there.
    """
    named = os.environ.get("AFFECTKIT_FERPLUS_ARCHIVE")
    beside = [parent / "shared" / "data" / "ferplus" for parent in Path(__file__).resolve().parents]
    for folder in [Path(named)] if named else beside:
        if (folder / "ferplus-train-valid.zip").is_file():
            return folder
    raise NoFaces("no ferplus-train-valid.zip: name its folder in AFFECTKIT_FERPLUS_ARCHIVE")


@functools.cache
def crops(count: int | None = None) -> tuple[Crop, ...]:
    """Return validation faces of FER+ that no rater took for no face, and at most two for unknown; the first ``count``.

    Raises:
        NoFaces: see ``ferplus_folder``.
    """
    folder = ferplus_folder()
    with (folder / "fer2013new.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["Usage"] == "PublicTest" and row["Image name"]]
    rows = [row for row in rows if row["NF"] == "0" and int(row["unknown"]) <= 2][:count]
    found = []
    with zipfile.ZipFile(folder / "ferplus-train-valid.zip") as archive:
        for row in rows:
            coded = np.frombuffer(archive.read(f"valid/images/{row['Image name']}"), np.uint8)
            pixels = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
            found.append(Crop(row["Image name"], pixels, tuple(int(row[vote]) for vote in VOTES)))
    return tuple(found)


def head(crop: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the crop continued to a head, and how much of it covers the background.

    Args:
        crop: uint8 (48, 48).
        side: pixels that the crop's side takes in the picture.

    Returns:
        float32 (n, n) in [0, 255] and float32 (n, n) in [0, 1], n being ``HEAD`` sides.
    """
    inner = max(round(side), 2)
    sized = cv2.resize(crop, (inner, inner), interpolation=cv2.INTER_AREA if inner <= PIECE else cv2.INTER_CUBIC)
    border = round(inner * (HEAD - 1) / 2)
    wide = cv2.copyMakeBorder(sized.astype(np.float32), *[border] * 4, cv2.BORDER_REPLICATE)
    soft = _softened(wide, max(0.12 * side, 0.6))
    across = (np.arange(len(wide), dtype=np.float32) + 0.5 - len(wide) / 2) / side
    x, y = np.meshgrid(across, across)
    edge = np.maximum(np.abs(x), np.abs(y))
    inside = np.clip((0.53 - edge) / 0.06, 0, 1)  # 1 in the crop, 0 beyond its edge
    pixels = inside * wide + (1 - inside) * soft
    radius = np.sqrt((x / 0.62) ** 2 + (y / 0.74) ** 2)
    cover = np.clip((1.08 - radius) / 0.22, 0, 1)
    return pixels, (cover * cover * (3 - 2 * cover)).astype(np.float32)


def _softened(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur by ``sigma`` pixels, a large one in a reduced image."""
    factor = max(sigma / 4, 1.0)
    height, width = image.shape
    size = (max(round(width / factor), 1), max(round(height / factor), 1))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if factor > 1 else image
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR) if factor > 1 else small


def tint(gray: np.ndarray, tone: float) -> np.ndarray:
    """Return skin of the luma ``gray``, float32 (H, W), as RGB (H, W, 3); ``tone`` 0: gray, 1: warm."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    colour = 1 + tone * (np.array([1.24, 0.94, 0.76], np.float32) - 1)
    return gray[..., None] * (colour / (weights @ colour))


@dataclass(frozen=True)
class Place:
    """Where and how a face is pasted: crop, centre, side in whole pixels, degrees clockwise, kind, and warmth."""

    crop: Crop
    x: float
    y: float
    side: float
    angle: float
    kind: str = "plain"
    tone: float = 1.0
    mirrored: bool = False

    @property
    def mark(self) -> Mark:
        """Return where the face lies: the square of FER-2013's crop, upright, about its centre."""
        turn = math.radians(self.angle)
        eyes = []
        for across, down in EYES:
            along, below = (across - 0.5) * self.side, (down - 0.5) * self.side
            eyes.append(
                (
                    self.x + along * math.cos(turn) - below * math.sin(turn),
                    self.y + along * math.sin(turn) + below * math.cos(turn),
                )
            )
        box = (self.x - self.side / 2, self.y - self.side / 2, self.side, self.side)
        return Mark(box, tuple(eyes), self.angle, self.kind)


def paste(picture: np.ndarray, place: Place, rng: np.random.Generator) -> None:
    """Paste a face into ``picture``, float32 (H, W, 3), in place; what lies beyond its edges is left out."""
    pixels = place.crop.pixels[:, ::-1] if place.mirrored else place.crop.pixels
    pixels, cover = head(np.ascontiguousarray(pixels), place.side)
    if place.kind == "occluded":
        _occlude(pixels, place.side, rng)
    reach = HEAD * place.side  # of a turned head, and some background about it
    left, top = max(math.floor(place.x - reach), 0), max(math.floor(place.y - reach), 0)
    near = picture[top : math.ceil(place.y + reach), left : math.ceil(place.x + reach)]
    size = near.shape[1::-1]
    matrix = cv2.getRotationMatrix2D(((len(pixels) - 1) / 2,) * 2, -place.angle, 1.0)
    matrix[:, 2] += (place.x - left - len(pixels) / 2, place.y - top - len(pixels) / 2)
    flags = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
    colour = tint(cv2.warpAffine(pixels, matrix, size, **flags), place.tone)
    cover = cv2.warpAffine(cover, matrix, size, flags=cv2.INTER_LINEAR)
    ring = (cover > 0.05) & (cover < 0.95)
    if ring.any():  # the background near the head takes half of the step in brightness between them
        step = float(colour[ring].mean() / max(near[ring].mean(), 1.0))
        about = _softened(cover, 0.25 * place.side)[..., None]
        near *= 1 + about * (np.clip(step, 0.4, 2.5) - 1) * 0.5
    near += cover[..., None] * (colour - near)


def _occlude(pixels: np.ndarray, side: float, rng: np.random.Generator) -> None:
    """Draw a bar over a part of a head: mouth, one eye, or a slanting one over a cheek."""
    n, shade = len(pixels), float(rng.uniform(20, 235))
    start = (n - side) / 2
    where = rng.integers(3)
    if where == 0:  # mouth
        pixels[round(start + 0.68 * side) : round(start + 0.95 * side)] = shade
    elif where == 1:  # one eye and the cheek below it
        low = start + (0.08 if rng.random() < 0.5 else 0.6) * side
        pixels[round(start) : round(start + 0.75 * side), round(low) : round(low + 0.32 * side)] = shade
    else:
        thick, shift = max(round(0.16 * side), 1), float(rng.uniform(-0.15, 0.15)) * side
        cv2.line(pixels, (0, round(n * 0.8 + shift)), (n, round(n * 0.35 + shift)), shade, thick)


CANVAS = {110: (640, 480, 5), 240: (960, 720, 3), 400: (1280, 960, 2), 600: (1000, 1000, 1)}
"""Width, height and most faces of pictures, by the largest side of faces in them."""


def _canvas(side: float) -> tuple[int, int, int]:
    return next(form for largest, form in CANVAS.items() if side <= largest)


def free_places(sides: Sequence[float], width: int, height: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Return centres for as many faces of these sides as fit apart from each other, heads within the picture."""
    placed: list[tuple[float, float]] = []
    for number, side in enumerate(sides):
        reach = min(0.8 * side, width / 2, height / 2)
        for _ in range(300):
            x, y = float(rng.uniform(reach, width - reach)), float(rng.uniform(reach, height - reach))
            apart = (
                math.hypot(x - u, y - v) > 0.8 * (side + other) for (u, v), other in zip(placed, sides, strict=False)
            )
            if all(apart):
                placed.append((x, y))
                break
        if len(placed) == number:
            break
    return placed


def degrade(picture: np.ndarray, kind: str, side: float, rng: np.random.Generator) -> np.ndarray:
    """Return the scene, float32 (H, W, 3), as uint8, spoilt as ``kind`` says; ``side`` is that of its faces."""
    if kind == "blur":
        picture = cv2.GaussianBlur(picture, (0, 0), 0.045 * side)
    elif kind == "dark":
        picture = picture * 0.3 + rng.normal(0, 3, picture.shape)
    elif kind == "noise":
        picture = picture + rng.normal(0, 20, picture.shape)
    pixels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    if kind == "jpeg":
        coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 15])[1]
        pixels = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return pixels


class Maker:
    """Makes scenes from addressed draws: (seed, name of the scene), whatever else is made.

    Args:
        faces: crops to draw from.
        seed: of everything drawn.
    """

    def __init__(self, faces: Sequence[Crop], seed: int = 0) -> None:
        self.faces, self.seed = faces, seed

    def rng(self, name: str) -> np.random.Generator:
        """Return the generator of a scene."""
        return np.random.default_rng([self.seed, *name.encode()])

    def ground(self, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
        """Return a background of any kind, photographs as often as drawn ones."""
        kinds = face_backgrounds.DRAWN if rng.random() < 0.5 else face_backgrounds.PHOTOGRAPHS
        return face_backgrounds.background(str(rng.choice(kinds)), width, height, rng)

    def scene(
        self, name: str, side: int, angles: Sequence[int], kind: str, group: str, *, in_order: bool = False
    ) -> Scene:
        """Return a picture with a face for each of ``angles``, or for as many of them, from the first, as fit.

        Args:
            name: the address of all that is drawn.
            side: of the faces, in whole pixels.
            angles: degrees, clockwise.
            kind: ``plain`` or one of ``KINDS``.
            group: of the scene.
            in_order: the faces are those of the maker as they come; otherwise they are drawn, and mirrored or not.
        """
        rng = self.rng(name)
        width, height, most = _canvas(side)
        angles = angles[:most]
        picture = self.ground(width, height, rng)
        centres = self._centres(side, len(angles), kind, (width, height), rng)
        gray, places = rng.random() < 0.2, []
        if gray:
            picture = np.repeat(picture.mean(2, keepdims=True), 3, 2)
        for number, ((x, y), angle) in enumerate(zip(centres, angles, strict=False)):
            crop = self.faces[number if in_order else int(rng.integers(len(self.faces)))]
            tone = 0.0 if gray else float(rng.uniform(0.5, 1.1))
            places.append(Place(crop, x, y, side, angle, kind, tone, not in_order and bool(rng.random() < 0.5)))
            paste(picture, places[-1], rng)
        marks = tuple(place.mark for place in places)
        return Scene(name, degrade(picture, kind, side, rng), marks, tuple(place.crop.name for place in places), group)

    def _centres(self, side: int, count: int, kind: str, size: tuple[int, int], rng) -> list[tuple[float, float]]:
        width, height = size
        if kind == "touching":  # cheek to cheek in a row
            y, x = float(rng.uniform(0.8 * side, height - 0.8 * side)), 0.8 * side
            fitting = min(count, int((width - 1.6 * side) / (0.95 * side)) + 1)
            return [(x + number * 0.95 * side, y + float(rng.uniform(-0.1, 0.1)) * side) for number in range(fitting)]
        if kind == "cut":  # 15 to 35% of the side beyond the left or the right edge
            fitting = min(count, 2)
            beyond = [float(rng.uniform(0.15, 0.35)) * side - side / 2 for _ in range(fitting)]
            xs = [-beyond[0], width + beyond[-1]][:fitting]
            return [(x, float(rng.uniform(0.8 * side, height - 0.8 * side))) for x in xs]
        return free_places([side] * count, width, height, rng)

    def empty(self, name: str, kind: str) -> Scene:
        """Return a background alone."""
        rng = self.rng(name)
        picture = face_backgrounds.background(kind, 640, 480, rng)
        return Scene(name, degrade(picture, "plain", 0, rng), (), (), "empty")


def scenes(
    faces: Sequence[Crop],
    *,
    a_cell: int = 2,
    sizes: Sequence[int] = SIZES,
    angles: Sequence[int] = ANGLES,
    kinds: Sequence[str] = KINDS,
    kind_sizes: Sequence[int] = (32, 72, 160),
    empty: int = 2,
    seed: int = 0,
) -> Iterator[Scene]:
    """Yield the grid: ``a_cell`` plain faces of each size and angle, as many of each kind, and empty backgrounds.

    Args:
        faces: see ``crops``.
        kind_sizes: sizes of the faces of each kind, at 0, 30 and -30 degrees.
        empty: pictures without a face of each kind of background.
        seed: of all that is drawn; the same scene whatever else is asked for.
    """
    maker = Maker(faces, seed)
    asked = [(side, angles, "plain") for side in sizes]
    asked += [(side, (0, 30, -30), kind) for kind in kinds for side in kind_sizes]
    for side, turns, kind in asked:
        waiting = [angle for _ in range(a_cell) for angle in turns]
        number = 0
        while waiting:
            name = f"{kind}-{side}-{number}"
            scene = maker.scene(name, side, waiting, kind, "plain" if kind == "plain" else "hard")
            waiting = waiting[len(scene.marks) :]
            number += 1
            yield scene
    for kind in (*face_backgrounds.DRAWN, *face_backgrounds.PHOTOGRAPHS):
        for number in range(empty):
            yield maker.empty(f"empty-{kind}-{number}", kind)
