"""``affectkit compare`` on schematic faces, as a user would: run folders, results and checkpoints give the same."""

from __future__ import annotations

import csv
import json

import pytest
from support import TINY
from typer.testing import CliRunner

from affectkit.cli.app import app


def run(*words: object, code: int = 0):
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def faces(tmp_path, no_figures):
    """Schematic faces, and two trainings of a small network: for an epoch, and for two."""
    root = tmp_path / "faces"
    run("prep", "schematic", root / "data", "--train", 32, "--valid", 16, "--test", 40, "--size", 24)
    for name, epochs in (("short", 1), ("long", 2)):
        words = ("--model", TINY, "--no-pretrained", "--task", "classification", "--image-size", 24, "--batch-size", 16)
        more = ("--workers", 0, "--device", "cpu", "--lr", "0.003", "--epochs", epochs)
        run("train", "--data", root / "data", "--test-data", root / "data", "--output", root / name, *words, *more)
    return root


def compared(*words: object) -> dict:
    return json.loads(run("compare", *words, "--draws", 200, "--json").stdout)


def test_run_folders_results_and_checkpoints_give_the_same(faces, tmp_path):
    done = run("compare", faces / "short", faces / "long", "--draws", 200)
    assert "long minus short, n = 37" in done.stdout and "is a run folder: its test split is compared" in done.stderr
    folders = compared(faces / "short", faces / "long")
    words = ("--data", faces / "data", "--workers", 0, "--device", "cpu")
    tested = compared(faces / "short", faces / "long" / "best.safetensors", *words)
    assert [row["metric"] for row in folders["rows"]] == ["loss", "accuracy", "balanced_accuracy"]
    for one, other in zip(folders["rows"], tested["rows"], strict=True):
        assert one["difference"] == pytest.approx(other["difference"], abs=1e-5), "batches of another size"
        assert (one["second"], other["second"]) == ("long", "long") and one["p"] == other["p"]
    valid = run("compare", faces / "short" / "valid", faces / "long" / "valid", "--draws", 100).stdout
    assert "This is a validation split" in valid and "long minus short" in valid
    assert "validation split" not in done.stdout
    out = tmp_path / "results"
    run("test", "--checkpoint", faces / "short", *words, "--results", out)
    mixed = compared(out, faces / "long", *words, "--names", "tested,now")
    assert mixed["rows"][1]["difference"] == pytest.approx(folders["rows"][1]["difference"])
    # A change of a file between the tests shows.
    with (out / "test_results.csv").open(newline="") as stream:
        image = faces / "data" / next(csv.DictReader(stream))["Image Name"]
    before = image.read_bytes()
    try:
        image.write_bytes(before + b"\0")
        done = run("compare", out, faces / "long", *words, code=1)
        assert "1 item with another content in long than in" in done.stderr
        assert compared(out, faces / "long", *words, "--common")["left_out"] == {"results": 1, "long": 1}
    finally:
        image.write_bytes(before)
