"""Class-balanced sampling: what an epoch draws, and that predictions are of the true class frequencies all the same."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from support import Heard, in_ranks, make_folders, make_ratings, make_votes, set_up, settings, stop_after

from affectkit.checkpoints.checkpoint import load_model, read_header
from affectkit.core.progress import Silent
from affectkit.data.layouts.clip_store import drawn_frames
from affectkit.data.loading.loaders import SplitImages, TrainingKeys, collate
from affectkit.errors import Stopped, UsageError
from affectkit.losses import LOSSES
from affectkit.training import run as runs
from affectkit.training.batch_position import BatchPosition
from affectkit.training.class_sampling import PROPER, ClassSampling
from affectkit.training.training_step import Learner

pytestmark = pytest.mark.usefixtures("no_figures")
CLASSES = ("anger", "happiness", "sadness")


def softmax(values):
    weights = np.exp(values - values.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def distributions(count, *, seed=0):
    """Votes of ten raters, most of them for the first class."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(10, [0.8, 0.17, 0.03], size=count) / 10


def sampling_of(target, power):
    return ClassSampling(power, CLASSES, target.mean(0))


@pytest.mark.parametrize("power", [1e-9, 0.5, 1.0])
def test_an_epoch_draws_images_in_proportion_to_their_weight(power):
    target = distributions(300)
    sampling = sampling_of(target, power)
    weights = target @ target.mean(0) ** -power
    expected = 300 * weights / weights.sum()
    assert np.allclose(sampling.expected_draws(target), expected)
    total = np.zeros(300)
    for epoch in range(200):
        drawn = sampling.draw(target, seed=4, epoch=epoch)
        counts = np.bincount(drawn[:, 0], minlength=300)
        assert counts.sum() == 300 and (np.abs(counts - expected) < 1 + 1e-9).all()
        assert len({tuple(row) for row in drawn}) == 300, "each draw of an image has its number"
        assert (np.bincount(drawn[:, 0], drawn[:, 1], minlength=300) == counts * (counts - 1) / 2).all()
        total += counts
    spread = np.sqrt(np.modf(expected)[0] * (1 - np.modf(expected)[0]) / 200)
    assert (np.abs(total / 200 - expected) < 5 * spread + 1e-6).all()
    if power < 1e-6:
        assert (total == 200).all(), "each image once"


def test_what_is_drawn_follows_from_seed_and_epoch():
    target = distributions(40)
    draws = [sampling_of(target, 1.0).draw(target, seed=s, epoch=e) for s, e in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2]) and not np.array_equal(draws[0], draws[3])
    assert not np.array_equal(np.sort(draws[0][:, 0]), draws[0][:, 0]), "in no order"


def test_balanced_draws_labels_alike():
    labels = np.repeat([0, 1, 2], [70, 20, 10])
    target = np.eye(3)[labels]
    sampling = sampling_of(target, 1.0)
    assert np.allclose(sampling.sampled_prior, 1 / 3)
    root = np.sqrt([0.7, 0.2, 0.1])
    assert np.allclose(sampling_of(target, 0.5).sampled_prior, root / root.sum())
    for epoch in range(5):
        counts = np.bincount(labels[sampling.draw(target, seed=0, epoch=epoch)[:, 0]], minlength=3)
        assert counts.sum() == 100 and (np.abs(counts - 100 / 3) < 8).all()
    targets = {"target": torch.tensor(target, dtype=torch.float32), "votes": torch.ones(100)}
    kept = sampling.sampled_targets(targets)
    assert torch.equal(kept["target"], targets["target"]) and kept["votes"] is targets["votes"]


@pytest.mark.parametrize("power", [0.3, 1.0])
def test_the_best_model_of_what_is_drawn_predicts_what_is_true(power):
    """Images that look alike share a prediction: its optimum under sampling, less the offset, is their mean target."""
    target = distributions(600, seed=3)
    sampling = sampling_of(target, power)
    weights = sampling.expected_draws(target)
    trained = sampling.sampled_targets({"target": torch.tensor(target)})["target"].numpy()
    for seen in np.array_split(np.argsort(-target[:, 2]), 4):  # the rare class is more frequent in the first
        best = (weights[seen, None] * trained[seen]).sum(0) / weights[seen].sum()
        with np.errstate(divide="ignore"):
            kept = softmax(np.log(best) - sampling.offset)
        assert np.allclose(kept, target[seen].mean(0), atol=1e-12)
    everything = (weights[:, None] * trained).sum(0) / weights.sum()
    assert np.allclose(everything, sampling.sampled_prior)


