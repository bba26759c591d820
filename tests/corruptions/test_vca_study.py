"""Alterations against colorsys, PIL and statistics; addressed by content; errors in words."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image

from affectkit.corruptions import CORRUPTIONS, GROUPS, CorruptionChoice, corrupt, parse_corruption
from affectkit.corruptions.base import severity_scale
from affectkit.corruptions.vca_study import COLOR, GRAYSCALE, LIGHTING, NOISE
from affectkit.errors import UsageError


def pictures(count: int = 3, size: int = 12, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, 3, size, size)).astype(np.float32) / 255)


def test_hue_turns_as_in_colorsys_and_gray_stays():
    images = pictures()
    images[0, :, 0] = 0.4  # gray
    images[0, :, 1, 0] = torch.tensor([1.0, 0.0, 0.0])
    images[0, :, 1, 1] = torch.tensor([0.5, 0.5, 0.1])  # two channels at the top
    images[0, :, 1, 2] = torch.tensor([0.2, 0.8, 0.8])
    images[0, :, 1, 3] = 0.0
    for share in (-0.3, 0.0, 0.05, 0.2, 0.5, 0.9, 1.0):
        found = corrupt(images, "color", strength=share)
        for pixel, result in zip(
            images.permute(0, 2, 3, 1).reshape(-1, 3).tolist(), found.permute(0, 2, 3, 1).reshape(-1, 3).tolist(),
            strict=True,
        ):  # fmt: skip
            hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
            expected = colorsys.hsv_to_rgb((hue + share) % 1, saturation, value)
            assert result == pytest.approx(expected, abs=2e-6)
    assert torch.equal(corrupt(images, "color")[0, :, 0], images[0, :, 0])


def test_gray_is_pils_luma():
    images = pictures()
    found = corrupt(images, "grayscale")
    for image, gray in zip(images, found, strict=True):
        picture = Image.fromarray((image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
        assert np.abs(np.asarray(picture.convert("L")) - gray[0].numpy() * 255).max() <= 1
        assert torch.equal(gray[0], gray[1]) and torch.equal(gray[0], gray[2])
    half = corrupt(images, "grayscale", strength=0.5)
    torch.testing.assert_close(half, (images + found) / 2)


def test_light_saturates():
    images = pictures()
    np.testing.assert_allclose(corrupt(images, "lighting"), np.minimum(images.numpy() * np.float32(1.3), 1), atol=1e-6)


def test_noise_has_the_variance_asked_for_and_both_signs():
    images = ((torch.arange(4) + 126) / 255).view(4, 1, 1, 1).expand(4, 3, 120, 120)
    gap = (corrupt(images, "noise", strength=0.01) - images).double()
    assert abs(float(gap.var()) - 0.01) < 2e-4 and abs(float(gap.mean())) < 1e-3
    assert 0.48 < float((gap < 0).double().mean()) < 0.52
    each = gap.flatten(1)
    assert float(torch.corrcoef(each).triu(1).abs().max()) < 0.02  # no two images have the same noise


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_the_same_image_changes_alike_in_any_batch(name):
    images = pictures(5)
    together = corrupt(images, name, 4, seed=3)
    assert together.shape == images.shape and together.dtype == images.dtype
    assert float(together.min()) >= 0 and float(together.max()) <= 1
    order = torch.tensor([3, 0, 4])
    assert torch.equal(corrupt(images[order], name, 4, seed=3), together[order])
    assert torch.equal(corrupt(images[1:2], name, 4, seed=3), together[1:2])
    assert torch.equal(corrupt(images, name, 4, seed=3), together)
    assert not torch.equal(together, images)
    assert corrupt(images[:0], name).shape == (0, 3, 12, 12)
    assert corrupt(images.half(), name).dtype == torch.float16


def test_noise_depends_on_seed_severity_and_content():
    images = pictures(1)
    first = corrupt(images, "noise", 2, seed=0)
    assert not torch.equal(first, corrupt(images, "noise", 2, seed=1))
    deeper = corrupt(images, "noise", strength=0.005)
    assert not torch.equal(first, deeper)
    other = images.clone()
    other[0, 0, 0, 0] = 1 - other[0, 0, 0, 0]
    noise = [corrupt(value, "noise", strength=1e-4) - value for value in (images, other)]
    assert float(torch.corrcoef(torch.stack([value.flatten() for value in noise]))[0, 1]) < 0.3


def test_severities_grow():
    images = pictures(2, 32)
    for name in ("noise", "color", "lighting"):
        gaps = [float((corrupt(images, name, severity) - images).abs().mean()) for severity in range(1, 6)]
        assert gaps == sorted(gaps) and len(set(gaps)) == 5, name
    for corruption in (NOISE, COLOR, LIGHTING, GRAYSCALE):
        assert all(len(levels) == 5 for levels in corruption.parameters.values())


def test_names_severities_and_strengths_from_text():
    assert parse_corruption("noise") == CorruptionChoice("noise", 3) and parse_corruption(
        " color:5 "
    ) == CorruptionChoice("color", 5)
    assert parse_corruption("lighting=1.7") == CorruptionChoice("lighting", 3, 1.7)
    assert [str(parse_corruption(text)) for text in ("noise", "color:1", "noise=0.02")] == [
        "noise:3",
        "color:1",
        "noise=0.02",
    ]
    assert set(GROUPS["alterations"]) <= set(CORRUPTIONS)
    for text, told in {
        "nois": "did you mean noise",
        "noise:7": "in \\[1, 5\\]; got '7'",
        "noise:2.5": "in \\[1, 5\\]",
        "noise=a": "must be a number",
        "": "unknown corruption",
    }.items():
        with pytest.raises(UsageError, match=told):
            parse_corruption(text)


def test_what_is_no_image_or_no_level_is_refused():
    images = pictures()
    for arguments, told in (
        ((images * 2, "noise"), r"in \[0, 1\]; got values"),
        ((images[0], "noise"), r"\(B, 3, H, W\); got \(3, 12, 12\)"),
        ((images[:, :1], "noise"), r"got \(3, 1, 12, 12\)"),
        (((images * 255).to(torch.uint8), "noise"), "torch.uint8"),
        ((images * float("nan"), "noise"), r"in \[0, 1\]"),
        ((images, "noise", 0), r"whole number in \[1, 5\]; got 0"),
        ((images, "noise", 3, "big"), "'scale' must be one of auto, cifar"),
        ((images, "fogg"), "unknown corruption"),
        ((images, "noise", 3.0), r"whole number in \[1, 5\]; got 3.0"),
        ((images, "noise", True), r"whole number in \[1, 5\]; got True"),
        ((images, None), "name of one corruption; got None"),
        ((images[:, :, :0], "noise"), r"must have pixels; got \(3, 3, 0, 12\)"),
    ):
        with pytest.raises(UsageError, match=told):
            corrupt(*arguments)
    with pytest.raises(UsageError, match=r"strength of noise must be in \[0, 1\]; got 2"):
        corrupt(images, "noise", strength=2)
    for value in ("0.1", True):
        with pytest.raises(UsageError, match=r"must be a number in \[0, 1\]"):
            corrupt(images, "noise", strength=value)


def test_the_column_goes_by_the_shorter_side():
    assert [severity_scale(size) for size in ((32, 300), (48, 48), (49, 64), (128, 200), (129, 129))] == [
        "cifar", "cifar", "tiny", "tiny", "imagenet",
    ]  # fmt: skip


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_layout_in_memory_threads_and_number_format_do_not_matter(name):
    images = pictures(3, 33)
    before = images.clone()
    found = corrupt(images, name, 4)
    assert torch.equal(images, before)
    assert torch.equal(corrupt(images.to(memory_format=torch.channels_last), name, 4), found)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert torch.equal(corrupt(images, name, 4), found)
    finally:
        torch.set_num_threads(threads)
    for kind, bound in ((torch.float64, 1e-6), (torch.float16, 2e-3)):
        other = corrupt(images.to(kind), name, 4)
        assert other.dtype == kind and float((other.float() - found).abs().max()) < bound
