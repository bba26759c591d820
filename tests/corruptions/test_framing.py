from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from affectkit.corruptions import GROUPS, corrupt
from affectkit.errors import UsageError

IMAGES = torch.rand(3, 3, 48, 60, generator=torch.Generator().manual_seed(0))


def test_mirror_exchanges_left_and_right():
    assert torch.equal(corrupt(IMAGES, "mirror", 1), IMAGES.flip(3))
    with pytest.raises(UsageError):
        corrupt(IMAGES, "mirror", strength=0.5)


@pytest.mark.parametrize("level", [1.25, 2.0])
def test_nearer_is_the_middle_enlarged(level):
    """Against Pillow's bilinear resize of the middle, away from the edges of what it sees."""
    made = corrupt(IMAGES, "framing", strength=level)[0].permute(1, 2, 0).numpy()
    height, width = 48, 60
    left, top = width * (1 - 1 / level) / 2, height * (1 - 1 / level) / 2
    for channel in range(3):
        picture = Image.fromarray(IMAGES[0, channel].numpy())
        box = (left, top, width - left, height - top)
        wanted = np.array(picture.resize((width, height), Image.Resampling.BILINEAR, box=box))
        assert np.abs(made[3:-3, 3:-3, channel] - wanted[3:-3, 3:-3]).max() < 1e-4


def test_farther_is_the_whole_in_the_middle():
    made = corrupt(IMAGES, "framing", strength=0.75)
    inner = torch.nn.functional.interpolate(IMAGES, (36, 45), mode="bilinear", antialias=True)
    torch.testing.assert_close(made[:, :, 6:42, 7:52], inner)
    torch.testing.assert_close(made[:, :, 0, 7:52], inner[:, :, 0])  # the edge goes on
    assert made.shape == IMAGES.shape
    torch.testing.assert_close(corrupt(IMAGES, "framing", strength=1.0), IMAGES, atol=1e-5, rtol=0)


@pytest.mark.parametrize("degrees", [20.0, -7.5, 90.0])
def test_tilt_is_counter_clockwise_about_the_centre(degrees):
    """Against OpenCV's rotation, which rounds places to 1/32 of a pixel: of smooth images nothing is seen of it."""
    smooth = torch.nn.functional.avg_pool2d(IMAGES, 9, 1, 4)
    made = corrupt(smooth, "tilt", strength=degrees)[0].permute(1, 2, 0).numpy()
    matrix = cv2.getRotationMatrix2D((29.5, 23.5), degrees, 1.0)
    picture = smooth[0].permute(1, 2, 0).numpy()
    wanted = cv2.warpAffine(picture, matrix, (60, 48), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(made - wanted).max() < 0.02


def test_severities_of_tilt_are_to_twenty_degrees_and_none_is_itself():
    assert torch.equal(corrupt(IMAGES, "tilt", 5), corrupt(IMAGES, "tilt", strength=20))
    torch.testing.assert_close(corrupt(IMAGES, "tilt", strength=0.0), IMAGES, atol=1e-5, rtol=0)


def test_they_are_in_no_group_of_a_study():
    assert not any({"mirror", "framing", "tilt"} & set(names) for names in GROUPS.values())
