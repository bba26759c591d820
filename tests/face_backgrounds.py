"""Backgrounds without a face for ``face_scenes``: drawn ones, and photographs that test dependencies ship."""

from __future__ import annotations

import functools
import math
from importlib.resources import files

import cv2
import numpy as np

DRAWN = ("gradient", "noise", "texture", "shapes", "text", "bricks")
PHOTOGRAPHS = ("china.jpg", "flower.jpg")
"""Photographs of scikit-learn (CC BY 2.0, by two photographers that its README names)."""


def background(kind: str, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Return a background, float32 (height, width, 3) in [0, 255].

    Args:
        kind: of ``DRAWN``, or the name of a photograph: a part of it, mirrored or not, with blur as far from focus.
    """
    if kind in PHOTOGRAPHS:
        return _photograph(kind, width, height, rng)
    made = {
        "gradient": _gradient, "noise": _noise, "texture": _texture,
        "shapes": _shapes, "text": _text, "bricks": _bricks,
    }[kind](width, height, rng)  # fmt: skip
    return np.clip(made, 0, 255).astype(np.float32)


@functools.cache
def _loaded(name: str) -> np.ndarray:
    coded = np.frombuffer((files("sklearn.datasets") / "images" / name).read_bytes(), np.uint8)
    return cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _photograph(name: str, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    whole = _loaded(name)
    scale = max(width / whole.shape[1], height / whole.shape[0]) * float(rng.uniform(1.0, 1.6))
    size = (math.ceil(whole.shape[1] * scale), math.ceil(whole.shape[0] * scale))
    sized = cv2.resize(whole, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    left, top = int(rng.integers(size[0] - width + 1)), int(rng.integers(size[1] - height + 1))
    part = sized[top : top + height, left : left + width].astype(np.float32)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    if rng.random() < 0.4:
        part = cv2.GaussianBlur(part, (0, 0), float(rng.uniform(0.5, 4)))
    return np.ascontiguousarray(part)


def _colour(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(20, 235, 3)


def _gradient(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[:height, :width]
    share = (x / width - 0.5) * math.cos(angle) + (y / height - 0.5) * math.sin(angle) + 0.5
    one, other = _colour(rng), _colour(rng)
    return one + np.clip(share, 0, 1)[..., None] * (other - one) + rng.normal(0, 2, (height, width, 1))


def _noise(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose amplitude falls with frequency, as natural pictures' does (Field 1987)."""
    across, down = np.fft.rfftfreq(width)[None], np.fft.fftfreq(height)[:, None]
    amplitude = 1 / np.maximum(np.hypot(across, down), 1 / max(width, height)) ** rng.uniform(1.0, 1.4)
    phases = np.exp(2j * math.pi * rng.random((2, height, width // 2 + 1)))
    layers = [np.fft.irfft2(amplitude * phase, s=(height, width)) for phase in phases]
    layers = [(layer - layer.mean()) / layer.std() for layer in layers]
    base, way = _colour(rng), rng.normal(0, 14, 3)
    return base + 45 * layers[0][..., None] + layers[1][..., None] * way


def _texture(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Crossed waves, bent by noise: cloth, water, wood."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bend = cv2.resize(rng.normal(0, 1, (9, 12)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    out = np.zeros((height, width), np.float32)
    for _ in range(3):
        angle, period = rng.uniform(0, math.pi), rng.uniform(6, 60)
        out += np.sin((x * math.cos(angle) + y * math.sin(angle)) * 2 * math.pi / period + 3 * bend)
    return _colour(rng) + 18 * out[..., None] + rng.normal(0, 4, (height, width, 1))


def _shapes(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    canvas = np.ascontiguousarray(_gradient(width, height, rng).astype(np.float32))
    for _ in range(int(rng.integers(25, 60))):
        colour = [float(value) for value in _colour(rng)]
        x, y, r = int(rng.integers(width)), int(rng.integers(height)), int(rng.integers(5, max(width // 7, 6)))
        form = rng.integers(4)
        if form == 0:
            cv2.circle(canvas, (x, y), r, colour, int(rng.choice([-1, 2, 4])), cv2.LINE_AA)
        elif form == 1:
            cv2.rectangle(canvas, (x, y), (x + r, y + int(rng.integers(4, 2 * r))), colour, -1)
        elif form == 2:
            cv2.ellipse(
                canvas, (x, y), (r, max(r // 2, 1)), float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA
            )
        else:
            cv2.line(canvas, (x, y), (int(rng.integers(width)), int(rng.integers(height))), colour, 1 + r // 12)
    return canvas


def _text(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    canvas = np.full((height, width, 3), rng.uniform(180, 250), np.float32)
    canvas += rng.normal(0, 3, (height, width, 1)).astype(np.float32)
    y = 0
    while y < height:
        size = float(rng.uniform(0.4, 1.6))
        y += round(30 * size)
        letters = "".join(rng.choice(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz  0123456789"), 60))
        ink = float(rng.uniform(0, 120))
        cv2.putText(canvas, letters, (5, y), int(rng.integers(0, 5)), size, (ink,) * 3, 1 + int(size), cv2.LINE_AA)
    return canvas


def _bricks(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """A wall, or a front with windows: repeated dark and light rectangles."""
    canvas = np.full((height, width, 3), _colour(rng), np.float32)
    across, down = int(rng.integers(20, 90)), int(rng.integers(14, 70))
    base = _colour(rng)
    for row in range(height // down + 1):
        for column in range(-1, width // across + 1):
            left = column * across + (row % 2) * across // 2
            colour = [float(value) for value in np.clip(base + rng.normal(0, 14), 0, 255)]
            cv2.rectangle(canvas, (left + 3, row * down + 3), (left + across - 3, row * down + down - 3), colour, -1)
    return canvas + rng.normal(0, 5, (height, width, 1))
