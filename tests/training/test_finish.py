"""``--finish-epochs``: the last epochs are not mixed, and have their own augmentation; all before stays to the bit."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from support import settings

from affectkit.core.progress import Silent
from affectkit.core.randomness import numpy_generator
from affectkit.data.loading import loaders
from affectkit.data.loading.presets import Augmentation
from affectkit.data.loading.transforms import RANGES, apply_change, draw_change
from affectkit.errors import UsageError
from affectkit.training import run, training_step

pytestmark = pytest.mark.usefixtures("no_figures")


def losses(folder):
    with (folder / "history.csv").open(newline="") as stream:
        return [float(row["train_loss"]) for row in csv.DictReader(stream)]


def test_the_preset_of_an_epoch():
    found = Augmentation("face-wild", "face", 3)
    assert [found.at(epoch) for epoch in range(5)] == ["face-wild"] * 3 + ["face"] * 2
    assert {Augmentation("flip").at(epoch) for epoch in range(5)} == {"flip"}
    assert found.presets == ("face-wild", "face") and Augmentation.of("flip").presets == ("flip",)
    assert loaders.needs_full_size(Augmentation("face", "imagenet", 1))
    assert not loaders.needs_full_size(found)


def test_the_last_epochs_are_neither_mixed_nor_changed_as_the_others(votes, tmp_path, monkeypatch):
    """Batches that are mixed, and the images that a training sees, by epoch."""
    mixed, seen = [], {}

    def watched(batch, **position):
        mixed.append(position["epoch"])
        return batch

    class Watched(loaders.SplitImages):
        def __getitem__(self, key):
            found = super().__getitem__(key)
            seen[self.split.ids[key[1]], key[0]] = (self, found[1])
            return found

    monkeypatch.setattr(training_step, "mix", watched)
    monkeypatch.setattr(loaders, "SplitImages", Watched)
    shared = {"augment": "face-strong", "mixup": 0.2, "epochs": 4}
    run.train(settings(votes, tmp_path / "run", **shared, finish_epochs=2, finish_augment="flip"), reporter=Silent())
    assert set(mixed) == {0, 1}
    trained = [(name, epoch) for name, epoch in seen if epoch >= 0]
    assert {epoch for _, epoch in trained} == {0, 1, 2, 3}
    for name, epoch in trained:
        items, image = seen[name, epoch]
        preset = RANGES["face-strong" if epoch < 2 else "flip"]
        plain = items.plain(items.split.ids.index(name))
        wanted = apply_change(plain, draw_change(preset, numpy_generator(0, "augment", name, epoch)))
        assert np.array_equal(image.permute(1, 2, 0).numpy(), wanted)


def test_what_comes_before_the_finish_is_as_without_it(votes, tmp_path):
    shared = {"augment": "face", "mixup": 0.4, "epochs": 3, "schedule": "constant"}
    run.train(settings(votes, tmp_path / "whole", **shared), reporter=Silent())
    run.train(settings(votes, tmp_path / "ended", **shared, finish_epochs=1), reporter=Silent())
    whole, ended = losses(tmp_path / "whole"), losses(tmp_path / "ended")
    assert whole[:2] == ended[:2] and whole[2] != ended[2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"finish_epochs": 3, "epochs": 2}, "--finish-epochs must be at most --epochs"),
        ({"finish_augment": "flip"}, "--finish-augment needs --finish-epochs"),
    ],
)
def test_finishes_that_cannot_be_are_refused(votes, tmp_path, given, message):
    with pytest.raises(UsageError, match=message):
        run.train(settings(votes, tmp_path / "run", **given), reporter=Silent())
