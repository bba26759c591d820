"""Kinds of picture files: those that are read, upright and in 8 bits, and those that are named with their reason."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from affectkit.data.media import image_formats
from affectkit.data.media.image_formats import FORMATS, IMAGE_EXTENSIONS, RAW_EXTENSIONS, open_image
from affectkit.data.media.images import is_image_name, read_image
from affectkit.errors import DataError
from affectkit.prep.augmentation.lossless_images import encode_lossless, read_lossless

HEIC = image_formats._available("HEIF")
needs_heic = pytest.mark.skipif(not HEIC, reason="pillow-heif is not installed")
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
MODERN = [
    pytest.param(".heic", marks=needs_heic),
    pytest.param(".avif", marks=needs_avif),
    pytest.param(".jp2", marks=pytest.mark.skipif(not features.check("jpg_2000"), reason="Pillow without JPEG 2000")),
]


def corners(height: int = 64, width: int = 96) -> np.ndarray:
    """Red, green and blue in three corners, black elsewhere: another picture for each way to turn it."""
    picture = np.zeros((height, width, 3), np.uint8)
    half, third = height // 2, width // 3
    picture[:half, :third], picture[:half, -third:], picture[half:, :third] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return picture


def stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """By EXIF's words for where the first row and the first column belong."""
    if orientation >= 5:
        upright = upright.transpose(1, 0, 2)
    rows = {3: -1, 4: -1, 6: -1, 7: -1}.get(orientation, 1)
    columns = {2: -1, 3: -1, 7: -1, 8: -1}.get(orientation, 1)
    return np.ascontiguousarray(upright[::rows, ::columns])


def write(path: Path, pixels: np.ndarray | Image.Image, **options) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    if path.suffix in (".heic", ".avif"):
        options.setdefault("quality", 95)
    if path.suffix == ".heic":
        import pillow_heif.HeifImagePlugin  # noqa: F401 - registers what writes
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", MODERN)
def test_gray_colour_and_transparency(tmp_path, suffix):
    colour = np.rint(corners().astype(float) * 0.5 + 60).astype(np.uint8)
    assert np.abs(read_image(write(tmp_path / f"c{suffix}", colour)).astype(int) - colour).mean() < 2.5
    gray = np.tile(np.arange(96, dtype=np.uint8) * 2, (64, 1))
    found = read_image(write(tmp_path / f"g{suffix}", gray), channels=1)
    assert found.shape == (64, 96, 1) and np.abs(found[:, :, 0].astype(int) - gray).max() <= 2
    alpha = np.full((64, 96, 1), 128, np.uint8)
    alpha[:, :48] = 255
    for pixels in (np.dstack([colour, alpha]), np.dstack([gray, alpha])):
        mode = "RGBA" if pixels.shape[2] == 4 else "LA"
        path = write(tmp_path / f"a{suffix}", Image.frombytes(mode, (96, 64), pixels.tobytes()))
        share = alpha / 255
        expected = pixels[:, :, :-1] * share + 255 * (1 - share)
        assert np.abs(read_image(path).astype(float) - expected).mean() < 2.5
    assert suffix in IMAGE_EXTENSIONS and is_image_name(f"a{suffix.upper()}")


