"""Boxes around faces, with what was predicted of them beside, drawn on a picture.

Labels stand over no face and over no other label (``label_layout``). Bars, of the three largest values, stand beside
their box; where those of one face have no place there, those of all stand in a strip beside or below the picture, each
with its face and its number.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from affectkit.core.boxes import Box
from affectkit.core.text import percent
from affectkit.reports.label_layout import Place, Size, place_labels

# Of Okabe and Ito (2008), as in other pictures; white letters are read on all of them.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56789A", "#7A5195", "#6B6B6B")
INK, PAPER, TRACK = (255, 255, 255, 255), (16, 20, 24, 190), (255, 255, 255, 60)
STRIP = (16, 20, 24)

Point = tuple[float, float]
TITLE_ROW, ROW, LENGTH = 1.45, 1.35, 5.0
"""Heights of a title and of a row of bars, and the length of a full bar, in letter sizes."""
DOT, LEAST_DOT, MOST_DOT = 40, 1.5, 8
"""A face's side in radii of its dots; least and most pixels of such a radius: fewer hide an eye."""
MOST_BARS = 3
"""Bars of a face: the largest values."""
CROWD = 4
"""Faces above which a title with a strip is a number and a label."""
FACE_LETTER = 0.2
"""Size of a title's letters in heights of its face, within bounds that the picture sets."""
THUMB = 4.4
"""Side of a face in the strip, in letter sizes."""
STRIP_SHARE, LEAST_LETTER = 1.5, 9
"""Area of the strip in areas of the picture above which its letters become smaller, and pixels of the smallest."""


@dataclass(frozen=True)
class Mark:
    """Data that are drawn for one face.

    Attributes:
        box: left, top, width and height in pixels.
        title: stands beside the box; ``NUMBER · TEXT`` where there are several faces.
        bars: name and value in [0, 1] of each bar; the three largest are drawn.
        number: of its colour.
        points: landmarks (x, y), drawn as dots where the face is large enough for them.
        note: a line below the bars.
    """

    box: Box
    title: str
    bars: tuple[tuple[str, float], ...] = ()
    number: int = 0
    points: tuple[Point, ...] = ()
    note: str = ""

    @property
    def rows(self) -> int:
        """Return how many rows the panel has: of bars, and of the note."""
        return len(self.top_bars) + bool(self.note)

    @property
    def top_bars(self) -> tuple[tuple[str, float], ...]:
        """Return the bars that are drawn: all in their order, or the largest ones, the largest first."""
        if len(self.bars) <= MOST_BARS:
            return self.bars
        return tuple(sorted(self.bars, key=lambda bar: -bar[1])[:MOST_BARS])

    @property
    def titles(self) -> list[str]:
        """Return the title and shorter ones: without the percentage, and the number alone."""
        number, dot, text = self.title.partition(" · ")
        if not dot:
            number, text = "", self.title
        words = text.rpartition(" ")
        shorter = words[0] if words[0] and words[2].endswith("%") else text
        found = [self.title, f"{number} · {shorter}" if number else shorter, number]
        return [title for title in dict.fromkeys(found) if title]


@dataclass(frozen=True)
class Layout:
    """Where the labels of a picture stand.

    Attributes:
        titles: a place a mark; None where it has none.
        panels: of bars, a place a mark; all None where they stand in the strip.
        letters: size of each title's letters.
        small: size of the letters of bars.
        strip: whether bars stand in a strip.
    """

    titles: list[Place | None]
    panels: list[Place | None]
    letters: list[int]
    small: int
    strip: bool


