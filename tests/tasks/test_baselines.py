"""What predictions that look at no image score, against scikit-learn and SciPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, mean_squared_error

from affectkit.core.spec import InputSpec
from affectkit.data.split import Split
from affectkit.tasks import headline_metrics, make_task
from affectkit.tasks.base import Task

CLASSES = ("anger", "fear", "joy", "neutral")


def spec(task: str, classes: tuple[str, ...] = CLASSES) -> InputSpec:
    return InputSpec(task=task, height=8, width=8, classes=classes)


def labelled(counts: list[int]) -> Split:
    labels = np.repeat(np.arange(len(CLASSES)), counts)
    return Split("x", Path(), [f"{k}.png" for k in range(len(labels))], CLASSES, labels=labels)


def shared(count: int, seed: int) -> Split:
    shares = np.random.default_rng(seed).dirichlet([0.5, 1, 2, 4], count).astype(np.float32)
    return Split("x", Path(), [f"{k}.png" for k in range(count)], CLASSES, distribution=shares)


def test_labels_as_scikit_learns_dummies_score():
    train, valid = labelled([5, 20, 10, 7]), labelled([9, 4, 6, 11])
    found = make_task(spec("classification")).baselines(train, valid)
    fit, truth = (np.zeros((len(train), 1)), train.labels), valid.labels
    always = DummyClassifier(strategy="most_frequent").fit(*fit).predict(np.zeros((len(valid), 1)))
    prior = DummyClassifier(strategy="prior").fit(*fit).predict_proba(np.zeros((len(valid), 1)))
    assert found == {
        "chance": pytest.approx({"accuracy": 1 / 4, "balanced_accuracy": 1 / 4}),
        "always fear": pytest.approx(
            {"accuracy": accuracy_score(truth, always), "balanced_accuracy": balanced_accuracy_score(truth, always)}
        ),
        "training shares": pytest.approx({"loss": log_loss(truth, prior, labels=range(4))}),
    }
    lots = np.random.default_rng(0).integers(0, 4, (2_000, len(valid)))
    assert found["chance"]["accuracy"] == pytest.approx((lots == truth).mean(), abs=0.01)


def test_a_class_that_validation_lacks_leaves_the_others_to_the_balanced_accuracy():
    found = make_task(spec("classification")).baselines(labelled([1, 9, 1, 1]), labelled([5, 0, 5, 5]))
    assert found["always fear"] == {"accuracy": 0.0, "balanced_accuracy": 0.0}
    found = make_task(spec("classification")).baselines(labelled([9, 1, 1, 1]), labelled([5, 0, 5, 5]))
    assert found["always anger"] == pytest.approx({"accuracy": 1 / 3, "balanced_accuracy": 1 / 3})


def test_distributions_as_scipy_has_the_divergence_of_the_mean():
    train, valid = shared(50, 1), shared(30, 2)
    found = make_task(spec("distribution")).baselines(train, valid)
    mean = train.distribution.mean(0, dtype=np.float64)
    divergence = np.mean([entropy(row.astype(np.float64), mean) for row in valid.distribution])
    assert found["training shares"] == pytest.approx({"kl": divergence}, rel=1e-6)
    assert found["always neutral"] == {"top1": (valid.distribution.argmax(1) == 3).mean()}
    assert found["chance"] == {"top1": 0.25}


def test_chance_counts_each_of_several_top_classes():
    shares = np.array([[0.5, 0.5, 0, 0], [0, 0, 1, 0]], np.float32)
    valid = Split("x", Path(), ["0.png", "1.png"], CLASSES, distribution=shares)
    found = make_task(spec("distribution")).baselines(shared(50, 1), valid)
    assert found["chance"] == {"top1": pytest.approx((2 / 4 + 1 / 4) / 2)}


def test_what_is_trained_on_drawn_labels_has_the_shares_they_are_drawn_from():
    train, valid = shared(50, 1), labelled([9, 4, 6, 11])
    task = make_task(spec("classification"), {"draw_labels": True})
    loss = log_loss(valid.labels, np.tile(train.distribution.mean(0, dtype=np.float64), (30, 1)), labels=range(4))
    assert task.baselines(train, valid)["training shares"]["loss"] == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("classes", [("arousal", "valence"), ("valence",)])
def test_ratings_as_scikit_learns_mean_scores(classes):
    rng = np.random.default_rng(0)
    train, valid = (
        Split("x", Path(), [f"{k}.png" for k in range(n)], (), ratings=rng.uniform(1, 9, (n, 2)), scale=(1, 9))
        for n in (40, 25)
    )
    found = make_task(spec("ratings", classes)).baselines(train, valid)
    columns = [("arousal", "valence").index(name) for name in classes]
    actual = valid.ratings[:, columns]
    mean = DummyRegressor().fit(np.zeros((40, 1)), train.ratings[:, columns]).predict(np.zeros((25, 1)))
    each = mean_squared_error(actual, mean.reshape(25, -1), multioutput="raw_values")
    assert found == {"mean rating": pytest.approx({"mse": each.mean(), "rmse": np.sqrt(each).mean(), "ccc": 0.0})}


def test_autoencoders_and_tasks_that_know_none_have_none():
    task = make_task(spec("audiovisual"), {"stage": "autoencoder"})
    assert task.baselines(labelled([1, 1, 1, 1]), labelled([1, 1, 1, 1])) == {}
    joint = make_task(spec("audiovisual"))
    assert "always joy" in joint.baselines(labelled([1, 1, 3, 1]), labelled([1, 1, 1, 1]))
    assert Task.baselines(task, None, None) == {}


@pytest.mark.parametrize(
    ("names", "monitor", "wanted"),
    [
        (["loss", "accuracy", "balanced_accuracy", "macro_f1"], "loss", ["accuracy", "balanced_accuracy"]),
        (["loss", "accuracy", "balanced_accuracy", "nll"], "nll", ["nll", "accuracy"]),
        (["loss", "ccc", "r", "rmse"], "ccc", ["ccc", "r"]),
        (["reconstruction", "recon_image", "vq_image"], "reconstruction", ["reconstruction", "recon_image"]),
        (["loss"], "loss", []),
        (["loss", "kl", "top1"], "gone", ["kl", "top1"]),
    ],
)
def test_the_metrics_that_are_shown_first(names, monitor, wanted):
    assert headline_metrics(names, monitor) == wanted
