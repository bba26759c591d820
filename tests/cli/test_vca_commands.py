"""VCA as a user types it, in one process: train, test, infer with and without labels, cache, the recipe, errors."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from support import clip_config, invoke, make_ratings, without_figures

from affectkit.cli.infer import _finite
from affectkit.models import clip

pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Data without a header, and a run on it."""
    root = tmp_path_factory.mktemp("vca-commands")
    with pytest.MonkeyPatch.context() as patch, without_figures():
        patch.setenv("AFFECTKIT_CACHE", str(root / "cache"))
        data = make_ratings(root / "data", count=24)
        with (data / "ratings.csv").open(newline="") as stream:
            rows = [[*row[0].rsplit(".", 1), row[2], row[1]] for row in list(csv.reader(stream))[1:]]
        with (data / "bare.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows(rows)
        done = invoke(
            "train", "--model", "vca", "--data", data / "images", "--labels", data / "bare.csv", "--clip",
            clip_config(data), "--clip-weights", "random", "--epochs", 2, "--batch-size", 8, "--views", 1, "--workers",
            0, "--output", root / "run", "--json",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "r2_fitted" in json.loads(done.stdout)["valid"]
        yield root


def test_infer_writes_each_prediction_under_its_name(place, tmp_path):
    images = place / "data" / "images"
    done = invoke("infer", images, "--checkpoint", place / "run", "--results", tmp_path / "r", "--workers", 0)
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader((tmp_path / "r" / "inference_results.csv").open()))
    assert rows[0] == ["Image Name", "Predicted Valence", "Predicted Arousal"] and len(rows) == 25
    done = invoke(
        "infer", images, "--checkpoint", place / "run", "--labels", place / "data" / "bare.csv", "--results",
        tmp_path / "t", "--json", "--workers", 0,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 24
    tested = {row["Image Name"]: row for row in csv.DictReader((tmp_path / "t" / "test_results.csv").open())}
    for name, valence, arousal in rows[1:]:
        assert tested[name]["Predicted Valence"] == valence and tested[name]["Predicted Arousal"] == arousal


def test_json_without_results_is_one_object_with_the_rows(place, tmp_path):
    for number in range(3):
        shutil.copy(place / "data" / "images" / f"{number:03}.png", tmp_path / f"{number} NaN.png")
    for number in range(23):
        (tmp_path / f"bad{number:02}.png").write_text("no image")
    command = ("infer", tmp_path, "--checkpoint", place / "run", "--workers", 0)
    done = invoke(*command, "--json")
    assert done.returncode == 4, done.stderr
    found = json.loads(done.stdout)
    lines = invoke(*command, "--format", "jsonl").stdout.splitlines()
    assert found["predictions"] == [json.loads(line) for line in lines] and len(lines) == 3
    assert (found["images"], found["skipped"], found["task"]) == (3, 23, "ratings")
    # No folder holds a list of them: all are named here.
    assert [one["image"] for one in found["skipped_first"]] == [f"bad{number:02}.png" for number in range(23)]
    # A command that fails has printed nothing.
    failed = invoke(*command, "--json", "--on-error", "fail")
    assert failed.returncode == 1 and not failed.stdout
    kept = json.loads(invoke(*command, "--json", "--results", tmp_path / "r").stdout)
    assert "predictions" not in kept and kept["results"].startswith(str(tmp_path / "r"))


@pytest.mark.parametrize(("line", "expected"), [
    ('{"a": 1.5}\n', {"a": 1.5}), ('{"a": NaN, "b": "NaN"}\n', {"a": None, "b": "NaN"}),
    ('{"a": -Infinity}\n', {"a": None}),
])  # fmt: skip
def test_rows_in_json_hold_null_for_what_is_no_number(line, expected):
    assert json.loads(_finite(line), parse_constant=pytest.fail) == expected


def test_labels_of_infer_need_one_folder_and_results(place, tmp_path):
    labels = place / "data" / "bare.csv"
    done = invoke("infer", place / "data" / "images", "--checkpoint", place / "run", "--labels", labels)
    assert done.returncode == 2 and "--labels needs --results" in done.stderr
    image = place / "data" / "images" / "000.png"
    done = invoke("infer", image, "--checkpoint", place / "run", "--labels", labels, "--results", tmp_path / "r")
    assert done.returncode == 2 and "one folder" in done.stderr


def test_a_missed_threshold_ends_with_3(place):
    done = invoke(
        "test", "--checkpoint", place / "run", "--data", place / "data" / "images", "--labels",
        place / "data" / "bare.csv", "--fail-under", "valence_ccc=0.999", "--workers", 0,
    )  # fmt: skip
    assert done.returncode == 3 and "valence_ccc is" in done.stderr
    assert "95% interval" in done.stdout


def test_the_cache_is_shown_and_cleared(place):
    done = invoke("cache", "--json")
    (store,) = json.loads(done.stdout)["stores"]
    assert done.returncode == 0 and store["rows"] == 24 and store["identity"]["fit"] == "stretch"
    assert "32x32x3" in invoke("cache").stdout
    assert invoke("cache", "zz", "--clear").returncode == 2
    assert invoke("cache", "--clear", "--older-than", 1).returncode == 0 and Path(store["folder"]).exists()
    done = invoke("cache", Path(store["folder"]).name[:6], "--clear")
    assert done.returncode == 0 and "removed" in done.stderr and not Path(store["folder"]).exists()


def test_the_recipe_is_shown(place):
    done = invoke("train", "--model", "vca", "--data", "x", "--output", "y", "--lr", 0.1, "--print-config", "--json")
    found = json.loads(done.stdout)
    assert found["epochs"] == {"value": 50, "source": "recipe of vca"} and found["lr"]["source"] == "flag"


def test_faulty_rows_are_named_and_nothing_is_made(place, tmp_path):
    table = tmp_path / "bad.csv"
    table.write_text("000,png,5,6\n001,png,,6\n002,png,5\n000,png,4,4\nnone,png,4,4\n")
    done = invoke(
        "train", "--model", "vca", "--data", place / "data" / "images", "--labels", table, "--output", tmp_path / "run"
    )
    assert done.returncode == 1
    assert "ratings must not be empty: line 2 (arousal)" in done.stderr and "line 3 (3)" in done.stderr
    assert not (tmp_path / "run").exists()


def test_openais_weights_that_are_not_here_are_told_at_once(place, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(clip, "is_cached", lambda choice: False)
    done = invoke(
        "train", "--model", "vca", "--clip", "ViT-B-32", "--data", place / "data" / "images", "--labels",
        place / "data" / "bare.csv", "--output", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 1 and "vit_base_patch32_clip_224.openai" in done.stderr
    assert "--clip-weights FILE" in done.stderr and not (tmp_path / "run").exists()
