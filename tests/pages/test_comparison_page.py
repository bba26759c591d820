"""The page of a comparison, of folders that the command wrote: what it says, every number, damage."""

from __future__ import annotations

import json

import pytest
from comparison.tested_folders import two_folders
from pages.result_folders import text_of
from pages.test_labelled_kinds import cells
from typer.testing import CliRunner

from affectkit.cli.app import app
from affectkit.errors import DataError
from affectkit.pages.make import make_report


@pytest.fixture
def results(tmp_path):
    a, b = two_folders(tmp_path, count=80, skills=(0.5, 2.0))
    words = ["compare", a, b, "--results", tmp_path / "out", "--draws", 200, "--names", "old,<b>new"]
    assert CliRunner().invoke(app, [*map(str, words)]).exit_code == 0
    return tmp_path / "out"


def test_the_page_says_what_the_command_says(results, tmp_path):
    made = make_report(results, tmp_path / "page.html")
    assert made["kind"] == "compare"
    text, record = text_of(tmp_path / "page.html"), json.loads((results / "comparison.json").read_text())
    assert "<b>new" not in text and "&lt;b&gt;new is better" in text
    for row, said in zip(record["rows"], record["said"], strict=True):
        shown = cells(text, row["metric"])
        assert shown[:2] == ["&lt;b&gt;new", "old"]
        assert shown[2:5] == [f"{row[key]:.4f}" for key in ("second_value", "first_value", "difference")]
        assert shown[5] == f"{row['low']:.4f} to {row['high']:.4f}"
        assert said.split(":")[0].replace("<", "&lt;").replace(">", "&gt;") in text
    assert "of second" in text and str(results.parent / "a") in text
    assert "each model is one training" in text and text.count("<figure>") == 1


def test_damaged_records_are_named(results, tmp_path):
    path = results / "comparison.json"
    record = json.loads(path.read_text())
    for change, words in (
        ({"rows": []}, "holds no comparison"),
        ({"rows": [{"metric": 3}]}, "metric must be text"),
        ({"said": []}, "a sentence for each row"),
    ):
        path.write_text(json.dumps({**record, **change}))
        with pytest.raises(DataError, match=words):
            make_report(results, tmp_path / "page.html")
