"""``test --by`` end to end: tables with columns, joined tables, image properties, ratings; files, page and refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import Heard, invoke, without_figures

from affectkit.pages.make import make_report

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""Of the built-in model."""
COUNT = 64


def write(path: Path, header: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gray images with votes, the subject and its age; the second half of the subjects is brighter."""
    root = tmp_path_factory.mktemp("grouped")
    rng, rows = np.random.default_rng(0), []
    for number in range(COUNT):
        name, subject = f"p{number:02}.png", f"s{number % 8}"
        bright = 60 if number % 8 < 4 else 180
        Image.fromarray((bright + rng.normal(0, 10, (48, 48))).clip(0, 255).astype(np.uint8)).save(root / name)
        rows.append([name, subject, 20 + number % 8, *rng.multinomial(10, np.full(8, 0.125))])
    write(root / "test.csv", ["filename", "subject", "age", *CLASSES], rows)
    people = [[f"s{k}", "f" if k % 2 else "m"] for k in range(7)] + [["s9", "m"]]
    write(root.parent / "people.csv", ["SubjectID", "Sex"], people)
    return root


def test(data: Path, *more: object, code: int = 0):
    found = invoke("test", "--checkpoint", "builtin", "--data", data, *more)
    assert found.returncode == code, found.stderr
    return found


test.__test__ = False


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def grouped(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("by") / "results"
    with without_figures():  # but for those of groups
        test(
            data, "--by", "sex,age=24,subject,image:brightness,sex*age", "--groups", data.parent / "people.csv",
            "--min-group", 20, "--results", folder,
        )  # fmt: skip
    return folder


def test_groups_have_the_metrics_of_their_items(data: Path, grouped: Path) -> None:
    samples = rows_of(grouped / "test_results.csv")
    own = {row["filename"]: row["subject"] for row in rows_of(data / "test.csv")}
    sex = {row["SubjectID"]: row["Sex"] for row in rows_of(data.parent / "people.csv")}
    of_item = np.array([sex.get(own[row["Image Name"]], "(not known)") for row in samples])
    right = np.array([row["True Label"] == row["Predicted Label"] for row in samples])
    found = {(row["group"], row["metric"]): row for row in rows_of(grouped / "groups.csv") if row["column"] == "sex"}
    for name in ("f", "m", "(not known)"):
        chosen = of_item == name
        assert int(found[name, "kl"]["n"]) == chosen.sum() > 0
        assert float(found[name, "top1"]["value"]) == pytest.approx(right[chosen].mean(), abs=1e-6)
        mean = np.mean([float(row["kl"]) for row, one in zip(samples, chosen, strict=True) if one])
        assert float(found[name, "kl"]["value"]) == pytest.approx(mean, abs=2e-6)
        assert float(found[name, "kl"]["low"]) < float(found[name, "kl"]["value"]) < float(found[name, "kl"]["high"])
    assert found["(not known)", "kl"]["counted"] == "fewer than 20 items" and found["f", "kl"]["counted"] == "yes"
    (gap,) = (row for row in rows_of(grouped / "gaps.csv") if row["column"] == "sex" and row["metric"] == "kl")
    both = sorted(float(found[name, "kl"]["value"]) for name in ("f", "m"))
    assert float(gap["gap"]) == pytest.approx(both[1] - both[0], abs=2e-6)
    assert float(gap["low"]) <= float(gap["gap"]) <= float(gap["high"])
    assert float(gap["p"]) <= float(gap["p_holm"]) <= 1 and int(gap["tests"]) >= 6


def test_bands_properties_and_small_groups(grouped: Path) -> None:
    record = json.loads((grouped / "results.json").read_text())["groups"]
    columns = {column["name"]: column for column in record["columns"]}
    assert [(group["name"], group["n"]) for group in columns["age"]["groups"]] == [("<24", 32), (">=24", 32)]
    assert [group["n"] for group in columns["image:brightness"]["groups"]] == [16, 16, 16, 16]
    assert len(columns["subject"]["groups"]) == 8 and columns["subject"]["gaps"] == []  # each has 8 items
    assert {group["name"] for group in columns["sex*age"]["groups"]} == {
        "f & 21", "f & 23", "f & 25", "m & 20", "m & 22", "m & 24", "m & 26", "(not known)"
    }  # fmt: skip
    assert record["cluster"] is None and "ece" in record["metrics"]
    ece = next(row for row in columns["age"]["gaps"] if row["metric"] == "ece")
    assert ece["low"] is None and "bias" in ece["method"]


def test_the_page_has_a_section_on_groups(grouped: Path, tmp_path: Path) -> None:
    make_report(grouped, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "By group</h2>" in text and "By image:brightness" in text and "(not known)" in text
    assert "expected by chance" in text and (grouped / "groups.png").stat().st_size > 10_000


def test_clusters_are_named_and_widen_intervals(data: Path) -> None:
    options = ("--by", "age=24", "--min-group", 5, "--json")
    items = json.loads(test(data, *options).stdout)["groups"]
    found = test(data, *options, "--cluster", "subject")
    assert "intervals and tests are over 8 clusters (subject), not over 64 items" in found.stderr
    record = json.loads(found.stdout)["groups"]
    groups = record["columns"][0]["groups"]
    assert record["cluster"] == "subject" and [group["clusters"] for group in groups] == [4, 4]
    assert "4 clusters" in groups[0]["methods"]["kl"]
    gaps = [{row["metric"]: row for row in one["columns"][0]["gaps"]}["kl"] for one in (items, record)]
    assert gaps[0]["gap"] == gaps[1]["gap"] and gaps[0]["method"] != gaps[1]["method"]
    assert gaps[1]["test"] == "permutation of clusters"


def test_a_gap_that_is_too_large_ends_with_3(data: Path) -> None:
    options = ("--by", "image:brightness=0.5,age=24", "--min-group", 10)
    found = test(data, *options, "--fail-under", "gap:kl=0.0001", code=3)
    assert "gap:kl is " in found.stderr and "at most 0.0001 was asked for" in found.stderr
    test(data, *options, "--fail-under", "gap:kl=9")
    wrong = test(data, "--fail-under", "gap:kl=0.1", code=2)
    assert "there is no metric 'gap:kl'" in wrong.stderr
    none = test(data, "--by", "age=24", "--min-group", 60, "--fail-under", "gap:kl=0.1", code=3)
    assert "gap:kl is not defined" in none.stderr and "0 groups to compare, so there is no gap" in none.stderr


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--by", "subjekt"], 2, "Did you mean subject?"),
        (["--by", "label"], 2, "a target or names the items"),
        (["--by", "happiness"], 2, "a target or names the items"),
        (["--by", "image:colour"], 2, "there are image:brightness, image:contrast, image:sharpness, image:size"),
        (["--by", "age=30-20"], 2, "rising numbers"),
        (["--by", "subject=1-2"], 1, "edges are for numbers"),
        (["--by", "age", "--cluster", "who"], 2, "--cluster: there is no column 'who'"),
        (["--groups", "x.csv"], 2, "--groups: a table of columns; --by"),
        (["--by", "sex", "--groups", "nowhere.csv"], 1, "cannot read table nowhere.csv"),
    ],
)
def test_refusals_come_before_the_model_runs(data: Path, options: list[str], code: int, words: str) -> None:
    found = test(data, *options, code=code)
    assert words in found.stderr.replace("\n", " ") and "evaluating" not in found.stderr


def test_ratings_by_group(tmp_path: Path) -> None:
    from affectkit.core.spec import InputSpec
    from affectkit.data.split import Split
    from affectkit.evaluation.groups import analyse_groups
    from affectkit.evaluation.item_groups import find_groups
    from affectkit.settings.by import parse_groups
    from affectkit.tasks.base import Results
    from affectkit.tasks.ratings import RatingsTask

    rng, count = np.random.default_rng(2), 120
    actual = rng.normal(5, 1.5, (count, 2)).clip(1, 9)
    noise = np.repeat([0.2, 2.0], count // 2)[:, None]
    outputs = (actual + noise * rng.normal(size=(count, 2))).astype(np.float32)
    ids = [f"{'easy' if k < count // 2 else 'hard'}_{k}.png" for k in range(count)]
    split = Split("test", tmp_path, ids, (), ratings=actual, scale=(1.0, 9.0))
    task = RatingsTask(InputSpec(task="ratings", classes=("arousal", "valence"), height=8, width=8))
    results = Results(split, outputs, {"target": actual})
    heard = Heard()
    found = find_groups(split, parse_groups("file:([a-z]+)_"), root=tmp_path, reporter=heard)
    analysis = analyse_groups(task, results, found, min_group=30, reporter=heard)
    (column,) = analysis["columns"]
    values = {group["name"]: group["metrics"]["valence_ccc"] for group in column["groups"]}
    assert values["easy"] > 0.95 and values["hard"] < 0.7
    gap = {row["metric"]: row for row in column["gaps"]}["ccc"]
    assert gap["low"] > 0.2 and gap["p_holm"] < 0.01
    assert {"ccc", "r", "rmse"} == set(analysis["tested"]) and "valence_quantile_r" in analysis["without"]
    assert (gap["lowest"], gap["highest"]) == ("hard", "easy")


def test_groups_of_an_earlier_evaluation_do_not_stay_in_its_folder(
    data: Path, tmp_path: Path, no_figures: None
) -> None:
    out = tmp_path / "out"
    files = ("groups.csv", "gaps.csv", "groups.png")
    test(data, "--by", "subject", "--results", out)
    assert all((out / file).is_file() for file in files)
    test(data, "--results", out, "--force")
    assert not any((out / file).exists() for file in files) and (out / "results.json").is_file()
