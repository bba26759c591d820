"""The whole comparison: numbers against scikit-learn and SciPy, Holm, repeats, margins, files, faults."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
from comparison.tested_folders import change_record, make_data, model_of, two_folders, write_folder
from sklearn.metrics import accuracy_score, f1_score, log_loss
from typer.testing import CliRunner

from affectkit.cli.app import app
from affectkit.comparison.words import number, p_text
from affectkit.errors import UsageError
from affectkit.reports.comparison import draw_differences
from affectkit.settings.compare import parse_differences


def run(*words: object):
    return CliRunner().invoke(app, ["compare", *map(str, words)])


def compared(*words: object, code: int = 0) -> dict:
    done = run(*words, "--json", "--draws", 200)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return two_folders(tmp_path_factory.mktemp("two"), count=300, skills=(0.6, 2.5))


def table(folder):
    with (folder / "test_results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return rows, [row["True Label"] for row in rows], [row["Predicted Label"] for row in rows]


def test_values_and_tests_are_those_of_scikit_learn_and_scipy(folders):
    from scipy.stats import binomtest

    found = compared(*folders, "--metrics", "accuracy,macro_f1,nll")
    accuracy, f1, nll = found["rows"]
    (_, truth, a), (rows, _, b) = (table(folder) for folder in folders)
    assert accuracy["first_value"] == pytest.approx(accuracy_score(truth, a))
    assert accuracy["difference"] == pytest.approx(accuracy_score(truth, b) - accuracy_score(truth, a))
    assert f1["second_value"] == pytest.approx(f1_score(truth, b, average="macro"))
    p = [[float(row[f"predicted {name}"]) for name in sorted(set(truth))] for row in rows]
    assert nll["second_value"] == pytest.approx(log_loss(truth, p), abs=1e-4)
    gained = sum(x != t and y == t for t, x, y in zip(truth, a, b, strict=True))
    lost = sum(x == t and y != t for t, x, y in zip(truth, a, b, strict=True))
    assert accuracy["p"] == pytest.approx(binomtest(gained, gained + lost).pvalue)
    assert f"{gained} against {lost}" in accuracy["test"]
    ordered = sorted(row["p"] for row in found["rows"])
    assert min(row["p_holm"] for row in found["rows"]) == pytest.approx(3 * ordered[0])
    assert accuracy["low"] < accuracy["difference"] < accuracy["high"]
    assert nll["better"] == "min" and nll["difference"] < 0 and "b is better" in found["said"][2]


def test_default_metrics_are_the_tasks_and_those_without_sums_are_named(folders, tmp_path):
    assert [row["metric"] for row in compared(*folders)["rows"]] == ["loss", "accuracy", "balanced_accuracy"]
    a, b = two_folders(tmp_path / "d", count=40, kind="distribution")
    assert [row["metric"] for row in compared(a, b)["rows"]] == ["kl", "top1"], "loss is kl by another name"
    a, b = two_folders(tmp_path / "r", count=40, kind="ratings", skills=(0.5, 0.9))
    found = compared(a, b, "--metrics", "all")
    assert {"ccc", "valence_ccc", "arousal_rmse"} <= {row["metric"] for row in found["rows"]}
    assert "valence_quantile_r" in " ".join(found["notes"])
    done = run(a, b, "--metrics", "cccc")
    assert done.exit_code == 2 and "Did you mean ccc" in done.stderr
    assert "no sum over items" in run(a, b, "--metrics", "valence_quantile_r").stderr


def test_losses_of_their_own_are_not_compared(tmp_path):
    names = make_data(tmp_path / "data", 40)
    a = write_folder(tmp_path / "a", *model_of(tmp_path / "data", names))
    b = write_folder(tmp_path / "b", *model_of(tmp_path / "data", names, seed=2, options={"loss": "ce+mse"}))
    assert [row["metric"] for row in compared(a, b)["rows"]] == ["accuracy", "balanced_accuracy"]
    assert "losses of their own" in " ".join(compared(a, b, "--metrics", "all")["notes"])
    assert run(a, b, "--metrics", "loss").exit_code == 2


def test_results_are_written_and_the_same_again(folders, tmp_path):
    out = tmp_path / "out"
    done = run(*folders, "--results", out, "--draws", 200, "--names", "old,new", "--report", out / "page.html")
    assert done.exit_code == 0, done.stderr
    assert {path.name for path in out.iterdir()} == {
        "comparison.csv", "comparison.json", "comparison.png", "page.html",
    }  # fmt: skip
    with (out / "comparison.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    record = json.loads((out / "comparison.json").read_text())
    assert [float(row["difference"]) for row in rows] == pytest.approx([row["difference"] for row in record["rows"]])
    assert {row["second"] for row in rows} == {"new"} and rows[0]["clusters"] == ""
    assert "new minus old, n = 300" in done.stdout and "new is better by" in done.stdout
    again = tmp_path / "again"
    assert run(*folders, "--results", again, "--draws", 200, "--names", "old,new").exit_code == 0
    for name in ("comparison.csv", "comparison.json", "comparison.png"):
        assert (again / name).read_bytes() == (out / name).read_bytes()
    assert run(*folders, "--results", out).exit_code == 2


def test_three_models_and_all_pairs(folders, tmp_path):
    a, b = folders
    names = make_data(a.parent / "data", 300)
    c = write_folder(tmp_path / "c", *model_of(a.parent / "data", names, skill=2.5, seed=9))
    found = compared(a, b, c, "--metrics", "accuracy")
    assert [(row["first"], row["second"]) for row in found["rows"]] == [("a", "b"), ("a", "c")]
    found = compared(a, b, c, "--metrics", "accuracy", "--all-pairs")
    assert [(row["first"], row["second"]) for row in found["rows"]] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert "not shown to differ" in found["said"][2] and "80% of such samples" in found["said"][2]
    assert run(a, b, c, "--draws", 200, "--metrics", "all", "--all-pairs").stdout.count("after Holm's correction") == 3


def test_clusters_widen_what_rests_on_few_people(tmp_path):
    names = make_data(tmp_path / "data", names=[f"s{k // 50}_{k}.png" for k in range(300)])
    made = []
    for name, seed, fails in (("a", 1, [0, 1, 2]), ("b", 2, [3, 4, 5])):
        task, results = model_of(tmp_path / "data", names, skill=2.5, seed=seed)
        of_three = np.repeat(np.isin(np.arange(6), fails), 50)  # people with whom the model only guesses
        results.outputs[of_three] = np.random.default_rng(seed).normal(0, 1, (150, 4))
        made.append(write_folder(tmp_path / name, task, results))
    alone = compared(*made, "--metrics", "accuracy")["rows"][0]
    found = compared(*made, "--metrics", "accuracy", "--cluster", r"file:^(s\d+)_")
    (row,) = found["rows"]
    assert row["clusters"] == found["clusters"] == 6 and row["n"] == 300
    assert row["error"] > 1.5 * alone["error"] and "cluster" in row["interval"] and "McNemar" not in row["test"]
    assert "other values of" in " ".join(found["scope"]) and "which is few" in " ".join(found["notes"])


def repeats(root, data, names, skills, first_seed):
    for place, skill in enumerate(skills, 1):
        write_folder(root / f"repeat-{place}" / "test", *model_of(data, names, skill=skill, seed=first_seed + place))
    return root


def test_repeats_are_a_second_source(tmp_path):
    data = tmp_path / "data"
    names = make_data(data, 200)
    a = repeats(tmp_path / "a", data, names, (1.0, 1.4, 0.7), 10)
    b = repeats(tmp_path / "b", data, names, (2.0, 3.0), 20)
    found = compared(a, b, "--metrics", "accuracy")
    (row,) = found["rows"]
    each = [[r["metrics"]["accuracy"] for r in map(record_of, sorted(root.glob("*/test")))] for root in (a, b)]
    assert [row["first_value"], row["second_value"]] == pytest.approx([np.mean(values) for values in each])
    spread = math.sqrt(np.var(each[0], ddof=1) / 3 + np.var(each[1], ddof=1) / 2)
    assert 0 < row["repeat_error"] <= spread, "less what repeats and items have together"
    assert row["error"] ** 2 <= spread**2 + row["item_error"] ** 2 + 1e-12
    assert row["high"] - row["low"] > row["item_high"] - row["item_low"]
    assert (row["first_repeats"], row["second_repeats"]) == (3, 2) and "not as many" in " ".join(found["scope"])
    single = compared(a, b / "repeat-1" / "test", "--metrics", "accuracy")
    assert "trained once, is taken as the one model" in " ".join(single["scope"])
    (b / "repeat-3").mkdir()
    assert "repeat-3 left out: not evaluated yet" in run(a, b, "--draws", 100).stderr


def record_of(folder):
    return json.loads((folder / "results.json").read_text())


def test_margins(folders):
    a, b = folders
    found = compared(a, b, "--fail-under", "difference:accuracy=-0.01,difference:nll=-0.5")
    assert found["missed"] == [] and {"accuracy", "nll"} <= {row["metric"] for row in found["rows"]}
    found = compared(b, a, "--fail-under", "difference:accuracy=-0.01,difference:nll=-0.01", code=3)
    assert len(found["missed"]) == 2 and "above -0.01 was asked for" in found["missed"][0]
    nll = next(row for row in found["rows"] if row["metric"] == "nll")
    assert f"{-nll['high']:.6g}" in found["missed"][1], "of an error, less is better"
    edge = next(row for row in compared(a, b)["rows"] if row["metric"] == "accuracy")["low"]
    assert compared(a, b, "--fail-under", f"difference:accuracy={edge:.17g}", code=3)["missed"], "it must be above"
    done = run(a, b, "--fail-under", "accuracy=0.8")
    assert done.exit_code == 2 and "difference:accuracy=-0.01" in " ".join(done.stderr.split())
    for wrong in ("accuracy=0.8", "difference:accuracy", "", "difference:accuracy=nan"):
        with pytest.raises(UsageError):
            parse_differences(wrong)


def test_a_margin_of_what_is_not_defined_is_missed(tmp_path):
    names = make_data(tmp_path / "data", 30)
    made = []
    for name in "ab":
        task, results = model_of(tmp_path / "data", names, seed=4)
        results.outputs[:] = [0, 1, 0, 0]
        made.append(write_folder(tmp_path / name, task, results))
    found = compared(*made, "--fail-under", "difference:balanced_accuracy=0", code=3)
    assert "not defined (NaN)" in found["missed"][0]
    assert "no difference at all" in found["said"][0]
    # A model that gives the very outputs of the first is no worse, though no interval can rest on what never varies.
    assert compared(*made, "--fail-under", "difference:balanced_accuracy=-0.01,difference:nll=-0.01")["missed"] == []
    results.outputs[:, 2] = np.random.default_rng(1).normal(0, 1, 30)  # no top class changes with these small steps
    results.outputs[:, 2] *= 1e-3
    other = write_folder(tmp_path / "c", task, results)
    found = compared(made[0], other, "--fail-under", "difference:balanced_accuracy=-0.01", code=3)
    assert "not defined (NaN)" in found["missed"][0]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("A",), 2, "two or more"),
        (("A", "A"), 2, "named twice"),
        (("A", "A/../a"), 2, "named twice"),
        (("A", "NONE"), 2, "does not exist"),
        (("A", "builtin"), 2, "is a checkpoint: --data DIR is needed"),
        (("A", "EMPTY"), 1, "holds no results of a test"),
        (("A", "ROOT"), 1, "Did you mean"),
        (("A", "B", "--names", "x"), 2, "1 names for 2 models"),
        (("A", "B", "--groups", "t.csv"), 2, "--groups: a table of columns; --by COLUMN"),
        (("A", "B", "--force"), 2, "--force needs --results"),
        (("A", "B", "--cluster", "actor"), 2, "no column 'actor'"),
        (("A", "B", "--report", "x.html"), 2, "--report needs --results"),
    ],
)
def test_faults_as_a_user_makes_them(folders, tmp_path, words, code, told):
    a, b = folders
    named = {"A": a, "B": b, "NONE": tmp_path / "none", "EMPTY": tmp_path, "ROOT": a.parent, "A/../a": a / ".." / "a"}
    done = run(*(named.get(word, word) for word in words))
    assert done.exit_code == code and told in " ".join(done.stderr.split()), done.stderr


def test_files_that_do_not_go_together(folders, tmp_path):
    import shutil

    a, b = folders
    for name, change, told in (
        ("record", lambda folder: change_record(folder, metrics={"accuracy": 0.9}), "recorded as 0.9"),
        ("gone", lambda folder: (folder / "test_results.csv").unlink(), "is gone"),
        ("form", lambda folder: change_record(folder, metrics=[1]), "metrics must be an object"),
    ):
        folder = shutil.copytree(a, tmp_path / name)
        change(folder)
        done = run(folder, b)
        assert done.exit_code == 1 and told in done.stderr, done.stderr
    (tmp_path / "predicted").mkdir()
    (tmp_path / "predicted" / "inference.json").write_text("{}")
    assert "infer --labels" in run(a, tmp_path / "predicted").stderr
    assert "metrics alone cannot be compared" in run(b, bare(a, tmp_path / "bare")).stderr


def bare(folder, to):
    to.mkdir()
    (to / "results.json").write_text((folder / "results.json").read_text())
    return to


def test_outputs_that_are_no_numbers(folders, tmp_path, monkeypatch):
    a, b = folders
    from affectkit.comparison import compare, result_folders

    read = result_folders.read_run

    def diverged(folder):
        found = read(folder)
        if folder == b:
            found.results.outputs[7] = np.nan
        return found

    monkeypatch.setattr(result_folders, "read_run", diverged)
    done = run(a, b)
    assert done.exit_code == 1 and "1 item are NaN" in done.stderr.replace("outputs of ", ""), done.stderr
    assert compare.LEVEL == 0.95


def test_three_items_are_not_made_much_of(tmp_path):
    found = compared(*two_folders(tmp_path, count=3))
    assert "nothing here can be relied on" in " ".join(found["scope"])
    assert all(row["p_holm"] > 0.05 for row in found["rows"])


def test_numbers_as_text():
    assert number(math.nan) == "-" and p_text(0.0004) == "p < 0.001" and number(-3e-5) == "-3.0e-05"


def test_the_figure_takes_what_is_not_defined(tmp_path):
    row = {
        "metric": "a_very_long_name_of_a_metric_$x$", "better": "max", "first": "one " * 20, "second": "b",
        "difference": math.nan, "low": math.nan, "high": math.nan, "item_low": None, "item_high": None,
        "repeat_error": None, "p_holm": math.nan, "n": 3,
    }  # fmt: skip
    drawn = draw_differences(tmp_path / "x.png", rows=[row, {**row, "metric": "b", "difference": 0.0}])
    assert drawn.stat().st_size > 5000


def test_cremads_clips_are_taken_by_actor(tmp_path):
    names = [f"{1001 + k % 12}_{s}_HAP_XX" for k in range(12) for s in ("IEO", "TIE", "IOM", "IWW")]
    make_data(tmp_path / "data", names=names)
    made = [write_folder(tmp_path / f"{k}", *model_of(tmp_path / "data", names, seed=k)) for k in (1, 2)]
    found = compared(*made, "--metrics", "accuracy")
    assert (
        found["cluster"] == "actor" and found["clusters"] == 12 and "over 12 clusters" in found["rows"][0]["interval"]
    )
    assert compared(*made, "--metrics", "accuracy", "--cluster", "none")["clusters"] is None
    assert "clips of one actor are alike" in run(*made, "--draws", 100).stderr


def test_worse_fails_where_it_is_shown_and_not_where_it_is_not(folders, tmp_path):
    a, b = folders  # b is much better
    done = run(b, a, "--draws", 200, "--fail-if-worse", "accuracy,top1")
    assert done.exit_code == 3 and "accuracy of a is shown to be worse than that of b" in done.stderr
    done = run(a, b, "--draws", 200, "--fail-if-worse", "top1")
    assert done.exit_code == 0 and "held: top1 not shown to be worse" in done.stderr
    few = two_folders(tmp_path, count=20, skills=(1.0, 0.9))
    assert run(*few, "--draws", 200, "--fail-if-worse", "accuracy").exit_code == 0
    assert run(*few, "--draws", 200, "--fail-under", "difference:accuracy=-0.01").exit_code == 3


def test_accuracy_names_top1_of_distributions(tmp_path):
    a, b = two_folders(tmp_path, count=60, kind="distribution")
    found = compared(a, b, "--metrics", "accuracy", "--fail-under", "difference:accuracy=-0.9")
    assert [row["metric"] for row in found["rows"]] == ["top1"] and found["missed"] == []
    done = run(a, b, "--draws", 200, "--fail-under", "difference:accuracy=0.9")
    assert done.exit_code == 3 and "difference:top1 of b" in done.stderr
    assert run(a, b, "--fail-under", "difference:accuracy=-0.9,difference:top1=0").exit_code == 2
