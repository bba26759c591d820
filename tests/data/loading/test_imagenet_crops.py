"""ImageNet's way to crop: random boxes of the whole image, and the middle 7/8; against torchvision's transforms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from affectkit.core.progress import Silent
from affectkit.core.randomness import numpy_generator
from affectkit.core.spec import InputSpec
from affectkit.data.loading.loaders import EVALUATION, SplitImages, hold_in_memory, needs_full_size
from affectkit.data.loading.presets import PRESETS
from affectkit.data.loading.transforms import RANGES, Crop, draw_change
from affectkit.data.media import images as decode
from affectkit.data.media.images import load_for_spec, read_image, resize
from affectkit.data.split import Split

SPEC = InputSpec("x", 64, 64, fit="imagenet", classes=("a",))


def scene(height: int, width: int, seed: int = 0) -> Image.Image:
    """A picture with power at every scale, as photographs have it."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for step in (64, 32, 16, 8, 4, 2):
        rough = rng.normal(0, step**0.5, (height // step + 2, width // step + 2, 3))
        layers = [Image.fromarray(rough[:, :, k]).resize((width, height), Image.Resampling.BICUBIC) for k in range(3)]
        total += np.stack([np.asarray(layer) for layer in layers], 2)
    total = 128 + 40 * (total - total.mean()) / total.std()
    return Image.fromarray(total.clip(0, 255).round().astype(np.uint8))


def drawn(number: int) -> Crop:
    return draw_change(RANGES["imagenet"], numpy_generator(0, "crop", number)).crop


@pytest.mark.parametrize("size", [(375, 500), (500, 375), (64, 64), (100, 160)])
def test_boxes_are_distributed_as_torchvisions(size):
    height, width = size
    torch.manual_seed(0)
    blank, count = torch.empty(3, height, width), 3000
    theirs = np.array(
        [transforms.RandomResizedCrop.get_params(blank, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(count)]
    )
    boxes = np.array([drawn(number).box(height, width) for number in range(count)])
    ours = np.stack([boxes[:, 1], boxes[:, 0], boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]], 1)
    assert (ours[:, :2] >= 0).all() and (ours[:, 0] + ours[:, 2] <= height).all()
    assert (ours[:, 1] + ours[:, 3] <= width).all()
    for what in (lambda p: p[:, 0], lambda p: p[:, 1], lambda p: p[:, 2] * p[:, 3], lambda p: p[:, 3] / p[:, 2]):
        a, b = np.sort(what(ours)), np.sort(what(theirs))
        every = np.concatenate([a, b])
        gap = np.abs(np.searchsorted(a, every, "right") - np.searchsorted(b, every, "right")).max() / count
        assert gap < 1.95 * (2 / count) ** 0.5  # Kolmogorov-Smirnov, p = 0.001
    assert len({box.tobytes() for box in boxes}) > 0.9 * count


@pytest.mark.parametrize("size", [(10, 300), (300, 10), (1, 1), (1, 40), (8, 9)])
def test_very_long_images_get_torchvisions_centre(size, monkeypatch):
    height, width = size
    never = Crop(((4.0, 1.0),) * 10, (0.5, 0.5), (3 / 4, 4 / 3))
    # A share of 4 fits in no image, so that torchvision falls back as well.
    top, left, tall, wide = transforms.RandomResizedCrop.get_params(
        torch.empty(3, *size), (4.0, 4.0), (1.0, 1.0 + 1e-9)
    )
    if max(size) < 4 / 3 * min(size):
        assert never.box(height, width) == (0, 0, width, height)
    box = Crop(never.tries, never.place, (1.0, 1.0 + 1e-9)).box(height, width)
    assert box == (left, top, left + wide, top + tall)
    for number in range(20):
        left, top, right, bottom = drawn(number).box(height, width)
        assert 0 <= left < right <= width and 0 <= top < bottom <= height


@pytest.mark.parametrize("size", [(375, 500), (333, 250), (600, 256), (64, 64)])
def test_a_crop_is_torchvisions_but_for_one_interpolation_in_place_of_two(tmp_path, size):
    picture = scene(*size)
    picture.save(tmp_path / "a.png")
    worst, mean = 0.0, []
    for number in range(12):
        left, top, right, bottom = drawn(number).box(*size)
        ours = load_for_spec(tmp_path / "a.png", SPEC, part=drawn(number).box)
        cut = picture.crop((left, top, right, bottom))
        direct = np.asarray(cut.resize((64, 64), Image.Resampling.BILINEAR))
        assert np.array_equal(ours, direct)
        twice = np.asarray(transforms.Resize(64)(cut.resize((224, 224), Image.Resampling.BILINEAR)))
        difference = np.abs(ours.astype(int) - twice)
        worst, mean = max(worst, difference.max()), [*mean, difference.mean()]
    print(f"{size}: mean {np.mean(mean):.2f}, largest {worst} of 255")
    assert np.mean(mean) < 0.6 and worst < 12


@pytest.mark.parametrize("size", [(375, 500), (500, 333), (256, 256), (300, 900)])
def test_evaluation_is_torchvisions(tmp_path, size):
    picture = scene(*size)
    picture.save(tmp_path / "a.png")
    published = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.Resize(64)])
    theirs = np.asarray(published(picture)).astype(int)
    ours = load_for_spec(tmp_path / "a.png", SPEC)
    difference = np.abs(ours - theirs)
    print(f"{size}: mean {difference.mean():.2f}, largest {difference.max()} of 255")
    assert difference.mean() < 0.5 and difference.max() < 6
    # The whole centre ("crop"), or a little less of it, is another picture.
    for wrong in (resize(np.asarray(picture), 64, 64, "crop"), centre(picture, 0.8)):
        assert np.abs(wrong - theirs).mean() > 4 * difference.mean()
    assert np.array_equal(resize(np.asarray(picture), 64, 64, "imagenet"), ours)
    left, top, right, bottom = decode._imagenet(64, 64, *size)
    assert right - left == pytest.approx(min(size) * 7 / 8, rel=0.003)
    assert bottom - top == pytest.approx(min(size) * 7 / 8, rel=0.003)


