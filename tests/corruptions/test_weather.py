"""Fog, snow, spatter, frost and elastic maps by their statistics, each told apart from its neighbouring severity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage, stats

from affectkit.corruptions import corrupt
from affectkit.corruptions.base import Draws
from affectkit.corruptions.elastic import ELASTIC_TRANSFORM, jitter_affine, sample_bilinear, smooth_displacement
from affectkit.corruptions.frost import COUNT, FROST, ice_texture
from affectkit.corruptions.weather import FOG, SNOW, SPATTER, plasma_fractal
from affectkit.errors import DataError

SCALES = ("cifar", "tiny", "imagenet")


def draws(count: int) -> Draws:
    return Draws([(0, str(number)) for number in range(count)], torch.device("cpu"))


def flat(value: float, count: int = 24, size: int = 64) -> torch.Tensor:
    images = torch.full((count, 3, size, size), value)
    images[:, 0, 0, 0] = torch.arange(count) / 255
    return images


# --- fog -------------------------------------------------------------------------------------------------------------


def naive_plasma(size: int, decay: float, rng: np.random.Generator) -> np.ndarray:
    """Diamond and square, cell by cell."""
    grid, step, wibble = np.zeros((size, size)), size, 100.0
    while step >= 2:
        half = step // 2
        for y in range(0, size, step):
            for x in range(0, size, step):
                corners = [grid[(y + a) % size, (x + b) % size] for a in (0, step) for b in (0, step)]
                grid[y + half, x + half] = np.mean(corners) + wibble * rng.uniform(-wibble, wibble)
        for y in range(0, size, step):
            for x in range(0, size, step):
                for a, b in ((0, half), (half, 0)):
                    p, q = y + a, x + b
                    around = [grid[(p + s) % size, q] for s in (-half, half)] + [
                        grid[p, (q + s) % size] for s in (-half, half)
                    ]
                    grid[p, q] = np.mean(around) + wibble * rng.uniform(-wibble, wibble)
        step, wibble = half, wibble / decay
    return (grid - grid.min()) / (grid.max() - grid.min())


def roughness(field: np.ndarray) -> float:
    return np.abs(np.diff(field, axis=-1)).mean() / field.std()


@pytest.mark.parametrize("decay", [3.0, 2.0, 1.75, 1.4])
def test_plasma_is_as_rough_as_by_the_definition(decay):
    rng = np.random.default_rng(1)
    expected = [roughness(naive_plasma(32, decay, rng)) for _ in range(24)]
    found = plasma_fractal(draws(200).uniform(32 * 32 - 1), decay).numpy()
    assert found.min((1, 2)) == pytest.approx(0) and found.max((1, 2)) == pytest.approx(1)
    own = [roughness(one) for one in found]
    # Two decays next to each other in the table differ by more than a fifth.
    assert np.mean(own) == pytest.approx(np.mean(expected), rel=0.1)
    # It joins at opposite edges.
    assert np.abs(found[:, 0] - found[:, -1]).mean() < 1.5 * np.abs(np.diff(found, axis=1)).mean()


@pytest.mark.parametrize("scale", SCALES)
def test_fog_is_the_formula(scale):
    images = torch.rand(3, 3, 40, 50, generator=torch.Generator().manual_seed(1)) * 0.8
    for level in FOG.parameters[scale]:
        drawn = FOG.draw(images, level, draws(3))
        clouds = drawn["plasma"].numpy()
        assert clouds.shape == (3, 1, 40, 50) and clouds.min() >= 0 and clouds.max() <= 1
        most = images.numpy().max((1, 2, 3), keepdims=True)
        expected = (images.numpy() + level[0] * clouds) * most / (most + level[0])
        np.testing.assert_allclose(FOG.apply(images, level, drawn), expected, atol=1e-6)


# --- snow and spatter ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_flakes_are_what_is_above_the_threshold(scale):
    for level in SNOW.parameters[scale]:
        mean, deviation, zoom, threshold = level[:4]
        layer = SNOW.flakes(torch.Size((64, 64)), level, SNOW.draw(flat(0.0, 200), level, draws(200))["noise"]).numpy()
        assert layer.shape == (200, 64, 64)
        assert layer.mean() == pytest.approx(mean, abs=0.01)
        if zoom == 1:
            share = stats.norm.sf(threshold, mean, deviation)
            assert (layer >= threshold).mean() == pytest.approx(share, rel=0.06)
            assert layer.std() == pytest.approx(deviation, rel=0.02)
        else:  # linear enlargement: neighbours are alike, and the spread is less
            assert 0.55 * deviation < layer.std() < deviation
            alike = np.corrcoef(layer[:, :, 1:].ravel(), layer[:, :, :-1].ravel())[0, 1]
            assert alike > 0.3


def test_snow_is_added_to_a_whitened_image_with_its_half_turn():
    images = torch.rand(4, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    level = SNOW.parameters["tiny"][2]
    drawn = SNOW.draw(images, level, draws(4))
    found = SNOW.apply(images, level, drawn).numpy()
    x = images.numpy()
    gray = (x * np.array([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdims=True)
    white = level[6] * x + (1 - level[6]) * np.maximum(x, 1.5 * gray + 0.5)
    layer = found - white
    np.testing.assert_allclose(layer, layer[:, :, ::-1, ::-1], atol=1e-5)  # with its half turn
    np.testing.assert_allclose(layer[:, 0], layer[:, 2], atol=1e-5)  # white
    assert layer.min() > -1e-5 and layer.max() > 0.05
    angles = SNOW.draw(torch.zeros(3000, 3, 4, 4), level, draws(3000))["angle"].double().numpy()
    assert stats.kstest(angles, "uniform", args=(-135, 90)).pvalue > 1e-3


def test_snow_falls():
    """Its streaks run rather down than across."""
    found = corrupt(flat(0.2, 40), "snow", 5)[:, 0].numpy()
    down, across = (np.abs(np.diff(found, axis=axis)).mean() for axis in (1, 2))
    assert down < 0.8 * across


@pytest.mark.parametrize("scale", SCALES)
def test_spatter_covers_the_share_that_noise_is_above_the_threshold(scale):
    for severity, level in enumerate(SPATTER.parameters[scale], 1):
        mean, deviation, sigma, threshold, strength, mud = level
        images = flat(0.5, 60)
        noise = SPATTER.draw(images, level, draws(60))["noise"].numpy()
        field = ndimage.gaussian_filter(noise * deviation + mean, (0, sigma, sigma), mode="nearest", truncate=4)
        gap = (SPATTER.apply(images, level, {"noise": torch.from_numpy(noise)}) - images).numpy()
        if mud:
            cover = ndimage.gaussian_filter(
                (field > threshold).astype(np.float64), (0, strength, strength), mode="nearest", truncate=4
            )
            cover = np.where(cover < 0.8, 0, cover)[:, None]
            colour = np.array([63, 42, 20]).reshape(1, 3, 1, 1) / 255
            np.testing.assert_allclose(gap, cover * (colour - images.numpy()), atol=1e-4)
        else:
            dry = field < threshold - 1e-4
            assert dry.mean() > 0.3 and np.abs(gap.transpose(0, 2, 3, 1)[dry]).max() == 0, severity
            wet = gap.transpose(0, 2, 3, 1)[~dry]
            lit = wet[wet.max(1) > 0.01]
            assert len(lit) > 50
            np.testing.assert_allclose(lit[:, 0] / lit[:, 1], 175 / 238, rtol=1e-2)
            assert gap[:, 1:].max() == pytest.approx(strength * 238 / 255, rel=1e-3)  # the brightest drop


# --- frost -----------------------------------------------------------------------------------------------------------


def test_frost_is_a_weighted_sum_with_a_crop_of_a_texture(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "ice.png")
    images = torch.rand(3, 3, 40, 40, generator=torch.Generator().manual_seed(1)) * 0.2
    for scale in SCALES:
        for severity, (keep, ice) in enumerate(FROST.parameters[scale], 1):
            found = corrupt(images, "frost", severity, scale=scale, textures=tmp_path)
            matched = 0
            for image, own in zip(images.numpy(), found.numpy(), strict=True):
                for mirrored in (False, True):
                    source = pixels[:, ::-1] if mirrored else pixels
                    whole = source.transpose(2, 0, 1) / 255
                    for top in range(0, 51):
                        row = np.clip(keep * image[:, 0, 0, None] + ice * whole[:, top, :81], 0, 1)
                        for left in np.flatnonzero(np.abs(row - own[:, 0, 0, None]).max(0) < 1e-5):
                            part = whole[:, top : top + 40, left : left + 40]
                            matched += np.allclose(own, np.clip(keep * image + ice * part, 0, 1), atol=1e-5)
            assert matched == 3, (scale, severity)
    with pytest.raises(DataError, match="holds no image"):
        (tmp_path / "none").mkdir()
        corrupt(images, "frost", textures=tmp_path / "none")
    with pytest.raises(DataError, match="is not a folder"):
        corrupt(images, "frost", textures=tmp_path / "ice.png")
    (tmp_path / "none" / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"bad\.png cannot be read"):
        corrupt(images, "frost", textures=tmp_path / "none")


def test_computed_textures_are_ice():
    first = ice_texture(0)
    assert first.shape == (3, 512, 512) and first.min() >= 0 and first.max() <= 1 and COUNT > 1
    assert np.array_equal(first, ice_texture(0))
    assert first[2].mean() > first[1].mean() > first[0].mean()  # bluish
    gray = first.mean(0)
    assert 0.25 < gray.mean() < 0.75 and gray.std() > 0.12
    fine = np.abs(gray - ndimage.gaussian_filter(gray, 2)).mean()
    assert fine > 0.02  # needles, not clouds alone


# --- elastic ---------------------------------------------------------------------------------------------------------


def test_reading_at_fractions_is_scipys():
    image = torch.rand(1, 3, 20, 27, generator=torch.Generator().manual_seed(1))
    rng = np.random.default_rng(1)
    rows, columns = rng.uniform(-8, 28, (20, 27)), rng.uniform(-8, 34, (20, 27))
    for beside, mode in ((True, "reflect"), (False, "mirror")):
        found = sample_bilinear(image, torch.from_numpy(columns)[None], torch.from_numpy(rows)[None], beside=beside)[
            0
        ].numpy()
        for channel in range(3):
            expected = ndimage.map_coordinates(image[0, channel].numpy(), [rows, columns], order=1, mode=mode)
            np.testing.assert_allclose(found[channel], expected, atol=1e-4)


def test_three_points_go_where_they_were_moved():
    size = 61
    images = torch.zeros(1, 3, size, size)
    corners = [(50, 50), (50, 10), (10, 10)]  # across, down: the centre 30, a third of the side 20
    jitter = torch.tensor([[[3.0, -2.0], [-4.0, 1.0], [2.0, 5.0]]]).double()
    for channel, (x, y) in enumerate(corners):
        images[0, channel, y - 1 : y + 2, x - 1 : x + 2] = 1
    found = jitter_affine(images, jitter)[0].numpy()
    for channel, ((x, y), (dx, dy)) in enumerate(zip(corners, jitter[0].tolist(), strict=True)):
        centre = ndimage.center_of_mass(found[channel])
        assert centre == pytest.approx((y + dy, x + dx), abs=0.1)


@pytest.mark.parametrize(("sigma", "most"), [(2.0, 3.0), (4.0, 10.0), (20.0, 60.0)])
def test_displacements_are_smoothed_noise(sigma, most):
    noise = draws(2).uniform(2, 64, 64) * 2 - 1
    expected = ndimage.gaussian_filter(noise.double().numpy(), (0, 0, sigma, sigma), mode="reflect", truncate=3) * most
    np.testing.assert_allclose(smooth_displacement(noise, sigma=sigma, most=most).numpy(), expected, atol=1e-4 * most)


def test_elastic_scales_with_the_side_and_with_the_severity():
    for scale in SCALES:
        levels = ELASTIC_TRANSFORM.parameters[scale]
        assert all(level[3] == (244 if scale == "imagenet" else 0) for level in levels)
    images = flat(0.5, 30)
    for level in ELASTIC_TRANSFORM.parameters["tiny"]:
        moves = ELASTIC_TRANSFORM.draw(images, level, draws(300))["jitter"]
        assert float(moves.abs().max()) <= 1 and float(moves.std()) == pytest.approx(3**-0.5, rel=0.05)
    ramp = (torch.arange(64.0) / 255).expand(20, 3, 64, 64).clone()
    ramp[:, 0, 0, 0] = torch.arange(20) / 255
    # A ramp by pixels shows how far each pixel was read from its place.
    for severity, (shift, sigma, jitter, _) in enumerate(ELASTIC_TRANSFORM.parameters["tiny"], 1):
        way = (corrupt(ramp, "elastic_transform", severity, scale="tiny") - ramp)[:, 1, 16:48, 16:48].numpy() * 255
        # Smoothed uniform numbers: deviation of one, over the square root of how many are averaged.
        field = 64 * shift * 3**-0.5 / (2 * np.pi**0.5 * 64 * sigma) if sigma else 0.0
        assert way.std() == pytest.approx(np.hypot(field, 64 * jitter * 3**-0.5), rel=0.35), severity
