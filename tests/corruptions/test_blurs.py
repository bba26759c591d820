"""Blurs against SciPy and OpenCV to 2/255, and motion by what it makes of a single point."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import scipy.ndimage
import torch

from affectkit.corruptions import corrupt
from affectkit.corruptions.base import Draws
from affectkit.corruptions.blurs import (
    DEFOCUS_BLUR,
    MOTION_BLUR,
    ZOOM_BLUR,
    _correlated,
    _enlarged,
    disk_kernel,
    zoom_factors,
)
from affectkit.corruptions.filters import (
    MODES,
    border_index,
    correlate_separable,
    gaussian_blur,
    gaussian_taps,
    motion_blur,
)

SCALES = ("cifar", "tiny", "imagenet")
# Written from the reference a second time, not read from the classes.
SIGMAS = {"cifar": (0.4, 0.6, 0.7, 0.8, 1), "tiny": (0.5, 0.75, 1, 1.25, 1.5), "imagenet": (1, 2, 3, 4, 6)}
DISKS = {
    "cifar": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    "tiny": ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
    "imagenet": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
}
TRAILS = {
    "cifar": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    "tiny": ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
    "imagenet": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
}
FACTORS = {
    "cifar": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    "tiny": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    "imagenet": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
}
CLOSE = 2 / 255


def pictures(*sizes: tuple[int, int]) -> list[np.ndarray]:
    """Edges, ramps and noise of several sizes, (H, W, 3) in [0, 1]."""
    rng = np.random.default_rng(3)
    made = []
    for height, width in sizes:
        y, x = np.mgrid[:height, :width]
        image = np.stack([(x // 5 + y // 7) % 2, x / width, rng.random((height, width))], 2)
        made.append((np.rint(image * 255) / 255).astype(np.float32))
    return made


IMAGES = pictures((32, 32), (64, 64), (47, 70), (100, 90))


def changed(image: np.ndarray, name: str, severity: int, scale: str) -> np.ndarray:
    batch = torch.from_numpy(image).permute(2, 0, 1)[None]
    return corrupt(batch, name, severity, scale=scale)[0].permute(1, 2, 0).numpy()


def check_against(name, parameters, reference):
    """All images, severities and scales; a neighbouring severity's parameter must be told apart somewhere."""
    worst, others = 0.0, []
    for scale in SCALES:
        for severity, level in enumerate(parameters[scale], 1):
            for image in IMAGES:
                found = changed(image, name, severity, scale)
                worst = max(worst, float(np.abs(found - reference(image, level)).max()))
            if severity > 1:
                other = reference(IMAGES[1], parameters[scale][severity - 2])
                others.append(float(np.abs(changed(IMAGES[1], name, severity, scale) - other).max()))
    assert worst <= CLOSE
    assert len(others) == 12 and min(others) > CLOSE


def test_gaussian_blur_is_scipys():
    check_against(
        "gaussian_blur",
        SIGMAS,
        lambda image, sigma: scipy.ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest", truncate=4),
    )


def test_defocus_is_scipys_correlation_with_opencvs_smoothed_disk():
    def reference(image, level):
        radius, sigma = level
        half = max(8, math.ceil(radius))
        y, x = np.mgrid[-half : half + 1, -half : half + 1]
        disk = (x**2 + y**2 <= radius**2).astype(np.float64)
        side = 5 if radius > 8 else 3
        kernel = cv2.GaussianBlur(disk / disk.sum(), (side, side), sigma)
        return np.stack([scipy.ndimage.correlate(image[..., k], kernel, mode="mirror") for k in range(3)], 2)

    check_against("defocus_blur", DISKS, reference)


def test_zoom_is_the_mean_of_scipys_zooms():
    def reference(image, level):
        height, width = image.shape[:2]
        total = np.zeros(image.shape, np.float64)
        factors = np.arange(1, level[0] - 1e-9, level[1])
        for factor in factors:
            h, w = math.ceil(height / factor), math.ceil(width / factor)
            top, left = (height - h) // 2, (width - w) // 2
            large = scipy.ndimage.zoom(image[top : top + h, left : left + w], (factor, factor, 1), order=1)
            top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
            total += large[top : top + height, left : left + width]
        return (image + total) / (len(factors) + 1)

    check_against("zoom_blur", FACTORS, reference)
    assert zoom_factors(1.31, 0.03) == pytest.approx(np.arange(1, 1.31, 0.03)) and len(zoom_factors(1.06, 0.01)) == 6


