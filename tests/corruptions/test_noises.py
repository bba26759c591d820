"""Noise by its statistics over many values, with bounds that the neighbouring severity's parameter breaks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from affectkit.corruptions import corrupt
from affectkit.corruptions.base import Draws
from affectkit.corruptions.noises import GAUSSIAN_NOISE, MOST_LISTED, SHOT_NOISE, SPECKLE_NOISE, poisson_from_uniform

SCALES = ("cifar", "tiny", "imagenet")
# Written from the reference a second time, not read from the classes.
PUBLISHED = {
    "gaussian_noise": {
        "cifar": (0.04, 0.06, 0.08, 0.09, 0.10), "tiny": (0.04, 0.08, 0.12, 0.15, 0.18),
        "imagenet": (0.08, 0.12, 0.18, 0.26, 0.38),
    },
    "shot_noise": {"cifar": (500, 250, 100, 75, 50), "tiny": (250, 100, 50, 30, 15), "imagenet": (60, 25, 12, 5, 3)},
    "impulse_noise": {
        "cifar": (0.01, 0.02, 0.03, 0.05, 0.07), "tiny": (0.01, 0.02, 0.05, 0.08, 0.14),
        "imagenet": (0.03, 0.06, 0.09, 0.17, 0.27),
    },
    "speckle_noise": {
        "cifar": (0.06, 0.1, 0.12, 0.16, 0.2), "tiny": (0.15, 0.2, 0.25, 0.3, 0.35),
        "imagenet": (0.15, 0.2, 0.35, 0.45, 0.6),
    },
}  # fmt: skip


def flat(value: float, count: int = 12, size: int = 64) -> torch.Tensor:
    """Images of one value, but for their number in a corner, which makes each another image."""
    images = torch.full((count, 3, size, size), round(value * 255) / 255)
    images[:, 0, 0, 0] = torch.arange(count) / 255
    return images


def inner(images: torch.Tensor) -> np.ndarray:
    return images[:, :, 1:].double().numpy()


@pytest.mark.parametrize("scale", SCALES)
def test_deviations_of_gaussian_and_speckle_noise(scale):
    images = flat(0.4)
    centre = float(images[0, 0, 1, 1])
    told_apart = 0
    for name, corruption in (("gaussian_noise", GAUSSIAN_NOISE), ("speckle_noise", SPECKLE_NOISE)):
        for severity, level in enumerate(PUBLISHED[name][scale], 1):
            raw = corruption.apply(images, level, {"noise": torch.from_numpy(_normal(images.shape, severity))})
            expected = level * (1.0 if name == "gaussian_noise" else centre)
            assert inner(raw - images).std() == pytest.approx(expected, rel=0.02), (name, severity)
            # And as a user gets it, where clipping takes away what is beyond [0, 1].
            found = inner(corrupt(images, name, severity, scale=scale))
            clipped = np.clip(stats.norm.rvs(centre, expected, size=200_000, random_state=1), 0, 1)
            assert found.mean() == pytest.approx(clipped.mean(), abs=0.004)
            assert found.std() == pytest.approx(clipped.std(), rel=0.03), (name, severity)
            told_apart += 1
    assert told_apart == 10


def _normal(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("value", [0.1, 0.45])
def test_photons_are_poissons(scale, value):
    images = flat(value)
    value = float(images[0, 0, 1, 1])
    checked = 0
    for severity, level in enumerate(PUBLISHED["shot_noise"][scale], 1):
        found = inner(corrupt(images, "shot_noise", severity, scale=scale)).ravel()
        counts = np.rint(found * level)
        np.testing.assert_allclose(found[found < 1], (counts / level)[found < 1], atol=1e-5)
        for k in range(int(value * level) + 1):
            share, expected = (counts[found < 1] == k).mean() * (found < 1).mean(), stats.poisson.pmf(k, value * level)
            assert share == pytest.approx(expected, abs=4.5 * (expected / len(found)) ** 0.5 + 1e-4), (severity, k)
            checked += 1
    assert checked > 10


@pytest.mark.parametrize("level", [1, 3.5, 60, MOST_LISTED])
def test_photons_by_inversion_are_scipys_quantiles(level):
    rng = np.random.default_rng(0)
    values = np.concatenate([np.arange(256), rng.integers(0, 256, 20_000)]).astype(np.uint8)
    unit = rng.random(values.shape, dtype=np.float32)
    unit[:256:2], unit[1:256:2] = 0.0, 1 - 2**-24  # the least and the greatest uniform numbers
    found = poisson_from_uniform(values, unit, level=level)
    expected = stats.poisson.ppf(np.maximum(unit.astype(np.float64), 2**-25), values / 255 * level)
    # Single precision decides otherwise where the number lies on a step, at most by one photon.
    assert (found[256:] == expected[256:]).mean() > 0.9995 and np.abs(found - expected)[256:].max() <= 1
    assert np.abs(found - expected)[:256].max() <= 2 + level / 200 and found[values == 0].max() == 0


def test_a_great_strength_counts_photons_without_a_table():
    images = flat(0.5, 2)
    found = inner(corrupt(images, "shot_noise", strength=2.0 * MOST_LISTED))
    value = float(images[0, 0, 1, 1])
    assert found.mean() == pytest.approx(value, abs=5e-4)
    assert found.std() == pytest.approx((value / (2 * MOST_LISTED)) ** 0.5, rel=0.03)


def test_half_precision_counts_the_same_photons():
    images = flat(0.3)
    streams = [Draws([(0, str(k)) for k in range(12)], images.device) for _ in range(2)]
    first, second = (
        SHOT_NOISE.draw(kind, 60, own)["photons"] for kind, own in zip((images, images.half()), streams, strict=True)
    )
    assert torch.equal(first, second) and first.std() > 1


def test_shot_noise_keeps_what_lies_between_two_of_256_values():
    images = flat(0.5) + 0.4 / 255
    gap = corrupt(images, "shot_noise", 1, scale="cifar") - corrupt(flat(0.5), "shot_noise", 1, scale="cifar")
    np.testing.assert_allclose(inner(gap), 0.4 / 255, atol=1e-5)


@pytest.mark.parametrize("scale", SCALES)
def test_impulses(scale):
    images = flat(0.4)
    total = inner(images).size
    for severity, level in enumerate(PUBLISHED["impulse_noise"][scale], 1):
        found = inner(corrupt(images, "impulse_noise", severity, scale=scale))
        for value in (0.0, 1.0):
            share = (found == value).mean()
            assert share == pytest.approx(level / 2, abs=4.5 * (level / 2 / total) ** 0.5), severity
        kept = (found != 0) & (found != 1)
        np.testing.assert_allclose(found[kept], float(images[0, 0, 1, 1]), atol=1e-7)
        # Values, not pixels: one channel is hit without the others.
        assert ((found == 1).any(1) & kept.any(1)).mean() > level / 4


@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise", "shot_noise", "impulse_noise"])
def test_noise_is_white(name):
    found = inner(corrupt(flat(0.4), name, 3)) - inner(corrupt(flat(0.4), name, 3)).mean()
    power = found.var()
    for a, b in (
        (found[:, :, 1:], found[:, :, :-1]), (found[..., 1:], found[..., :-1]), (found[:, 1:], found[:, :-1]),
        (found[1:], found[:-1]),
    ):  # fmt: skip
        assert abs((a * b).mean()) / power < 0.02
