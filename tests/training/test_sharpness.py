"""Sharpness-aware minimisation: training's steps against steps written by hand, and what it leaves as it is."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import in_ranks, set_up, settings, stop_after
from torch import nn

from affectkit.checkpoints.checkpoint import load_model
from affectkit.core.progress import Silent
from affectkit.core.randomness import address_seed
from affectkit.data.loading.loaders import SplitImages, collate, epoch_batches
from affectkit.data.loading.transforms import normalise
from affectkit.errors import Stopped, UsageError
from affectkit.runtime.precision import Precision
from affectkit.training import run as runs
from affectkit.training.batch_position import BatchPosition
from affectkit.training.sharpness import ascended, refuse_sam
from affectkit.training.training_step import Learner

pytestmark = pytest.mark.usefixtures("no_figures")


def test_the_weights_go_along_the_gradient_and_come_back():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    frozen = model[2].bias.requires_grad_(False)
    parameters = [value for value in model.parameters() if value.requires_grad]
    model(torch.rand(8, 3)).square().sum().backward()
    model[0].bias.grad = None  # as of one that no batch used
    before = {name: value.clone() for name, value in model.state_dict().items()}
    flat = np.concatenate([value.grad.double().flatten() for value in parameters if value.grad is not None])
    used = [value for value in parameters if value.grad is not None]
    with ascended(model, parameters, 0.3):
        assert all(value.grad is None for value in parameters)
        moved = [value.detach().double() - before[name] for name, value in model.named_parameters()]
        model(torch.rand(8, 3)).sum().backward()
    length = np.sqrt(sum(float((move**2).sum()) for move in moved))
    assert length == pytest.approx(0.3, rel=1e-5)
    whole = np.concatenate([move.flatten() for move, value in zip(moved, model.parameters(), strict=True)
                            if any(value is one for one in used)])  # fmt: skip
    assert np.allclose(whole, 0.3 * flat / np.linalg.norm(flat), atol=1e-6)
    assert not moved[-1].any() and frozen is model[2].bias
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before), "weights, statistics and their counter"
    assert all(value.grad is not None for value in parameters)


def test_weights_without_a_gradient_to_follow_stay_where_they_are():
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.zeros(3)
    with ascended(nn.Module(), [weight], 0.3):
        assert torch.equal(weight, torch.ones(3))


def by_hand(chosen, training, model, *, steps):
    """Steps of SGD with momentum by gradients at the ascended weights, each parameter by itself, in plain loops."""
    split, spec = training.train, training.task.spec
    images, target = SplitImages(split, spec), torch.tensor(split.distribution)
    speed = [torch.zeros_like(value) for value in model.parameters()]
    batches = epoch_batches(len(split), chosen.batch_size, seed=0, epoch=0)
    for step in range(steps):
        numbers = range(step * chosen.accumulate, min((step + 1) * chosen.accumulate, len(batches)))

        def gradients(numbers=numbers):
            total = [torch.zeros_like(value) for value in model.parameters()]
            for number in numbers:
                batch = collate([images[-1, int(index)] for index in batches[number]])
                torch.manual_seed(address_seed(0, "batch", 0, number))
                loss = nn.functional.cross_entropy(model(normalise(batch["image"], spec)), target[batch["index"]])
                found = torch.autograd.grad(loss / len(numbers), list(model.parameters()))
                total = [one + two for one, two in zip(total, found, strict=True)]
            return total

        here = gradients()
        seen = {name: value.clone() for name, value in model.named_buffers()}
        norm = torch.cat([one.flatten() for one in here]).norm()
        start = [value.detach().clone() for value in model.parameters()]
        with torch.no_grad():
            for value, one in zip(model.parameters(), here, strict=True):
                value.add_(chosen.sam * one / norm)
        there = gradients()
        if chosen.clip_norm:
            size = torch.cat([one.flatten() for one in there]).norm()
            there = [one * min(1.0, chosen.clip_norm / float(size)) for one in there]
        with torch.no_grad():
            for value, first, one, moving in zip(model.parameters(), start, there, speed, strict=True):
                moving.mul_(chosen.momentum).add_(one + chosen.weight_decay * first)
                value.copy_(first - chosen.lr * moving)
            for name, value in model.named_buffers():
                value.copy_(seen[name])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate": 2, "clip_norm": 0.5},
        pytest.param({"model": "test_vit", "image_size": 32}, marks=pytest.mark.slow),
    ],
    ids=["batch-norm", "accumulate-clip", "transformer"],
)
def test_steps_are_those_written_by_hand(votes, tmp_path, changes):
    chosen = settings(
        votes, tmp_path / "run", sam=0.1, optimizer="sgd", lr=0.02, momentum=0.9, weight_decay=0.01, dropout=0.3,
        loss="ce", schedule="constant", augment="none", **{"image_size": 24, **changes},
    )  # fmt: skip
    training = set_up(chosen)
    split, spec = training.train, training.task.spec
    reference = copy.deepcopy(training.model).train()
    begun = {name: value.clone() for name, value in reference.state_dict().items()}
    learner = Learner(training, reporter=Silent())
    learner.train()
    batches = epoch_batches(len(split), chosen.batch_size, seed=0, epoch=0)
    targets = training.task.targets(split, epoch=0)
    step = 0
    for number, indices in enumerate(batches):
        raw = collate([SplitImages(split, spec)[-1, int(index)] for index in indices])
        batch = {**raw, **{name: values[raw["index"]] for name, values in targets.items()}}
        position = BatchPosition(0, number, len(batches), 1, step=step, accumulate=chosen.accumulate)
        learner.training_step(batch, [len(indices)], position)
        step += position.ends_step
    by_hand(chosen, training, reference, steps=step)
    assert step == -(-len(batches) // chosen.accumulate) > 1 and learner.again == []
    found, wanted = training.model.state_dict(), reference.state_dict()
    for name, value in wanted.items():
        gap, way = (found[name].double() - value).norm(), (value.double() - begun[name]).norm()
        assert gap <= 0.01 * way + 1e-6, f"{name} moved by {way} and differs by {gap}"
    plain = set_up(replace(chosen, sam=0.0))
    assert any(not torch.equal(value, found[name]) for name, value in plain.model.state_dict().items())


def digests(root, names):
    return {name: hashlib.sha256((root / name / "last.safetensors").read_bytes()).hexdigest() for name in names}


def test_a_stopped_run_ends_as_if_it_had_not_been(votes, tmp_path, monkeypatch):
    changes = {"sam": 0.05, "accumulate": 2, "ema": 0.9, "mixup": 0.4, "dropout": 0.3, "clip_norm": 1.0}
    runs.train(settings(votes, tmp_path / "whole", **changes), reporter=Silent())
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Stopped):
            runs.train(settings(votes, tmp_path / "cut", **changes), reporter=Silent())
    with pytest.raises(UsageError, match="--sam cannot be changed"):
        chosen = replace(settings(votes, tmp_path / "cut", sam=0.1), resume=tmp_path / "cut")
        runs.train(chosen, given=frozenset({"resume", "sam"}), reporter=Silent())
    runs.train(replace(settings(votes, tmp_path / "cut"), resume=tmp_path / "cut"), reporter=Silent())
    runs.train(settings(votes, tmp_path / "without", **{**changes, "sam": 0.0}), reporter=Silent())
    found = digests(tmp_path, ("whole", "cut", "without"))
    assert found["cut"] == found["whole"] != found["without"]


def test_processes_go_up_together(votes, tmp_path):
    """Gradients of all are summed before the ascent: the weights are those of one process."""
    exact = {"model": "test_vit", "image_size": 32, "dropout": 0.0, "optimizer": "sgd", "lr": 0.05, "sam": 0.2,
             "schedule": "cosine", "accumulate": 2, "epochs": 1}  # fmt: skip
    runs.train(settings(votes, tmp_path / "one", **exact), reporter=Silent())
    runs.train(settings(votes, tmp_path / "without", **{**exact, "sam": 0.0}), reporter=Silent())
    work = lambda: runs.train(settings(votes, tmp_path / "two", **exact), reporter=Silent())  # noqa: E731
    assert in_ranks(2, work) == [0, 0]
    one, two, plain = (
        load_model(tmp_path / name / "last.safetensors").state_dict() for name in ("one", "two", "without")
    )
    gap, way = (sum(float((one[name] - other[name]).norm()) for name in one) for other in (two, plain))
    assert gap < 0.01 * way


def test_processes_average_batch_norms_statistics_of_the_first_pass(votes, tmp_path):
    chosen = {"epochs": 1, "batch_size": 72, "lr": 1e-12, "optimizer": "sgd", "momentum": 0.0, "augment": "none"}
    for name, sam in (("plain", 0.0), ("sam", 0.5)):
        work = lambda name=name, sam=sam: runs.train(  # noqa: E731
            settings(votes, tmp_path / name, sam=sam, **chosen), reporter=Silent()
        )
        assert in_ranks(2, work) == [0, 0]
    plain, sam = (load_model(tmp_path / name / "last.safetensors").state_dict() for name in ("plain", "sam"))
    running = [name for name in plain if "running" in name]
    assert running and all(torch.equal(plain[name], sam[name]) for name in running)


def test_scaled_gradients_are_refused():
    fp16 = Precision("fp16", "float16", "cuda", mixed=True, scaled=True, reason="asked for")
    refuse_sam(0.0, fp16)
    refuse_sam(0.05, replace(fp16, name="bf16", dtype="bfloat16", scaled=False))
    with pytest.raises(UsageError, match=r"--sam 0.05 .* fp16 \(asked for\)") as caught:
        refuse_sam(0.05, fp16)
    assert "bf16" in caught.value.hint
