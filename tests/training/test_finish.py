"""``--finish-epochs``: the last epochs are not mixed, and have their own augmentation; all before stays to the bit."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from support import Heard, set_up, settings

from affectkit.core.progress import Silent
from affectkit.core.randomness import numpy_generator
from affectkit.data.loading import loaders
from affectkit.data.loading.presets import Augmentation
from affectkit.data.loading.transforms import RANGES, apply_change, draw_change
from affectkit.errors import UsageError
from affectkit.training import run, training_step
from affectkit.training.mixup import mixes
from affectkit.training.resume_check.killed_run import reduce_setup
from affectkit.training.resume_check.verify import find_cause, shorten

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


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"early_stop": 3}, "--early-stop 3 may end the run before --finish-epochs 2; 0 trains to the end"),
        ({"early_stop": 0}, ""),
        ({"early_stop": 3, "mixup": 0.0}, ""),
        ({"early_stop": 3, "mixup": 0.0, "finish_augment": "none"}, "before --finish-epochs 2"),
        ({"early_stop": 3, "finish_epochs": 4}, ""),
        (
            {"early_stop": 3, "schedule": "cosine", "cycles": 2},
            "in the worse epochs after a restart of --cycles 2, or before --finish-epochs 2",
        ),
    ],
)
def test_an_early_stop_that_may_come_before_the_finish_is_told(votes, tmp_path, changes, told):
    heard, chosen = Heard(), {"mixup": 0.2, "epochs": 4, "finish_epochs": 2, **changes}
    set_up(settings(votes, tmp_path / "run", **chosen), reporter=heard)
    assert [told in text for text in heard.notes if "may end the run" in text] == [True] * bool(told)


@pytest.mark.parametrize(
    ("changes", "idle"),
    [
        ({"finish_epochs": 1}, {"finish_epochs": "no --mixup, --cutmix or --finish-augment"}),
        ({"finish_epochs": 1, "cutmix": 1.0}, {}),
        (
            {"finish_epochs": 2, "cutmix": 1.0, "mixup": 0.1, "finish_augment": "none"},
            dict.fromkeys(("mixup", "cutmix", "augment"), "--finish-epochs 2, which are all"),
        ),
        ({"grow_until": 0.5}, {"grow_until": "no --start-size"}),
        ({"grow_until": 0.5, "start_size": 16}, {}),
    ],
)
def test_what_a_finish_leaves_without_effect_is_named(votes, tmp_path, changes, idle):
    given = frozenset(
        {"finish_epochs", "finish_augment", "mixup", "cutmix", "augment", "grow_until"} & {*changes, *idle}
    )
    told = run.without_effect(settings(votes, tmp_path / "run", **changes), given)
    assert told == [f"--{name.replace('_', '-')} has no effect with {why}." for name, why in sorted(
        idle.items(), key=lambda one: ("grow_until", "finish_epochs", "mixup", "cutmix", "augment").index(one[0])
    )]  # fmt: skip


def test_a_check_of_resuming_has_an_epoch_before_the_finish_and_one_of_it(votes):
    """The two epochs of the check, as the run that it resumes has recorded them."""
    chosen = settings(
        votes, votes, mixup=0.4, augment="face", epochs=20, finish_epochs=5, finish_augment="flip", start_size=16
    )
    short, _ = shorten(chosen, (72, 36), steps=4, images=None, reporter=Silent())
    assert short.rules() == [] and [mixes(short, epoch) for epoch in (0, 1)] == [True, False]
    assert [short.augmentation.at(epoch) for epoch in (0, 1)] == ["face", "flip"]
    tried = []
    found = find_cause(short, lambda one: tried.append(one) or one.finish_epochs > 0)
    assert found == ["--finish-epochs 1"] and all(one.finish_faults() == [] for one in tried)
    assert find_cause(short, lambda one: one.start_size is not None) == ["--start-size 16"]


def test_a_check_of_resuming_holds_in_memory_what_the_run_would(votes):
    """A finish that crops from whole images leaves the training images out."""
    for finish, holds in (("imagenet", False), ("flip", True)):
        chosen = settings(votes, votes, augment="face", finish_epochs=1, finish_augment=finish, cache="ram")
        short, how = shorten(chosen, (72, 36), steps=4, images=None, reporter=Silent())
        train, valid = reduce_setup(set_up(short), how, reporter=Silent()).in_memory
        assert (train is not None) == holds and valid is not None