@pytest.mark.parametrize("suffix", MODERN[:2])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_once(tmp_path, suffix, orientation):
    """The container turns the picture, and EXIF says so a second time, as a telephone writes it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = write(tmp_path / f"a{suffix}", stored(corners(), orientation), exif=exif.tobytes())
    if orientation > 1:
        assert b"irot" in path.read_bytes() or b"imir" in path.read_bytes()
    for found in (read_image(path), read_lossless(path).pixels):
        assert found.shape == (64, 96, 3)
        assert np.abs(found.astype(int) - corners()).mean() < 3


@needs_heic
@needs_avif
def test_by_content_not_by_name(tmp_path):
    Image.fromarray(corners()).save(tmp_path / "IMG_2.heic", format="AVIF", quality=95)
    write(tmp_path / "b.heic", corners()).rename(tmp_path / "b.jpg")
    for name, kind in (("IMG_2.heic", "AVIF"), ("b.jpg", "HEIF")):
        with (tmp_path / name).open("rb") as stream, open_image(stream) as image:
            assert image.format == kind
        assert np.abs(read_image(tmp_path / name).astype(int) - corners()).mean() < 3


def test_more_than_eight_bits(tmp_path):
    values = (np.arange(64 * 96).reshape(64, 96) * 10).astype(np.uint16)
    expected = np.rint(values / 257)
    path = write(tmp_path / "deep.jp2", values)
    assert np.abs(read_image(path, channels=1)[:, :, 0] - expected).max() == 0
    assert np.array_equal(read_lossless(path).pixels, values)  # what augments keeps its depth
    if HEIC:
        import pillow_heif

        data = np.dstack([values] * 3).tobytes()
        pillow_heif.from_bytes(mode="RGB;16", size=(96, 64), data=data).save(tmp_path / "deep.heic", quality=-1)
        assert np.abs(read_image(tmp_path / "deep.heic")[:, :, 1] - expected).max() <= 1


@pytest.mark.parametrize("suffix", MODERN)
def test_copies_are_of_the_kind_of_their_original(tmp_path, suffix):
    picture = read_lossless(write(tmp_path / f"a{suffix}", corners()))
    data = encode_lossless(picture.pixels, picture)
    assert data == encode_lossless(picture.pixels, picture)
    (tmp_path / f"b{suffix}").write_bytes(data)
    again = read_lossless(tmp_path / f"b{suffix}")
    assert again.format == picture.format
    assert np.abs(again.pixels.astype(int) - picture.pixels).mean() < (0.1 if suffix == ".jp2" else 3)


# A HEIC file of one pixel row has a header like this one: size, ftyp, major brand, version, compatible brands.
HEADER = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic")


@pytest.mark.parametrize(
    ("lacking", "brand", "words"),
    [("HEIF", b"heic", r'pip install "affectkit\[heif\]"'), ("AVIF", b"avif", "pip install -U pillow")],
)
def test_a_decoder_that_is_not_installed_is_named(tmp_path, monkeypatch, lacking, brand, words):
    there = image_formats._available
    monkeypatch.setattr(image_formats, "_available", lambda name: name != lacking and there(name))
    path = tmp_path / "IMG_1.heic"
    path.write_bytes(HEADER.replace(b"heic", brand, 1) + bytes(200))
    with pytest.raises(DataError, match=words) as caught:
        read_image(path)
    assert str(path) in caught.value.message and "\n" not in caught.value.message
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(DataError, match="known are JPEG") as caught:
        read_image(tmp_path / "text.jpg")
    assert lacking not in caught.value.message


def tiff(entries: dict[int, tuple[int, int, int]], *, magic: bytes = b"", second: bool = False) -> bytes:
    """A TIFF of 8 x 8 gray pixels by hand: tag: (type, count, value or offset); ``magic`` stands behind the header."""
    begin = 8 + len(magic)
    base = {256: (3, 1, 8), 257: (3, 1, 8), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 277: (3, 1, 1)}
    base |= {278: (3, 1, 8), 279: (4, 1, 64), **entries}
    count = len(base) + 1
    after = begin + 2 + 12 * count + 4
    base[273] = (4, 1, after)
    body = struct.pack("<H", count)
    for tag, (kind, number, value) in sorted(base.items()):
        body += struct.pack("<HHI", tag, kind, number) + (
            struct.pack("<HH", value, 0) if kind == 3 else struct.pack("<I", value)
        )
    return b"II*\0" + struct.pack("<I", begin) + magic + body + struct.pack("<I", begin if second else 0) + bytes(64)


RAW = {
    "adobe.dng": tiff({50706: (1, 4, 0x00000401), 254: (4, 1, 1), 330: (4, 1, 8)}),
    "telephone.dng": tiff({50706: (1, 4, 0x00000401)}),  # its first picture calls itself whole
    "nikon.tif": tiff({254: (4, 1, 1), 330: (4, 1, 8)}),  # as NEF and ARW: a thumbnail, and where the others lie
    "canon.tif": tiff({}, magic=b"CR\2\0\0\0\0\0"),
    "pentax.pef": tiff({262: (3, 1, 32803)}),  # pixels of a colour filter array
    "named.nef": tiff({}),
    "fuji.raf": b"FUJIFILMCCD-RAW 0201" + bytes(100),
    "olympus.jpg": b"IIRO" + bytes(100),
    "panasonic.rw2": b"IIU\0" + bytes(100),
    "canon.cr3": struct.pack(">I4s4s", 24, b"ftyp", b"crx ") + bytes(100),
    "sigma.x3f": b"FOVb" + bytes(100),
}


@pytest.mark.parametrize("name", RAW)
def test_camera_raw_is_named_not_read_as_its_thumbnail(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(RAW[name])
    for read in (read_image, read_lossless):
        with pytest.raises(DataError, match="camera raw is not read: export it as JPEG or TIFF"):
            read(path)


def test_pictures_that_are_no_raw(tmp_path):
    """TIFFs by the same hand, one alone that calls itself reduced, and a JPEG with a raw file's name."""
    for name, data in (("plain.tif", tiff({})), ("alone.tif", tiff({254: (4, 1, 1)}))):
        (tmp_path / name).write_bytes(data)
        assert read_image(tmp_path / name, channels=1).shape == (8, 8, 1)
    stream = io.BytesIO()
    Image.fromarray(corners()).save(stream, "JPEG", quality=95)
    (tmp_path / "preview.nef").write_bytes(stream.getvalue())
    assert read_image(tmp_path / "preview.nef").shape == (64, 96, 3)
    assert not set(RAW_EXTENSIONS) & set(IMAGE_EXTENSIONS) and len(set(FORMATS)) == len(FORMATS)