def test_inputs_that_are_no_squares_get_the_middle_seven_eighths_of_the_crop():
    # 100 x 200 for an input of 20 x 10: 100 x 50 is the largest box, 87.5 x 43.75 what is kept.
    assert decode._imagenet(20, 10, 100, 200) == pytest.approx((78.125, 6.25, 121.875, 93.75))
    image = np.asarray(scene(100, 200))
    assert resize(image, 20, 10, "imagenet").shape == (20, 10, 3)


def centre(picture: Image.Image, share: float) -> np.ndarray:
    box = decode._centre(64, 64, share, picture.height, picture.width)
    return np.asarray(decode._cut(picture, 64, 64, box)).astype(int)


def test_images_of_the_input_size_lose_their_rim_too(tmp_path):
    scene(64, 64).save(tmp_path / "a.png")
    whole = read_image(tmp_path / "a.png")
    ours = load_for_spec(tmp_path / "a.png", SPEC)
    assert not np.array_equal(ours, whole)
    assert np.array_equal(ours, resize(whole, 64, 64, "imagenet"))
    assert np.array_equal(ours, centre(Image.fromarray(whole), 7 / 8))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_boxes_are_of_the_upright_image_however_it_is_decoded(tmp_path, orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    scene(800, 1200).save(path, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))
    upright = read_image(path)
    small = Crop(((0.3, 0.9),), (0.8, 0.1), (3 / 4, 4 / 3))
    for part in (small.box, drawn(3).box, lambda height, width: (0, 0, width, height)):
        left, top, right, bottom = part(*upright.shape[:2])
        expected = Image.fromarray(upright[top:bottom, left:right]).resize((64, 64), Image.Resampling.BILINEAR)
        difference = np.abs(load_for_spec(path, SPEC, part=part).astype(int) - np.asarray(expected))
        assert difference.max() <= (4 if kind == "JPEG" else 0) and difference.mean() < 0.6
    full = np.abs(load_for_spec(path, SPEC).astype(int) - resize(upright, 64, 64, "imagenet"))
    assert full.max() <= (4 if kind == "JPEG" else 0)


def test_a_small_crop_of_a_large_jpeg_is_decoded_large_enough(tmp_path, monkeypatch):
    scene(800, 1200).save(tmp_path / "a.jpg", quality=95)
    seen = []
    opened = decode._open
    monkeypatch.setattr(decode, "_open", lambda *a, **k: (seen.append(opened(*a, **k)), seen[-1])[1])
    for share, size in ((0.6, (400, 600)), (0.4, (400, 600)), (0.2, (800, 1200)), (0.001, (800, 1200))):
        box = Crop(((share, 1.0),), (0.5, 0.5), (3 / 4, 4 / 3)).box
        load_for_spec(tmp_path / "a.jpg", SPEC, part=box)
        assert (seen[-1][0].height, seen[-1][0].width) == size, share


@pytest.mark.parametrize("channels", [1, 3])
def test_training_images_by_address_whatever_is_held(tmp_path, channels):
    spec = SPEC.with_(channels=channels, mean=(0.5,) * channels, std=(0.5,) * channels)
    scene(90, 140).save(tmp_path / "a.png")
    split = Split("train", tmp_path, ["a.png"], ("a",), labels=np.zeros(1, np.int64))
    held = hold_in_memory(split, spec, reporter=Silent())
    plain, kept = (SplitImages(split, spec, augment="imagenet", seed=3, held=one) for one in (None, held))
    images = [plain[epoch, 0][1] for epoch in range(12)]
    again = [kept[epoch, 0][1] for epoch in reversed(range(12))][::-1]
    assert all(torch.equal(a, b) and a.shape == (channels, 64, 64) for a, b in zip(images, again, strict=True))
    assert len({image.numpy().tobytes() for image in images}) == 12
    change = draw_change(RANGES["imagenet"], numpy_generator(3, "augment", "a.png", 5))
    expected = load_for_spec(tmp_path / "a.png", spec, part=change.crop.box)
    expected = expected[:, ::-1] if change.flip else expected
    assert np.array_equal(images[5].permute(1, 2, 0).numpy(), expected)
    assert {draw_change(RANGES["imagenet"], numpy_generator(3, "augment", "a.png", k)).flip for k in range(12)} == {
        True,
        False,
    }
    assert np.array_equal(plain[EVALUATION, 0][1].permute(1, 2, 0), load_for_spec(tmp_path / "a.png", spec))


def test_a_bad_file_is_told_where_it_is_cropped(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    split = Split("train", tmp_path, ["a.jpg"], ("a",), labels=np.zeros(1, np.int64))
    found = SplitImages(split, SPEC, augment="imagenet")[0, 0]
    assert found.index == 0 and "a.jpg" in found.reason


def test_only_this_preset_needs_whole_images():
    assert [name for name in PRESETS if needs_full_size(name)] == ["imagenet"]


def test_a_crop_moves_nothing_else_that_is_drawn():
    face = RANGES["face"]
    for number in range(5):
        with_, without = (
            draw_change(preset, numpy_generator(0, number)) for preset in (replace(face, crop=(0.5, 1.0)), face)
        )
        assert replace(with_, crop=None) == without and with_.crop is not None
