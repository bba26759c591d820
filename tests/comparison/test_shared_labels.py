"""Models of two tasks or of other classes are compared by who gives the label; all that is in the way is named."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from comparison.tested_folders import CLASSES, make_data, model_of, write_folder
from support import invoke

from affectkit.core.spec import InputSpec
from affectkit.tasks import make_task
from affectkit.tasks.base import Results


def distribution_of(results: Results, extra: tuple[str, ...] = (), *, tied: int = 0):
    """The same outputs and labels as a model of distributions, which has ``extra`` classes besides; of the first
    ``tied`` items two classes have half of the votes each."""
    classes = (*extra, *CLASSES)
    count, more = len(results.outputs), len(extra)
    shares = np.zeros((count, len(classes)), np.float32)
    shares[np.arange(count), results.split.labels + more] = 1
    shares[:tied] = 0
    shares[:tied, -2:] = 0.5
    outputs = np.concatenate([np.full((count, more), -2, np.float32), results.outputs], axis=1)
    split = replace(results.split, classes=classes, labels=None, distribution=shares)
    task = make_task(InputSpec("distribution", 8, 8, classes=classes))
    return task, Results(split, outputs, {"target": shares})


def folders(tmp_path, extra=(), *, tied=0, classes=None):
    """``old``: distributions, also over ``extra``; ``new``: a classifier, whose classes are called ``classes``."""
    names = make_data(tmp_path / "data", 80)
    old = distribution_of(model_of(tmp_path / "data", names, skill=0.5)[1], extra, tied=tied)
    task, results = model_of(tmp_path / "data", names, skill=2.0, seed=2)
    if classes is not None:
        task = make_task(task.spec.with_(classes=classes))
        results = replace(results, split=replace(results.split, classes=classes))
    return write_folder(tmp_path / "old", *old), write_folder(tmp_path / "new", task, results)


def compared(*words, code=0):
    done = invoke("compare", *words, "--draws", 200, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def recorded(folder, name):
    return json.loads((folder / "results.json").read_text())["metrics"][name]


def test_a_distribution_and_a_classification_by_the_share_of_right_answers(tmp_path):
    old, new = folders(tmp_path, ("contempt", "fear"))
    found = compared(old, new, "--fail-under", "difference:top1=-0.5")
    accuracy, balanced = found["rows"]
    assert (accuracy["metric"], balanced["metric"]) == ("accuracy", "balanced_accuracy")
    assert np.isclose(accuracy["first_value"], recorded(old, "top1"))
    assert np.isclose(accuracy["second_value"], recorded(new, "accuracy"))
    assert np.isclose(balanced["first_value"], recorded(old, "balanced_accuracy"))
    assert np.isclose(balanced["second_value"], recorded(new, "balanced_accuracy"))
    assert "old is a distribution of 6 classes, new is a classification of 4 classes" in " ".join(found["notes"])
    assert compared(old, new, "--metrics", "all")["rows"][0]["metric"] == "accuracy"
    assert "'ece' is no metric of both" in compared(old, new, "--metrics", "ece", code=2)


def test_items_whose_top_classes_tie_are_left_out_and_counted(tmp_path):
    old, new = folders(tmp_path, tied=3)
    assert "3 items only in new" in compared(old, new, code=1)
    found = compared(old, new, "--common")
    assert found["items"] == 77 and "3 items left out, their top classes tie" in " ".join(found["notes"])


def test_other_names_of_classes_are_named_at_once_and_mapped(tmp_path):
    classes = ("angry", "laughing", "sadness", "surprise")
    old, new = folders(tmp_path, ("fear",), classes=classes)
    said = compared(old, new, code=1)
    assert "lacks 'fear', 'anger', 'happiness' and has 'angry', 'laughing'" in said
    assert "old cannot give 'angry', 'laughing'" in said and "--label-map FILE" in said and "  angry = ?" in said
    (tmp_path / "map.txt").write_text("angry = anger\nlaughing = happiness\n")
    found = compared(old, new, "--label-map", tmp_path / "map.txt")
    assert found["items"] == 80 and np.isclose(found["rows"][0]["second_value"], recorded(new, "accuracy"))
    (tmp_path / "map.txt").write_text("angry = anger\nlaughing = anger\n")
    assert "'angry', 'laughing' of new one class" in compared(old, new, "--label-map", tmp_path / "map.txt", code=1)
