"""Pictures keep format, depth, channels and size through being read, augmented and written."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from affectkit.core.files import digest_of
from affectkit.errors import DataError, UsageError
from affectkit.prep.augmentation.lossless_images import augment_many, encode_lossless, read_lossless, write_lossless
from affectkit.prep.augmentation.pipeline import load_pipeline


def noise(shape, kind=np.uint8):
    return np.random.default_rng(1).integers(0, np.iinfo(kind).max + 1, shape).astype(kind)


def smooth():
    y, x = np.mgrid[:20, :32]
    return np.stack([x * 7, y * 11, x + y], axis=2).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_png_comes_back_bit_for_bit(tmp_path, channels, kind):
    pixels = noise((9, 13) if channels == 1 else (9, 13, channels), kind)
    like = read_lossless(save(tmp_path / "like.png", smooth()))
    write_lossless(tmp_path / "a.png", pixels, like)
    again = read_lossless(tmp_path / "a.png")
    assert again.pixels.dtype == kind
    assert np.array_equal(again.pixels, pixels)
    # OpenCV stands apart from what wrote it; it opens gray with alpha as four channels.
    seen = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    order = {1: ..., 2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    assert np.array_equal(seen if channels == 1 else seen[:, :, order], pixels)


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("a.jpg", "JPEG", {"quality": 90, "subsampling": 0}),
        ("a.webp", "WEBP", {"lossless": True}),
        ("a.webp", "WEBP", {"quality": 80}),
        ("a.bmp", "BMP", {}),
        ("a.tif", "TIFF", {"compression": "tiff_lzw"}),
        ("a.ppm", "PPM", {}),
    ],
)
def test_copies_keep_the_format_and_are_the_same_bytes_each_time(tmp_path, name, kind, options):
    source = save(tmp_path / name, smooth(), **options)
    pipeline = load_pipeline(None)
    targets = [(tmp_path / f"{draw}-{name}", draw) for draw in (0, 1)]
    digests, lost = augment_many(source, targets, pipeline, seed=0, name="x")
    assert lost == ()
    assert digests == [digest_of(target) for target, _ in targets]
    first = [target.read_bytes() for target, _ in targets]
    assert first[0] != first[1]
    augment_many(source, targets, pipeline, seed=0, name="x")
    assert [target.read_bytes() for target, _ in targets] == first
    with Image.open(targets[0][0]) as image:
        assert (image.format, image.size, image.mode) == (kind, (32, 20), "RGB")
    found = read_lossless(targets[0][0])
    assert dict(found.options) == dict(read_lossless(source).options)
    if kind != "JPEG" and options != {"quality": 80}:
        made = pipeline.apply(read_lossless(source).pixels, seed=0, name="x", draw=0)
        assert np.array_equal(found.pixels, made)


def test_quality_is_95_or_what_was_asked_for_or_the_originals_own(tmp_path):
    source = save(tmp_path / "a.jpg", smooth(), quality=40)
    picture = read_lossless(source)

    def tables(data):
        with Image.open(io.BytesIO(data)) as image:
            return {key: list(value) for key, value in image.quantization.items()}

    def reference(quality):
        stream = io.BytesIO()
        Image.fromarray(smooth()).save(stream, "JPEG", quality=quality)
        return tables(stream.getvalue())

    assert tables(encode_lossless(picture.pixels, picture)) == reference(95)
    assert tables(encode_lossless(picture.pixels, picture, quality=70)) == reference(70)
    assert tables(encode_lossless(picture.pixels, picture, quality=None)) == reference(40)
    with pytest.raises(UsageError, match="quality must be from 1 to 100, got 101"):
        encode_lossless(picture.pixels, picture, quality=101)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_come_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", smooth(), exif=exif)
    upright = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }  # fmt: skip
    wanted = Image.fromarray(smooth())
    wanted = wanted if orientation == 1 else wanted.transpose(upright[orientation])
    picture = read_lossless(path)
    assert np.array_equal(picture.pixels, np.asarray(wanted))
    write_lossless(tmp_path / "b.png", picture.pixels, picture)
    with Image.open(tmp_path / "b.png") as image:
        assert image.getexif().get(0x0112, 1) == 1


def test_what_is_lost_is_told(tmp_path):
    palette = Image.fromarray(smooth()).quantize(16)
    palette.save(tmp_path / "p.png")
    assert read_lossless(tmp_path / "p.png").notes == ("a palette was read as RGB",)
    Image.fromarray(smooth()).convert("CMYK").save(tmp_path / "c.jpg")
    assert read_lossless(tmp_path / "c.jpg").notes == ("CMYK was read as RGB",)
    frames = [Image.fromarray(noise((8, 8))) for _ in range(1)] + [Image.fromarray(255 - noise((8, 8)))]
    frames[0].save(tmp_path / "g.gif", save_all=True, append_images=frames[1:])
    assert "the first of 2 frames was taken" in read_lossless(tmp_path / "g.gif").notes


def test_pictures_that_cannot_be_taken(tmp_path):
    whole = save(tmp_path / "a.jpg", noise((64, 64, 3))).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    # A header that promises 100,000 x 100,000 pixels, refused before a pixel is decoded.
    body = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + body + struct.pack(">I", zlib.crc32(b"IHDR" + body))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    for name in ("cut.jpg", "float.tif", "text.png", "empty.png", "bomb.png", "missing.png"):
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            read_lossless(tmp_path / name)
    with pytest.raises(DataError, match="mode F cannot be augmented"):
        read_lossless(tmp_path / "float.tif")


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    picture = read_lossless(save(tmp_path / "a.png", smooth()))
    monkeypatch.setattr("os.write", lambda *_: 1)  # a full disk takes a part
    with pytest.raises(OSError, match="No space left"):
        write_lossless(tmp_path / "b.png", picture.pixels, picture)
    assert not (tmp_path / "b.png").exists()


def test_formats_that_cannot_hold_the_pixels(tmp_path):
    picture = read_lossless(save(tmp_path / "a.jpg", smooth()))
    with pytest.raises(DataError, match="JPEG file holds no alpha"):
        encode_lossless(noise((4, 4, 4)), picture)
    with pytest.raises(DataError, match="8 bits a channel, not 16"):
        encode_lossless(noise((4, 4), np.uint16), picture)


def test_jpegs_are_read_as_pillow_reads_them(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(60):
        height, width = rng.integers(1, 70, 2)
        blocks = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
        pixels = np.kron(blocks, np.ones((8, 8, 1)))[:height, :width] + rng.normal(0, 20, (height, width, 3))
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        options = {"quality": int(rng.integers(5, 101)), "progressive": bool(number % 2)}
        if number % 5:
            options["subsampling"] = number % 3
        else:
            image = image.convert("L")
        image.save(tmp_path / "a.jpg", **options)
        with Image.open(tmp_path / "a.jpg") as expected:
            assert np.array_equal(read_lossless(tmp_path / "a.jpg").pixels, np.asarray(expected)), options
    # One that is cut anywhere is refused: OpenCV alone would fill it with gray.
    data = (tmp_path / "a.jpg").read_bytes()
    for share in (0.3, 0.6, 0.9, 0.99):
        (tmp_path / "cut.jpg").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(DataError, match=r"cut\.jpg"):
            read_lossless(tmp_path / "cut.jpg")
    # Bytes behind the end are no fault.
    (tmp_path / "more.jpg").write_bytes(data + b"more")
    assert np.array_equal(read_lossless(tmp_path / "more.jpg").pixels, read_lossless(tmp_path / "a.jpg").pixels)
