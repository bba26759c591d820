"""One schematic face: ten expression parameters and an independent appearance, drawn as an antialiased image."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
Points = NDArray[np.float64]

PARAMETERS = {
    "brow_raise": (-1.0, 1.0),
    "brow_tilt": (-1.0, 1.0),
    "eye_open": (-1.0, 1.0),
    "cheek_raise": (0.0, 1.0),
    "nose_wrinkle": (0.0, 1.0),
    "mouth_curve": (-1.0, 1.0),
    "mouth_open": (0.0, 1.0),
    "mouth_width": (-1.0, 1.0),
    "lip_tension": (0.0, 1.0),
    "smirk": (0.0, 1.0),
}
"""Expression parameters and their ranges; 0 is rest. ``brow_tilt`` 1 lifts the inner ends (AU 1), -1 draws them down
and together (AU 4); ``brow_raise`` moves whole brows (AU 1+2); ``eye_open`` is the upper lid (AU 5 up, AU 43 down);
``cheek_raise`` lifts the lower lid (AU 6); ``nose_wrinkle`` also raises the upper lip (AU 9 and 10); ``mouth_curve``
moves the corners up (AU 12) or down (AU 15); ``mouth_open`` drops the jaw (AU 25 to 27); ``mouth_width`` stretches
(AU 20) or rounds; ``lip_tension`` squares the mouth and bares teeth (AU 23); ``smirk`` lifts one corner (AU 14)."""

SKINS = ((255, 224, 199), (250, 208, 172), (238, 186, 145), (217, 158, 114), (181, 122, 82), (140, 90, 60))
HAIRS = ((44, 34, 32), (78, 52, 38), (120, 78, 46), (168, 98, 52), (222, 178, 104), (150, 148, 152), (186, 82, 62))
HAIRCUTS = ("bald", "short", "side", "fringe", "long", "bun", "curls")
INK = (52, 38, 44)
WHITE = (255, 253, 250)


@dataclass(frozen=True)
class FaceAppearance:
    """Describe everything about a face that says nothing about its expression.

    Attributes:
        skin, hair, iris, shirt: RGB colours in [0, 255].
        background: upper and lower RGB colour.
        haircut: one of ``HAIRCUTS``.
        glasses: whether it wears them.
        width, height, jaw: shape of the head, factors about 1.
        line: width of lines, a factor about 1.
        angle: rotation in degrees.
        shift: in half image sides, (x, y).
        scale: factor about 1.
        gaze: where the eyes look, (x, y) in [-1, 1].
        side: -1 or 1, the corner that smirks.
        part: -1 or 1, where the hair is parted.
    """

    skin: Colour
    hair: Colour
    iris: Colour
    shirt: Colour
    background: tuple[Colour, Colour]
    haircut: str
    glasses: bool
    width: float
    height: float
    jaw: float
    line: float
    angle: float
    shift: tuple[float, float]
    scale: float
    gaze: tuple[float, float]
    side: int
    part: int


def draw_appearance(rng: np.random.Generator) -> FaceAppearance:
    """Draw an appearance at random, independent of any expression."""
    tone = rng.uniform(0, len(SKINS) - 1)
    hue = rng.random()
    light = _hsv(hue, rng.uniform(0.06, 0.22), rng.uniform(0.93, 1.0))
    return FaceAppearance(
        skin=_mix(SKINS[int(tone)], SKINS[int(tone) + 1], tone % 1),
        hair=HAIRS[rng.integers(len(HAIRS))],
        iris=_hsv(*((0.08, 0.6, 0.38), (0.57, 0.55, 0.62), (0.33, 0.4, 0.45))[rng.integers(3)]),
        shirt=_hsv(hue + rng.uniform(0.25, 0.75), rng.uniform(0.35, 0.65), rng.uniform(0.6, 0.95)),
        background=(light, _mix(light, _hsv(hue + 0.04, 0.42, 0.86), 0.45)),
        haircut=HAIRCUTS[rng.choice(len(HAIRCUTS), p=(0.07, 0.19, 0.17, 0.17, 0.17, 0.11, 0.12))],
        glasses=bool(rng.random() < 0.12),
        width=rng.uniform(0.93, 1.06),
        height=rng.uniform(0.95, 1.05),
        jaw=rng.uniform(0.8, 1.0),
        line=rng.uniform(0.85, 1.25),
        angle=rng.uniform(-9, 9),
        shift=(rng.uniform(-0.07, 0.07), rng.uniform(-0.05, 0.05)),
        scale=rng.uniform(0.94, 1.08),
        gaze=(rng.uniform(-0.6, 0.6), rng.uniform(-0.25, 0.25)),
        side=int(rng.choice((-1, 1))),
        part=int(rng.choice((-1, 1))),
    )


def draw_face(expression: Sequence[float] | Points, appearance: FaceAppearance, *, size: int) -> NDArray[np.uint8]:
    """Draw a face.

    Args:
        expression: the values of ``PARAMETERS`` in their order.
        appearance: everything else.
        size: height and width in pixels.

    Returns:
        uint8 (size, size, 3), RGB. The same bytes for the same arguments.
    """
    e = dict(zip(PARAMETERS, map(float, expression), strict=True))
    pen = _Pen(appearance, size)
    _draw_body(pen, appearance)
    _draw_head(pen, appearance, e)
    for side in (-1, 1):
        _draw_eye(pen, appearance, e, side)
    _draw_nose(pen, appearance, e)
    _draw_mouth(pen, appearance, e)
    _draw_hair(pen, appearance)
    for side in (-1, 1):
        _draw_brow(pen, appearance, e, side)
    if appearance.glasses:
        _draw_glasses(pen)
    return pen.image()


class _Pen:
    """Draw in face coordinates on a canvas of several times the final size.

    The origin is the middle of the face, x to the right and y down; the image spans about [-1, 1] each way.
    """

    BITS = 4  # fractional bits of cv2's coordinates

    def __init__(self, appearance: FaceAppearance, size: int) -> None:
        self.size = size
        self.side = size * (4 if size <= 256 else 2)
        self.unit = self.side / 2 * appearance.scale
        self.appearance = appearance
        turn = np.deg2rad(appearance.angle)
        self.matrix = self.unit * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        self.origin = self.side / 2 * (1 + np.array(appearance.shift) + (0, 0.06))
        top, bottom = (np.array(colour) for colour in appearance.background)
        rows = np.linspace(0, 1, self.side)[:, None]
        column = np.rint(top * (1 - rows) + bottom * rows).astype(np.uint8)
        self.canvas = np.repeat(column[:, None, :], self.side, axis=1)

    def image(self) -> NDArray[np.uint8]:
        """Return the canvas at its final size."""
        return cv2.resize(self.canvas, (self.size, self.size), interpolation=cv2.INTER_AREA)

    def fill(self, points: Points, colour: Colour) -> None:
        """Draw a filled polygon, points (N, 2)."""
        cv2.fillPoly(self.canvas, [self._pixels(points)], _bytes(colour), cv2.LINE_8, self.BITS)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """Draw an open line of ``width`` in face units (times the appearance's own line width), with round ends."""
        thickness = max(1, round(width * self.unit * self.appearance.line))
        cv2.polylines(self.canvas, [self._pixels(points)], False, _bytes(colour), thickness, cv2.LINE_8, self.BITS)

    def blend(self, points: Points, colour: Colour, share: float) -> None:
        """Draw a filled polygon that lets what is below shine through."""
        before = self.canvas.copy()
        self.fill(points, colour)
        cv2.addWeighted(self.canvas, share, before, 1 - share, 0, dst=self.canvas)

    def keep_inside(self, before: NDArray[np.uint8], outline: Points) -> None:
        """Undo what was drawn since ``before`` was copied, except inside ``outline``."""
        outside = np.full(self.canvas.shape[:2], 255, np.uint8)
        cv2.fillPoly(outside, [self._pixels(outline)], 0, cv2.LINE_8, self.BITS)
        cv2.copyTo(before, outside, self.canvas)

    def _pixels(self, points: Points) -> NDArray[np.int32]:
        return np.rint((points @ self.matrix.T + self.origin) * (1 << self.BITS)).astype(np.int32)


def _draw_body(pen: _Pen, appearance: FaceAppearance) -> None:
    if appearance.haircut == "long":
        pen.fill(_ellipse(0, 0.12, 0.70 * appearance.width, 0.82, power=2.6), _shade(appearance.hair, 0.88))
    if appearance.haircut == "bun":
        pen.fill(_ellipse(0, -0.80 * appearance.height, 0.23, 0.20), _shade(appearance.hair, 0.92))
    pen.fill(_ellipse(0, 1.30, 0.80, 0.52, power=2.6), appearance.shirt)
    pen.fill(_ellipse(0, 0.80, 0.27, 0.12), _shade(appearance.shirt, 0.85))
    pen.fill(_ellipse(0, 0.66, 0.20, 0.24, power=3), _shade(appearance.skin, 0.82))


def _draw_head(pen: _Pen, appearance: FaceAppearance, e: dict[str, float]) -> None:
    for side in (-1, 1):
        pen.fill(_ellipse(side * 0.60 * appearance.width, 0.06, 0.10, 0.14), _shade(appearance.skin, 0.93))
        pen.fill(_ellipse(side * 0.61 * appearance.width, 0.06, 0.05, 0.08), _shade(appearance.skin, 0.80))
    head = _ellipse(0, 0, 0.60 * appearance.width, 0.68 * appearance.height, power=2.35)
    low = head[:, 1] > 0
    head[low, 0] *= 1 - (1 - appearance.jaw) * (head[low, 1] / 0.68) ** 2
    head[low, 1] *= 1 + 0.09 * e["mouth_open"]  # the jaw goes down with the lower lip
    pen.fill(head, appearance.skin)
    for side in (-1, 1):
        blush = _ellipse(side * 0.36, 0.22 - 0.05 * e["cheek_raise"], 0.12, 0.085)
        pen.blend(blush, (244, 112, 108), 0.30)


def _draw_eye(pen: _Pen, appearance: FaceAppearance, e: dict[str, float], side: int) -> None:
    x, y = side * 0.255, -0.06
    opening = e["eye_open"] - 0.25 * e["smirk"] * (side != appearance.side)
    half = 0.148
    upper = 0.118 * (1 + 0.55 * opening) if opening > 0 else 0.118 * (1 + 0.80 * opening)
    lower = 0.092 * (1 + 0.30 * opening) - 0.150 * e["cheek_raise"] - 0.03 * e["nose_wrinkle"]
    t = np.linspace(0, np.pi, 25)
    across, bulge = np.cos(t), np.sin(t) ** 0.75
    # x runs to the right; times -side it runs towards the nose. Lids hang where the brow is low.
    slope = e["brow_tilt"] * 0.055 * (across * -side) * bulge
    lid = np.stack([x + half * across, y - np.maximum(upper * bulge + slope, -lower * bulge + 0.008)], 1)
    under = np.stack([x + half * across, y + lower * bulge], 1)
    under[:, 1] = np.maximum(under[:, 1], lid[:, 1])
    outline = np.concatenate([lid, under[::-1]])

    before = pen.canvas.copy()
    pen.fill(outline, WHITE)
    centre = (x + 0.028 * appearance.gaze[0], y - 0.012 + 0.02 * appearance.gaze[1])
    radius = 0.090 - 0.010 * max(opening, 0)  # white all around makes wide eyes
    pen.fill(_ellipse(*centre, radius, radius), appearance.iris)
    pen.fill(_ellipse(*centre, 0.55 * radius, 0.55 * radius), (24, 18, 22))
    pen.fill(_ellipse(centre[0] + 0.03, centre[1] - 0.032, 0.024, 0.024), WHITE)
    pen.keep_inside(before, outline)
    pen.line(lid, INK, 0.034)
    pen.line(under, _shade(appearance.skin, 0.62), 0.014 + 0.012 * e["cheek_raise"])


def _draw_brow(pen: _Pen, appearance: FaceAppearance, e: dict[str, float], side: int) -> None:
    tilt = e["brow_tilt"]
    raised = e["brow_raise"] + 0.7 * e["smirk"] * (side == appearance.side)
    s = np.linspace(-1, 1, 15)  # from the outer end to the inner one
    x = 0.255 + 0.012 * max(-tilt, 0) * -1 - 0.165 * s - 0.022 * max(-tilt, 0) * (s + 1) / 2
    y = -0.300 - 0.080 * raised - (tilt + 0.12) * (0.085 * s + 0.01) - (0.030 + 0.028 * max(raised, 0)) * (1 - s**2)
    thick = 0.030 * appearance.line**0.5 * (0.55 + 0.45 * (s + 1) / 2)
    upper, lower = np.stack([side * x, y - thick], 1), np.stack([side * x, y + thick], 1)
    colour = _mix(appearance.hair, INK, 0.45)
    pen.fill(np.concatenate([upper, lower[::-1]]), colour)
    pen.fill(_ellipse(side * x[-1], y[-1], thick[-1], thick[-1]), colour)
    pen.fill(_ellipse(side * x[0], y[0], thick[0], thick[0]), colour)


def _draw_nose(pen: _Pen, appearance: FaceAppearance, e: dict[str, float]) -> None:
    wrinkle = e["nose_wrinkle"]
    colour = _shade(appearance.skin, 0.68)
    t = np.linspace(0.1, np.pi - 0.1, 13)
    nose = np.stack([(0.070 + 0.025 * wrinkle) * np.cos(t), 0.115 - 0.035 * wrinkle + 0.045 * np.sin(t)], 1)
    pen.line(nose, colour, 0.026)
    if wrinkle < 0.12:
        return
    fold = _mix(appearance.skin, _shade(appearance.skin, 0.52), wrinkle)
    for side in (-1, 1):
        for row in range(2):
            y = -0.085 + 0.075 * row
            pen.line(np.array([[side * 0.085, y - 0.025], [side * 0.030, y + 0.012]]), fold, 0.022)
        s = np.linspace(0, 1, 9)
        x = 0.125 + 0.13 * s**0.8
        pen.line(np.stack([side * x, 0.09 + (0.10 + 0.10 * wrinkle) * s**1.5], 1), fold, 0.022)
    pen.line(np.array([[-0.03, -0.13], [0.03, -0.13]]), fold, 0.020)


def _draw_mouth(pen: _Pen, appearance: FaceAppearance, e: dict[str, float]) -> None:
    tension, opened, wrinkle, smirk = e["lip_tension"], e["mouth_open"], e["nose_wrinkle"], e["smirk"]
    half = 0.205 * (1 + 0.42 * e["mouth_width"]) - 0.03 * smirk
    s = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 41))
    # A parabola for a relaxed mouth, an ellipse for a rounded one, a box for tense lips.
    profile = (1 - np.abs(s) ** (2 + 7 * tension)) ** (1 - 0.5 * max(-e["mouth_width"], 0))
    curve = e["mouth_curve"]
    middle = 0.345 + 0.085 * curve * (0.45 - np.abs(s) ** 1.8)
    one_sided = np.clip(0.5 + 0.5 * s * appearance.side, 0, 1) ** 2.2
    middle = middle - 0.135 * smirk * one_sided + 0.015 * smirk * (1 - one_sided)
    x = s * half + appearance.side * smirk * (0.055 + 0.02 * one_sided)
    rise = (0.085 * opened * profile + 0.085 * wrinkle * (1 - np.abs(s) ** 1.4)) * (1 - 0.5 * max(curve, 0))
    drop = (0.205 + 0.02 * tension) * opened
    upper = np.stack([x, middle - rise], 1)
    lower = np.stack([x, middle + drop * profile], 1)
    outline = np.concatenate([upper, lower[::-1]])

    before = pen.canvas.copy()
    pen.fill(outline, (112, 30, 44))
    gap = upper.copy()
    gap[:, 1] += np.minimum(0.060 + 0.20 * tension, lower[:, 1] - upper[:, 1])
    tongue_top = middle[20] + drop * (0.45 - 0.15 * wrinkle)
    pen.fill(_ellipse(0, tongue_top + 0.13, 0.62 * half, 0.13), (232, 104, 112))
    pen.fill(np.concatenate([upper, gap[::-1]]), WHITE)
    if tension > 0.3:
        shade = _mix(WHITE, (150, 120, 128), tension)
        for part in (-0.6, -0.2, 0.2, 0.6):
            at = np.abs(s - part).argmin()
            pen.line(np.array([upper[at], gap[at]]), shade, 0.012)
        pen.line((upper + gap) / 2, shade, 0.012)
    pen.keep_inside(before, outline)
    lips = _mix((150, 52, 58), INK, 0.25)
    pen.line(np.concatenate([outline, outline[:1]]), lips, 0.030)
    _draw_creases(pen, appearance, e, upper)


