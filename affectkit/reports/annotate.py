"""Boxes around faces, with what was predicted of them beside, drawn on a picture."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Of Okabe and Ito (2008), as in other pictures; white letters are read on all of them.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56789A", "#7A5195", "#6B6B6B")
INK, PAPER, TRACK = (255, 255, 255, 255), (16, 20, 24, 190), (255, 255, 255, 60)


@dataclass(frozen=True)
class Mark:
    """What is drawn of one face.

    Attributes:
        box: left, top, width and height in pixels. title: stands above the box.
        bars: name and value in [0, 1] of each bar, from the top. number: of its colour.
    """

    box: tuple[float, float, float, float]
    title: str
    bars: tuple[tuple[str, float], ...] = ()
    number: int = 0


def annotated(picture: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """A copy of ``picture``, uint8 (H, W, 3) RGB, with ``marks`` drawn; the first one lies on top.

    Letters and lines go by the picture's size. Bars stand right of the box, left of it where there is more room, and
    are left out where they are wider or taller than the picture.
    """
    canvas = Image.fromarray(picture)
    height, width = picture.shape[:2]
    size = min(max(round(min(height, width) / 34), 10), 96)
    draw = ImageDraw.Draw(canvas, "RGBA")  # half-transparent fillings are mixed with what lies below
    for mark in reversed(marks):
        _draw(draw, mark, (width, height), size)
    return np.array(canvas)


def _draw(draw: ImageDraw.ImageDraw, mark: Mark, room: tuple[int, int], size: int) -> None:
    colour, font = COLOURS[mark.number % len(COLOURS)], _font(size)
    left, top, width, height = mark.box
    line = max(size // 7, 2)
    draw.rectangle((left, top, left + width, top + height), outline=colour, width=line)
    if mark.title:
        wide, tall = font.getlength(mark.title) + size * 0.8, size * 1.45
        x = min(max(left, 0), max(room[0] - wide, 0))
        y = top - tall if top - tall >= 0 else min(top + height, room[1] - tall)
        draw.rectangle((x, y, x + wide, y + tall), fill=colour)
        draw.text((x + size * 0.4, y + tall / 2), mark.title, fill=INK, font=font, anchor="lm")
    if mark.bars:
        _draw_bars(draw, mark, room, max(round(size * 0.8), 9), colour)


def _draw_bars(draw: ImageDraw.ImageDraw, mark: Mark, room: tuple[int, int], size: int, colour: str) -> None:
    """A panel with a row a bar: name, bar, value in percent."""
    font, pad, row = _font(size), size * 0.5, size * 1.35
    names = max(font.getlength(name) for name, _ in mark.bars)
    length, values = size * 5.0, font.getlength("100%")
    wide, tall = names + length + values + pad * 4, row * len(mark.bars) + pad
    left, top, width, _ = mark.box
    right_room, left_room = room[0] - (left + width), left
    if wide > max(right_room, left_room, width) or tall > room[1]:
        return
    if wide <= right_room:
        x = left + width + pad
    elif wide <= left_room:
        x = left - wide - pad
    else:  # on the face itself, at its lower edge
        x, top = left, top + mark.box[3] - tall
    x, y = min(max(x, 0), room[0] - wide), min(max(top, 0), room[1] - tall)
    draw.rectangle((x, y, x + wide, y + tall), fill=PAPER)
    for place, (name, value) in enumerate(mark.bars):
        middle = y + pad / 2 + row * (place + 0.5)
        begin = x + pad * 2 + names
        draw.text((x + pad, middle), name, fill=INK, font=font, anchor="lm")
        draw.rectangle((begin, middle - size * 0.4, begin + length, middle + size * 0.4), fill=TRACK)
        end = begin + length * min(max(value, 0.0), 1.0)
        draw.rectangle((begin, middle - size * 0.4, end, middle + size * 0.4), fill=colour)
        draw.text((x + wide - pad, middle), f"{value:.0%}", fill=INK, font=font, anchor="rm")


@functools.lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Pillow's own has ASCII alone; class names are in any language.
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
