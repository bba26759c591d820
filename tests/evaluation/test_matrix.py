"""``matrix`` end to end: models and data sets of other classes, cells that fail, files, page and refusals."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from support import TINY, invoke, make_folders, make_ratings, without_figures

from affectkit.evaluation import matrix as module
from affectkit.pages.make import make_report


def run(*arguments: object, code: int = 0):
    found = invoke("matrix", *arguments)
    assert found.returncode == code, found.stderr
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets of the same pictures under other names of classes, and two models; ratings beside."""
    root = tmp_path_factory.mktemp("matrix")
    make_folders(root / "own")
    shutil.copytree(root / "own", root / "other")
    classes = sorted(path.name for path in (root / "own" / "test").iterdir())
    for split in ("train", "valid", "test"):
        for number, name in enumerate(classes):
            (root / "other" / split / name).rename(root / "other" / split / f"other{number}")
    tiny = ("--model", TINY, "--no-pretrained", "--image-size", 32, "--epochs", 1, "--batch-size", 12, "--quiet")
    for name in ("own", "other"):
        with without_figures():
            found = invoke("train", "--data", root / name, "--output", root / f"run-{name}", *tiny)
        assert found.returncode == 0, found.stderr
    make_ratings(root / "rated", count=12)
    lines = [f"other{number} = {name}" for number, name in enumerate(classes)]
    (root / "map.txt").write_text("\n".join(lines) + "\n")
    (root / "part.txt").write_text(lines[0] + f"\n{lines[1].split(' =')[0]} =\n")
    return root


def pairs(root: Path) -> list[object]:
    return [
        "--checkpoint", f"a={root / 'run-own'}", "--checkpoint", root / "run-other",
        "--data", root / "own", "--data", f"second={root / 'other'}",
    ]  # fmt: skip


def cells_of(summary: dict) -> dict[tuple[str, str], dict]:
    return {(cell["model"], cell["data"]): cell for cell in summary["cells"]}


def test_every_model_on_every_data_set(root: Path, tmp_path: Path) -> None:
    found = run(*pairs(root), "--label-map", root / "map.txt", "--results", tmp_path / "m", "--json")
    summary = json.loads(found.stdout)
    cells = cells_of(summary)
    assert list(cells) == [("a", "own"), ("a", "second"), ("run-other", "own"), ("run-other", "second")]
    for model, run_folder, data in (("a", "run-own", "own"), ("run-other", "run-other", "other")):
        single = invoke("test", "--checkpoint", root / run_folder, "--data", root / data, "--json")
        expected = json.loads(single.stdout)["metrics"]
        own = cells[model, "second" if data == "other" else "own"]
        assert own["metrics"] == pytest.approx({name: expected[name] for name in own["metrics"]}, rel=1e-6)
    for model in ("a", "run-other"):  # the same pictures under other names
        assert cells[model, "own"]["metrics"] == pytest.approx(cells[model, "second"]["metrics"])
        assert cells[model, "own"]["n"] == cells[model, "second"]["n"] == 12
    low, high = cells["a", "own"]["intervals"]["accuracy"]
    assert low <= cells["a", "own"]["metrics"]["accuracy"] <= high
    with (tmp_path / "m" / "matrix.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["accuracy"]) for row in rows] == pytest.approx(
        [cell["metrics"]["accuracy"] for cell in cells.values()], abs=1e-6
    )
    assert json.loads((tmp_path / "m" / "matrix.json").read_text()) == summary
    assert (tmp_path / "m" / "matrix_accuracy.png").stat().st_size > 5_000
    make_report(tmp_path / "m", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "accuracy by model (down) and data set (across)" in text and "run-other" in text


def test_classes_that_a_model_lacks_are_left_out_and_counted(root: Path) -> None:
    found = run(*pairs(root)[:2], *pairs(root)[4:], "--label-map", root / "part.txt", "--json")
    cell = cells_of(json.loads(found.stdout))["a", "second"]
    assert cell["n"] < cell["of"] == 12 and cell["n"] + sum(cell["left_out"].values()) == 12
    assert "other1" in cell["left_out"] and len(cell["absent"]) >= 1
    assert "left out, since the model has no such class: other1 (" in found.stderr


def test_cells_that_do_not_go_together_have_a_reason(root: Path, tmp_path: Path) -> None:
    found = run(*pairs(root), "--data", root / "rated", "--split", "test,all", "--results", tmp_path / "m", code=4)
    record = json.loads((tmp_path / "m" / "matrix.json").read_text())
    cells = cells_of(record)
    assert "no class in common" in cells["a", "second"]["failed"] and record["failed"] == 4
    assert cells["a", "rated"]["failed"] and not cells["a", "own"]["failed"]
    assert "4 of 6 cells could not be computed" in found.stderr and "\n-" not in found.stdout
    make_report(tmp_path / "m", tmp_path / "page.html")
    assert "not computed: a and second have no class in common" in (tmp_path / "page.html").read_text()
    none = run("--checkpoint", root / "run-own", "--data", root / "rated", code=1)
    assert "no model could be tested on any data set" in none.stderr


def test_data_sets_are_scanned_and_models_loaded_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"find_dataset": 0, "load_tested": 0}
    for name in counts:
        inner = getattr(module, name)

        def counted(*given, inner=inner, name=name, **more):
            counts[name] += 1
            return inner(*given, **more)

        monkeypatch.setattr(module, name, counted)
    run(*pairs(root), "--label-map", root / "map.txt", "--quiet")
    assert counts == {"find_dataset": 2, "load_tested": 2}


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ([], 2, "--checkpoint is needed, once or more"),
        (["--checkpoint", "builtin", "--data", "nowhere"], 2, "--data nowhere: there is no such folder"),
        (["--checkpoint", "builtin", "--checkpoint", "builtin", "--data", "."], 2, "two are called 'builtin'"),
        (["--checkpoint", "none.safetensors", "--data", "."], 1, "none.safetensors"),
        (
            ["--checkpoint", "builtin", "--data", ".", "--split", "dev"],
            2,
            "--split must be one of train, valid, test, all; got 'dev'",
        ),
        (["--checkpoint", "builtin", "--data", ".", "--label-map", "no.txt"], 1, "cannot read --label-map no.txt"),
    ],
)
def test_refusals(options: list[str], code: int, words: str) -> None:
    assert words in run(*options, code=code).stderr.replace("\n", " ")


def test_a_map_that_names_nothing_is_refused_before_a_model_runs(root: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.txt").write_text("othr0 = circle\n")
    found = run(*pairs(root), "--label-map", tmp_path / "wrong.txt", code=1)
    assert "did you mean other0" in found.stderr and "evaluating" not in found.stderr


def test_test_takes_a_label_map_too(root: Path, tmp_path: Path) -> None:
    own = json.loads(invoke("test", "--checkpoint", root / "run-own", "--data", root / "own", "--json").stdout)
    options = ("--checkpoint", root / "run-own", "--data", root / "other", "--json")
    mapped = json.loads(invoke("test", *options, "--label-map", root / "map.txt").stdout)
    assert mapped["metrics"] == pytest.approx(own["metrics"]) and "left_out" not in mapped
    found = invoke("test", *options, "--label-map", root / "part.txt")
    part = json.loads(found.stdout)
    assert found.returncode == 0 and part["images"] + sum(part["left_out"].values()) == 12
    assert f"{part['images']} of 12 items are tested; left out" in found.stderr
    (tmp_path / "wrong.txt").write_text("othr0 = x\n")
    wrong = invoke("test", *options, "--label-map", tmp_path / "wrong.txt")
    assert wrong.returncode == 1 and "did you mean other0" in wrong.stderr