def test_a_class_without_an_image_is_never_drawn_and_not_shifted():
    target = np.eye(3)[[0, 0, 0, 1]]
    sampling = sampling_of(target, 1.0)
    assert np.allclose(sampling.sampled_prior, [0.5, 0.5, 0])
    assert np.allclose(sampling.offset, np.log([0.5 / 0.75, 0.5 / 0.25, 1]))
    assert torch.isfinite(sampling.sampled_targets({"target": torch.tensor(target)})["target"]).all()


def test_the_loss_of_a_step_is_of_shifted_logits_and_sampled_targets(votes, tmp_path):
    chosen = settings(votes, tmp_path / "run", sampling="0.5", dropout=0.0, model="test_vit", image_size=32)
    heard = Heard()
    training = set_up(chosen, reporter=heard)
    sampling, split = training.class_sampling, training.train
    assert sampling.power == 0.5 and np.allclose(sampling.prior, split.distribution.mean(0))
    assert any(text.startswith("classes drawn as anger=") for text in heard.notes)
    raw = collate([SplitImages(split, training.task.spec)[-1, index] for index in range(8)])
    targets = sampling.sampled_targets(training.task.targets(split, epoch=0))
    learner = Learner(training, reporter=Silent())
    with torch.no_grad():
        images = training.context.prepare_batch(raw, training.task.spec)["image"]
        logits = training.model.train()(images).double().numpy()
    found = learner.training_step({**raw, "target": targets["target"][:8]}, [8], BatchPosition(0, 0, 1, 1))
    prior = split.distribution.astype(float).mean(0)
    t = split.distribution[:8] * prior**-0.5
    t /= t.sum(1, keepdims=True)
    p = softmax(logits - 0.5 * np.log(prior))
    expected = np.where(t > 0, t * (np.log(np.maximum(t, 1e-12)) - np.log(p)), 0).sum(1).mean()
    assert float(found) == pytest.approx(expected, abs=1e-5)


def grey_folders(root):
    """Class folders of one grey image each, 56, 16 and 8 times: of them nothing can be learned but the prior."""
    for split in ("train", "valid"):
        for name, count in zip(CLASSES, (56, 16, 8), strict=True):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (24, 24), (128, 128, 128)).save(root / split / name / f"{split}-{name}-{number}.png")
    return root


@pytest.mark.parametrize("ema", [0.0, pytest.param(0.5, marks=pytest.mark.slow)])
def test_a_trained_model_predicts_the_true_frequencies(tmp_path, ema):
    data = grey_folders(tmp_path / "data")
    chosen = settings(
        data, tmp_path / "run", sampling="balanced", epochs=6, lr=0.02, augment="none", dropout=0.0, ema=ema,
        schedule="cosine", optimizer="sgd", early_stop=0, calibrate="none", batch_size=16, model="test_vit",
        image_size=32,
    )  # fmt: skip
    result = runs.train(chosen, reporter=Silent())
    model = load_model(tmp_path / "run" / "last.safetensors").eval()
    with torch.no_grad():
        p = torch.softmax(model(torch.full((1, 3, 32, 32), 0.1)), 1)[0].numpy()
    assert np.allclose(p, [0.7, 0.2, 0.1], atol=0.06), p
    entropy = -(np.array([0.7, 0.2, 0.1]) * np.log([0.7, 0.2, 0.1])).sum()
    assert result["valid"]["loss"] == pytest.approx(entropy, abs=0.03), "the validation was of the kept model"
    prior = read_header(tmp_path / "run").training["training_prior"]
    assert list(prior.values()) == pytest.approx([0.7, 0.2, 0.1])


def test_a_stopped_run_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    data = make_votes(tmp_path / "data", train=30)
    changes = {"sampling": "0.5", "augment": "face-strong", "workers": 2, "cache": "none", "draw_labels": True}
    runs.train(settings(data, tmp_path / "whole", **changes), reporter=Silent())
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Stopped):
            runs.train(settings(data, tmp_path / "cut", **changes), reporter=Silent())
    with pytest.raises(UsageError, match="--sampling cannot be changed"):
        chosen = replace(settings(data, tmp_path / "cut", sampling="balanced"), resume=tmp_path / "cut")
        runs.train(chosen, given=frozenset({"resume", "sampling"}), reporter=Silent())
    runs.train(replace(settings(data, tmp_path / "cut"), resume=tmp_path / "cut"), reporter=Silent())
    runs.train(settings(data, tmp_path / "uniform", **{**changes, "sampling": "uniform"}), reporter=Silent())
    found = {
        name: hashlib.sha256((tmp_path / name / "last.safetensors").read_bytes()).hexdigest()
        for name in ("whole", "cut", "uniform")
    }
    assert found["cut"] == found["whole"] != found["uniform"]


