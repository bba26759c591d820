"""Train a V1 network: its recipe, a task other than the study's, its checkpoint, and starting from it."""

from __future__ import annotations

import pytest
import torch
from support import Heard, settings

from affectkit.checkpoints.checkpoint import load_model
from affectkit.checkpoints.find import find_checkpoint
from affectkit.config import resolve
from affectkit.core.progress import Silent
from affectkit.errors import UsageError
from affectkit.evaluation.test import test as run_test
from affectkit.models.registry import build, family
from affectkit.runtime.distributed import current_group
from affectkit.settings.evaluation import TestSettings
from affectkit.settings.training import TrainSettings
from affectkit.training import run
from affectkit.training.data_setup import set_up_data

pytestmark = pytest.mark.usefixtures("no_figures")


def test_the_recipe_is_the_studys_and_flags_win(tmp_path):
    flags = {"data": tmp_path, "output": tmp_path / "o", "model": "resnet50_composite_b"}
    found = resolve(TrainSettings, flags=flags).settings
    assert (found.optimizer, found.lr, found.momentum, found.weight_decay) == ("sgd", 0.1, 0.9, 1e-5)
    assert (found.schedule, found.milestones, found.factor) == ("multistep", (60, 80), 0.1)
    assert (found.batch_size, found.epochs, found.keep_every, found.dropout) == (128, 100, 10, 0)
    assert (found.augment, found.fit, found.monitor) == ("imagenet", "imagenet", "accuracy")
    assert resolve(TrainSettings, flags={**flags, "lr": 0.01, "schedule": "cosine"}).settings.lr == 0.01


def test_it_learns_distributions_and_is_loaded_again(votes, tmp_path):
    options = {
        "model": "resnet50_v1", "v1": "center-surround,local-rf,tuned-norm", "task": "distribution", "epochs": 1,
        "image_size": 32, "batch_size": 16, "lr": 1e-3, "pretrained": True,
    }  # fmt: skip
    heard = Heard()
    run.train(settings(votes, tmp_path / "run", **options), reporter=heard)
    model = load_model(tmp_path / "run")
    assert model.spec.height == 32 and model.layer1[2].conv2.weight.shape == (1, 64, 64, 8, 8, 9)
    values = {"checkpoint": tmp_path / "run", "data": votes, "workers": 0}
    tested = run_test(resolve(TestSettings, flags=values).settings, reporter=Silent())
    assert tested["images"] == 12 and tested["metrics"]["kl"] > 0
    # From that run folder, a network with other classes takes all but the last layer.
    other = build("resnet50_v1", model.spec.with_(classes=("x", "y")), v1=options["v1"])
    said = family("resnet50_v1").load_weights(other, find_checkpoint(tmp_path / "run"), classes=("x", "y"))
    assert "left at their initial values: fc.bias, fc.weight" in said
    mine, its = model.state_dict(), other.state_dict()
    assert all(torch.equal(value, its[name]) for name, value in mine.items() if not name.startswith("fc."))


def test_the_best_epoch_is_by_accuracy_or_what_comes_nearest(votes, folders):
    def chosen(task, data, **changes):
        found = settings(
            data, data / "none", **{"model": "resnet50_plain", "task": task, "monitor": "accuracy", **changes}
        )
        heard = Heard()
        return set_up_data(found, group=current_group(), reporter=heard).monitor, heard.notes

    name, notes = chosen("classification", folders)
    assert name == "accuracy" and not any("best epoch" in note for note in notes)
    name, notes = chosen("distribution", votes)
    assert name == "top1" and not any("best epoch" in note for note in notes)  # accuracy, as that task calls it
    with pytest.raises(UsageError, match="has no metric 'accuracyy'"):
        chosen("classification", folders, monitor="accuracyy")
    assert chosen("distribution", votes, model="test_resnet")[0] == "top1"
