"""Degradations of face crops: what is drawn, and that each does what it is called."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from affectkit.core.randomness import numpy_generator
from affectkit.data.loading.degradation import Degradation, DegradationRanges, degrade, draw_degradation
from affectkit.data.loading.transforms import RANGES, draw_change

NOTHING = Degradation(size=None, reach=None, smooth=0.0, seed=5, quality=None)


def face(channels=1):
    """Smooth gradients with a sharp disc, of three different colours."""
    rows, columns = np.mgrid[0:48, 0:48]
    disc = (rows - 20) ** 2 + (columns - 26) ** 2 < 120
    image = np.stack([(rows * 2 + columns * weight + 90 * disc) % 256 for weight in (1, 2, 3)], axis=2)
    return image[..., :channels].astype(np.uint8)


def changed(drawn, channels=1):
    return degrade(face(channels), drawn)


def made(**values):
    return Degradation(**{**vars(NOTHING), **values})


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_drawn_is_nothing_done(channels):
    assert np.array_equal(changed(NOTHING, channels), face(channels))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_small_picture_is_what_area_averages_leave(channels):
    image = face(channels)
    blocks = image.astype(float).reshape(24, 2, 24, 2, channels).mean((1, 3))
    expected = cv2.resize(np.rint(blocks).astype(np.uint8), (48, 48), interpolation=cv2.INTER_LINEAR)
    found = changed(made(size=0.5), channels)
    assert found.shape == image.shape
    assert np.abs(found.astype(int) - expected.reshape(image.shape)).max() <= 2  # roundings of halves


@pytest.mark.parametrize("channels", [1, 3])
def test_compression_is_pillows_of_the_same_quality(channels, tmp_path):
    """An encoder of other hands: colours in their order, errors of the same size."""
    from PIL import Image

    image, path = face(channels), tmp_path / "x.jpg"
    Image.fromarray(image.squeeze()).save(path, quality=40, subsampling=2)
    theirs = np.asarray(Image.open(path)).reshape(image.shape).astype(int)
    ours = changed(made(quality=40), channels).astype(int)
    assert np.abs(ours - theirs).mean() < 1
    assert 0.5 < np.abs(ours - image).mean() / np.abs(theirs - image).mean() < 2


@pytest.mark.parametrize("smooth", [0.0, 2.0])
def test_pixels_move_no_further_than_the_reach(smooth):
    """A ramp tells how far: its values are its columns."""
    ramp = np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))[:, :, None]
    found = degrade(ramp, made(reach=0.05, smooth=smooth)).astype(int)
    moved = np.abs(found - ramp) / 5
    assert moved.max() <= 0.05 * 48 + 0.2
    assert moved[:, 4:-4].max() > 0.05 * 48 * 0.6
    rough = np.abs(np.diff((found - ramp)[:, 4:-4, 0], axis=0)).mean()
    assert rough < 3 if smooth else rough > 3


def test_drawn_parameters_have_their_probabilities_and_ranges():
    ranges = DegradationRanges(shrink=0.2, wander=0.5, jpeg=0.8, sizes=(0.4, 0.6), qualities=(10, 30))
    drawn = [draw_degradation(ranges, numpy_generator(0, k)) for k in range(3000)]
    for name, share in (("size", 0.2), ("reach", 0.5), ("quality", 0.8)):
        values = [getattr(one, name) for one in drawn if getattr(one, name) is not None]
        assert abs(len(values) / 3000 - share) < 4 * (share * (1 - share) / 3000) ** 0.5
    sizes = [one.size for one in drawn if one.size is not None]
    assert 0.4 <= min(sizes) < 0.41 and 0.59 < max(sizes) <= 0.6
    assert {one.quality for one in drawn if one.quality is not None} == set(range(10, 31))


def test_other_presets_draw_what_they_drew_before():
    """Degradations are drawn last, so that a run of another preset goes on as it began."""
    wild = RANGES["face-wild"]
    for number in range(20):
        with_it = draw_change(wild, numpy_generator(0, number))
        without = draw_change(type(wild)(**{**vars(wild), "degradation": None}), numpy_generator(0, number))
        assert with_it.degradation is not None and without.degradation is None
        assert {**vars(with_it), "degradation": None} == vars(without)
