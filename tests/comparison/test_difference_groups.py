"""Differences of models by group: against scikit-learn in each group, and a test of whether they differ."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from comparison.tested_folders import make_data, model_of, write_folder
from sklearn.metrics import accuracy_score
from typer.testing import CliRunner

from affectkit.cli.app import app

BY = r"file:^(\w)_"
NAMES = [f"{kind}_{k}.png" for k, kind in enumerate(["x"] * 200 + ["y"] * 200 + ["z"] * 9)]


def run(*words: object):
    return CliRunner().invoke(app, ["compare", *map(str, words)])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The first model guesses in group y, where the second is as good as elsewhere; z has few items."""
    place = tmp_path_factory.mktemp("groups")
    names = make_data(place / "data", names=NAMES)
    first, second = (model_of(place / "data", names, skill=2.5, seed=seed) for seed in (1, 2))
    first[1].outputs[200:400] = np.random.default_rng(5).normal(0, 1, (200, 4))
    return [write_folder(place / name, *model) for name, model in (("a", first), ("b", second))]


def right(folder, kind):
    with (folder / "test_results.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["Image Name"].startswith(kind)]
    return accuracy_score([row["True Label"] for row in rows], [row["Predicted Label"] for row in rows])


def test_differences_by_group(folders, tmp_path):
    results = tmp_path / "out"
    done = run(*folders, "--metrics", "accuracy,nll", "--by", BY, "--results", results, "--report", tmp_path / "c.html")
    assert done.exit_code == 0, done.output
    assert "b minus a" in done.stdout and "(z)" in done.stdout and "fewer than 30 items" in done.stderr
    (column,) = json.loads((results / "comparison.json").read_text())["groups"]["columns"]
    x, y, z = column["groups"]
    for group in (x, y, z):
        gained = right(folders[1], group["name"]) - right(folders[0], group["name"])
        assert group["metrics"]["accuracy"] == pytest.approx(gained), group["name"]
    assert (x["n"], y["n"], z["n"]) == (200, 200, 9) and not z["counted"]
    low, high = y["intervals"]["accuracy"]
    assert low < y["metrics"]["accuracy"] < high and low > 0.2
    accuracy, nll = column["gaps"]
    assert accuracy["gap"] == pytest.approx(abs(y["metrics"]["accuracy"] - x["metrics"]["accuracy"]))
    assert accuracy["highest"] == "y" and accuracy["p"] < 0.01 and accuracy["tests"] == 2
    assert nll["lowest"] == "y", "nll falls most where the second gains most"
    written = {path.name for path in results.iterdir()}
    assert {"difference_groups.csv", "difference_gaps.csv", "difference_groups.png"} <= written
    assert "Differences by group" in (tmp_path / "c.html").read_text()
    again = run(*folders, "--metrics", "accuracy", "--results", results, "--force")
    assert again.exit_code == 0 and not list(results.glob("difference_*")), "they are of an earlier comparison"


def test_models_that_are_alike_everywhere_do_not_differ_between_groups(folders, tmp_path):
    root = folders[0].parent / "data"
    made = [
        write_folder(tmp_path / name, *model_of(root, NAMES, skill=2.5, seed=seed))
        for name, seed in (("c", 7), ("d", 8))
    ]
    found = json.loads(run(*made, "--metrics", "accuracy", "--by", BY, "--json").stdout)
    assert found["groups"]["columns"][0]["gaps"][0]["p"] > 0.05


def test_every_pair_has_its_own_columns(folders, tmp_path):
    root = folders[0].parent / "data"
    third = write_folder(tmp_path / "c", *model_of(root, NAMES, skill=1.0, seed=9))
    found = json.loads(run(*folders, third, "--metrics", "accuracy", "--by", BY, "--all-pairs", "--json").stdout)
    told = [column["name"] for column in found["groups"]["columns"]]
    assert told == [f"{BY} ({pair})" for pair in ("b minus a", "c minus a", "c minus b")]
    assert {gap["tests"] for column in found["groups"]["columns"] for gap in column["gaps"]} == {3}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--min-group", 5], 2, "--by COLUMN"),
        (["--groups", "x.csv"], 2, "--by COLUMN,... or --cluster"),
        (["--by", "age"], 2, "there is no column 'age'"),
        (["--by", "image:brightness", "--data", "DATA"], 1, "is not an image"),
    ],
)
def test_faults(folders, words, code, told):
    words = [folders[0].parent / "data" if word == "DATA" else word for word in words]
    done = run(*folders, *words)
    assert done.exit_code == code and told in done.stderr.replace("\n", " "), done.output


def test_repeats_have_no_groups(folders, tmp_path):
    for number in (1, 2):
        model = model_of(folders[0].parent / "data", NAMES, seed=number)
        write_folder(tmp_path / "r" / f"repeat-{number}" / "test", *model)
    done = run(tmp_path / "r", folders[0], "--by", BY)
    assert done.exit_code == 2 and "RUN/repeat-1" in done.stderr
