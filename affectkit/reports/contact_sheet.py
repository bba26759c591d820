"""Contact sheets for a person to look at: originals beside their augmentations, pairs of images that are alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from affectkit.core.files import whole_file
from affectkit.errors import DataError
from affectkit.reports.style import BLUE, MUTED, RULE, TEXT

CELL = 120  # pixels a side; a smaller picture is enlarged by whole steps, so that its pixels stay to be judged
GAP, MARGIN, CAPTION, HEAD = 10, 24, 34, 40
SMALL_FONT, HEAD_FONT = 11, 13
MAX_ROWS, MAX_COLUMNS = 200, 24
PAIRS_ACROSS, MOST_PAIRS = 5, 100


Rows = Sequence[tuple[Path, Sequence[tuple[Path, str]]]]


def preview_sheet(path: Path, rows: Rows, *, read: Callable[[Path], np.ndarray]) -> None:
    """Write a picture (PNG) with a row per original: the original with its class and name, then its augmentations.

    Transparent parts are laid on a grey chequerboard, and 16-bit images are shown at 8 bits.

    Args:
        path: the file to write.
        rows: (original, (augmentation, caption) of each); a row may have none.
        read: gives a file's picture, upright, uint8 or uint16: (H, W) gray, (H, W, 2) gray and alpha, (H, W, 3) RGB,
            (H, W, 4) RGBA.

    Raises:
        DataError: there are no rows, or too many. Others: as ``read``.
    """
    if not rows:
        raise DataError("a preview needs at least one original.", "Balance the classes, or leave --preview out.")
    columns = 1 + max(len(made) for _, made in rows)
    if len(rows) > MAX_ROWS or columns > MAX_COLUMNS + 1:
        raise DataError(
            f"a preview holds at most {MAX_ROWS} originals with {MAX_COLUMNS} augmentations each; "
            f"got {len(rows)} with up to {columns - 1}."
        )
    # The originals stand apart from what was made of them.
    lefts = [MARGIN, *(MARGIN + CELL + 3 * GAP + k * (CELL + GAP) for k in range(columns - 1))]
    tall = CELL + CAPTION + GAP
    sheet = Image.new("RGB", (lefts[-1] + CELL + MARGIN, MARGIN + HEAD + tall * len(rows) + MARGIN - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    head, small = ImageFont.load_default(HEAD_FONT), ImageFont.load_default(SMALL_FONT)
    draw.text((lefts[0], MARGIN), "original", font=head, fill=TEXT)
    if columns > 1:
        draw.text((lefts[1], MARGIN), "augmented", font=head, fill=BLUE)
        line = MARGIN + CELL + GAP + GAP // 2
        draw.line((line, MARGIN, line, sheet.height - MARGIN), fill=RULE)
    for number, (original, made) in enumerate(rows):
        top = MARGIN + HEAD + tall * number
        lines = ((original.parent.name, MUTED), (original.name, TEXT))
        _place(sheet, read(original), (lefts[0], top), small, lines)
        for column, (file, caption) in enumerate(made, start=1):
            _place(sheet, read(file), (lefts[column], top), small, ((caption, MUTED),))
    with whole_file(Path(path)) as part:
        sheet.save(part, "PNG")


def pair_sheet(path: Path, pairs: Sequence[tuple[np.ndarray, np.ndarray, Sequence[str]]], *, heading: str) -> None:
    """Write a picture (PNG) of pairs of images side by side, five pairs across.

    Args:
        path: the file to write.
        pairs: the pixels of both, as ``preview_sheet`` reads them, and up to three lines of caption, the first of which
            stands out; 1 to ``MOST_PAIRS``.
        heading: of the sheet.

    Raises:
        DataError: there are no pairs, or too many.
    """
    if not 1 <= len(pairs) <= MOST_PAIRS:
        raise DataError(f"a sheet holds 1 to {MOST_PAIRS} pairs; got {len(pairs)}.")
    across = min(PAIRS_ACROSS, len(pairs))
    wide, tall = 2 * CELL + 4 + 3 * GAP, CELL + CAPTION + SMALL_FONT + 3 + 2 * GAP
    head, small = ImageFont.load_default(HEAD_FONT), ImageFont.load_default(SMALL_FONT)
    least = int(head.getlength(heading)) + 2 * MARGIN
    size = (max(wide * across + 2 * MARGIN - 3 * GAP, least), MARGIN + HEAD + tall * -(-len(pairs) // across))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), heading, font=head, fill=TEXT)
    for number, (one, other, lines) in enumerate(pairs):
        left, top = MARGIN + wide * (number % across), MARGIN + HEAD + tall * (number // across)
        _place(sheet, one, (left, top), small, ())
        _place(sheet, other, (left + CELL + 4, top), small, ())
        for place, text in enumerate(lines[:3]):
            ink = TEXT if place == 0 else MUTED
            at = (left, top + CELL + 4 + place * (SMALL_FONT + 3))
            draw.text(at, _short(text, small, 2 * CELL), font=small, fill=ink)
    with whole_file(Path(path)) as part:
        sheet.save(part, "PNG")


def _place(
    sheet: Image.Image,
    pixels: np.ndarray,
    corner: tuple[int, int],
    font: ImageFont.ImageFont,
    lines: Sequence[tuple[str, str]],
) -> None:
    """Paste one image, centred in its cell, with lines (text, colour) below."""
    left, top = corner
    draw = ImageDraw.Draw(sheet)
    picture = _fitted(_shown(pixels))
    at = left + (CELL - picture.width) // 2, top + (CELL - picture.height) // 2
    sheet.paste(picture, at)
    draw.rectangle((at[0] - 1, at[1] - 1, at[0] + picture.width, at[1] + picture.height), outline=RULE)
    for number, (text, ink) in enumerate(lines):
        draw.text((left, top + CELL + 4 + number * (SMALL_FONT + 3)), _short(text, font), font=font, fill=ink)


def _shown(pixels: np.ndarray) -> Image.Image:
    """Return 8-bit RGB of what ``read`` gives."""
    picture = Image.fromarray((pixels // 257).astype(np.uint8) if pixels.dtype == np.uint16 else pixels)
    return (
        _on_chequers(picture.convert("RGBA"))
        if pixels.ndim == 3 and pixels.shape[2] in (2, 4)
        else (picture.convert("RGB"))
    )


def _on_chequers(picture: Image.Image) -> Image.Image:
    side = max(2, max(picture.size) // 12)
    rows, columns = np.indices((picture.height, picture.width)) // side
    board = np.where((rows + columns) % 2, 235, 205).astype(np.uint8)
    below = Image.fromarray(board).convert("RGBA")
    return Image.alpha_composite(below, picture).convert("RGB")


def _fitted(picture: Image.Image) -> Image.Image:
    longest = max(picture.size)
    if longest <= CELL:
        step = CELL // longest
        return picture.resize((picture.width * step, picture.height * step), Image.Resampling.NEAREST)
    size = (max(1, round(picture.width * CELL / longest)), max(1, round(picture.height * CELL / longest)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _short(text: str, font: ImageFont.ImageFont, width: int = CELL) -> str:
    """Return ``text``, with its middle left out where it is wider than ``width`` pixels."""
    # What the font has no sign for would be drawn as an empty box.
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        tail = kept // 2
        shorter = f"{text[: kept - tail]}...{text[len(text) - tail :]}"
        if font.getlength(shorter) <= width:
            return shorter
    return "..."
