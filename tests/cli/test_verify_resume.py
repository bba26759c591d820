"""``affectkit verify-resume``: what a user reads, and the exit codes."""

from __future__ import annotations

import functools
import json
import os

import pytest
from support import TINY, affectkit
from typer.testing import CliRunner

from affectkit.cli.app import app
from affectkit.training.resume_check import verify

pytestmark = pytest.mark.usefixtures("no_figures")

SMALL = ("--model", TINY, "--no-pretrained", "--image-size", "24", "--batch-size", "8", "--workers", "0")


@pytest.fixture
def call(monkeypatch):
    """The command in this process, with forked processes for the proof and, if wanted, a broken trainer in them."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)

    def run(*arguments, trainer="affectkit.training.resume_check.killed_run:KilledRun"):
        real = functools.partial(verify_function, start="fork", trainer=trainer)
        monkeypatch.setattr(verify, "verify", real)
        return CliRunner().invoke(app, ["verify-resume", *map(str, arguments)])

    verify_function = verify.verify
    return run


def test_a_proof_is_a_table_and_a_sentence(call, votes, tmp_path):
    done = call("--data", votes, *SMALL, "--steps", "4", "--output", tmp_path / "o", "--keep-files", tmp_path / "kept")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split("  ")[0] == "file" and [line.split()[1:] for line in lines[1:5]] == [["equal", "equal"]] * 4
    assert lines[5].startswith("resume is exact on CPU") and "4 steps over 16 images" in lines[5] and len(lines) == 6
    assert "Warning: --output has no effect here." in done.stderr and not (tmp_path / "o").exists()
    assert (tmp_path / "kept" / "resumed" / "metrics.json").is_file()


def test_a_failed_proof_exits_1_and_names_the_cause(call, votes):
    few = ("--augment", "none", "--schedule", "constant", "--early-stop", "0", "--calibrate", "none", "--steps", "4",
           "--optimizer", "sgd", "--momentum", "0", "--precision", "fp32")  # fmt: skip
    done = call("--data", votes, *SMALL, *few, "--json", trainer="broken_trainers:StreamedDropout")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["exact"], told["repeats"], told["options"]) == (False, True, ["--dropout 0.3"])
    assert told["files"]["history.csv"]["resumed"].startswith("differs from epoch")
    assert (
        "The cause is --dropout 0.3: without it the resume is exact." in done.stderr and "Traceback" not in done.stderr
    )


def test_the_file_of_a_run_is_taken_as_it_is(call, trained):
    done = call("--config", trained / "config.yaml", "--json", "-q")
    assert done.exit_code == 0 and done.stderr == "", done.stderr
    told = json.loads(done.stdout)
    assert told["exact"] and told["run"]["steps"] == 6 and told["killed_after_steps"] == [2, 5]


def test_wrong_settings_are_named(call, tmp_path):
    done = call("--warmup", "30", "--steps", "3")
    assert done.exit_code == 2 and "--steps must be at least 4" in done.stderr
    done = call("--model", TINY)
    assert done.exit_code == 2 and "--data is needed" in done.stderr and "--output" not in done.stderr
    done = call("--data", tmp_path / "none", *SMALL)
    assert done.exit_code == 1 and str(tmp_path / "none") in done.stderr


@pytest.mark.slow
def test_as_a_user_would(votes):
    done = affectkit("verify-resume", "--data", votes, *SMALL, "--mixup", "0.2", "--json", "-q", timeout=300)
    assert done.returncode == 0 and json.loads(done.stdout)["exact"] is True, done.stderr
