"""Noise by its statistics over many values, with bounds that the neighbouring severity's parameter breaks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from affectkit.corruptions import corrupt
from affectkit.corruptions.noises import GAUSSIAN_NOISE, IMPULSE_NOISE, SHOT_NOISE, SPECKLE_NOISE

SCALES = ("cifar", "tiny", "imagenet")


def flat(value: float, count: int = 12, size: int = 64) -> torch.Tensor:
    """Images of one value, but for their number in a corner, which makes each another image."""
    images = torch.full((count, 3, size, size), round(value * 255) / 255)
    images[:, 0, 0, 0] = torch.arange(count) / 255
    return images


def inner(images: torch.Tensor) -> np.ndarray:
    return images[:, :, 1:].double().numpy()


@pytest.mark.parametrize("scale", SCALES)
def test_deviations_of_gaussian_and_speckle_noise(scale):
    for name, corruption, value in (("gaussian_noise", GAUSSIAN_NOISE, 1.0), ("speckle_noise", SPECKLE_NOISE, 0.6)):
        images = flat(0.4)
        for severity, level in enumerate(corruption.parameters[scale], 1):
            raw = corruption.apply(images, level, {"noise": torch.from_numpy(_normal(images.shape, severity))})
            spread = inner(raw - images).std()
            expected = level * (1.0 if name == "gaussian_noise" else float(images[0, 0, 1, 1]))
            assert spread == pytest.approx(expected, rel=0.02), (name, severity)
            # And as a user gets it, where clipping takes away what is beyond [0, 1].
            found = inner(corrupt(images, name, severity, scale=scale))
            centre, bounds = float(images[0, 0, 1, 1]), (0.0, 1.0)
            clipped = np.clip(stats.norm.rvs(centre, expected, size=200_000, random_state=1), *bounds)
            assert found.mean() == pytest.approx(clipped.mean(), abs=0.004)
            assert found.std() == pytest.approx(clipped.std(), rel=0.03), (name, severity)
        assert value


def _normal(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("value", [0.1, 0.45])
def test_photons_are_poissons(scale, value):
    images = flat(value)
    value = float(images[0, 0, 1, 1])
    checked = 0
    for severity, level in enumerate(SHOT_NOISE.parameters[scale], 1):
        found = inner(corrupt(images, "shot_noise", severity, scale=scale)).ravel()
        counts = np.rint(found * level)
        np.testing.assert_allclose(found[found < 1], (counts / level)[found < 1], atol=1e-5)
        for k in range(int(value * level) + 1):
            share, expected = (counts[found < 1] == k).mean() * (found < 1).mean(), stats.poisson.pmf(k, value * level)
            assert share == pytest.approx(expected, abs=4.5 * (expected / len(found)) ** 0.5 + 1e-4), (severity, k)
            checked += 1
    assert checked > 10


def test_shot_noise_keeps_what_lies_between_two_of_256_values():
    images = flat(0.5) + 0.4 / 255
    gap = corrupt(images, "shot_noise", 1, scale="cifar") - corrupt(flat(0.5), "shot_noise", 1, scale="cifar")
    np.testing.assert_allclose(inner(gap), 0.4 / 255, atol=1e-5)


@pytest.mark.parametrize("scale", SCALES)
def test_impulses(scale):
    images = flat(0.4)
    total = inner(images).size
    for severity, level in enumerate(IMPULSE_NOISE.parameters[scale], 1):
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
