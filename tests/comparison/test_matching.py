"""Items are matched by name, target and content, classes by name; what differs is named, or left out and counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from comparison.tested_folders import CLASSES, change_record, make_data, model_of, two_folders, write_folder

from affectkit.comparison.clusters import actors_in_names, find_clusters, likely_cluster
from affectkit.comparison.matching import match
from affectkit.comparison.result_folders import read_folder
from affectkit.comparison.tested_models import TestedModel, short_names
from affectkit.core.files import write_json
from affectkit.core.progress import Silent
from affectkit.errors import DataError, UsageError
from affectkit.evaluation.outputs import write_tables


def read(*folders):
    return [TestedModel(folder.name, str(folder), read_folder(folder)[0]) for folder in folders]


def test_the_same_items_in_another_order_give_the_same(tmp_path):
    a, _ = two_folders(tmp_path, count=30)
    names = make_data(tmp_path / "data", 30)
    task, results = model_of(tmp_path / "data", names, seed=2)
    order = np.random.default_rng(0).permutation(30)
    fields = {name: values[order] for name, values in results.fields.items()}
    turned = replace(results, split=results.split.select(order), outputs=results.outputs[order], fields=fields)
    write_folder(tmp_path / "turned", task, turned)
    found = match(read(a, tmp_path / "turned"), common=False)
    assert found.left_out == {} and found.notes == [] and found.ids == names
    assert np.array_equal(found.models[1].runs[0].results.outputs, results.outputs)


def test_classes_in_another_order_are_matched_by_name(tmp_path):
    names = make_data(tmp_path / "data", 40)
    task, results = model_of(tmp_path / "data", names)
    write_folder(tmp_path / "a", task, results)
    turned = tuple(reversed(CLASSES))
    other = type(task)(task.spec.with_(classes=turned))
    split = replace(results.split, classes=turned, labels=3 - results.split.labels)
    fields = {"target": results.fields["target"][:, ::-1]}
    write_folder(tmp_path / "b", other, replace(results, split=split, outputs=results.outputs[:, ::-1], fields=fields))
    found = match(read(tmp_path / "a", tmp_path / "b"), common=False)
    a, b = (model.runs[0] for model in found.models)
    assert np.array_equal(a.results.outputs, b.results.outputs)
    assert {name: one.of() for name, one in a.measures.items()} == {name: one.of() for name, one in b.measures.items()}


@pytest.mark.parametrize(
    ("change", "words", "common"),
    [
        ({"names": 20}, "10 items only in a: images/00020.png", 20),
        ({"truth": 5}, "items with another target in b than in a", None),
        ({"data": 3}, "30 items with another content in b than in a", 0),
        ({"classes": ("anger", "fear", "sadness", "surprise")}, "lacks 'happiness' and has 'fear'", -1),
        ({"kind": "ratings"}, "tasks differ", -1),
    ],
)
def test_what_differs_is_named(tmp_path, change, words, common):
    names = make_data(tmp_path / "data", 30)
    write_folder(tmp_path / "a", *model_of(tmp_path / "data", names))
    root, given = tmp_path / "data", dict(change)
    if "data" in given:
        root = tmp_path / "more"
        make_data(root, 30, seed=given.pop("data"))
    write_folder(tmp_path / "b", *model_of(root, names[: given.pop("names", 30)], seed=2, **given))
    models = read(tmp_path / "a", tmp_path / "b")
    with pytest.raises(DataError, match=words):
        match(models, common=False)
    if common is None or common > 0:
        found = match(models, common=True)
        count = len(found.ids)
        assert count == common or (common is None and 0 < count < 30)
        assert found.left_out["a"] == 30 - count and words in " ".join(found.notes)
        assert all(len(model.runs[0].results.split) == count for model in found.models)
    else:
        with pytest.raises(DataError, match="no item in common" if common == 0 else words):
            match(models, common=True)


def test_other_names_of_the_same_contents_are_noticed(tmp_path):
    names = make_data(tmp_path / "data", 12)
    other = make_data(tmp_path / "other", 12, names=[name.replace("images", "pics") for name in names])
    write_folder(tmp_path / "a", *model_of(tmp_path / "data", names))
    write_folder(tmp_path / "b", *model_of(tmp_path / "other", other, seed=2))
    with pytest.raises(DataError, match="no item in common") as error:
        match(read(tmp_path / "a", tmp_path / "b"), common=True)
    assert "contents of 12 items are the same under other names" in error.value.hint


@pytest.mark.parametrize("kind", ["classification", "distribution", "ratings"])
def test_folders_of_earlier_versions_are_read_from_their_tables(tmp_path, kind):
    a, b = two_folders(tmp_path, count=50, kind=kind, **({} if kind == "ratings" else {"temperature": 1.7}))
    (a / "outputs.safetensors").unlink()
    found = match(read(a, b), common=False)
    assert "six decimals" in found.notes[0] and "fingerprints of the data agree" in found.notes[0]
    old = found.models[0].runs[0]
    for name in ("ccc", "rmse") if kind == "ratings" else ("brier", "ece", "balanced_accuracy"):
        assert old.measures[name].of() == pytest.approx(old.recorded[name], abs=1e-5), name
    change_record(a, data_fingerprint="other")
    assert "could not be checked" in match(read(a, b), common=False).notes[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("Image Name", "Name"), "no column 'Image Name'"),
        (lambda text: text.replace("true anger", "anger"), "lacks the columns true anger"),
        (lambda text: text.splitlines()[0] + "\n", "no rows"),
        (lambda text: text + text.splitlines()[1] + "\n", "named twice: images/00000.png"),
        (lambda text: text + "x,y\n", "line 22"),
        (lambda text: text.replace(",0.000000", ",?", 1), "must be a number: line 2"),
        (lambda text: text.replace(",0.000000", ",nan", 1), "must be a number: line 2"),
    ],
)
def test_damaged_tables_of_earlier_versions(tmp_path, change, words):
    a, _ = two_folders(tmp_path, count=20)
    (a / "outputs.safetensors").unlink()
    table = a / "test_results.csv"
    table.write_text(change(table.read_text()))
    with pytest.raises(DataError, match=words):
        read_folder(a)


def test_short_names_are_distinct():
    assert short_names(["runs/a/test", "runs/b/best.safetensors", "x.v2"]) == ["a", "b", "x.v2"]
    assert short_names(["one/r", "two/r", "three"]) == ["one/r", "two/r", "three"]
    assert short_names(["results/first", "results/last"]) == ["first", "last"]
    assert short_names(["a/x", "b/x"]) == ["a", "b"] and short_names(["r/a/test", "r/a/valid"]) == ["test", "valid"]
    assert short_names(["r/a/best.safetensors", "r/a/last.safetensors"]) == ["best", "last"]
    assert short_names(["a", "b"], ["first", "second"]) == ["first", "second"]
    for wrong in (["first"], ["same", "same"], ["", "x"]):
        with pytest.raises(UsageError, match="--names"):
            short_names(["a", "b"], wrong)


CLIPS = [f"{actor}_{sentence}_HAP_XX" for actor in (1001, 1002, 1091) for sentence in ("IEO", "TIE")]


def test_actors_are_known_from_cremads_names_and_from_tables(tmp_path):
    alone = {"root": None, "labels": None, "groups": None, "classes": ()}
    found = find_clusters(CLIPS, "actor", **alone)
    assert found.values == ["1001", "1001", "1002", "1002", "1091", "1091"] and found.count == 3
    assert actors_in_names([*CLIPS, "other.png"]) == []
    assert likely_cluster(CLIPS, None) == "actor" and likely_cluster(["a.png"], None) == ""
    table = tmp_path / "people.csv"
    table.write_text("filename,who\n" + "".join(f"{name},{name[:4]}\n" for name in CLIPS))
    found = find_clusters(CLIPS, "who", **{**alone, "groups": table})
    assert found.count == 3 and "3 whos, which is few" in " ".join(found.notes)
    assert find_clusters(CLIPS, r"file:^(\d+)_", **alone).count == 3
    table.write_text("filename,who\n" + "".join(f"{name},{name[:4]}\n" for name in CLIPS[:4]))
    with pytest.raises(DataError, match="2 items of 6 have no value: 1091_IEO_HAP_XX"):
        find_clusters(CLIPS, "who", **{**alone, "groups": table})
    with pytest.raises(UsageError, match="no column 'whom'"):
        find_clusters(CLIPS, "whom", **{**alone, "groups": table})


def test_other_conditions_and_one_model_under_two_names_are_told(tmp_path):
    a, b = two_folders(tmp_path, count=30)
    assert match(read(a, b), common=False).notes == []
    names = make_data(tmp_path / "data", 30)
    task, results = model_of(tmp_path / "data", names, skill=1.0)
    twin = write_folder(tmp_path / "twin", task, results)
    again = write_folder(tmp_path / "again", task, results)
    (note,) = match(read(twin, again), common=False).notes
    assert "again has the very outputs of twin on 30 items" in note
    change_record(b, altered="gaussian_noise:3", prior={"anger": 0.5, "happiness": 0.5})
    (note,) = match(read(a, b), common=False).notes
    assert "a: as they are" in note and "b: images corrupted by gaussian_noise:3 and predictions re-weighted" in note


def test_cross_validations_are_compared_out_of_fold(tmp_path):
    names, folders = make_data(tmp_path / "data", 40), []
    for seed in (1, 2):
        task, results = model_of(tmp_path / "data", names, seed=seed)
        results = replace(results, split=replace(results.split, name="out_of_fold"))
        folder = tmp_path / f"cv{seed}" / "out_of_fold"
        folder.mkdir(parents=True)
        write_tables(folder, task, results, samples="out_of_fold_results.csv", reporter=Silent())
        record = {"out_of_fold": task.metrics(results), "caveat": "models share data"}
        write_json(folder.parent / "metrics.json", record)
        folders.append(folder.parent)
    (run,), (note,) = read_folder(folders[0])
    assert note.endswith("is a cross-validation: what is out of fold is compared")
    assert run.results.split.name == "out_of_fold" and run.recorded["accuracy"] == run.measures["accuracy"].of()