def draw_face_marks(picture: np.ndarray, marks: Sequence[Mark], *, strip: bool = False) -> np.ndarray:
    """Return a copy of ``picture``, uint8 (H, W, 3) RGB, with ``marks`` drawn; the first one lies on top.

    Letters and lines go by the picture's size, those of titles also by their face's.

    Args:
        picture: it stays as it is.
        marks: of its faces.
        strip: whether bars may stand in a strip below the picture, or beside an upright one, which makes the result
            larger; without, those that have no place are left out.
    """
    height, width = picture.shape[:2]
    laid = lay_out(marks, (width, height), strip=strip)
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas, "RGBA")  # half-transparent fillings are mixed with what lies below
    for mark, letter in reversed(list(zip(marks, laid.letters, strict=True))):
        colour = COLOURS[mark.number % len(COLOURS)]
        left, top, wide, tall = mark.box
        draw.rectangle((left, top, left + wide, top + tall), outline=colour, width=max(letter // 7, 2))
        _draw_points(draw, mark, colour)
    for mark, letter, place in zip(marks, laid.letters, laid.titles, strict=True):
        if place is not None:
            _draw_title(draw, mark, place, letter, strip=laid.strip and len(marks) > CROWD)
    for mark, place in zip(marks, laid.panels, strict=True):
        if place is not None:
            _draw_panel(draw, mark, place.box, laid.small)
    return np.array(_with_strip(canvas, picture, marks, laid.small) if laid.strip else canvas)


def lay_out(marks: Sequence[Mark], room: tuple[int, int], *, strip: bool = False) -> Layout:
    """Return where titles and bars of ``marks`` stand in a picture of ``room`` (width, height) pixels."""
    size = min(max(round(min(room) / 34), 10), 96)
    small = max(round(size * 0.8), 9)
    letters = [min(max(round(FACE_LETTER * mark.box[3]), small), size) for mark in marks]
    faces = [mark.box for mark in marks]
    wanted = [_title_sizes(mark, letter) for mark, letter in zip(marks, letters, strict=True)]
    titles = place_labels(faces, wanted, room)
    sizes = [[_panel_size(mark, small)] if mark.bars else [] for mark in marks]
    taken = [place.box for place in titles if place is not None]
    panels = place_labels(faces, sizes, room, taken=taken, panels=True)
    lacking = any(place is None and mark.bars for mark, place in zip(marks, panels, strict=True))
    if not (strip and lacking):
        return Layout(titles, panels, letters, small, strip=False)
    if len(marks) > CROWD:
        titles = place_labels(faces, [found[1:] or found for found in wanted], room)
    return Layout(titles, [None] * len(marks), letters, small, strip=True)


def _title_sizes(mark: Mark, letter: int) -> list[Size]:
    font = _font(letter)
    return [(font.getlength(title) + letter * 0.8, letter * TITLE_ROW) for title in mark.titles]


def _draw_title(draw: ImageDraw.ImageDraw, mark: Mark, place: Place, letter: int, *, strip: bool) -> None:
    titles = mark.titles[1:] or mark.titles if strip else mark.titles
    colour, (x, y, wide, tall) = COLOURS[mark.number % len(COLOURS)], place.box
    if place.far:
        left, top, width, height = mark.box
        middle = (x + wide / 2, y + tall / 2)
        nearest = (min(max(middle[0], left), left + width), min(max(middle[1], top), top + height))
        draw.line((*middle, *nearest), fill=colour, width=max(letter // 8, 2))
    draw.rectangle((x, y, x + wide, y + tall), fill=colour)
    draw.text((x + letter * 0.4, y + tall / 2), titles[place.variant], fill=INK, font=_font(letter), anchor="lm")


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


def _panel_size(mark: Mark, size: int) -> Size:
    """Return width and height of the panel of bars."""
    font = _font(size)
    names = max(font.getlength(name) for name, _ in mark.top_bars)
    width = max(names + font.getlength(">99.9%") + size * (LENGTH + 2), font.getlength(mark.note) + size)
    return width, size * (ROW * mark.rows + 0.5)


def _draw_panel(draw: ImageDraw.ImageDraw, mark: Mark, place: Box, size: int) -> None:
    x, y, wide, tall = place
    draw.rectangle((x, y, x + wide, y + tall), fill=PAPER)
    _draw_bars(draw, mark, place, size)


def _draw_bars(draw: ImageDraw.ImageDraw, mark: Mark, place: Box, size: int) -> None:
    """Draw a row per bar: name, bar, value in percent; and the note below."""
    font, pad, colour = _font(size), size * 0.5, COLOURS[mark.number % len(COLOURS)]
    x, y, wide, _ = place
    end = x + wide - pad * 2 - font.getlength(">99.9%")
    begin = end - size * LENGTH
    for row, (name, value) in enumerate(mark.top_bars):
        middle = y + pad / 2 + size * ROW * (row + 0.5)
        draw.text((x + pad, middle), name, fill=INK, font=font, anchor="lm")
        draw.rectangle((begin, middle - size * 0.4, end, middle + size * 0.4), fill=TRACK)
        reached = begin + (end - begin) * min(max(value, 0.0), 1.0)
        draw.rectangle((begin, middle - size * 0.4, reached, middle + size * 0.4), fill=colour)
        draw.text((x + wide - pad, middle), percent(value), fill=INK, font=font, anchor="rm")
    if mark.note:
        middle = y + pad / 2 + size * ROW * (mark.rows - 0.5)
        draw.text((x + pad, middle), mark.note, fill=INK, font=font, anchor="lm")


def _with_strip(canvas: Image.Image, picture: np.ndarray, marks: Sequence[Mark], size: int) -> Image.Image:
    """Return ``canvas`` with a cell for each mark below it, or at its right where it is upright: face, title, bars."""
    shown = [mark for mark in marks if mark.bars]
    width, height = canvas.size
    wide, tall, panel = _cell_size(shown, size)
    most = STRIP_SHARE * width * height / len(shown)
    if wide * tall > most and size > LEAST_LETTER:
        size = max(int(size * math.sqrt(most / (wide * tall))), LEAST_LETTER)
        wide, tall, panel = _cell_size(shown, size)
    # Where it is larger all the same it is about square.
    even = math.sqrt(len(shown) / (wide * tall)) if wide * tall > most else 0.0
    if height > 1.2 * width:
        down = max(height // tall, round(even * wide), 1)
        across = math.ceil(len(shown) / down)
        room, corner = (width + across * wide, max(height, min(down, len(shown)) * tall)), (width, 0)
    else:
        across = max(width // wide, round(even * tall), 1)
        down = math.ceil(len(shown) / across)
        room, corner = (max(width, across * wide), height + down * tall), (0, height)
    made = Image.new("RGB", room, STRIP)
    made.paste(canvas, (0, 0))
    for place, mark in enumerate(shown):
        x, y = corner[0] + place % across * wide, corner[1] + place // across * tall
        begin = (x + size // 2, y + size // 2)
        _draw_cell(made, picture, mark, begin, thumb=round(size * THUMB), size=size, panel=panel)
    return made


def _cell_size(marks: Sequence[Mark], size: int) -> tuple[int, int, float]:
    """Return width and height of a cell of the strip, and the width of the bars in it, by the size of its letters."""
    font, thumb = _font(size), round(size * THUMB)
    panel = max(_panel_size(mark, size)[0] for mark in marks)
    panel = max(panel, *(font.getlength(mark.title) + size for mark in marks))
    rows = max(mark.rows for mark in marks)
    tall = max(thumb, size * (TITLE_ROW + ROW * rows)) + size
    return math.ceil(thumb + size * 1.5 + panel), math.ceil(tall), panel


def _draw_cell(
    made: Image.Image, picture: np.ndarray, mark: Mark, corner: tuple[int, int], *, thumb: int, size: int, panel: float
) -> None:
    draw = ImageDraw.Draw(made, "RGBA")
    (x, y), (left, top, width, height) = corner, mark.box
    rows = slice(max(int(top), 0), max(math.ceil(top + height), 0))
    columns = slice(max(int(left), 0), max(math.ceil(left + width), 0))
    part = picture[rows, columns]
    if part.size:
        face = Image.fromarray(part)
        face = face.resize([max(round(side * thumb / max(face.size)), 1) for side in face.size])
        made.paste(face, (x, y))
    colour = COLOURS[mark.number % len(COLOURS)]
    draw.rectangle((x, y, x + thumb, y + thumb), outline=colour, width=max(size // 7, 2))
    begin = x + thumb + size * 0.5
    draw.text((begin + size * 0.5, y + size * 0.6), mark.title, fill=INK, font=_font(size), anchor="lm")
    _draw_bars(draw, mark, (begin, y + size * (TITLE_ROW - 0.25), panel, 0), size)


@functools.lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Pillow's own has ASCII alone; class names are in any language.
    import matplotlib  # for its font alone

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