def _draw_creases(pen: _Pen, appearance: FaceAppearance, e: dict[str, float], upper: Points) -> None:
    """Draw small folds beside the mouth: a dimple of the corner that smirks."""
    if e["smirk"] < 0.15:
        return
    corner = upper[-1 if appearance.side > 0 else 0]
    fold = _mix(appearance.skin, _shade(appearance.skin, 0.52), e["smirk"])
    t = np.linspace(-0.9, 0.9, 9)
    arc = np.stack(
        [corner[0] + appearance.side * (0.015 + 0.045 * np.cos(t)), corner[1] - 0.005 + 0.065 * np.sin(t)], 1
    )
    pen.line(arc, fold, 0.022)


def _draw_hair(pen: _Pen, appearance: FaceAppearance) -> None:
    if appearance.haircut == "bald":
        return
    width, height, colour = 0.60 * appearance.width, 0.68 * appearance.height, appearance.hair
    t = np.linspace(np.pi * 1.04, np.pi * 1.96, 41)
    crown = np.stack([1.02 * width * _power(np.cos(t), 0.85), 1.12 * height * _power(np.sin(t), 0.85)], 1)
    s = crown[::-1, 0] / (1.02 * width)
    if appearance.haircut == "side":
        edge = -0.52 * appearance.height - 0.06 * (1 - s**2) + 0.10 * s * appearance.part
    elif appearance.haircut == "fringe":
        edge = -0.43 * appearance.height - 0.025 * np.cos(5 * np.pi * s)
    elif appearance.haircut in ("long", "bun"):
        edge = -0.64 * appearance.height + 0.34 * np.abs(s) ** 2.2
    else:
        edge = -0.54 * appearance.height + 0.05 * np.abs(s) ** 4
    edge = np.maximum(edge + (crown[0, 1] - edge) * np.abs(s) ** 9, crown[::-1, 1] + 0.07 * (1 - s**8))  # sideburns
    pen.fill(np.concatenate([crown, np.stack([crown[::-1, 0], edge], 1)]), colour)
    if appearance.haircut == "curls":
        for angle in np.linspace(np.pi * 1.02, np.pi * 1.98, 11):
            x, y = 1.03 * width * np.cos(angle), 1.0 * height * np.sin(angle) - 0.05
            pen.fill(_ellipse(x, y, 0.155, 0.145), colour)


