"""The fifteen benchmark corruptions one image at a time, on float64 arrays (H, W, 3), as scripts of the field do it.

What ``test_corruptions`` compares the speed with: SciPy, OpenCV and Pillow for each image, colour spaces by
matplotlib, loops where the definition has them. Parameters are those of affectkit's classes at ImageNet's scale.
"""

from __future__ import annotations

import io
import math

import cv2
import numpy as np
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from PIL import Image
from scipy import ndimage

from affectkit.corruptions import CORRUPTIONS


def level(name: str, severity: int):
    """The parameters at ImageNet's scale."""
    return CORRUPTIONS.resolve(name).level(severity, "imagenet")


def gaussian_noise(x, c, rng):
    return x + rng.normal(size=x.shape, scale=c)


def shot_noise(x, c, rng):
    return rng.poisson(x * c) / c


def impulse_noise(x, c, rng):
    hit = rng.random(x.shape) < c
    return np.where(hit, rng.integers(0, 2, x.shape), x)


def defocus_blur(x, c, rng):
    half = max(8, math.ceil(c[0]))
    grid = np.arange(-half, half + 1)
    disk = (grid[:, None] ** 2 + grid**2 <= c[0] ** 2).astype(np.float32)
    side = 5 if c[0] > 8 else 3
    kernel = cv2.GaussianBlur(disk / disk.sum(), (side, side), c[1])
    return np.stack([cv2.filter2D(x[..., k], -1, kernel) for k in range(3)], 2)


def glass_blur(x, c, rng):
    sigma, largest, rounds = c
    x = ndimage.gaussian_filter(x, (sigma, sigma, 0), mode="nearest")
    height, width = x.shape[:2]
    for _ in range(rounds):
        for h in range(height - largest, largest, -1):
            for w in range(width - largest, largest, -1):
                dy, dx = rng.integers(-largest, largest, 2)
                kept = x[h, w].copy()
                x[h, w] = x[h + dy, w + dx]
                x[h + dy, w + dx] = kept
    return ndimage.gaussian_filter(x, (sigma, sigma, 0), mode="nearest")


def _smeared(x, radius, sigma, angle):
    total = np.zeros_like(x)
    reach = 2 * radius
    around = np.pad(x, ((reach, reach), (reach, reach)) + ((0, 0),) * (x.ndim - 2), mode="edge")
    weights = np.exp(-0.5 * (np.arange(2 * radius + 1) / sigma) ** 2)
    for step, weight in enumerate(weights / weights.sum()):
        down = reach + round(step * math.sin(math.radians(angle)))
        across = reach + round(step * math.cos(math.radians(angle)))
        total += weight * around[down : down + x.shape[0], across : across + x.shape[1]]
    return total


def motion_blur(x, c, rng):
    return _smeared(x, *c, rng.uniform(-45, 45))


def _zoomed(x, factor):
    height, width = x.shape[:2]
    h, w = math.ceil(height / factor), math.ceil(width / factor)
    top, left = (height - h) // 2, (width - w) // 2
    part = x[top : top + h, left : left + w]
    large = ndimage.zoom(part, (factor, factor) + (1,) * (x.ndim - 2), order=1)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[top : top + height, left : left + width]


def zoom_blur(x, c, rng):
    factors = np.arange(1, c[0], c[1])
    return (x + sum(_zoomed(x, factor) for factor in factors)) / (len(factors) + 1)


def snow(x, c, rng):
    mean, deviation, zoom, threshold, radius, sigma, mix = c
    layer = _zoomed(rng.normal(size=x.shape[:2], loc=mean, scale=deviation), zoom)
    layer[layer < threshold] = 0
    layer = _smeared(layer.clip(0, 1), int(radius), sigma, rng.uniform(-135, -45))[:, :, None]
    gray = cv2.cvtColor(x.astype(np.float32), cv2.COLOR_RGB2GRAY)[:, :, None]
    return mix * x + (1 - mix) * np.maximum(x, gray * 1.5 + 0.5) + layer + np.rot90(layer, 2)


ICE = np.random.default_rng(0).random((512, 512, 3))


def frost(x, c, rng):
    top, left = rng.integers(0, 512 - x.shape[0]), rng.integers(0, 512 - x.shape[1])
    return c[0] * x + c[1] * ICE[top : top + x.shape[0], left : left + x.shape[1]]


def fog(x, c, rng):
    size, wibble = 256, 100.0
    grid, step = np.zeros((size, size)), size
    while step >= 2:
        half = step // 2
        corners = grid[::step, ::step]

        def jittered(total, swing=wibble):
            return total / 4 + swing * rng.uniform(-swing, swing, total.shape)

        rows = corners + np.roll(corners, -1, 0)
        grid[half::step, half::step] = jittered(rows + np.roll(rows, -1, 1))
        centres = grid[half::step, half::step]
        grid[::step, half::step] = jittered(centres + np.roll(centres, 1, 0) + corners + np.roll(corners, -1, 1))
        grid[half::step, ::step] = jittered(centres + np.roll(centres, 1, 1) + corners + np.roll(corners, -1, 0))
        step, wibble = half, wibble / c[1]
    grid = (grid - grid.min()) / (grid.max() - grid.min())
    most = x.max()
    return (x + c[0] * grid[: x.shape[0], : x.shape[1], None]) * most / (most + c[0])


def brightness(x, c, rng):
    hsv = rgb_to_hsv(x)
    hsv[..., 2] = np.clip(hsv[..., 2] + c, 0, 1)
    return hsv_to_rgb(hsv)


def contrast(x, c, rng):
    means = x.mean((0, 1), keepdims=True)
    return (x - means) * c + means


def elastic_transform(x, c, rng):
    shift, sigma, jitter = (value * 244 for value in c[:3])
    image = x.astype(np.float32)
    height, width = image.shape[:2]
    centre, reach = np.float32([height, width]) // 2, min(height, width) // 3
    start = np.float32([centre + reach, [centre[0] + reach, centre[1] - reach], centre - reach])
    matrix = cv2.getAffineTransform(start, start + rng.uniform(-jitter, jitter, (3, 2)).astype(np.float32))
    image = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    down, across = (
        ndimage.gaussian_filter(rng.uniform(-1, 1, (height, width)), sigma, mode="reflect", truncate=3) * shift
        for _ in range(2)
    )
    y, z, k = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ndimage.map_coordinates(image, [y + down[..., None], z + across[..., None], k], order=1, mode="reflect")


def pixelate(x, c, rng):
    image = Image.fromarray((x * 255).astype(np.uint8))
    small = image.resize((int(image.width * c), int(image.height * c)), Image.BOX)
    return np.asarray(small.resize(image.size, Image.BOX)) / 255


def jpeg_compression(x, c, rng):
    stream = io.BytesIO()
    Image.fromarray((x * 255).astype(np.uint8)).save(stream, "JPEG", quality=c)
    return np.asarray(Image.open(stream)) / 255
