"""How many pixels are decoded: one limit, by the size that is decoded, for this process and its workers."""

from __future__ import annotations

import io
import multiprocessing
import resource
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from affectkit.core.pixels import MAX_PIXELS, VARIABLE, asked_pixels, parse_pixels, pixels_up_to
from affectkit.core.spec import InputSpec
from affectkit.data.loading.face_crops import read_picture as find_in
from affectkit.data.loading.loaders import close_loader, make_loader
from affectkit.data.loading.path_images import PathImages, collate_images
from affectkit.data.media.images import load_for_spec, read_image
from affectkit.data.media.pixel_limits import is_single_scan
from affectkit.errors import DataError, UsageError
from affectkit.prep.augmentation.lossless_images import read_lossless

SPEC = InputSpec("classification", 48, 48, 1, (0.5,), (0.5,), "stretch")


@pytest.fixture(scope="module")
def phone(tmp_path_factory) -> Path:
    """A photograph of 108 megapixels, bright at the left and dark at the right."""
    folder = tmp_path_factory.mktemp("phone")
    ramp = np.linspace(220, 30, 12000).astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(ramp, (9000, 12000)))
    image.save(folder / "phone.jpg", quality=30)
    return folder / "phone.jpg"


@pytest.fixture(autouse=True)
def untouched(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


def test_a_photograph_of_108_megapixels_is_decoded_smaller(phone):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load_for_spec(phone, SPEC)
        crop = load_for_spec(phone, SPEC, part=lambda height, width: (6000, 0, 12000, 9000))
        picture, extent = find_in(phone)
    wanted = np.linspace(220, 30, 12000).reshape(48, 250).mean(1)
    assert np.abs(found[24, :, 0] - wanted).max() < 3
    assert np.abs(crop[24, :, 0] - np.linspace(220, 30, 12000)[6000:].reshape(48, 125).mean(1)).max() < 3
    assert picture.shape == (4500, 6000, 3) and extent.scale == 2
    assert Image.MAX_IMAGE_PIXELS == MAX_PIXELS
    # A box so small that the whole would be decoded at its own size: as fine as the limit allows.
    corner = load_for_spec(phone, SPEC, part=lambda height, width: (0, 0, 100, 100))
    assert np.abs(corner.astype(int) - 219).max() < 4


def test_what_must_be_decoded_whole_is_refused_with_the_option(phone, tmp_path):
    for read in (read_image, read_lossless):
        with pytest.raises(
            DataError, match=r"12000 x 9000 .* 89,478,485 \(--max-pixels or AFFECTKIT_MAX_PIXELS raises"
        ):
            read(phone)
    Image.new("L", (400, 300), 7).save(tmp_path / "a.png")
    for limit, good in ((119_999, False), (120_000, True)):
        with pixels_up_to(limit):
            if good:
                assert load_for_spec(tmp_path / "a.png", SPEC).shape == (48, 48, 1)
                assert read_lossless(tmp_path / "a.png").pixels.shape == (300, 400)
                continue
            for read in (lambda path: load_for_spec(path, SPEC), read_image, read_lossless):
                with pytest.raises(DataError, match=r"400 x 300 pixels .*119,999 \(--max-pixels"):
                    read(tmp_path / "a.png")
    assert load_for_spec(tmp_path / "a.png", SPEC, max_pixels=120_000).shape == (48, 48, 1)
    with pixels_up_to(10), pytest.raises(DataError, match="limit of 9 "):  # what a call says goes first
        load_for_spec(tmp_path / "a.png", SPEC, max_pixels=9)


@pytest.mark.parametrize("options", [{"progressive": True}, {}], ids=["progressive", "baseline"])
def test_a_file_in_several_scans_is_held_whole(tmp_path, options):
    """Reduced or not, the decoder keeps all coefficients of a progressive file until the last scan."""
    Image.new("RGB", (800, 600), (9, 80, 200)).save(tmp_path / "a.jpg", **options)
    assert is_single_scan(tmp_path / "a.jpg") is not bool(options)
    with pixels_up_to(100_000):
        if options:
            with pytest.raises(DataError, match="800 x 600 pixels"):
                load_for_spec(tmp_path / "a.jpg", SPEC)
        else:
            assert load_for_spec(tmp_path / "a.jpg", SPEC).shape == (48, 48, 1)


def test_scans_by_hand(tmp_path):
    """Frame headers and scans as ITU-T T.81 writes them."""

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body

    def frame(marker: int, components: int) -> bytes:
        body = bytes([8, 0, 9, 0, 9, components]) + b"".join(bytes([k, 0x11, 0]) for k in range(components))
        return segment(marker, body)

    cases = {
        (frame(0xC0, 3), 3): True,
        (frame(0xC0, 3), 1): False,  # not interleaved
        (frame(0xC0, 1), 1): True,
        (frame(0xC2, 3), 3): False,  # progressive
        (b"", 3): False,
    }
    for (head, count), told in cases.items():
        path = tmp_path / "a.jpg"
        path.write_bytes(b"\xff\xd8" + segment(0xE0, b"JFIF\0") + head + segment(0xDA, bytes([count, 1, 0])) + b"x")
        assert is_single_scan(path) is told
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    assert not is_single_scan(tmp_path / "a.jpg")


def test_numbers_of_pixels():
    told = {"200M": 200_000_000, "1.5g": 1_500_000_000, "640k": 640_000, "89478485": MAX_PIXELS, "200_000": 200_000}
    assert {text: parse_pixels(text) for text in told} == told
    for wrong in ("", "0", "-5", "many", "1e8", "5 MP", "0.2", "9" * 25, "9" * 400, "9" * 300 + "G"):
        with pytest.raises(UsageError, match="must be a number of pixels, as 200M"):
            parse_pixels(wrong)


def test_the_limit_ends_with_its_block(monkeypatch):
    assert asked_pixels() is None
    with pixels_up_to("2M"), pixels_up_to(None):
        assert asked_pixels() == 2_000_000
        with pytest.raises(KeyError), pixels_up_to(3):
            assert asked_pixels() == 3
            raise KeyError
        assert asked_pixels() == 2_000_000
    assert asked_pixels() is None
    monkeypatch.setenv(VARIABLE, "much")
    with pytest.raises(UsageError, match=rf"{VARIABLE} must be a number"):
        asked_pixels()


def test_a_lower_limit_of_pillows_counts_where_nobody_asked(tmp_path):
    Image.new("L", (40, 30)).save(tmp_path / "a.png")
    Image.MAX_IMAGE_PIXELS = 1000
    with pytest.raises(DataError, match="limit of 1,000"):
        read_image(tmp_path / "a.png")
    with pixels_up_to("1M"):
        assert read_image(tmp_path / "a.png").shape == (30, 40, 3)
    Image.MAX_IMAGE_PIXELS = None
    assert read_image(tmp_path / "a.png").shape == (30, 40, 3)


def test_above_pillows_limit_without_its_warnings(tmp_path):
    """A TIFF, whose decoder looks at Pillow's global again, and a crop of it, which does too."""
    Image.new("1", (10_000, 9_000), 1).save(tmp_path / "a.tif", compression="group4")
    raw = io.BytesIO()
    Image.new("L", (10_000, 9_000), 200).save(raw, "TIFF")
    (tmp_path / "b.tif").write_bytes(raw.getvalue())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="--max-pixels"):
            load_for_spec(tmp_path / "b.tif", SPEC)
        with pixels_up_to("95M"):
            assert load_for_spec(tmp_path / "b.tif", SPEC.with_(fit="imagenet")).min() == 200
            assert load_for_spec(tmp_path / "a.tif", SPEC).min() == 255


