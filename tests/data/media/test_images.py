"""Images of every kind that users have, against values worked out apart from the reader, and files that are none."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from affectkit.core.spec import InputSpec
from affectkit.data.media.images import (
    IMAGE_EXTENSIONS,
    load_for_spec,
    read_image,
    read_reduced,
    resize,
)
from affectkit.data.media.reduced_decoding import Extent
from affectkit.errors import DataError, UsageError


def pattern(height: int = 6, width: int = 9, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, channels), dtype=np.uint8)


def png(width: int, height: int, *, depth: int, kind: int, rows: bytes) -> bytes:
    """A PNG written by hand, so that the values in it do not come from the library under test."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm", ".webp"])
def test_lossless_formats_give_their_pixels(tmp_path: Path, suffix: str) -> None:
    pixels, path = pattern(), tmp_path / f"a{suffix}"
    Image.fromarray(pixels).save(path, **({"lossless": True} if suffix == ".webp" else {}))
    found = read_image(path)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous and found.flags.writeable
    np.testing.assert_array_equal(found, pixels)
    assert suffix in IMAGE_EXTENSIONS


def test_format_is_told_by_bytes_not_by_name(tmp_path: Path) -> None:
    Image.fromarray(pattern()).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), pattern())


def test_gray_and_colour(tmp_path: Path) -> None:
    gray = pattern(channels=1)
    Image.fromarray(gray[:, :, 0]).save(tmp_path / "g.png")
    np.testing.assert_array_equal(read_image(tmp_path / "g.png", channels=1), gray)
    np.testing.assert_array_equal(read_image(tmp_path / "g.png"), np.repeat(gray, 3, axis=2))
    colour = pattern()
    Image.fromarray(colour).save(tmp_path / "c.png")
    luma = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read_image(tmp_path / "c.png", channels=1)[:, :, 0] - luma).max() <= 0.51


def test_sixteen_bit_png_values(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257, 32767, 65407, 65406, 65535]], dtype=">u2")
    (tmp_path / "a.png").write_bytes(png(8, 1, depth=16, kind=0, rows=b"\x00" + values.tobytes()))
    expected = np.rint(values.astype(np.float64) / 257).astype(np.uint8)
    assert expected.tolist() == [[0, 0, 1, 1, 127, 255, 254, 255]]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", channels=1)[:, :, 0], expected)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[:, :, 2], expected)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_sixteen_bit_tiff_values(tmp_path: Path, mode: str) -> None:
    values = np.array([[0, 300, 65535], [257, 514, 40000]])
    dtype = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}[mode]
    Image.frombytes(mode, (3, 2), values.astype(dtype).tobytes()).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.tif", channels=1)[:, :, 0], np.rint(values / 257).astype(np.uint8)
    )


def test_integers_beyond_sixteen_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 70000]], dtype=np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: gray values from 0 to 70000"):
        read_image(tmp_path / "a.tif")


def test_float_tiff(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 0.5, 1.0, 0.2]], dtype=np.float32)).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif", channels=1)[0, :, 0].tolist() == [0, 128, 255, 51]
    for wrong in ([[0, 17.5]], [[-0.1, 0.5]], [[np.nan, 0.5]]):
        Image.fromarray(np.array(wrong, dtype=np.float32)).save(tmp_path / "b.tif")
        with pytest.raises(DataError, match=r"b\.tif: .*must hold 0 to 1"):
            read_image(tmp_path / "b.tif")


