"""What is fitted or measured on few items says so, or is left out in words."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support import Heard, make_folders, settings

from affectkit.cli.console import span
from affectkit.core.spec import InputSpec
from affectkit.data.split import Split
from affectkit.errors import UsageError
from affectkit.tasks.audiovisual import AudiovisualTask
from affectkit.tasks.base import Results
from affectkit.tasks.categorical import CategoricalOptions, class_weights
from affectkit.tasks.classification import ClassificationTask
from affectkit.training import run

CLASSES = ("a", "b", "c")
SPEC = InputSpec("classification", 24, 24, classes=CLASSES)


def labelled(*counts: int) -> Split:
    labels = np.repeat(np.arange(len(counts)), counts)
    return Split("train", Path("nowhere"), [f"{k}.png" for k in range(len(labels))], CLASSES, labels=labels)


def results_of(count: int, *, right: bool = False) -> Results:
    rng = np.random.default_rng(count)
    labels = rng.integers(3, size=count)
    outputs = np.eye(3)[labels] * 3 if right else rng.normal(size=(count, 3))
    split = Split("valid", Path("nowhere"), [f"{k}.png" for k in range(count)], CLASSES, labels=labels)
    return Results(split, outputs.astype(np.float32), {"target": np.eye(3, dtype=np.float32)[labels]})


def test_balanced_weights_say_what_they_rest_on():
    task = ClassificationTask(SPEC, CategoricalOptions(class_weights="balanced"))
    (told,) = task.fit(labelled(300, 96, 4))
    # N / (C * images of the class)
    assert task.weights.tolist() == pytest.approx([400 / 900, 400 / 288, 400 / 12])
    assert "a 0.444 (300), b 1.39 (96), c 33.3 (4)" in told and "fewer than 5 images of c" in told
    (told,) = task.fit(labelled(30, 9, 5))
    assert "fewer than" not in told
    assert ClassificationTask(SPEC).fit(labelled(30, 9, 4)) == []


def test_a_class_of_less_than_an_image_has_no_balanced_weight():
    shares = np.tile([0.6, 0.4 - 1e-9, 1e-9], (100, 1))
    with pytest.raises(UsageError, match=r"less than one image of c \(1e-07\)"):
        class_weights("balanced", CLASSES, shares.astype(np.float32))
    with pytest.raises(UsageError, match=r"less than one image of b \(0\), c \(0\)"):
        class_weights("balanced", CLASSES, np.eye(3, dtype=np.float32)[[0, 0]])
    one = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    assert class_weights("balanced", CLASSES, one).tolist() == pytest.approx([2 / 3, 4 / 3, 4 / 3])


@pytest.mark.parametrize("count", range(1, 21))
def test_few_items_have_neither_intervals_nor_a_silent_ece(count):
    task, results = ClassificationTask(SPEC), results_of(count)
    told, intervals = task.warnings(results), task.recorded_intervals(results)
    assert any("too few for intervals" in text for text in told) == (intervals["intervals"] == {}) == (count < 10)
    assert (intervals["interval_methods"] == {}) == (count < 10)
    assert any(text.startswith("ece:") for text in told) == (count < 15)
    assert set(task.metrics(results)) <= set(task.metric_direction)


def test_all_right_is_an_interval_up_to_one_for_a_share_and_none_for_a_mean_of_classes():
    found = ClassificationTask(SPEC).intervals(results_of(50, right=True))
    # Of 50 of 50: 0.025 ** (1 / 50)
    assert found["accuracy"] == pytest.approx((0.025 ** (1 / 50), 1.0))
    assert "balanced_accuracy" not in found and "ece" not in found


def test_no_interval_is_shown_as_a_dash():
    assert span((math.nan, math.nan)) == span((None, None)) == "-" and span((0.25, 0.5)) == "0.2500 to 0.5000"


def test_a_temperature_at_a_bound_in_an_old_checkpoint_is_told():
    for temperature, told in ((0.05, True), (20.0, True), (1.0, False), (0.681, False)):
        remarks = ClassificationTask(SPEC.with_(temperature=temperature)).warnings(results_of(30))
        assert any(f"temperature, {temperature:g}, is a bound" in text for text in remarks) == told


def test_raters_who_were_alone_agree_with_nobody():
    results = results_of(12)
    votes = np.eye(3)[results.split.labels]
    task = ClassificationTask(SPEC)
    found = task.rater_metrics(replace(results, fields={**results.fields, "votes": votes}))
    assert math.isnan(found["rater_leave_one_out"]) and found["rater_ceiling"] == 1
    votes[0] = (2, 1, 0)  # one item with three votes: a voter of the two agrees half the time, the other never
    found = task.rater_metrics(replace(results, fields={**results.fields, "votes": votes}))
    assert found["rater_leave_one_out"] == pytest.approx(2 / 3 * 1 / 2)


@pytest.mark.parametrize("variance", [(0.0, 3.0), (0.1, 0.0), (0.1, math.nan)])
def test_errors_are_not_divided_by_a_variance_of_nothing(variance):
    task = AudiovisualTask.from_options(SPEC, {"recon_scale": "variance"})
    split = labelled(3, 2, 1)
    image, audio = variance
    object.__setattr__(split, "store", SimpleNamespace(variance={"image": image, "audio": audio}))
    with pytest.raises(UsageError, match="--recon-scale variance"):
        task.fit(split)
    object.__setattr__(split, "store", SimpleNamespace(variance={"image": 0.25, "audio": 9.0}))
    assert "6 training clips: image 0.25, sound 9 dB^2" in task.fit(split)[0] and task.variance == (0.25, 9.0)


def test_a_stage_without_a_classifier_fits_no_temperature():
    task = AudiovisualTask.from_options(SPEC, {"stage": "autoencoder"})
    spec, told = task.calibrate(results_of(100), "auto")
    assert spec.temperature == 1 and told["fitted"] is False and "autoencoder" in told["reason"]


def test_a_run_tells_its_weights_and_what_is_too_little(tmp_path, no_figures):
    data, heard = make_folders(tmp_path / "data", train=12, valid=6), Heard()
    run.train(settings(data, tmp_path / "run", epochs=1, class_weights="balanced"), reporter=heard)
    assert any("class weights" in text and "sadness 1 (4)" in text for text in heard.notes)
    assert any("metrics of 6 items" in text for text in heard.warnings)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["calibration"]["n"] == 6