def read_in_child(path: str, queue: multiprocessing.Queue) -> None:
    load_for_spec(Path(path).with_name("small.png"), SPEC)  # all is imported
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="limit of 50,000,000"):
        read_image(Path(path))
    load_for_spec(Path(path), SPEC)
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
def test_a_spawned_process_has_the_limit_and_little_memory(phone):
    """108 megapixels are 108 MB in gray, 324 in colour; an eighth each way is 1.7 MB."""
    Image.new("L", (40, 30)).save(phone.with_name("small.png"))
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    with pixels_up_to("50M"):
        child = context.Process(target=read_in_child, args=(str(phone), queue))
        child.start()
    grown = queue.get(timeout=120)
    child.join()
    assert grown < 40_000


def test_workers_of_a_loader_have_the_limit(tmp_path):
    Image.new("L", (40, 30)).save(tmp_path / "a.png")
    with pixels_up_to(1000):
        loader = make_loader(PathImages(SPEC), [[(0, str(tmp_path / "a.png"))]], workers=1, collate_fn=collate_images)
        (batch,) = list(loader)
        close_loader(loader)
    assert "40 x 30 pixels are more than the limit of 1,000" in batch["failures"][0].reason


def test_threads_do_not_disturb_each_other(tmp_path, phone):
    """Many threads decode below and above the limit: no warning, no global that changes hands."""
    Image.new("L", (400, 300)).save(tmp_path / "a.png")
    faults: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                load_for_spec(tmp_path / "a.png", SPEC)
                with pytest.raises(DataError, match="limit of 100,000"):
                    read_image(tmp_path / "a.png", max_pixels=100_000)
        except BaseException as error:
            faults.append(error)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert faults == []
