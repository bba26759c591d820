"""``affectkit quantiles``: any CSV, several at once, faults by line, thresholds."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pandas as pd
import pytest
from support import affectkit
from typer.testing import CliRunner

from affectkit.cli.app import app
from affectkit.cli.quantiles import _shorten, _width
from affectkit.errors import UsageError
from affectkit.evaluation.thresholds import check_thresholds, missed_thresholds
from affectkit.settings.values import parse_thresholds

GOOD = "test_Arousal_actual_predicted.csv"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """CSV files, good and bad."""
    root = tmp_path_factory.mktemp("csv")
    rng = np.random.default_rng(0)
    q = np.round(rng.uniform(1, 9, 600), 2)
    p = 1.5 + 0.7 * q + rng.normal(0, 1, 600)
    pd.DataFrame({"Actual": q, "Predicted": p}).to_csv(root / GOOD, index=False)
    whole = pd.DataFrame({"Image Name": "a,b.png", "Actual Valence": np.round(q), "Predicted Valence": p})
    whole.to_csv(root / "test_results.csv", index=False)
    whole.loc[[3, 9], "Actual Valence"] = np.nan
    whole.to_csv(root / "gaps.csv", index=False, encoding="utf-8-sig")
    pd.DataFrame({"Actual": q, "Predicted": 5.2}).to_csv(root / "constant.csv", index=False)
    (root / "odd.csv").write_text("Predicted,Actual\n1,2\n,3\n2, NA \n\n4, 5\n6,NaN\n7,8\n")
    (root / "bad.csv").write_text("Actual,Predicted\n1,2\nhigh,3\n2,inf\n4,1_0\n5\n" + "x,1\n" * 12)
    (root / "semicolons.csv").write_text("Actual;Predicted\n1;2\n")
    (root / "twice.csv").write_text("Actual,Actual,Predicted\n1,2,3\n")
    (root / "empty.csv").write_text("")
    (root / "header.csv").write_text("Actual,Predicted\n")
    (root / "blank.csv").write_text("Actual,Predicted\n,1\n")
    (root / "utf16.csv").write_bytes("Actual,Predicted\n1,2\n".encode("utf-16"))
    return root


def run(*arguments: object):
    return CliRunner().invoke(app, ["quantiles", *map(str, arguments)])


def test_as_a_user_would(files, tmp_path):
    out = tmp_path / "out"
    done = affectkit("quantiles", GOOD, "constant.csv", "--results", out, "--fail-under", "r=0.9,rmse=9", cwd=files)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    title, header, *rows = done.stdout.splitlines()
    assert "over the bin means" in title and header.split()[:3] == ["file", "n", "NaN"]
    assert [row.split()[0] for row in rows] == [GOOD, "constant.csv"] and "25 of 25" in rows[0] and " - " in rows[1]
    assert done.stderr.count("Warning") == 1 and "constant.csv: every predicted value is 5.2" in done.stderr
    assert "Over the bin means: constant.csv: r is not defined (NaN); at least 0.9 was asked for." in done.stderr
    assert {path.name for path in out.iterdir()} == {"quantiles.csv", "quantiles.png", "summary.json"}
    summary = json.loads((out / "summary.json").read_text())
    assert len(summary["missed"]) == 1 and summary["files"][1]["r"] is None


def test_numbers_are_those_of_pandas(files, tmp_path):
    done = run(files / GOOD, "--bins", 10, "--json", "--results", tmp_path)
    assert done.exit_code == 0
    (row,) = json.loads(done.stdout)["files"]
    table = pd.read_csv(files / GOOD)
    means = table.groupby(pd.qcut(table.Actual, 10, duplicates="drop"), observed=True).mean()
    assert row["n"] == 600 and row["left_out"] == 0 and row["bins"] == 10
    assert row["r"] == pytest.approx(means.Actual.corr(means.Predicted), rel=1e-9)
    error = means.Predicted - means.Actual
    assert row["rmse"] == pytest.approx(math.sqrt((error**2).mean()))
    assert row["r2"] == pytest.approx(1 - (error**2).sum() / ((means.Actual - means.Actual.mean()) ** 2).sum())
    assert row["items"]["r"] == pytest.approx(table.Actual.corr(table.Predicted))
    written = pd.read_csv(tmp_path / "quantiles.csv")
    assert list(written) == ["file", "bin", "low", "high", "count", "actual_mean", "predicted_mean"]
    assert written["count"].sum() == 600 and written.bin.tolist() == list(range(1, 11))
    np.testing.assert_allclose(written.predicted_mean, means.Predicted, atol=6e-7)
    assert written.low[1:].tolist() == written.high[:-1].tolist()


def test_pooled_items_are_binned_together_beside_the_mean_of_the_analyses(files, tmp_path):
    rng = np.random.default_rng(4)
    names, tables = [], []
    for k, gain in enumerate((0.9, 0.2)):
        q = rng.uniform(1, 9, 200 + 100 * k)
        table = pd.DataFrame({"Actual": q, "Predicted": 5 + gain * (q - 5) + k + rng.normal(0, 0.5, len(q))}).round(6)
        table.loc[[4, 7][: k + 1], "Predicted"] = np.nan
        names.append(f"repeat-{k + 1}.csv")
        table.to_csv(tmp_path / names[-1], index=False)
        tables.append(table.dropna())
    done = affectkit("quantiles", "--pool", *names, "--results", "out", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    pooled, mean = summary["pooled"], summary["mean_of_analyses"]
    whole = pd.concat(tables)
    means = whole.groupby(pd.qcut(whole.Actual, 25), observed=True).mean()
    assert (pooled["n"], pooled["left_out"], pooled["bins"]) == (497, 3, 25)
    assert [row["left_out"] for row in summary["files"]] == [1, 2]
    assert pooled["r"] == pytest.approx(means.Actual.corr(means.Predicted), rel=1e-9)
    assert pooled["rmse"] == pytest.approx(math.sqrt(((means.Predicted - means.Actual) ** 2).mean()))
    assert pooled["items"]["r"] == pytest.approx(whole.Actual.corr(whole.Predicted))
    for name in ("r", "r2", "rmse"):
        assert mean[name] == pytest.approx(np.mean([row[name] for row in summary["files"]]))
        assert abs(mean[name] - pooled[name]) > 1e-4  # they are two numbers
    written = pd.read_csv(tmp_path / "out" / "quantiles.csv")
    assert written.groupby("file")["count"].sum().to_dict() == {
        "repeat-1.csv": 199, "repeat-2.csv": 298, "all files, pooled": 497,
    }  # fmt: skip
    shown = affectkit("quantiles", *names, "--pool", cwd=tmp_path).stdout
    assert "mean of the 2 analyses" in shown and "pooled: all items, then bins" in shown
    # A bound is on the pooled analysis alone; without --pool on every file.
    bound = ("--fail-under", f"rmse={pooled['rmse'] + 1e-3}")
    assert run(*(tmp_path / name for name in names), "--pool", *bound).exit_code == 0
    assert run(*(tmp_path / name for name in names), *bound).exit_code == 3
    missed = run(*(tmp_path / name for name in names), "--pool", "--fail-under", "rmse=0.01")
    assert missed.exit_code == 3 and "all files, pooled: rmse is" in " ".join(missed.stderr.split())
    assert missed.stderr.count("at most 0.01") == 1


def test_rows_without_a_value_are_left_out_and_named(files):
    columns = ("--actual", "Actual Valence", "--predicted", "Predicted Valence")
    done = run(files / "gaps.csv", *columns, "--json")
    (row,) = json.loads(done.stdout)["files"]
    assert done.exit_code == 0 and row["n"] == 598 and row["left_out_lines"] == [5, 11] and row["bins"] == 8
    assert "2 of 600 rows left out, with an empty or NaN value: lines 5, 11" in done.stderr
    assert "8 of 25 bins are left, since there are only 9 different actual values" in done.stderr
    odd = run(files / "odd.csv", "--json", "--quiet")
    (row,) = json.loads(odd.stdout)["files"]
    assert row["n"] == 3 and row["left_out_lines"] == [3, 4, 7] and row["bins"] == 3
    assert "lines 3, 4, 7" in odd.stderr and "bins are left" not in odd.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, ["FILES are needed"]),
        (("{}/" + GOOD, "--bins", 1), 2, ["--bins must be at least 2"]),
        (("{}/" + GOOD, "--actual", "Predicted"), 2, ["same column, 'Predicted'"]),
        (("{}/" + GOOD, "{}/" + GOOD), 2, ["named twice"]),
        (("{}/" + GOOD, "--pool"), 2, ["--pool is for two files or more"]),
        (("{}/" + GOOD, "--fail-under", "ccc=0.5"), 2, ["no metric 'ccc'", "r, r2, rmse"]),
        (("{}/" + GOOD, "--fail-under", "r"), 2, ["METRIC=VALUE", "r=0.9"]),
        (("{}/" + GOOD, "--results", "{}"), 2, ["--results", "not empty", "--force"]),
        (("{}/" + GOOD, "--fail-under", "rmse=0.01"), 3, ["rmse is 0.", "at most 0.01"]),
        (
            ("{}/test_results.csv",),
            1,
            ["neither 'Actual' nor 'Predicted'", '--actual "Actual Valence" --predicted "Predicted Valence"'],
        ),
        (("{}/test_results.csv", "--actual", "Actual Valence"), 1, ['mean --predicted "Predicted Valence"?']),
        (("{}/" + GOOD, "--actual", "actual"), 1, ["no column 'actual'", '--actual "Actual"']),
        (
            ("{}/bad.csv",),
            1,
            ["finite numbers: lines 3 ('high'), 4 ('inf'), 5 ('1_0')", "(all: 3-5, 7-18)", "2 columns: line 6 (1)"],
        ),
        (("{}/semicolons.csv",), 1, ["semicolons or tabs"]),
        (("{}/twice.csv",), 1, ["2 columns called 'Actual'"]),
        (("{}/empty.csv",), 1, ["is empty"]),
        (("{}/header.csv",), 1, ["no row with numbers"]),
        (("{}/utf16.csv",), 1, ["not UTF-8"]),
        (
            ("{}/blank.csv", "{}/none.csv", "{}", "{}/" + GOOD),
            1,
            ["3 of 4 tables", "of 1, none has both", "it does not exist", "it is a folder"],
        ),
    ],
)
def test_faults_are_one_message(arguments, code, words, files):
    done = run(*(str(argument).format(files) for argument in arguments))
    assert done.exit_code == code, done.stderr
    text = " ".join(done.stderr.split())
    for word in words:
        assert word in text, done.stderr
    assert "unexpected" not in text and (code == 3) == bool(done.stdout)


def test_force_writes_into_a_folder_and_settings_come_from_a_file(files, tmp_path):
    (tmp_path / "old.txt").write_text("kept")
    (tmp_path / "c.yaml").write_text(f"files: ['{files / GOOD}']\nbins: 4\nforce: true\nresults: {tmp_path}\n")
    assert run("--config", tmp_path / "c.yaml").exit_code == 0
    with (tmp_path / "quantiles.csv").open(newline="") as stream:
        assert len(list(csv.reader(stream))) == 5 and (tmp_path / "old.txt").read_text() == "kept"


def test_thresholds():
    better = {"r": "max", "rmse": "min"}
    bounds = check_thresholds(parse_thresholds(" r=0.9, rmse=1e-1"), better)
    assert bounds == {"r": 0.9, "rmse": 0.1}
    assert missed_thresholds(bounds, {"r": 0.9, "rmse": 0.1}, better) == []
    assert len(missed_thresholds(bounds, {"r": 0.89, "rmse": 0.11}, better)) == 2
    assert len(missed_thresholds(bounds, {"r": math.nan}, better)) == 2
    with pytest.raises(UsageError, match="--fail-under: there is no metric 'ccc'"):
        check_thresholds({"ccc": 1.0}, better)


def test_a_narrow_terminal_cuts_names_not_numbers():
    cells = [["file", "r"], ["results/of/a/run/" + GOOD, "0.1234"], ["b.csv", "0.5"]]
    _shorten(cells, 40)
    assert _width(cells) == 40 and cells[1][0].startswith("…") and cells[1][0].endswith("actual_predicted.csv")
    assert cells[1][1] == "0.1234" and cells[2] == ["b.csv", "0.5"]
