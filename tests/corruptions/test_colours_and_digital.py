"""Colours and digital artefacts against matplotlib's HSV, Pillow and plain formulas, to 2/255."""

from __future__ import annotations

import io

import numpy as np
import torch
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from PIL import Image

from affectkit.corruptions import corrupt
from affectkit.corruptions.colours import BRIGHTNESS, CONTRAST, SATURATE
from affectkit.corruptions.digital import JPEG_COMPRESSION, PIXELATE

SCALES = ("cifar", "tiny", "imagenet")
CLOSE = 2 / 255


def pictures() -> list[np.ndarray]:
    """uint8 (H, W, 3): smooth, hard edges, noise, gray; several sizes, one of a single row."""
    rng = np.random.default_rng(5)
    made = []
    for height, width in ((32, 32), (64, 64), (50, 71), (1, 9), (224, 120)):
        y, x = np.mgrid[:height, :width]
        smooth = np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (height + width)], 2)
        edges = (((x // 6 + y // 6) % 2) * 200)[:, :, None] + rng.integers(0, 40, 3)
        made += [smooth.astype(np.uint8), edges.astype(np.uint8), rng.integers(0, 256, (height, width, 3), np.uint8)]
    made.append(np.repeat(rng.integers(0, 256, (20, 20, 1), np.uint8), 3, 2))
    return made


IMAGES = pictures()


def check_against(name, parameters, reference):
    """Every image, severity and scale; a neighbouring severity's parameter must be told apart on noise."""
    worst, apart = 0.0, []
    for scale in SCALES:
        for severity, level in enumerate(parameters[scale], 1):
            for image in IMAGES:
                batch = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
                found = corrupt(batch, name, severity, scale=scale)[0].permute(1, 2, 0).numpy()
                worst = max(worst, float(np.abs(found - reference(image, level)).max()))
            if severity > 1:
                before = parameters[scale][severity - 2]
                apart.append(float(np.abs(reference(IMAGES[5], level) - reference(IMAGES[5], before)).max()))
    assert worst <= CLOSE
    assert len(apart) == 12 and min(apart) > 2 * CLOSE


def test_contrast():
    def reference(image, level):
        x = image / 255
        return np.clip((x - x.mean((0, 1))) * level + x.mean((0, 1)), 0, 1)

    check_against("contrast", CONTRAST.parameters, reference)


def test_brightness():
    def reference(image, level):
        hsv = rgb_to_hsv(image / 255)
        hsv[..., 2] = np.clip(hsv[..., 2] + level, 0, 1)
        return hsv_to_rgb(hsv)

    check_against("brightness", BRIGHTNESS.parameters, reference)


def test_saturate():
    def reference(image, level):
        hsv = rgb_to_hsv(image / 255)
        hsv[..., 1] = np.clip(hsv[..., 1] * level[0] + level[1], 0, 1)
        return hsv_to_rgb(hsv)

    check_against("saturate", SATURATE.parameters, reference)


def test_pixelate_is_pillows_box():
    def reference(image, level):
        height, width = image.shape[:2]
        small = max(int(width * level), 1), max(int(height * level), 1)
        made = Image.fromarray(image).resize(small, Image.BOX).resize((width, height), Image.BOX)
        return np.asarray(made) / 255

    check_against("pixelate", PIXELATE.parameters, reference)


def test_jpeg_is_pillows():
    def reference(image, level):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=level)
        return np.asarray(Image.open(stream)) / 255

    check_against("jpeg_compression", JPEG_COMPRESSION.parameters, reference)
