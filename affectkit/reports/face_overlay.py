"""Boxes around faces, with what was predicted of them beside, drawn on a picture."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from affectkit.core.boxes import Box, shared_area

# Of Okabe and Ito (2008), as in other pictures; white letters are read on all of them.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56789A", "#7A5195", "#6B6B6B")
INK, PAPER, TRACK = (255, 255, 255, 255), (16, 20, 24, 190), (255, 255, 255, 60)


Point = tuple[float, float]
TITLE_ROW, ROW, LENGTH = 1.45, 1.35, 5.0
"""Heights of a title and of a row of bars, and the length of a full bar, in letter sizes."""
DOT, LEAST_DOT, MOST_DOT = 40, 1.5, 8
"""A face's side in radii of its dots; least and most pixels of such a radius: fewer hide an eye."""
HIDDEN = 0.15
"""Share of a face, or of other bars, that bars may cover."""


@dataclass(frozen=True)
class Mark:
    """Data that are drawn for one face.

    Attributes:
        box: left, top, width and height in pixels.
        title: stands above the box.
        bars: name and value in [0, 1] of each bar, from the top.
        number: of its colour.
        points: landmarks (x, y), drawn as dots where the face is large enough for them.
    """

    box: Box
    title: str
    bars: tuple[tuple[str, float], ...] = ()
    number: int = 0
    points: tuple[Point, ...] = ()


def draw_face_marks(picture: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """Return a copy of ``picture``, uint8 (H, W, 3) RGB, with ``marks`` drawn; the first one lies on top.

    Letters and lines go by the picture's size. Bars stand right of the box, left, below or above it, wherever they
    cover least of other faces and bars; where that is more than a share (``HIDDEN``) of one, or where they are wider
    or taller than the picture, they are left out.
    """
    canvas = Image.fromarray(picture)
    height, width = picture.shape[:2]
    size = min(max(round(min(height, width) / 34), 10), 96)
    draw = ImageDraw.Draw(canvas, "RGBA")  # half-transparent fillings are mixed with what lies below
    for mark in reversed(marks):
        _draw(draw, mark, (width, height), size)
    small, panels = max(round(size * 0.8), 9), []
    for mark in marks:
        others = [other.box for other in marks if other is not mark]
        place = _place(mark, _extent(mark, small), (width, height), others, panels) if mark.bars else None
        if place is not None:
            panels.append(place)
            _draw_bars(draw, mark, place, small)
    return np.array(canvas)


def _draw(draw: ImageDraw.ImageDraw, mark: Mark, room: tuple[int, int], size: int) -> None:
    """Draw the box and the title."""
    colour, font = COLOURS[mark.number % len(COLOURS)], _font(size)
    left, top, width, height = mark.box
    line = max(size // 7, 2)
    draw.rectangle((left, top, left + width, top + height), outline=colour, width=line)
    _draw_points(draw, mark, colour)
    if mark.title:
        wide, tall = font.getlength(mark.title) + size * 0.8, size * TITLE_ROW
        x = min(max(left, 0), max(room[0] - wide, 0))
        y = top - tall if top - tall >= 0 else min(top + height, room[1] - tall)
        draw.rectangle((x, y, x + wide, y + tall), fill=colour)
        draw.text((x + size * 0.4, y + tall / 2), mark.title, fill=INK, font=font, anchor="lm")


def _draw_points(draw: ImageDraw.ImageDraw, mark: Mark, colour: str) -> None:
    """Draw the landmarks, ringed in white so that they are seen on skin and hair."""
    side = max(mark.box[2:])
    radius = min(side / DOT, MOST_DOT)
    if radius < LEAST_DOT:
        return
    for x, y in mark.points:
        draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius), fill=colour, outline=INK, width=max(int(radius / 3), 1)
        )


def _extent(mark: Mark, size: int) -> tuple[float, float]:
    """Return width and height of the panel of bars."""
    font = _font(size)
    names = max(font.getlength(name) for name, _ in mark.bars)
    return names + font.getlength("100%") + size * (LENGTH + 2), size * (ROW * len(mark.bars) + 0.5)


def _place(
    mark: Mark, extent: tuple[float, float], room: tuple[int, int], others: Sequence[Box], panels: Sequence[Box]
) -> Box | None:
    """Return where the panel of ``mark`` stands: left, top, width, height; None where there is no good place."""
    (wide, tall), (left, top, width, height) = extent, mark.box
    if wide > room[0] or tall > room[1]:
        return None
    gap = min(wide, tall) * 0.04
    above = top - tall - gap * 8  # over the title
    found = []
    for rank, (x, y) in enumerate(
        [
            (left + width + gap, top),
            (left - wide - gap, top),
            (left, top + height + gap),
            (left + width - wide, top + height + gap),
            (left, above),
            (left + width - wide, above),
            (left, top + height - tall),  # on the face itself, at its lower edge
        ]
    ):
        x, y = min(max(x, 0), room[0] - wide), min(max(y, 0), room[1] - tall)  # noqa: PLW2901 - into the picture
        panel = (x, y, wide, tall)
        hidden = max((shared_area(panel, box) / max(box[2] * box[3], 1) for box in others), default=0.0)
        own = shared_area(panel, mark.box) / max(width * height, 1)
        crowded = sum(shared_area(panel, other) for other in panels) / (wide * tall)
        found.append((round(hidden + crowded + own / 4, 2), rank, max(hidden, crowded), own, panel))
    _, _, hidden, own, panel = min(found)
    return panel if hidden <= HIDDEN and (own <= HIDDEN or wide <= width) else None


def _draw_bars(draw: ImageDraw.ImageDraw, mark: Mark, place: Box, size: int) -> None:
    """Draw a panel with a row per bar: name, bar, value in percent."""
    font, pad, colour = _font(size), size * 0.5, COLOURS[mark.number % len(COLOURS)]
    x, y, wide, tall = place
    draw.rectangle((x, y, x + wide, y + tall), fill=PAPER)
    names = max(font.getlength(name) for name, _ in mark.bars)
    for row, (name, value) in enumerate(mark.bars):
        middle = y + pad / 2 + size * ROW * (row + 0.5)
        begin, end = x + pad * 2 + names, x + pad * 2 + names + size * LENGTH
        draw.text((x + pad, middle), name, fill=INK, font=font, anchor="lm")
        draw.rectangle((begin, middle - size * 0.4, end, middle + size * 0.4), fill=TRACK)
        reached = begin + (end - begin) * min(max(value, 0.0), 1.0)
        draw.rectangle((begin, middle - size * 0.4, reached, middle + size * 0.4), fill=colour)
        draw.text((x + wide - pad, middle), f"{value:.0%}", fill=INK, font=font, anchor="rm")


@functools.lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Pillow's own has ASCII alone; class names are in any language.
    import matplotlib  # for its font alone

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