# --- motion ----------------------------------------------------------------------------------------------------------


def test_a_point_becomes_a_line_of_the_right_length_direction_and_fading():
    size = 81
    point = torch.zeros(1, 3, size, size)
    point[:, :, 40, 40] = 1
    for radius, sigma in {level for scale in SCALES for level in TRAILS[scale]}:
        weights = np.exp(-0.5 * (np.arange(2 * radius + 1) / sigma) ** 2)
        weights /= weights.sum()
        for angle in (-45.0, -20.0, 0.0, 33.0, 45.0):
            trail = motion_blur(point, radius, sigma, torch.tensor([angle]))[0, 0].double().numpy()
            assert trail.sum() == pytest.approx(1, abs=1e-5)
            steps = np.arange(2 * radius + 1)
            # Read further along the line, the point appears before its place.
            mean = np.array([40 - (weights * steps).sum() * f(math.radians(angle)) for f in (math.sin, math.cos)])
            rows, columns = np.nonzero(trail)
            centre = np.array([(trail[rows, columns] * rows).sum(), (trail[rows, columns] * columns).sum()])
            np.testing.assert_allclose(centre, mean, atol=0.35)
            along = np.hypot(rows - 40, columns - 40)
            spread = np.sqrt((trail[rows, columns] * along**2).sum())
            if sigma >= 2:  # of shorter trails the rounding to whole pixels is too large a part
                assert along.max() == pytest.approx(2 * radius, abs=1)
                assert spread == pytest.approx(np.sqrt((weights * steps**2).sum()), rel=0.15)


def test_a_motion_is_the_sum_of_shifts_with_replicated_borders():
    image = torch.from_numpy(IMAGES[2]).permute(2, 0, 1)[None]
    radius, sigma, angle = 6, 2.0, 30.0
    padded = np.pad(IMAGES[2], ((20, 20), (20, 20), (0, 0)), mode="edge")
    weights = np.exp(-0.5 * (np.arange(13) / sigma) ** 2)
    total = np.zeros_like(IMAGES[2], dtype=np.float64)
    for step, weight in enumerate(weights / weights.sum()):
        down, across = round(step * math.sin(math.radians(angle))), round(step * math.cos(math.radians(angle)))
        total += weight * padded[20 + down : 20 + down + 47, 20 + across : 20 + across + 70]
    found = motion_blur(image, radius, sigma, torch.tensor([angle]))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, total, atol=1e-5)