def test_one_bit(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(4, 1, depth=1, kind=0, rows=b"\x00\xa0"))
    assert read_image(tmp_path / "a.png", channels=1)[0, :, 0].tolist() == [255, 0, 255, 0]


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    rgba = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 128]]], dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    alpha = rgba[..., 3:] / 255
    expected = rgba[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(read_image(tmp_path / "rgba.png") - expected).max() <= 1
    la = np.array([[[40, 255], [40, 0], [40, 128]]], dtype=np.uint8)
    Image.frombytes("LA", (3, 1), la.tobytes()).save(tmp_path / "la.png")
    found = read_image(tmp_path / "la.png", channels=1)[0, :, 0].tolist()
    assert found[:2] == [40, 255] and abs(found[2] - 147) <= 1


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "holes.png", transparency=b"\xff\x00\x80")
    image.save(tmp_path / "holes.gif", transparency=1)
    assert read_image(tmp_path / "plain.png")[0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    found = read_image(tmp_path / "holes.png")[0].tolist()
    assert found[0] == [255, 0, 0] and found[1] == [255, 255, 255]
    assert np.abs(np.array(found[2]) - [127, 127, 255]).max() <= 1
    assert read_image(tmp_path / "holes.gif")[0].tolist() == [[255, 0, 0], [255, 255, 255], [0, 0, 255]]


def test_transparent_colour_of_rgb_png(tmp_path: Path) -> None:
    pixels = np.array([[[10, 20, 30], [40, 50, 60]]], dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=(10, 20, 30))
    assert read_image(tmp_path / "a.png")[0].tolist() == [[255, 255, 255], [40, 50, 60]]


def test_cmyk_jpeg(tmp_path: Path) -> None:
    # Pillow writes CMYK as Adobe does, inverted; plain colours are told apart from their negatives by far.
    flat = {"cyan": ((255, 0, 0, 0), (0, 255, 255)), "red": ((0, 255, 255, 0), (255, 0, 0))}
    for name, (ink, expected) in flat.items():
        Image.new("CMYK", (16, 16), ink).save(tmp_path / f"{name}.jpg", quality=95)
        found = read_image(tmp_path / f"{name}.jpg")
        assert found.shape == (16, 16, 3)
        assert np.abs(found.astype(int) - expected).max() <= 6, name


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue", "lime")]
    for name in ("a.gif", "a.webp", "a.tif"):
        extra = {"lossless": True} if name == "a.webp" else {}
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **extra)
        assert read_image(tmp_path / name)[0, 0].tolist() == [255, 0, 0], name


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientations(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.zeros((32, 48, 3), dtype=np.uint8)
    upright[:16, :16], upright[:16, 32:], upright[16:, :16] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    # What a camera stores, by the EXIF definition of where row 0 and column 0 lie.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    extra = {".jpg": {"quality": 95, "subsampling": 0}, ".webp": {"lossless": True}}.get(suffix, {})
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **extra)
    for draft in (None, (16, 24)):
        found, extent = read_reduced(path, draft and (lambda height, width, draft=draft: draft))
        half = draft is not None and suffix == ".jpg"
        assert found.shape == ((16, 24, 3) if half else (32, 48, 3))
        assert extent == Extent(32, 48, 2 if half else 1)
        wanted = upright[::2, ::2] if half else upright
        assert np.abs(found.astype(int) - wanted).max() <= 12


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_lose_the_image(tmp_path: Path) -> None:
    Image.fromarray(pattern()).save(tmp_path / "a.png", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pattern())


def test_draft_is_at_least_as_large_as_asked(tmp_path: Path) -> None:
    Image.fromarray(np.full((400, 600, 3), 90, np.uint8)).save(tmp_path / "a.jpg")
    shapes = {}
    for ask in ((400, 600), (150, 100), (50, 75), (50.1, 75)):
        shapes[ask] = read_reduced(tmp_path / "a.jpg", lambda height, width, ask=ask: ask)[0].shape[:2]
    assert shapes == {(400, 600): (400, 600), (150, 100): (200, 300), (50, 75): (50, 75), (50.1, 75): (100, 150)}


def test_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    rows = zlib.compressobj()
    body = b"".join(rows.compress(bytes(20_001) * 100) for _ in range(200)) + rows.flush()
    bomb = png(20_000, 20_000, depth=8, kind=0, rows=b"")
    start, empty = bomb[:33], zlib.compress(b"")
    assert len(empty) < len(body) < 500_000
    chunk = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
    (tmp_path / "bomb.png").write_bytes(start + chunk + bomb[-12:])
    tracemalloc.start()
    with pytest.raises(DataError, match=r"bomb\.png: .*pixels"):
        read_image(tmp_path / "bomb.png")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_size_limits(tmp_path: Path) -> None:
    Image.fromarray(pattern(10, 10)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_pixels=100).shape == (10, 10, 3)
    with pytest.raises(DataError, match=r"a\.png: 10 x 10 pixels are more than the limit of 99"):
        read_image(tmp_path / "a.png", max_pixels=99)
    # Between Pillow's warning (89 million) and twice that, where Pillow by itself goes on.
    (tmp_path / "b.png").write_bytes(png(9_500, 9_500, depth=8, kind=0, rows=b""))
    with pytest.raises(DataError, match=r"b\.png: 9500 x 9500 pixels"):
        read_image(tmp_path / "b.png")


