"""Mixup and CutMix: what they do to images and targets, and that a batch takes one of the two by its address."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import make_ratings, set_up, settings, stop_after, vca_settings

from affectkit.core.clipspec import ClipSpec
from affectkit.core.progress import Silent
from affectkit.core.spec import InputSpec
from affectkit.errors import Stopped, UsageError
from affectkit.training import mixup as module
from affectkit.training import run as runs
from affectkit.training.mixup import cutmix, mix, mixup, refuse_cutmix

pytestmark = pytest.mark.usefixtures("no_figures")
AT = {"seed": 0, "epoch": 0, "number": 0}


def batch_of(count, *, size=(9, 13)):
    """Images that are one number each, and one-hot targets."""
    images = torch.arange(count).float().reshape(count, 1, 1, 1).expand(count, 3, *size).clone()
    return {"index": torch.arange(count), "image": images, "target": torch.eye(count)}


def test_mixup_mixes_images_and_targets_alike():
    images = torch.rand(6, 3, 4, 4)
    batch = {"index": torch.arange(6), "image": images, "target": torch.eye(6)}
    mixed = mixup(batch, 1.0, seed=0, epoch=0, number=0)
    weights = mixed["target"]
    assert torch.allclose(weights.sum(1), torch.ones(6))
    assert torch.allclose(mixed["image"], torch.einsum("ab,bcde->acde", weights, images), atol=1e-6)
    again = mixup(batch, 1.0, seed=0, epoch=0, number=0)
    other = mixup(batch, 1.0, seed=0, epoch=0, number=1)
    assert torch.equal(mixed["image"], again["image"]) and not torch.equal(mixed["image"], other["image"])


def test_mixup_draws_what_it_always_drew():
    """The weight and the order at an address are those of the runs that exist, which may be resumed."""
    mixed = mix(batch_of(4), mixup_alpha=0.4, cutmix_alpha=0.0, seed=7, epoch=2, number=3)
    rng = module.numpy_generator(7, "mixup", 2, 3)
    weight, order = rng.beta(0.4, 0.4), rng.permutation(4)
    assert np.allclose(mixed["target"], weight * np.eye(4) + (1 - weight) * np.eye(4)[order], atol=1e-7)
    assert weight == pytest.approx(0.8252397204947303, abs=1e-15) and order.tolist() == [1, 3, 2, 0]


@pytest.mark.parametrize("number", range(40))
def test_cutmix_pastes_one_box_and_mixes_targets_by_its_pixels(number):
    count, size = 5, (9, 13)
    batch = batch_of(count, size=size)
    before = {name: value.clone() for name, value in batch.items()}
    mixed = cutmix(batch, 1.0, seed=3, epoch=1, number=number)
    assert all(torch.equal(batch[name], before[name]) for name in batch), "the batch that was given is left as it is"
    own = torch.arange(count).reshape(count, 1, 1).expand(count, *size)
    pixels = mixed["image"]
    assert torch.equal(pixels[:, :1].expand_as(pixels), pixels), "all channels alike"
    changed = pixels[:, 0] != own
    places = changed.any(0)
    rows, columns = places.any(1), places.any(0)
    assert int(places.sum()) == int(rows.sum()) * int(columns.sum()), "a box"
    for image in range(count):
        values = pixels[image, 0].flatten().long()
        shares = torch.bincount(values, minlength=count) / values.numel()
        assert torch.allclose(mixed["target"][image], shares, atol=1e-6)


def test_cutmix_boxes_are_cut_at_the_edges():
    """The box of a hand computation: sides by the square root of the area, around a uniform centre, inside the image.

    Without an edge its share is the drawn area (uniform for alpha 1); with one it is less.
    """
    size, whole = 50, 0
    for number in range(300):
        rng = module.numpy_generator(5, "cutmix", 0, number)
        area = 1 - rng.beta(1.0, 1.0)
        centre = rng.integers(size), rng.integers(size)
        order = rng.permutation(2)
        length = round(size * np.sqrt(area))
        inside = np.ones((size, size), bool)
        for axis in (0, 1):
            places = np.arange(size) - (centre[axis] - length // 2)
            kept = (places >= 0) & (places < length)
            inside &= kept[:, None] if axis == 0 else kept[None]
        mixed = cutmix(batch_of(2, size=(size, size)), 1.0, seed=5, epoch=0, number=number)
        if order[0] == 1:
            assert np.array_equal(mixed["image"][0, 0].numpy() == 1, inside), number
            assert mixed["target"][0, 1].item() == pytest.approx(inside.mean(), abs=1e-6)
        whole += inside.sum() == length**2
        assert inside.mean() <= (np.sqrt(area) + 0.5 / size) ** 2
    assert 30 < whole < 270, "boxes with and without an edge were seen"


def test_each_batch_takes_one_of_the_two_by_its_address():
    taken = []
    for number in range(200):
        at = {"seed": 1, "epoch": 0, "number": number}
        batch = batch_of(6)
        mixed = mix(batch, mixup_alpha=0.4, cutmix_alpha=1.0, **at)
        either = [mixup(batch, 0.4, **at), cutmix(batch, 1.0, **at)]
        taken.append([torch.equal(mixed["image"], one["image"]) for one in either])
        again = mix(batch, mixup_alpha=0.4, cutmix_alpha=1.0, **at)
        assert all(torch.equal(mixed[name], again[name]) for name in mixed)
    assert all(any(one) for one in taken)
    assert 70 < sum(one[0] for one in taken) < 130, "about half by mixup"
    only = mix(batch_of(6), mixup_alpha=0.0, cutmix_alpha=1.0, **AT)
    assert torch.equal(only["image"], cutmix(batch_of(6), 1.0, **AT)["image"])
    batch = batch_of(6)
    assert mix(batch, mixup_alpha=0.0, cutmix_alpha=0.0, **AT) is batch


def test_a_stopped_run_with_both_ends_as_if_it_had_not_been(votes, tmp_path, monkeypatch):
    changes = {"mixup": 0.4, "cutmix": 1.0}
    runs.train(settings(votes, tmp_path / "whole", **changes), reporter=Silent())
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Stopped):
            runs.train(settings(votes, tmp_path / "cut", **changes), reporter=Silent())
    with pytest.raises(UsageError, match="--cutmix cannot be changed"):
        chosen = replace(settings(votes, tmp_path / "cut", cutmix=0.5), resume=tmp_path / "cut")
        runs.train(chosen, given=frozenset({"resume", "cutmix"}), reporter=Silent())
    runs.train(replace(settings(votes, tmp_path / "cut"), resume=tmp_path / "cut"), reporter=Silent())
    runs.train(settings(votes, tmp_path / "mixup", mixup=0.4), reporter=Silent())
    found = {
        name: hashlib.sha256((tmp_path / name / "last.safetensors").read_bytes()).hexdigest()
        for name in ("whole", "cut", "mixup")
    }
    assert found["cut"] == found["whole"] != found["mixup"]


def test_cutmix_is_refused_where_there_are_no_images(tmp_path):
    spec = InputSpec("classification", 8, 8, classes=("a", "b"))
    refuse_cutmix(1.0, spec, on_features=False)
    refuse_cutmix(0.0, spec.with_(clip=ClipSpec()), on_features=True)
    with pytest.raises(UsageError, match="trained on clips"):
        refuse_cutmix(1.0, spec.with_(clip=ClipSpec()), on_features=False)
    data = make_ratings(tmp_path / "ratings")
    with pytest.raises(UsageError, match="computed once"):
        set_up(vca_settings(data, tmp_path / "run", cutmix=1.0))
    assert set_up(vca_settings(data, tmp_path / "run", cutmix=1.0, views=0)).settings.cutmix == 1.0
