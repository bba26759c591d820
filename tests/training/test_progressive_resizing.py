from __future__ import annotations

import pytest
import torch
from support import settings

from affectkit.core.progress import Silent
from affectkit.errors import UsageError
from affectkit.training import progressive_resizing, run
from affectkit.training.progressive_resizing import image_side, resize_for

pytestmark = pytest.mark.usefixtures("no_figures")


def test_sizes_grow_in_steps_and_end_whole():
    assert [image_side(k / 8, start=32, full=48) for k in range(8)] == [32, 32, 32, 40, 40, 40, 48, 48]
    large = [image_side(k / 1000, start=128, full=224) for k in range(1000)]
    assert large == sorted(large) and set(large) == {128, 144, 160, 176, 192, 208, 224}
    counts = {side: large.count(side) for side in set(large) - {224}}
    assert max(counts.values()) - min(counts.values()) <= 1 and large.count(224) == 250
    assert image_side(0.1, start=47, full=48) == 47
    assert [image_side(k / 8, start=32, full=48, until=0.5) for k in range(8)] == [32, 32, 40, 40, 48, 48, 48, 48]


def test_images_shrink_as_a_whole():
    images = torch.rand(2, 3, 48, 72)
    small = resize_for(0.0, images, start=32)
    assert small.shape == (2, 3, 32, 48)
    torch.testing.assert_close(small.mean((2, 3)), images.mean((2, 3)), atol=0.02, rtol=0)
    assert resize_for(0.75, images, start=32) is images


def test_a_training_sees_the_sizes_and_is_resumable(votes, tmp_path, monkeypatch):
    seen = []

    def watched(progress, images, **sizes):
        seen.append(resize_for(progress, images, **sizes).shape[-1])
        return resize_for(progress, images, **sizes)

    monkeypatch.setattr(progressive_resizing, "resize_for", watched)
    shared = {
        "model": "face-seresnet",
        "channels": 1,
        "image_size": 32,
        "start_size": 16,
        "epochs": 4,
        "batch_size": 24,
    }
    run.train(settings(votes, tmp_path / "run", **shared), reporter=Silent())
    assert seen == [16, 16, 16, 24, 24, 24, 32, 32]  # two batches an epoch
    seen.clear()
    run.train(settings(votes, tmp_path / "sooner", **shared, grow_until=0.25), reporter=Silent())
    assert seen == [16, 24, 32, 32, 32, 32, 32, 32]


def test_sizes_that_cannot_be_are_refused(votes, tmp_path):
    with pytest.raises(UsageError, match="below the input size, 32; got 32"):
        run.train(settings(votes, tmp_path / "a", image_size=32, start_size=32), reporter=Silent())
    with pytest.raises(UsageError, match="does not take images of that size"):
        run.train(settings(votes, tmp_path / "b", model="test_vit", image_size=32, start_size=24), reporter=Silent())
    # 16 and 32 are whole patches of 16, and the 24 on the way is not: told before the epochs at 16 are spent.
    with pytest.raises(UsageError, match="--start-size 16: test_vit does not take images of 24 pixels, through which"):
        run.train(settings(votes, tmp_path / "c", model="test_vit", image_size=32, start_size=16), reporter=Silent())
