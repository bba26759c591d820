"""eval-corruptions and corruptions as a user runs them."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image
from support import invoke

from affectkit.corruptions import CORRUPTIONS


def test_a_table_a_threshold_and_going_on(trained, votes, tmp_path):
    basis = ("eval-corruptions", "--checkpoint", trained, "--data", votes, "--corruptions", "contrast,fog")
    command = (*basis, "--severities", "1,5", "--results", tmp_path / "r", "--workers", 0)
    done = invoke(*command)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    rows = {tuple(line[:2]): line for line in lines}
    assert ("fog", "1") in rows and ("contrast", "5") in rows and ("all", "corruptions") in rows
    assert "mCE needs a --baseline" in done.stdout and "results:" in done.stderr
    again = invoke(*command, "--fail-under", "top1=1.01", "--json", "-q")
    assert again.returncode == 3 and "top1 is" in again.stderr
    summary = json.loads(again.stdout)
    assert summary["computed"] == 0 and [row["corruption"] for row in summary["rows"]][:2] == ["clean", "fog"]
    compared = invoke(*basis, "--severities", "1,5", "--baseline", tmp_path / "r" / "corruptions.csv")
    assert compared.returncode == 0 and "mCE 1.0" in compared.stdout


def test_what_is_wrong_is_told(trained, votes, tmp_path):
    for options, told in (
        (("--corruptions", "fogg"), "did you mean fog"),
        (("--severities", "0-5"), "severities in [1, 5]"),
        (("--data", votes, "--force"), "--force needs --results"),
        (("--data", votes, "--corrupted-root", tmp_path, "--save-images", tmp_path), "no effect with --corrupted-root"),
        (("--data", votes, "--fail-under", "mce=1"), "no metric 'mce'"),
    ):
        done = invoke("eval-corruptions", "--checkpoint", trained, *options)
        assert done.returncode == 2 and told in done.stderr, (options, done.stderr)


def test_the_list_and_the_sheet(tmp_path):
    listed = json.loads(invoke("corruptions", "--json").stdout)["corruptions"]
    assert [one["name"] for one in listed] == list(CORRUPTIONS) and listed[0]["group"] == "benchmark"
    assert {one["group"] for one in listed} == {"benchmark", "validation", "alterations", ""}
    assert len(json.loads(invoke("corruptions", "--json", "--corruptions", "all").stdout)["corruptions"]) == 19
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(tmp_path / "a.png")
    command = ("corruptions", tmp_path / "a.png", "--preview", tmp_path / "s.png", "--size", 24, "--corruptions")
    done = invoke(*command, "contrast,pixelate,noise")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width > sheet.height > 100
    assert invoke(*command, "fog").returncode == 2
    assert invoke(*command, "fog", "--force").returncode == 0
    assert "go together" in invoke("corruptions", "--preview", tmp_path / "t.png").stderr
    assert invoke("corruptions", tmp_path / "none.png", "--preview", tmp_path / "t.png").returncode == 1
    assert not (tmp_path / "t.png").exists()
