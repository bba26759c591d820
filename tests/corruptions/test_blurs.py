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
from affectkit.corruptions.blurs import DEFOCUS_BLUR, GAUSSIAN_BLUR, MOTION_BLUR, ZOOM_BLUR, zooms
from affectkit.corruptions.filters import MODES, beyond, gaussian, motion

SCALES = ("cifar", "tiny", "imagenet")
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


def compare(name, parameters, reference):
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
    compare(
        "gaussian_blur",
        GAUSSIAN_BLUR.parameters,
        lambda image, sigma: scipy.ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest", truncate=4),
    )


def test_defocus_is_opencvs_filter_with_a_smoothed_disk():
    def reference(image, level):
        radius, sigma = level
        half = max(8, math.ceil(radius))
        y, x = np.mgrid[-half : half + 1, -half : half + 1]
        disk = (x**2 + y**2 <= radius**2).astype(np.float64)
        side = 5 if radius > 8 else 3
        kernel = cv2.GaussianBlur(disk / disk.sum(), (side, side), sigma)
        return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)

    worst = 0.0
    for scale in SCALES:
        for severity, level in enumerate(DEFOCUS_BLUR.parameters[scale], 1):
            for image in IMAGES:
                worst = max(
                    worst, np.abs(changed(image, "defocus_blur", severity, scale) - reference(image, level)).max()
                )
    assert worst <= CLOSE
    line = np.eye(41, dtype=np.float32)
    for levels in DEFOCUS_BLUR.parameters.values():  # no two neighbours in the table are alike
        made = [reference(line, level) for level in levels]
        assert min(np.abs(a - b).max() for a, b in zip(made, made[1:], strict=False)) > CLOSE / 2


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

    compare("zoom_blur", ZOOM_BLUR.parameters, reference)
    assert zooms(1.31, 0.03) == pytest.approx(np.arange(1, 1.31, 0.03)) and len(zooms(1.06, 0.01)) == 6


# --- motion ----------------------------------------------------------------------------------------------------------


def test_a_point_becomes_a_line_of_the_right_length_direction_and_fading():
    size = 81
    point = torch.zeros(1, 3, size, size)
    point[:, :, 40, 40] = 1
    for radius, sigma in {level for scale in SCALES for level in MOTION_BLUR.parameters[scale]}:
        weights = np.exp(-0.5 * (np.arange(2 * radius + 1) / sigma) ** 2)
        weights /= weights.sum()
        for angle in (-45.0, -20.0, 0.0, 33.0, 45.0):
            trail = motion(point, radius, sigma, torch.tensor([angle]))[0, 0].double().numpy()
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
    found = motion(image, radius, sigma, torch.tensor([angle]))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, total, atol=1e-5)


def test_directions_are_uniform_within_45_degrees():
    draws = Draws([(0, str(k)) for k in range(4000)], torch.device("cpu"))
    angles = MOTION_BLUR.draw(torch.zeros(4000, 3, 1, 1), (6, 1), draws)["angle"].double().numpy()
    assert angles.shape == (4000,) and scipy.stats.kstest(angles, "uniform", args=(-45, 90)).pvalue > 1e-3


# --- filters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_filters_are_scipys_whatever_lies_beyond_the_border(mode):
    image = torch.from_numpy(IMAGES[0]).permute(2, 0, 1)[None]
    checked = 0
    for sigma in (0.0, 0.3, 1.0, 5.0, 20.0):
        for truncate in (3.0, 4.0):
            found = gaussian(image, sigma, truncate=truncate, mode=mode)[0].permute(1, 2, 0).numpy()
            if sigma:
                expected = scipy.ndimage.gaussian_filter(
                    IMAGES[0].astype(np.float64), (sigma, sigma, 0), mode=mode, truncate=truncate
                )
            else:
                expected = IMAGES[0]
            np.testing.assert_allclose(found, expected, atol=2e-6)
            checked += 1
    assert checked == 10
    assert beyond(np.arange(-7, 9), 1, mode).tolist() == [0] * 16
