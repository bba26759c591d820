"""Metrics as sums over items against the metrics themselves, of every task."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from affectkit.core.spec import InputSpec
from affectkit.data.split import Split
from affectkit.evaluation.outputs import class_intervals
from affectkit.reports import plots
from affectkit.statistics.exact import clopper_pearson
from affectkit.statistics.measures import left_out
from affectkit.tasks.audiovisual import AudiovisualOptions, AudiovisualTask
from affectkit.tasks.base import Results
from affectkit.tasks.categorical import CategoricalOptions
from affectkit.tasks.classification import ClassificationTask
from affectkit.tasks.distribution import DistributionTask
from affectkit.tasks.ratings import RatingsTask

CLASSES = ("a", "b", "c", "d")
SPEC = InputSpec("classification", 24, 24, classes=CLASSES, temperature=1.7)


def of_classes(task_type, n: int = 83, *, seed: int = 0, facts=None):
    rng = np.random.default_rng(seed)
    votes = rng.multinomial(8, [0.4, 0.3, 0.2, 0.1], size=n).astype(np.float32)
    votes[:3] = np.eye(4)[0]  # of a single rater
    shares = votes / votes.sum(1, keepdims=True)
    labels = votes.argmax(1)
    ids = [f"{k}.png" for k in range(n)]
    split = Split("valid", Path("nowhere"), ids, CLASSES, labels=labels, facts=facts or {})
    target = np.eye(4, dtype=np.float32)[labels] if task_type is not DistributionTask else shares
    outputs = (rng.normal(size=(n, 4)) + 2 * shares).astype(np.float32)
    return Results(split, outputs, {"target": target.astype(np.float32), "votes": votes})


def check(task, results, missing: set[str]) -> None:
    metrics, measures = task.metrics(results), task.measures(results)
    assert len(measures) > 3
    for measure in measures:
        assert measure.of() == pytest.approx(metrics[measure.name], rel=1e-9, abs=1e-12), measure.name
        assert measure.better == task.metric_direction.get(measure.name, "max"), measure.name
        assert len(measure) == len(results.split) and measure.terms.dtype == np.float64
    assert [measure.name for measure in measures] == [name for name in metrics if name not in missing]
    assert set(left_out(metrics, measures)) == missing


@pytest.mark.parametrize(
    ("task", "loss"), [(ClassificationTask, None), (DistributionTask, None), (DistributionTask, "js+mse")]
)
def test_measures_of_classes_equal_the_metrics(task, loss):
    check(task(SPEC, CategoricalOptions(loss=loss)), of_classes(task), set())


@pytest.mark.parametrize("task", [ClassificationTask, DistributionTask])
def test_measures_of_a_subset_equal_the_metrics_of_it(task):
    results, rows = of_classes(task), np.arange(7, 60, 3)
    fields = {name: values[rows] for name, values in results.fields.items()}
    metrics = task(SPEC).metrics(Results(results.split.select(rows), results.outputs[rows], fields))
    measures = task(SPEC).measures(results)
    assert len(measures) > 10
    for measure in measures:
        assert measure.of(rows) == pytest.approx(metrics[measure.name], rel=1e-9), measure.name


def test_measures_by_class_equal_those_of_the_table():
    results, task = of_classes(ClassificationTask), ClassificationTask(SPEC)
    table, checked = task.tables(results)["per_class.csv"], 0
    for measure in task.class_measures(results):
        kind, name = measure.name.split(" ", 1)
        assert measure.of() == pytest.approx(table[kind][CLASSES.index(name)]), measure.name
        checked += 1
    assert checked == 3 * len(CLASSES)


def test_recall_by_class_has_exact_intervals_and_over_clusters_others(monkeypatch):
    results, task = of_classes(ClassificationTask), ClassificationTask(SPEC)
    truth, right = results.fields["target"].argmax(1), results.outputs.argmax(1) == results.fields["target"].argmax(1)
    exact = class_intervals(task, results, None)
    for k in range(len(CLASSES)):
        of_class = truth == k
        low, high = clopper_pearson(int(right[of_class].sum()), int(of_class.sum()))
        assert (exact["recall_low"][k], exact["recall_high"][k]) == pytest.approx((low, high), nan_ok=True)
        assert exact["recall_interval"][k] == ("Clopper-Pearson" if of_class.any() else "no interval: not defined")
    assert exact["recall_interval"].count("Clopper-Pearson") >= 3
    assert list(exact) == ["recall_low", "recall_high", "recall_interval", "precision_low", "precision_high"]
    drawn = {}
    monkeypatch.setattr(plots, "class_recall", lambda path, **given: drawn.update(given))
    task.figures(results, lambda position: None)["recall.png"](Path("recall.png"))
    assert np.array(drawn["bounds"]).T.tolist() == [exact["recall_low"], exact["recall_high"]]  # as the table beside it
    clustered = class_intervals(task, results, [f"actor{k % 12}" for k in range(len(truth))])
    assert clustered["recall_interval"][0] == "jackknife t over 12 clusters"
    assert clustered["recall_low"][0] != exact["recall_low"][0]
    ratings = RatingsTask(InputSpec("vca", 24, 24, classes=("valence",)))
    split = Split("valid", Path("nowhere"), ["a.png"], ("valence",), ratings=np.ones((1, 1)))
    assert class_intervals(ratings, Results(split, np.ones((1, 1), np.float32), {}), None) == {}


@pytest.mark.parametrize(("loss", "missing"), [(None, set()), ("mse", set()), ("mse+ccc:0.5", {"loss"})])
@pytest.mark.parametrize("classes", [("arousal", "valence"), ("valence",)])
def test_measures_of_ratings_equal_the_metrics(classes, loss, missing):
    rng = np.random.default_rng(1)
    ratings = np.round(rng.uniform(1, 9, (90, 2)), 1)
    split = Split("valid", Path("nowhere"), [f"{k}.png" for k in range(90)], classes, ratings=ratings)
    task = RatingsTask(InputSpec("vca", 24, 24, classes=classes), loss=loss)
    outputs = (0.6 * task.actual(split) + rng.normal(1, 1, (90, len(classes)))).astype(np.float32)
    quantile = {f"{name}_quantile_{kind}" for name in classes for kind in ("r", "r2", "rmse")}
    check(task, Results(split, outputs, {}), missing | quantile)


@pytest.mark.parametrize("stage", ["joint", "autoencoder"])
def test_measures_of_clips_equal_the_metrics(stage):
    rng = np.random.default_rng(2)
    n = 83
    votes = {f"votes_{name}": rng.integers(0, 4, (n, 4)).astype(np.float32) for name in ("voice", "face", "both")}
    votes["votes_voice"][::3] = 0
    results = of_classes(AudiovisualTask, facts=votes)
    codes = rng.integers(0, 512, (n, 9))
    extras = {name: rng.random(n).astype(np.float32) for name in ("recon_image", "recon_audio", "vq_image", "vq_audio")}
    extras |= {"codes_image": codes, "codes_audio": codes, "mask": np.tile([1.0, 0.0, -1.0, 0.0], (n, 1))}
    task = AudiovisualTask(
        SPEC, CategoricalOptions(), AudiovisualOptions(stage=stage, recon_scale="variance", variance=(0.5, 2.0))
    )
    book = {f"{kind}_{name}" for name in ("image", "audio") for kind in ("perplexity", "codes_used", "dead_codes")}
    mask = {"private_image", "private_audio", "shared_image", "shared_audio", "complementarity"}
    check(task, dataclasses.replace(results, extras=extras), book | (mask if stage == "joint" else set()))
    assert bool(task.class_measures(results)) == (stage == "joint")
