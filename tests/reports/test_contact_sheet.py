"""The contact sheet: what is on it, and where."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from affectkit.errors import DataError
from affectkit.prep.augmentation.lossless_images import read_lossless
from affectkit.reports import contact_sheet
from affectkit.reports.contact_sheet import CELL, HEAD, MARGIN


def preview_sheet(path, rows):
    contact_sheet.preview_sheet(path, rows, read=lambda file: read_lossless(file).pixels)


def plain(folder, name: str, mode: str, colour, size=(30, 20)):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def test_pictures_stand_in_their_cells_at_whole_steps(tmp_path):
    red = plain(tmp_path, "happy/a.png", "RGB", (200, 0, 0))
    green = plain(tmp_path, "happy/a-1.png", "RGB", (0, 200, 0))
    preview_sheet(tmp_path / "sheet.png", [(red, [(green, "draw 0"), (green, "draw 1")]), (green, [])])
    with Image.open(tmp_path / "sheet.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    is_red, is_green = ((pixels == colour).all(axis=2) for colour in ((200, 0, 0), (0, 200, 0)))
    assert is_red.sum() == 30 * 20 * 4**2  # four times is the largest whole step into 120
    assert is_green.sum() == 3 * 30 * 20 * 4**2
    rows, columns = np.nonzero(is_red)
    assert (columns.min(), columns.max()) == (MARGIN, MARGIN + CELL - 1)
    assert (rows.min(), rows.max()) == (MARGIN + HEAD + 20, MARGIN + HEAD + 99)  # centred
    below = pixels[MARGIN + HEAD + CELL : MARGIN + HEAD + CELL + 34, MARGIN : MARGIN + CELL]
    assert below.min() < 100  # a caption


def test_deep_and_transparent_pictures(tmp_path):
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((120, 120), 128 * 257, np.uint16)).save(deep)
    clear = plain(tmp_path, "clear.png", "RGBA", (0, 0, 255, 0), size=(120, 120))
    preview_sheet(tmp_path / "sheet.png", [(deep, [(clear, "draw 0")])])
    with Image.open(tmp_path / "sheet.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    middle = MARGIN + HEAD + 60
    assert tuple(pixels[middle, MARGIN + 60]) == (128, 128, 128)
    board = pixels[MARGIN + HEAD : MARGIN + HEAD + 120, -MARGIN - 120 : -MARGIN]
    assert {tuple(colour) for colour in board[2:-2, 2:-2].reshape(-1, 3)} == {(235, 235, 235), (205, 205, 205)}


def test_what_cannot_be_shown(tmp_path):
    with pytest.raises(DataError, match="at least one original"):
        preview_sheet(tmp_path / "sheet.png", [])
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png: is not an image"):
        preview_sheet(tmp_path / "sheet.png", [(broken, [])])
    assert not (tmp_path / "sheet.png").exists()