def test_cut_and_damaged_files(tmp_path: Path) -> None:
    big, checked = pattern(80, 80), 0
    for suffix in (".jpg", ".png", ".webp", ".bmp", ".tif", ".gif", ".ppm"):
        path = tmp_path / f"a{suffix}"
        Image.fromarray(big).save(path)
        whole = path.read_bytes()
        for share in (0.02, 0.3, 0.7):
            path.write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(DataError) as caught:
                read_image(path)
            assert str(path) in caught.value.message
            assert "\n" not in caught.value.message
            checked += 1
    assert checked == 21


def test_files_that_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "pointer.jpg").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    # A format that Pillow knows and the allow-list does not.
    Image.fromarray(pattern()).save(tmp_path / "icon.jpg", format="ICO")
    reasons = {
        "empty": "is empty",
        "text": "is not an image",
        "pointer": "git-lfs pointer",
        "folder": "is a folder",
        "pipe": "not a regular file",
        "icon": "is not an image",
        "missing": "does not exist",
    }
    for name, reason in reasons.items():
        path = tmp_path / f"{name}.jpg"
        with pytest.raises(DataError) as caught:
            read_image(path)
        assert str(path) in caught.value.message and reason in caught.value.message
        assert "\n" not in caught.value.message
    with pytest.raises(UsageError, match="channels must be 1 or 3"):
        read_image(tmp_path / "empty.jpg", channels=4)


def test_resize_leaves_the_size_it_has() -> None:
    for fit in ("stretch", "crop", "pad"):
        for channels in (1, 3):
            image = pattern(7, 5, channels)
            np.testing.assert_array_equal(resize(image, 7, 5, fit), image)
    with pytest.raises(UsageError, match="fit must be one of"):
        resize(pattern(), 3, 3, "fill")


def test_resize_fits() -> None:
    image = np.zeros((40, 80, 3), dtype=np.uint8)
    image[:, 20:60] = 200  # the centre square
    # Antialiasing sees the pixels beside the cut, so that the result is the whole image resized and then cut.
    whole = np.array(Image.fromarray(image).resize((40, 20), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(resize(image, 20, 20, "crop"), whole[:, 10:30])
    padded = resize(image, 20, 20, "pad")
    assert (padded[:5] == 0).all() and (padded[15:] == 0).all()
    assert (padded[5:15, 6:14] == 200).all() and (padded[5:15, :4] == 0).all()
    stretched = resize(image, 20, 20, "stretch")
    assert (stretched[:, 6:14] == 200).all() and (stretched[:, :4] == 0).all()
    assert resize(image[:, :, :1], 9, 30, "pad").shape == (9, 30, 1)
    assert resize(np.full((1, 500, 3), 9, np.uint8), 8, 8, "pad").max() == 9


def test_resize_is_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(resize(stripes, 8, 8, "stretch").astype(int) - 127).max() <= 20


def test_load_for(tmp_path: Path) -> None:
    Image.fromarray(pattern(60, 90)).save(tmp_path / "a.jpg")
    spec = InputSpec("classification", 20, 24, 1, (0.5,), (0.5,), "pad")
    assert load_for_spec(tmp_path / "a.jpg", spec).shape == (20, 24, 1)
    smooth = np.linspace(0, 255, 512, dtype=np.uint8)[None, :, None] * np.ones((512, 1, 3), np.uint8)
    Image.fromarray(smooth).save(tmp_path / "b.jpg", quality=95)
    spec = InputSpec("classification", 32, 32)
    full = resize(read_image(tmp_path / "b.jpg"), 32, 32, "crop")
    assert np.abs(load_for_spec(tmp_path / "b.jpg", spec).astype(int) - full).max() <= 4
