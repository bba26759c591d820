from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from affectkit.core.randomness import numpy_generator
from affectkit.core.spec import InputSpec
from affectkit.data.loading.presets import PRESETS
from affectkit.data.loading.transforms import RANGES, Change, Preset, affine, apply_change, draw_change, normalise

STILL = Change(False, 0.0, 1.0, (0.0, 0.0), 1.0, 0.0, 0.0, 0.0, 0, None)


def picture(height=40, width=30, channels=3, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, channels), dtype=np.uint8)
    return np.ascontiguousarray(np.kron(coarse, np.ones((height // 5, width // 5, 1), dtype=np.uint8)))


def test_every_preset_has_ranges_and_a_description():
    assert set(PRESETS) == set(RANGES)


def test_nothing_drawn_changes_nothing():
    image = picture()
    assert np.array_equal(apply_change(image, STILL), image)


def test_a_flip_is_exact_alone_and_inside_the_warp():
    image = picture()
    assert np.array_equal(apply_change(image, replace(STILL, flip=True)), image[:, ::-1])
    moved = apply_change(image, replace(STILL, flip=True, shift=(0.1, 0.0)))
    assert np.array_equal(moved[:, 3:], image[:, ::-1][:, :-3])


def test_rotation_by_90_degrees_is_exact_on_a_square():
    image = picture(40, 40)
    assert np.array_equal(apply_change(image, replace(STILL, angle=90.0)), np.rot90(image))


def test_the_affine_map_agrees_with_its_definition():
    change = replace(STILL, flip=True, angle=17.0, scale=1.1, shift=(0.05, -0.08))
    height, width = 40, 30
    matrix = affine(change, height, width)
    cx, cy, rad = (width - 1) / 2, (height - 1) / 2, np.deg2rad(17)
    for x, y in [(0.0, 0.0), (29.0, 12.0), (7.0, 39.0)]:
        mx = (width - 1) - x - cx
        my = y - cy
        expected = (
            1.1 * (np.cos(rad) * mx + np.sin(rad) * my) + cx + 0.05 * width,
            1.1 * (-np.sin(rad) * mx + np.cos(rad) * my) + cy - 0.08 * height,
        )
        assert matrix @ [x, y, 1] == pytest.approx(expected)


def test_light_saturates_and_turns_about_mid_gray():
    image = np.array([[[0], [127], [128], [255]]], dtype=np.uint8)
    assert apply_change(image, replace(STILL, offset=40.0)).ravel().tolist() == [40, 167, 168, 255]
    assert apply_change(image, replace(STILL, gain=2.0)).ravel().tolist() == [0, 126, 128, 255]


def test_noise_and_erasing_do_what_they_say():
    gray = np.full((200, 200, 1), 128, np.uint8)
    noisy = apply_change(gray, replace(STILL, noise_std=5.0, noise_seed=3)).astype(float)
    assert abs(noisy.mean() - 128) < 0.2 and abs(noisy.std() - 5) < 0.1
    image = picture(100, 100)
    erased = apply_change(image, replace(STILL, erase=(1.0, 0.0, 0.2, 0.5)))
    changed = (erased != image).any(2)
    assert changed[80:, :50].mean() > 0.9 and changed[:80].sum() == 0 and changed[:, 50:].sum() == 0
    assert len(np.unique(erased[80:, :50].reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [name for name in RANGES if RANGES[name] is not None])
def test_results_keep_shape_and_depend_on_the_address_alone(name, channels):
    image = picture(channels=channels)
    first = [apply_change(image, draw_change(RANGES[name], numpy_generator(0, "x", k))) for k in range(20)]
    again = [apply_change(image, draw_change(RANGES[name], numpy_generator(0, "x", k))) for k in reversed(range(20))][
        ::-1
    ]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(a.shape == image.shape and a.dtype == np.uint8 and a.flags.c_contiguous for a in first)
    assert len({a.tobytes() for a in first}) > {"flip": 1, "imagenet": 1, "vca": 8}.get(name, 15)


def test_drawn_parameters_fill_their_ranges_independently():
    preset = Preset(rotation=20, scale=0.1, shift=0.15, brightness=0.3, contrast=0.2, blur=0.1, noise=6, erase=0.25)
    drawn = [draw_change(preset, numpy_generator(0, "range", k)) for k in range(4000)]
    flips = np.array([change.flip for change in drawn])
    angles = np.array([change.angle for change in drawn])
    assert abs(flips.mean() - 0.5) < 0.03
    assert -20 <= angles.min() < -19.8 and 19.8 < angles.max() <= 20
    assert abs(np.corrcoef(flips, angles)[0, 1]) < 0.05
    assert abs(np.mean([change.erase is not None for change in drawn]) - 0.25) < 0.03
    assert abs(np.mean([change.blur_sigma > 0 for change in drawn]) - 0.1) < 0.02
    areas = [change.erase[2] * change.erase[3] for change in drawn if change.erase]
    assert min(areas) >= 0.0199 and max(areas) <= 0.2001


def test_normalise_takes_bytes_and_floats_alike():
    spec = InputSpec("x", 2, 2, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0), classes=("a",))
    raw = torch.randint(0, 256, (2, 3, 2, 2), dtype=torch.uint8)
    expected = (raw.double().numpy() / 255 - np.array([0.1, 0.2, 0.3])[:, None, None]) / np.array([0.5, 1, 2])[
        :, None, None
    ]
    assert np.allclose(normalise(raw, spec), expected, atol=1e-6)
    before = raw.float() / 255
    kept = before.clone()
    assert np.allclose(normalise(before, spec), expected, atol=1e-6)
    assert torch.equal(before, kept)