def _draw_glasses(pen: _Pen) -> None:
    frame = (70, 62, 74)
    for side in (-1, 1):
        ring = _ellipse(side * 0.255, -0.05, 0.205, 0.195)
        pen.line(np.concatenate([ring, ring[:1]]), frame, 0.018)
        pen.line(np.array([[side * 0.46, -0.07], [side * 0.58, -0.05]]), frame, 0.018)
    pen.line(np.array([[-0.05, -0.07], [0.05, -0.07]]), frame, 0.018)


def _ellipse(x: float, y: float, rx: float, ry: float, *, power: float = 2.0) -> Points:
    """Return points (N, 2) on |x / rx|^power + |y / ry|^power = 1 about (x, y): an ellipse, boxier for high powers."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([x + rx * _power(np.cos(t), 2 / power), y + ry * _power(np.sin(t), 2 / power)], 1)


def _power(values: Points, exponent: float) -> Points:
    return np.sign(values) * np.abs(values) ** exponent


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return 255 * red, 255 * green, 255 * blue


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (a * (1 - share) + b * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def _shade(colour: Colour, factor: float) -> Colour:
    """Darken a colour, and make it a little warmer as skin is in the shade."""
    return colour[0] * factor**0.8, colour[1] * factor, colour[2] * factor


def _bytes(colour: Colour) -> tuple[int, ...]:
    return tuple(min(255, max(0, round(part))) for part in colour)