def points(count: int, size: int) -> torch.Tensor:
    """Black images with a white pixel in the middle, a dim one in a corner making each another image."""
    images = torch.zeros(count, 3, size, size)
    images[:, :, size // 2, size // 2] = 1
    images[:, 2, 0, 0] = torch.arange(count) / 255
    return images


@pytest.mark.parametrize("scale", SCALES)
def test_severities_have_the_published_trails(scale):
    for severity, (radius, sigma) in enumerate(TRAILS[scale], 1):
        found = corrupt(points(4, 101), "motion_blur", severity, scale=scale)[:, 0].double().numpy()
        weights = np.exp(-0.5 * (np.arange(2 * radius + 1) / sigma) ** 2)
        for trail in found:
            assert trail[50, 50] == pytest.approx(1 / weights.sum(), rel=1e-5), severity
            rows, columns = np.nonzero(trail)
            if weights[-1] > 1e-37:  # single precision holds the last of it
                assert np.hypot(rows - 50, columns - 50).max() == pytest.approx(2 * radius, abs=0.75), severity


def test_trails_point_in_all_directions_within_45_degrees():
    found = corrupt(points(250, 41), "motion_blur", 5, scale="cifar")[:, 0].double().numpy()
    angles = []
    for trail in found:
        rows, columns = np.nonzero(trail)
        last = np.hypot(rows - 20, columns - 20).argmax()
        angles.append(math.degrees(math.atan2(20 - rows[last], 20 - columns[last])))
    assert scipy.stats.kstest(angles, "uniform", args=(-45, 90)).pvalue > 1e-3
    assert scipy.stats.kstest(angles, "uniform", args=(-30, 60)).pvalue < 1e-3


def test_directions_are_uniform_within_45_degrees():
    draws = Draws([(0, str(k)) for k in range(4000)], torch.device("cpu"))
    angles = MOTION_BLUR.draw(torch.zeros(4000, 3, 1, 1), (6, 1), draws)["angle"].double().numpy()
    assert angles.shape == (4000,) and scipy.stats.kstest(angles, "uniform", args=(-45, 90)).pvalue > 1e-3


# --- alike anywhere --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gaussian_blur", "defocus_blur", "motion_blur", "zoom_blur", "glass_blur"])
def test_the_same_to_the_last_digit_at_sizes_that_do_not_fit_a_register(name):
    """Sizes at which torch's products and interpolation went by threads, layout or place in memory."""
    checked = 0
    for height, width in ((224, 224), (5, 300), (1, 7), (9, 1), (1, 1), (130, 97)):
        images = torch.rand(3, 3, height, width, generator=torch.Generator().manual_seed(1))
        found = corrupt(images, name, 3, scale="imagenet")
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(3 - min(threads, 2))
            assert torch.equal(corrupt(images, name, 3, scale="imagenet"), found), (height, width)
        finally:
            torch.set_num_threads(threads)
        for other in (
            images.to(memory_format=torch.channels_last),
            images.transpose(2, 3).contiguous().transpose(2, 3),
        ):
            assert torch.equal(corrupt(other, name, 3, scale="imagenet"), found), (height, width)
        assert torch.equal(corrupt(images[1:2], name, 3, scale="imagenet"), found[1:2]), (height, width)
        checked += 1
    assert checked == 6


def test_what_other_devices_do_is_what_the_cpu_does():
    """The forms for other devices, run here on CPU tensors."""
    for image in IMAGES:
        images = torch.from_numpy(image).permute(2, 0, 1)[None].repeat(2, 1, 1, 1)
        for sigma in (0.4, 1.0, 6.0):
            taps = gaussian_taps(sigma)
            torch.testing.assert_close(
                correlate_separable(images, taps, taps), gaussian_blur(images, sigma), atol=2e-6, rtol=0
            )
        for level in (DISKS["cifar"][0], *DISKS["imagenet"]):
            kernel, own = disk_kernel(*level), DEFOCUS_BLUR.apply(images, level, {})
            torch.testing.assert_close(_correlated(images, kernel), own, atol=2e-6, rtol=0)
        for level in (FACTORS["cifar"][4], FACTORS["imagenet"][4]):
            factors = zoom_factors(*level)
            mean = (images + sum(_enlarged(images, factor) for factor in factors)) / (len(factors) + 1)
            torch.testing.assert_close(mean, ZOOM_BLUR.apply(images, level, {}), atol=2e-6, rtol=0)


# --- filters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_filters_are_scipys_whatever_lies_beyond_the_border(mode):
    image = torch.from_numpy(IMAGES[0]).permute(2, 0, 1)[None]
    checked = 0
    for sigma in (0.0, 0.3, 1.0, 5.0, 20.0):
        for truncate in (3.0, 4.0):
            found = gaussian_blur(image, sigma, truncate=truncate, mode=mode)[0].permute(1, 2, 0).numpy()
            if sigma:
                expected = scipy.ndimage.gaussian_filter(
                    IMAGES[0].astype(np.float64), (sigma, sigma, 0), mode=mode, truncate=truncate
                )
            else:
                expected = IMAGES[0]
            np.testing.assert_allclose(found, expected, atol=2e-6)
            checked += 1
    assert checked == 10
    assert border_index(np.arange(-7, 9), 1, mode).tolist() == [0] * 16
