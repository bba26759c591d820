"""``affectkit report`` and ``--report``: where the page goes, what is refused before anything runs."""

from __future__ import annotations

import json

import pytest
from pages.result_folders import photographs
from support import invoke


def test_report_writes_beside_the_results_or_where_asked(tmp_path):
    folder, _, _ = photographs(tmp_path, ["a.png", "b.png"])
    done = invoke("report", folder)
    assert (done.returncode, done.stdout) == (0, f"{folder / 'report.html'}\n")
    assert "2 pictures" in done.stderr
    for option in ("-o", "--output"):
        page = tmp_path / option / "page.html"
        done = invoke("report", folder, option, page, "--json")
        assert json.loads(done.stdout) == {
            "report": str(page), "kind": "inference", "bytes": page.stat().st_size, "pictures": 2, "without_picture": 0,
        }  # fmt: skip


def test_moved_pictures_are_named_and_found(tmp_path):
    folder, _, _ = photographs(tmp_path, ["a.png"])
    (tmp_path / "photos").rename(tmp_path / "moved")
    done = invoke("report", folder)
    assert done.returncode == 0
    assert "1 original is not where the record says" in done.stderr
    assert "0 pictures" in done.stderr
    assert "1 picture)" in invoke("report", folder, "--images", tmp_path / "moved").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "FOLDER is needed"),
        (("nothing",), 2, "does not exist"),
        (("photos",), 1, "holds no results that a report can be made of"),
        (("results", "-o", "page.txt"), 2, "must end in .html"),
        (("results", "--images", "nothing"), 2, "is not a folder"),
    ],
)
def test_what_cannot_be_reported_is_an_error(tmp_path, monkeypatch, arguments, code, words):
    photographs(tmp_path, ["a.png"])
    monkeypatch.chdir(tmp_path)
    done = invoke("report", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    "command",
    [
        ("infer", "photos"), ("test", "--checkpoint", "builtin", "--data", "photos"),
        ("eval-corruptions", "--checkpoint", "builtin", "--data", "photos"), ("quantiles", "table.csv"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused_before_the_run(tmp_path, monkeypatch, command):
    photographs(tmp_path, ["a.png"])
    monkeypatch.chdir(tmp_path)
    done = invoke(*command, "--report", "page.html")
    assert done.returncode == 2
    assert "--report needs --results" in done.stderr
    done = invoke(*command, "--results", "new", "--report", "page.txt")
    assert done.returncode == 2
    assert "--report must end in .html" in done.stderr
    assert not (tmp_path / "page.html").exists()


def test_infer_with_a_report_keeps_its_exit_code(tmp_path):
    photographs(tmp_path, ["a.png"])
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    page = tmp_path / "page.html"
    done = invoke("infer", tmp_path / "photos", "--results", tmp_path / "new", "--report", page)
    assert done.returncode == 4
    assert "Files skipped: 1" in page.read_text(encoding="utf-8")
    refused = invoke("infer", tmp_path / "photos", "--results", tmp_path / "s", "--shard", "1/2", "--report", page)
    assert refused.returncode == 2
    assert "--report and --shard exclude each other" in refused.stderr


def test_quantiles_with_a_report(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("Actual,Predicted\n" + "".join(f"{k},{k + 0.5}\n" for k in range(30)))
    page = tmp_path / "page.html"
    done = invoke(
        "quantiles", table, "--bins", 5, "--results", tmp_path / "q", "--report", page, "--fail-under", "rmse=0.1"
    )
    assert done.returncode == 3  # a bound was missed: the page is there all the same
    assert "rmse" in page.read_text(encoding="utf-8")
