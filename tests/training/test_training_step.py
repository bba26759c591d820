"""Optimiser steps against torch's plain ones, and the layout of memory on which fused optimisers rest."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from support import set_up, settings

from affectkit.checkpoints.checkpoint import load_model
from affectkit.core.progress import Silent
from affectkit.data.loading.loaders import SplitImages, collate, epoch_batches
from affectkit.data.loading.transforms import normalise
from affectkit.models.registry import family
from affectkit.training import model_setup, run
from affectkit.training.batch_position import BatchPosition
from affectkit.training.model_setup import initial_model
from affectkit.training.resume_state import read_state, save_state
from affectkit.training.trainer import Trainer
from affectkit.training.training_step import Learner

pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("model", ["test_resnet", "test_convnext"])
@pytest.mark.parametrize("layout", ["chosen", "usual"])
def test_training_takes_the_steps_of_a_plain_loop(votes, tmp_path, monkeypatch, optimizer, model, layout):
    """Fused optimisers over gradients of channels-last images end where separate ones do after ``loss.backward()``.

    Whether the weights are channels-last, too, or not.
    """
    if layout == "usual":
        monkeypatch.setattr(model_setup, "prepare_model", lambda model, *args, **kwargs: model)
    monkeypatch.setattr(Trainer, "draw", lambda *args: None)
    chosen = settings(
        votes, tmp_path / "run", model=model, optimizer=optimizer, image_size=32, augment="none", dropout=0.0, lr=1e-2,
        schedule="constant", epochs=1, weight_decay=0.01, loss="ce",
    )  # fmt: skip
    run.train(chosen, reporter=Silent())
    training = set_up(chosen, reporter=Silent())
    split, spec = training.train, training.task.spec
    plain = initial_model(chosen, family(chosen.model), spec, training.options, reporter=Silent()).train()
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    rest = {"momentum": 0.9} if optimizer == "sgd" else {}
    steps = kinds[optimizer](plain.parameters(), lr=1e-2, weight_decay=0.01, foreach=False, fused=False, **rest)
    images, target = SplitImages(split, spec), torch.tensor(split.distribution)
    for indices in epoch_batches(len(split), 8, seed=0, epoch=0):
        batch = collate([images[-1, int(index)] for index in indices])
        steps.zero_grad()
        torch.nn.functional.cross_entropy(plain(normalise(batch["image"], spec)), target[batch["index"]]).backward()
        steps.step()
    found = load_model(tmp_path / "run" / "last.safetensors").state_dict()
    begun = initial_model(chosen, family(chosen.model), spec, training.options, reporter=Silent()).state_dict()
    for name, value in plain.named_parameters():
        moved, gap = (value - begun[name]).norm(), (value - found[name]).norm()
        assert moved > 0 and gap < 0.05 * moved + 1e-6, f"{name} moved by {moved} and differs by {gap}"


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_state_of_channels_last_weights_comes_back_in_their_layout(votes, tmp_path, optimizer):
    """It is stored in torch's usual layout; CUDA's fused optimisers refuse, and the CPU's mix up, what is not alike."""
    chosen = settings(votes, tmp_path / "run", optimizer=optimizer, momentum=0.9, image_size=32)
    learners = []
    for first in (1, 2):
        training = set_up(chosen, reporter=Silent())
        training.model.to(memory_format=torch.channels_last)
        learner = Learner(training, reporter=Silent())
        if first == 2:
            learner.restore(read_state(tmp_path / "state-000000001"))
        raw = collate([SplitImages(training.train, training.task.spec)[-1, index] for index in range(8)])
        target = training.task.targets(training.train, epoch=0)
        batch = {**raw, **{name: values[raw["index"]] for name, values in target.items()}}
        for step in range(first, 3):
            learner.training_step(batch, [8], BatchPosition(0, step - 1, 8, 1, step=step - 1))
            if step == 1:
                save_state(tmp_path, learner.state(), step=1)
        for parameter, values in learner.optimizer.state.items():
            alike = [v for v in values.values() if isinstance(v, torch.Tensor) and v.shape == parameter.shape]
            assert alike and all(value.stride() == parameter.stride() for value in alike)
        learners.append(learner)
    whole, resumed = (learner.model for learner in learners)
    assert any(p.dim() == 4 and not p.is_contiguous() for p in whole.parameters()), "channels-last weights"
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_position_says_which_batches_make_a_step():
    steps = [BatchPosition(1, number, 6, 4, accumulate=4) for number in range(6)]
    assert [one.begins_step for one in steps] == [True, False, False, False, True, False]
    assert [one.ends_step for one in steps] == [False, False, False, True, False, True]
    assert [one.batches_in_step for one in steps] == [4, 4, 4, 4, 2, 2]
    assert steps[3].epochs_done == 1.5 and steps[3].progress == 0.375


class Parts:
    """A task whose loss has a part."""

    loss_parts = ("recon",)

    def loss(self, outputs, targets, progress):
        return {"loss": outputs.mean(), "recon": 2 * outputs.mean()}


def test_parts_of_the_loss_count_once_where_memory_ends(monkeypatch):
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    learner = object.__new__(Learner)
    learner.fits, learner.parts, learner.reporter, learner.task = None, {}, Silent(), Parts()
    learner._uneven = False
    learner.settings, learner.group = SimpleNamespace(seed=0, sam=0.0), SimpleNamespace(rank=0, is_distributed=False)
    learner.context = SimpleNamespace(device=SimpleNamespace(torch_name="cpu"))
    sizes, scaled = [], []

    def forward(part):
        sizes.append(len(part["value"]))
        return part["value"]

    def backward(loss):
        if sizes[-1] > 3:
            raise torch.OutOfMemoryError("full")
        scaled.append(float(loss))

    learner.prepare_batch = lambda batch, position: batch
    learner.forward, learner.backward = forward, backward
    values = torch.arange(8.0)
    # The second of three batches of a step, so that no optimizer is asked.
    found = learner.training_step({"index": torch.arange(8), "value": values}, [8], BatchPosition(0, 1, 9, 1, 0, 3))
    assert sizes == [8, 4, 2, 2, 2, 2] and float(found) == values.mean()
    assert sum(scaled) == pytest.approx(float(values.mean()) / 3), "a quarter each, of a third of the step"
    assert learner.parts["recon"].read() == 2 * values.sum()
