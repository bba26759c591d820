"""Glass: the exchanges in steps are the very sequence; how far pixels get; what the neighbouring severity would do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from affectkit.corruptions import corrupt
from affectkit.corruptions.base import Draws, content_hash
from affectkit.corruptions.filters import gaussian_blur
from affectkit.corruptions.glass import GLASS_BLUR, exchange_order, visit_order

# Written from the reference a second time, not read from the class.
PUBLISHED = {
    "cifar": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    "tiny": ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
    "imagenet": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
}


def one_after_another(shifts: np.ndarray, largest: int) -> np.ndarray:
    """The definition: pixel by pixel from the lower right inwards."""
    count, rounds, height, width = shifts.shape
    found = np.arange(height * width).reshape(1, height, width).repeat(count, 0)
    for image in range(count):
        order = found[image]
        for turn in range(rounds):
            for h in range(height - largest, largest, -1):
                for w in range(width - largest, largest, -1):
                    down, across = (int(part) - largest for part in divmod(shifts[image, turn, h, w], 2 * largest))
                    order[h, w], order[h + down, w + across] = order[h + down, w + across], order[h, w]
    return found.reshape(count, -1)


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(images.astype(np.float64), (0, 0, sigma, sigma), mode="nearest", truncate=4)


@pytest.mark.parametrize(("largest", "rounds"), [(1, 2), (2, 3), (3, 2), (4, 2)])
def test_steps_give_what_the_sequence_gives(largest, rounds):
    for height, width in ((17, 23), (23, 14), (9, 9), (2 * largest, 12)):
        shifts = np.random.default_rng(largest).integers(0, 4 * largest**2, (3, rounds, height, width))
        found = exchange_order(shifts, largest)
        assert np.array_equal(found, one_after_another(shifts, largest))
        assert all(sorted(one) == list(range(height * width)) for one in found.tolist())  # nothing is lost or doubled
    places, steps = visit_order(17, 23, largest)
    assert len(set(places.tolist())) == len(places) == max(17 - 2 * largest, 0) * max(23 - 2 * largest, 0)
    assert sum(end - start for start, end in steps) == len(places)


def test_pixels_of_a_step_touch_no_common_pixel():
    width = 40
    for largest in (1, 2, 4):
        places, steps = visit_order(30, width, largest)
        for start, end in steps:
            rows, columns = places[start:end] // width, places[start:end] % width
            apart = np.maximum(np.abs(rows[:, None] - rows), np.abs(columns[:, None] - columns))
            assert (apart[~np.eye(len(rows), dtype=bool)] > 2 * largest).all()


@pytest.mark.parametrize("scale", ["cifar", "tiny", "imagenet"])
def test_glass_is_blur_exchange_blur(scale):
    images = torch.rand(2, 3, 40, 36, generator=torch.Generator().manual_seed(1))
    for severity, level in enumerate(PUBLISHED[scale], 1):
        streams = [(0, "corruption", content_hash(image), "glass_blur", severity) for image in images]
        drawn = GLASS_BLUR.draw(images, level, Draws(streams, images.device))
        shifts = drawn["shift"].numpy()
        assert shifts.shape == (2, level[2], 40, 36)
        assert set(np.unique(shifts)) == set(range(4 * level[1] ** 2))
        share = np.bincount(shifts.ravel()) / shifts.size
        assert np.abs(share * len(share) - 1).max() < 5 * (len(share) / shifts.size) ** 0.5
        blurred = blur(images.numpy(), level[0]).reshape(2, 3, -1)
        mixed = np.take_along_axis(blurred, one_after_another(shifts, level[1])[:, None], 2).reshape(images.shape)
        found = corrupt(images, "glass_blur", severity, scale=scale).numpy()
        np.testing.assert_allclose(found, blur(mixed, level[0]), atol=5e-6)


def test_pixels_go_further_with_the_severity():
    """The mean way of a pixel, over many draws, tells neighbouring severities apart where they shift differently."""
    draws = Draws([(0, str(k)) for k in range(20)], torch.device("cpu"))
    images = torch.zeros(20, 3, 48, 48)
    ways = {}
    for level in ((0.1, 1, 1), (0.1, 1, 2), (0.1, 2, 1), (0.1, 2, 2), (0.1, 3, 2), (0.1, 4, 2)):
        order = exchange_order(GLASS_BLUR.draw(images, level, draws)["shift"].numpy(), level[1]).reshape(20, 48, 48)
        rows, columns = order // 48, order % 48
        way = np.hypot(rows - np.arange(48)[:, None], columns - np.arange(48))
        ways[level] = way[:, 10:-10, 10:-10].mean()
    values = list(ways.values())
    assert all(b > 1.03 * a for a, b in zip(values, values[1:], strict=False)), ways


def test_an_image_too_small_for_an_exchange_is_only_blurred():
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    found = corrupt(image, "glass_blur", 5, scale="imagenet")
    torch.testing.assert_close(found, gaussian_blur(gaussian_blur(image, 1.5), 1.5))