@pytest.mark.slow
def test_processes_share_the_draws_of_one(votes, tmp_path):
    exact = {"model": "test_vit", "image_size": 32, "dropout": 0.0, "optimizer": "sgd", "lr": 0.05,
             "schedule": "cosine", "sampling": "balanced", "augment": "face", "epochs": 1}  # fmt: skip
    runs.train(settings(votes, tmp_path / "one", **exact), reporter=Silent())
    work = lambda: runs.train(settings(votes, tmp_path / "two", **exact), reporter=Silent())  # noqa: E731
    assert in_ranks(2, work) == [0, 0]
    one, two = (load_model(tmp_path / name / "last.safetensors").state_dict() for name in ("one", "two"))
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)


def test_an_image_that_comes_again_is_changed_otherwise(tmp_path):
    training = set_up(settings(make_folders(tmp_path), tmp_path / "run", augment="face-strong"))
    keys = TrainingKeys()
    keys.set(3, [np.array([[5, 0], [6, 1]]), np.array([[5, 2]])])
    assert list(keys) == [[(3, 5), (3, 6, 1)], [(3, 5, 2)]]
    keys.set(3, [np.array([5, 6])])
    assert list(keys) == [[(3, 5), (3, 6)]]
    images = SplitImages(training.train, training.task.spec, augment="face-strong", seed=1)
    first, again, more = (images[key][1] for key in ((3, 5), (3, 5, 1), (3, 5, 2)))
    assert not torch.equal(first, again) and not torch.equal(again, more)
    assert torch.equal(again, images[3, 5, 1][1])
    frames = [drawn_frames(["a"] * 30, 31, seed=0, epoch=2, before=before) for before in ((), [()] * 30, [(1,)] * 30)]
    assert frames[0] == frames[1] != frames[2]


def test_of_losses_that_are_least_elsewhere_a_user_is_told(votes, tmp_path):
    """The mean target minimises kl, ce and mse, and neither l1 nor js: for these the prior is not put back."""
    target, best = torch.tensor([[1.0, 0.0], [0.2, 0.8]]), {}
    for name in LOSSES:
        loss = LOSSES.resolve(name)
        shares = torch.linspace(0.01, 0.99, 99)
        means = torch.stack([loss(torch.tensor([[p, 1 - p]] * 2).log(), target).mean() for p in shares])
        best[name] = float(shares[means.argmin()])
    assert {name for name, share in best.items() if abs(share - 0.6) < 0.006} == set(PROPER)
    for loss, power, count in (("kl", "0.5", 0), ("l1+ce", "0.5", 1), ("js", "uniform", 0), (None, "0.5", 0)):
        heard = Heard()
        set_up(settings(votes, tmp_path / "run", sampling=power, loss=loss), reporter=heard)
        told = [text for text in heard.warnings if text.startswith("--sampling")]
        assert len(told) == count and all("with --loss l1:" in text for text in told)


def test_what_has_no_classes_or_its_own_weights_is_refused(votes, tmp_path):
    ratings = make_ratings(tmp_path / "ratings")
    chosen = settings(ratings / "images", tmp_path / "run", labels=ratings / "ratings.csv", sampling="balanced")
    with pytest.raises(UsageError, match="the task ratings predicts no classes"):
        set_up(chosen)
    for name, value in (("class_weights", "balanced"), ("label_smoothing", 0.1)):
        with pytest.raises(UsageError, match=f"--sampling 0.5 and --{name.replace('_', '-')} exclude each other"):
            settings(votes, tmp_path / "run", sampling="0.5", **{name: value})
    assert settings(votes, tmp_path / "run", sampling=" Balanced").sampling.value == 1
    assert set_up(settings(votes, tmp_path / "run", sampling="0", label_smoothing=0.1)).class_sampling is None
    for text in ("-0.1", "1.1", "nan", "often"):
        with pytest.raises(UsageError, match="must be uniform, balanced, or a power from 0"):
            settings(votes, tmp_path / "run", sampling=text)
